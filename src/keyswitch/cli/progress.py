"""An update as people and scripts see it: lines and a bar on a terminal, or one JSON object a line."""

import json
import sys
from collections.abc import Callable
from typing import Any

import click

from keyswitch.host.account import slots_of
from keyswitch.host.events import Ended, Event, Judged, Said, StepBegun, StepDone, StepMissed, Uploading
from keyswitch.host.job import Result
from keyswitch.host.upload import Progress
from keyswitch.host.verdict import Verdict
from keyswitch.host.views import SlotView

Show = Callable[[Event], None]


def shown(*, as_json: bool, quiet: bool) -> Show:
    """How events are shown."""
    if as_json:
        return _show_json
    return _show_result_only if quiet else Terminal().show


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as `status --json` prints it."""
    return {
        "gate": verdict.gate.value,
        "reason": verdict.reason.value if verdict.reason else None,
        "detail": verdict.detail,
        "next_step": verdict.next_step or None,
        "mode": verdict.mode,
        "image_group": verdict.image_group,
    }


def result_json(result: Result) -> dict[str, Any]:
    """The last line of `update --json`."""
    return {
        "event": "result",
        "outcome": result.outcome.value,
        "detail": result.detail,
        "reason": result.reason.value if result.reason else None,
        "next_step": result.next_step or None,
        "seconds": result.duration_ms / 1000,
        "upload_bytes_per_second": result.upload.bytes_per_second if result.upload else None,
        "resumed": result.resumed,
        "before": slots_of(result.before),
        "after": slots_of(result.after),
    }


def event_json(event: Event) -> dict[str, Any]:
    """An event as one JSON object; `event` names it."""
    match event:
        case StepBegun():
            return {"event": "step begun", "step": event.name.value, "says": event.says, "at_ms": event.at_ms}
        case StepDone():
            return {
                "event": "step done",
                "step": event.name.value,
                "at_ms": event.at_ms,
                "duration_ms": event.duration_ms,
            }
        case StepMissed():
            return {
                "event": "step missed",
                "step": event.name.value,
                "at_ms": event.at_ms,
                "duration_ms": event.duration_ms,
                "why": event.why,
            }
        case Judged():
            return {"event": "verdict", "at_ms": event.at_ms, **verdict_json(event.verdict)}
        case Uploading():
            return {"event": "progress", "at_ms": event.at_ms, **_progress_json(event.progress)}
        case Said():
            return {"event": "said", "at_ms": event.at_ms, "text": event.text}
        case Ended():
            return result_json(event.result)


def _progress_json(progress: Progress) -> dict[str, Any]:
    return {
        "off": progress.off,
        "size": progress.size,
        "upload_bytes_per_second": progress.bytes_per_second,
        "remaining_ms": progress.remaining_ms,
    }


def _show_json(event: Event) -> None:
    click.echo(json.dumps(event_json(event)))


def _show_result_only(event: Event) -> None:
    if isinstance(event, Ended):
        click.echo(event.result.line)


class Terminal:
    """Lines for people. The bar of an upload is drawn on a terminal only; elsewhere every tenth is a line."""

    def __init__(self) -> None:
        self._interactive = sys.stdout.isatty()
        self._bar = False
        self._tenth = -1

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Uploading):
            self._draw(event.progress)
            return
        self._end_bar()
        line = self._line(event)
        if line:
            click.echo(line)

    def _line(self, event: Event) -> str:
        match event:
            case StepDone(duration_ms=int(duration_ms)):
                return f"{_at(event.at_ms)}  {event.name.value:<24} done in {duration_ms / 1000:.2f} s"
            case StepDone():
                return f"{_at(event.at_ms)}  {event.name.value:<24} holds"
            case StepMissed():
                return f"{_at(event.at_ms)}  {event.name.value:<24} not yet: {event.why}"
            case Judged():
                return f"{_at(event.at_ms)}  gate {event.verdict.line}"
            case Said():
                return f"{_at(event.at_ms)}  {event.text}"
            case Ended():
                return _result_lines(event.result)
            case _:
                return ""

    def _draw(self, progress: Progress) -> None:
        tenth = 10 * progress.off // progress.size
        if not self._interactive:
            if tenth > self._tenth:
                self._tenth = tenth
                click.echo(f"           {_progress_line(progress)}")
            return
        filled = 30 * progress.off // progress.size
        click.echo(f"\r           [{'#' * filled}{'.' * (30 - filled)}] {_progress_line(progress)}\x1b[K", nl=False)
        self._bar = True

    def _end_bar(self) -> None:
        if self._bar:
            click.echo()
            self._bar = False


def _at(at_ms: int) -> str:
    return f"{at_ms / 1000:8.2f} s"


def _progress_line(progress: Progress) -> str:
    left = "" if progress.remaining_ms is None else f", {progress.remaining_ms / 1000:.0f} s left"
    percent = 100 * progress.off // progress.size
    return f"{percent:3d} % of {progress.size:,} bytes, {progress.bytes_per_second / 1000:.1f} kB/s{left}"


def _result_lines(result: Result) -> str:
    lines = [f"{result.outcome.value}" + (f": {result.detail}" if result.detail else "")]
    if result.next_step:
        lines.append(f"next: {result.next_step}")
    if result.upload is not None:
        upload = result.upload
        lines.append(f"uploaded {upload.size:,} bytes at {upload.bytes_per_second / 1000:.1f} kB/s")
    lines += [f"slot {view.slot}: {view.version} {view.hash.hex()[:16]}{_flags(view)}" for view in result.after or ()]
    return "\n".join(lines)


def _flags(view: SlotView) -> str:
    names = [name for name in ("active", "confirmed", "pending", "permanent") if getattr(view, name)]
    return f" ({', '.join(names)})" if names else ""
