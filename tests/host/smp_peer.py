"""A whole device for tests of the operator: SMP server, gate, slots and bootloader, with faults on demand.

It is written from the protocol's description alone and shares no code with `keyswitch.device`, so that the operator is
tested against a second reading of it. It lives behind the same ports as every device.
"""

import asyncio
import hashlib
import hmac
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import cbor2
from tests.host.images import Made, is_sound, read_image

from keyswitch.errors import LinkLostError, RemoteError
from keyswitch.link.ports import Sighting
from keyswitch.terms import Security

SMP_SERVICE = "8d53dc1d-1db7-4cd3-868b-8a527460aa84"
MODE_SERVICE = "2125afdc-674d-4337-beec-1ae1ef310819"
CONTROL = "2125afdd-674d-4337-beec-1ae1ef310819"
STATE = "2125afde-674d-4337-beec-1ae1ef310819"
MODE_GROUP = 0x4B53
MODES = ["normal", "active", "pairing", "maintenance"]


@dataclass
class Fate:
    """What becomes of one packet."""

    drop: bool = False
    copies: int = 1
    delay_ms: int = 0
    cut: bool = False
    """The link ends instead of carrying it."""


class Faults:
    """Counts packets in both directions and decides about each; the default lets everything pass."""

    def __init__(self, rule: Callable[[str, int, bytes], Fate | None] | None = None) -> None:
        self.rule = rule
        self.requests = 0
        self.answers = 0
        self.packets = 0

    def request(self, packet: bytes) -> Fate:
        self.requests += 1
        return self._decide("request", self.requests, packet)

    def answer(self, packet: bytes) -> Fate:
        self.answers += 1
        return self._decide("answer", self.answers, packet)

    def _decide(self, way: str, number: int, packet: bytes) -> Fate:
        self.packets += 1
        return (self.rule(way, number, packet) if self.rule else None) or Fate()


@dataclass
class Slot:
    data: bytes = b""
    pending: bool = False
    permanent: bool = False


@dataclass
class Session:
    size: int
    sha: bytes
    data: bytearray = field(default_factory=bytearray)


