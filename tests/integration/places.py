"""One whole device in virtual time with a way to it over each transport, for the traps of frames and modes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.integration.files import job_image
from tests.integration.wires import Datagrams, Line

from keyswitch.demo.workshop import Workshop
from keyswitch.device.server.components import Components
from keyswitch.gate.events import ButtonHeld, InputChanged
from keyswitch.host.connect.endpoint import Connection
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.upload.uploader import Capacity, upload
from keyswitch.link.air.settings import parse_air
from keyswitch.policy.enums import Visibility
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_secret
from keyswitch.smp.framing import ble, console
from keyswitch.smp.groups import image, os
from keyswitch.terms import Transport
from keyswitch.testing.world import VirtualWorld

AIR = parse_air("interval_ms=15,phy=2M,dle=251")
WAYS = ("ble", "line", "net")


@dataclass(slots=True)
class Place:
    """A device and everybody around it.

    Attributes:
        world: the device.
        line: its serial line.
        net: its sockets.
        centrals: connections that are up, oldest first.
    """

    world: VirtualWorld
    line: Line
    net: Datagrams
    centrals: list[Connection]

    # --- the device ---

    @property
    def status(self) -> dict[str, Any]:
        return self.world.device.status()

    @property
    def running(self) -> str:
        return str(self.status["running"]["version"])

    @property
    def flash(self) -> bytes:
        """A hash of all of it."""
        return hashlib.sha256(self.world.flash.read(0, self.world.flash.geometry.size)).digest()

    def unchanged(self) -> tuple[bytes, str, object]:
        """What nobody may change from outside."""
        return self.flash, self.status["mode"], self.world.store.documents.get("session.json")

    async def open(self) -> None:
        """By the button."""
        assert self.world.device.happen(ButtonHeld(hold_ms=5_000)) is None
        await self.world.device.settled()
        assert self.status["gate"] == "open"

    async def bring_on_trial(self, file: Path) -> None:
        """By the button and over datagrams: this image runs, unconfirmed."""
        new = job_image(file)
        await self.open()
        client = await self.client("net")
        await upload(client, new.data, Capacity(frame=1_400))
        await client.write(*STATE, {"hash": new.hash})
        await client.write(os.ID, os.Id.RESET)
        await asyncio.sleep(2)
        assert self.running == new.version

    async def move(self, *, moving: bool) -> None:
        self.world.device.happen(InputChanged(name="motion", value=moving))
        await self.world.device.settled()

    # --- ways to it ---

    async def central(self, **how: Any) -> Connection:
        """One more central."""
        connection = await self.world.endpoint().connect(**how)
        self.centrals.append(connection)
        return connection

    async def client(self, way: str) -> SmpClient:
        """Somebody new on this way; the line has one peer only."""
        if way == "ble":
            connection = await self.central()
            assert connection.smp is not None
            return connection.smp
        return SmpClient(self.line.host if way == "line" else self.net.socket(len(self.net._ends) + 1))

    async def write(self, client: SmpClient, data: bytes) -> None:
        """Bytes as they are: one GATT value, one line, one datagram."""
        for connection in self.centrals:
            if connection.smp is client:
                assert connection.gatt is not None
                await connection.gatt.write(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, data)
                return
        if client.link is self.line.host:
            await self.line.host.write(data)
        else:
            await client.link.send(data)

    def pieces(self, client: SmpClient, packet: bytes) -> list[bytes]:
        """The packet in at least two parts."""
        if client.link is self.line.host:
            return console.pieces(packet)
        return [packet[: len(packet) // 2], packet[len(packet) // 2 :]]


@asynccontextmanager
async def place(
    pump: Workshop,
    policy: Policy | None = None,
    *,
    service: Visibility = Visibility.ALWAYS,
    parts: Components | None = None,
    issuers: tuple[bytes, ...] = (),
) -> AsyncIterator[Place]:
    """A device in normal mode, with nobody there yet."""
    rules = policy or pump.policy
    rules = replace(rules, gate=replace(rules.gate, service=service))
    line, net = Line(rules.smp.buf_size), Datagrams(rules.smp.buf_size)
    world = VirtualWorld(
        rules,
        pump.old.read_bytes(),
        secret=read_secret(rules),
        air=AIR,
        parts=parts,
        issuers=issuers,
        others={Transport.SERIAL: line, Transport.UDP: net},
    )
    async with world:
        yield Place(world, line, net, [])


def with_maintenance(policy: Policy, **changes: Any) -> Policy:
    """The policy with another maintenance mode."""
    changed = replace(policy.modes["maintenance"], **changes)
    return replace(policy, modes={**policy.modes, "maintenance": changed})


def first_chunk(content: bytes, size: int = 200) -> dict[str, Any]:
    return {"off": 0, "len": len(content), "sha": hashlib.sha256(content).digest(), "data": content[:size]}


UPLOAD = (image.ID, image.Id.UPLOAD)
STATE = (image.ID, image.Id.STATE)
