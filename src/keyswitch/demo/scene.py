"""The words of the demo: a scene is tried, something is observed, and that was as expected, or not."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypedDict, TypeVar

from keyswitch.host.upload.uploader import UploadProgress

Stage = TypeVar("Stage")


class BeginsJson(TypedDict):
    """A step of the story begins."""

    event: str
    name: str
    tried: str
    expected: str


class DemoProgressJson(TypedDict):
    """An upload moves."""

    event: str
    off: int
    size: int
    upload_bytes_per_second: int
    remaining_ms: int | None


class StepProvedJson(TypedDict):
    """A step of an update is proved."""

    event: str
    name: str


class DemoStepJson(TypedDict):
    """One step of the story, as the summary has it."""

    name: str
    expected: str
    observed: str
    ok: bool


class StepEndedJson(DemoStepJson):
    """A step of the story is over."""

    event: str
    duration_ms: int


class SummaryJson(TypedDict):
    """The last line. `seconds` is `duration_ms` in seconds."""

    event: str
    ok: bool
    image_bytes: int
    duration_ms: int
    seconds: float
    upload_bytes_per_second: int
    link_bound_bytes_per_second: int
    steps: list[DemoStepJson]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What came back. Attributes: text: in one line; ok: whether that was expected."""

    text: str
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStep(Generic[Stage]):
    """One step of the story."""

    name: str
    tried: str
    expected: str
    act: Callable[[Stage], Awaitable[Observed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStepResult:
    """One scene, played."""

    name: str
    tried: str
    expected: str
    observed: Observed
    duration_ms: int

    def as_json(self) -> DemoStepJson:
        """For the summary."""
        return {
            "name": self.name,
            "expected": self.expected,
            "observed": self.observed.text,
            "ok": self.observed.ok,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The whole demo.

    Attributes:
        scenes: in order.
        image_bytes: size of the image that was installed.
        duration_ms: of everything.
        upload_bytes_per_second: of the first upload; 0 if there was none.
        link_bound_bytes_per_second: the most that the modelled link could have carried.
        air: the air's settings, as written.
    """

    scenes: tuple[DemoStepResult, ...]
    image_bytes: int
    duration_ms: int
    upload_bytes_per_second: int
    link_bound_bytes_per_second: int
    air: str

    @property
    def ok(self) -> bool:
        """Whether every scene went as expected."""
        return all(scene.observed.ok for scene in self.scenes)

    def as_json(self) -> SummaryJson:
        """The last line of `keyswitch demo --json`."""
        return {
            "event": "summary",
            "ok": self.ok,
            "image_bytes": self.image_bytes,
            "duration_ms": self.duration_ms,
            "seconds": round(self.duration_ms / 1000, 3),
            "upload_bytes_per_second": self.upload_bytes_per_second,
            "link_bound_bytes_per_second": self.link_bound_bytes_per_second,
            "steps": [scene.as_json() for scene in self.scenes],
        }


class Teller(Protocol):
    """Who shows the story."""

    def begins(self, name: str, tried: str, expected: str) -> None:
        """A scene begins."""
        ...

    def progress(self, progress: UploadProgress) -> None:
        """An upload moves."""
        ...

    def step(self, text: str) -> None:
        """Something within a scene is done."""
        ...

    def ends(self, played: DemoStepResult) -> None:
        """A scene has been played."""
        ...

    def summary(self, summary: Summary) -> None:
        """The story is over."""
        ...
