"""Faults of the door and of the way to it: the gate's rules, the frame's checks, queue, hearing, nonces, lock-out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from tests.planted.fault import Fault

from keyswitch.device.server import checks
from keyswitch.device.server.checks import CHECKS, Check
from keyswitch.device.server.components import Components
from keyswitch.device.server.queue import Queues, Waiting
from keyswitch.gate import authorise as gate
from keyswitch.gate import hearing, lockout
from keyswitch.gate.authorise import RULES, DoorRule
from keyswitch.gate.decision import Refused
from keyswitch.gate.hearing import HearingRule
from keyswitch.gate.lockout import Lockout
from keyswitch.gate.nonces import Nonces
from keyswitch.gate.peer import Peer, Service
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import LockoutSettings
from keyswitch.proof import challenge, sequence
from keyswitch.proof.challenge import Purpose
from keyswitch.smp import cbor
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image
from keyswitch.smp.header import HEADER_SIZE, Header, Op
from keyswitch.terms import Transport
from keyswitch.testing.holes.table import lockout_as, lockout_of_a_connection

AUTHORISE = "gate/test_authorise.py::"
DISPATCH = "device/server/test_dispatch_alone.py::"
QUEUE = "device/server/test_queue.py::"
ENTRY = "device/server/test_entry_proofs_alone.py::"
NONCES = "gate/test_nonces.py::"
LOCKOUT = "gate/test_lockout.py::"

# --- the door ---


def door(without: DoorRule, instead: tuple[DoorRule, ...] = ()) -> Components:
    """The door with a rule out, or another one in its place."""

    changed = tuple(each for rule in RULES for each in (instead if rule is without else (rule,)))
    return Components(authorise=partial(gate.authorise, rules=changed))


def known_ops_only(policy, now, state, peer: Peer, command: tuple[int, int, int]) -> Refused | None:
    """The mode service looks at requests alone, and takes a reserved op for none."""
    return gate.not_on_this_service(policy, now, state, peer, command) if command[2] in {0, 2} else None


def link_before(policy, now, state, peer: Peer, command: tuple[int, int, int]) -> Refused | None:
    """One level less is good enough."""
    return gate.too_insecure(policy, now, state, peer, command) if peer.security + 1 < now.security else None


CAUGHT = {
    gate.not_on_this_service: "test_the_mode_service_serves_its_own_group_only",
    gate.resetting: "test_nothing_is_served_before_the_boot_and_after_a_reset_was_ordered",
    gate.not_allowed: "test_each_mode_serves_its_allow_list_and_nothing_else",
    gate.asking: "test_an_owned_session_is_used_by_its_owner_only",
    gate.too_insecure: "test_security_is_asked_of_everything_but_asking",
    gate.nobody_entered: "test_a_maintenance_mode_that_nobody_entered_serves_asking_only",
    gate.not_the_owner: "test_an_owned_session_is_used_by_its_owner_only",
}

DOOR = [
    Fault(name=f"the door without {rule.__name__}", rule=rule, parts=door(rule), caught_by=AUTHORISE + test)
    for rule, test in CAUGHT.items()
] + [
    Fault(
        name="the door without first_trial",
        rule=gate.first_trial,
        parts=door(gate.first_trial),
        caught_by="gate/test_first_trial.py::test_asking_reading_the_slots_and_confirming_are_served_and_nothing_else",
    ),
    Fault(
        name="reserved ops on the mode service reach every group",
        parts=door(gate.not_on_this_service, (known_ops_only,)),
        caught_by=AUTHORISE + "test_reserved_ops_come_by_the_mode_service_no_more_than_others",
    ),
    Fault(
        name="a link one level too low is good enough",
        parts=door(gate.too_insecure, (link_before,)),
        caught_by=AUTHORISE + "test_security_is_asked_of_everything_but_asking",
    ),
]

# --- the way to it ---


def way(without: Check, instead: tuple[Check, ...] = ()) -> Components:
    """The frame's checks with one out, or another one in its place."""
    return Components(checks=tuple(each for check in CHECKS for each in (instead if check is without else (check,))))


