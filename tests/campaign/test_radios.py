"""Adapters belong to one process, and its devices share them."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from keyswitch.campaign.locks import LockedError
from keyswitch.campaign.radios import Radios, adapter_of, own_adapters
from keyswitch.errors import InputError
from keyswitch.link.ports import Adapter
from keyswitch.link.targets import BleTarget


@pytest.mark.parametrize(
    ("target", "adapter"),
    [
        ("ble:Pump 7", "ble:"),
        ("ble:C0:00:00:00:00:01", "ble:"),
        ("hci:usb:0#Pump 7", "hci:usb:0"),
        ("hci:usb:0a12:0001#2#Pump 7", "hci:usb:0a12:0001#2"),
        ("udp:10.0.0.1", None),
        ("serial:/dev/ttyACM0", None),
    ],
)
def test_the_adapter_of_a_target(target: str, adapter: str | None):
    assert adapter_of(target) == adapter


HOLDER = """
import sys
from pathlib import Path
from keyswitch.campaign.radios import own_adapters
with own_adapters(["hci:usb:0#A", "ble:A"], Path(sys.argv[1]), who="campaign tray"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_an_adapter_belongs_to_one_process_until_it_ends(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "locks")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with own_adapters(["hci:usb:1#B", "udp:10.0.0.1"], tmp_path / "locks"):
            pass
        with pytest.raises(LockedError) as refused, own_adapters(["udp:10.0.0.1", "hci:usb:0#B"], tmp_path / "locks"):
            pass
        line = f"hci:usb:0: another process uses this adapter (process {other.pid}, campaign tray) (expected its end)"
        assert (str(refused.value), refused.value.pid) == (line, other.pid)
        other.kill()
    with own_adapters(["hci:usb:0#B", "ble:C"], tmp_path / "locks"):
        pass


def test_no_adapter_needs_no_lock(tmp_path: Path):
    with own_adapters(["udp:10.0.0.1"], tmp_path / "locks"):
        assert not (tmp_path / "locks").exists()


def test_the_locks_of_somebody_else_are_not_used(tmp_path: Path):
    (tmp_path / "locks").mkdir(mode=0o777)
    (tmp_path / "locks").chmod(0o777)
    with pytest.raises(InputError, match="others may write to it"), own_adapters(["ble:A"], tmp_path / "locks"):
        pass


class Radio:
    """An adapter that is opened and closed."""

    hears_while_connecting = True

    def __init__(self, target: BleTarget, log: list[str]) -> None:
        self.name, self.log = target.text, log
        log.append(f"open {self.name}")

    async def connect(self, address: str, _timeout_ms: int) -> Any:
        self.log.append(f"connect {address}")

    async def close(self) -> None:
        self.log.append(f"close {self.name}")


def test_devices_of_one_adapter_share_a_radio_that_the_last_one_closes():
    log: list[str] = []
    radios = Radios(lambda target: cast("Adapter", Radio(target, log)))

    async def used() -> None:
        one, two, other = radios.of("hci:usb:0#A"), radios.of("hci:usb:0#B"), radios.of("ble:A")
        assert one is not None
        assert two is not None
        assert other is not None
        assert radios.of("udp:10.0.0.1") is None
        await one.close()
        await one.close()  # once more changes nothing
        await two.connect("C0:00:00:00:00:01", 1)
        await other.close()
        await two.close()
        again = radios.of("hci:usb:0#A")
        assert again is not None
        await again.close()

    asyncio.run(used())
    assert log == [
        "open hci:usb:0",
        "open ble:",
        "connect C0:00:00:00:00:01",
        "close ble:",
        "close hci:usb:0",
        "open hci:usb:0",
        "close hci:usb:0",
    ]
