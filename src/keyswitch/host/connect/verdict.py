"""The verdict: would the device take an update now, if not why, and what to do. Found out without changing anything.

Rules:

* What the device says of its own gate counts; what is only visible (a service, an advertisement) does not open it.
* Reading is all that is done, but for one upload request for an offset that cannot be: every server answers it with the
  offset that it wants, or with a refusal, and writes nothing (Zephyr `img_mgmt_upload`). A refusal tells that the gate
  is shut; an offset does not tell that every chunk is taken: Zephyr asks its hook for chunks (`DFU_CHUNK`) once the
  offset was found right. So where nothing but that answer says open, the verdict says what it rests on.
* Unknown is said where it is: an answer that fits nothing is not bent into a yes or a no.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from keyswitch.errors import LinkLostError, RemoteError
from keyswitch.host.connect.endpoint import Connection, NotPairedError
from keyswitch.host.smp.client import SilenceError
from keyswitch.host.smp.queries import ModeState, SlotInfo, mode_if_any, read_slots
from keyswitch.host.smp.reply import Answer, Refusal, split_reason
from keyswitch.link.ports import GattRefused
from keyswitch.reasons import FalseGuard, Reason, detail_words
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image

PROBE_OFFSET: Final = 0x7FFF_FFFF
"""No image is that large, so no session wants this offset; it still fits the 32 bits of small servers."""


PROBED: Final = "by a probe alone: a hook for uploads may still refuse"
"""What an open gate rests on where the device has no mode group to say it."""


class Gate(StrEnum):
    """Whether an update would be taken now."""

    OPEN = "open"
    SHUT = "shut"
    UNKNOWN = "unknown"


NEXT_STEP: Final = {
    Reason.WRONG_MODE: "put the device into maintenance mode, or let the update enter it (--policy or --recipe)",
    Reason.GUARD: "make it so, then run the same command again",
    Reason.PROOF: "use the key or permit that belongs to this device",
    Reason.EXPIRED: "enter maintenance mode again: the permission or session is over",
    Reason.LOCKED_OUT: "wait until the lock-out is over, or use the device's button",
    Reason.OWNER: "ask whoever has the session to leave, or wait for the end of its lease",
    Reason.SECURITY: "pair with the device first (--pair)",
    Reason.BUSY: "wait until the other upload is done and try again",
    Reason.IMAGE: "use an image that this device accepts",
    Reason.SIZE: "use an image that fits the slot",
    Reason.TRAILER: "sign the image without --pad: it must not bring its own trailer",
    Reason.DOWNGRADE: "use a newer version",
    Reason.NOT_ON_THIS_SERVICE: "enter maintenance mode and use the SMP service",
    Reason.NO_SERVICE: "put the device into its update mode (button, or a --recipe), then look again",
    Reason.NO_IMAGE_GROUP: "the running program takes no images: start its firmware loader or recovery (--recipe)",
    Reason.VETO: "the application refuses uploads: ask its maker what it waits for",
    Reason.SILENCE: "reconnect; if it stays silent, power-cycle the device",
    Reason.NO_SLOT: "confirm what runs on trial, or reset the device; then run the same command again",
}
"""What a person can do about it, who has given nothing yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the person has given, so that no advice asks for it again.

    Attributes:
        option: the option that says how maintenance is entered, `--policy` or `--recipe`; empty if none was given.
        pair: whether the link is paired (`--pair`).
        radio: whether the device is reached over Bluetooth LE.
    """

    option: str = ""
    pair: bool = False
    radio: bool = True


def next_step(reason: Reason, given: Given) -> str:
    """What a person can do who has given that: nothing that they have done, or that their line does not have."""
    match reason:
        case Reason.WRONG_MODE if given.option:
            return "bring the device into a mode that maintenance is entered from, then run the same command again"
        case Reason.SECURITY if not given.radio:
            return "use Bluetooth LE with --pair: this line cannot be protected"
        case Reason.SECURITY if given.pair:
            return "remove the bond on both sides and pair again: this pairing protects less than the device asks for"
        case Reason.NO_SERVICE | Reason.NO_IMAGE_GROUP if given.option == "--recipe":
            return "check that this recipe is for this device: look what it does after a reset"
        case Reason.NO_SERVICE if given.option == "--policy":
            return "check the target: a device that obeys a policy shows its mode service"
        case Reason.NO_IMAGE_GROUP if given.option == "--policy":
            return "check the target: a device that obeys a policy takes images in maintenance mode"
        case _:
            return NEXT_STEP[reason]


def unreached(given: Given) -> str:
    """What a person can do where the device was not reached."""
    if given.radio:
        return "check that it is powered, near, and connected to nobody else; then run the same command again"
    return "check that it is powered, and that the target is right; then run the same command again"


def advised(reason: Reason | None, step: str, given: Given) -> str:
    """A next step for this person: advice that was meant for everybody gives way to what fits what they have given."""
    return next_step(reason, given) if reason is not None and step in {"", NEXT_STEP[reason]} else step


NOT_PAIRED_STEP: Final = "check the passkey; if one side has forgotten the other, remove the bond on both sides"
"""What a person can do where pairing was tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found out.

    Attributes:
        gate: the answer.
        reason: why it is shut; None where it is open or nothing fits.
        detail: which guard, until when, which code: what belongs behind the reason, or what an open gate rests on.
        guard: the condition that is not true, where the device says it in our words.
        next_step: what to do, in words; empty where it is open.
        mode: name of the device's mode, None if it does not tell.
        image_group: whether the device serves the image group; None if that could not be seen.
        state: the mode group's whole answer, if there was one.
        slots: what lies in the slots, if that was told.
    """

    gate: Gate
    reason: Reason | None = None
    detail: str = ""
    guard: FalseGuard | None = None
    next_step: str = ""
    mode: str | None = None
    image_group: bool | None = None
    state: ModeState | None = None
    slots: tuple[SlotInfo, ...] | None = None

    @property
    def line(self) -> str:
        """What is, in one line; what to do stands beside it."""
        why = ": ".join(part for part in (self.reason.value if self.reason else "", self.detail) if part)
        return f"{self.gate.value}{f' ({why})' if why else ''}"


async def probe_gate(connection: Connection) -> Verdict:
    """Ask the device behind `connection`.

    Raises:
        LinkLostError: the connection ended meanwhile. (A device that is only silent gets a verdict.)
    """
    seen = Verdict(gate=Gate.UNKNOWN)
    try:
        state = await mode_if_any(connection.mode)
        seen = replace(seen, mode=state.mode if state else None, state=state)
        if state is not None and not state.open:
            return _shut(seen, *_split(state.reason, Reason.WRONG_MODE))
        if connection.smp is None:
            return _unseen(seen, connection.trouble)
        slots = await read_slots(connection.smp)
        if isinstance(slots, Refusal):
            return judge(seen, slots)
        seen = replace(seen, image_group=True, slots=slots)
        return judge(seen, await _probe(connection)) if state is None else replace(seen, gate=Gate.OPEN)
    except SilenceError as error:
        return await _diagnose(connection, seen, str(error))
    except RemoteError as error:
        return replace(seen, detail=str(error), next_step=TELL)


def verdict_of_failed_connect(error: RemoteError) -> Verdict:
    """The verdict on a device that answers, and with which no connection could be made ready."""
    unknown = Verdict(gate=Gate.UNKNOWN, detail=str(error), next_step=TELL)
    if isinstance(error, NotPairedError):
        return replace(_shut(unknown, Reason.SECURITY, str(error)), next_step=NOT_PAIRED_STEP)
    if isinstance(error, GattRefused) and error.wants_security:
        return _shut(unknown, Reason.SECURITY, str(error))
    return unknown


def judge(seen: Verdict, reply: Answer | Refusal) -> Verdict:
    """What an answer to an image command means for the gate."""
    if isinstance(reply, Answer):
        return replace(seen, gate=Gate.OPEN, detail=PROBED)
    if reply.is_rc(Rc.ENOTSUP):
        return _shut(replace(seen, image_group=False), Reason.NO_IMAGE_GROUP)
    if reply.reason is not None:
        return _shut(seen, *_split(reply.text, reply.reason))
    if reply.is_rc(Rc.EACCESSDENIED) or reply.group is not None:
        return _shut(seen, Reason.VETO, str(reply))
    if reply.is_rc(Rc.EBUSY):
        return _shut(seen, Reason.BUSY, reply.text)
    return replace(seen, detail=f"the device answers {reply}", next_step=_LOOK)


TELL: Final = "tell the device's maker that it breaks the protocol"

_LOOK: Final = "look into the device's log: this answer is none that a gate gives"


async def _probe(connection: Connection) -> Answer | Refusal:
    """Ask for an upload at an offset that no session wants; writes nothing."""
    assert connection.smp is not None  # noqa: S101 - for the type checker; the only caller has asked it already
    return await connection.smp.write(image.ID, image.Id.UPLOAD, {"off": PROBE_OFFSET, "data": b""})


def _unseen(seen: Verdict, trouble: RemoteError | None) -> Verdict:
    """The device shows no SMP service, or refuses it to us."""
    return _shut(seen, Reason.NO_SERVICE) if trouble is None else _refused_request(seen, trouble)


async def _diagnose(connection: Connection, seen: Verdict, silence: str) -> Verdict:
    """A device was silent: a request that must be answered says why."""
    if connection.closed is not None:
        raise LinkLostError(f"the link is gone: {connection.closed}")
    if connection.heal is None:
        return replace(seen, reason=Reason.SILENCE, detail=silence, next_step=NEXT_STEP[Reason.SILENCE])
    try:
        await connection.heal()
    except RemoteError as error:
        return _refused_request(seen, error)
    detail = f"{silence}, though the subscription is in order"
    return replace(seen, reason=Reason.SILENCE, detail=detail, next_step=NEXT_STEP[Reason.SILENCE])


def _refused_request(seen: Verdict, error: RemoteError) -> Verdict:
    """A GATT request that was refused: only security can be told from it, all else is a table that has changed."""
    wants_security = isinstance(error, GattRefused) and error.wants_security
    return _shut(seen, Reason.SECURITY if wants_security else Reason.SILENCE, str(error))


def _split(said: str, otherwise: Reason) -> tuple[Reason, str]:
    """The reason and what belongs behind it, from a device that speaks our words."""
    reason, detail = split_reason(said)
    return reason or otherwise, detail


def _shut(seen: Verdict, reason: Reason, detail: str = "") -> Verdict:
    guard = FalseGuard.parse(detail) if reason is Reason.GUARD else None
    words = detail_words(reason, detail)
    return replace(seen, gate=Gate.SHUT, reason=reason, detail=words, guard=guard, next_step=NEXT_STEP[reason])