def unless(exempt: Callable[[Peer, Header, bytes], bool]) -> Components:
    """A way on which some frames pass by the door."""

    def check(ask: checks.Door, peer: Peer, request: Header, packet: bytes) -> Refused | None:
        return None if exempt(peer, request, packet) else checks.is_let_through(ask, peer, request, packet)

    return way(checks.is_let_through, (check,))


def names_a_slot(_peer: Peer, request: Header, packet: bytes) -> bool:
    erase = (request.group, request.command) == (image.ID, image.Id.ERASE)
    return erase and bool(cbor.loads_request(packet[HEADER_SIZE:]).get("slot"))


def later_image(_peer: Peer, request: Header, packet: bytes) -> bool:
    upload = (request.group, request.command) == (image.ID, image.Id.UPLOAD)
    return upload and bool(cbor.loads_request(packet[HEADER_SIZE:]).get("image"))


def later_chunk(_peer: Peer, request: Header, packet: bytes) -> bool:
    upload = (request.group, request.command) == (image.ID, image.Id.UPLOAD)
    return upload and bool(cbor.loads_request(packet[HEADER_SIZE:]).get("off"))


@dataclass
class NotTheFirst:
    """Every frame but the first of its packet. What comes behind a frame is the end of what that one came with."""

    before: bytes = b""

    def __call__(self, _peer: Peer, _request: Header, packet: bytes) -> bool:
        behind = len(packet) < len(self.before) and self.before.endswith(packet)
        self.before = packet
        return behind


def asks_about_reading(ask: checks.Door, peer: Peer, request: Header, packet: bytes) -> Refused | None:
    return checks.is_let_through(ask, peer, replace(request, op=Op.READ.value), packet)


def asks_at_the_main_door(ask: checks.Door, peer: Peer, request: Header, packet: bytes) -> Refused | None:
    return checks.is_let_through(ask, replace(peer, door=Service.SMP), request, packet)


def old_numbers_only(_ask: checks.Door, _peer: Peer, request: Header, _packet: bytes) -> Rc | None:
    return Rc.UNSUPPORTED_TOO_NEW if request.version > 2 else None


WAY = [
    Fault(name=f"the way without {check.__name__}", rule=check, parts=way(check), caught_by=DISPATCH + test)
    for check, test in {
        checks.is_whole: "test_a_frame_that_is_cut_is_corrupt",
        checks.is_request: "test_what_is_no_request_is_not_supported_whatever_its_version",
        checks.is_spoken: "test_a_later_version_is_too_new_for_known_and_unknown_commands",
        checks.is_known: "test_an_unknown_command_is_unknown_whatever_the_door_says",
        checks.is_let_through: "test_nothing_is_served_past_a_door_that_refuses",
    }.items()
] + [
    Fault(name=name, parts=parts, caught_by=DISPATCH + test)
    for name, parts, test in (
        (
            "protocol version 0 passes by the door",
            unless(lambda _peer, request, _packet: request.version == 0),
            "test_nothing_is_served_past_a_door_that_refuses",
        ),
        (
            "erase is gated for the default slot alone",
            unless(names_a_slot),
            "test_nothing_is_served_past_a_door_that_refuses",
        ),
        (
            "an upload is gated for image 0 alone",
            unless(later_image),
            "test_nothing_is_served_past_a_door_that_refuses",
        ),
        (
            "only the first chunk of an upload is gated",
            unless(later_chunk),
            "test_nothing_is_served_past_a_door_that_refuses",
        ),
        (
            "what comes by the mode service passes by the door",
            unless(lambda peer, _request, _packet: peer.door is Service.MODE),
            "test_nothing_is_served_past_a_door_that_refuses",
        ),
        *(
            (
                f"what comes over {transport} passes by the door",
                unless(lambda peer, _request, _packet, transport=transport: peer.transport is transport),
                "test_nothing_is_served_past_a_door_that_refuses",
            )
            for transport in Transport
        ),
        (
            "only the first of two concatenated frames is gated",
            unless(NotTheFirst()),
            "test_each_frame_of_a_packet_is_asked_about",
        ),
        (
            "the door is asked about reading, whatever is asked for",
            way(checks.is_let_through, (asks_about_reading,)),
            "test_what_a_frame_asks_for_is_what_the_door_is_asked_about_and_what_runs",
        ),
        (
            "the door is not told by which service a frame came",
            way(checks.is_let_through, (asks_at_the_main_door,)),
            "test_nothing_is_served_past_a_door_that_refuses",
        ),
        (
            "one version more than we speak is served",
            way(checks.is_spoken, (old_numbers_only,)),
            "test_a_later_version_is_too_new_for_known_and_unknown_commands",
        ),
        (
            "the door is asked before the look-up",
            Components(checks=(*CHECKS[:3], checks.is_let_through, checks.is_known)),
            "test_an_unknown_command_is_unknown_whatever_the_door_says",
        ),
    )
]

