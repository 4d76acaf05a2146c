"""What `keyswitch image` prints as JSON: one shape for each object, and the value that has it."""

from collections.abc import Iterable, Sequence
from typing import TypedDict

from keyswitch.mcuboot.describe import Description, Difference, flag_names
from keyswitch.mcuboot.files import NamedImage
from keyswitch.mcuboot.verify import ImageCheck


class DependencyJson(TypedDict):
    """An image that this one needs, in this version or a newer one."""

    image: int
    version: str


class TlvJson(TypedDict):
    """One entry of the list behind an image; `offset` and `length` in bytes, `value` in hexadecimal."""

    type: int
    name: str
    offset: int
    length: int
    protected: bool
    value: str


class TrailerJson(TypedDict):
    """A trailer that a file brings along: uploaded whole, it would arm itself."""

    max_align: int
    image_ok: bool


class ImageJson(TypedDict):
    """One image of a file; sizes in bytes. `image` is its number in a package, null in a file of one."""

    name: str
    image: int | None
    version: str
    hash: str
    bootable: bool
    flags: list[str]
    header_size: int
    image_size: int
    protected_size: int
    load_address: int
    size: int
    security_counter: int | None
    dependencies: list[DependencyJson]
    tlvs: list[TlvJson]
    padding: int
    trailer: TrailerJson | None


class ImageFileJson(TypedDict):
    """The object of `image show --json`."""

    file: str
    images: list[ImageJson]


class CheckJson(TypedDict):
    """One check; `ok` is false as well where it could not be made."""

    name: str
    ok: bool
    detail: str


class ImageCheckJson(TypedDict):
    """Whether one image would be started; `ok` is false where that cannot be told as well."""

    name: str
    image: int | None
    ok: bool
    version: str | None
    hash: str | None
    checks: list[CheckJson]


class VerifyJson(TypedDict):
    """The object of `image verify --json`.

    `version` and `hash` are the first image's, `checks` those of a file with one image; null: it has several.
    """

    ok: bool
    version: str | None
    hash: str | None
    checks: list[CheckJson] | None
    images: list[ImageCheckJson]


class DifferenceJson(TypedDict):
    """One thing that two files differ in."""

    image: str
    what: str
    a: str
    b: str


class DiffJson(TypedDict):
    """The object of `image diff --json`."""

    same: bool
    differences: list[DifferenceJson]


def image_file_json(file: str, images: Iterable[Description]) -> ImageFileJson:
    """All images of a file."""
    return {"file": file, "images": [image_json(each) for each in images]}


def image_json(described: Description) -> ImageJson:
    """Everything there is to say about one image."""
    image, padding = described.image, described.padding
    trailer: TrailerJson | None = None
    if padding.max_align is not None:
        trailer = {"max_align": padding.max_align, "image_ok": padding.image_ok}
    return {
        "name": described.named.name,
        "image": described.named.image,
        "version": str(image.version),
        "hash": image.hash.hex(),
        "bootable": image.bootable,
        "flags": flag_names(image.header.flags),
        "header_size": image.header.header_size,
        "image_size": image.header.image_size,
        "protected_size": image.header.protected_size,
        "load_address": image.header.load_address,
        "size": image.size,
        "security_counter": image.security_counter,
        "dependencies": [{"image": need.image, "version": str(need.version)} for need in image.dependencies],
        "tlvs": [
            {
                "type": tlv.type,
                "name": tlv.name,
                "offset": tlv.offset,
                "length": len(tlv.value),
                "protected": tlv.protected,
                "value": tlv.value.hex(),
            }
            for tlv in image.tlvs
        ],
        "padding": padding.size,
        "trailer": trailer,
    }


def verify_json(checked: Sequence[tuple[NamedImage, ImageCheck]]) -> VerifyJson:
    """Whether a bootloader would start every image of a file."""
    images = [_check_json(named, check) for named, check in checked]
    first = images[0]
    return {
        "ok": all(each["ok"] for each in images),
        "version": first["version"],
        "hash": first["hash"],
        "checks": first["checks"] if len(images) == 1 else None,
        "images": images,
    }


def _check_json(named: NamedImage, check: ImageCheck) -> ImageCheckJson:
    found = check.image
    return {
        "name": named.name,
        "image": named.image,
        "ok": check.ok,
        "version": None if found is None else str(found.version),
        "hash": None if found is None else found.hash.hex(),
        "checks": [{"name": each.name, "ok": each.ok, "detail": each.detail} for each in check.checks],
    }


def diff_json(found: Iterable[tuple[str, Difference]]) -> DiffJson:
    """What two files differ in; each difference with the name of its image."""
    entries: list[DifferenceJson] = [
        {"image": name, "what": each.what, "a": each.first, "b": each.second} for name, each in found
    ]
    return {"same": not entries, "differences": entries}
