"""The holes, each with the id of the check that has to find it: gates as products build them, and parts that forget."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from keyswitch.device.server import checks
from keyswitch.device.server.checks import CHECKS, Check
from keyswitch.device.server.components import Components, receiver_for
from keyswitch.device.server.queue import Queues, Waiting
from keyswitch.gate import authorise as gate
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate import lockout, machine
from keyswitch.gate.authorise import RULES
from keyswitch.gate.decision import ALLOWED, Decision, Refused
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import Event
from keyswitch.gate.lockout import Lockout
from keyswitch.gate.machine import Step
from keyswitch.gate.nonces import Nonces
from keyswitch.gate.peer import Peer, Service
from keyswitch.gate.state import GateState
from keyswitch.mcuboot import bootloader, slots
from keyswitch.mcuboot.bootloader import BootReport
from keyswitch.mcuboot.config import BootConfig, Downgrade
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.image import Image, parse_image
from keyswitch.mcuboot.keys import VerificationKeys
from keyswitch.mcuboot.layout import Layout, Slot, area
from keyswitch.mcuboot.tlvs import SIGNATURES, TlvType
from keyswitch.policy.enums import Arm, Confirm, ProofKind, SessionRule, Visibility
from keyswitch.policy.model import LockoutSettings, OnEnter, Policy, Transition
from keyswitch.proof.challenge import Challenge
from keyswitch.smp import cbor
from keyswitch.smp.codes import FIRST_USER_GROUP, Rc
from keyswitch.smp.commands import ALL_KEYS, CommandKey, resolve
from keyswitch.smp.framing import Received, Receiver
from keyswitch.smp.groups import mode
from keyswitch.smp.header import HEADER_SIZE, Header, Op
from keyswitch.terms import Transport
from keyswitch.testing.holes import gatt as table
from keyswitch.testing.holes.hole import Hole, one_barrier, unless, with_check, without


def open_for(pattern: str, *, with_key: str = "", without_key: str = "") -> Components:
    """A device whose gate is open for a command, or for requests of it that hold a key, or do not."""
    keys = resolve(pattern)

    def exempt(_peer: Peer, request: Header, packet: bytes) -> bool:
        if (request.group, request.command, request.op) not in keys:
            return False
        body = cbor.loads_map(packet[HEADER_SIZE:])
        return (not with_key or bool(body.get(with_key))) and not (without_key and body.get(without_key))

    return unless(exempt)


def _nothing_but(open_commands: frozenset[CommandKey]) -> Components:
    def exempt(_peer: Peer, request: Header, _packet: bytes) -> bool:
        return (request.group, request.command, request.op) in open_commands

    return unless(exempt)


class _LowBits:
    """Takes every operation that is neither read nor write for a write, as a handler does that looks at one bit.

    The mark by which the gate below knows such a frame is the reserved version 3.
    """

    def __init__(self, sound: Receiver) -> None:
        self._sound = sound

    @property
    def pending(self) -> bool:
        return self._sound.pending

    def receive(self, data: bytes, now_ms: int) -> Received:
        received = self._sound.receive(data, now_ms)
        return replace(received, packets=tuple(self._as_write(packet) for packet in received.packets))

    def drop(self) -> None:
        self._sound.drop()

    @staticmethod
    def _as_write(packet: bytes) -> bytes:
        plain = packet[0] & 0x07 in {Op.READ, Op.WRITE}
        return packet if plain else bytes([_MARK << 3 | Op.WRITE]) + packet[1:]


_MARK: Final = 3


def _open_from_version(least: int) -> tuple[Check, ...]:
    """Frames of this version and later ones are executed, past the gate."""

    def is_let_through(ask: checks.Door, peer: Peer, request: Header, packet: bytes) -> Rc | Refused | None:
        return None if request.version >= least else checks.is_let_through(ask, peer, request, packet)

    changed: dict[Check, Check] = {checks.is_let_through: is_let_through}
    return tuple(changed.get(check, check) for check in CHECKS if check is not checks.is_spoken)


def _reserved_op_is_a_write() -> Components:
    return Components(
        checks=_open_from_version(_MARK),
        step=one_barrier,
        receiver=lambda transport, size: _LowBits(receiver_for(transport, size)),
    )


def _any_version() -> Components:
    return Components(checks=_open_from_version(2), step=one_barrier)


def _mode_service_carries_all() -> Components:
    def authorise(policy: Policy, state: GateState, peer: Peer, command: tuple[int, int, int]) -> Decision:
        rules = tuple(rule for rule in RULES if rule is not gate.not_on_this_service)
        return gate.authorise(policy, state, replace(peer, door=Service.SMP), command, rules=rules)

    return Components(authorise=authorise, step=one_barrier)


def _unknown_is_done() -> Components:
    """A product's own group, whose commands answer and are asked about by nobody: here, one that echoes."""

    def is_known(_door: checks.Door, _peer: Peer, request: Header, _packet: bytes) -> Rc | None:
        known = (request.group, request.command, request.op) in ALL_KEYS
        return None if known else (Rc.EOK if request.group >= FIRST_USER_GROUP else Rc.ENOTSUP)

    return with_check(checks.is_known, is_known)