# --- the queue ---


class OneMore(Queues):
    """Keeps a packet more than there are buffers."""

    def __init__(self, count: int) -> None:
        super().__init__(count + 1)


class NeverForgets(Queues):
    """Serves who has gone."""

    def forget(self, peer: int) -> None:
        return


class NeverHolds(Queues):
    """Serves who does not read."""

    def hold(self, peer: int, *, held: bool) -> None:
        return


class KeepsWhatWaits(Queues):
    """Says what waited, and executes it all the same."""

    def take_all(self) -> Iterator[tuple[int, Waiting]]:
        return iter([(peer, replace(each)) for peer, queue in self._waiting.items() for each in queue])


class NoLanes(Queues):
    """Gives each peer a turn of its own, however it came."""

    def put(self, peer: int, packet: bytes, door: Service, *, lane: object = None) -> bool:
        return super().put(peer, packet, door)


class LastFirst(Queues):
    """Executes one peer's requests in the wrong order."""

    def put(self, peer: int, packet: bytes, door: Service, *, lane: object = None) -> bool:
        kept = super().put(peer, packet, door, lane=lane)
        self._waiting[peer].rotate(1 if kept and len(self._waiting[peer]) > 1 else 0)
        return kept


class NoTurns(Queues):
    """Serves one peer until nothing of it waits."""

    def done(self, peer: int, *, finished: bool) -> None:
        super().done(peer, finished=finished)
        if self._waiting.get(peer):
            self._turns.rotate(1)
            self._in_lane[self._lane_of[peer]].rotate(1)


QUEUES = [
    Fault(name=f"a queue that is {queue.__name__}", rule=queue, parts=Components(queues=queue), caught_by=QUEUE + test)
    for queue, test in {
        OneMore: "test_a_burst",
        NeverForgets: "test_a_peer_that_goes_takes_its_requests_with_it",
        NeverHolds: "test_a_peer_that_does_not_read_waits_alone",
        KeepsWhatWaits: "test_what_was_taken_waits_no_more",
        NoLanes: "test_all_of_udp_takes_one_turn",
        LastFirst: "test_one_peers_requests_keep_their_order",
        NoTurns: "test_peers_take_turns",
    }.items()
]

# --- hearing, nonces, lock-out, proofs ---


def hears(without: HearingRule) -> Components:
    return Components(hearing=tuple(rule for rule in hearing.RULES if rule is not without))


HEARING = [
    Fault(
        name="a proof that no way takes is looked at",
        rule=hearing.is_asked_for,
        parts=hears(hearing.is_asked_for),
        caught_by="device/server/test_entry_proofs.py::test_what_is_not_asked_for_is_not_counted",
    ),
    Fault(
        name="a right proof is heard while its kind waits",
        rule=hearing.is_not_locked_out,
        parts=hears(hearing.is_not_locked_out),
        caught_by=ENTRY + "test_a_right_proof_is_not_looked_at_while_its_kind_waits",
    ),
]


