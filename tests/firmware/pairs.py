"""Every (state, event) that the prover meets, and what else the world could tell the machine in these states."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from random import Random

from keyswitch.export.numbers import TIMERS
from keyswitch.gate import events as on
from keyswitch.gate.events import Event
from keyswitch.gate.machine import Step, initial, step
from keyswitch.gate.peer import Peer, Service
from keyswitch.gate.record import SessionRecord
from keyswitch.gate.state import GateState, PairImages, Session
from keyswitch.policy.enums import InputType, ProofKind
from keyswitch.policy.model import INT_MAX, INT_MIN, Input, OnButton, Policy, Value
from keyswitch.prove.explore import explore
from keyswitch.prove.input_values import Inputs
from keyswitch.prove.successors import Edge, GateUnderProof
from keyswitch.prove.world import FIRST, NEW, OFF_BLE, OTHER, SECOND
from keyswitch.smp.commands import ALL_KEYS
from keyswitch.terms import Security, Transport

MAX_STATES = 20_000
"""Of a policy's exploration; what lies beyond is counted as cut."""


@dataclass(slots=True)
class Found:
    """What the prover met. Attributes: cut: it did not see everything."""

    policy: Policy
    pairs: dict[tuple[GateState, Event], Step] = field(default_factory=dict)
    cut: bool = False

    @property
    def states(self) -> list[GateState]:
        """Each once, in the order in which they were met."""
        return list(dict.fromkeys(state for state, _ in self.pairs))

    @property
    def events(self) -> list[Event]:
        """Each once, in the order in which they were met."""
        return list(dict.fromkeys(event for _, event in self.pairs))


class _Nobody:
    def edge(self, before: int, edge: Edge) -> None:
        pass

    def world(self, place: int, edge: Edge) -> None:
        pass


def met(policy: Policy, max_states: int = MAX_STATES) -> Found:
    """Everything that the prover's exploration of this policy asks the machine."""
    found = Found(policy)

    def ask(_policy: Policy, state: GateState, event: Event) -> Step:
        done = step(_policy, state, event)
        found.pairs[state, event] = done
        return done

    graph = explore(Inputs(policy), GateUnderProof(step=ask), _Nobody(), max_states=max_states)
    found.cut = not graph.complete
    return found


def _peers() -> list[Peer]:
    ble = [Peer(id=each, transport=Transport.BLE, security=level) for each in (FIRST, SECOND) for level in Security]
    return [*ble, Peer(id=OFF_BLE, transport=Transport.UDP), Peer(id=FIRST, transport=Transport.BLE, door=Service.MODE)]


def values_of(policy: Policy, each: Input) -> list[Value | None]:
    """Values on both sides of each constant, the ends of an int, and the unknown one."""
    if each.type is InputType.BOOL:
        return [False, True, None]
    constants = {guard.value for way in policy.transitions for guard in way.when if guard.input == each.name}
    near = {constant + off for constant in constants for off in (-1, 0, 1)} | {0, INT_MIN, INT_MAX}
    return [*sorted(value for value in near if INT_MIN <= value <= INT_MAX), None]


def alphabet(policy: Policy) -> list[Event]:
    """Everything that can be told, likely or not: also what the door would have kept away."""
    pairs = range(len(policy.bootloader.pairs))
    events: list[Event] = [on.UploadEnded(), *(on.ArmFailed(pair=pair) for pair in pairs), on.SelfConfirmed()]
    events += [on.Expired(timer=timer) for timer in TIMERS]
    events += [kind(peer=each) for kind in (on.Connected, on.Disconnected) for each in (FIRST, SECOND, OFF_BLE)]
    for each in policy.inputs:
        events += [on.InputChanged(name=each.name, value=value) for value in values_of(policy, each)]
    holds = {way.trigger.hold_ms for way in policy.transitions if isinstance(way.trigger, OnButton)}
    events += [on.ButtonHeld(hold_ms=hold + off) for hold in {0, *holds} for off in (-1, 0, 1) if hold + off >= 0]
    for peer in _peers():
        events += [
            kind(peer=peer)
            for kind in (
                on.AttachProved,
                on.LeaveAsked,
                on.ExtendAsked,
                on.ResetAsked,
                on.CommandServed,
                on.FirmwareCommand,
            )
        ]
        events += [kind(peer=peer, pair=pair) for kind in (on.UploadStarted, on.ConfirmAsked) for pair in pairs]
        events += [
            on.ArmAsked(peer=peer, image=image, permanent=permanent, pair=pair)
            for pair in pairs
            for image in (NEW, OTHER)
            for permanent in (False, True)
        ]
        limits = (frozenset({NEW}), frozenset({NEW, OTHER}))
        proofs = [*((proof, None) for proof in (None, *ProofKind)), *((ProofKind.PERMIT, each) for each in limits)]
        events += [
            on.EnterProved(peer=peer, to=to, proof=proof, images=images)
            for to in (*policy.modes, "no-mode-of-this-policy")
            for proof, images in proofs
        ]
    running = (b"old",) * len(pairs)
    trials = [frozenset(pair for pair in pairs if bits >> pair & 1) for bits in range(1 << len(pairs))]
    events += [
        on.Booted(running=running, on_trial=trial, mode_before=before, blank=blank)
        for trial, before, blank in product(trials, (None, *policy.modes, "no-mode-of-this-policy"), (False, True))
    ]
    events += [
        on.Booted(record=record, running=running, waiting=waiting, on_trial=trial, inputs=inputs)
        for record in _records(policy)
        for trial in trials
        for waiting in _waiting(policy)
        for inputs in ((), tuple((each.name, values_of(policy, each)[0]) for each in policy.inputs))
    ]
    return events


