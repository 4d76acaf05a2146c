"""Everything that can happen around a gate: what people, peers, sensors, time and the power line do next.

A move is what the world does; `prove.effects` says what comes of it. Inputs have one value for each set of guards that
it makes true; every time limit that runs may end; power may be cut at any moment, and between any two writes to flash.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from keyswitch.gate import events as on
from keyswitch.gate.events import Event
from keyswitch.gate.peer import Peer
from keyswitch.gate.record import SessionRecord
from keyswitch.policy.model import INT_MAX, INT_MIN, Guard, Input, OnButton, OnEnter, Policy, Value
from keyswitch.policy.words import InputType, ProofKind, SessionRule
from keyswitch.prove.world import FIRST, NEW, OFF_BLE, OTHER, SECOND, World
from keyswitch.smp.commands import CommandKey, resolve
from keyswitch.terms import Security, Transport

Detail = str | int | bool | None

BOOT: Final = "boot"
POWER_CUT: Final = "power_cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What another firmware left in flash. Attributes: as in `World`."""

    record: SessionRecord | None
    pending: tuple[bytes, bool] | None
    blank: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One thing that happens.

    Attributes:
        name: the word in traces.
        details: what belongs to it, by name.
        event: what the machine is told; None: the machine is not told.
        command: the command by which the peer asks, if it does; the gate is asked about it first.
        peer: who asks.
        words: the same for people.
        left: what another firmware left in flash, with which the device comes up.
    """

    name: str
    details: tuple[tuple[str, Detail], ...] = ()
    event: Event | None = None
    command: CommandKey | None = None
    peer: Peer | None = None
    words: str
    left: Left | None = None


def _only(pattern: str) -> CommandKey:
    (key,) = resolve(pattern)
    return key


ENTER: Final = _only("mode.enter")
ATTACH: Final = _only("mode.attach")
LEAVE: Final = _only("mode.leave")
UPLOAD: Final = _only("image.upload")
STATE_WRITE: Final = _only("image.state:write")
RESET: Final = _only("os.reset")

LOCK: Final = Move(name="wrong_proofs", words="wrong proofs lock entry out")
UNLOCK: Final = Move(name="lockout_over", words="the lock-out is over")
CUT: Final = Move(name=POWER_CUT, words="the power is cut")
COME_UP: Final = Move(name=BOOT, words="the device comes up")
UPLOAD_ENDS: Final = Move(name="upload_ended", event=on.UploadEnded(), words="the upload is complete or given up")
SELF_CONFIRM: Final = Move(name="self_confirm", event=on.SelfConfirmed(), words="the application confirms itself")


class Space:
    """One policy's moves. Moves are made once: the explorer meets each of them in thousands of worlds."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.peers = _peers(policy)
        ways = policy.transitions
        self.buttons = {mode: self._buttons(mode) for mode in policy.modes}
        self.enters = {mode: self._enters(mode) for mode in policy.modes}
        self.inputs = tuple(self._input(place, each) for place, each in enumerate(policy.inputs))
        self.keyed = any(isinstance(way.trigger, OnEnter) and way.trigger.proofs for way in ways)
        permits = any(isinstance(way.trigger, OnEnter) and ProofKind.PERMIT in way.trigger.proofs for way in ways)
        self.images = (NEW, OTHER) if permits else (NEW,)
        self.connects = {
            peer.id: _told(on.Connected(peer=peer.id), peer, "connect", "connects") for peer in self._ble()
        }
        self.disconnects = {
            peer.id: _told(on.Disconnected(peer=peer.id), peer, "disconnect", "is gone") for peer in self._ble()
        }
        self.expiries = {
            timer: Move(
                name="expired",
                details=(("timer", timer.value),),
                event=on.Expired(timer=timer),
                words=f"time passes: {timer.value.replace('_', ' ')}",
            )
            for timer in on.Timer
        }
        self.commands = {peer.id: self._commands(peer) for peer in self.peers}
        levels = frozenset(way.security for way in ways)
        self.attaches = {
            peer.id: tuple(_asked(on.AttachProved(peer=link), link, ATTACH, "attach") for link in _links(peer, levels))
            for peer in self.peers
        }

    def _ble(self) -> Iterator[Peer]:
        return (peer for peer in self.peers if peer.transport is Transport.BLE)

    def moves(self, world: World) -> Iterator[Move]:
        """Everything that can happen next, before the gate has its say."""
        if world.off:
            yield COME_UP
            return
        yield from self._around(world)
        yield from self._by_peers(world)
        if world.gate.upload is not None:
            yield UPLOAD_ENDS
        if world.gate.trial:
            yield SELF_CONFIRM
        yield CUT

    def present(self, world: World) -> Iterator[Peer]:
        """The peers that can speak now."""
        return (peer for peer in self.peers if peer.id == OFF_BLE or peer.id in world.gate.connections)

    def _around(self, world: World) -> Iterator[Move]:
        connections = world.gate.connections
        for peer, connect in self.connects.items():
            if peer not in connections:
                yield connect
                break
        for peer in connections:
            yield self.disconnects[peer]
        for place, moves in enumerate(self.inputs):
            now = world.gate.inputs[place]
            yield from (move for value, move in moves if value != now)
        yield from self.buttons[world.gate.mode]
        yield from (self.expiries[timer] for timer in sorted(world.timers))
        if self.keyed and world.gate.session is None:
            yield UNLOCK if world.locked else LOCK

    def _by_peers(self, world: World) -> Iterator[Move]:
        session = world.gate.session
        for peer in self.present(world):
            if not world.locked:
                yield from self.enters[world.gate.mode][peer.id]
            owned = session is not None and self.policy.modes[world.gate.mode].session is SessionRule.OWNER
            if owned and session is not None and session.proof not in {None, ProofKind.BUTTON}:
                yield from self.attaches[peer.id]
            yield from self.commands[peer.id]

    # --- moves made once ---

    def _buttons(self, mode: str) -> tuple[Move, ...]:
        triggers = (way.trigger for way in self.policy.ways(mode, OnButton))
        holds = sorted({trigger.hold_ms for trigger in triggers if isinstance(trigger, OnButton)})
        return tuple(
            Move(
                name="button",
                details=(("hold_ms", hold_ms),),
                event=on.ButtonHeld(hold_ms=hold_ms),
                words=f"the button is held for {hold_ms / 1000:g} s",
            )
            for hold_ms in holds
        )

    def _enters(self, mode: str) -> dict[int, tuple[Move, ...]]:
        asked: dict[tuple[str, ProofKind | None, frozenset[bytes] | None], None] = {}
        for way in self.policy.ways(mode, OnEnter):
            if isinstance(way.trigger, OnEnter):
                for proof in way.trigger.proofs or (None,):
                    asked[way.target, proof, None] = None
                    if proof is ProofKind.PERMIT:
                        asked[way.target, proof, frozenset({NEW})] = None
        return {
            peer.id: tuple(
                _enter(link, *each) for each in asked for link in _links(peer, _levels(self.policy, each[0]))
            )
            for peer in self.peers
        }

    def _input(self, place: int, each: Input) -> tuple[tuple[Value, Move], ...]:
        guards = [guard for way in self.policy.transitions for guard in way.when if guard.index == place]
        return tuple(
            (
                value,
                Move(
                    name="input",
                    details=(("input", each.name), ("value", value)),
                    event=on.InputChanged(name=each.name, value=value),
                    words=f"{each.name} becomes {str(value).lower()}",
                ),
            )
            for value in regions(each, guards)
        )

    def _commands(self, peer: Peer) -> tuple[Move, ...]:
        arms = [
            _asked(
                on.ArmAsked(peer=peer, image=image, permanent=permanent),
                peer,
                STATE_WRITE,
                "arm",
                (("image", image.decode()), ("permanent", permanent)),
            )
            for image in self.images
            for permanent in (False, True)
        ]
        return (
            _asked(on.LeaveAsked(peer=peer), peer, LEAVE, "leave"),
            _asked(on.UploadStarted(peer=peer), peer, UPLOAD, "upload"),
            *arms,
            _asked(on.ResetAsked(peer=peer), peer, RESET, "reset"),
            _asked(on.ConfirmAsked(peer=peer), peer, STATE_WRITE, "confirm"),
        )


