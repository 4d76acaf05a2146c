"""A device's flash, layout and bootloader for the tests, in RAM."""

from dataclasses import dataclass, field

from tests.mcuboot import imgtool_images as images

from keyswitch.mcuboot import slots
from keyswitch.mcuboot.bootloader import BootConfig, BootReport, boot
from keyswitch.mcuboot.flash import Flash, RamFlash
from keyswitch.mcuboot.keys import VerificationKeys
from keyswitch.mcuboot.layout import Algorithm, Layout, Slot, max_image_size
from keyswitch.mcuboot.slots import ArmResult, ListedImage, SlotWriter

SWAPS = (Algorithm.SWAP_MOVE, Algorithm.SWAP_OFFSET)
BY_TRAILER = tuple(each for each in Algorithm if each.armed_by_trailer)
"""An image starts because its trailer asks for it; with the others because it lies there."""
SLOT_SIZE = 0x8000


@dataclass
class Device:
    """Two slots, a key, and what a person would do with them."""

    flash: Flash
    layout: Layout
    config: BootConfig
    active: tuple[int, ...] = ()
    counters: tuple[int, ...] = ()
    headers: dict[int, bytes] = field(default_factory=dict)

    @property
    def primary(self) -> Slot:
        return self.layout.pairs[0].primary

    @property
    def secondary(self) -> Slot:
        return self.layout.pairs[0].secondary

    def other(self, image: int = 0) -> Slot:
        return slots.other_slot(self.layout, image, self.active)

    def running(self, image: int = 0) -> Slot:
        return slots.running_slot(self.layout, image, self.active)

    def upload(self, data: bytes, image: int = 0, piece: int = 1000) -> None:
        writer = SlotWriter(self.flash, self.layout, self.other(image), max_image_size(self.layout, image))
        for at in range(0, len(data), piece):
            writer.write(data[at : at + piece])
        writer.finish()
        self.headers[image] = writer.header

    def arm(self, *, permanent: bool = False, image: int = 0) -> ArmResult:
        if not self.layout.algorithm.armed_by_trailer:
            slots.write_header(self.flash, self.layout, self.other(image), self.headers.pop(image))
            return ArmResult.DONE
        return slots.arm(self.flash, self.layout, self.other(image), permanent=permanent)

    def confirm(self, image: int = 0) -> ArmResult:
        return slots.confirm(self.flash, self.layout, self.running(image))

    def boot(self, *, loader_asked: bool = False) -> BootReport:
        report = boot(self.flash, self.config, counters=self.counters, loader_asked=loader_asked)
        self.active, self.counters = report.active, report.counters
        return report

    def listed(self) -> tuple[ListedImage, ...]:
        return slots.list_images(self.flash, self.layout, self.active)

    def shown(self) -> list[str]:
        """The image list in short: slot, version, and which of active, confirmed, pending, permanent."""
        return [
            f"{entry.slot.absolute} {entry.version} "
            + "".join(
                letter
                for letter, on in zip(
                    "acpP", (entry.active, entry.confirmed, entry.pending, entry.permanent), strict=True
                )
                if on
            )
            for entry in self.listed()
        ]

    def version(self) -> str:
        """What the next boot runs."""
        report = self.boot()
        return str(report.images[0].running_version)


def device(
    algorithm: Algorithm,
    running: bytes | None = None,
    *,
    keys: VerificationKeys | None = None,
    slot_size: int = SLOT_SIZE,
    sector_size: int = 0x1000,
    write_block: int = 4,
    max_align: int = 8,
    images_: int = 1,
    flash: Flash | None = None,
    **config: object,
) -> Device:
    """A device that runs `running`, made in the factory."""
    layout = Layout.for_slots(
        algorithm,
        slot_size,
        images=images_,
        sector_size=sector_size,
        write_block=write_block,
        max_align=max_align,
        max_sectors=max(slot_size // sector_size, 8),
    )
    boot_config = BootConfig(layout=layout, keys=images.keys() if keys is None else keys, **config)
    made = Device(flash or RamFlash(layout.geometry), layout, boot_config)
    if running is not None:
        slots.install(made.flash, layout, made.primary, running)
    return made