def _records(policy: Policy) -> list[SessionRecord]:
    """What may have been left of each maintenance mode, by this policy and by another, for each proof."""
    return [
        SessionRecord(
            policy=digest,
            mode=mode.name,
            proof=proof,
            expected=expected,
            ending=ending,
            token=bytes(4),
            lease_ms=900,
            timeout_ms=700,
        )
        for mode in policy.modes.values()
        if mode.maintenance
        for proof in (None, *ProofKind)
        for digest in (policy.digest, b"\x77" * 32)
        for expected in ((), ((0, b"old"),), *_of_several(policy))
        for ending in (False, True)
    ]


def _of_several(policy: Policy) -> list[PairImages]:
    """What a record may expect of several image pairs."""
    pairs = range(len(policy.bootloader.pairs))
    each = [((pair, image),) for pair in pairs[1:] for image in (b"old", NEW)]
    return [*each, tuple((pair, b"old") for pair in pairs), tuple((pair, NEW) for pair in pairs)] if each else []


def _waiting(policy: Policy) -> list[PairImages]:
    """What may lie in the other slots of pairs that are only copied."""
    copied = [pair for pair, each in enumerate(policy.bootloader.pairs) if each.copied]
    return [(), *(((pair, image),) for pair in copied for image in (b"old", NEW))]


def everything(found: Found, max_pairs: int) -> Iterator[tuple[GateState, Event]]:
    """Every state that was met, with every event that was met anywhere, and with the whole alphabet.

    Coming up forgets the state before: two states are enough to see that. Where that is more than `max_pairs`, as many
    of them by chance, beside all that was met.
    """
    states, met = found.states, found.events
    if len(states) * len(met) > max_pairs:
        yield from some(found, max_pairs, Random(len(found.pairs)))
        return
    yield from again(found, Random(len(found.pairs)))
    told = list(dict.fromkeys((*met, *alphabet(found.policy))))
    boots = [event for event in told if isinstance(event, on.Booted)]
    others = [event for event in told if not isinstance(event, on.Booted)]
    for place, state in enumerate(states):
        for event in others:
            yield state, event
        for event in boots if place in {0, len(states) - 1} else ():
            yield state, event
            if found.policy.inputs:
                yield state, replace(event, inputs=())


def some(found: Found, count: int, chance: Random) -> Iterator[tuple[GateState, Event]]:
    """All that was met, and so many more of `everything`, also with other values of the inputs."""
    yield from found.pairs
    yield from again(found, chance)
    told = list(dict.fromkeys((*found.events, *alphabet(found.policy))))
    states = found.states
    values = [values_of(found.policy, each) for each in found.policy.inputs]
    several = range(len(found.policy.bootloader.pairs))
    for _ in range(count):
        state = chance.choice(states)
        if chance.random() < 0.5:
            state = replace(state, inputs=tuple(chance.choice(each) for each in values))
        if state.session is not None and chance.random() < 0.4:
            state = replace(state, session=_foreign(state.session, chance))
        if len(several) > 1 and chance.random() < 0.3:
            state = replace(state, armed=(), on_trial=frozenset(each for each in several if chance.random() < 0.5))
        yield state, chance.choice(told)


def again(found: Found, chance: Random) -> Iterator[tuple[GateState, Event]]:
    """Entering once more, with each limit of images, the session that has each of them."""
    limits = (None, *map(frozenset, ((), (NEW,), (OTHER,), (NEW, OTHER))))
    states = [state for state in found.states if state.session is not None]
    for state in chance.sample(states, min(len(states), 5)):
        assert state.session is not None
        for held, asked, proof in product(limits, limits, dict.fromkeys((state.session.proof, ProofKind.PERMIT))):
            session = replace(state.session, images=held)
            peer = Peer(id=FIRST, transport=Transport.BLE, security=Security.AUTHENTICATED)
            event = on.EnterProved(peer=peer, to=state.mode, proof=proof, images=asked)
            yield replace(state, session=session), event


def _foreign(session: Session, chance: Random) -> Session:
    """As of another policy: no single transition says what binds it, and any proof may have opened it."""
    images = chance.choice((None, frozenset({NEW}), frozenset({OTHER, NEW})))
    proof, idle_ms = chance.choice((None, *ProofKind)), chance.choice((None, 500))
    return replace(session, way=None, proof=proof, images=images, idle_ms=idle_ms)


# --- the door -------------------------------------------------------------------------------------------------------

COMMANDS = sorted((key.group, key.id, key.op) for key in ALL_KEYS) + [
    (group, each, op)
    for group, each in ((0, 0), (0, 5), (1, 1), (1, 31), (1, 32), (1, 33), (1, 255), (0x4B53, 6), (11, 0), (65535, 0))
    for op in range(8)
    if (group, each, op) not in ALL_KEYS
]
"""Every known command in each direction, and some that nobody knows."""


def door_states(policy: Policy, states: list[GateState]) -> list[GateState]:
    """One state for each thing that the door looks at: mode, session and owner, first trial, going down."""
    first = initial(policy)
    trial = replace(first, down=False, on_trial=frozenset({0}), first_trial=True)
    seen: dict[object, GateState] = {"first trial": trial}
    for mode in policy.modes:
        for state in states:
            owner = None if state.session is None else (state.session.owner,)
            for down in (False, True):
                changed = replace(state, mode=mode, down=down)
                seen.setdefault((mode, owner, state.first_trial, down), changed)
    return [*seen.values(), first]


def door_peers() -> list[Peer]:
    """Each peer with each security through each service."""
    return [
        Peer(id=each, transport=Transport.BLE, security=level, door=door)
        for each in (FIRST, SECOND)
        for level in Security
        for door in Service
    ]
