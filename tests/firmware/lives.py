"""Whole lives of a device, in Python and in C: time, frames, proofs, inputs, power cuts, records.

Each life is drawn by chance and lived in Python first; the C core then gets the same actions and has to say the same:
every answer's bytes, every step, every record's bytes, state characteristic, advertisement, the lock-out's counts.
"""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from struct import Struct
from types import SimpleNamespace
from typing import Any, Final

import cbor2
from tests.firmware import pairs, permits
from tests.firmware.toolchain import ISSUERS, MAX_NONCES
from tests.firmware.wire import Wire, peer_bytes

from keyswitch.device.server import dispatch
from keyswitch.device.server.components import Components
from keyswitch.device.server.core import Core, Setup
from keyswitch.device.server.queue import Waiting
from keyswitch.device.storage.store import SESSION, Memory, MemoryStore
from keyswitch.device.transport.advertising import advertisement
from keyswitch.errors import RemoteError
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate import machine, record, record_bytes
from keyswitch.gate.codec import record_from_json
from keyswitch.gate.events import Event, Timer
from keyswitch.gate.machine import Step
from keyswitch.gate.nonces import Nonces
from keyswitch.gate.peer import Peer, Service
from keyswitch.gate.record import SessionRecord
from keyswitch.gate.state import PairImages
from keyswitch.mcuboot.flash import RamFlash
from keyswitch.policy.bootloader import layout_of
from keyswitch.policy.enums import ProofKind, SessionRule
from keyswitch.policy.model import OnButton, OnEnter, Policy, Transition
from keyswitch.policy.units import Unit, with_unit
from keyswitch.proof import challenge
from keyswitch.smp import cbor
from keyswitch.smp.groups import mode
from keyswitch.smp.header import HEADER_SIZE, Header, Op
from keyswitch.terms import Security, Transport

SECRET: Final = bytes(range(0x40, 0x60))
"""`TEST_SECRET_FIRST` in harness.h."""
MAX_KEYS: Final = 16
"""`KS_MAX_KEYS`."""
NO_UNIT: Final = 0xFF
"""In place of the size of a unit's identity: there is no unit, so nobody may issue permits."""
RUNNING: Final = b"\x11" * 32
IMAGES: Final = (RUNNING, b"\x22" * 32, b"\x33" * 64)
_U16, _U32 = Struct("<H"), Struct("<I")
_KINDS: Final = (ProofKind.SEQUENCE, ProofKind.CHALLENGE, ProofKind.PERMIT)


def foreign_record(policy: Policy, chance: Random) -> SessionRecord:
    """A record as this or any other firmware may have left it."""

    def time() -> int | None:
        return chance.choice((None, 0, 1, 1000, 4_000_000, record_bytes.MAX_TIME_MS))

    return SessionRecord(
        policy=policy.digest if chance.random() < 0.5 else b"\x77" * 32,
        mode=chance.choice((*policy.modes, "no-such-mode")),
        proof=chance.choice((None, *ProofKind)),
        entry=chance.choice((b"", b"\x01" * 8, *map(record.entry_of, policy.transitions))),
        images=chance.choice((None, None, frozenset(), frozenset(IMAGES), frozenset(IMAGES[1:]))),
        expected=chance.choice(((), *(((0, image),) for image in IMAGES), *_of_several(policy))),
        ending=chance.random() < 0.2,
        token=b"" if chance.random() < 0.2 else bytes(range(4)),
        lease_ms=time(),
        lease_max_ms=time(),
        timeout_ms=time(),
        idle_ms=time(),
        trial_ms=time(),
    )


def _of_several(policy: Policy) -> Iterator[PairImages]:
    """What a record may expect of several image pairs: of one alone, of all, of all but the first."""
    pairs = range(len(policy.bootloader.pairs))
    if len(pairs) > 1:
        yield from (((pair, IMAGES[1]),) for pair in pairs[1:])
        yield from (tuple((pair, image) for pair in pairs) for image in IMAGES)
        yield tuple((pair, IMAGES[pair % len(IMAGES)]) for pair in pairs[1:])


