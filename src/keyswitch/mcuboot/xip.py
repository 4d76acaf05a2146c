"""Direct-XIP: images run where they lie, the higher version first (loader.c `boot_load_and_validate_images`).

Rules kept here:

* of equal versions the one in slot 0 runs (`find_slot_with_highest_version`);
* with revert (`MCUBOOT_DIRECT_XIP_REVERT`) an image without a good trailer was not asked for, and one that was started
  and not confirmed is given up: both are erased when they would be next (`boot_select_or_erase`);
* a confirmed image runs whatever its other flag says; a damaged flag alone never erases an image;
* without revert no trailer is read or written: whatever lies there, and is higher, runs, and is never given up;
* that an image was started is written down before it is checked, so that a cut can only make it lose its trial;
* what fails a check is erased (`boot_validate_slot`: the slots are equivalent); what is built for another address, says
  that it is not bootable, is encrypted or compressed, or lacks a dependency, is passed over.
"""

from dataclasses import replace

from keyswitch.mcuboot.config import BootConfig, stored_counter
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.image import Image, ImageFault, ImageHeader, parse_header
from keyswitch.mcuboot.layout import Slot, SlotPair, area
from keyswitch.mcuboot.ops import CarryOut, Plan, TrailerField, erase_slot, write_flag
from keyswitch.mcuboot.report import BootReport, ImageReport, look
from keyswitch.mcuboot.tlvs import COMPRESSED, ENCRYPTED, Flags
from keyswitch.mcuboot.trailer import Magic, SwapType, Trailer, TrailerFlag, read_trailer
from keyswitch.mcuboot.verify import verify


def boot_in_place(flash: Flash, config: BootConfig, *, counters: tuple[int, ...], do: CarryOut) -> BootReport:
    """Boot once, without moving anything."""
    pairs = [_Choice(flash, config, pair, counters, do) for pair in config.layout.pairs]
    for pair in pairs:
        pair.choose()
    # Each round takes a slot out, so there are at most as many as slots.
    for _ in config.layout.slots:
        unmet = _unmet(pairs)
        if unmet is None:
            break
        pair, line = unmet
        pair.pass_over(line)
        pair.choose()
    return BootReport(images=tuple(pair.settle() for pair in pairs), counters=tuple(pair.counter for pair in pairs))


def _unmet(pairs: "list[_Choice]") -> "tuple[_Choice, str] | None":
    """The first image that lacks a dependency, and which."""
    for pair in pairs:
        for need in pair.image.dependencies if pair.image else ():
            there = pairs[need.image].image if need.image < len(pairs) else None
            if there is None or there.version.without_build < need.version.without_build:
                found = f"found {there.version}" if there else "found none"
                return pair, f"it needs image {need.image} {need.version}, {found}"
    return None


