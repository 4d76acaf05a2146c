"""What happened at the device, as values: what it reports, what the panel's log and the event log hold.

Rules kept here:

* An event is made where the decision is taken: by the door, by the check of proofs, by the machine's step.
* It holds no secret: no proof, nonce, key or token; a permit is named by its id, a holder by the id of its key.
* Nothing is made of an allowed command as such, so that serving a frame costs nothing here.
* An event's fields are its keys in JSON (`to_json`): whoever changes one obeys `keyswitch.schema.output`.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, assert_never, cast

from keyswitch.gate import events as on
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState
from keyswitch.policy.enums import ProofKind
from keyswitch.proof.challenge import Purpose
from keyswitch.reasons import Reason
from keyswitch.terms import Security, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Which peer it was, as the device knows it.

    Attributes:
        peer: its number, never reused while the device process runs.
        transport: how it reached the device.
        security: how its link was protected.
    """

    peer: int
    transport: Transport
    security: Security


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRefused:
    """A command was not executed. Attributes: command: its name; mode: the device's at that moment."""

    NAME: ClassVar = "command-refused"
    command: str
    reason: Reason
    detail: str
    mode: str
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class ActRefused:
    """The gate refused what was done at the device itself. Attributes: act: `button` or `confirm`."""

    NAME: ClassVar = "act-refused"
    act: str
    reason: Reason
    detail: str
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofWrong:
    """A proof did not hold.

    Attributes:
        kind: of proof; None: one that this way does not take.
        why: what was wrong with it. Only the log has it; the peer is told that it was wrong.
        purpose: entering or attaching.
        to: the mode asked for.
        failures: wrong ones of this kind in a row, with this one; 0: it is not counted.
    """

    NAME: ClassVar = "proof-wrong"
    kind: ProofKind | None
    why: str
    purpose: Purpose
    to: str
    failures: int
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedOut:
    """From now on this kind of proof is not heard for `for_ms`, after so many wrong ones in a row."""

    NAME: ClassVar = "locked-out"
    kind: ProofKind
    failures: int
    for_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A maintenance session began.

    Attributes:
        mode: the maintenance mode.
        before: the mode before.
        proof: the kind that opened it; None: nobody had to prove anything.
        cause: what set it off.
        permit: id of the permit, where one was used.
        holder: id of its holder's key.
        by: who asked; None: nobody did (a button, an input).
    """

    NAME: ClassVar = "entered"
    mode: str
    before: str
    proof: ProofKind | None
    cause: str
    permit: str | None
    holder: str | None
    by: By | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTaken:
    """A session that was there has a new owner, who proved itself. Attributes as in `Entered`."""

    NAME: ClassVar = "session-taken"
    mode: str
    proof: ProofKind | None
    purpose: Purpose
    permit: str | None
    holder: str | None
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResumed:
    """A session went on after the reset of its own. Attributes: trial: what runs is on trial."""

    NAME: ClassVar = "session-resumed"
    mode: str
    proof: ProofKind | None
    trial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A maintenance session ended, or has only its revert left. Attributes: to: the mode afterwards; cause: why."""

    NAME: ClassVar = "left"
    mode: str
    to: str
    cause: str
    by: By | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadBegan:
    """Firmware is being written into a slot. Attributes: size: of the whole file in bytes."""

    NAME: ClassVar = "upload-began"
    image: int
    slot: int
    size: int
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadDone:
    """A whole file lies in the slot. Attributes: sha256: of it, computed where the client named one; else empty."""

    NAME: ClassVar = "upload-done"
    image: int
    slot: int
    size: int
    sha256: str
    match: bool | None
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotErased:
    """A slot was erased."""

    NAME: ClassVar = "slot-erased"
    image: int
    slot: int
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageArmed:
    """An image is to boot next. Attributes: written: its trailer is in flash; else it is remembered until the reset."""

    NAME: ClassVar = "image-armed"
    image: int
    hash: str
    permanent: bool
    written: bool
    by: By | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDisarmed:
    """What was to boot next no longer is, and no reset has taken it up."""

    NAME: ClassVar = "image-disarmed"
    image: int
    hash: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetGranted:
    """A peer's reset was granted."""

    NAME: ClassVar = "reset-granted"
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSwapped:
    """The bootloader put another image into place. Attributes: swap: how; trial: it reverts unless confirmed."""

    NAME: ClassVar = "image-swapped"
    image: int
    version: str | None
    hash: str
    swap: str
    trial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReverted:
    """The bootloader took a trial back: this image runs again."""

    NAME: ClassVar = "image-reverted"
    image: int
    version: str | None
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfirmed:
    """The running image stays. Attributes: by: who asked; None: the application itself."""

    NAME: ClassVar = "image-confirmed"
    image: int
    hash: str
    by: By | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSet:
    """A peer set the clock that `os.datetime` tells; nothing is judged by it. Attributes: to: as it was written."""

    NAME: ClassVar = "clock-set"
    to: str
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """So many more events of a kind happened and were not recorded one by one. Attributes: over_ms: since when."""

    NAME: ClassVar = "suppressed"
    of: str
    count: int
    over_ms: int


