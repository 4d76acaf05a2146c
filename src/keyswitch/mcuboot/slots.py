"""What SMP's image group and the gate need of the slots: list, hash, arm, confirm, disarm, write.

Rules kept here:

* listing reads headers and TLVs only, as Zephyr does; being listed says nothing about validity;
* before a swap is armed, the hash is computed over what really lies in the slot, never taken from its TLV;
* arming writes the magic last wherever the trailer has sectors of its own: an interrupted arming arms nothing;
* disarming touches only what was armed, never during a trial, and reads back what it did;
* where an image starts because it lies there (`Algorithm.armed_by_trailer` is false), its header is written last, and
  writing it is the arming: until then the upload is no image, and a power cut starts nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from keyswitch.errors import LocalError
from keyswitch.mcuboot import trailer as trailers
from keyswitch.mcuboot.flash import Area, Flash, FlashWear, Geometry
from keyswitch.mcuboot.image import HEADER_SIZE, Image, ImageFault, ImageVersion, chunks, parse_image
from keyswitch.mcuboot.layout import PRIMARY, Algorithm, Layout, Slot, align_up, area
from keyswitch.mcuboot.ops import (
    SYNC,
    CarryOut,
    Erase,
    Plan,
    TrailerField,
    WriteHeader,
    carry_out,
    erase_slot,
    erase_trailer,
    write_flag,
    write_magic,
    write_swap_info,
)
from keyswitch.mcuboot.tlvs import HASH_SIZES, HASHERS, TlvType
from keyswitch.mcuboot.trailer import Magic, SwapType, TrailerFlag

Active = Sequence[int]
"""For each image, the slot (0 or 1) that it runs from; always 0 unless images run where they lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImage:
    """One entry of SMP's image list (Zephyr img_mgmt_state.c).

    Attributes:
        slot: where it lies.
        image: what was read there.
        active: it is running.
        confirmed: the bootloader will keep it, or go back to it.
        pending: the bootloader will start it at the next boot.
        permanent: ... and keep it.
    """

    slot: Slot
    image: Image
    active: bool
    confirmed: bool
    pending: bool
    permanent: bool

    @property
    def version(self) -> ImageVersion:
        """The version in the header."""
        return self.image.version

    @property
    def hash(self) -> bytes:
        """The hash TLV's value."""
        return self.image.hash

    @property
    def bootable(self) -> bool:
        """Whether the header does not say otherwise."""
        return self.image.bootable


class ArmResult(Enum):
    """What came of arming or confirming."""

    DONE = "done"
    ALREADY = "already"
    """Nothing had to be changed."""
    BAD_TRAILER = "bad trailer"
    """The slot's magic is neither good nor erased (SMP image group: 29 on the running slot, 23 on the other)."""


def image_area(flash: Flash, layout: Layout, slot: Slot) -> Area:
    """From where the image in `slot` starts to the slot's end.

    With swap using offset an image in the secondary starts at sector 1, except that the one to go back to, during a
    trial, starts at sector 0 (swap_offset.c `boot_read_image_header`).
    """
    whole = area(flash, slot)
    start = layout.upload_offset(slot)
    if start and trailers.read_swap_type(flash, layout, slot.image) is SwapType.REVERT:
        start = 0
    return whole.part(start)


def read_image(flash: Flash, layout: Layout, slot: Slot) -> Image | ImageFault:
    """The image in `slot`, or why there is none that can be read."""
    return parse_image(image_area(flash, layout, slot))


def list_images(
    flash: Flash, layout: Layout, active: Active = (), *, hash_type: TlvType = TlvType.SHA256
) -> tuple[ListedImage, ...]:
    """All slots that hold something readable with exactly one hash of `hash_type`; others are left out.

    Among those is what runs of an image that is only copied: an application cannot read it (`Layout.copied`).
    """
    found: list[ListedImage] = []
    for slot in layout.slots:
        if layout.algorithm is Algorithm.FIRMWARE_LOADER and slot.slot != PRIMARY:
            continue  # the loader itself is no image that anybody updates (Zephyr img_mgmt: one slot)
        if slot.image in layout.copied and slot.slot == PRIMARY:
            continue
        image = read_image(flash, layout, slot)
        if isinstance(image, ImageFault) or [tlv.type for tlv in image.hashes] != [hash_type]:
            continue
        if len(image.hash) == HASH_SIZES[hash_type]:
            found.append(_listed(flash, layout.of(slot.image), slot, image, active_slot(active, slot.image)))
    return tuple(found)


def active_slot(active: Active, image: int) -> int:
    """The slot that `image` runs from."""
    return active[image] if image < len(active) else PRIMARY


