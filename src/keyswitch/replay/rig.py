"""A whole device with nothing real around it: for playing traces. See `replay.play`."""

import asyncio
import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from keyswitch.device.runtime.clock import DeviceClock
from keyswitch.device.runtime.runtime import Runtime
from keyswitch.device.server.components import Boot, Components
from keyswitch.device.server.server import Server
from keyswitch.device.storage.store import SESSION, Memory, MemoryStore
from keyswitch.errors import InputError
from keyswitch.gate.events import ButtonHeld, Event, FirmwareCommand, InputChanged, SelfConfirmed, Timer
from keyswitch.gate.machine import Step
from keyswitch.gate.peer import Peer, Service
from keyswitch.gate.record import SessionRecord, entry_of
from keyswitch.gate.state import GateState
from keyswitch.mcuboot import bootloader, slots
from keyswitch.mcuboot.bootloader import BootConfig, BootReport
from keyswitch.mcuboot.flash import Flash, RamFlash
from keyswitch.mcuboot.image import ImageFault
from keyswitch.mcuboot.keys import VerificationKeys
from keyswitch.mcuboot.layout import Algorithm, Slot, max_image_size
from keyswitch.policy.bootloader import layout_of
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import OnEnter, Policy
from keyswitch.proof import challenge, fields, permit
from keyswitch.proof.challenge import Challenge, Purpose
from keyswitch.smp.codes import Rc
from keyswitch.smp.commands import BY_NAME
from keyswitch.smp.frame import Frame, request
from keyswitch.smp.framing import Received
from keyswitch.smp.groups import image, mode, os
from keyswitch.smp.header import Op
from keyswitch.terms import Security, Transport

ANSWER_WITHIN_S: Final = 5
"""Real time; a device without a radio answers at once or not at all."""

_SECRET: Final = bytes(range(32))
_ISSUER, _HOLDER = bytes([1]) * 32, bytes([2]) * 32
_IMAGE_SIZE: Final = 2_048
_HASH_SIZE: Final = 32


Machine = Callable[[Policy, GateState, Event], Step]


class Link:
    """A transport whose peers come and go as the trace says; `end` waits for it."""

    def __init__(self) -> None:
        self.arrivals: Any = None
        self.answers: dict[int, asyncio.Queue[bytes]] = {}

    async def start(self, arrivals: Any) -> None:
        """Power is there."""
        self.arrivals = arrivals

    async def close(self) -> None:
        """Nothing to give back."""

    async def power_lost(self) -> None:
        """Everybody is gone."""
        self.answers.clear()

    def drop_partial(self) -> None:
        """Packets arrive whole here."""

    async def send(self, peer_id: int, door: Service, packet: bytes) -> None:
        """An answer of the device's."""
        del door
        if peer_id in self.answers:
            self.answers[peer_id].put_nowait(packet)

    async def delivered(self, peer_id: int, within_ms: int) -> None:
        """Answers arrive at once."""

    async def end(self, peer_id: int) -> None:
        """The trace says when a link is gone; until then it is as slow as a link can be."""


def unsigned_image(version: int, pair: int = 0) -> bytes:
    """A MCUboot image of an image pair, with its hash and no signature, for a bootloader that asks for none."""
    body = bytes((version + place) & 0xFF for place in range(_IMAGE_SIZE))
    # MCUboot `struct image_header` and `struct image_tlv_info`, little-endian.
    header = struct.pack("<IIHHIIBBHII", 0x96F3B83D, 0, 32, 0, len(body), 0, version, pair, 0, 0, 0)
    digest = hashlib.sha256(header + body).digest()
    return header + body + struct.pack("<HHHH", 0x6907, 4 + 4 + _HASH_SIZE, 0x10, _HASH_SIZE) + digest


