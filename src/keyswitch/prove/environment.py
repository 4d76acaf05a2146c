"""Everything that can happen around a gate: what people, peers, sensors, time and the power line do next.

A move is what the world does; `prove.successors` says what comes of it. Inputs have one value for each set of guards
that it makes true; every time limit that runs may end; power may be cut at any moment, and between any two writes to
flash.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, assert_never

from keyswitch.gate import events as on
from keyswitch.gate.events import Event
from keyswitch.gate.peer import Peer
from keyswitch.gate.record import SessionRecord
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.enums import ProofKind, SessionRule
from keyswitch.policy.firmware_commands import FIRMWARE_COMMANDS
from keyswitch.policy.model import Input, Mode, OnButton, OnEnter, Policy, Value
from keyswitch.prove.input_values import Inputs
from keyswitch.prove.world import FIRST, NEW, OFF_BLE, OTHER, SECOND, Pending, World
from keyswitch.smp.commands import CommandKey, resolve
from keyswitch.terms import Security, Transport

Detail = str | int | bool | None

BOOT: Final = "boot"
POWER_CUT: Final = "power_cut"
FIRMWARE_COMMAND: Final = "firmware_command"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """What another firmware left in flash. Attributes: as in `World`."""

    record: SessionRecord | None
    pending: Pending
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
    left: LeftBehind | None = None


def name_of(event: Event) -> str | None:  # noqa: C901, PLR0911, PLR0912 - a table
    """The word in traces for an event; None: it is no move.

    An event that is not here does not type-check: whoever adds one decides whether it is explored.
    """
    match event:
        case on.Booted():
            return BOOT
        case on.Connected():
            return "connect"
        case on.Disconnected():
            return "disconnect"
        case on.InputChanged():
            return "input"
        case on.ButtonHeld():
            return "button"
        case on.EnterProved():
            return "enter"
        case on.AttachProved():
            return "attach"
        case on.LeaveAsked():
            return "leave"
        case on.Expired():
            return "expired"
        case on.UploadStarted():
            return "upload"
        case on.UploadEnded():
            return "upload_ended"
        case on.ArmAsked():
            return "arm"
        case on.ResetAsked():
            return "reset"
        case on.ConfirmAsked():
            return "confirm"
        case on.SelfConfirmed():
            return "self_confirm"
        case on.FirmwareCommand():
            return FIRMWARE_COMMAND
        case on.ArmFailed():
            return None  # what comes of an arming: `prove.successors`
        case on.ExtendAsked() | on.CommandServed():
            return None  # they start time limits again, and every limit that runs may end at any moment
        case _:
            assert_never(event)


def _of(
    event: Event,
    *,
    words: str,
    details: tuple[tuple[str, Detail], ...] = (),
    command: CommandKey | None = None,
    peer: Peer | None = None,
) -> Move:
    name = name_of(event)
    assert name is not None  # noqa: S101 - no other events are made here
    return Move(name=name, details=details, event=event, command=command, peer=peer, words=words)


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
UPLOAD_ENDS: Final = _of(on.UploadEnded(), words="the upload is complete or given up")
SELF_CONFIRM: Final = _of(on.SelfConfirmed(), words="the application confirms itself")


class Space:
    """One policy's moves. Moves are made once: the explorer meets each of them in thousands of worlds.

    Attributes:
        changes: for each input, what happens when it comes to lie in each of its regions.
    """

    def __init__(self, policy: Policy, inputs: Inputs) -> None:
        self.policy = policy
        self.peers = _peers(policy)
        ways = policy.transitions
        self.buttons = {mode: self._buttons(mode) for mode in policy.modes}
        self.enters = {mode: self._enters(mode) for mode in policy.modes}
        self.changes = tuple(
            self._changes(each, values) for each, values in zip(policy.inputs, inputs.values, strict=True)
        )
        self.keyed = any(isinstance(way.trigger, OnEnter) and way.trigger.proofs for way in ways)
        permits = any(isinstance(way.trigger, OnEnter) and ProofKind.PERMIT in way.trigger.proofs for way in ways)
        self.images = (NEW, OTHER) if permits else (NEW,)
        # Where no trailer arms an image, the upload's end does (`device.server.handlers.upload`), and for good.
        by_trailer = policy.bootloader.algorithm.armed_by_trailer
        self.arming = STATE_WRITE if by_trailer else UPLOAD
        self.for_good = (False, True) if by_trailer else (False,)
        self.uploads = policy.bootloader.algorithm is not Algorithm.SINGLE_SLOT
        self.connects = {peer.id: _told(on.Connected(peer=peer.id), peer, "connects") for peer in self._ble()}
        self.disconnects = {peer.id: _told(on.Disconnected(peer=peer.id), peer, "is gone") for peer in self._ble()}
        self.expiries = {
            timer: _of(
                on.Expired(timer=timer),
                details=(("timer", timer.value),),
                words=f"time passes: {timer.value.replace('_', ' ')}",
            )
            for timer in on.Timer
        }
        self.commands = {peer.id: self._commands(peer) for peer in self.peers}
        self.firmware = {mode.name: self._firmware(mode) for mode in policy.modes.values()}
        levels = frozenset(way.security for way in ways)
        self.attaches = {
            peer.id: tuple(_asked(on.AttachProved(peer=link), link, ATTACH) for link in _links(peer, levels))
            for peer in self.peers
        }

    def _ble(self) -> Iterator[Peer]:
        return (peer for peer in self.peers if peer.transport is Transport.BLE)

    def moves(self, world: World) -> Iterator[Move]:
        """Everything that can happen next, before the gate has its say; inputs that change (`changes`) apart."""
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
            yield from self.firmware[world.gate.mode].get(peer.id, ())

    # --- moves made once ---

    def _buttons(self, mode: str) -> tuple[Move, ...]:
        triggers = (way.trigger for way in self.policy.ways(mode, OnButton))
        holds = sorted({trigger.hold_ms for trigger in triggers if isinstance(trigger, OnButton)})
        return tuple(
            _of(
                on.ButtonHeld(hold_ms=hold_ms),
                details=(("hold_ms", hold_ms),),
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

    def _changes(self, each: Input, values: tuple[Value | None, ...]) -> tuple[Move, ...]:
        return tuple(
            _of(
                on.InputChanged(name=each.name, value=value),
                details=(("input", each.name), ("value", value)),
                words=f"{each.name} {'can no longer be read' if value is None else f'becomes {str(value).lower()}'}",
            )
            for value in values
        )

    def _firmware(self, mode: Mode) -> dict[int, tuple[Move, ...]]:
        """Any other command that can change firmware, where it makes a difference that one was executed.

        The door looks at nothing of it but whether the mode serves it: one stands for all.
        """
        served = sorted(mode.allow & FIRMWARE_COMMANDS.keys())
        if mode.quiet_after_ms is None or not served:
            return {}
        return {peer.id: (_asked(on.FirmwareCommand(peer=peer), peer, served[0]),) for peer in self.peers}

    def _commands(self, peer: Peer) -> tuple[Move, ...]:
        pairs = range(len(self.policy.bootloader.pairs))
        several: dict[int, tuple[tuple[str, Detail], ...]] = {
            pair: (("pair", pair),) if len(pairs) > 1 else () for pair in pairs
        }
        arms = [
            _asked(
                on.ArmAsked(peer=peer, image=image, permanent=permanent, pair=pair),
                peer,
                self.arming,
                (("image", image.decode()), ("permanent", permanent), *several[pair]),
            )
            for pair in pairs
            for image in self.images
            for permanent in self.for_good
        ]
        begins = [_asked(on.UploadStarted(peer=peer, pair=pair), peer, UPLOAD, several[pair]) for pair in pairs]
        return (
            _asked(on.LeaveAsked(peer=peer), peer, LEAVE),
            *((*begins, *arms) if self.uploads else ()),
            _asked(on.ResetAsked(peer=peer), peer, RESET),
            *[_asked(on.ConfirmAsked(peer=peer, pair=pair), peer, STATE_WRITE, several[pair]) for pair in pairs],
        )


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


def _told(event: Event, peer: Peer, does: str) -> Move:
    return _of(event, details=(("peer", peer.id),), words=f"{named(peer)} {does}")


_DOES: Final[dict[str | None, str]] = {
    "attach": "attaches to the session",
    "leave": "asks to leave",
    "upload": "uploads",
    "reset": "asks for a reset",
    FIRMWARE_COMMAND: "sends a command that can change firmware, which fails",
    "confirm": "confirms the running image",
}


def _asked(event: Event, peer: Peer, command: CommandKey, details: tuple[tuple[str, Detail], ...] = ()) -> Move:
    given = dict(details)
    number = f" {given['pair']}" if "pair" in given else ""
    does = (
        _DOES.get(name_of(event))
        or f"arms the {given['image']} image{number} {'for good' if given['permanent'] else 'for a trial'}"
    )
    if number and isinstance(event, on.UploadStarted | on.ConfirmAsked):
        does = (
            f"uploads image{number}" if isinstance(event, on.UploadStarted) else f"confirms the running image{number}"
        )
    return _of(
        event,
        details=(*_who(peer), *details),
        command=command,
        peer=peer,
        words=f"{named(peer)} {does}",
    )


def _enter(peer: Peer, to: str, proof: ProofKind | None, images: frozenset[bytes] | None) -> Move:
    limit = "" if images is None else " for one image"
    by = "without a proof" if proof is None else f"by {proof.value}{limit}"
    return _of(
        on.EnterProved(peer=peer, to=to, proof=proof, images=images),
        details=(
            *_who(peer),
            ("to", to),
            ("proof", None if proof is None else proof.value),
            ("limited", images is not None),
        ),
        command=ENTER,
        peer=peer,
        words=f"{named(peer)} enters {to} {by}",
    )
