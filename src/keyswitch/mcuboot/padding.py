"""What lies behind an image in a file: padding, and a trailer that would start the image without anyone asking.

`imgtool sign --pad | --test | --confirm` puts a trailer at the end of the file. Uploaded whole, such a file arms
itself: MCUboot reads the trailer from the slot's end and does not ask who wrote it.
"""

from dataclasses import dataclass
from typing import Final

from keyswitch.mcuboot.flash import Source
from keyswitch.mcuboot.image import Image
from keyswitch.mcuboot.layout import MAGIC_SIZE, MAX_ALIGNS, align_up
from keyswitch.mcuboot.trailer import FLAG_SET, magic_bytes

_LONGEST_TAIL: Final = align_up(MAGIC_SIZE, max(MAX_ALIGNS)) + max(MAX_ALIGNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Padding:
    """What lies behind an image.

    Attributes:
        size: bytes behind the image's last TLV.
        max_align: of the trailer at the end, None if there is no trailer.
        image_ok: the trailer says that the image is confirmed.
    """

    size: int
    max_align: int | None = None
    image_ok: bool = False

    @property
    def arms(self) -> bool:
        """Whether the file, written to a slot whole, would start by itself."""
        return self.max_align is not None


def read_padding(source: Source, image: Image) -> Padding:
    """Look behind `image` in `source`."""
    size = source.size - image.size
    if size < MAGIC_SIZE:
        return Padding(size=size)
    tail = source.read(source.size - min(size, _LONGEST_TAIL), min(size, _LONGEST_TAIL))
    for align in MAX_ALIGNS:
        if tail.endswith(magic_bytes(align)):
            place = len(tail) - align_up(MAGIC_SIZE, align) - align
            return Padding(size=size, max_align=align, image_ok=place >= 0 and tail[place] == FLAG_SET)
    return Padding(size=size)
