"""SIGKILL of a process that uploads and swaps without end, at any moment: what boots afterwards is whole.

This is the crash test: what a write left in the operating system stays. Power loss, where it does not, is the double's
business (tests/mcuboot/test_powercut.py).
"""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from tests.mcuboot import imgtool_images as images

from keyswitch.device.storage.flash_file import FlashFile
from keyswitch.mcuboot.bootloader import BootConfig, boot
from keyswitch.mcuboot.layout import Algorithm, Layout, area
from keyswitch.mcuboot.slots import install

A = images.signed("1.0.0", size=9000)
B = images.signed("2.0.0", size=13000, seed=1)

WORKER = """
import sys
from pathlib import Path
from keyswitch.device.storage.flash_file import FlashFile
from keyswitch.mcuboot import slots
from keyswitch.mcuboot.bootloader import BootConfig, boot
from keyswitch.mcuboot.keys import load_keys
from keyswitch.mcuboot.layout import Algorithm, Layout, max_image_size

flash_file, key, first, second, algorithm = sys.argv[1:]
layout = Layout.for_slots(Algorithm(algorithm), 0x8000, max_sectors=8)
config = BootConfig(layout=layout, keys=load_keys((key, Path(key).read_bytes())))
flash = FlashFile(Path(flash_file), layout.geometry)
images = [Path(first).read_bytes(), Path(second).read_bytes()]
print("ready", flush=True)
active = ()
for turn in range(1_000_000):
    report = boot(flash, config)
    assert report.runs, report
    running = images[0] if str(report.images[0].running_version) == "1.0.0" else images[1]
    new = images[1] if running is images[0] else images[0]
    other = slots.other_slot(layout, 0, report.active)
    writer = slots.SlotWriter(flash, layout, other, max_image_size(layout))
    for at in range(0, len(new), 997):
        writer.write(new[at : at + 997])
    writer.finish()
    if writer.header:
        slots.write_header(flash, layout, other, writer.header)
    slots.arm(flash, layout, other, permanent=turn % 2 == 0)
"""


def crash(tmp_path, algorithm: Algorithm, kills: int) -> None:
    layout = Layout.for_slots(algorithm, 0x8000, max_sectors=8)
    config = BootConfig(layout=layout, keys=images.keys())
    paths = {name: tmp_path / name for name in ("flash.bin", "key.pem", "a.bin", "b.bin")}
    paths["key.pem"].write_bytes(images.public_pem())
    paths["a.bin"].write_bytes(A)
    paths["b.bin"].write_bytes(B)
    with FlashFile(paths["flash.bin"], layout.geometry, create=True) as flash:
        install(flash, layout, layout.pairs[0].primary, A)
    chance = random.Random(str(algorithm))
    seen: set[str] = set()
    for _ in range(kills):
        command = [sys.executable, "-c", WORKER, *(str(path) for path in paths.values()), str(algorithm)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, 0.03))
            os.kill(worker.pid, signal.SIGKILL)
            _, complaint = worker.communicate()
        assert worker.returncode == -signal.SIGKILL, complaint
        with FlashFile(paths["flash.bin"], layout.geometry) as flash:
            report = boot(flash, config)
            assert report.runs
            version = str(report.images[0].running_version)
            whole = {"1.0.0": A, "2.0.0": B}[version]
            assert area(flash, layout.slots[report.active[0]]).read(0, len(whole)) == whole
            seen.add(version)
    assert seen <= {"1.0.0", "2.0.0"}


@pytest.mark.parametrize("algorithm", [each for each in Algorithm if each.updates_itself])
def test_a_process_killed_at_any_moment_leaves_a_flash_that_boots(tmp_path, algorithm):
    crash(tmp_path, algorithm, kills=2)


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("algorithm", [each for each in Algorithm if each.updates_itself])
def test_a_process_killed_often_leaves_a_flash_that_boots(tmp_path, algorithm, tell):
    crash(tmp_path, algorithm, kills=150)
    tell("150 kills")
