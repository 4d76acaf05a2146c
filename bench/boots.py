"""Worlds and acts for cutting the power: flashes of several shapes, and everything that is done to a device's flash."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.mcuboot import imgtool_images as images

from keyswitch.mcuboot import slots
from keyswitch.mcuboot.bootloader import BootReport, boot
from keyswitch.mcuboot.config import BootConfig, LoaderEntrance
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.layout import Algorithm, Layout, max_image_size
from keyswitch.mcuboot.ops import CarryOut, carry_out
from keyswitch.mcuboot.slots import SlotWriter, write_header


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One flash to try."""

    name: str
    sector_size: int
    slot_size: int
    write_block: int = 4
    max_align: int = 8
    erased_value: int = 0xFF
    secondary_sectors_more: int = 0
    old_size: int = 700
    new_size: int = 1100


SHAPES = (
    Shape(name="one trailer sector", sector_size=512, slot_size=4096),
    Shape(name="trailer of several sectors", sector_size=256, slot_size=4096, write_block=8),
    Shape(name="wide write blocks", sector_size=512, slot_size=8192, write_block=32, max_align=32),
    Shape(name="bytes, erased to 0", sector_size=1024, slot_size=6144, write_block=1, erased_value=0, old_size=1500),
    Shape(name="as large as it goes", sector_size=512, slot_size=4096, new_size=0),
    Shape(name="primary a sector larger", sector_size=512, slot_size=4608, secondary_sectors_more=-1, new_size=0),
    Shape(name="secondary a sector larger", sector_size=512, slot_size=4096, secondary_sectors_more=1, new_size=0),
    Shape(name="blocks of 16 bytes", sector_size=512, slot_size=6144, write_block=16, max_align=16),
    Shape(name="one sector", sector_size=2048, slot_size=10240, old_size=300, new_size=200),
)

KEY = "ed25519"
"""The quickest kind to check."""
OLD, NEW, THIRD, LOADER = "1.0.0", "1.1.0", "1.2.0", "0.1.0"


@dataclass(frozen=True, slots=True)
class World:
    """A layout and the images that fit it."""

    config: BootConfig
    old: bytes
    new: bytes
    third: bytes
    loader: bytes

    @property
    def layout(self) -> Layout:
        """The slots and the algorithm."""
        return self.config.layout

    def image(self, version: str) -> bytes:
        """The signed image of this version."""
        return {OLD: self.old, NEW: self.new, THIRD: self.third, LOADER: self.loader}[version]


@dataclass
class Bench:
    """One flash in one world: what people and programs do to it."""

    world: World
    flash: Flash
    do: CarryOut = carry_out
    active: tuple[int, ...] = ()
    header: bytes = b""
    writer: type[SlotWriter] = SlotWriter

    def boot(self, *, loader_asked: bool = False) -> BootReport:
        """Power up."""
        report = boot(self.flash, self.world.config, loader_asked=loader_asked, do=self.do)
        self.active = report.active
        return report

    def upload(self, data: bytes) -> None:
        """Write an image into the slot that is not running."""
        layout = self.world.layout
        slot = slots.other_slot(layout, 0, self.active)
        writer = self.writer(self.flash, layout, slot, max_image_size(layout))
        for at in range(0, len(data), 300):
            writer.write(data[at : at + 300])
        writer.finish()
        self.header = writer.header

    def arm(self, *, permanent: bool = False) -> None:
        """Have it started at the next boot."""
        slot = slots.other_slot(self.world.layout, 0, self.active)
        if not self.world.layout.algorithm.armed_by_trailer:
            write_header(self.flash, self.world.layout, slot, self.header, do=self.do)
            return
        slots.arm(self.flash, self.world.layout, slot, permanent=permanent, do=self.do)

    def confirm(self) -> None:
        """Keep what runs."""
        running = slots.running_slot(self.world.layout, 0, self.active)
        slots.confirm(self.flash, self.world.layout, running, do=self.do)

    def disarm(self) -> None:
        """Take the arming back."""
        slots.disarm(self.flash, self.world.layout, 0, self.active, do=self.do)


Act = Callable[[Bench], object]
Outcome = tuple[str, bool]
"""Version that runs, and whether on trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An act on a prepared device, and what may run after the power was cut in it.

    Attributes:
        name: of the act.
        prepare: what was done before, with good power.
        act: what is cut.
        cut: what may run after a cut.
        whole: what must run if the act was not cut.
        algorithms: where it applies.
    """

    name: str
    prepare: tuple[Act, ...]
    act: Act
    cut: frozenset[Outcome]
    whole: Outcome
    algorithms: tuple[Algorithm, ...] = tuple(each for each in Algorithm if each.updates_itself)