def _listed(flash: Flash, layout: Layout, slot: Slot, image: Image, active: int) -> ListedImage:
    running = slot.slot == active
    if not layout.algorithm.armed_by_trailer:
        # Zephyr `img_mgmt_get_next_boot_slot`: what runs stays, and what the next boot would start is there for good.
        waiting = not running and _starts_next(flash, layout, slot, image)
        return ListedImage(
            slot=slot, image=image, active=running, confirmed=running, pending=waiting, permanent=waiting
        )
    if layout.algorithm is Algorithm.DIRECT_XIP:
        own = trailers.read_trailer(layout, area(flash, slot))
        kept = own.magic is Magic.GOOD and own.image_ok is TrailerFlag.SET
        waiting = not running and own.magic is Magic.GOOD and own.copy_done is TrailerFlag.UNSET
        return ListedImage(
            slot=slot,
            image=image,
            active=running,
            confirmed=kept and not waiting,
            pending=waiting,
            permanent=waiting and kept,
        )
    kind = trailers.read_swap_type(flash, layout, slot.image)
    trial = kind is SwapType.REVERT
    pending = not running and kind in {SwapType.TEST, SwapType.PERM}
    return ListedImage(
        slot=slot,
        image=image,
        active=running,
        confirmed=trial is not running,
        pending=pending,
        permanent=pending and kind is SwapType.PERM,
    )


def _starts_next(flash: Flash, layout: Layout, slot: Slot, image: Image) -> bool:
    """Whether the next boot starts this image, which does not run, because it lies there."""
    if not layout.algorithm.in_place:
        return True  # the one slot for the application; what runs is the loader
    pair = layout.pairs[slot.image]
    running = read_image(flash, layout, pair.secondary if slot.slot == PRIMARY else pair.primary)
    if isinstance(running, ImageFault):
        return True
    new, old = image.version.without_build, running.version.without_build
    return new > old or (new == old and slot.slot == PRIMARY)


def computed_hash(flash: Flash, layout: Layout, slot: Slot) -> bytes | ImageFault:
    """The hash over what really lies in `slot`, of the kind that its one hash TLV names; for arming late."""
    source = image_area(flash, layout, slot)
    image = parse_image(source)
    if isinstance(image, ImageFault):
        return image
    hashes = image.hashes
    if len(hashes) != 1:
        return ImageFault(check="hash", expected="exactly one hash TLV", found=str(len(hashes)))
    hasher = HASHERS[TlvType(hashes[0].type)]()
    for piece in chunks(source, image.header.hashed_size):
        hasher.update(piece)
    return hasher.digest()


def arm(flash: Flash, layout: Layout, slot: Slot, *, permanent: bool, do: CarryOut = carry_out) -> ArmResult:
    """Have the bootloader start the image in the other slot, `slot`, at the next boot (bootutil `boot_set_next`).

    Armed already: made permanent if that is asked; a permanent one stays permanent. What starts because it lies there
    is armed by its header (`write_header`), and for good.
    """
    if not layout.algorithm.armed_by_trailer:
        return ArmResult.ALREADY
    layout, whole = layout.of(slot.image), area(flash, slot)
    found = trailers.read_trailer(layout, whole)
    if found.magic is Magic.BAD:
        return ArmResult.BAD_TRAILER
    if found.magic is Magic.GOOD:
        if permanent and found.image_ok is TrailerFlag.UNSET:
            do(flash, layout, write_flag(slot, TrailerField.IMAGE_OK))
            return ArmResult.DONE
        return ArmResult.ALREADY
    start = trailers.offsets(layout, whole.size).status
    clean = whole.is_erased(whole.read(start, whole.size - start))
    do(flash, layout, _arming(layout, slot, permanent=permanent, clean=clean))
    return ArmResult.DONE


def _arming(layout: Layout, slot: Slot, *, permanent: bool, clean: bool) -> Plan:
    kind = SwapType.PERM if permanent else SwapType.TEST
    if layout.algorithm.swaps:
        if not clean:
            yield from erase_trailer(layout, slot)
        yield from write_swap_info(slot, kind)
        if permanent:
            yield from write_flag(slot, TrailerField.IMAGE_OK)
        yield from write_magic(layout, slot)
        return
    # The trailer shares a sector with the image: nothing can be erased, so the magic goes first, as in MCUboot. Cut
    # there, a permanent start has become a trial, never the other way round.
    yield from write_magic(layout, slot)
    if permanent:
        yield from write_flag(slot, TrailerField.IMAGE_OK)
    yield from write_swap_info(slot, kind)


