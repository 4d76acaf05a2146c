import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.host.images import make_compressed, make_image
from tests.mcuboot import imgtool_images

from keyswitch.cli.fields import in_options
from keyswitch.errors import InputError
from keyswitch.host.update.images import read_images
from keyswitch.mcuboot.keys import VerificationKeys, VerifiedHash
from keyswitch.mcuboot.verify import NO_LIMITS, Limits

NEW = make_image("1.1.0")
PACKED, UNPACKED_HASH = make_compressed(NEW)


def written(directory: Path, data: bytes = NEW.data, name: str = "new.bin") -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def test_a_sound_image(tmp_path: Path):
    (checked,) = read_images(written(tmp_path), keys=VerificationKeys(), limits=NO_LIMITS)
    assert (checked.image.hash, checked.image.version, checked.image.number) == (NEW.hash, "1.1.0", 0)
    assert checked.image.data == NEW.data
    assert checked.signature == "not checked"


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no MCUboot image"),
        (b"\x7fELF" + b"x" * 100, "no MCUboot image: magic"),
        (NEW.data[:-1], "new.bin: .*"),
        (NEW.data[:100] + b"?" + NEW.data[101:], "would not run this image: hash"),
    ],
    ids=["empty", "elf", "cut short", "one byte changed"],
)
def test_what_the_bootloader_would_refuse(tmp_path: Path, data: bytes, match: str):
    with pytest.raises(InputError, match=match) as raised:
        read_images(written(tmp_path, data), keys=VerificationKeys(), limits=NO_LIMITS)
    assert "\n" not in str(raised.value)


def test_larger_than_the_slot(tmp_path: Path):
    with pytest.raises(InputError, match="16384"):
        read_images(written(tmp_path), keys=VerificationKeys(), limits=Limits(max_size=16_383))
    assert read_images(written(tmp_path), keys=VerificationKeys(), limits=Limits(max_size=16_384))


def test_overruled_is_said(tmp_path: Path):
    path = written(tmp_path, NEW.data[:100] + b"?" + NEW.data[101:])
    (checked,) = read_images(path, keys=VerificationKeys(), limits=NO_LIMITS, overrule=True)
    assert checked.signature.startswith("refused: hash")
    with pytest.raises(InputError, match="no MCUboot image"):
        read_images(written(tmp_path, b"nothing"), keys=VerificationKeys(), limits=NO_LIMITS, overrule=True)


def test_no_such_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.bin: No such file"):
        read_images(tmp_path / "none.bin", keys=VerificationKeys(), limits=NO_LIMITS)


def package(directory: Path, *numbers: str) -> Path:
    """Two images, with these image numbers."""
    path = directory / "dfu_application.zip"
    with zipfile.ZipFile(path, "w") as written_to:
        written_to.writestr("app.bin", NEW.data)
        written_to.writestr("net.bin", make_image("2.0.0").data)
        files = [
            {"file": name, "image_index": number} for name, number in zip(("app.bin", "net.bin"), numbers, strict=True)
        ]
        written_to.writestr("manifest.json", json.dumps({"format-version": 0, "files": files}))
    return path


def test_a_package_of_two(tmp_path: Path):
    path = package(tmp_path, "0", "1")
    images = [checked.image for checked in read_images(path, keys=VerificationKeys(), limits=NO_LIMITS)]
    assert [(image.version, image.number) for image in images] == [("1.1.0", 0), ("2.0.0", 1)]


@pytest.mark.parametrize(("number", "version"), [(0, "1.1.0"), (1, "2.0.0")])
def test_one_image_of_a_package(tmp_path: Path, number: int, version: str):
    path = package(tmp_path, "0", "1")
    (checked,) = read_images(path, keys=VerificationKeys(), limits=NO_LIMITS, number=number)
    assert (checked.image.version, checked.image.number) == (version, number)


def test_an_image_that_is_not_in_the_package(tmp_path: Path):
    with pytest.raises(InputError, match=r"no image 2 in it \(expected one of 0, 1\)"):
        read_images(package(tmp_path, "0", "1"), keys=VerificationKeys(), limits=NO_LIMITS, number=2)


@pytest.mark.parametrize("number", [0, 1])
def test_each_image_is_held_to_the_limits_of_its_number(tmp_path: Path, number: int):
    small = {number: replace(NO_LIMITS, max_size=100)}
    with pytest.raises(InputError, match="the device would not run this image: size") as caught:
        read_images(package(tmp_path, "0", "1"), keys=VerificationKeys(), limits=NO_LIMITS, others=small)
    assert ("app.bin", "net.bin")[number] in str(caught.value)


def test_two_images_of_one_number_would_overwrite_each_other(tmp_path: Path):
    with pytest.raises(InputError, match=r"dfu_application\.zip: several images with the number 1"):
        read_images(package(tmp_path, "1", "1"), keys=VerificationKeys(), limits=NO_LIMITS)


def test_a_number_of_our_own(tmp_path: Path):
    (checked,) = read_images(written(tmp_path), keys=VerificationKeys(), limits=NO_LIMITS, number=2)
    assert checked.image.number == 2


def flagged(flags: int) -> bytes:
    """The image with these flags, and a hash that does not fit: an encrypted one's is over what the device sees."""
    return NEW.data[:16] + flags.to_bytes(4, "little") + NEW.data[20:]


@pytest.mark.parametrize(
    ("data", "option", "limits"),
    [(flagged(0x4), "decrypts", Limits(decrypts=True)), (PACKED.data, "unpacks", Limits(unpacks=True))],
    ids=["encrypted", "compressed"],
)
def test_what_some_bootloaders_take_is_taken_when_it_is_said(tmp_path: Path, data: bytes, option: str, limits: Limits):
    path = written(tmp_path, data)
    with pytest.raises(InputError, match=f"flags: .*{option}, if its bootloader takes") as raised:
        read_images(path, keys=VerificationKeys(), limits=NO_LIMITS)
    assert f"--{option}, if" in in_options(raised.value)
    (checked,) = read_images(path, keys=VerificationKeys(), limits=limits)
    assert checked.image.data == data
    assert checked.signature == ("not checked: the image is encrypted" if option == "decrypts" else "not checked")


def test_a_compressed_image_has_two_hashes(tmp_path: Path):
    (checked,) = read_images(written(tmp_path, PACKED.data), keys=VerificationKeys(), limits=Limits(unpacks=True))
    assert checked.image.hashes == {PACKED.hash, UNPACKED_HASH}
    (checked,) = read_images(written(tmp_path), keys=VerificationKeys(), limits=NO_LIMITS)
    assert checked.image.hashes == {NEW.hash}


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (None, "verified; whether the device takes it: yes, if the bootloader is built for SHA-512"),
        (VerifiedHash.SHA512, "verified"),
    ],
)
def test_an_ed25519_image_is_for_one_build_of_the_bootloader(tmp_path: Path, build: VerifiedHash | None, said: str):
    data = imgtool_images.signed("1.1.0", "--sha", "512", key="ed25519")
    (checked,) = read_images(written(tmp_path, data), keys=imgtool_images.keys("ed25519"), limits=Limits(hash=build))
    assert checked.signature == said
