"""Scripted centrals with the habits of phones and computers, and what each of them experiences.

A phone is a raw ATT client on a connection of its own: it discovers, caches, watches and retries as its habits say.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from keyswitch.errors import LinkLostError
from keyswitch.gate.events import ButtonHeld
from keyswitch.gatt.att import CCC_INDICATE, CCC_NOTIFY
from keyswitch.gatt.services import CLIENT_FEATURES_UUID, SERVICE_CHANGED_UUID
from keyswitch.link.bumble.att_client import AttRefused
from keyswitch.link.bumble.central import Wishes
from keyswitch.policy.model import Policy, Visibility
from keyswitch.smp.framing import ble
from keyswitch.testing.world import DEVICE_ADDRESS, VirtualWorld

ANSWER_WITHIN_S = 3.0
ENTER_HOLD_MS = 5_000
IDLE_S = 130.0
SLOT_INFO = bytes.fromhex("080000010001") + b"\x07\x06\xa0"
"""Read slot info of the image group: only maintenance allows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What a central does of itself.

    Attributes:
        watches: subscribes to Service Changed, and discovers again when it comes.
        robust: says that it caches robustly.
        caches: is bonded, and does not discover what it knows from the last time.
        mtu: asks for this.
    """

    watches: bool = False
    robust: bool = False
    caches: bool = False
    mtu: int = 247


PHONES = {
    "discovers on connect": Habits(),
    "watches": Habits(watches=True, mtu=185),
    "watches, caches robustly": Habits(watches=True, robust=True, mtu=515),
    "caches robustly only": Habits(robust=True),
    "bonded, keeps its cache, watches": Habits(watches=True, caches=True, mtu=185),
    "bonded, keeps its cache": Habits(caches=True, mtu=515),
}


class Phone:
    """One central.

    Args:
        world: where the device is.
        habits: see `Habits`.
    """

    def __init__(self, world: VirtualWorld, habits: Habits) -> None:
        self.habits = habits
        self.adapter = world.adapter(wishes=Wishes(mtu=habits.mtu))
        self.known: dict[str, tuple[int, int]] = {}
        self.link: Any = None
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.stale = asyncio.Event()

    async def connect(self) -> None:
        """Connect as this phone does; encrypted if it is bonded."""
        for _ in range(3):
            try:
                self.link = await self.adapter._establish(await self.adapter._on(), DEVICE_ADDRESS)
                await self.link.att.exchange_mtu(self.habits.mtu)
                if self.habits.watches and self.known:
                    self.listen()  # its subscription is remembered: what it is owed comes as soon as it is encrypted
                if self.habits.caches:
                    await self.link.pair()
                    await asyncio.sleep(0.3)
                if not (self.habits.caches and self.known):
                    await self.discover()
                await self.say_habits()
            except LinkLostError:
                continue  # the device is about to change its table: phones try again
            else:
                return
        raise LinkLostError("gave up")

    async def discover(self) -> None:
        self.known = {
            characteristic.uuid: (characteristic.handle, characteristic.end)
            for service in await self.link.att.discover()
            for characteristic in service.characteristics
        }
        self.stale.clear()

    async def say_habits(self) -> None:
        if self.habits.robust:
            await self.patient(lambda: self.link.att.write(self.known[CLIENT_FEATURES_UUID][0], b"\x01"))
        if self.habits.watches:
            _, end = self.known[SERVICE_CHANGED_UUID]
            self.listen()
            await self.patient(lambda: self.link.att.write(end, CCC_INDICATE.to_bytes(2, "little")))

    def listen(self) -> None:
        self.link._sinks[self.known[SERVICE_CHANGED_UUID][0]] = lambda _: self.stale.set()

    async def patient(self, request: Any) -> list[str]:
        """A request, once more after Database Out Of Sync; the errors on the way."""
        try:
            await request()
        except AttRefused as refused:
            if refused.code != 0x12:
                raise
            await request()
            return ["0x12"]
        return []

    async def try_smp(self) -> str:
        """What comes of one SMP request."""
        if self.link is None or self.link.closed:
            return "disconnected"
        if self.stale.is_set():
            await self.discover()
        if not self.sees_smp:
            return "sees no SMP service"
        handle, end = self.known[ble.CHARACTERISTIC_UUID]
        self.link._sinks[handle] = self.heard.put_nowait
        while not self.heard.empty():
            self.heard.get_nowait()
        try:
            words = await self.patient(lambda: self.link.att.write(end, CCC_NOTIFY.to_bytes(2, "little")))
            self.link.att.write_command(handle, SLOT_INFO)
            async with asyncio.timeout(ANSWER_WITHIN_S):
                frame = await self.heard.get()
        except AttRefused as refused:
            return f"error {refused.code:#04x}"
        except TimeoutError:
            return "silence"
        except LinkLostError:
            return "disconnected"
        return ", then ".join([*words, "refused" if b"brc" in frame or b"rsn" in frame else "answered"])

    @property
    def sees_smp(self) -> bool:
        return ble.CHARACTERISTIC_UUID in self.known

    async def reconnect(self) -> None:
        if self.link is not None:
            await self.link.close()
        self.known = self.known if self.habits.caches else {}
        await self.connect()


STAGES = ("normal", "maintenance", "maintenance, reconnected", "left", "left, reconnected")


async def experience(policy: Policy, image: bytes, service: Visibility, habits: Habits) -> list[str]:
    """What a phone meets at each stage: in normal mode, when maintenance begins under it, and when it ends."""
    policy = replace(policy, gate=replace(policy.gate, service=service))
    async with VirtualWorld(policy, image) as world:
        phone = Phone(world, habits)
        await phone.connect()
        told = [await phone.try_smp()]
        world.device.happen(ButtonHeld(hold_ms=ENTER_HOLD_MS))
        await asyncio.sleep(1)
        told.append(await phone.try_smp())
        await phone.reconnect()
        told.append(await phone.try_smp())
        await asyncio.sleep(IDLE_S)
        assert world.device.status()["gate"] == "shut"
        told.append(await phone.try_smp())
        await phone.reconnect()
        told.append(await phone.try_smp())
        return told