def regions(each: Input, guards: list[Guard]) -> tuple[Value, ...]:
    """One value of the input for each set of guards that a value makes true; its initial value among them.

    An input that no guard asks about has one value: it makes no difference.
    """
    if each.type is InputType.BOOL:
        candidates: list[Value] = [False, True]
    else:
        constants = sorted({int(guard.value) for guard in guards})
        near = (value for constant in constants for value in (constant - 1, constant, constant + 1))
        candidates = [value for value in near if INT_MIN <= value <= INT_MAX] or [0]
    if each.initial is not None:
        candidates.insert(0, each.initial)
    found: dict[tuple[bool, ...], Value] = {}
    for value in candidates:
        found.setdefault(tuple(guard.holds(value) for guard in guards), value)
    return tuple(found.values())


def _peers(policy: Policy) -> tuple[Peer, ...]:
    """Two centrals, as well secured as a link can be, and one peer off BLE, which is never secured."""
    transports = policy.smp.transports
    off = [each for each in transports if each is not Transport.BLE]
    centrals = [
        Peer(id=each, transport=Transport.BLE, security=Security.AUTHENTICATED)
        for each in (FIRST, SECOND)
        if Transport.BLE in transports
    ]
    return (*centrals, *(Peer(id=OFF_BLE, transport=each) for each in off[:1]))