DeviceEvent = (
    CommandRefused
    | ActRefused
    | ProofWrong
    | LockedOut
    | Entered
    | SessionTaken
    | SessionResumed
    | Left
    | UploadBegan
    | UploadDone
    | SlotErased
    | ImageArmed
    | ImageDisarmed
    | ResetGranted
    | ImageSwapped
    | ImageReverted
    | ImageConfirmed
    | ClockSet
    | Suppressed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootedImage:
    """What the bootloader did for one image pair.

    Attributes:
        image: which pair.
        version: of what runs; None: nothing does.
        hash: of what runs.
        swap: what was carried out.
        trial: it reverts unless it is confirmed.
        reverted: an unconfirmed trial was taken back.
        why: in words, one line a step.
    """

    image: int
    version: str | None
    hash: str
    swap: str
    trial: bool
    reverted: bool
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BootDecided:
    """The bootloader has decided. Attributes: runs: whether there is something to run; images: one for each pair."""

    NAME: ClassVar = "boot"
    runs: bool
    images: tuple[BootedImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReady:
    """Everything listens; what is not served is null.

    Attributes:
        mode: the device's; None: nothing runs.
        ble: HCI transport of the radio, or of the virtual air.
        udp: `HOST:PORT`.
        serial: path of the port.
        name: of the device.
        address: of the radio.
    """

    NAME: ClassVar = "ready"
    mode: str | None
    ble: str | None
    udp: str | None
    serial: str | None
    name: str
    address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMode:
    """The mode is another one."""

    NAME: ClassVar = "mode"
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InhibitChanged:
    """The application must stop something, or may have it back. Attributes: names: what it must not do now."""

    NAME: ClassVar = "inhibit"
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConnected:
    """A peer has come. Attributes: peer: its number, never reused while the device process runs."""

    NAME: ClassVar = "connected"
    transport: Transport
    peer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDisconnected:
    """A peer has gone."""

    NAME: ClassVar = "disconnected"
    transport: Transport
    peer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetBegan:
    """The device resets itself."""

    NAME: ClassVar = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLost:
    """A port was unplugged, or is not there at a boot after that."""

    NAME: ClassVar = "transport-lost"
    transport: Transport
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsLeftOut:
    """The output takes lines again after it was full. Attributes: events: how many were not told."""

    NAME: ClassVar = "left-out"
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureEnded:
    """The capture's file takes no more."""

    NAME: ClassVar = "capture-ended"
    file: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnded:
    """The event log takes no more."""

    NAME: ClassVar = "log-ended"
    file: str
    why: str


LiveEvent = (
    BootDecided
    | DeviceReady
    | NewMode
    | InhibitChanged
    | PeerConnected
    | PeerDisconnected
    | ResetBegan
    | TransportLost
    | EventsLeftOut
    | CaptureEnded
    | LogEnded
)
"""What is told as it happens and not kept in the event log, but for a boot."""


def to_json(event: DeviceEvent | LiveEvent) -> dict[str, Any]:
    """The event as an object of plain JSON values, with `event` first."""
    return {"event": event.NAME, **{key: _plain(value) for key, value in asdict(event).items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in cast("Iterable[Any]", value)]
    if isinstance(value, Security):
        return value.word
    return value.value if isinstance(value, StrEnum) else value


def by(peer: Peer) -> By:
    """The peer as events name it."""
    return By(peer=peer.id, transport=peer.transport, security=peer.security)


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderCredential:
    """Whose permit it was that was proved.

    Attributes:
        permit: id of the permit.
        key: the holder's public key, to which the session belongs.
    """

    permit: bytes
    key: bytes

    @property
    def holder(self) -> str:
        """Names the holder's key in events, as `keyswitch permit show` does: the first 8 bytes of its SHA-256."""
        return hashlib.sha256(self.key).digest()[:8].hex()


def of_step(
    before: GateState,
    after: GateState,
    event: on.Event,
    running: tuple[str, ...],
    credential: HolderCredential | None,
) -> tuple[DeviceEvent, ...]:
    """What one step of the machine did, as far as anybody would ask for it later.

    Args:
        before: the state before the step.
        after: the state after it.
        event: that was not refused.
        running: hash of the image that runs, for each image pair, hexadecimal.
        credential: what a permit has shown, where one came with the event.
    """
    cause, who = _cause(event)
    found: list[DeviceEvent] = []
    if isinstance(event, on.Booted):
        return _resumed(after) if event.record is not None else _opened(before.mode, after, cause, None, None)
    was_open, is_open = _is_open(before), _is_open(after)
    found += _marks(before, after, cause, who)
    if isinstance(event, on.ResetAsked) and not before.reset_pending:
        found.append(ResetGranted(by=by(event.peer)))
    if isinstance(event, on.ConfirmAsked | on.SelfConfirmed):
        confirmed = sorted(before.on_trial - after.on_trial)
        found += [ImageConfirmed(image=pair, hash=_of(running, pair), by=who) for pair in confirmed]
    if was_open and (not is_open or before.mode != after.mode):
        found.append(Left(mode=before.mode, to=after.mode, cause=cause, by=who))
    if not was_open or before.mode != after.mode:
        found += _opened(before.mode, after, cause, who, credential)
    elif isinstance(event, on.EnterProved | on.AttachProved) and is_open:
        found.append(_taken(after, event, credential))
    return tuple(found)


def _marks(before: GateState, after: GateState, cause: str, who: By | None) -> Iterator[DeviceEvent]:
    """What is to boot next now, and what no longer is."""
    marked = {each.pair for each in before.armed}
    for each in after.armed:
        if each.pair not in marked:
            yield ImageArmed(
                image=each.pair, hash=each.image.hex(), permanent=each.permanent, written=each.written, by=who
            )
    for each in before.armed:
        if after.armed_of(each.pair) is None:
            yield ImageDisarmed(image=each.pair, hash=each.image.hex(), cause=cause)


def _of(hashes: tuple[str, ...], pair: int) -> str:
    return hashes[pair] if pair < len(hashes) else ""


def _is_open(state: GateState) -> bool:
    return state.session is not None and not state.session.ending


def _resumed(after: GateState) -> tuple[DeviceEvent, ...]:
    if after.session is None or after.session.ending:
        return ()
    return (SessionResumed(mode=after.mode, proof=after.session.proof, trial=after.trial),)


def _opened(
    before: str, after: GateState, cause: str, who: By | None, credential: HolderCredential | None
) -> tuple[DeviceEvent, ...]:
    if after.session is None or after.session.ending:
        return ()
    return (
        Entered(
            mode=after.mode,
            before=before,
            proof=after.session.proof,
            cause=cause,
            permit=None if credential is None else credential.permit.hex(),
            holder=None if credential is None else credential.holder,
            by=who,
        ),
    )


def _taken(
    after: GateState, event: on.EnterProved | on.AttachProved, credential: HolderCredential | None
) -> SessionTaken:
    attaching = isinstance(event, on.AttachProved)
    session = after.session
    opened_by = None if session is None else session.proof
    return SessionTaken(
        mode=after.mode,
        proof=opened_by if isinstance(event, on.AttachProved) else event.proof,
        purpose=Purpose.ATTACH if attaching else Purpose.ENTER,
        permit=None if credential is None else credential.permit.hex(),
        holder=None if credential is None else credential.holder,
        by=by(event.peer),
    )


_CAUSES: Final[dict[type[on.Event], str]] = {
    on.Booted: "boot",
    on.Connected: "a central connected",
    on.Disconnected: "a peer has gone",
    on.UploadEnded: "the upload ended",
    on.ArmFailed: "the slot does not hold the image that was armed",
    on.SelfConfirmed: "the application",
}


def _cause(event: on.Event) -> tuple[str, By | None]:
    """What set the step off, in words, and which peer it was."""
    match event:
        case (
            on.EnterProved(peer=peer)
            | on.AttachProved(peer=peer)
            | on.LeaveAsked(peer=peer)
            | on.ExtendAsked(peer=peer)
            | on.UploadStarted(peer=peer)
            | on.ArmAsked(peer=peer)
            | on.ResetAsked(peer=peer)
            | on.ConfirmAsked(peer=peer)
            | on.FirmwareCommand(peer=peer)
            | on.CommandServed(peer=peer)
        ):
            return "request", by(peer)
        case on.InputChanged(name=name, value=value):
            return f"input {name} is {'unreadable' if value is None else str(value).lower()}", None
        case on.ButtonHeld(hold_ms=hold_ms):
            return f"button held for {hold_ms} ms", None
        case on.Expired(timer=timer):
            return f"time limit: {timer.value}", None
        case on.Booted() | on.Connected() | on.Disconnected() | on.UploadEnded() | on.ArmFailed() | on.SelfConfirmed():
            return _CAUSES[type(event)], None
        case _:
            assert_never(event)
