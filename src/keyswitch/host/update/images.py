"""Files to install: read, checked as the device's bootloader would check them, before a byte is sent.

Rules:

* What the bootloader would refuse is refused here: name of the check, what was found, what was expected, byte offset.
* What cannot be checked (no key is known) is said, not assumed.
* The whole file is sent, so the whole file is read; it has at most the size of a slot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from keyswitch.errors import InputError, Phrase
from keyswitch.host.update.job import JobImage
from keyswitch.mcuboot.files import NamedImage, open_file, open_images
from keyswitch.mcuboot.image import Image, ImageFault, parse_image
from keyswitch.mcuboot.keys import VerificationKeys
from keyswitch.mcuboot.padding import read_padding
from keyswitch.mcuboot.verify import CheckResult, Limits, verify

LEFT_OUT: Final = "the HEX file holds more than the image, which is all that an update carries; left out"
"""Said before the addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedImage:
    """One image and what was found out about it.

    Attributes:
        image: to install.
        name: the file, or the file inside a package.
        signature: `verified`, with what is not known beside it; `not checked` where no key is known, or the device
            alone can decrypt the image; or `refused: …` where that was overruled.
    """

    image: JobImage
    name: str
    signature: str


def read_images(
    path: Path,
    *,
    keys: VerificationKeys,
    limits: Limits,
    others: Mapping[int, Limits] | None = None,
    number: int | None = None,
    overrule: bool = False,
) -> tuple[CheckedImage, ...]:
    """Read a file of one or more images: binary, Intel HEX, or a DFU package.

    Args:
        path: the file.
        keys: that images must be signed with; none: signatures are not checked.
        limits: what the device's bootloader asks for besides.
        others: the same for images of other numbers, where it differs.
        number: of the image, which a single file does not say; of a package with several, the one to take.
        overrule: take images that the bootloader would refuse, as long as they can be read.

    Raises:
        InputError: the file cannot be read, or the bootloader would refuse an image in it.
    """
    try:
        with open_file(path) as file:
            named = _named(path, file, number)
            return tuple(
                _check(each, keys, (others or {}).get(_number(each, number), limits), number, overrule=overrule)
                for each in named
            )
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", "a signed MCUboot image") from error


def _named(path: Path, file: BinaryIO, number: int | None) -> tuple[NamedImage, ...]:
    found = open_images(str(path), file)
    if number is not None and len(found) > 1:
        there = sorted({named.image or 0 for named in found})
        found = tuple(named for named in found if (named.image or 0) == number)
        if not found:
            raise InputError(str(path), f"no image {number} in it", f"one of {', '.join(map(str, there))}")
    places = [(named.image or 0, named.slot) for named in found]
    numbers = [number for number, slot in places if slot is None or places.count((number, slot)) > 1]
    twice = sorted({number for number in numbers if [each for each, _ in places].count(number) > 1})
    if twice:
        expected = "each image number once; in a direct-XIP package one file for each slot, which says so (slot)"
        raise InputError(str(path), f"several images with the number {twice[0]}", expected)
    return found


def _number(named: NamedImage, number: int | None) -> int:
    return named.image or 0 if number is None else number


def _check(
    named: NamedImage, keys: VerificationKeys, limits: Limits, number: int | None, *, overrule: bool
) -> CheckedImage:
    image = parse_image(named.source)
    if isinstance(image, ImageFault):
        raise InputError(named.name, f"no MCUboot image: {image.line}")
    if not image.hash:
        raise InputError(named.name, "no image hash, or several", "exactly one hash entry, as imgtool writes it")
    result = verify(named.source, keys, limits)
    refusal = result.refusal
    if refusal is not None and not overrule:
        problem = f"the device would not run this image: {refusal.detail}"
        raise InputError(named.name, problem, _option_for(image, refusal, limits))
    checked = "verified" if keys else "not checked"
    if result.condition is not None:
        checked = f"verified; whether the device takes it: {result.condition}"
    elif result.inconclusive:
        checked = "not checked: the image is encrypted"
    signature = checked if refusal is None else f"refused: {refusal.detail}"
    data = named.source.read(0, named.source.size)
    job = JobImage(
        data=data,
        hash=image.hash,
        version=str(image.version),
        number=_number(named, number),
        unpacked_hash=image.unpacked_hash,
        arms_itself=read_padding(named.source, image).arms,
        slot=named.slot,
        left_out=named.left_out,
    )
    return CheckedImage(image=job, name=named.name, signature=signature)


def _option_for(image: Image, refusal: CheckResult, limits: Limits) -> str | Phrase:
    """What has to be said for an image that only some bootloaders take; empty for any other refusal."""
    if refusal.name == "flags" and image.encrypted and not limits.decrypts:
        return Phrase("{decrypts}, if its bootloader takes encrypted images")
    if refusal.name == "flags" and image.compressed and not limits.unpacks:
        return Phrase("{unpacks}, if its bootloader takes compressed images")
    return ""