def _links(peer: Peer, asked: frozenset[Security]) -> tuple[Peer, ...]:
    """The same peer with each security of its link that can be told apart where these levels are asked for.

    The best one first. Only entering and attaching need this: they are not judged by the mode's level. Every other
    command of a weaker link can but be refused by the door, and the machine does not look at the link again.
    """
    if peer.transport is not Transport.BLE:
        return (peer,)
    # Between two levels that are asked for, all are alike; the weakest of them stands for them.
    weaker = (level for level in {Security.NONE, *asked} if any(level < each for each in asked))
    return (peer, *(replace(peer, security=level) for level in sorted(weaker, reverse=True)))


def _levels(policy: Policy, target: str) -> frozenset[Security]:
    """What is asked of whoever takes a way into this mode, and of whoever is in it."""
    ways = (way.security for way in policy.transitions if way.target == target)
    return frozenset({policy.modes[target].security, *ways})


def named(peer: Peer) -> str:
    """Who it is, in words."""
    if peer.transport is not Transport.BLE:
        return f"a peer on {peer.transport.value}"
    link = "" if peer.security is Security.AUTHENTICATED else f' on a link of security "{peer.security.word}"'
    return f"central {peer.id}{link}"


def _who(peer: Peer) -> tuple[tuple[str, Detail], ...]:
    """The peer in a trace. A central's link is authenticated where nothing else is said."""
    weak = peer.transport is Transport.BLE and peer.security is not Security.AUTHENTICATED
    security: tuple[tuple[str, Detail], ...] = (("security", peer.security.word),) if weak else ()
    return (("peer", peer.id), ("transport", peer.transport.value), *security)


def _told(event: Event, peer: Peer, name: str, does: str) -> Move:
    return Move(name=name, details=(("peer", peer.id),), event=event, words=f"{named(peer)} {does}")


_DOES: Final = {
    "attach": "attaches to the session",
    "leave": "asks to leave",
    "upload": "uploads",
    "reset": "asks for a reset",
    "confirm": "confirms the running image",
}


def _asked(
    event: Event, peer: Peer, command: CommandKey, name: str, details: tuple[tuple[str, Detail], ...] = ()
) -> Move:
    given = dict(details)
    does = _DOES.get(name) or f"arms the {given['image']} image {'for good' if given['permanent'] else 'for a trial'}"
    return Move(
        name=name,
        details=(*_who(peer), *details),
        event=event,
        command=command,
        peer=peer,
        words=f"{named(peer)} {does}",
    )


def _enter(peer: Peer, to: str, proof: ProofKind | None, images: frozenset[bytes] | None) -> Move:
    limit = "" if images is None else " for one image"
    by = "without a proof" if proof is None else f"by {proof.value}{limit}"
    return Move(
        name="enter",
        details=(
            *_who(peer),
            ("to", to),
            ("proof", None if proof is None else proof.value),
            ("limited", images is not None),
        ),
        event=on.EnterProved(peer=peer, to=to, proof=proof, images=images),
        command=ENTER,
        peer=peer,
        words=f"{named(peer)} enters {to} {by}",
    )
