import asyncio
import os
import pty
import tty
from collections.abc import Iterator

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import SmpPeer

from keyswitch.errors import LinkLostError, SilenceError
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer
from keyswitch.link.serial_port import SerialLink
from keyswitch.smp.framing import cobs, console, raw


class Console:
    """A device's end of a pseudo-terminal; also says things that are no answer."""

    def __init__(self, master: int, *, framing: str) -> None:
        self.master = master
        self.peer = SmpPeer(make_image())
        self.receiver = {"console": console.ConsoleReceiver, "raw": raw.StreamReceiver, "cobs": cobs.CobsReceiver}[
            framing
        ](100_000)
        self.framing = framing
        self.chatter = b""

    def readable(self) -> None:
        data = os.read(self.master, 65_536)
        for packet in self.receiver.receive(data, 0).packets:
            for answer in self.peer.serve(packet, "smp", 1):
                cut = {"console": console.pieces, "cobs": cobs.pieces}.get(self.framing, lambda whole: [whole])
                lines = cut(answer)
                os.write(self.master, self.chatter + b"".join(lines))


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    os.close(slave)
    yield master, name
    os.close(master)


@pytest.mark.parametrize("framing", ["console", "raw", "cobs"])
def test_requests_and_answers_over_a_real_terminal(terminal: tuple[int, str], framing: str):
    async def story() -> None:
        master, name = terminal
        device = Console(master, framing=framing)
        asyncio.get_running_loop().add_reader(master, device.readable)
        client = SmpClient(await SerialLink.open(name, 115_200, framing=framing))
        assert await client.write(0, 0, {"d": "x" * 300}) == Answer(values={"r": "x" * 300})
        assert client.link.max_packet == (65_533 if framing == "console" else None)
        if framing == "console":
            device.chatter = b"[00:00:01] <inf> main: hello\r\nuart:~$ "
            assert await client.write(0, 0, {"d": "hi"}) == Answer(values={"r": "hi"})
        await client.close()
        asyncio.get_running_loop().remove_reader(master)

    asyncio.run(story())


def test_a_terminal_that_hangs_up_is_a_lost_link(terminal: tuple[int, str]):
    async def story() -> None:
        master, name = terminal
        copy = os.dup(master)
        link = await SerialLink.open(name, 115_200)
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        link.on_closed(ended.set_result)
        os.close(master)
        os.close(copy)
        assert await asyncio.wait_for(ended, 5)
        with pytest.raises(LinkLostError, match="gone"):
            await link.send(b"late")
        os.dup2(os.open(os.devnull, os.O_RDONLY), master)  # for the fixture to close

    asyncio.run(story())


def test_a_console_that_takes_nothing_is_given_up(terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("keyswitch.link.serial_port.STUCK_MS", 50)

    async def story() -> None:
        _, name = terminal
        link = await SerialLink.open(name, 115_200, framing="raw")
        with pytest.raises(LinkLostError, match="took nothing for 50 ms"):
            await link.send(b"x" * 1_000_000)
        assert link.closed == "the port took nothing for 50 ms"

    asyncio.run(story())


def test_silence_is_bounded(terminal: tuple[int, str]):
    async def story() -> None:
        client = SmpClient(await SerialLink.open(terminal[1], 115_200))
        with pytest.raises(SilenceError):
            await client.write(0, 0, timeout_ms=20)
        await client.close()

    asyncio.run(story())


def test_no_port_is_one_line():
    async def story() -> None:
        with pytest.raises(LinkLostError, match="serial:/dev/no-such-port: ") as raised:
            await SerialLink.open("/dev/no-such-port", 115_200)
        assert "\n" not in str(raised.value)

    asyncio.run(story())


def test_two_operators_on_one_console_are_refused(terminal: tuple[int, str]):
    async def story() -> None:
        first = await SerialLink.open(terminal[1], 115_200)
        with pytest.raises(LinkLostError, match="serial:"):
            await SerialLink.open(terminal[1], 115_200)
        await first.close()

    asyncio.run(story())
