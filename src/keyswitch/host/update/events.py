"""What a run tells while it goes: values for a terminal, for JSON lines, for the evidence."""

from dataclasses import dataclass

from keyswitch.host.connect.verdict import Verdict
from keyswitch.host.update.job import Result
from keyswitch.host.update.steps import StepName
from keyswitch.host.upload.uploader import UploadProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBegun:
    """A step's act begins. Attributes: name: which; says: in words; at_ms: since the run's beginning."""

    name: StepName
    says: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """A step's proof holds now.

    Attributes:
        name: which.
        at_ms: since the run's beginning.
        duration_ms: of the act; None if nothing had to be done for it.
    """

    name: StepName
    at_ms: int
    duration_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """The act was done or given up and the proof does not hold; the run goes on from what the device really has.

    Attributes:
        name: which.
        at_ms: since the run's beginning.
        duration_ms: of the act.
        why: what stood in its way, or what is still not known of the device.
        refused: whether it was refused; else it was tried and is not done.
    """

    name: StepName
    at_ms: int
    duration_ms: int
    why: str
    refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictFound:
    """A verdict was found."""

    verdict: Verdict
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploading:
    """The upload moves."""

    progress: UploadProgress
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something that a person should read: a prompt, a warning."""

    text: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The run is over."""

    result: Result
    at_ms: int


Event = StepBegun | StepDone | StepFailed | VerdictFound | Uploading | Message | Ended
