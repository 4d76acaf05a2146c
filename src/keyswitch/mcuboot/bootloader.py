"""Decides what runs, as MCUboot does: finish what was cut off, check what is wanted, exchange, check what runs.

Rules kept here:

* an image is checked before it is moved, and what lies in the primary is checked again before it runs;
* what was cut off is finished before anything else is decided, and nothing is decided twice differently;
* a wanted image that fails a check is erased, so that it is not tried again; the running one stays;
* with several images, all are prepared before any is exchanged; a dependency that would be broken stops all of them;
* every decision leaves a line in the report.
"""

from dataclasses import replace

from keyswitch.mcuboot import swap as swaps
from keyswitch.mcuboot import trailer as trailers
from keyswitch.mcuboot.config import BootConfig, Downgrade, stored_counter
from keyswitch.mcuboot.flash import Area, Flash
from keyswitch.mcuboot.image import Image, ImageFault, parse_header, parse_image
from keyswitch.mcuboot.layout import PRIMARY, Layout, SlotPair, align_up, area
from keyswitch.mcuboot.one_slot import boot_one_slot
from keyswitch.mcuboot.ops import (
    SYNC,
    CarryOut,
    Copy,
    Erase,
    Plan,
    carry_out,
    erase_slot,
    erase_trailer,
)
from keyswitch.mcuboot.report import BootReport, ImageReport, SlotReport, look
from keyswitch.mcuboot.trailer import Magic, SwapType, TrailerFlag
from keyswitch.mcuboot.verify import ImageCheck, verify
from keyswitch.mcuboot.xip import boot_in_place

__all__ = ["BootConfig", "BootReport", "Downgrade", "ImageReport", "SlotReport", "boot"]


def boot(
    flash: Flash,
    config: BootConfig,
    *,
    counters: tuple[int, ...] = (),
    loader_asked: bool = False,
    do: CarryOut = carry_out,
) -> BootReport:
    """Boot once.

    Args:
        flash: with the slots.
        config: how the bootloader is built.
        counters: security counters kept from the boot before, by image number; missing ones are 0.
        loader_asked: the firmware loader was asked for: by the boot mode that outlived the reset, or by a pin.
        do: what carries out changes to the flash.

    Returns:
        What was found, decided and why, and what runs. If power fails in the middle, calling it again continues.
    """
    config = config.as_built()
    if config.layout.algorithm.in_place:
        return boot_in_place(flash, config, counters=counters, do=do)
    if not config.layout.algorithm.updates_itself:
        return boot_one_slot(flash, config, counters=counters, loader_asked=loader_asked)
    pairs = [_Pair(flash, config, pair, counters, do) for pair in config.layout.pairs]
    for number, pair in enumerate(pairs):
        pair.prepare()
        if pair.begins_or_continues:
            # These were exchanged just before the reset; their trial has not begun, so it has not failed either.
            for earlier in pairs[:number]:
                earlier.not_reverted()
    if len(pairs) > 1:
        _hold_back_unmet(pairs)
    for pair in pairs:
        pair.perform()
    reports = tuple(pair.settle() for pair in pairs)
    return BootReport(images=reports, counters=tuple(pair.counter for pair in pairs))


def _hold_back_unmet(pairs: "list[_Pair]") -> None:
    """If what would run afterwards misses a dependency, nothing is exchanged (`boot_verify_dependencies`)."""
    after = [pair.afterwards() for pair in pairs]
    for pair, image in zip(pairs, after, strict=True):
        for need in image.dependencies if image else ():
            there = after[need.image] if need.image < len(after) else None
            if there is None or there.version.without_build < need.version.without_build:
                found = f"image {need.image} {there.version}" if there else f"no image {need.image}"
                for held in pairs:
                    held.hold_back(f"image {pair.number} needs image {need.image} {need.version}, found {found}")
                return