class _Choice:
    """Which of the two slots of one image runs."""

    def __init__(
        self, flash: Flash, config: BootConfig, pair: SlotPair, counters: tuple[int, ...], do: CarryOut
    ) -> None:
        self._flash = flash
        self._config = config
        self._layout = config.layout
        self._do = do
        number = pair.primary.image
        self._limits = config.limits(number, counters)
        self.counter = stored_counter(counters, number)
        self._slot: Slot | None = None
        self.image: Image | None = None
        self.report = ImageReport(
            image=number,
            primary=look(flash, self._layout, pair.primary),
            secondary=look(flash, self._layout, pair.secondary),
        )
        self._open = [slot for slot in (pair.primary, pair.secondary) if self._is_there(slot)]

    def _is_there(self, slot: Slot) -> bool:
        """Whether there is an image at all for this bootloader: what it cannot read it neither starts nor erases."""
        header = parse_header(area(self._flash, slot))
        if isinstance(header, ImageFault):
            return False
        why = _unreadable(header, slot)
        if why:
            self._because(f"slot {slot.slot} passed over: {why}")
        return not why

    def _carry_out(self, plan: Plan) -> None:
        self._do(self._flash, self._layout, plan)

    def _because(self, line: str) -> None:
        self.report = self.report.because(line)

    def choose(self) -> None:
        """Take the highest version that may run and is good; what is neither is erased or passed over."""
        while (best := self._highest()) is not None:
            slot, header = best
            if self._may_start(slot, header) and self._is_good(slot, header):
                self._slot = slot
                return
            self._open.remove(slot)
        self._slot, self.image = None, None

    def pass_over(self, line: str) -> None:
        """Do not run what was chosen; it stays where it is."""
        if self._slot is not None:
            self._because(f"slot {self._slot.slot} passed over: {line}")
            self._open.remove(self._slot)

    def _highest(self) -> tuple[Slot, ImageHeader] | None:
        best: tuple[Slot, ImageHeader] | None = None
        for slot in self._open:
            header = parse_header(area(self._flash, slot))
            if isinstance(header, ImageFault):
                continue
            if best is None or header.version.without_build > best[1].version.without_build:
                best = slot, header
        return best

    def _may_start(self, slot: Slot, header: ImageHeader) -> bool:
        address = self._config.flash_base + slot.offset
        if header.flags & Flags.ROM_FIXED and header.load_address != address:
            self._because(f"slot {slot.slot} passed over: built for {header.load_address:#x}, not {address:#x}")
            return False
        if not self._layout.algorithm.has_trial:
            return True
        own = read_trailer(self._layout, area(self._flash, slot))
        if _damaged(own):
            # MCUboot starts it and writes over the flag. It stays where it is: it may be the last image that can run.
            self._because(f"slot {slot.slot} passed over: a flag in its trailer is damaged")
            return False
        why = _given_up(own)
        if why is not None:
            started = own.magic is Magic.GOOD and own.copy_done is TrailerFlag.SET
            self.report = replace(self.report, reverted=self.report.reverted or started)
            self._erase(slot, why)
            return False
        if own.copy_done is TrailerFlag.UNSET:
            self.report = replace(
                self.report, found=SwapType.TEST if own.image_ok is TrailerFlag.UNSET else SwapType.PERM
            )
            self._because(f"slot {slot.slot}: {header.version} is started for the first time")
            self._carry_out(write_flag(slot, TrailerField.COPY_DONE))
        return True

    def _is_good(self, slot: Slot, header: ImageHeader) -> bool:
        if header.flags & Flags.NON_BOOTABLE:
            self._because(f"slot {slot.slot} passed over: it says that it is not bootable")
            return False
        verdict = verify(area(self._flash, slot), self._config.keys, self._limits)
        self.report = replace(self.report, checks=verdict.checks)
        if verdict.refusal is not None:
            self._erase(slot, f"refused: {verdict.refusal.detail}")
            return False
        self.image = verdict.image
        return True

    def _erase(self, slot: Slot, line: str) -> None:
        self._because(f"slot {slot.slot} erased: {line}")
        self._carry_out(erase_slot(self._layout, slot))

    def settle(self) -> ImageReport:
        """What runs."""
        if self._slot is None or self.image is None:
            self._because("nothing runs: no slot holds an image that may")
            return self.report
        kept = read_trailer(self._layout, area(self._flash, self._slot)).image_ok is TrailerFlag.SET
        trial = self._layout.algorithm.has_trial and not kept
        if not trial and self.image.security_counter is not None:
            self.counter = max(self.counter, self.image.security_counter)
        self._because(f"runs {self.image.version} in slot {self._slot.slot}" + (" on trial" if trial else ""))
        return replace(
            self.report,
            done=self.report.found,
            running_slot=self._slot.slot,
            running_version=self.image.version,
            running_hash=self.image.hash,
            trial=trial,
        )


def _unreadable(header: ImageHeader, slot: Slot) -> str:
    """Why a header is none for this bootloader (`boot_check_header_valid`); empty if it is one."""
    if header.flags & ENCRYPTED:
        return "an encrypted image, which this bootloader cannot decrypt"
    if header.flags & COMPRESSED:
        return "a compressed image, which this bootloader cannot unpack"
    return f"{header.hashed_size} bytes for a slot of {slot.size}" if header.hashed_size >= slot.size else ""


def _given_up(own: Trailer) -> str | None:
    """Why an image may not start, as its trailer says it; None if it may."""
    if own.magic is not Magic.GOOD:
        return f"nobody asked for it (magic {own.magic.value})"
    if own.copy_done is TrailerFlag.SET and own.image_ok is not TrailerFlag.SET:
        return "it was started and not confirmed"
    return None


def _damaged(own: Trailer) -> bool:
    """Whether a flag does not say if the image was started, or if it was confirmed."""
    if own.magic is not Magic.GOOD or own.image_ok is TrailerFlag.SET:
        return False
    return own.copy_done is TrailerFlag.BAD or (own.image_ok is TrailerFlag.BAD and own.copy_done is TrailerFlag.UNSET)