_READS: Final = frozenset(key for key in ALL_KEYS if key.op == Op.READ and key.group != mode.ID)


# --- parts that forget ---


class _KeepsWhatWaits(Queues):
    """Says what waited, and executes it all the same."""

    def take_all(self) -> Iterator[tuple[int, Waiting]]:
        return iter([(peer, replace(each)) for peer, queue in self._waiting.items() for each in queue])


def _late_gate() -> Components:
    """A gate that was asked when a request arrived: what waits behind a leave passes, and is not dropped."""
    still: dict[int, int] = {}

    def authorise(policy: Policy, state: GateState, peer: Peer, command: tuple[int, int, int]) -> Decision:
        decision = gate.authorise(policy, state, peer, command)
        if state.session is not None:
            still[peer.id] = _BURST if command == _LEAVE else 0
            return decision
        if still.get(peer.id, 0) > 0 and command[0] != mode.ID:
            still[peer.id] -= 1
            return ALLOWED
        return decision

    return Components(authorise=authorise, queues=_KeepsWhatWaits, step=one_barrier)


_BURST: Final = 4
_LEAVE: Final = (mode.ID, mode.Id.LEAVE, Op.WRITE)


@dataclass
class _NotTheFirst:
    """Every frame but the first of its packet. What comes behind a frame is the end of what that one came with."""

    before: bytes = b""

    def __call__(self, _peer: Peer, _request: Header, packet: bytes) -> bool:
        behind = len(packet) < len(self.before) and self.before.endswith(packet)
        self.before = packet
        return behind


def _drops_upload(effect: Effect) -> bool:
    return isinstance(effect, do.DropUpload)


def _limits_session(effect: Effect) -> bool:
    return isinstance(effect, do.StartTimer) and effect.timer in {on.Timer.LEASE, on.Timer.IDLE, on.Timer.LEASE_MAX}


def _any_mac(_secret: bytes, _asked: Challenge, _mac: bytes) -> bool:
    return True


def _at_rest(policy: Policy, state: GateState) -> GateState:
    """The state as if every input were what the conditions of entry ask for."""
    fine = list(state.inputs)
    for way in policy.transitions:
        for guard in way.when if policy.modes[way.target].maintenance else ():
            value = guard.value
            fine[guard.index] = value if guard.holds(value) else (not value if isinstance(value, bool) else value + 1)
    return replace(state, inputs=tuple(fine))


def _entrywithout_conditions() -> Components:
    def step(policy: Policy, state: GateState, event: Event) -> Step:
        if not isinstance(event, on.EnterProved) or state.down:
            return machine.step(policy, state, event)
        done = machine.step(policy, _at_rest(policy, state), event)
        if done.refused is not None:
            return replace(done, state=state)
        return replace(done, state=replace(done.state, inputs=state.inputs))

    return Components(step=step)