def confirm(flash: Flash, layout: Layout, slot: Slot, *, do: CarryOut = carry_out) -> ArmResult:
    """Keep the running image, which lies in `slot` (bootutil `boot_set_next` on the active slot)."""
    layout = layout.of(slot.image)
    if not layout.algorithm.armed_by_trailer:
        return ArmResult.ALREADY
    found = trailers.read_trailer(layout, area(flash, slot))
    if found.magic is Magic.BAD:
        return ArmResult.BAD_TRAILER
    if found.magic is Magic.UNSET or found.image_ok is not TrailerFlag.UNSET:
        return ArmResult.ALREADY
    do(flash, layout, write_flag(slot, TrailerField.IMAGE_OK))
    return ArmResult.DONE


def disarm(flash: Flash, layout: Layout, image: int, active: Active = (), *, do: CarryOut = carry_out) -> SwapType:
    """Take back an arming of `image`; the swap type that is left.

    Only TEST and PERM are taken back; a trial is left alone. Where the trailer has sectors of its own they are erased;
    else the image's first sector, so that there is no image any more.
    """
    layout = layout.of(image)
    if not layout.algorithm.armed_by_trailer:
        other = upload_slot(layout, image, active)
        found = None if other is None else read_image(flash, layout, other)
        if other is not None and isinstance(found, Image) and _starts_next(flash, layout, other, found):
            do(flash, layout, (Erase(other, 0), SYNC))
        return SwapType.NONE
    other = other_slot(layout, image, active)
    if layout.algorithm is Algorithm.DIRECT_XIP:
        own = trailers.read_trailer(layout, area(flash, other))
        if own.magic is Magic.GOOD and own.copy_done is TrailerFlag.UNSET:
            do(flash, layout, (Erase(other, 0), SYNC))
        return SwapType.NONE
    kind = trailers.read_swap_type(flash, layout, image)
    if kind not in {SwapType.TEST, SwapType.PERM}:
        return kind
    if not layout.algorithm.swaps:
        # Trailer and image share sectors: header first, so that what is left is no image at any moment.
        do(flash, layout, (Erase(other, 0), SYNC))
    do(flash, layout, erase_trailer(layout, other))
    return trailers.read_swap_type(flash, layout, image)


def erase(flash: Flash, layout: Layout, slot: Slot, *, do: CarryOut = carry_out) -> None:
    """Erase all of a slot, its trailer first: what is left of an interrupted erasure is never armed."""
    do(flash, layout, erase_slot(layout.of(slot.image), slot))


