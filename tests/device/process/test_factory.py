"""The first image of a new device: what is not a regular file is refused before it is read."""

import os
from pathlib import Path

import pytest
from tests.policy.samples import small

from keyswitch.device.process.factory import check_first_image
from keyswitch.errors import InputError
from keyswitch.policy.bootloader import boot_config_of


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