class Chance:
    """`ks_random` of the harness."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def __call__(self, size: int) -> bytes:
        drawn = bytearray()
        for _ in range(size):
            self.state = (self.state * 1103515245 + 12345) & 0xFFFF_FFFF
            drawn.append(self.state >> 16 & 0xFF)
        return bytes(drawn)


class LifeCore(Core):
    """The device's core, without slots: what it is told is noted, with the bytes of each record that it writes."""

    def __init__(
        self, policy: Policy, chance: Chance, wire: Wire, store: MemoryStore, issuers: tuple[bytes, ...]
    ) -> None:
        self.wire = wire
        self.told: list[bytes] = []
        self.records: list[bytes] = []
        self._last: Step | None = None
        self.waits: PairImages = ()

        def step(policy: Policy, state: Any, event: Event) -> Step:
            self._last = machine.step(policy, state, event)
            return self._last

        layout = layout_of(policy)
        # A map of unknown length ends by a byte that the C core does not need.
        policy = replace(policy, smp=replace(policy.smp, buf_size=policy.smp.buf_size + 1))
        super().__init__(
            Setup(
                policy=policy,
                flash=RamFlash(layout.geometry),
                layout=layout,
                memory=Memory(store),
                secret=SECRET,
                issuers=issuers,
                clock_s=lambda: permits.NOW_S,
                random=chance,
                maintenance_address="",
                parts=Components(step=step, nonces=lambda: Nonces(most=MAX_NONCES)),
            )
        )

    def feed(self, event: Event, now_ms: int, credential: Any = None) -> Any:
        self.records = []
        refused = super().feed(event, now_ms, credential)
        assert self._last is not None
        # A refused request is answered, and no step is told of it; an event of the life itself always is.
        if refused is None:
            self.told.append(self.step_bytes(self._last))
        return refused

    def step_bytes(self, done: Step) -> bytes:
        told = self.wire.told_step(done)
        if not self.records:
            return told
        # Behind each effect that writes a record stand its bytes.
        effects = []
        records = list(self.records)
        for effect in done.effects:
            effects.append(self.wire.effect(effect))
            if isinstance(effect, do.WriteSessionRecord):
                data = records.pop(0)
                effects.append(_U16.pack(len(data)) + data)
        plain = self.wire.told_step(replace(done, effects=()))
        state = self.wire.told_state(done.state)
        head = plain[: len(plain) - len(state) - 2]
        return head + _U16.pack(len(done.effects)) + b"".join(effects) + state

    def _write_record(self, effect: do.WriteSessionRecord) -> None:
        super()._write_record(effect)
        left = self._left_before
        made = record.make(
            self.policy,
            self.state,
            expected=effect.expected,
            token=self.token,
            lease_ms=left.get(Timer.LEASE),
            lease_max_ms=left.get(Timer.LEASE_MAX),
            timeout_ms=left.get(Timer.TIMEOUT),
        )
        self.records.append(record_bytes.to_bytes(made))

    def _change_slots(self, effect: Any, now_ms: int) -> bool:
        return True

    def _waiting(self) -> PairImages:
        return self.waits