class TakenTwice(Nonces):
    def take(self, peer: int, mode: str, now_ms: int) -> bytes | None:
        given = self._given.get(peer)
        nonce = super().take(peer, mode, now_ms)
        if given is not None and nonce is not None:
            self._given[peer] = given
        return nonce


class KeptWhenWrong(Nonces):
    def take(self, peer: int, mode: str, now_ms: int) -> bytes | None:
        given = self._given.get(peer)
        nonce = super().take(peer, mode, now_ms)
        if given is not None and nonce is None:
            self._given[peer] = given
        return nonce


class ForAnybody(Nonces):
    def take(self, peer: int, mode: str, now_ms: int) -> bytes | None:
        return super().take(peer if peer in self._given else next(iter(self._given), peer), mode, now_ms)


class ForAnyMode(Nonces):
    def take(self, peer: int, mode: str, now_ms: int) -> bytes | None:
        given = self._given.get(peer)
        return super().take(peer, mode if given is None else given.mode, now_ms)


class ForEver(Nonces):
    def take(self, peer: int, mode: str, now_ms: int) -> bytes | None:
        return super().take(peer, mode, 0)


class TheOldOneStays(Nonces):
    def give(self, peer: int, mode: str, random: bytes, now_ms: int) -> bytes:
        return self._given[peer].nonce if peer in self._given else super().give(peer, mode, random, now_ms)


class WithoutBound(Nonces):
    def give(self, peer: int, mode: str, random: bytes, now_ms: int) -> bytes:
        before = dict(self._given)
        nonce = super().give(peer, mode, random, now_ms)
        self._given = {**before, **self._given}
        return nonce


class OutlivesItsPeer(Nonces):
    def forget(self, peer: int) -> None:
        return


NONCE = [
    Fault(name=f"a nonce that is {nonces.__name__}", rule=nonces, parts=Components(nonces=nonces), caught_by=test)
    for nonces, test in {
        TakenTwice: NONCES + "test_a_nonce_is_taken_once",
        KeptWhenWrong: NONCES + "test_asking_for_the_wrong_mode_uses_the_nonce_up",
        ForAnybody: NONCES + "test_a_nonce_is_for_one_peer_and_one_mode",
        ForAnyMode: NONCES + "test_a_nonce_is_for_one_peer_and_one_mode",
        ForEver: NONCES + "test_a_nonce_lives_for_a_while",
        TheOldOneStays: NONCES + "test_a_new_nonce_replaces_the_old_one",
        WithoutBound: NONCES + "test_the_oldest_goes_when_there_are_too_many",
        OutlivesItsPeer: ENTRY + "test_a_nonce_is_one_connections_and_gone_with_it",
    }.items()
]


class NeverWaits(Lockout):
    def remaining_ms(self, kind: ProofKind, now_ms: int) -> int:
        return 0


class CountsNothing(Lockout):
    def wrong(self, settings: LockoutSettings, kind: ProofKind, now_ms: int) -> Lockout:
        return self


class WaitsForAll(Lockout):
    sound_ms = Lockout.remaining_ms

    def remaining_ms(self, kind: ProofKind, now_ms: int) -> int:
        return max(self.sound_ms(each, now_ms) for each in ProofKind)


class LocksTheButton(Lockout):
    def wrong(self, settings: LockoutSettings, kind: ProofKind, now_ms: int) -> Lockout:
        other = super().wrong(settings, ProofKind.CHALLENGE, now_ms)
        return other if kind is ProofKind.BUTTON else super().wrong(settings, kind, now_ms)


class NeverForgives(Lockout):
    def right(self, kind: ProofKind) -> Lockout:
        return self


class ForgivesAll(Lockout):
    def right(self, kind: ProofKind) -> Lockout:
        return replace(self, failures={}, until_ms={})


class StoresNothing(Lockout):
    def stored(self) -> dict[str, int]:
        return {}


def waits_no_more_after_a_reset(settings: LockoutSettings, stored: Mapping[str, int], now_ms: int) -> Lockout:
    return replace(lockout.restore(settings, stored, now_ms), until_ms={})


