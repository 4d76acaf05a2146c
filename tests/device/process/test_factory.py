"""The first images of a new device: checked before anything is written, and all of them there."""

import json
import os
import zipfile
from pathlib import Path

import pytest
from tests.mcuboot import imgtool_images as images
from tests.policy.samples import small

from keyswitch.device.process.factory import check_first_image, check_first_images
from keyswitch.device.process.process import DeviceOptions, check_loader_gated, first_loader
from keyswitch.device.storage.state_dir import FLASH
from keyswitch.errors import InputError
from keyswitch.policy.bootloader import boot_config_of
from keyswitch.replay.rig import unsigned_image


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pipe", "pipe: this is not a regular file"),
        ("none", "none: No such file"),
        ("/dev/zero", "/dev/zero: this is not a regular file"),
        ("/proc/self/mem", "/proc/self/mem: Invalid argument"),
    ],
)
def test_what_is_no_image_file(tmp_path: Path, name: str, said: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=said):
        check_first_image(boot_config_of(small()), tmp_path / name)


TWO = "[[bootloader.images]]\nslot_size = 32768\n[[bootloader.images]]\nslot_size = 16384\n"
APP, NET = unsigned_image(1, 0), unsigned_image(1, 1)


def package(directory: Path, **images: bytes) -> Path:
    """A DFU package with an image of each of these numbers (`image_0=…`)."""
    path = directory / "dfu_application.zip"
    numbers = {name: name.rpartition("_")[2] for name in images}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in images.items():
            file.writestr(f"{name}.bin", data)
        listed = [{"file": f"{name}.bin", "image_index": number} for name, number in numbers.items()]
        file.writestr("manifest.json", json.dumps({"format-version": 0, "files": listed}))
    return path


def test_a_device_of_two_images_starts_with_the_package_of_both(tmp_path: Path) -> None:
    path = package(tmp_path, image_1=NET, image_0=APP)
    assert check_first_images(boot_config_of(small(TWO)), path) == (APP, NET)


def test_a_device_of_one_image_starts_with_that_image(tmp_path: Path) -> None:
    path = tmp_path / "app.bin"
    path.write_bytes(APP)
    assert check_first_images(boot_config_of(small()), path) == (APP,)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ({"image_0": APP}, r"image 0 \(expected a DFU package with the images 0, 1\)"),
        ({"image_0": APP, "image_2": NET}, r"images 0, 2 \(expected a DFU package with the images 0, 1\)"),
        ({"image_0": APP, "image_1": NET, "image_2": NET}, r"images 0, 1, 2 \(expected a DFU package"),
        ({"image_0": APP, "image_1": NET[:-1]}, r"image_1\.bin: the bootloader would not run this image"),
        ({"image_0": APP, "image_1": bytes(16_384)}, r"image_1\.bin: 16384 bytes are too large"),
    ],
)
def test_a_package_that_does_not_start_the_device(tmp_path: Path, images: dict[str, bytes], said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_first_images(boot_config_of(small(TWO)), package(tmp_path, **images))


def test_a_single_file_is_no_package_of_two(tmp_path: Path) -> None:
    path = tmp_path / "app.bin"
    path.write_bytes(APP)
    with pytest.raises(InputError, match=r"app\.bin: a single image \(expected a DFU package with the images 0, 1\)"):
        check_first_images(boot_config_of(small(TWO)), path)


# --- the firmware loader ----------------------------------------------------------------------------------------------

LOADER = (
    '[bootloader]\nalgorithm = "firmware-loader"\nloader_entrance = ["boot-mode", "no-application"]\n'
    "secondary_size = 16384\n"
)


def options(tmp_path: Path, *, loader: Path | None) -> DeviceOptions:
    return DeviceOptions(policy=tmp_path / "policy.toml", state=tmp_path / "state", loader=loader)


def written(tmp_path: Path, size: int) -> Path:
    path = tmp_path / "loader.bin"
    path.write_bytes(images.signed("0.3.0", key=None, size=size, header_size=32))
    return path


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_loader_has_the_room_of_its_own_slot(tmp_path: Path, beyond: int) -> None:
    config = boot_config_of(small(LOADER))
    room = config.room_of(config.layout.pairs[0].secondary)
    overhead = len(images.signed("0.3.0", key=None, size=0, header_size=32))
    given = options(tmp_path, loader=written(tmp_path, room - overhead + beyond))
    if beyond:
        with pytest.raises(InputError, match=f"{room + 1} bytes are too large .expected at most {room} bytes"):
            first_loader(given, config)
    else:
        assert len(first_loader(given, config) or b"") == room


def test_a_new_device_with_a_loader_needs_one_and_no_other_takes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a new state directory has no firmware loader"):
        first_loader(options(tmp_path, loader=None), boot_config_of(small(LOADER)))
    loader = written(tmp_path, 900)
    with pytest.raises(InputError, match="the bootloader is swap-move, which has no loader"):
        first_loader(options(tmp_path, loader=loader), boot_config_of(small()))
    assert first_loader(options(tmp_path, loader=None), boot_config_of(small())) is None
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / FLASH).write_bytes(b"")
    assert first_loader(options(tmp_path, loader=None), boot_config_of(small(LOADER))) is None


def test_a_damaged_loader_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    loader = written(tmp_path, 900)
    content = loader.read_bytes()
    loader.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    with pytest.raises(InputError, match="the bootloader would not run this image: hash: "):
        first_loader(options(tmp_path, loader=loader), boot_config_of(small(LOADER)))


def test_a_loader_without_the_gate_is_no_virtual_device() -> None:
    with pytest.raises(InputError, match=r"bootloader\.loader_gated: false: the loader of a virtual device has"):
        check_loader_gated(small(LOADER))
    check_loader_gated(small(LOADER + "loader_gated = true\n"))
    check_loader_gated(small())
