"""The device's serial carrier over a real pseudo-terminal."""

import asyncio
import os
import tty
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.device.transport.sink import Heard

from keyswitch.device.transport.serial import SerialTransport
from keyswitch.errors import LinkLostError
from keyswitch.gate.peer import Service
from keyswitch.smp.framing.console import ConsoleReceiver, pieces
from keyswitch.smp.framing.raw import StreamReceiver
from keyswitch.terms import Transport

ECHO = bytes.fromhex("0a00000600004200a16164626869")
LARGE = bytes.fromhex("0a00010000004200") + bytes(range(256))


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


async def started(path: Path) -> tuple[SerialTransport, Heard]:
    carrier, heard = SerialTransport(path, receiver=ConsoleReceiver(2475)), Heard()
    await carrier.start(heard)
    return carrier, heard


def test_packets_go_both_ways_whatever_else_the_line_says(tmp_path: Path) -> None:
    async def story() -> None:
        carrier, heard = await started(tmp_path / "tty")
        line = os.open(tmp_path / "tty", os.O_RDWR | os.O_NOCTTY)
        os.write(line, b"boot: hello\r\n" + b"".join(pieces(ECHO)) + b"prompt> " + b"".join(pieces(LARGE)))
        while len(heard.packets) < 2:
            await heard.next()
        assert heard.packets == [(1, ECHO), (1, LARGE)]
        assert [peer.transport for peer in heard.came] == [Transport.SERIAL]
        await carrier.send(1, Service.SMP, ECHO)
        assert os.read(line, 4096) == b"".join(pieces(ECHO))
        os.close(line)
        await carrier.close()

    run(story())
    assert not (tmp_path / "tty").is_symlink()


def test_half_a_frame_does_not_survive_a_drop_or_a_power_cut(tmp_path: Path) -> None:
    async def story() -> None:
        carrier, heard = await started(tmp_path / "tty")
        line = os.open(tmp_path / "tty", os.O_RDWR | os.O_NOCTTY)
        first, *rest = pieces(LARGE)
        for forget in (carrier.drop_partial, None):
            os.write(line, first)
            await asyncio.sleep(0.01)
            if forget is not None:
                forget()
            else:
                await carrier.power_lost()
                await carrier.start(heard)
            os.write(line, b"".join(rest) + b"".join(pieces(ECHO)))
            await heard.next()
        assert [packet for _, packet in heard.packets] == [ECHO, ECHO]
        assert [peer.id for peer in heard.came] == [1, 2]
        os.close(line)
        await carrier.close()

    run(story())


def test_a_line_that_nobody_reads_holds_up_its_own_answers_and_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyswitch.device.transport.serial.STUCK_MS", 20)

    async def story() -> None:
        carrier, heard = await started(tmp_path / "tty")
        line = os.open(tmp_path / "tty", os.O_RDWR | os.O_NOCTTY)
        os.write(line, b"".join(pieces(ECHO)))
        await heard.next()
        with pytest.raises(LinkLostError, match="nobody reads"):
            for _ in range(1000):
                await carrier.send(1, Service.SMP, LARGE)
        os.close(line)
        await carrier.close()

    run(story())


def test_what_the_device_has_no_room_for_waits_in_the_line(tmp_path: Path) -> None:
    async def story() -> None:
        carrier, heard = await started(tmp_path / "tty")
        heard.space = 2
        line = os.open(tmp_path / "tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        burst = b"".join(pieces(ECHO)) * 5
        os.write(line, burst)
        await heard.next()
        assert len(heard.packets) == 2
        assert heard.space == 0
        assert list(heard.wanting) == [1]
        with pytest.raises(BlockingIOError):  # the line is full: whoever writes has to wait
            for _ in range(10_000):
                os.write(line, burst)
        heard.space = 2
        heard.wanting.pop(1)()
        assert len(heard.packets) == 4
        await carrier.power_lost()
        await carrier.start(heard)
        heard.space = 1_000
        while heard.came[-1].id == 1 or len(heard.packets) < 10:
            await heard.next()
        os.close(line)
        await carrier.close()

    run(story())


def test_nobody_else_is_answered(tmp_path: Path) -> None:
    async def story() -> None:
        carrier, _ = await started(tmp_path / "tty")
        with pytest.raises(LinkLostError):
            await carrier.send(1, Service.SMP, ECHO)
        await carrier.delivered(1, 1_000)
        await carrier.end(1)
        await carrier.close()
        await carrier.close()

    run(story())


def test_a_port_that_is_unplugged_is_given_back_and_told_as_lost(tmp_path: Path) -> None:
    async def story() -> None:
        far, near = os.openpty()
        tty.setraw(near)
        carrier, heard = await started(Path(os.ttyname(near)))
        os.close(near)
        os.write(far, b"".join(pieces(ECHO)))
        await heard.next()
        os.close(far)
        await heard.next()
        assert heard.went == [1]
        assert "the port is gone" in heard.lost_lines[0]
        with pytest.raises(LinkLostError):
            await carrier.send(1, Service.SMP, ECHO)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(heard.lost_lines) == 1, "it is told once, and the loop is left alone"
        await carrier.power_lost()
        await carrier.start(heard)
        assert len(heard.lost_lines) == 2, "it is not there at the next boot either"
        await carrier.close()

    run(story())


def test_who_waits_for_an_unplugged_port_is_let_go(tmp_path: Path) -> None:
    async def story() -> None:
        far, near = os.openpty()
        tty.setraw(near)
        carrier, heard = await started(Path(os.ttyname(near)))
        os.close(near)
        os.write(far, b"".join(pieces(ECHO)))
        await heard.next()
        waiting = asyncio.ensure_future(carrier.send(1, Service.SMP, LARGE * 200))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        os.close(far)
        with pytest.raises(LinkLostError, match="the line is gone"):
            await asyncio.wait_for(waiting, 2)  # less than `STUCK_MS`
        await carrier.close()

    run(story())


def test_a_port_is_found_again_at_the_next_boot(tmp_path: Path) -> None:
    async def story() -> None:
        ends = os.openpty()
        (tmp_path / "by-id").symlink_to(os.ttyname(ends[1]))
        (tmp_path / "port").symlink_to("by-id")
        carrier, heard = await started(tmp_path / "port")
        for end in ends:
            os.close(end)
        await heard.next()
        far, near = os.openpty()
        tty.setraw(near)
        (tmp_path / "by-id").unlink()
        (tmp_path / "by-id").symlink_to(os.ttyname(near))
        await carrier.power_lost()
        await carrier.start(heard)
        os.write(far, b"".join(pieces(ECHO)))
        await heard.next()
        assert heard.packets == [(1, ECHO)]
        assert len(heard.lost_lines) == 1
        await carrier.close()
        os.close(far)
        os.close(near)

    run(story())


def test_bare_packets_go_both_ways_however_they_are_cut(tmp_path: Path) -> None:
    async def story() -> None:
        carrier, heard = (
            SerialTransport(tmp_path / "tty", receiver=StreamReceiver(2475), pieces=lambda it: [it]),
            Heard(),
        )
        await carrier.start(heard)
        line = os.open(tmp_path / "tty", os.O_RDWR | os.O_NOCTTY)
        for cut in (1, 8, 13):
            os.write(line, ECHO[:cut])
            await asyncio.sleep(0.01)
            os.write(line, ECHO[cut:])
            await heard.next()
        assert heard.packets == [(1, ECHO)] * 3
        await carrier.send(1, Service.SMP, ECHO)
        assert os.read(line, 4096) == ECHO
        os.close(line)
        await carrier.close()

    run(story())