def _upload(version: str) -> Act:
    return lambda bench: bench.upload(bench.world.image(version))


def _upload_bad(bench: Bench) -> None:
    data = bytearray(bench.world.new)
    data[100] ^= 1
    bench.upload(bytes(data))


def _break_other(bench: Bench) -> None:
    bench.flash.erase(slots.other_slot(bench.world.layout, 0, bench.active).offset, bench.flash.geometry.sector_size)


_arm: Act = Bench.arm
_arm_forever: Act = partial(Bench.arm, permanent=True)
BOOT: Act = Bench.boot
_confirm: Act = Bench.confirm
_disarm: Act = Bench.disarm
_boot_loader: Act = partial(Bench.boot, loader_asked=True)
_SWAPS = (Algorithm.SWAP_MOVE, Algorithm.SWAP_OFFSET)
_REVERTING = (*_SWAPS, Algorithm.DIRECT_XIP)


def _outcomes(*outcomes: Outcome) -> frozenset[Outcome]:
    return frozenset(outcomes)


_OLD, _NEW, _TRIAL, _LOADER = (OLD, False), (NEW, False), (NEW, True), (LOADER, False)
_NO_REVERT, _BY_LOADER = (Algorithm.DIRECT_XIP_NO_REVERT,), (Algorithm.FIRMWARE_LOADER,)
_TO_TRIAL = (BOOT, _upload(NEW), _arm, BOOT)
_TO_NEW = (*_TO_TRIAL, _confirm, BOOT)

