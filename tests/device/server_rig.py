"""A whole device around the pure server: real flash in RAM, real bootloader, time by hand."""

import functools
import hashlib
import struct
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from keyswitch.device.server.components import Components
from keyswitch.device.server.output import OutgoingAnswer, Output
from keyswitch.device.server.server import Server
from keyswitch.device.storage.store import MemoryStore
from keyswitch.gate.effects import EndConnections, ModeChanged, ResetNow
from keyswitch.gate.events import InputChanged
from keyswitch.gate.peer import Peer, Service
from keyswitch.mcuboot import slots
from keyswitch.mcuboot.bootloader import boot
from keyswitch.mcuboot.config import BootConfig
from keyswitch.mcuboot.flash import NO_TIMES, FlashTimes, RamFlash
from keyswitch.mcuboot.keys import VerificationKeys
from keyswitch.mcuboot.layout import Algorithm, Layout
from keyswitch.policy.enums import Arm
from keyswitch.policy.load import load
from keyswitch.policy.model import Policy
from keyswitch.proof import challenge
from keyswitch.proof.challenge import Challenge, Purpose
from keyswitch.smp import cbor
from keyswitch.smp.frame import Frame, request
from keyswitch.smp.groups import image, mode, os
from keyswitch.smp.header import Op, SmpVersion
from keyswitch.terms import Security, Transport

PUMP = Path(__file__).parents[2] / "examples" / "pump" / "policy.toml"
SECRET = bytes(range(32))
SECTOR = 1024
SLOT_SIZE = 32 * SECTOR


@functools.cache
def _as_shipped() -> Policy:
    return load(PUMP.read_bytes(), origin=str(PUMP), directory=PUMP.parent)


def pump(**smp: int) -> Policy:
    """The example policy, with slots small enough to be quick."""
    policy = _as_shipped()
    small = replace(policy.bootloader, slot_size=SLOT_SIZE, sector_size=SECTOR)
    return replace(policy, bootloader=small, smp=replace(policy.smp, **smp))


def early(policy: Policy) -> Policy:
    return replace(policy, update=replace(policy.update, arm=Arm.EARLY))