def _sessionwithout_conditions() -> Components:
    """An input that changes ends no session; it is not even heard while one is there."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        if isinstance(event, on.InputChanged) and state.session is not None:
            return Step(state=state)
        return machine.step(policy, state, event)

    return Components(step=step)


def _reverts_nothing() -> Components:
    def step(policy: Policy, state: GateState, event: Event) -> Step:
        ends = isinstance(event, on.LeaveAsked | on.InputChanged | on.Expired)
        return machine.step(policy, replace(state, on_trial=frozenset()) if ends else state, event)

    return Components(step=step)


def _arms_at_once() -> Components:
    """Writes the trailer at the state write, and takes it back never; also one that no session expects runs on."""
    early: dict[int, Policy] = {}

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        told = early.setdefault(id(policy), replace(policy, update=replace(policy.update, arm=Arm.EARLY)))
        if isinstance(event, on.Booted) and event.record is None:
            event = replace(event, on_trial=frozenset())
        done = machine.step(told, state, event)
        return replace(done, effects=tuple(each for each in done.effects if not isinstance(each, do.Disarm)))

    return Components(step=step)


def _reset_outlives_leaving() -> Components:
    def step(policy: Policy, state: GateState, event: Event) -> Step:
        if event == on.Expired(timer=on.Timer.RESET) and state.reset_pending and not state.down:
            return Step(state=replace(state, reset_pending=False, down=True), effects=(do.ResetNow(),))
        done = machine.step(policy, state, event)
        if not state.reset_pending or not isinstance(event, on.LeaveAsked):
            return done
        stop = do.StopTimer(timer=on.Timer.RESET)
        effects = tuple(each for each in done.effects if each != stop)
        return replace(done, state=replace(done.state, reset_pending=True), effects=effects)

    return Components(step=step)


def _comes_up_open() -> Components:
    """Keeps its session over a loss of power, as if nothing had been."""
    was: list[GateState] = []

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = machine.step(policy, state, event)
        if isinstance(event, on.Booted) and event.record is None and was and done.state.session is None:
            before = was[-1]
            kept = before.session if before.session is None else replace(before.session, owner=None)
            return replace(done, state=replace(done.state, mode=before.mode, session=kept))
        if not done.state.down:
            was[:] = [done.state] if done.state.session is not None else []
        return done

    return Components(step=step)


def _late_after_start() -> Components:
    """The application registers its gate when it has come to it: what came before passes."""
    left = [0]

    def exempt(_peer: Peer, request: Header, _packet: bytes) -> bool:
        if left[0] and request.group != mode.ID:
            left[0] -= 1
            return True
        return False

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        if isinstance(event, on.Booted):
            left[0] = 0 if event.record is not None else _EARLY
        return one_barrier(policy, state, event)

    return replace(unless(exempt), step=step)


_EARLY: Final = 3


def _anybodys_session() -> Components:
    rules = tuple(rule for rule in RULES if rule is not gate.not_the_owner)
    return Components(authorise=partial(gate.authorise, rules=rules))


def _no_signature() -> Components:
    def boot(
        flash: Flash, config: BootConfig, *, counters: tuple[int, ...] = (), loader_asked: bool = False
    ) -> BootReport:
        unkeyed = replace(config, keys=VerificationKeys())
        return bootloader.boot(flash, unkeyed, counters=counters, loader_asked=loader_asked)

    return Components(boot=boot)


def _signature_is_optional() -> Components:
    """A bootloader that checks the signatures that are there."""
    return _boot_without_keys_if(lambda image: not any(tlv.type in SIGNATURES for tlv in image.tlvs))


def _any_key_signs() -> Components:
    """A bootloader that knows no key of its own: what names another one is not looked up."""
    return _boot_without_keys_if(lambda image: any(tlv.type in SIGNATURES for tlv in image.tlvs), except_own=True)


def _boot_without_keys_if(unchecked: Callable[[Image], bool], *, except_own: bool = False) -> Components:
    def boot(
        flash: Flash, config: BootConfig, *, counters: tuple[int, ...] = (), loader_asked: bool = False
    ) -> BootReport:
        incoming = parse_image(area(flash, config.layout.pairs[0].secondary))
        if isinstance(incoming, Image) and unchecked(incoming):
            named = [config.keys.find(tlv.type, tlv.value) for tlv in incoming.tlvs if tlv.type == TlvType.KEYHASH]
            if not (except_own and any(named)):
                config = replace(config, keys=VerificationKeys())
        return bootloader.boot(flash, config, counters=counters, loader_asked=loader_asked)

    return Components(boot=boot)


def _downgrades() -> Components:
    def boot(
        flash: Flash, config: BootConfig, *, counters: tuple[int, ...] = (), loader_asked: bool = False
    ) -> BootReport:
        return bootloader.boot(
            flash, replace(config, downgrade=Downgrade.ALLOWED), counters=counters, loader_asked=loader_asked
        )

    return Components(boot=boot)


def _confirmation_is_lost() -> Components:
    """Confirms into a cache that no loss of power, and no reset, survives: what lay there before is there again."""
    before: list[tuple[int, bytes]] = []

    def confirm(flash: Flash, layout: Layout, slot: Slot) -> slots.ArmResult:
        size = flash.geometry.sector_size
        last = slot.offset + slot.size - size
        before.append((last, flash.read(last, size)))
        return slots.confirm(flash, layout, slot)

    def boot(
        flash: Flash, config: BootConfig, *, counters: tuple[int, ...] = (), loader_asked: bool = False
    ) -> BootReport:
        for last, content in before:
            flash.erase(last, len(content))
            block = flash.geometry.write_block
            for at in range(0, len(content), block):
                if content[at : at + block].strip(b"\xff"):
                    flash.write(last + at, content[at : at + block])
        before.clear()
        return bootloader.boot(flash, config, counters=counters, loader_asked=loader_asked)

    return Components(confirm=confirm, boot=boot)


def _limit_keeps_what_was_armed() -> Components:
    """Cleans up on request alone; a timer only changes the mode."""
    early: dict[int, Policy] = {}
    forgets = _arms_at_once().step

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        if isinstance(event, on.Expired) or (isinstance(event, on.Booted) and event.record is None):
            return forgets(policy, state, event)
        told = early.setdefault(id(policy), replace(policy, update=replace(policy.update, arm=Arm.EARLY)))
        return machine.step(told, state, event)

    return Components(step=step)


def _whole_slot() -> Components:
    """Takes uploads up to the end of the slot, trailer and all."""
    return Components(max_image_size=lambda layout, number: layout.pairs[number].secondary.size)


class _AlwaysTheSame(Nonces):
    """Gives the first nonce out again and again, and takes its answer as often as it comes."""

    def give(self, peer: int, mode: str, random: bytes, now_ms: int) -> bytes:
        first = next(iter(self._given.values()), None)
        return super().give(peer, mode, random if first is None else first.nonce, now_ms)

    def take(self, peer: int, mode: str, now_ms: int) -> bytes | None:
        del peer, mode, now_ms
        first = next(iter(self._given.values()), None)
        return None if first is None else first.nonce

    def forget(self, peer: int) -> None:
        del peer


class _ForAnybody(Nonces):
    """Takes the answer to anybody's challenge."""

    def take(self, peer: int, mode: str, now_ms: int) -> bytes | None:
        return super().take(peer if peer in self._given else next(iter(self._given), peer), mode, now_ms)

    def forget(self, peer: int) -> None:
        del peer