SCENARIOS = (
    Scenario(name="upload", prepare=(BOOT,), act=_upload(NEW), cut=_outcomes(_OLD), whole=_OLD),
    Scenario(
        name="upload over an armed image",
        prepare=(BOOT, _upload(THIRD), _arm),
        act=_upload(NEW),
        cut=_outcomes(_OLD, (THIRD, True), (THIRD, False)),
        whole=_OLD,
    ),
    Scenario(
        name="arm for a test",
        prepare=(BOOT, _upload(NEW)),
        act=_arm,
        cut=_outcomes(_OLD, _TRIAL),
        whole=_TRIAL,
        algorithms=_REVERTING,
    ),
    Scenario(
        name="arm for good",
        prepare=(BOOT, _upload(NEW)),
        act=_arm_forever,
        cut=_outcomes(_OLD, _NEW),
        whole=_NEW,
        algorithms=(*_SWAPS, Algorithm.OVERWRITE_ONLY, *_NO_REVERT),
    ),
    Scenario(
        name="arm for good, in place",
        prepare=(BOOT, _upload(NEW)),
        act=_arm_forever,
        cut=_outcomes(_OLD, _NEW, _TRIAL),
        whole=_NEW,
        algorithms=(Algorithm.DIRECT_XIP,),
    ),
    Scenario(
        name="disarm",
        prepare=(BOOT, _upload(NEW), _arm_forever),
        act=_disarm,
        cut=_outcomes(_OLD, _NEW),
        whole=_OLD,
        algorithms=(*_SWAPS, Algorithm.OVERWRITE_ONLY, *_NO_REVERT),
    ),
    Scenario(
        name="disarm, in place",
        prepare=(BOOT, _upload(NEW), _arm),
        act=_disarm,
        cut=_outcomes(_OLD, _TRIAL),
        whole=_OLD,
        algorithms=(Algorithm.DIRECT_XIP,),
    ),
    Scenario(
        name="upgrade on trial",
        prepare=(BOOT, _upload(NEW), _arm),
        act=BOOT,
        cut=_outcomes(_TRIAL),
        whole=_TRIAL,
        algorithms=_SWAPS,
    ),
    Scenario(
        name="upgrade on trial, in place",
        prepare=(BOOT, _upload(NEW), _arm),
        act=BOOT,
        cut=_outcomes(_TRIAL, _OLD),
        whole=_TRIAL,
        algorithms=(Algorithm.DIRECT_XIP,),
    ),
    Scenario(
        name="upgrade for good",
        prepare=(BOOT, _upload(NEW), _arm_forever),
        act=BOOT,
        cut=_outcomes(_NEW),
        whole=_NEW,
        algorithms=(*_SWAPS, Algorithm.OVERWRITE_ONLY, Algorithm.DIRECT_XIP),
    ),
    Scenario(name="revert", prepare=_TO_TRIAL, act=BOOT, cut=_outcomes(_OLD), whole=_OLD, algorithms=_REVERTING),
    Scenario(
        name="confirm",
        prepare=_TO_TRIAL,
        act=_confirm,
        cut=_outcomes(_OLD, _NEW),
        whole=_NEW,
        algorithms=_REVERTING,
    ),
    Scenario(
        name="second upgrade on trial",
        prepare=(*_TO_NEW, _upload(THIRD), _arm),
        act=BOOT,
        cut=_outcomes((THIRD, True)),
        whole=(THIRD, True),
        algorithms=_SWAPS,
    ),
    Scenario(
        name="second revert",
        prepare=(*_TO_NEW, _upload(THIRD), _arm, BOOT),
        act=BOOT,
        cut=_outcomes(_NEW),
        whole=_NEW,
        algorithms=_REVERTING,
    ),
    Scenario(
        name="trial of what was given up before",
        prepare=(*_TO_TRIAL, BOOT, _arm),
        act=BOOT,
        cut=_outcomes(_TRIAL),
        whole=_TRIAL,
        algorithms=_SWAPS,
    ),
    Scenario(
        name="arm a second one for good, in place",
        prepare=(BOOT, _upload(NEW), _arm, BOOT, _upload(THIRD)),
        act=_arm,
        cut=_outcomes(_NEW, (THIRD, False)),
        whole=(THIRD, False),
        algorithms=_NO_REVERT,
    ),
    Scenario(
        name="upload of an older image, in place",
        prepare=(BOOT, _upload(NEW), _arm, BOOT),
        act=_upload(OLD),
        cut=_outcomes(_NEW),
        whole=_NEW,
        algorithms=_NO_REVERT,
    ),
    Scenario(
        name="upload by the loader",
        prepare=(_boot_loader,),
        act=_upload(NEW),
        cut=_outcomes(_OLD, _LOADER),
        whole=_LOADER,
        algorithms=_BY_LOADER,
    ),
    Scenario(
        name="upload by the loader, once more",
        prepare=(_boot_loader, _upload(THIRD), BOOT),
        act=_upload(NEW),
        cut=_outcomes(_LOADER),
        whole=_LOADER,
        algorithms=_BY_LOADER,
    ),
    Scenario(
        name="the loader makes it an image",
        prepare=(_boot_loader, _upload(NEW)),
        act=_arm,
        cut=_outcomes(_LOADER, _NEW),
        whole=_NEW,
        algorithms=_BY_LOADER,
    ),
    Scenario(
        name="the loader takes it back",
        prepare=(_boot_loader, _upload(NEW), _arm),
        act=_disarm,
        cut=_outcomes(_LOADER, _NEW),
        whole=_LOADER,
        algorithms=_BY_LOADER,
    ),
    Scenario(name="refuse a bad image", prepare=(BOOT, _upload_bad, _arm), act=BOOT, cut=_outcomes(_OLD), whole=_OLD),
    Scenario(
        name="nothing to go back to",
        prepare=(*_TO_TRIAL, _break_other),
        act=BOOT,
        cut=_outcomes(_NEW),
        whole=_NEW,
        algorithms=_SWAPS,
    ),
)


def make_keys() -> None:
    """Make the key that the images are signed with."""
    images.keys(KEY)
    images.imgtool_key(KEY)


def make_world(algorithm: Algorithm, shape: Shape) -> World:
    """The layout of `shape` and signed images for it."""
    layout = Layout.for_slots(
        algorithm,
        shape.slot_size,
        sector_size=shape.sector_size,
        write_block=shape.write_block,
        erased_value=shape.erased_value,
        max_align=shape.max_align,
        secondary_size=shape.slot_size + shape.secondary_sectors_more * shape.sector_size,
    )
    make = partial(images.signed, key=KEY, header_size=32)
    overhead = len(make(OLD, size=100)) - 100
    return World(
        config=BootConfig(
            layout=layout,
            keys=images.keys(KEY),
            loader_entrances=frozenset(LoaderEntrance) if algorithm is Algorithm.FIRMWARE_LOADER else frozenset(),
        ),
        old=make(OLD, size=shape.old_size),
        new=make(NEW, size=shape.new_size or max_image_size(layout) - overhead, seed=1),
        third=make(THIRD, size=900, seed=2),
        loader=make(LOADER, size=600, seed=3),
    )


def searches(algorithms: Iterable[Algorithm], shapes: Iterable[Shape]) -> Iterator[tuple[Algorithm, Shape, Scenario]]:
    """Everything there is to try."""
    for algorithm in algorithms:
        for shape in shapes:
            for scenario in SCENARIOS:
                if algorithm in scenario.algorithms:
                    yield algorithm, shape, scenario