class SmpPeer:
    """The device. Times are milliseconds of the event loop."""

    def __init__(
        self,
        running: Made,
        *,
        address: str = "C0:00:00:00:00:01",
        name: str = "Pump 7",
        token: bytes = b"\x01\x02\x03\x04",
        gated: bool = True,
        mode_group: bool = True,
        secret: bytes = b"s" * 32,
        buf_size: int = 2475,
        buf_count: int = 4,
        service: str = "reconnect",
        owned: bool = False,
        step_ms: int = 1,
        reset_ms: int = 250,
        boot_ms: int = 500,
        policy: bytes = b"policy!!",
        slot_size: int | None = None,
        device: str = "",
    ) -> None:
        self.address = address
        self.name = name
        self.token = token
        self.gated = gated
        self.mode_group = mode_group
        self.secret = secret
        self.buf_size = buf_size
        self.buf_count = buf_count
        self.service = service
        self.owned = owned
        self.owner: int | None = None
        self.step_ms = step_ms
        self.reset_ms = reset_ms
        self.boot_ms = boot_ms
        self.policy = policy
        self.slot_size = slot_size
        self.reassembles = True
        """Over Bluetooth LE it puts a frame together from its writes; else each write is one."""
        self.device = device
        """What its mode group calls it; empty from a device that does not tell there."""
        self.slots = [Slot(running.data), Slot()]
        self.confirmed = True
        self.boots = 0
        self.mode = "normal" if gated else "maintenance"
        self.guard = ""
        self.keep_session = False
        self.up = True
        self.session: Session | None = None
        self.nonces: dict[int, bytes] = {}
        self.log: list[str] = []
        self.served = 0
        self.lost_requests = 0
        self.received_image_bytes = 0
        self.veto: Callable[[int, int, int, dict[str, Any]], dict[str, Any] | None] | None = None
        self.hook: Callable[[int], dict[str, Any] | None] | None = None
        """Asked with the offset of each piece that is at its place, as Zephyr's DFU_CHUNK: a wrong offset never is."""
        self.links: set[Any] = set()
        self.silent = False
        self.never_boots = False
        self.resets: set[asyncio.Task[None]] = set()

    # --- state ------------------------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        return self.mode == "maintenance" or not self.gated

    @property
    def visible(self) -> bool:
        return self.service == "always" or self.open

    @property
    def boot_id(self) -> bytes:
        return struct.pack(">Q", self.boots + 1)

    def running(self) -> tuple[str, bytes]:
        found = read_image(self.slots[0].data)
        assert found is not None
        return found

    def shut(self) -> None:
        """Leave maintenance the way a gate does: what began there is dropped."""
        if not self.gated or self.mode != "maintenance":
            return
        if not self.confirmed:
            self.boot(keep=True)
        self.mode = "normal"
        self.session = None
        self.slots[1].pending = False
        self.end_links("gate")

    def boot(self, *, keep: bool = False) -> None:
        """Reset; the bootloader decides what runs."""
        self.log.append("boot")
        self.boots += 1
        self.session = None
        old, new = self.slots
        if new.pending and is_sound(new.data):
            self.slots = [Slot(new.data), Slot(old.data)]
            self.confirmed = new.permanent
        elif new.pending:
            new.pending = False
            new.data = b""
        elif not self.confirmed:
            self.slots = [Slot(new.data), Slot(old.data)]
            self.confirmed = True
        if self.gated and not keep:
            self.mode = "normal"

    def end_links(self, why: str) -> None:
        for link in list(self.links):
            link.lost(why)

    async def reset(self, *, planned: bool) -> None:
        self.up = False
        self.end_links("reset")
        await asyncio.sleep(self.boot_ms / 1000)
        if self.never_boots:
            return
        self.boot(keep=planned)
        self.up = True

    # --- SMP --------------------------------------------------------------------------------------------------------

    def serve(self, packet: bytes, door: str, peer: int) -> list[bytes]:
        """Execute one packet; the packets that answer it."""
        self.served += 1
        first, _, length, group, sequence, command = struct.unpack("!BBHHBB", packet[:8])
        op, version = first & 7, first >> 3 & 3
        assert length == len(packet) - 8, "a client of ours sends whole packets"
        body = cbor2.loads(packet[8:]) if length else {}
        answer = self.judge((group, command, op), body, door, peer)
        if answer is None:
            return []
        payload = cbor2.dumps(answer, indefinite_containers=True)
        header = struct.pack("!BBHHBB", min(version, 1) << 3 | op | 1, 0, len(payload), group, sequence, command)
        return [header + payload]

    def judge(self, key: tuple[int, int, int], body: dict[str, Any], door: str, peer: int) -> dict[str, Any] | None:
        group, command, op = key
        handler = getattr(self, f"do_{group}_{command}_{op}", None)
        if handler is None or (group == MODE_GROUP and not self.mode_group):
            return {"rc": 8}
        if door == "mode" and group != MODE_GROUP:
            return {"rc": 11, "rsn": "not on this service"}
        if group not in {MODE_GROUP, 0} and not self.open:
            return {"rc": 11, "rsn": f"wrong mode: {self.mode}"}
        if group == 0 and command == 5 and not self.open:
            return {"rc": 11, "rsn": f"wrong mode: {self.mode}"}
        if group != MODE_GROUP and self.is_anothers(peer):
            return {"rc": 11, "rsn": "owner"}
        if self.veto is not None and (said := self.veto(op, group, command, body)) is not None:
            return said
        self.log.append(f"{group}/{command}/{op}")
        answer = handler(body, peer)
        assert answer is None or isinstance(answer, dict)
        return answer

    def do_0_0_2(self, body: dict[str, Any], _peer: int) -> dict[str, Any]:
        return {"r": body.get("d", "")}

    def do_0_6_0(self, _body: dict[str, Any], _peer: int) -> dict[str, Any]:
        return {"buf_size": self.buf_size, "buf_count": self.buf_count}

    def do_0_8_0(self, body: dict[str, Any], _peer: int) -> dict[str, Any]:
        return {"mode": 3} if body.get("query") == "mode" else {"bootloader": "MCUboot"}

    def do_0_5_2(self, _body: dict[str, Any], _peer: int) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        boots = self.boots

        def go() -> None:
            if self.boots == boots and self.up:
                task = loop.create_task(self.reset(planned=True))
                self.resets.add(task)

        loop.call_later(self.reset_ms / 1000, go)
        return {}

    def do_1_0_0(self, _body: dict[str, Any], _peer: int) -> dict[str, Any]:
        return {"images": self.listing(), "splitStatus": 0}

    def listing(self) -> list[dict[str, Any]]:
        rows = []
        for number, slot in enumerate(self.slots):
            found = read_image(slot.data)
            if found is None:
                continue
            rows.append(
                {
                    "slot": number,
                    "version": found[0],
                    "hash": found[1],
                    "bootable": True,
                    "pending": slot.pending,
                    "confirmed": self.confirmed if number == 0 else not self.confirmed,
                    "active": number == 0,
                    "permanent": slot.permanent and slot.pending,
                }
            )
        return rows

    def do_1_0_2(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        wanted = body.get("hash")
        confirm = body.get("confirm", False)
        if wanted is None or wanted == self.running()[1]:
            if not confirm:
                return {"err": {"group": 1, "rc": 24 if wanted is None else 33}}
            self.confirmed = True
            return self.do_1_0_0({}, peer)
        found = read_image(self.slots[1].data)
        if found is None or found[1] != wanted:
            return {"err": {"group": 1, "rc": 8}}
        if not self.confirmed:
            return {"err": {"group": 1, "rc": 28}}
        self.slots[1].pending = True
        self.slots[1].permanent = confirm
        return self.do_1_0_0({}, peer)

    def do_1_1_2(self, body: dict[str, Any], _peer: int) -> dict[str, Any]:
        off, data = body["off"], body.get("data", b"")
        self.received_image_bytes += len(data)
        misplaced = self.misplaced(off, body)
        if misplaced is not None:
            return misplaced
        if self.hook is not None and (said := self.hook(off)) is not None:
            self.session = None if "rc" in said else self.session
            return said
        if off == 0:
            self.session = Session(body["len"], body.get("sha", b""))
            self.slots[1] = Slot()
        assert self.session is not None
        if off + len(data) > self.session.size:
            self.session = None
            return {"err": {"group": 1, "rc": 31}}
        self.session.data += data
        self.slots[1].data = bytes(self.session.data)
        if len(self.session.data) < self.session.size:
            return {"off": len(self.session.data)}
        done, self.session = self.session, None
        return {"off": done.size, "match": hashlib.sha256(done.data).digest() == done.sha}

    def misplaced(self, off: int, body: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to a piece that is not the one that is wanted; None if it is."""
        if off == 0:
            if self.session and self.session.sha and self.session.sha == body.get("sha"):
                return {"off": len(self.session.data)}
            return {"err": {"group": 1, "rc": 22}} if len(body.get("data", b"")) < min(32, body["len"]) else None
        at = len(self.session.data) if self.session is not None else 0
        return None if off == at else {"off": at}

    def do_1_6_0(self, _body: dict[str, Any], _peer: int) -> dict[str, Any]:
        if self.slot_size is None:
            return {"rc": 8}
        slots = [{"slot": number, "size": self.slot_size} for number in range(2)]
        return {"images": [{"image": 0, "slots": slots, "max_image_size": self.slot_size - 4_096}]}

    def do_1_5_2(self, _body: dict[str, Any], _peer: int) -> dict[str, Any]:
        self.session = None
        self.slots[1] = Slot()
        return {}

    # --- mode group -------------------------------------------------------------------------------------------------

    def is_anothers(self, peer: int) -> bool:
        return self.owned and self.open and self.owner != peer

    def do_19283_0_0(self, _body: dict[str, Any], peer: int) -> dict[str, Any]:
        state: dict[str, Any] = {
            "mode": self.mode,
            "gate": self.open,
            "boot_id": self.boot_id,
            "policy": self.policy,
            **({"device": self.device} if self.device else {}),
        }
        if self.is_anothers(peer):
            state.update(gate=False, reason="owner")
        elif self.open:
            state["lease_ms"] = 900_000
        else:
            state["reason"] = f"guard: {self.guard}" if self.guard else f"wrong mode: {self.mode}"
        return state

    def do_19283_1_0(self, _body: dict[str, Any], peer: int) -> dict[str, Any]:
        self.nonces[peer] = hashlib.sha256(struct.pack(">QQ", self.served, peer)).digest()[:16]
        return {"nonce": self.nonces[peer], "device": self.name, "proofs": ["challenge"]}

    def do_19283_2_2(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        if not self.is_proved(body, peer, b"enter", body["to"], b""):
            return {"rc": 11, "rsn": "proof"}
        if self.guard:
            return {"rc": 11, "rsn": f"guard: {self.guard}"}
        already = self.open
        self.owner = peer
        self.mode = "maintenance"
        reconnect = self.service == "reconnect" and not already
        if reconnect:
            asyncio.get_running_loop().call_later(0.03, self.end_links, "entered maintenance")
        return {"session": self.token, "reconnect": reconnect, "lease_ms": 900_000}

    def is_proved(self, body: dict[str, Any], peer: int, purpose: bytes, mode: str, session: bytes) -> bool:
        nonce = self.nonces.pop(peer, b"")
        parts = (b"keyswitch entry 1", b"challenge", purpose, nonce, self.name.encode(), mode.encode(), session)
        text = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
        return bool(nonce) and body.get("mac") == hmac.digest(self.secret, text, hashlib.sha256)

    def do_19283_3_2(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        if not self.open:
            return {"rc": 11, "rsn": f"wrong mode: {self.mode}"}
        if not self.is_proved(body, peer, b"attach", self.mode, self.token):
            return {"rc": 11, "rsn": "proof"}
        self.owner = peer
        return {"lease_ms": 900_000}

    def do_19283_5_2(self, _body: dict[str, Any], _peer: int) -> dict[str, Any]:
        asyncio.get_running_loop().call_later(0.03, self.shut)
        return {"mode": "normal"}


class PeerLink:
    """A `PacketLink` to the device, like a datagram socket: no connection, packets may get lost."""

    count = 0

    @classmethod
    def new_id(cls) -> int:
        PeerLink.count += 1
        return PeerLink.count

    def __init__(self, peer: SmpPeer, faults: Faults | None = None, *, latency_ms: int = 5, door: str = "smp") -> None:
        self.id = PeerLink.new_id()
        self.peer = peer
        self.faults = faults or Faults()
        self.latency_ms = latency_ms
        self.door = door
        self.sent: list[bytes] = []
        self.queue: list[bytes] = []
        self.busy = False
        self.last_at = 0.0
        self.closed: str | None = None
        self.sink: Callable[[bytes], None] | None = None
        self.closed_sink: Callable[[str], None] | None = None
        peer.links.add(self)

    @property
    def max_packet(self) -> int | None:
        return None

    @property
    def framing_bytes(self) -> int:
        return 0

    def on_packet(self, sink: Callable[[bytes], None]) -> None:
        self.sink = sink

    def on_closed(self, sink: Callable[[str], None]) -> None:
        self.closed_sink = sink

    async def send(self, packet: bytes) -> None:
        if self.closed is not None:
            raise LinkLostError(self.closed)
        self.sent.append(packet)
        fate = self.faults.request(packet)
        if fate.cut:
            self.lost("cut")
            raise LinkLostError("cut")
        if not fate.drop:
            for _ in range(fate.copies):
                self.later(self.latency_ms + fate.delay_ms, self.arrive, packet)
        await asyncio.sleep(0)

    async def close(self) -> None:
        self.lost("closed by us")

    def later(self, delay_ms: int, call: Callable[..., None], *args: Any) -> None:
        """Calls for the same moment keep their order, which the event loop's timers alone do not."""
        loop = asyncio.get_running_loop()
        at = loop.time() + delay_ms / 1000
        self.last_at = self.last_at + 1e-9 if abs(at - self.last_at) < 1e-6 else at
        loop.call_at(self.last_at, call, *args)

    def arrive(self, packet: bytes) -> None:
        if not self.peer.up or self.peer.silent or self.closed:
            return
        if len(self.queue) + self.busy >= self.peer.buf_count or len(packet) > self.peer.buf_size:
            self.peer.lost_requests += 1
            return
        self.queue.append(packet)
        if not self.busy:
            self.busy = True
            self.later(self.peer.step_ms, self.work)

    def work(self) -> None:
        if not self.queue or not self.peer.up:
            self.queue.clear()
            self.busy = False
            return
        for answer in self.peer.serve(self.queue.pop(0), self.door, self.id):
            fate = self.faults.answer(answer)
            if fate.cut:
                self.lost("cut")
                return
            if not fate.drop:
                for _ in range(fate.copies):
                    self.later(self.latency_ms + fate.delay_ms, self.deliver, answer)
        self.later(self.peer.step_ms, self.work)

    def deliver(self, packet: bytes) -> None:
        if self.sink is not None and self.closed is None:
            self.sink(packet)

    def lost(self, why: str) -> None:
        if self.closed is None:
            self.closed = why
            if self.closed_sink is not None:
                self.closed_sink(why)
        self.peer.links.discard(self)


class DatagramLink(PeerLink):
    """The same, but no device can end it: a reset only makes it silent."""

    def lost(self, why: str) -> None:
        if why in {"closed by us", "cut"}:
            super().lost(why)


class PeerGattLink:
    """A `GattLink` to the device. Each subscribed characteristic is a `PeerLink` of its own below."""

    can_rediscover = False
    max_write = 244
    security = Security.NONE

    def __init__(self, peer: SmpPeer, faults: Faults) -> None:
        self.peer = peer
        self.faults = faults
        self.address = peer.address
        self.services = frozenset({MODE_SERVICE} if peer.mode_group else set()) | (
            {SMP_SERVICE} if peer.visible else set()
        )
        self.closed: str | None = None
        self.doors: dict[str, PeerLink] = {}
        self.partial: dict[str, bytes] = {}
        self.ended = asyncio.Event()
        self.id = PeerLink.new_id()
        peer.links.add(self)

    async def wait_closed(self, timeout_ms: int) -> str | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000):
                await self.ended.wait()
        return self.closed

    async def subscribe(self, service: str, characteristic: str, sink: Callable[[bytes], None]) -> None:
        await self.trip()
        if service not in self.services:
            raise RemoteError(f"no service {service}")
        if characteristic in self.doors:
            return
        door = PeerLink(self.peer, self.faults, door="mode" if service == MODE_SERVICE else "smp")
        door.id = self.id
        door.on_packet(lambda packet: [sink(packet[n : n + 244]) for n in range(0, len(packet), 244)] and None)
        door.on_closed(self.lost)
        self.doors[characteristic] = door

    async def read(self, _service: str, characteristic: str) -> bytes:
        await self.trip()
        if characteristic != STATE or not self.peer.mode_group:
            raise RemoteError("no such characteristic")
        return struct.pack("<BBBH4s", 1, MODES.index(self.peer.mode), int(self.peer.open), 0, self.peer.token)

    async def write(self, _service: str, characteristic: str, data: bytes) -> None:
        if self.closed is not None:
            raise LinkLostError(self.closed)
        assert len(data) <= self.max_write
        if not self.peer.reassembles:
            await self.doors[characteristic].send(data)
            return
        held = self.partial.get(characteristic, b"") + data
        if len(held) < 8 + struct.unpack_from("!H", held, 2)[0]:
            self.partial[characteristic] = held
            return
        self.partial[characteristic] = b""
        await self.doors[characteristic].send(held)

    async def refresh(self) -> None:
        raise AssertionError("cannot rediscover")

    async def pair(self) -> None:
        await self.trip()

    async def close(self) -> None:
        self.lost("closed by us")

    async def trip(self) -> None:
        if self.closed is not None:
            raise LinkLostError(self.closed)
        await asyncio.sleep(0.03)
        if self.closed is not None:
            raise LinkLostError(self.closed)

    def lost(self, why: str) -> None:
        if self.closed is None:
            self.closed = why
            self.ended.set()
            for door in self.doors.values():
                door.lost(why)
        self.peer.links.discard(self)


class PeerAir:
    """An `Adapter` that hears some devices."""

    hears_while_connecting = True

    def __init__(self, *peers: SmpPeer, faults: Faults | None = None) -> None:
        self.peers = peers
        self.faults = faults or Faults()
        self.connected: list[str] = []

    async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_ms / 1000
        while loop.time() < until:
            for peer in self.peers:
                if peer.up:
                    yield self.sighting(peer)
            await asyncio.sleep(min(0.1, max(0.001, until - loop.time())))

    def sighting(self, peer: SmpPeer) -> Sighting:
        beacon = bytes([1 << 4 | MODES.index(peer.mode)]) + peer.token
        return Sighting(
            address=peer.address,
            name=peer.name,
            services=frozenset({SMP_SERVICE} if peer.visible else {MODE_SERVICE}),
            manufacturer=(0xFFFF, beacon) if peer.mode_group else None,
        )

    async def connect(self, address: str, timeout_ms: int) -> PeerGattLink:
        await asyncio.sleep(0.1)
        for peer in self.peers:
            if peer.address == address and peer.up:
                self.connected.append(address)
                return PeerGattLink(peer, self.faults)
        raise LinkLostError(f"no {address} within {timeout_ms} ms")

    async def close(self) -> None:
        return
