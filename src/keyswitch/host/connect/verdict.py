"""The verdict: would the device take an update now, if not why, and what to do. What was seen goes in, no device.

Rules (who asks the device is `keyswitch.host.connect.probe`):

* What the device says of its own gate counts; what is only visible (a service, an advertisement) does not open it.
* A refused upload tells that the gate is shut; an offset does not tell that every chunk is taken: Zephyr asks its hook
  for chunks (`DFU_CHUNK`) once the offset was found right. So where nothing but that answer says open, the verdict says
  what it rests on.
* Unknown is said where it is: an answer that fits nothing is not bent into a yes or a no.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from keyswitch.errors import Phrase, RemoteError
from keyswitch.host.smp.queries import ModeState, SlotInfo
from keyswitch.host.smp.reply import Answer, Refusal, split_reason
from keyswitch.link.ports import GattRefused, PairingError, PairingFailure
from keyswitch.reasons import FalseGuard, Reason, detail_words
from keyswitch.smp.codes import Rc

PROBED: Final = "by a probe alone: a hook for uploads may still refuse"
"""What an open gate rests on where the device has no mode group to say it."""


class Gate(StrEnum):
    """Whether an update would be taken now."""

    OPEN = "open"
    SHUT = "shut"
    UNKNOWN = "unknown"


NEXT_STEP: Final = {
    Reason.WRONG_MODE: Phrase(
        "put the device into maintenance mode, or let the update enter it ({policy} or {recipe})"
    ),
    Reason.GUARD: "make it so, then run the same command again",
    Reason.PROOF: "use the key or permit that belongs to this device",
    Reason.EXPIRED: "enter maintenance mode again: the permission or session is over",
    Reason.LOCKED_OUT: "wait until the lock-out is over, or use the device's button",
    Reason.OWNER: "ask whoever has the session to leave, or wait for the end of its lease",
    Reason.SECURITY: Phrase("pair with the device first ({pair})"),
    Reason.BUSY: "wait until the other upload is done and try again",
    Reason.IMAGE: "use an image that this device accepts",
    Reason.SIZE: "use an image that fits the slot",
    Reason.TRAILER: "sign the image without padding (imgtool sign without --pad): it must not bring its own trailer",
    Reason.DOWNGRADE: "use a newer version",
    Reason.NOT_ON_THIS_SERVICE: "enter maintenance mode and use the SMP service",
    Reason.NO_SERVICE: Phrase("put the device into its update mode (button, or {recipe}), then look again"),
    Reason.NO_IMAGE_GROUP: Phrase(
        "the running program takes no images: start its firmware loader or recovery ({recipe})"
    ),
    Reason.VETO: "the application refuses uploads: ask its maker what it waits for",
    Reason.SILENCE: "reconnect; if it stays silent, power-cycle the device",
    Reason.NO_SLOT: "confirm what runs on trial, or reset the device; then run the same command again",
}
"""What a person can do about it, who has given nothing yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the person has given, so that no advice asks for it again.

    Attributes:
        entry: the field that says how maintenance is entered, `policy` or `recipe`; empty if none was given.
        pair: whether the link is paired.
        radio: whether the device is reached over Bluetooth LE.
    """

    entry: str = ""
    pair: bool = False
    radio: bool = True


def next_step(reason: Reason, given: Given) -> str:
    """What a person can do who has given that: nothing that they have done, or that their line does not have."""
    match reason:
        case Reason.WRONG_MODE if given.entry:
            return "bring the device into a mode that maintenance is entered from, then run the same command again"
        case Reason.SECURITY if not given.radio:
            return Phrase("use Bluetooth LE with {pair}: this line cannot be protected")
        case Reason.SECURITY if given.pair:
            return "remove the bond on both sides and pair again: this pairing protects less than the device asks for"
        case Reason.NO_SERVICE | Reason.NO_IMAGE_GROUP if given.entry == "recipe":
            return "check that this recipe is for this device: look what it does after a reset"
        case Reason.NO_SERVICE if given.entry == "policy":
            return "check the target: a device that obeys a policy shows its mode service"
        case Reason.NO_IMAGE_GROUP if given.entry == "policy":
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


AFTER_PAIRING: Final = {
    PairingFailure.NO_PASSKEY: Phrase("give the six digits that the device shows: type them when asked, or {passkey}"),
    PairingFailure.WRONG_PASSKEY: "compare the passkey with what the device shows now, and run the same command again",
    PairingFailure.NOT_NOW: "let the device take pairing (its pairing mode), then run the same command again",
    PairingFailure.TOO_OFTEN: "wait a minute without trying, then run the same command again",
    PairingFailure.FORGOTTEN: "remove the bond on this computer, then run the same command again: it pairs anew",
    PairingFailure.UNMET: Phrase("remove this computer's bond on the device; if it has none, give {passkey}"),
    PairingFailure.MOVED: "remove the bond on both sides, let the device keep its address over a reset, and pair again",
    PairingFailure.OTHER: "check the passkey; if one side has forgotten the other, remove the bond on both sides",
}
"""What a person can do where pairing was tried."""


TELL: Final = "tell the device's maker that it breaks the protocol"

_LOOK: Final = "look into the device's log: this answer is none that a gate gives"


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
    def why(self) -> str:
        """Why it is shut or not known, or what an open gate rests on; empty where nothing says it."""
        return ": ".join(part for part in (self.reason.value if self.reason else "", self.detail) if part)

    @property
    def line(self) -> str:
        """What is, in one line; what to do stands beside it."""
        return f"{self.gate.value}{f' ({self.why})' if self.why else ''}"


def verdict_of_failed_connect(error: RemoteError) -> Verdict:
    """The verdict on a device that answers, and with which no connection could be made ready."""
    unknown = Verdict(gate=Gate.UNKNOWN, detail=str(error), next_step=TELL)
    if isinstance(error, PairingError):
        return replace(_shut(unknown, Reason.SECURITY, str(error)), next_step=AFTER_PAIRING[error.failure])
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


def judge_own_word(seen: Verdict, state: ModeState) -> Verdict:
    """What the device says of its own gate."""
    return replace(seen, gate=Gate.OPEN) if state.open else _shut(seen, *_split(state.reason, Reason.WRONG_MODE))


def judge_no_service(seen: Verdict, trouble: RemoteError | None) -> Verdict:
    """The device shows no SMP service, or refuses it to us (`trouble`)."""
    return _shut(seen, Reason.NO_SERVICE) if trouble is None else judge_refused_request(seen, trouble)


def judge_silence(seen: Verdict, silence: str) -> Verdict:
    """The device was silent, and nothing that was asked says why. `silence`: to what, in words."""
    return replace(seen, reason=Reason.SILENCE, detail=silence, next_step=NEXT_STEP[Reason.SILENCE])


def judge_refused_request(seen: Verdict, error: RemoteError) -> Verdict:
    """A GATT request that was refused: what is missing can be told from it, all else is a table that has changed.

    Missing authorization is the application's refusal, as a code of its commands is: nothing can be sent now. Whether
    that is a gate, and what it waits for, nobody has said.
    """
    if isinstance(error, GattRefused) and error.wants_security:
        return _shut(seen, Reason.SECURITY, str(error))
    if isinstance(error, GattRefused) and error.not_authorized:
        return _shut(seen, Reason.VETO, f"{error}; nothing else says that a gate refuses")
    return _shut(seen, Reason.SILENCE, str(error))


def judge_broken_protocol(seen: Verdict, error: RemoteError) -> Verdict:
    """The device answered with what is no answer."""
    return replace(seen, detail=str(error), next_step=TELL)


def _split(said: str, otherwise: Reason) -> tuple[Reason, str]:
    """The reason and what belongs behind it, from a device that speaks our words."""
    reason, detail = split_reason(said)
    return reason or otherwise, detail


def _shut(seen: Verdict, reason: Reason, detail: str = "") -> Verdict:
    guard = FalseGuard.parse(detail) if reason is Reason.GUARD else None
    words = detail_words(reason, detail)
    return replace(seen, gate=Gate.SHUT, reason=reason, detail=words, guard=guard, next_step=NEXT_STEP[reason])