@functools.cache
def make_image(version: str = "1.1.0", size: int = 5000, *, seed: int = 1, header_size: int = 32) -> bytes:
    """A MCUboot image that carries its SHA-256 and no signature."""
    numbers = [int(part) for part in version.split(".")]
    major, minor, revision, build = (*numbers, 0)[:4]
    turn = bytes((seed * 7 + i * 13) & 0xFF for i in range(256))  # then it comes round
    body = (turn * (size // 256 + 1))[:size]
    fields = (0x96F3B83D, 0, header_size, 0, size, 0, major, minor, revision, build, 0)
    hashed = struct.pack("<IIHHIIBBHII", *fields).ljust(header_size, b"\0") + body
    digest = hashlib.sha256(hashed).digest()
    return hashed + struct.pack("<HHHH", 0x6907, 4 + 4 + 32, 0x10, 32) + digest


def image_hash(content: bytes) -> bytes:
    return content[-32:]


class Rig:
    """One device and any number of peers. Answers are collected for each peer, in order, as frames."""

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        running: str = "1.0.0",
        parts: Components | None = None,
        algorithm: Algorithm = Algorithm.SWAP_MOVE,
        layout: Layout | None = None,
        times: FlashTimes = NO_TIMES,
        issuers: tuple[bytes, ...] = (),
        clock_s: Callable[[], int] | None = None,
        maintenance_address: str = "",
        brings: Mapping[bytes, Policy] | None = None,
        loader: bytes | None = None,
    ) -> None:
        """`brings`: policies that come with images, by hash; any other image comes with `policy`."""
        self.policy = policy or pump()
        self.layout = layout or Layout.for_slots(algorithm, SLOT_SIZE, sector_size=SECTOR)
        self.flash = RamFlash(self.layout.geometry, times)
        entrances = frozenset(self.policy.bootloader.loader_entrance)
        self.config = BootConfig(layout=self.layout, keys=VerificationKeys(), loader_entrances=entrances)
        self.running = make_image(running, seed=9)
        for pair in self.layout.pairs:
            slots.install(self.flash, self.layout, pair.primary, self.running)
        if loader is not None:
            slots.install(self.flash, self.layout, self.layout.pairs[0].secondary, loader)
        self.store = MemoryStore()
        self.parts = parts or Components()
        self.now_ms = 1_000
        self._drawn = 0
        self.brings = dict(brings or {})
        self._how: dict[str, Any] = {
            "secret": SECRET,
            "issuers": issuers,
            "clock_s": clock_s,
            "random": self._random,
            "maintenance_address": maintenance_address,
        }
        self.server = self._server(self.policy)
        self.next_peer = 1
        self.outputs: list[Output] = []
        self.inbox: dict[int, deque[Frame]] = {}
        self.resets = 0
        self.power_up()

    def _random(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.sha256(self._drawn.to_bytes(8, "big")).digest()[:size]

    def _server(self, policy: Policy) -> Server:
        return Server(policy, flash=self.flash, layout=self.layout, store=self.store, parts=self.parts, **self._how)

    # --- power and time ---

    def power_up(self, inputs: tuple[tuple[str, Any], ...] = (), *, loader_asked: bool = False) -> None:
        self.report = boot(self.flash, self.config, loader_asked=loader_asked)
        if self.brings:
            running = self.report.images[0].running_hash if self.report.images else b""
            self.server = self._server(self.brings.get(running, self.policy))
        self.inbox = {}
        self.carry_out(self.server.boot(self.report, self.now_ms, inputs=inputs))

    def wait(self, ms: int) -> None:
        """Let time pass; the server is called at each of its due times, and not before."""
        end = self.now_ms + ms
        while (due := self.server.next_due_ms()) is not None and due <= end:
            self.now_ms = max(self.now_ms, due)
            self.carry_out(self.server.due(self.now_ms))
        self.now_ms = end

    def carry_out(self, output: Output | None) -> Output:
        output = Output() if output is None else output
        self.outputs.append(output)
        for answer in output.answers:
            if answer.peer in self.inbox:
                self.inbox[answer.peer].append(Frame.decode(answer.packet))
        for effect in output.effects:
            if isinstance(effect, EndConnections):
                for peer in sorted(effect.peers):
                    self.gone(peer)
            if isinstance(effect, ResetNow):
                self.resets += 1
                self.power_up(loader_asked=self.server.loader_asked)
                break
        return output

    # --- peers ---

    def peer(
        self,
        transport: Transport = Transport.UDP,
        security: Security = Security.NONE,
    ) -> int:
        peer = Peer(id=self.next_peer, transport=transport, security=security)
        self.next_peer += 1
        self.inbox[peer.id] = deque()
        self.carry_out(self.server.peer_connected(peer, self.now_ms))
        return peer.id

    def gone(self, peer: int) -> None:
        self.inbox.pop(peer, None)
        self.carry_out(self.server.peer_gone(peer, self.now_ms))

    def input(self, name: str, value: Any) -> Output:
        return self.carry_out(self.server.event(InputChanged(name=name, value=value), self.now_ms))

    # --- requests ---

    def put(self, peer: int, packet: bytes, door: Service = Service.SMP) -> Output:
        return self.carry_out(self.server.receive(peer, packet, self.now_ms, door=door))

    def run(self) -> None:
        """Execute until nothing waits."""
        while (output := self.server.run_one(self.now_ms)) is not None:
            self.carry_out(output)

    def send(self, peer: int, packet: bytes, door: Service = Service.SMP) -> list[Frame]:
        """One packet and all answers to it."""
        box = self.inbox[peer]
        box.clear()
        self.put(peer, packet, door)
        self.run()
        return list(box)

    def ask(
        self,
        peer: int,
        op: Op,
        group: int,
        command: int,
        body: dict[str, Any] | None = None,
        *,
        version: SmpVersion = SmpVersion.V2,
        door: Service = Service.SMP,
    ) -> dict[str, Any]:
        """One request and its one answer."""
        packet = request(op=op, group=group, command=command, sequence=7, body=body, version=version).encode()
        (answer,) = self.send(peer, packet, door)
        assert (answer.header.group, answer.header.command, answer.header.sequence) == (group, command, 7)
        assert answer.header.op == op + 1
        assert answer.header.version == min(version, 1)
        return answer.body()

    def read(self, peer: int, group: int, command: int, body: dict[str, Any] | None = None, **how: Any) -> Any:
        return self.ask(peer, Op.READ, group, command, body, **how)

    def write(self, peer: int, group: int, command: int, body: dict[str, Any] | None = None, **how: Any) -> Any:
        return self.ask(peer, Op.WRITE, group, command, body, **how)

    # --- what operators do ---

    def proof(self, peer: int, *, purpose: Purpose = Purpose.ENTER, secret: bytes = SECRET) -> dict[str, Any]:
        """The fields of a right proof for maintenance, for a fresh nonce."""
        asked = self.read(peer, mode.ID, mode.Id.CHALLENGE, {"to": "maintenance"})
        session = self.server.core.token if purpose is Purpose.ATTACH else b""
        answered = Challenge(
            nonce=asked["nonce"], device=asked["device"], mode="maintenance", purpose=purpose, session=session
        )
        return {"proof": "challenge", "mac": challenge.make(secret, answered)}

    def enter(self, peer: int) -> dict[str, Any]:
        return self.write(peer, mode.ID, mode.Id.ENTER, {"to": "maintenance", **self.proof(peer)})

    def in_maintenance(self, transport: Transport = Transport.UDP) -> int:
        """A peer that has entered maintenance."""
        peer = self.peer(transport)
        assert "session" in self.enter(peer)
        return peer

    def upload(self, peer: int, content: bytes, chunk: int = 1024) -> dict[str, Any]:
        offset = 0
        answer: dict[str, Any] = {}
        while offset < len(content):
            body: dict[str, Any] = {"off": offset, "data": content[offset : offset + chunk]}
            if offset == 0:
                body |= {"len": len(content), "sha": hashlib.sha256(content).digest()}
            answer = self.write(peer, image.ID, image.Id.UPLOAD, body)
            assert answer.get("off", 0) > offset, answer
            offset = answer["off"]
        return answer

    def images(self, peer: int) -> list[tuple[int, str, str]]:
        """Slot, version and flags of each listed image."""
        listing = self.read(peer, image.ID, image.Id.STATE)["images"]
        flags = ("bootable", "pending", "confirmed", "active", "permanent")
        return [(each["slot"], each["version"], " ".join(flag for flag in flags if each[flag])) for each in listing]

    def test(self, peer: int, content: bytes, *, confirm: bool = False) -> dict[str, Any]:
        return self.write(peer, image.ID, image.Id.STATE, {"hash": image_hash(content), "confirm": confirm})

    def reset(self, peer: int) -> None:
        assert self.write(peer, os.ID, os.Id.RESET, {}) == {}
        self.wait(250)

    @property
    def mode(self) -> str:
        return self.server.core.state.mode

    @property
    def modes_told(self) -> list[str]:
        return [effect.mode for output in self.outputs for effect in output.effects if isinstance(effect, ModeChanged)]


def packet(op: int, group: int, command: int, body: dict[str, Any] | None = None, sequence: int = 1) -> bytes:
    return request(op=Op(op), group=group, command=command, sequence=sequence, body=body).encode()


def raw(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal)


def bodies(answers: list[Frame]) -> list[dict[str, Any]]:
    return [answer.body() for answer in answers]


__all__ = [
    "PUMP",
    "SECRET",
    "OutgoingAnswer",
    "Rig",
    "cbor",
    "early",
    "image_hash",
    "make_image",
    "packet",
    "pump",
    "raw",
]