class _ForEver(Nonces):
    """Knows no time."""

    def take(self, peer: int, mode: str, now_ms: int) -> bytes | None:
        del now_ms
        return super().take(peer, mode, 0)


class _NeverWaits(Lockout):
    def remaining_ms(self, kind: ProofKind, now_ms: int) -> int:
        del kind, now_ms
        return 0


def lockout_as(kind: type[Lockout]) -> Callable[[LockoutSettings, Mapping[str, int], int], Lockout]:
    """A lock-out that is restored as this kind."""

    def restore(settings: LockoutSettings, stored: Mapping[str, int], now_ms: int) -> Lockout:
        sound = lockout.restore(settings, stored, now_ms)
        return kind(failures=sound.failures, until_ms=sound.until_ms)

    return restore


def lockout_of_a_connection() -> Components:
    """Whoever comes back has all tries again: what the queue hears of a peer that goes, the lock-out hears too."""
    gone: list[int] = []

    class Tells(Queues):
        def forget(self, peer: int) -> None:
            super().forget(peer)
            gone.append(peer)

    class Forgets(Lockout):
        def remaining_ms(self, kind: ProofKind, now_ms: int) -> int:
            return 0 if gone else super().remaining_ms(kind, now_ms)

    return Components(queues=Tells, lockout=lockout_as(Forgets))


def _lockout_of_a_boot() -> Components:
    def restore(settings: LockoutSettings, _stored: Mapping[str, int], now_ms: int) -> Lockout:
        return lockout.restore(settings, {}, now_ms)

    return Components(lockout=restore)


def _has_packets(policy: Policy) -> bool:
    """Over Bluetooth LE each frame is a packet of its own, whatever writes it came in."""
    return bool({Transport.UDP, Transport.SERIAL} & set(policy.smp.transports))


def _has_mode_service(policy: Policy) -> bool:
    return Transport.BLE in policy.smp.transports


def _has_owners(policy: Policy) -> bool:
    return any(each.maintenance and each.session is SessionRule.OWNER for each in policy.modes.values())


def _has_proofs(policy: Policy) -> bool:
    """Whether maintenance is entered by an answer to a challenge."""
    return any(set(_proofs(way)) - {ProofKind.SEQUENCE, ProofKind.BUTTON} for way in policy.transitions)


def _proofs(way: Transition) -> tuple[ProofKind, ...]:
    return way.trigger.proofs if isinstance(way.trigger, OnEnter) else ()


