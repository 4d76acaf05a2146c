"""A whole device on real sockets and a real pseudo-terminal, in real time: hostile peers cost nobody else anything.

No times are measured here, so that a busy machine changes nothing; `test_many_clients` measures them in virtual time.
"""

import asyncio
import os
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.device.server.test_fuzz import frames
from tests.device.server_rig import make_image, packet, pump

from keyswitch.device.process.factory import install_first_images
from keyswitch.device.process.process import build
from keyswitch.device.runtime.runtime import Runtime
from keyswitch.device.storage.store import MemoryStore
from keyswitch.device.transport.serial import SerialTransport
from keyswitch.device.transport.udp import UdpTransport
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer
from keyswitch.link.serial_port import SerialLink
from keyswitch.link.udp import UdpLink
from keyswitch.mcuboot.bootloader import BootConfig
from keyswitch.mcuboot.flash import RamFlash
from keyswitch.mcuboot.keys import VerificationKeys
from keyswitch.policy.bootloader import layout_of
from keyswitch.smp.framing import console
from keyswitch.smp.framing.console import ConsoleReceiver
from keyswitch.smp.groups import os as os_group
from keyswitch.terms import Transport

ECHOES = 40
PATIENCE_MS = 20_000
"""For one answer on a machine that does much else."""
ECHO = packet(2, 0, 0, {"d": "x" * 20})


class Served:
    """The device, and where it is."""

    def __init__(self, runtime: Runtime, flash: RamFlash, udp: str, line: Path) -> None:
        self.runtime = runtime
        self.flash = flash
        self.udp = udp
        self.line = line

    def unchanged(self) -> tuple[bytes, str]:
        return self.flash.read(0, self.flash.geometry.size), self.runtime.status()["mode"]

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.udp.rsplit(":", 1)
        return host, int(port)

    async def client(self, transport: Transport) -> SmpClient:
        if transport is Transport.UDP:
            return SmpClient(await UdpLink.open(*self.address))
        return SmpClient(await SerialLink.open(str(self.line), 115_200))


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[Served]:
    policy = pump()
    config = BootConfig(layout=layout_of(policy), keys=VerificationKeys())
    flash = RamFlash(config.layout.geometry)
    install_first_images(flash, config.layout, (make_image("1.0.0"),))
    udp = UdpTransport("127.0.0.1", 0, max_packet=policy.smp.buf_size)
    await udp.bind()
    line = SerialTransport(directory / "tty", receiver=ConsoleReceiver(policy.smp.buf_size))
    await line.open()
    runtime = build(
        policy,
        flash=flash,
        boot_config=config,
        store=MemoryStore(),
        secret=bytes(32),
        peripheral=None,
        others={Transport.UDP: udp, Transport.SERIAL: line},
    )
    await runtime.start()
    try:
        yield Served(runtime, flash, udp.name, directory / "tty")
    finally:
        await runtime.close()


Attack = Callable[[Served, random.Random], None]


def flood_a_socket(here: Served, chance: random.Random) -> None:
    """A thousand requests at once, and nobody reads an answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hostile:
        hostile.connect(here.address)
        for _ in range(1_000):
            with suppress(OSError):
                hostile.send(ECHO)


def flood_from_many_sockets(here: Served, chance: random.Random) -> None:
    """Mutated frames from a new port each time."""
    for frame in frames(chance.getrandbits(32), 200):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hostile, suppress(OSError):
            hostile.sendto(frame, here.address)


def flood_the_line(here: Served, chance: random.Random) -> None:
    """Requests, halves and noise into the line; the answers are never read."""
    line = os.open(here.line, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    for frame in frames(chance.getrandbits(32), 300):
        data = b"".join(console.pieces(frame))[: chance.randrange(1, 400)] + b"\n"
        with suppress(BlockingIOError):
            os.write(line, data + b"".join(console.pieces(ECHO)))
    os.close(line)


@contextmanager
def attacked(here: Served, attack: Attack) -> Iterator[None]:
    """The attack goes on, again and again, in a thread of its own."""
    over = threading.Event()
    failures: list[BaseException] = []

    def attacking() -> None:
        chance = random.Random(1)
        try:
            while not over.is_set():
                attack(here, chance)
                over.wait(0.001)
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    thread = threading.Thread(target=attacking)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert failures == []


async def echoes(client: SmpClient) -> int:
    right = 0
    for number in range(ECHOES):
        reply = await client.write(os_group.ID, os_group.Id.ECHO, {"d": f"{number:030}"}, timeout_ms=PATIENCE_MS)
        right += isinstance(reply, Answer) and reply.values == {"r": f"{number:030}"}
    return right


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


@pytest.mark.parametrize(
    ("attack", "transport"),
    [
        (flood_a_socket, Transport.SERIAL),
        (flood_from_many_sockets, Transport.SERIAL),
        (flood_the_line, Transport.UDP),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_hostile_peer_on_one_transport_takes_nothing_from_the_other(
    tmp_path: Path, attack: Attack, transport: Transport
) -> None:
    async def story() -> None:
        async with served(tmp_path) as here:
            client = await here.client(transport)
            assert await echoes(client) == ECHOES
            before = here.unchanged()
            with attacked(here, attack):
                assert await echoes(client) == ECHOES
            assert client.dropped.malformed == client.dropped.late == 0
            assert here.unchanged() == before
            await client.close()

    run(story())
