"""The words of the policy language: each enum's value is what stands in the file."""

from enum import StrEnum


class InputType(StrEnum):
    """What values an input takes."""

    BOOL = "bool"
    INT = "int"


class Compare(StrEnum):
    """How a guard compares its input with its constant."""

    __hash__ = str.__hash__  # as the word that it equals, and not in Python: the prover looks it up by the thousand

    EQUAL = "=="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


class ProofKind(StrEnum):
    """How somebody shows that maintenance is meant. The value is the word in policies and on the wire."""

    __hash__ = str.__hash__  # as the word that it equals, and not in Python: the prover looks it up by the thousand

    SEQUENCE = "sequence"
    """Commands in order within a time window; no key. Guards against accident only."""
    CHALLENGE = "challenge"
    """HMAC-SHA256 with a shared secret over the device's fresh nonce."""
    PERMIT = "permit"
    """A signed permission and its holder's signature over the device's fresh nonce."""
    BUTTON = "button"
    """A person at the device. Never asked for over the air; belongs to `on = "button"` transitions."""


class SessionRule(StrEnum):
    """Who may use a maintenance session."""

    ANYONE = "anyone"
    OWNER = "owner"
    """Only the peer that entered; after a reconnect it proves itself again (`attach`)."""


class Others(StrEnum):
    """What happens to other connected centrals when one asks for maintenance."""

    REFUSE = "refuse"
    DISCONNECT = "disconnect"


class WhenFalse(StrEnum):
    """What happens when a guard of the entry turns false during the session. Safety inputs always mean `LEAVE`."""

    LEAVE = "leave"
    HOLD = "hold"
    """Leave when the running upload has ended; at once if none runs."""


class Visibility(StrEnum):
    """How the SMP service is shown on BLE, or closed where it is shown. No promise of the gate rests on it."""

    RECONNECT = "reconnect"
    """The table changes only while nobody is connected."""
    LIVE = "live"
    """The table changes at once, with Service Changed."""
    ALWAYS = "always"
    """The table never changes."""
    AUTHORIZE = "authorize"
    """The table never changes; outside maintenance each access to the SMP characteristic is refused (error 0x08)."""

    @property
    def sentence(self) -> str:
        """What it is for whoever connects, in one sentence."""
        match self:
            case Visibility.RECONNECT:
                return "The service is there in maintenance only; entering ends the connection, and every client copes."
            case Visibility.LIVE:
                return "The service comes and goes under a connection; clients must watch Service Changed."
            case Visibility.ALWAYS:
                return "The service is there in every mode, and commands alone are refused."
            case Visibility.AUTHORIZE:
                return "The service is there in every mode, and refuses every access outside maintenance; no reconnect."


class Identity(StrEnum):
    """Which BLE identity the device has in maintenance."""

    SAME = "same"
    SECOND = "second"
    """One more persistent address with its own bonds, so that no cached table is in the way."""


class UploadRest(StrEnum):
    """What becomes of a half-done upload when maintenance ends."""

    DISCARD = "discard"
    KEEP = "keep"
    """The bytes stay in the slot; the upload session itself ends all the same."""


class Arm(StrEnum):
    """When the trailer that makes the bootloader swap is written."""

    LATE = "late"
    """As the last act before the session's own reset."""
    EARLY = "early"
    """At the state write, as Zephyr does; a power cut after it swaps outside the session."""


class Confirm(StrEnum):
    """Who makes a new image stay."""

    OPERATOR = "operator"
    SELF = "self"
    """The application itself."""
    EITHER = "either"


class Clock(StrEnum):
    """Whether the device knows the time well enough to judge a permit's validity."""

    TRUSTED = "trusted"
    NONE = "none"
    """Validity in time is not judged; each permit counts its uses instead."""


class TriggerWord(StrEnum):
    """What sets a transition off."""

    ENTER = "enter"
    LEAVE = "leave"
    BUTTON = "button"
    INPUT = "input"
    TIMEOUT = "timeout"
    CONNECT = "connect"
    DISCONNECT = "disconnect"
    RESET = "reset"