def _has_macs(policy: Policy) -> bool:
    return any(ProofKind.CHALLENGE in _proofs(way) for way in policy.transitions)


def _has_conditions(policy: Policy) -> bool:
    return any(way.when and isinstance(way.trigger, OnEnter) for way in policy.transitions)


def _has_limits(policy: Policy) -> bool:
    return any(each.maintenance and (each.lease_ms or each.idle_ms) for each in policy.modes.values())


def _arms_late(policy: Policy) -> bool:
    return policy.update.arm is Arm.LATE


def _operator_confirms(policy: Policy) -> bool:
    return policy.update.confirm is not Confirm.SELF


def _refuses_downgrades(policy: Policy) -> bool:
    """The images of the device here differ in their version, and have no security counter."""
    return policy.bootloader.downgrade is Downgrade.BY_VERSION


def _shows_by(*strategies: Visibility) -> Callable[[Policy], bool]:
    """Whether a device of the policy has a radio, and one of these strategies."""
    return lambda policy: _has_mode_service(policy) and policy.gate.service in strategies


_hides_smp: Final = _shows_by(Visibility.RECONNECT, Visibility.LIVE)


HOLES: Final[tuple[Hole, ...]] = (
    Hole(name="the upload is not gated", check="KS-101", parts=partial(open_for, "image.upload", without_key="image")),
    Hole(
        name="only the first chunk of an upload is gated",
        check="KS-102",
        parts=partial(open_for, "image.upload", with_key="off"),
    ),
    Hole(
        name="an upload is gated for image 0 alone",
        check="KS-103",
        parts=partial(open_for, "image.upload", with_key="image"),
    ),
    Hole(
        name="the state write is not gated",
        check="KS-104",
        parts=partial(open_for, "image.state:write", without_key="confirm"),
    ),
    Hole(
        name="confirming is not gated", check="KS-105", parts=partial(open_for, "image.state:write", with_key="confirm")
    ),
    Hole(name="the erase is not gated", check="KS-106", parts=partial(open_for, "image.erase", without_key="slot")),
    Hole(
        name="erase is gated for the default slot alone",
        check="KS-107",
        parts=partial(open_for, "image.erase", with_key="slot"),
    ),
    Hole(name="the reset is not gated", check="KS-108", parts=partial(open_for, "os.reset", without_key="boot_mode")),
    Hole(
        name="a reset into the bootloader is not gated",
        check="KS-109",
        parts=partial(open_for, "os.reset", with_key="boot_mode"),
    ),
    Hole(name="settings are not gated", check="KS-110", parts=partial(open_for, "settings:write")),
    Hole(name="files are not gated", check="KS-111", parts=partial(open_for, "fs.file:write")),
    Hole(name="the shell is not gated", check="KS-112", parts=partial(open_for, "shell")),
    Hole(name="the storage erase is not gated", check="KS-113", parts=partial(open_for, "basic")),
    Hole(
        name="protocol version 1 passes by the gate",
        check="KS-114",
        parts=lambda: unless(lambda _peer, request, _packet: request.version == 0),
    ),
    Hole(name="a reserved operation passes by the gate", check="KS-115", parts=_reserved_op_is_a_write),
    Hole(name="a reserved version passes by the gate", check="KS-116", parts=_any_version),
    Hole(name="commands that only read are not gated", check="KS-117", parts=partial(_nothing_but, _READS)),
    Hole(name="an unknown group is executed", check="KS-118", parts=_unknown_is_done),
    Hole(
        name="what comes by the mode service passes by the gate",
        check="KS-119",
        can_be=_has_mode_service,
        parts=_mode_service_carries_all,
    ),
    Hole(name="an upload may reach the trailer", check="KS-201", parts=_whole_slot),
    Hole(name="the bootloader checks no signature", check="KS-202", parts=_no_signature),
    Hole(name="leaving reverts no trial", check="KS-203", parts=_reverts_nothing),
    Hole(name="an image without a signature is run", check="KS-204", parts=_signature_is_optional),
    Hole(name="a signature by any key is good", check="KS-205", parts=_any_key_signs),
    Hole(name="requests that waited are executed after leaving", check="KS-301", parts=_late_gate),
    Hole(
        name="only the first of two concatenated frames is gated",
        check="KS-302",
        can_be=_has_packets,
        parts=lambda: unless(_NotTheFirst()),
    ),
    Hole(name="leaving keeps the upload", check="KS-303", parts=partial(without, _drops_upload)),
    Hole(
        name="no time limit ends maintenance",
        check="KS-304",
        can_be=_has_limits,
        parts=partial(without, _limits_session),
    ),
    Hole(
        name="a condition that turns false ends no maintenance",
        check="KS-305",
        can_be=_has_conditions,
        parts=_sessionwithout_conditions,
    ),
    Hole(name="leaving keeps what was armed", check="KS-306", parts=_arms_at_once),
    Hole(name="the mark is written at once", check="KS-307", can_be=_arms_late, parts=_arms_at_once),
    Hole(name="a granted reset outlives leaving", check="KS-308", parts=_reset_outlives_leaving),
    Hole(name="maintenance survives a power cycle", check="KS-309", parts=_comes_up_open),
    Hole(name="a session is anybody's", check="KS-310", can_be=_has_owners, parts=_anybodys_session),
    Hole(
        name="a time limit keeps what was armed",
        check="KS-311",
        can_be=_has_limits,
        parts=_limit_keeps_what_was_armed,
    ),
    Hole(name="the gate is not there yet after a start", check="KS-312", parts=_late_after_start),
    Hole(
        name="a frame is gated when its first piece arrives",
        check="KS-313",
        can_be=_has_mode_service,
        parts=table.gate_at_the_first_piece,
        on_air=True,
    ),
    Hole(name="every proof is right", check="KS-401", can_be=_has_macs, parts=lambda: Components(mac=_any_mac)),
    Hole(
        name="a proof can be replayed",
        check="KS-402",
        can_be=_has_proofs,
        parts=lambda: Components(nonces=_AlwaysTheSame),
    ),
    Hole(
        name="a nonce is for anybody", check="KS-403", can_be=_has_proofs, parts=lambda: Components(nonces=_ForAnybody)
    ),
    Hole(name="a nonce lives for ever", check="KS-404", can_be=_has_proofs, parts=lambda: Components(nonces=_ForEver)),
    Hole(
        name="a lock-out that never waits",
        check="KS-405",
        can_be=_has_proofs,
        parts=lambda: Components(lockout=lockout_as(_NeverWaits)),
    ),
    Hole(
        name="a lock-out that is forgotten at disconnect",
        check="KS-406",
        can_be=_has_proofs,
        parts=lockout_of_a_connection,
    ),
    Hole(name="a lock-out that a reset ends", check="KS-407", can_be=_has_proofs, parts=_lockout_of_a_boot),
    Hole(
        name="entry does not ask its conditions",
        check="KS-408",
        can_be=_has_conditions,
        parts=_entrywithout_conditions,
    ),
    Hole(
        name="the service stays in the table outside maintenance",
        check="KS-501",
        can_be=_hides_smp,
        parts=table.stays_shown,
        on_air=True,
    ),
    Hole(
        name="the connection that entered is not ended",
        check="KS-502",
        can_be=_shows_by(Visibility.RECONNECT),
        parts=table.keeps_the_connection,
        on_air=True,
    ),
    Hole(
        name="Service Changed is not sent",
        check="KS-503",
        can_be=_shows_by(Visibility.LIVE),
        parts=table.tells_nobody,
        on_air=True,
    ),
    Hole(
        name="the Database Hash never changes",
        check="KS-504",
        can_be=_hides_smp,
        parts=table.same_hash,
        on_air=True,
    ),
    Hole(
        name="commands of a client that missed a change are executed",
        check="KS-505",
        can_be=_shows_by(Visibility.LIVE),
        parts=table.takes_all_for_aware,
        on_air=True,
    ),
    Hole(
        name="the handle of the SMP service goes to another service",
        check="KS-506",
        can_be=_hides_smp,
        parts=table.reuses_handles,
        on_air=True,
    ),
    Hole(
        name="authorization is remembered for the connection",
        check="KS-507",
        can_be=_shows_by(Visibility.AUTHORIZE),
        parts=table.remembers_authorization,
        on_air=True,
    ),
    Hole(
        name="a client without a subscription passes by the gate",
        check="KS-508",
        can_be=_shows_by(Visibility.ALWAYS),
        parts=table.gate_of_the_subscription,
        on_air=True,
    ),
    Hole(name="a confirmation is lost", check="KS-601", can_be=_operator_confirms, parts=_confirmation_is_lost),
    Hole(name="downgrades are not refused", check="KS-602", can_be=_refuses_downgrades, parts=_downgrades),
)
"""One for each check at least; `check` is who has to find it."""


def holes_of(check: str) -> tuple[Hole, ...]:
    """The holes that a check is the named catcher of."""
    return tuple(hole for hole in HOLES if hole.check == check)
