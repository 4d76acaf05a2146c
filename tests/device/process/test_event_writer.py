"""Lines for a reader that is slow, full or gone."""

import os
import threading
from typing import Any

import pytest

from keyswitch.device.process import event_writer
from keyswitch.device.process.event_writer import EventWriter

LIMIT_S = 5


def line(event: dict[str, Any]) -> bytes:
    return f"{event['event']} {event.get('events', '')}".strip().encode() + b"\n" if event["event"] != "silent" else b""


def read_all(descriptor: int) -> list[bytes]:
    with os.fdopen(descriptor, "rb") as reader:
        return reader.read().splitlines()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that does much else, a thread may get its turn late."""
    monkeypatch.setattr(event_writer, "CLOSE_WITHIN_MS", LIMIT_S * 1_000)


def test_everything_is_said_in_order_before_it_closes() -> None:
    reader, writer = os.pipe()
    told = EventWriter(writer, line)
    for number in range(500):
        told.tell({"event": f"e{number}"})
    told.tell({"event": "silent"})
    told.close()
    told.tell({"event": "late"})
    os.close(writer)
    assert read_all(reader) == [f"e{number}".encode() for number in range(500)]


def test_what_finds_no_room_is_counted_in_its_place() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)  # as a shell may leave it
    long = {"event": "x" * 100_000}
    told = EventWriter(writer, line, room=2)
    told.tell(long)  # the kernel takes a part of it, and the thread waits with the rest
    while not os.read(reader, 1):
        pass
    for number in range(5):
        told.tell({"event": f"e{number}"})
    said: list[list[bytes]] = []
    reading = threading.Thread(target=lambda: said.append(read_all(reader)))
    reading.start()
    told.close()
    os.close(writer)
    reading.join(LIMIT_S)
    assert said[0][1:] == [b"e0", b"e1", b"left-out 3"]


def test_nothing_is_waited_for_when_nobody_reads(monkeypatch: Any) -> None:
    monkeypatch.setattr(event_writer, "CLOSE_WITHIN_MS", 50)
    reader, writer = os.pipe()
    told = EventWriter(writer, line)
    for _ in range(3):
        told.tell({"event": "x" * 100_000})
    told.close()  # bounded
    os.close(reader)
    told._thread.join(LIMIT_S)
    assert not told._thread.is_alive()
    os.close(writer)


def test_a_reader_that_has_gone_ends_it() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    told = EventWriter(writer, line)
    told.tell({"event": "first"})
    told._thread.join(LIMIT_S)
    for _ in range(event_writer.ROOM * 2):
        told.tell({"event": "more"})
    assert not told._waiting
    told.close()
    os.close(writer)


def test_no_output_at_all_is_no_fault() -> None:
    told = EventWriter(-1, line)
    told.tell({"event": "first"})
    told._thread.join(LIMIT_S)
    told.tell({"event": "more"})
    told.close()