class ReplayDevice:
    """One device, and everybody around it."""

    def __init__(self, policy: Policy, parts: Components | None = None) -> None:
        made_of = parts or Components()
        made_of = replace(made_of, step=self._watched(made_of.step), boot=self._with_loader(made_of.boot))
        self.undone: set[str] = set()
        self.policy = policy
        entrances = frozenset(policy.bootloader.loader_entrance)
        config = BootConfig(layout=layout_of(policy), keys=VerificationKeys(), loader_entrances=entrances)
        self.config = config
        self.layout = config.layout
        self.flash = RamFlash(config.layout.geometry)
        self._install_old()
        self.link = Link()
        store = self.store = MemoryStore()
        issuers = () if policy.entry.permit is None else (permit.public_key(_ISSUER),)
        self._drawn = 0
        self.server = Server(
            policy,
            flash=self.flash,
            layout=self.layout,
            store=store,
            secret=_SECRET,
            issuers=issuers,
            clock_s=lambda: 1,
            random=self._random,
            parts=made_of,
        )
        self.runtime = Runtime(
            server=self.server,
            flash=self.flash,
            boot_config=config,
            store=store,
            carriers=dict.fromkeys(Transport, self.link),
            answer_room=policy.smp.buf_count,
            parts=made_of,
            clock=DeviceClock(virtual=True),
        )
        self.started = False
        self.cut = False
        self.peers: dict[int, Peer] = {}

    def _install_old(self) -> None:
        """The images that run first; where a loader is the only one that writes, no application but the loader."""
        loader = self.layout.algorithm is Algorithm.FIRMWARE_LOADER
        for number, pair in enumerate(self.layout.pairs):
            content = unsigned_image(_VERSIONS["old"], number)
            slots.install(self.flash, self.layout, pair.secondary if loader else pair.primary, content)

    def _upload_into(self, pair: int, content: bytes) -> Slot:
        """Have an image lie in a pair's other slot, where uploads put it; which slot that is."""
        loader = self.layout.algorithm is Algorithm.FIRMWARE_LOADER
        slot = self.layout.pairs[pair].primary if loader else self.layout.pairs[pair].secondary
        writer = slots.SlotWriter(self.flash, self.layout, slot, max_image_size(self.layout, pair))
        writer.write(content)
        writer.finish()
        slots.write_header(self.flash, self.layout, slot, writer.header)
        return slot

    def runs(self, pair: int) -> str | None:
        """Which of the traces' images this pair runs; None while nothing runs."""
        report = self.server.core.report
        if report is None or not self.runtime.powered:
            return None
        running = report.images[pair].running_version
        return next(
            (name for name, number in _VERSIONS.items() if running is not None and running.major == number), None
        )

    def _random(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.sha256(self._drawn.to_bytes(8, "big")).digest()[:size]

    def _watched(self, step: Machine) -> Machine:
        """The machine, and a note of what it does not ask for at the end of a session, or of a mode."""

        def watched(policy: Policy, state: GateState, event: Event) -> Step:
            done = step(policy, state, event)
            asked = {type(effect).__name__ for effect in done.effects}
            if state.session is not None and done.state.session is None and not done.state.down:
                self.undone |= {"DropQueued", "DropReassembly", "DropUpload"} - asked
            elif not state.down and done.state.mode != state.mode:
                self.undone |= {"DropQueued", "DropReassembly"} - asked
            return done

        return watched

    def _with_loader(self, boot: Boot) -> Boot:
        """The bootloader, whose pin for the loader is held while there is no application."""

        def with_loader(
            flash: Flash, config: BootConfig, *, counters: tuple[int, ...] = (), loader_asked: bool = False
        ) -> BootReport:
            empty = isinstance(slots.read_image(flash, self.layout, self.layout.pairs[0].primary), ImageFault)
            return boot(flash, config, counters=counters, loader_asked=loader_asked or empty)

        return with_loader

    def left(self, what: str) -> bool:
        """Whether this is left of a session on the device: in its memory, its flash or its store."""
        core = self.server.core
        pending = any(each.pending for each in slots.list_images(self.flash, self.layout, core.active))
        left = {
            "an upload": core.state.upload is not None or core.upload is not None,
            "an armed image": bool(core.state.armed) or pending,
            "a granted reset": core.state.reset_pending or Timer.RESET in core.timers,
            "a session record": (self.store.read(SESSION) or {}).get("record") is not None,
            "a trial's deadline": Timer.TRIAL in core.timers,
        }
        return left.get(what, what in self.undone)

    @property
    def runs_new_for_good(self) -> bool:
        """Whether a new image runs, and nothing would take it back."""
        report = self.runtime.boot_report
        images = () if report is None else report.images
        return any(each.running_hash == _hash("new", each.image) and not each.trial for each in images)

    def boots_again(self) -> bool:
        """Whether something would run after a power cut now, with nobody at the device."""
        flash = RamFlash(self.layout.geometry, content=self.flash.read(0, self.layout.geometry.size))
        return bootloader.boot(flash, self.config).runs

    @property
    def now_in(self) -> str | None:
        """The device's mode; None while nothing runs."""
        return self.server.core.state.mode if self.runtime.powered else None

    async def settle(self) -> None:
        """Let the device finish what it has begun."""
        await self.runtime.settled()

    # --- what happens ---

    async def boot(self, _event: dict[str, Any]) -> None:
        """Power is there (again)."""
        if not self.started:
            await self.runtime.start()
        elif self.cut:
            await self.runtime.power_cycle()
        self.started, self.cut = True, False
        self.peers.clear()

    async def boot_after_another(self, event: dict[str, Any]) -> None:
        """The device comes up with what another firmware has left: its record, an image on trial, or a blank store."""
        if self.started:
            await self.power_cut(event)
        self._install_old()
        for pair in _numbers(event.get("trials", "0" if event["trial"] else "")):
            slot = self._upload_into(pair, unsigned_image(_VERSIONS["new"], pair))
            slots.arm(self.flash, self.layout, slot, permanent=False)
        self.store.documents.clear()
        memory = Memory(self.store)
        if event["record"] is not None:
            memory.save_record(self._record_of(event))
        if not event.get("blank", False):
            memory.mark()
        await self.boot(event)

    def _record_of(self, event: dict[str, Any]) -> SessionRecord:
        place: int | None = event["transition"]
        proof: str | None = event["proof"]
        word: str | None = event["expected"]
        named = _numbers(event.get("expects", "0"))
        # The prover lets a limit end at any moment; here it ends when the trace says so (`expired`).
        left_ms = _LONG_MS if event["timed"] else None
        permits = any(
            isinstance(way.trigger, OnEnter) and ProofKind.PERMIT in way.trigger.proofs
            for way in self.policy.transitions
        )
        return SessionRecord(
            policy=self.policy.digest if event["same_policy"] else hashlib.sha256(b"another revision").digest(),
            mode=event["record"],
            proof=None if proof is None else ProofKind(proof),
            entry=b"" if place is None else entry_of(self.policy.transitions[place]),
            images=self._hashes("new" if permits else "other") if event["limited"] else None,
            expected=() if word is None else tuple((pair, _hash(word, pair)) for pair in named),
            ending=event["ending"],
            token=bytes(4),
            lease_ms=left_ms,
            lease_max_ms=left_ms,
            timeout_ms=left_ms,
            idle_ms=left_ms,
            trial_ms=left_ms,
        )

    def _hashes(self, name: str) -> frozenset[bytes]:
        return frozenset(_hash(name, pair) for pair in range(len(self.layout.pairs)))

    async def power_cut(self, _event: dict[str, Any]) -> None:
        """RAM is lost with the next `boot`; nothing happens in between."""
        self.cut = True

    async def connect(self, event: dict[str, Any]) -> None:
        """A central, as well secured as a link can be."""
        self._peer(event["peer"], Transport.BLE)

    def _peer(self, number: int, transport: Transport) -> Peer:
        if number not in self.peers:
            security = Security.AUTHENTICATED if transport is Transport.BLE else Security.NONE
            peer = Peer(id=self.link.arrivals.new_peer_id(), transport=transport, security=security)
            self.peers[number] = peer
            self.link.answers[peer.id] = asyncio.Queue()
            self.link.arrivals.peer_came(peer)
        return self.peers[number]

    def _secured(self, event: dict[str, Any]) -> Peer:
        """The peer of an event, with the security of its link then: the best, where the event names none."""
        peer = self._peer(event["peer"], Transport(event["transport"]))
        most = Security.AUTHENTICATED if peer.transport is Transport.BLE else Security.NONE
        now = next((each for each in Security if each.word == event.get("security")), most)
        if now is not peer.security:
            peer = self.peers[event["peer"]] = replace(peer, security=now)
            self.link.arrivals.peer_came(peer)
        return peer

    async def disconnect(self, event: dict[str, Any]) -> None:
        """A link is gone."""
        peer = self.peers.pop(event["peer"])
        self.link.answers.pop(peer.id, None)
        self.link.arrivals.peer_went(peer.id)

    async def input(self, event: dict[str, Any]) -> None:
        """A sensor says something else."""
        self.runtime.happen(InputChanged(name=event["input"], value=event["value"]))

    async def button(self, event: dict[str, Any]) -> None:
        """Somebody presses the button."""
        self.runtime.happen(ButtonHeld(hold_ms=event["hold_ms"]))

    async def self_confirm(self, _event: dict[str, Any]) -> None:
        """The application is content."""
        self.runtime.happen(SelfConfirmed())

    async def expired(self, event: dict[str, Any]) -> None:
        """That limit is reached, and no other."""
        timers = self.server.core.timers
        timer = Timer(event["timer"])
        if timer not in timers:
            raise InputError("trace", f"no time limit {timer.value} runs on the device", "a trace of this policy")
        jump_ms = max(0, timers[timer] - self.runtime.now_ms())
        for other in timers.keys() - {timer}:
            timers[other] += jump_ms
        self.runtime.advance(jump_ms)

    # --- what peers do ---

    async def ask(
        self, event: dict[str, Any], op: Op, command: tuple[int, int], body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """One request and its answer; an empty one if none came."""
        peer = self._secured(event)
        group, number = command
        packet = request(op=op, group=group, command=number, sequence=1, body=body or {}).encode()
        self.link.arrivals.received(peer, Received(packets=(packet,)))
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return Frame.decode(await self.link.answers[peer.id].get()).body()
        except TimeoutError:
            return {}

    async def enter(self, event: dict[str, Any]) -> None:
        """By the kind of proof that the trace names."""
        body = {"to": event["to"], **await self._proof(event, event["to"], Purpose.ENTER)}
        await self._prove(event, mode.Id.ENTER, body)

    async def attach(self, event: dict[str, Any]) -> None:
        """By the kind of proof that opened the session."""
        session = self.server.core.state.session
        kind = None if session is None else session.proof
        told = {**event, "proof": None if kind is None else kind.value, "limited": False}
        await self._prove(event, mode.Id.ATTACH, await self._proof(told, self.now_in or "", Purpose.ATTACH))

    async def _prove(self, event: dict[str, Any], command: mode.Id, body: dict[str, Any]) -> None:
        steps = self.policy.entry.sequence.steps if self.policy.entry.sequence is not None else 1
        count = steps if body.get(fields.PROOF) == ProofKind.SEQUENCE.value else 1
        for step in range(1, count + 1):
            await self.ask(event, Op.WRITE, (mode.ID, command), {**body, fields.STEP: step} if count > 1 else body)

    async def _proof(self, event: dict[str, Any], to: str, purpose: Purpose) -> dict[str, Any]:
        kind = event["proof"]
        if kind is None or kind == ProofKind.SEQUENCE.value:
            return {} if kind is None else {fields.PROOF: kind}
        asked = await self.ask(event, Op.READ, (mode.ID, mode.Id.CHALLENGE), {"to": to})
        session = self.server.core.token if purpose is Purpose.ATTACH else b""
        answered = Challenge(
            nonce=asked.get("nonce", b""),
            device=self.policy.device.id,
            mode=to,
            purpose=purpose,
            session=session,
        )
        if kind == ProofKind.CHALLENGE.value:
            return {fields.PROOF: kind, fields.MAC: challenge.make(_SECRET, answered)}
        given = self._permit(to, limited=event["limited"])
        return {fields.PROOF: kind, fields.PERMIT: given, fields.SIGNATURE: permit.sign(_HOLDER, answered, given)}

    def _permit(self, to: str, *, limited: bool) -> bytes:
        said = permit.Permit(
            id=self._random(permit.ID_SIZE),
            issuer="replay",
            devices=(self.policy.device.id,),
            mode=to,
            holder=permit.public_key(_HOLDER),
            not_before_s=0,
            expires_s=2,
            uses=1_000,
            images=self._hashes("new") if limited else None,
        )
        return permit.issue(said, _ISSUER)

    async def leave(self, event: dict[str, Any]) -> None:
        """Leave."""
        await self.ask(event, Op.WRITE, (mode.ID, mode.Id.LEAVE))

    async def firmware_command(self, event: dict[str, Any]) -> None:
        """Any one that the mode serves, executed in vain: all that the gate is told of it."""
        self.runtime.happen(FirmwareCommand(peer=self._secured(event)))

    async def upload(self, event: dict[str, Any]) -> None:
        """The first chunk."""
        await self._upload(event, 0, _CHUNK)

    async def upload_ended(self, event: dict[str, Any]) -> None:
        """All the others."""
        first = min(self.peers, default=_OFF_BLE)
        told = {"peer": first, "transport": "ble" if first != _OFF_BLE else self._off_ble, **event}
        if self.layout.algorithm.armed_by_trailer:
            await self._upload(told, _CHUNK, None)
        else:  # its last piece would arm it, which the trace tells by itself: it is given up
            await self.ask(told, Op.WRITE, _UPLOAD, {"off": _CHUNK, "data": bytes(len(_NEW))})

    @property
    def _off_ble(self) -> str:
        return next((each.value for each in self.policy.smp.transports if each is not Transport.BLE), "udp")

    async def _upload(self, event: dict[str, Any], start: int, length: int | None, content: bytes = b"") -> None:
        content = content or unsigned_image(_VERSIONS["new"], event.get("pair", 0))
        end = len(content) if length is None else start + length
        for offset in range(start, end, _CHUNK):
            body: dict[str, Any] = {"off": offset, "data": content[offset : min(offset + _CHUNK, end)]}
            body |= {"image": event["pair"]} if "pair" in event else {}
            await self.ask(event, Op.WRITE, _UPLOAD, {**body, "len": len(content)} if offset == 0 else body)

    async def arm(self, event: dict[str, Any]) -> None:
        """Arm an image that has been in the slot for a while."""
        pair: int = event.get("pair", 0)
        content = unsigned_image(_VERSIONS[event["image"]], pair)
        if not self.layout.algorithm.armed_by_trailer:
            await self._upload(event, 0, None, content)
            return
        self._upload_into(pair, content)
        body = {"hash": content[-_HASH_SIZE:], "confirm": event["permanent"]}
        await self.ask(event, Op.WRITE, (image.ID, image.Id.STATE), body)

    async def reset(self, event: dict[str, Any]) -> None:
        """Ask for a reset."""
        await self.ask(event, Op.WRITE, (os.ID, os.Id.RESET))

    async def confirm(self, event: dict[str, Any]) -> None:
        """Confirm what runs, of one image pair where there are several."""
        body: dict[str, Any] = {"confirm": True}
        report = self.server.core.report
        pair: int | None = event.get("pair")
        if pair is not None and report is not None:
            body["hash"] = report.images[pair].running_hash
        await self.ask(event, Op.WRITE, (image.ID, image.Id.STATE), body)

    # --- what a trace claims ---

    async def serves(self, name: str, who: dict[str, Any] | None = None) -> bool:
        """Whether the device executes this command for that event's peer, or for somebody on any of its transports."""
        word, _, direction = name.partition(":")
        command = BY_NAME[word]
        op = Op.READ if direction == "read" else Op.WRITE
        if self.layout.algorithm.armed_by_trailer:
            self._upload_into(0, _NEW)
        everybody = [
            {"peer": _FIRST if transport is Transport.BLE else _OFF_BLE, "transport": transport.value}
            for transport in self.policy.smp.transports
        ]
        for told in everybody if who is None else [who]:
            answer = await self.ask(told, op, (command.group, command.id), _IN_EARNEST.get(word))
            if answer.get("rc") != Rc.EACCESSDENIED:
                return True
        return False


_FIRST, _OFF_BLE = 1, 3
_CHUNK: Final = 1_024
_VERSIONS: Final = {"old": 1, "new": 2, "other": 3}


def _hash(name: str, pair: int) -> bytes:
    return unsigned_image(_VERSIONS[name], pair)[-_HASH_SIZE:]


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers of image pairs that a trace names in a word."""
    return tuple(int(each) for each in text.split())


_LONG_MS: Final = 3_600_000
"""Of a limit in a record: beyond the real time that a replay takes."""
_UPLOAD: Final = (image.ID, image.Id.UPLOAD)
_NEW: Final = unsigned_image(_VERSIONS["new"])
_IN_EARNEST: Final[dict[str, dict[str, Any]]] = {
    "image.upload": {"off": 0, "len": len(_NEW), "data": _NEW[:_CHUNK]},
    "image.state": {"hash": _NEW[-_HASH_SIZE:]},
}
"""Requests that the device refuses at its inner barrier as well, if it does: a bare one would not get that far."""
