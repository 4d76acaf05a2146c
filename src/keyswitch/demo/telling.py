"""Three ways to tell the story: to a person, to a machine, and hardly at all."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from keyswitch.demo.scene import (
    BeginsJson,
    DemoProgressJson,
    DemoStepResult,
    StepEndedJson,
    StepProvedJson,
    Summary,
    Teller,
)
from keyswitch.host.upload.uploader import UploadProgress
from keyswitch.schema.output import to_line


class Person:
    """For a terminal: each scene with what was tried, what was expected, what came back; a bar while an upload runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def begins(self, name: str, tried: str, expected: str) -> None:
        """A scene begins."""
        self._console.print(f"\n[bold]{name}[/bold]", highlight=False)
        self._line("tried", tried)
        self._line("expected", expected)

    def progress(self, progress: UploadProgress) -> None:
        """Move the bar; the first bytes make it appear."""
        if self._bar is None:
            self._bar = Bar(
                TextColumn("  uploading"),
                BarColumn(bar_width=40),
                TextColumn("{task.percentage:>3.0f} %"),
                TransferSpeedColumn(),
                TextColumn("{task.fields[left]}"),
                console=self._console,
                transient=True,
                disable=not self._console.is_terminal,
            )
            self._task = self._bar.add_task("upload", total=progress.size, left="")
            self._bar.start()
        left = "" if progress.remaining_ms is None else f"{progress.remaining_ms / 1000:.1f} s left"
        assert self._task is not None  # noqa: S101 - made with the bar
        self._bar.update(self._task, completed=progress.off, left=left)
        if progress.off >= progress.size:
            self._end_bar()

    def step(self, text: str) -> None:
        """A step of an update is proved."""
        self._end_bar()
        self._line("", f"· {text}")

    def ends(self, played: DemoStepResult) -> None:
        """A scene has been played."""
        self._end_bar()
        mark = "[green]ok[/green]" if played.observed.ok else "[bold red]FAILED[/bold red]"
        self._line("observed", played.observed.text)
        self._console.print(f"  {'':9}{mark} ({played.duration_ms / 1000:.1f} s)", highlight=False)

    def summary(self, summary: Summary) -> None:
        """What was proved, and how fast."""
        wrong = [scene.name for scene in summary.scenes if not scene.observed.ok]
        rate, bound = summary.upload_bytes_per_second, summary.link_bound_bytes_per_second
        share = f"{100 * rate / bound:.0f} %" if bound else "?"
        lines = [
            f"{len(summary.scenes) - len(wrong)} of {len(summary.scenes)} steps went as expected"
            + (f"; not: {', '.join(wrong)}" if wrong else ""),
            f"image {summary.image_bytes} bytes, uploaded at {rate / 1000:.1f} kB/s",
            f"that is {share} of the link's bound of {bound / 1000:.1f} kB/s ({summary.air})",
            f"all of it in {summary.duration_ms / 1000:.1f} s",
        ]
        self._console.print()
        for line in lines:
            self._console.print(line, highlight=False, markup=False)

    def _line(self, label: str, text: str) -> None:
        self._console.print(f"  {label:9}{text}", highlight=False, markup=False, soft_wrap=True)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class MachineTeller:
    """One JSON object a line; the last one is the summary."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begins(self, name: str, tried: str, expected: str) -> None:
        """A scene begins."""
        begins: BeginsJson = {"event": "begins", "name": name, "tried": tried, "expected": expected}
        self._print(begins)

    def progress(self, progress: UploadProgress) -> None:
        """An upload moves."""
        moved: DemoProgressJson = {
            "event": "progress",
            "off": progress.off,
            "size": progress.size,
            "upload_bytes_per_second": progress.bytes_per_second,
            "remaining_ms": progress.remaining_ms,
        }
        self._print(moved)

    def step(self, text: str) -> None:
        """A step of an update is proved."""
        proved: StepProvedJson = {"event": "step", "name": text}
        self._print(proved)

    def ends(self, played: DemoStepResult) -> None:
        """A scene has been played."""
        ended: StepEndedJson = {"event": "step_ended", **played.as_json(), "duration_ms": played.duration_ms}
        self._print(ended)

    def summary(self, summary: Summary) -> None:
        """The last line."""
        self._print(summary.as_json())

    def _print(self, event: Mapping[str, Any]) -> None:
        self._console.out(to_line(event), highlight=False)


class Quiet(Person):
    """The summary alone, and what went wrong."""

    def begins(self, name: str, tried: str, expected: str) -> None:
        """Say nothing."""

    def progress(self, progress: UploadProgress) -> None:
        """Say nothing."""

    def step(self, text: str) -> None:
        """Say nothing."""

    def ends(self, played: DemoStepResult) -> None:
        """Speak up only where something is wrong."""
        if not played.observed.ok:
            super().begins(played.name, played.tried, played.expected)
            super().ends(played)


def teller(console: Console, *, as_json: bool, quiet: bool) -> Teller:
    """The one that was asked for."""
    if as_json:
        return MachineTeller(console)
    return Quiet(console) if quiet else Person(console)