def install(flash: Flash, layout: Layout, slot: Slot, image: bytes) -> None:
    """Program `image` into `slot` as a programmer does in the factory: confirmed, nothing pending.

    Images that run where they lie need a trailer to be kept (`imgtool sign --pad --confirm`); it is written as well.

    Raises:
        LocalError: if the image does not fit; `max_image_size` says what does.
    """
    layout = layout.of(slot.image)
    carry_out(flash, layout, erase_slot(layout, slot))
    block = layout.geometry.write_block
    padded = image.ljust(-(-len(image) // block) * block, bytes([layout.geometry.erased_value]))
    area(flash, slot).write(0, padded)
    if layout.algorithm is Algorithm.DIRECT_XIP:
        carry_out(flash, layout, write_flag(slot, TrailerField.IMAGE_OK))
        carry_out(flash, layout, write_flag(slot, TrailerField.COPY_DONE))
        carry_out(flash, layout, write_magic(layout, slot))
    flash.sync()


class SlotWriter:
    """Writes an uploaded image into a slot, piece by piece, of any sizes.

    The trailer is erased first, so that nothing older stays armed; then each sector before it is written to, in time if
    `erase_ahead` is called while nothing else is to be done. What
    does not fill a write block waits in memory for the next piece, or for `finish`.

    Where an image starts because it lies there, its header is kept back (`header`): `write_header` makes it an image.

    Args:
        flash: to write to.
        layout: of the flash.
        slot: to write into; never the running one.
        limit: bytes that may be written at most, from `max_image_size`.
    """

    def __init__(self, flash: Flash, layout: Layout, slot: Slot, limit: int) -> None:
        layout = layout.of(slot.image)
        self._area = area(flash, slot).part(layout.upload_offset(slot))
        self._limit = limit
        self._sector = layout.geometry.sector_size
        self._block = layout.geometry.write_block
        self._erased_to = 0
        self._written = 0
        self._rest = b""
        self._kept_size = 0 if layout.algorithm.armed_by_trailer else align_up(HEADER_SIZE, self._block)
        self._header = b""
        if self._kept_size:
            self._area.erase(0, self._sector)  # from here on there is no older image either
            self._area.sync()
            self._erased_to = self._sector
        carry_out(flash, layout, erase_trailer(layout, slot))
        if self._area.size != slot.size:
            # What starts before the upload would be found as an image if the upload's own header never arrived.
            area(flash, slot).erase(0, self._sector)

    @property
    def received(self) -> int:
        """Bytes taken so far."""
        return self._written + len(self._rest)

    @property
    def header(self) -> bytes:
        """The image's first bytes, whole write blocks, where they were kept back; else empty."""
        return self._header

    def write(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            LocalError: if it goes beyond the limit; the caller has to check the length first.
        """
        if self.received + len(data) > self._limit:
            raise LocalError(f"slot: {self.received + len(data)} bytes are more than the {self._limit} that fit")
        data = self._rest + data
        whole = len(data) // self._block * self._block
        self._rest = data[whole:]
        self._put(data[:whole])

    def erase_ahead(self, length: int) -> bool:
        """Erase the next sector that an image of `length` bytes will need, unless a whole one lies erased already.

        Returns:
            Whether there was anything to do.
        """
        if self._erased_to >= min(length, self._limit) or self._erased_to - self._written >= self._sector:
            return False
        self._area.erase(self._erased_to, self._sector)
        self._erased_to += self._sector
        return True

    def finish(self) -> None:
        """Write what is left, filled up with the erased value, and make all of it durable."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self._put(rest.ljust(self._block, bytes([self._area.geometry.erased_value])))
            self._written -= self._block - len(rest)
        self._area.sync()

    def _put(self, data: bytes) -> None:
        end = self._written + len(data)
        while self._erased_to < end:
            self._area.erase(self._erased_to, self._sector)
            self._erased_to += self._sector
        kept = data[: max(0, self._kept_size - self._written)]
        self._header += kept
        if len(kept) < len(data):
            self._area.write(self._written + len(kept), data[len(kept) :])
        self._written = end


def write_header(flash: Flash, layout: Layout, slot: Slot, header: bytes, *, do: CarryOut = carry_out) -> None:
    """Make an upload an image: its header, block by block, the first one, which has the magic, last."""
    block = layout.geometry.write_block
    plan = [WriteHeader(slot, at, header[at : at + block]) for at in range(0, len(header), block)]
    do(flash, layout, (*reversed(plan[1:]), SYNC, *plan[:1], SYNC))


@dataclass(frozen=True, slots=True)
class HeaderShown:
    """A flash as it will be once a kept header is written: for reading alone.

    Attributes:
        flash: as it is.
        slot: whose header is kept.
        header: its bytes.
    """

    flash: Flash
    slot: Slot
    header: bytes

    @property
    def geometry(self) -> Geometry:
        """The flash's."""
        return self.flash.geometry

    @property
    def wear(self) -> FlashWear:
        """The flash's."""
        return self.flash.wear

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`, the header among them."""
        found, start = self.flash.read(offset, size), self.slot.offset
        first, last = max(offset, start), min(offset + size, start + len(self.header))
        if first >= last:
            return found
        return found[: first - offset] + self.header[first - start : last - start] + found[last - offset :]

    def write(self, offset: int, data: bytes) -> None:
        """Refused: nothing is written by looking."""
        raise LocalError(f"flash: what is only shown is not written ({len(data)} bytes at {offset:#x})")

    def erase(self, offset: int, size: int) -> None:
        """Refused, as `write`."""
        raise LocalError(f"flash: what is only shown is not erased ({size} bytes at {offset:#x})")

    def sync(self) -> None:
        """There is nothing to make durable."""


def upload_slot(layout: Layout, image: int, active: Active = ()) -> Slot | None:
    """The slot that an upload of `image` is written to; None where what runs has none to write to.

    With a firmware loader only the loader writes, and only the application's slot.
    """
    if not layout.algorithm.updates_itself and active_slot(active, image) == PRIMARY:
        return None
    return other_slot(layout, image, active)


def other_slot(layout: Layout, image: int, active: Active = ()) -> Slot:
    """The slot of `image` that it does not run from."""
    pair = layout.pairs[image]
    return pair.secondary if active_slot(active, image) == PRIMARY else pair.primary


def running_slot(layout: Layout, image: int, active: Active = ()) -> Slot:
    """The slot of `image` that it runs from."""
    pair = layout.pairs[image]
    return pair.primary if active_slot(active, image) == PRIMARY else pair.secondary


def slot_of(layout: Layout, absolute: int) -> Slot | None:
    """The slot with this number over all images, None if there is none."""
    return layout.slots[absolute] if 0 <= absolute < len(layout.slots) else None
