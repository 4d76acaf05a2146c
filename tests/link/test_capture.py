"""What a capture of the device's radio holds: a file that other programs read, with everything that was written."""

import asyncio
import errno
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bumble.snoop import Snooper
from tests.link.radios import ADDRESS, SMP, Device

from keyswitch.errors import InputError
from keyswitch.link.air import clock
from keyswitch.link.air.link import AirLink
from keyswitch.link.air.settings import parse_air
from keyswitch.link.bumble.capture import Capture
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.bumble.radio import on_air

ATT_CHANNEL, WRITE_COMMAND, NOTIFICATION = 4, 0x52, 0x1B
TO_CONTROLLER, TO_HOST = 0, 1

EPOCH_US = 0x00DCDDB30F2F8000
"""1970 in the format's microseconds since the year 0."""


class Record(NamedTuple):
    flags: int
    microseconds: int
    packet: bytes


def records(path: Path) -> Iterator[Record]:
    """RFC 1761 with the datalink type of HCI H4 packets (1002), read by the letter of it."""
    content = path.read_bytes()
    assert content[:16] == b"btsnoop\0" + struct.pack(">II", 1, 1002)
    at = 16
    while at < len(content):
        original, included, flags, drops, microseconds = struct.unpack_from(">IIIIq", content, at)
        at += 24
        assert (original, drops) == (included, 0)
        assert at + included <= len(content)
        yield Record(flags, microseconds, content[at : at + included])
        at += included


def att(path: Path, direction: int) -> list[bytes]:
    """ATT PDUs of one direction, of packets that are not fragmented."""
    return [
        record.packet[9:]
        for record in records(path)
        if record.packet[0] == 2
        and record.flags & 1 == direction
        and int.from_bytes(record.packet[7:9], "little") == ATT_CHANNEL
    ]


def test_a_capture_holds_writes_and_notifications_of_every_life_of_the_device(tmp_path: Path) -> None:
    path, ours = tmp_path / "device.btsnoop", tmp_path / "operator.btsnoop"

    async def story() -> None:
        air = AirLink(parse_air("dle=251"))
        with Capture(path, pytest.fail) as capture:
            device = await Device(air, capture=capture).start()
            for value in (b"first life", b"second life"):
                host = BumbleAdapter(
                    on_air(air, "host"),
                    address="C8:00:00:00:00:01",
                    capture=Capture(ours, pytest.fail) if value == b"second life" else None,
                )
                link = await host.connect(ADDRESS, 5_000)
                heard = asyncio.Event()
                await link.subscribe(*SMP, lambda _, heard=heard: heard.set())
                await link.write(*SMP, value)
                await heard.wait()
                await link.close()
                await host.close()
                if value == b"first life":
                    await device.radio.power_off()
                    await device.start()
            await device.radio.close()

    clock.run(story(), limit_s=60)
    written = [pdu[3:] for pdu in att(path, TO_HOST) if pdu[0] == WRITE_COMMAND]
    assert written == [b"first life", b"second life"]
    assert [pdu[3:] for pdu in att(ours, TO_CONTROLLER) if pdu[0] == WRITE_COMMAND] == [b"second life"]
    assert [pdu[3:] for pdu in att(path, TO_CONTROLLER) if pdu[0] == NOTIFICATION][:1] == [bytes(20)]
    kinds = {(record.flags, record.packet[0]) for record in records(path)}
    assert kinds == {(2, 1), (3, 4), (0, 2), (1, 2)}  # commands, events, data both ways: flags of the btsnoop format
    since_1970_us = [record.microseconds - EPOCH_US for record in records(path)]
    assert all(abs(at_us / 1e6 - time.time()) < 3_600 for at_us in since_1970_us)


class FullDisk:
    """Takes so many writes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, data: bytes) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        return len(data)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("room", [0, 1, 2])
def test_a_full_disk_ends_the_capture_and_is_said_once(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(descriptor: int, *_: object, **__: object) -> Any:
        os.close(descriptor)
        return FullDisk(room)

    monkeypatch.setattr(os, "fdopen", opened)
    said: list[str] = []
    capture = Capture(tmp_path / "capture", said.append)
    for _ in range(3):
        capture.snoop(b"\x01\x03\x0c\x00", Snooper.Direction.HOST_TO_CONTROLLER)
    capture.close()
    capture.close()
    assert said == ["No space left on device"]


def test_a_path_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "capture"):
        with pytest.raises(InputError, match=f"^capture {path}: "):
            Capture(path, pytest.fail)


def test_a_capture_is_its_owners_alone_and_replaces_what_was_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "device.btsnoop"
    path.write_bytes(b"old")
    path.chmod(0o644)
    with path.open("rb") as reader, Capture(path, pytest.fail) as capture:
        capture.snoop(b"\x01\x03\x0c\x00", Snooper.Direction.HOST_TO_CONTROLLER)
        assert path.stat().st_mode & 0o777 == 0o600
        assert reader.read() == b"old", "whoever had the old file open sees nothing of the new one"
    assert [record.packet for record in records(path)] == [b"\x01\x03\x0c\x00"]


def test_a_capture_is_not_written_where_somebody_else_has_put_a_file(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "device.btsnoop"
    victim.write_bytes(b"kept")
    path.symlink_to(victim)
    with pytest.raises(InputError, match=r"^capture .*device\.btsnoop: is a symbolic link"):
        Capture(path, pytest.fail)
    path.unlink()
    path.write_bytes(b"")
    path.chmod(0o666)
    with pytest.raises(InputError, match=r"^capture .*device\.btsnoop: others may write to it"):
        Capture(path, pytest.fail)
    assert victim.read_bytes() == b"kept"