class Life:
    """One life, as it is lived and as it is told to the C core: drawn by `chance`, or by its seed."""

    def __init__(
        self, wire: Wire, seed: int, chance: Random | None = None, *, issuers: tuple[bytes, ...] = ISSUERS
    ) -> None:
        self.wire, self.policy = wire, wire.policy
        self.unit = "a unit's own id, é" if seed % 3 == 2 else ""
        if self.unit:
            self.policy = with_unit(self.policy, Unit(id=self.unit))
        self.issuers = issuers
        self.right: set[bytes] = set()
        self.chance = Random(seed) if chance is None else chance
        self.now_ms = self.chance.randrange(1000)
        self.store = MemoryStore()
        self.core = LifeCore(self.policy, Chance(seed), wire, self.store, issuers)
        self.actions: list[bytes] = []
        self.expected: list[bytes] = []
        self.seed = seed
        self.peers: dict[int, Peer] = {}
        self.next_peer = 1
        self.nonce: dict[int, tuple[str, bytes]] = {}
        self.seen: list[str] = []
        self.values = [pairs.values_of(self.policy, each) for each in self.policy.inputs]
        self.modes = [*self.policy.modes, "no-such-mode"]

    def live(self, actions: int) -> None:
        """Come up, and then whatever happens."""
        with permits.noted() as self.right:
            self._live(actions)

    def _live(self, actions: int) -> None:
        self.boot(None if self.chance.random() < 0.7 else self.foreign_record())
        for _ in range(actions):
            if self.core.state.down and self.chance.random() < 0.6:
                self.power_cut()  # the reset that was asked for
            self.chance.choices(
                (self.pass_time, self.frame, self.event, self.look, self.power_cut, self.properly),
                weights=(2, 8, 5, 2, 0.4, 3),
            )[0]()

    def question(self) -> bytes:
        unit = self.unit.encode()
        head = b"\3" + self.wire.number + _U32.pack(self.seed) + permits.signatures(self.right)
        size = bytes([len(unit) if self.issuers else NO_UNIT])
        return head + size + unit + _U16.pack(len(self.actions)) + b"".join(self.actions)

    def answer(self) -> bytes:
        return b"".join(self.expected)

    def _note(self, kind: int, action: bytes, expected: bytes, seen: str) -> None:
        self.actions.append(bytes([kind]) + _U32.pack(self.now_ms) + action)
        self.expected.append(expected)
        self.seen.append(f"{self.now_ms}: {seen}")

    def _told(self) -> bytes:
        told = b"".join(self.core.told)
        self.core.told.clear()
        self.core.happened.clear()
        self.core.dropped.clear()
        return told

    # --- what happens ---

    def boot(self, found: SessionRecord | None = None, *, trial: bool | None = None, gone_on: bool = False) -> None:
        """Come up. trial: None: maybe; gone_on: what the record expects runs, and inputs read as they did."""
        core, chance = self.core, self.chance
        if found is not None:
            core.setup.memory.save_record(found)
        holder = core.setup.memory.holder() or b""
        kept = (self.store.read(SESSION) or {}).get("record")
        known = None if kept is None else record_from_json(kept)
        data = b"" if known is None else record_bytes.to_bytes(known)
        failures = core.setup.memory.lockout()
        counts = b"".join(_U32.pack(failures.get(kind.value, 0)) for kind in _KINDS)
        expected = dict(() if known is None else known.expected)
        images = [
            SimpleNamespace(
                image=pair,
                running_hash=expected[pair] if pair in expected and (gone_on or chance.random() < 0.8) else RUNNING,
                trial=chance.random() < 0.2 if trial is None else trial,
            )
            for pair in range(len(self.policy.bootloader.pairs))
        ]
        report = SimpleNamespace(images=images, active=())
        on_trial = frozenset(each.image for each in images if each.trial)
        copied = [pair for pair, each in enumerate(self.policy.bootloader.pairs) if each.copied]
        core.waits = tuple((pair, expected.get(pair, RUNNING)) for pair in copied if chance.random() < 0.3)
        inputs = tuple(
            (each.name, chance.choice(values))
            for each, values in zip(self.policy.inputs, self.values, strict=True)
            if not gone_on and chance.random() < 0.5
        )
        if gone_on:
            inputs = tuple(
                (each.name, value) for each, value in zip(self.policy.inputs, core.state.inputs, strict=True)
            )
        blank, before = core.setup.memory.blank(), core.setup.memory.mode()
        core.peers.clear()
        self.peers.clear()
        self.nonce.clear()
        core.boot(report, inputs, self.now_ms)
        plain = on.Booted(
            record=None,
            running=tuple(each.running_hash for each in images),
            waiting=core.waits,
            on_trial=on_trial,
            mode_before=before,
            blank=blank,
            inputs=inputs,
        )
        action = _U16.pack(len(data)) + data + bytes([bool(holder)]) + holder + counts + self.wire.event(plain)
        self._note(0, action, self._told(), f"boot {on_trial=} {known=}")

    def foreign_record(self) -> SessionRecord:
        """What other firmware may have left."""
        return foreign_record(self.policy, self.chance)

    def difference(self, heard: bytes) -> str:
        """The first action whose answer is another, with what happened before it."""
        at = 0
        for place, each in enumerate(self.expected):
            if heard[at : at + len(each)] != each:
                before = "\n  ".join(self.seen[max(0, place - 8) : place + 1])
                got = heard[at : at + len(each) + 20]
                return f"{self.policy.origin}, life {self.seed}:\n  {before}\n  Python: {each!r}\n  core:   {got!r}"
            at += len(each)
        return f"{self.policy.origin}, life {self.seed}: longer than it was"

    def power_cut(self) -> None:
        """RAM is gone; what reached the store is there."""
        self.now_ms += self.chance.randrange(5)
        self.boot(self.foreign_record() if self.chance.random() < 0.2 else None)

    def pass_time(self) -> None:
        """To just before, to, or just after what is due; or some time."""
        due_ms = self.core.next_due_ms()
        if due_ms is not None and self.chance.random() < 0.7:
            self.now_ms = max(self.now_ms, due_ms + self.chance.choice((-1, 0, 0, 1)))
        else:
            self.now_ms += self.chance.choice((0, 1, 100, 1000, 1000, 29_999, 30_000, 400_000))
        self.fire()

    def fire(self) -> None:
        """Time limits that are over by now."""
        self.core.fire(self.now_ms)
        self._note(3, b"", self._told(), "time passes")

    def event(self) -> None:
        chance = self.chance
        kind = chance.randrange(9)
        known = list(self.peers)
        if kind == 0 and len(known) < 3:
            self._connect()
        elif kind == 1 and known:
            self.disconnect(chance.choice(known))
        elif kind in {2, 3} and self.policy.inputs:
            place = chance.randrange(len(self.policy.inputs))
            name = self.policy.inputs[place].name
            self.happens(on.InputChanged(name=name, value=chance.choice(self.values[place])))
        elif kind == 4:
            holds = [way.trigger.hold_ms for way in self.policy.transitions if isinstance(way.trigger, OnButton)]
            self.happens(on.ButtonHeld(hold_ms=max(0, chance.choice((*holds, 0)) + chance.choice((-1, 0, 1)))))
        elif known:
            peer = self.peers[chance.choice(known)]
            image = chance.choice(IMAGES)
            pair = chance.randrange(len(self.policy.bootloader.pairs))
            self.happens(
                chance.choice(
                    (
                        on.UploadStarted(peer=peer, pair=pair),
                        on.UploadEnded(),
                        on.ArmAsked(peer=peer, image=image, permanent=chance.random() < 0.3, pair=pair),
                        on.ArmAsked(peer=peer, image=image, permanent=False, pair=pair),
                        on.ResetAsked(peer=peer),
                        on.ConfirmAsked(peer=peer, pair=pair),
                        on.SelfConfirmed(),
                        on.CommandServed(peer=peer),
                        on.FirmwareCommand(peer=peer),
                        on.ArmFailed(pair=pair),
                    )
                )
            )

    def _connect(self) -> None:
        self.connect(self.chance.choice(list(Security)))

    def connect(self, security: Security) -> Peer:
        """A central comes."""
        peer = Peer(id=self.next_peer, transport=Transport.BLE, security=security)
        self.next_peer += 1
        self.peers[peer.id] = self.core.peers[peer.id] = peer
        self.happens(on.Connected(peer=peer.id))
        return peer

    def disconnect(self, gone: int) -> None:
        """A central goes."""
        core = self.core
        del self.peers[gone], core.peers[gone]
        self.nonce.pop(gone, None)
        core.nonces.forget(gone)
        core.sequences = {key: each for key, each in core.sequences.items() if key[0] != gone}
        core.ending -= {gone}
        self.happens(on.Disconnected(peer=gone))

    def happens(self, event: Event) -> None:
        refused = self.core.feed(event, self.now_ms)
        expected = self._told()
        if refused is not None:
            assert self.core._last is not None
            expected = self.wire.told_step(self.core._last)
        self._note(1, self.wire.event(event), expected, str(event))

    def look(self) -> tuple[bytes, bytes, bytes]:
        """State characteristic, advertisement, scan response."""
        core = self.core
        lease_ms = core.lease_ms(self.now_ms)
        flags = mode.StateFlags(0)
        flags |= mode.StateFlags.GATE_OPEN if core.gate_open else mode.StateFlags(0)
        flags |= mode.StateFlags.LEASED if lease_ms is not None else mode.StateFlags(0)
        flags |= mode.StateFlags.TRIAL if core.state.trial else mode.StateFlags(0)
        index = self.policy.modes[core.state.mode].index
        value = mode.StateValue(mode_index=index, flags=flags, lease_s=-(-(lease_ms or 0) // 1000), token=core.token)
        said = advertisement(
            name=self.policy.device.name,
            company_id=self.policy.device.company_id,
            beacon=mode.Beacon(mode_index=index, token=core.token),
            smp_shown=core.state.service_shown,
        )
        due_ms = core.next_due_ms()
        due = _U32.pack(0xFFFF_FFFF if due_ms is None else due_ms)
        self._note(4, b"", value.encode() + said.data + said.scan_response + due, "look")
        return value.encode(), said.data, said.scan_response

    # --- frames ---

    def frame(self) -> None:
        if not self.peers:
            self._connect()
        peer = self.peers[self.chance.choice(list(self.peers))]
        peer = replace(peer, door=self.chance.choice(list(Service)))
        packet = self._packet(peer)
        self._learn(peer, packet, self.exchange(peer, packet))

    def exchange(self, peer: Peer, packet: bytes) -> bytes:
        """The answer to this request, as the C core has to give it."""
        core = self.core
        failures = dict(core.lockout.failures)
        dispatch.execute(core, peer, Waiting(packet, peer.door), self.now_ms)
        (answer,) = core._answers
        core._answers.clear()
        told = b"".join(
            (
                _U16.pack(len(canonical(answer.packet))),
                canonical(answer.packet),
                bytes([dict(core.lockout.failures) != failures]),
                self._told(),
                *(_U32.pack(core.lockout.failures.get(kind, 0)) for kind in _KINDS),
            )
        )
        self._note(2, peer_bytes(peer) + _U16.pack(len(packet)) + packet, told, f"{peer} {packet!r}")
        return canonical(answer.packet)

    def properly(self) -> None:
        """Somebody enters, or attaches to the session that is there, as an operator does."""
        if not self.peers:
            self._connect()
        peer, core = self.peers[self.chance.choice(list(self.peers))], self.core
        attaching = core.state.session is not None
        to = core.state.mode if attaching else self._prepared()
        answer = cbor2.loads(self.exchange(peer, as_request(mode.Id.CHALLENGE, {"to": to}))[HEADER_SIZE:])
        if "nonce" not in answer:
            return
        purpose = challenge.Purpose.ATTACH if attaching else challenge.Purpose.ENTER
        asked = challenge.Challenge(
            nonce=answer["nonce"],
            device=self.policy.device.id,
            mode=to,
            purpose=purpose,
            session=core.token if attaching else b"",
        )
        body: dict[str, Any] = {"proof": "challenge", "mac": challenge.make(SECRET, asked)}
        if "permit" in answer["proofs"] and self.chance.random() < 0.7:
            body = self._permit(asked)
        command = mode.Id.ATTACH if attaching else mode.Id.ENTER
        self.exchange(peer, as_request(command, body if attaching else {"to": to, **body}))

    def _prepared(self) -> str:
        """A mode that somebody can enter, once the inputs are as one of its transitions asks."""
        ways = [way for way in self.policy.transitions if isinstance(way.trigger, OnEnter)]
        if not ways:
            return self.chance.choice(list(self.policy.modes))
        return self.prepare(self.chance.choice(ways))

    def prepare(self, way: Transition) -> str:
        """Inputs as this transition asks; where it leads."""
        for guard in way.when:
            right = [value for value in self.values[guard.index] if guard.holds(value)]
            if right:
                self.happens(on.InputChanged(name=guard.input, value=self.chance.choice(right)))
        return way.target

    def _packet(self, peer: Peer) -> bytes:
        chance = self.chance
        command = chance.choices(list(mode.Id), weights=(3, 4, 6, 3, 1, 2))[0]
        op = Op.READ if command in {mode.Id.STATE, mode.Id.CHALLENGE} else Op.WRITE
        body: dict[str, Any] = {}
        if command is mode.Id.CHALLENGE:
            body = {"to": chance.choice(self.modes)}
        elif command in {mode.Id.ENTER, mode.Id.ATTACH}:
            body = self._proof(peer, attaching=command is mode.Id.ATTACH)
        group, version, length = mode.ID, chance.choice((0, 1)), None
        spoilt = chance.random()
        if spoilt < 0.02:
            op = Op(chance.choice((1, 3)))
        elif spoilt < 0.04:
            version = 2
        elif spoilt < 0.06:
            length = 200
        elif spoilt < 0.08:
            body[chance.choice(("to", "proof", "mac", "step"))] = chance.choice((1, "x", b"y", None, -2, 1.5, 300))
        payload = cbor2.dumps(body, indefinite_containers=chance.random() < 0.5)
        if 0.08 <= spoilt < 0.2:
            payload = self._spoilt(payload)
        header = Header(
            op=op,
            version=version,
            length=len(payload) if length is None else length,
            group=group,
            sequence=chance.randrange(256),
            command=command,
        )
        return header.encode() + payload

    def _spoilt(self, payload: bytes) -> bytes:
        """The payload with bytes changed, put in or left out; not one that only the C core refuses."""
        chance = self.chance
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(payload) + 1)
            put = bytes([chance.choice((chance.randrange(256), 0xFF, 0xBF, 0x5F, 0x60, 0xF6, 0xF9, 0x1B))])
            kind = chance.randrange(3)
            payload = payload[:place] + put * (kind != 1) + payload[place + (kind != 2) :]
        try:
            read = cbor.loads_request(payload)
        except RemoteError:
            return payload
        # Maps and lists inside, and more keys than a core has room for, are the two things that it refuses by itself.
        plain = len(read) <= MAX_KEYS and not any(isinstance(each, dict | list) for each in read.values())
        return payload if plain else b"\xa0"

    def _proof(self, peer: Peer, *, attaching: bool) -> dict[str, Any]:
        chance, core = self.chance, self.core
        kind = chance.choice(("challenge", "challenge", "challenge", "sequence", "sequence", "permit", "other"))
        to, nonce = self.nonce.get(peer.id, (chance.choice(self.modes), bytes(16)))
        body: dict[str, Any] = {"proof": kind}
        if not attaching:
            body["to"] = to if chance.random() < 0.9 else chance.choice(self.modes)
        if kind == "challenge":
            asked = challenge.Challenge(
                nonce=nonce,
                device=self.policy.device.id,
                mode=core.state.mode if attaching else to,
                purpose=challenge.Purpose.ATTACH if attaching else challenge.Purpose.ENTER,
                session=core.token if attaching else b"",
            )
            mac = challenge.make(SECRET, asked)
            body["mac"] = mac if chance.random() < 0.8 else chance.choice((bytes(32), mac[:-1], mac + b"x"))
        elif kind == "permit":
            asked = challenge.Challenge(
                nonce=nonce,
                device=self.policy.device.id,
                mode=core.state.mode if attaching else to,
                purpose=challenge.Purpose.ATTACH if attaching else challenge.Purpose.ENTER,
                session=core.token if attaching else b"",
            )
            body |= self._permit(asked)
        elif kind == "sequence":
            done = [each.done for key, each in core.sequences.items() if key[0] == peer.id]
            body["step"] = (done[-1] if done else 0) + chance.choices((1, 0, 2), weights=(8, 1, 1))[0]
        return body

    def _permit(self, asked: challenge.Challenge) -> dict[str, Any]:
        """A permit and its holder's signature, mostly right."""
        chance = self.chance
        permit = permits.draw(self.policy, self.policy.device.id, chance)
        if chance.random() < 0.8:
            permit = replace(permit, mode=asked.mode, devices=(self.policy.device.id,))
        if chance.random() < 0.6:
            permit = replace(permit, images=None, uses=2, expires_s=2**31, not_before_s=None)
        data = permits.issued(permit, chance)
        if chance.random() < 0.05:
            data = chance.choice(list(permits.spoilt(data, permit, chance)))
        signature = permits.sign(permits.holder_key(permit), asked, data)
        return {"proof": "permit", "permit": data, "sig": signature if chance.random() < 0.95 else signature[:-1]}

    def _learn(self, peer: Peer, packet: bytes, answer: bytes) -> None:
        if packet[7] == mode.Id.CHALLENGE:
            nonce = cbor2.loads(answer[HEADER_SIZE:]).get("nonce")
            if nonce is not None:
                with_to = cbor2.loads(packet[HEADER_SIZE:])
                self.nonce[peer.id] = (with_to["to"], nonce)
        elif packet[7] in {mode.Id.ENTER, mode.Id.ATTACH} and self.chance.random() < 0.8:
            self.nonce.pop(peer.id, None)


def as_request(command: mode.Id, body: dict[str, Any]) -> bytes:
    """As an operator sends it."""
    payload = cbor2.dumps(body)
    op = Op.READ if command is mode.Id.CHALLENGE else Op.WRITE
    return Header(op=op, length=len(payload), group=mode.ID, sequence=0, command=command).encode() + payload


def canonical(packet: bytes) -> bytes:
    """The same answer as the C core writes it: definite lengths, keys in the order of RFC 8949 4.2.1."""
    body = cbor2.dumps(cbor2.loads(packet[HEADER_SIZE:]), canonical=True)
    return packet[:2] + len(body).to_bytes(2, "big") + packet[4:HEADER_SIZE] + body


def usable(policy: Policy) -> bool:
    """Whether the C core promises the same: an owner off BLE has no identity there."""
    owned = any(each.session is SessionRule.OWNER for each in policy.modes.values())
    return not (owned and set(policy.smp.transports) != {Transport.BLE})