class _Pair:
    """One image pair during one boot."""

    def __init__(
        self, flash: Flash, config: BootConfig, pair: SlotPair, counters: tuple[int, ...], do: CarryOut
    ) -> None:
        self._flash = flash
        self._config = config
        self._layout = config.layout.of(pair.primary.image)
        self._pair = pair
        self._do = do
        self.number = pair.primary.image
        self._limits = config.limits(self.number, counters)
        self.counter = stored_counter(counters, self.number)
        self.kind = SwapType.NONE
        self._swap: swaps.Swap | None = None
        self.report = ImageReport(
            image=self.number,
            primary=look(flash, self._layout, pair.primary),
            secondary=look(flash, self._layout, pair.secondary),
        )

    def _carry_out(self, plan: Plan) -> None:
        self._do(self._flash, self._layout, plan)

    def _because(self, line: str) -> None:
        self.report = self.report.because(line)

    def prepare(self) -> None:
        """Finish what was cut off; else decide what is wanted, and check it."""
        interrupted = None
        if self._layout.algorithm.swaps:
            interrupted = swaps.find_interrupted(self._flash, self._layout, self._pair)
        if interrupted is not None and interrupted.entries:
            if not self._fits(interrupted):
                self.report = replace(self.report, found=interrupted.kind)
                return
            self._because(f"{interrupted.kind.name}: cut off after {interrupted.entries} steps; continued")
            self.report = replace(self.report, found=interrupted.kind, resumed=True)
            self._exchange(interrupted)
            return
        if self._layout.algorithm.swaps and self._without_header():
            return
        self._swap = interrupted
        self.kind = interrupted.kind if interrupted else swaps.wanted(self._flash, self._layout, self._pair)
        self.report = replace(self.report, found=self.kind, resumed=interrupted is not None)
        if self.kind is not SwapType.NONE:
            self._because(f"{self.kind.name}: asked for by the trailers")
            self._check_wanted()

    def _without_header(self) -> bool:
        """Nothing is swapped into a primary without an image header (loader.c without `MCUBOOT_BOOTSTRAP`)."""
        primary = area(self._flash, self._pair.primary)
        found = parse_header(primary)
        if not isinstance(found, ImageFault) or found.check != "magic":
            return False
        self._because(f"nothing is exchanged: slot 0 holds no image ({found.line})")
        return True

    def _fits(self, swap: swaps.Swap) -> bool:
        room = swaps.room(self._layout, self._pair)
        if swaps.sectors_of(self._layout, swap.size) <= room:
            return True
        self._because(f"not enough room: {swap.size} bytes, {room} sectors can be exchanged")
        return False

    def _source(self) -> Area:
        return swaps.incoming(self._flash, self._layout, self._pair.secondary, self.kind)

    def _check_wanted(self) -> None:
        if self._uploaded_too_low():
            self._refuse("an image header in sector 0 of the secondary, where no upload starts")
            return
        source = self._source()
        verdict = verify(source, self._config.keys, self._limits)
        self.report = replace(self.report, checks=verdict.checks)
        refusal = verdict.refusal
        if refusal is None and self.kind is not SwapType.REVERT:
            refusal_line = self._downgrade(verdict)
        else:
            refusal_line = None if refusal is None else refusal.detail
        if refusal_line is not None:
            self._refuse(refusal_line)

    def _uploaded_too_low(self) -> bool:
        """Whether an image starts before the place where an upload does (loader.c "wrong upload address?").

        Not asked of a swap that was cut off: its first step writes there before it writes its first status entry.
        """
        if self._swap is not None or self.kind is SwapType.REVERT:
            return False
        if self._layout.upload_offset(self._pair.secondary) == 0:
            return False
        found = parse_header(area(self._flash, self._pair.secondary))
        return not isinstance(found, ImageFault) or found.check != "magic"

    def _downgrade(self, verdict: ImageCheck) -> str | None:
        """Why the image may not replace the running one, None if it may (`check_downgrade_prevention`)."""
        running = parse_image(area(self._flash, self._pair.primary))
        new = verdict.image
        if isinstance(running, ImageFault) or new is None or self._config.downgrade is Downgrade.ALLOWED:
            return None
        if self._config.downgrade is Downgrade.BY_VERSION:
            if new.version.without_build < running.version.without_build:
                return f"downgrade: found version {new.version}, expected {running.version} or newer"
            return None
        counter = running.security_counter
        if counter is not None and (new.security_counter is None or new.security_counter < counter):
            return f"downgrade: found security counter {new.security_counter}, expected {counter} or more"
        return None

    def _refuse(self, line: str) -> None:
        """Take the wanted image away, so that it is not tried again."""
        secondary = self._pair.secondary
        self._because(f"refused: {line}")
        self._carry_out(erase_slot(self._layout, secondary))
        if self.kind is SwapType.REVERT:
            self._because("no image to go back to; the running one stays")
        if self.kind is SwapType.REVERT or self._swap is not None:
            self._carry_out(erase_trailer(self._layout, self._pair.primary))
        self.kind = SwapType.NONE
        self._swap = None

    @property
    def begins_or_continues(self) -> bool:
        """Whether its part of an update is carried out in this boot, or was cut off in the one before.

        A copy ends by erasing the secondary's header, then its trailer. Cut off in between, nothing is left to copy.
        """
        asked = {SwapType.TEST, SwapType.PERM}
        copied = self.number in self._config.layout.copied
        return self.report.resumed or self.kind in asked or (copied and self.report.found in asked)

    def not_reverted(self) -> None:
        """Another image of the same update is still to be exchanged: this one is not to be given up yet."""
        if self.kind is SwapType.REVERT:
            self._because("kept: the update of all images was cut off between two of them")
            self.kind = SwapType.NONE

    def hold_back(self, line: str) -> None:
        """Exchange nothing in this boot."""
        if self.kind is not SwapType.NONE:
            self._because(f"held back: {line}")
            self.kind = SwapType.NONE

    def afterwards(self) -> Image | None:
        """What would run after the exchange."""
        source = area(self._flash, self._pair.primary) if self.kind is SwapType.NONE else self._source()
        image = parse_image(source)
        return None if isinstance(image, ImageFault) else image

    def perform(self) -> None:
        """Exchange, or overwrite."""
        if self.kind is SwapType.NONE:
            return
        if not self._layout.algorithm.swaps:
            self._carry_out(_overwrite(self._layout, self._pair, self._source()))
            self.report = replace(self.report, done=self.kind)
            self._because("copied over the primary")
            return
        swap = self._swap or swaps.begin(self._flash, self._layout, self._pair, self.kind)
        if self._fits(swap):
            self._exchange(swap)

    def _exchange(self, swap: swaps.Swap) -> None:
        self._carry_out(swaps.plan(self._flash, self._layout, self._pair, swap))
        self._carry_out(swaps.finish(self._flash, self._layout, self._pair.primary, swap.kind))
        self.report = replace(self.report, done=swap.kind, reverted=swap.kind is SwapType.REVERT)
        self._because(f"{swap.kind.name}: {swaps.sectors_of(self._layout, swap.size)} sectors exchanged")

    def settle(self) -> ImageReport:
        """Check what lies in the primary now; if it is good, it runs."""
        source = area(self._flash, self._pair.primary)
        own = trailers.read_trailer(self._layout, source)
        if self._config.validate_primary:
            refusal = verify(source, self._config.keys, self._limits).refusal
            if refusal is not None:
                self._because(f"nothing runs: {refusal.detail}")
                return self.report
        image = parse_image(source)
        if isinstance(image, ImageFault):
            self._because(f"nothing runs: {image.line}")
            return self.report
        kept = own.magic is not Magic.GOOD or own.image_ok is TrailerFlag.SET
        if kept and image.security_counter is not None:
            self.counter = max(self.counter, image.security_counter)
        trial = trailers.read_swap_type(self._flash, self._layout, self.number) is SwapType.REVERT
        self._because(f"runs {image.version}" + (" on trial" if trial else ""))
        self.report = replace(
            self.report,
            running_slot=PRIMARY,
            running_version=image.version,
            running_hash=image.hash,
            trial=trial,
        )
        return self.report


def _overwrite(layout: Layout, pair: SlotPair, source: Area) -> Plan:
    """Copy the secondary over the primary; begun again from the start if it is cut off (`boot_copy_image`)."""
    image = parse_image(source)
    size = 0 if isinstance(image, ImageFault) else image.size
    sector, block = layout.geometry.sector_size, layout.geometry.write_block
    yield from erase_trailer(layout, pair.primary)
    for number in range(-(-size // sector)):
        left = size - number * sector
        yield Erase(pair.primary, number)
        yield Copy(pair.secondary, number, pair.primary, number, min(sector, align_up(left, block)))
        yield SYNC
    yield Erase(pair.secondary, 0)
    yield SYNC
    yield from erase_trailer(layout, pair.secondary)
