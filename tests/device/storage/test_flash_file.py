import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from keyswitch.device.storage.flash_file import FlashFile
from keyswitch.errors import InputError, LocalError
from keyswitch.mcuboot.flash import NRF52840_TIMES, Geometry

GEOMETRY = Geometry(size=0x4000, sector_size=0x1000)


def test_a_new_file_is_an_erased_flash_and_nothing_else_is_left(tmp_path):
    with FlashFile(tmp_path / "flash.bin", GEOMETRY, create=True) as flash:
        assert flash.read(0, 0x4000) == b"\xff" * 0x4000
    assert [path.name for path in tmp_path.iterdir()] == ["flash.bin"]


def test_a_new_flash_is_still_there_when_the_power_goes_after_it_was_made(tmp_path, monkeypatch):
    happened, sync, rename = [], os.fsync, Path.replace

    def fsync(descriptor):
        sync(descriptor)
        happened.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")

    def replace(path, target):
        happened.append("name")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    FlashFile(tmp_path / "flash.bin", GEOMETRY, create=True).close()
    assert happened == ["content", "name", "directory"]


def test_what_was_written_is_there_after_it_was_opened_again(tmp_path):
    path = tmp_path / "flash.bin"
    with FlashFile(path, GEOMETRY, create=True) as flash:
        flash.write(0x1000, b"12345678")
        flash.write(0x2000, b"abcd")
        flash.erase(0x2000, 0x1000)
    with FlashFile(path, GEOMETRY, create=True) as flash:
        assert flash.read(0x1000, 8) == b"12345678"
        assert flash.read(0x2000, 4) == b"\xff" * 4


def test_it_behaves_like_flash(tmp_path):
    with FlashFile(tmp_path / "flash.bin", GEOMETRY, NRF52840_TIMES, create=True) as flash:
        flash.write(0, b"1234")
        with pytest.raises(LocalError, match="written already"):
            flash.write(0, b"1234")
        with pytest.raises(LocalError, match="whole units of 4"):
            flash.write(5, b"1234")
        with pytest.raises(LocalError, match="whole units of 4096"):
            flash.erase(5, 0x1000)
        with pytest.raises(LocalError, match="outside"):
            flash.read(0x4000, 1)
        flash.erase(0, 0x2000)
        flash.sync()
        assert flash.wear.cost_us == 2 * 85_000 + 41
        assert flash.wear.syncs == 1


@pytest.mark.parametrize("size", [0x3FFF, 0x4001, 0])
def test_a_file_of_another_size_is_refused_and_not_touched(tmp_path, size):
    path = tmp_path / "flash.bin"
    path.write_bytes(b"x" * size)
    with pytest.raises(InputError, match=f"{size} bytes .expected 16384 bytes"):
        FlashFile(path, GEOMETRY, create=True)
    assert path.read_bytes() == b"x" * size


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"flash\.bin: No such file"):
        FlashFile(tmp_path / "flash.bin", GEOMETRY)


def test_closing_twice_does_no_harm(tmp_path):
    flash = FlashFile(tmp_path / "flash.bin", GEOMETRY, create=True)
    flash.close()
    flash.close()


WRITER = """
import sys
from pathlib import Path
from keyswitch.device.storage.flash_file import FlashFile
from keyswitch.mcuboot.flash import Geometry
flash = FlashFile(Path(sys.argv[1]), Geometry(size=0x4000, sector_size=0x1000), create=True)
for block in range(0, 0x4000, 4):
    flash.write(block, block.to_bytes(4, "big"))
    print(block, flush=True)
"""


def test_what_was_acknowledged_survives_sigkill(tmp_path):
    path = tmp_path / "flash.bin"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 400:
                os.kill(writer.pid, signal.SIGKILL)
                break
        acknowledged = [int(line), *(int(rest) for rest in writer.stdout if rest.endswith("\n"))]
    with FlashFile(path, GEOMETRY) as flash:
        for block in range(0, acknowledged[-1] + 4, 4):
            assert flash.read(block, 4) == block.to_bytes(4, "big")


@pytest.mark.parametrize("create", [True, False])
def test_a_flash_is_not_opened_through_a_link(tmp_path, create):
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "flash.bin"
    FlashFile(elsewhere, GEOMETRY, create=True).close()
    path.symlink_to(elsewhere)
    with pytest.raises(InputError, match=r"flash\.bin: is a symbolic link"):
        FlashFile(path, GEOMETRY, create=create)
    path.unlink()
    path.symlink_to(tmp_path / "not there")
    with pytest.raises(InputError, match=r"flash\.bin: is a symbolic link"):
        FlashFile(path, GEOMETRY)
    assert not (tmp_path / "not there").exists()


def test_a_flash_that_others_write_to_is_refused(tmp_path):
    path = tmp_path / "flash.bin"
    FlashFile(path, GEOMETRY, create=True).close()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o622)
    with pytest.raises(InputError, match=r"flash\.bin: others may write to it \(mode 0622\)"):
        FlashFile(path, GEOMETRY)