def takes_any_word(settings: LockoutSettings, stored: Mapping[str, int], now_ms: int) -> Lockout:
    known = {kind.value: kind for kind in ProofKind}
    return Lockout(failures={known[word]: count for word, count in stored.items() if word in known})


LOCKOUTS = [
    Fault(name=f"a lock-out that {name}", rule=parts, parts=parts, caught_by=test)
    for name, parts, test in (
        (
            "never waits",
            Components(lockout=lockout_as(NeverWaits)),
            LOCKOUT + "test_a_locked_kind_is_heard_again_when_its_wait_is_over",
        ),
        (
            "counts nothing",
            Components(lockout=lockout_as(CountsNothing)),
            LOCKOUT + "test_a_locked_kind_is_heard_again_when_its_wait_is_over",
        ),
        (
            "locks every kind",
            Components(lockout=lockout_as(WaitsForAll)),
            LOCKOUT + "test_each_kind_waits_for_itself_and_the_button_never",
        ),
        (
            "counts the button",
            Components(lockout=lockout_as(LocksTheButton)),
            LOCKOUT + "test_each_kind_waits_for_itself_and_the_button_never",
        ),
        (
            "never forgives",
            Components(lockout=lockout_as(NeverForgives)),
            LOCKOUT + "test_a_right_proof_clears_its_own_kind",
        ),
        (
            "forgives every kind at once",
            Components(lockout=lockout_as(ForgivesAll)),
            LOCKOUT + "test_a_right_proof_clears_its_own_kind",
        ),
        (
            "stores nothing",
            Components(lockout=lockout_as(StoresNothing)),
            ENTRY + "test_a_wrong_proof_has_reached_the_store_when_its_answer_leaves",
        ),
        (
            "a reset ends",
            Components(lockout=waits_no_more_after_a_reset),
            LOCKOUT + "test_a_power_cycle_starts_the_wait_again_in_full",
        ),
        (
            "takes any word in its store",
            Components(lockout=takes_any_word),
            LOCKOUT + "test_what_an_unknown_version_stored_is_left_out",
        ),
        (
            "is forgotten at disconnect",
            lockout_of_a_connection(),
            ENTRY + "test_only_time_and_a_right_proof_end_a_lockout",
        ),
    )
]


def for_any_purpose(secret: bytes, asked: challenge.Challenge, mac: bytes) -> bool:
    return any(challenge.verify(secret, replace(asked, purpose=purpose, session=b""), mac) for purpose in Purpose)


def in_any_order(progress, step: int, *, steps: int, window_ms: int, now_ms: int):
    done = 1 if progress is None else progress.done + 1
    if done >= steps:
        return sequence.Opens()
    return sequence.SequenceProgress(done=done, until_ms=now_ms + window_ms if progress is None else progress.until_ms)


def without_a_window(progress, step: int, *, steps: int, window_ms: int, now_ms: int):
    return sequence.advance(progress, step, steps=steps, window_ms=10**9, now_ms=now_ms)


PROOFS = [
    Fault(
        name="every MAC is right",
        parts=Components(mac=lambda *_: True),
        caught_by="device/server/test_gate.py::test_the_secret_is_needed",
    ),
    Fault(
        name="a MAC made for attaching enters",
        parts=Components(mac=for_any_purpose),
        caught_by="device/server/test_entering.py::test_attach_gives_the_session_to_its_owners_new_connection",
    ),
    Fault(
        name="a sequence in any order opens",
        parts=Components(advance=in_any_order),
        caught_by="device/server/test_entry_proofs.py::test_sequence_out_of_order",
    ),
    Fault(
        name="a sequence takes as long as it likes",
        parts=Components(advance=without_a_window),
        caught_by="device/server/test_entry_proofs.py::test_sequence_has_a_window",
    ),
]

FAULTS = [*DOOR, *WAY, *QUEUES, *HEARING, *NONCE, *LOCKOUTS, *PROOFS]
