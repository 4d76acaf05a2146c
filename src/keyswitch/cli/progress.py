"""An update as people and scripts see it: lines and a bar on a terminal, or one JSON object a line."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import click

from keyswitch.app.json_output import event_json
from keyswitch.cli.fields import in_options, json_line
from keyswitch.cli.output import colour_of, echo
from keyswitch.host.smp.queries import SlotInfo
from keyswitch.host.update.events import Ended, Event, Message, StepBegun, StepDone, StepFailed, Uploading, VerdictFound
from keyswitch.host.update.job import Result, SentBytes
from keyswitch.host.update.steps import StepName
from keyswitch.host.upload.uploader import UploadProgress

Show = Callable[[Event], None]


SLOW_MS: Final = 2_000
"""A step that takes longer is named while it goes on; most are done in less."""

STILL_MS: Final = (10_000, 30_000, 60_000)
"""When a line says again that nothing has happened yet; from then on once in each `STILL_EACH_MS`."""

STILL_EACH_MS: Final = 60_000

STANDS_MS: Final = 5_000
"""How often what stands on a terminal says how long it has stood."""

CLEAR_LINE: Final = "\r\x1b[K"


def shown(*, as_json: bool, quiet: bool) -> Show:
    """How events are shown."""
    out = Out()
    if as_json:
        return lambda event: out.write(json_line(event_json(event)))
    return _result_only(out) if quiet else Terminal(out).show


class Out:
    """Writes while somebody reads. A run that has a device inside maintenance does not end because nobody does."""

    def __init__(self) -> None:
        self._read = True

    def write(
        self, text: str, *, end: bool = True, error: bool = False, anew: bool = False, colour: str | None = None
    ) -> None:
        """Write a line, or a part of one without its `end`; to stderr if it is to be seen beside results.

        `anew`: in place of what stands on the terminal's line; `colour`: as `echo` takes it.
        """
        if not self._read:
            return
        try:
            if anew:
                click.echo(CLEAR_LINE, nl=False, err=error)
            echo(text, end=end, err=error, colour=colour)
        except UnicodeError:
            echo(ascii(text), end=end, err=error)
        except OSError:
            if error:
                return
            self._read = False
            with suppress(OSError, ValueError):  # what is left in its buffer must not fail again when the program ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _result_only(out: Out) -> Show:
    def show(event: Event) -> None:
        match event:
            case Ended():
                out.write(event.result.line, colour=colour_of(event.result.outcome.exit_code))
                if event.result.next_step:
                    out.write(f"next: {in_options(event.result.next_step)}")
            case Message():
                out.write(event.text, error=True)
            case _:
                pass

    return show


class Terminal:
    """Lines for people.

    A terminal also shows the step that goes on, and the bar of an upload. Elsewhere a step is named once it is slow,
    and every tenth of an upload is a line. Either says how long nothing has happened.

    Args:
        out: where to.
    """

    def __init__(self, out: Out) -> None:
        self._out = out
        self._interactive = sys.stdout.isatty()
        self._bar = False
        self._noted = False
        self._slow: asyncio.TimerHandle | None = None
        self._tenth = -1
        self._size = 0

    def show(self, event: Event) -> None:
        """Show one event."""
        self._unnote()
        if isinstance(event, Uploading):
            self._draw(event.progress)
            self._watch(event)
            return
        self._end_bar()
        if isinstance(event, StepBegun):
            self._note(event)
            return
        for number, line in enumerate(self._lines(event)):
            self._out.write(line, colour=None if number else _colour(event))

    def _note(self, event: StepBegun) -> None:
        """Say what goes on, now or once it has become slow."""
        if self._interactive:
            self._noted = True
            note = f"{_at(event.at_ms)}  {event.name.value:<24} {event.says} …"
            self._write_note(note)
            self._tell_later(0, lambda waited_ms: self._write_note(note, f" {waited_ms // 1000} s", anew=True))
            return

        def tell(waited_ms: int) -> None:
            self._out.write(f"{_at(event.at_ms + waited_ms)}  {event.name.value:<24} still working: {event.says}")

        self._tell_later(0, tell)

    def _write_note(self, note: str, end: str = "", *, anew: bool = False) -> None:
        room = shutil.get_terminal_size().columns - 1 - len(end)
        self._out.write(f"{note[:room]}{end}", end=False, anew=anew)

    def _tell_later(self, waited_ms: int, tell: Callable[[int], None]) -> None:
        """Tell how long nothing has happened, again and again, until the next event."""
        if self._interactive:
            next_ms = waited_ms + STANDS_MS
        else:
            later = (next_ms for next_ms in (SLOW_MS, *STILL_MS) if next_ms > waited_ms)
            next_ms = next(later, waited_ms + STILL_EACH_MS)

        def due() -> None:
            tell(next_ms)
            self._tell_later(next_ms, tell)

        self._slow = asyncio.get_running_loop().call_later((next_ms - waited_ms) / 1000, due)

    def _unnote(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        if self._noted:
            self._out.write("", end=False, anew=True)
            self._noted = False

    def _lines(self, event: Event) -> list[str]:
        match event:
            case StepDone(duration_ms=int(duration_ms)):
                return [f"{_at(event.at_ms)}  {event.name.value:<24} done in {duration_ms / 1000:.2f} s"]
            case StepDone(name=StepName.HEALTH):  # with nothing to do, only where none was given
                return [f"{_at(event.at_ms)}  {event.name.value:<24} none was asked for"]
            case StepDone():
                return [f"{_at(event.at_ms)}  {event.name.value:<24} already done"]
            case StepFailed():
                end = "refused" if event.refused else "not done"
                return [f"{_at(event.at_ms)}  {event.name.value:<24} {end}: {event.why}"]
            case VerdictFound():
                verdict = event.verdict
                then = [f"            next: {in_options(verdict.next_step)}"] if verdict.next_step else []
                return [f"{_at(event.at_ms)}  gate {verdict.line}", *then]
            case Message():
                return [f"{_at(event.at_ms)}  {event.text}"]
            case Ended():
                return _result_lines(event.result)
            case _:
                return []

    def _draw(self, progress: UploadProgress) -> None:
        tenth = 10 * progress.off // progress.size
        if not self._interactive:
            # Less than before by more than what a loss takes back: another image.
            if progress.size != self._size or tenth < self._tenth - 1:
                self._size, self._tenth = progress.size, -1
            if tenth > self._tenth:
                self._tenth = tenth
                self._out.write(f"           {_progress_line(progress)}")
            return
        self._out.write(f"           {_bar(progress)} {_progress_line(progress)}", end=False, anew=True)
        self._bar = True

    def _watch(self, event: Uploading) -> None:
        """An upload that does not move says since when."""
        progress = event.progress
        if progress.off >= progress.size:
            return
        since = f"since {event.at_ms / 1000:.2f} s"

        def tell(waited_ms: int) -> None:
            if self._interactive:
                stands = f"{_percent(progress)}, no progress {since} ({waited_ms // 1000} s)"
                self._out.write(f"           {_bar(progress)} {stands}", end=False, anew=True)
            else:
                where = f"no progress at byte {progress.off:,} of {progress.size:,} {since}"
                self._out.write(f"{_at(event.at_ms + waited_ms)}  {StepName.UPLOAD.value:<24} {where}")

        self._tell_later(0 if self._interactive else SLOW_MS, tell)

    def _end_bar(self) -> None:
        if self._bar:
            self._out.write("")
            self._bar = False


def _colour(event: Event) -> str | None:
    """Of the first line of an event."""
    match event:
        case Ended():
            return colour_of(event.result.outcome.exit_code)
        case StepFailed(refused=True):
            return "red"
        case StepFailed() | Message():
            return "yellow"
        case _:
            return None


def _at(at_ms: int) -> str:
    return f"{at_ms / 1000:8.2f} s"


def _bar(progress: UploadProgress) -> str:
    filled = 30 * progress.off // progress.size
    return f"[{'#' * filled}{'.' * (30 - filled)}]"


def _percent(progress: UploadProgress) -> str:
    return f"{100 * progress.off // progress.size:3d} % of {progress.size:,} bytes"


def _progress_line(progress: UploadProgress) -> str:
    left = "" if progress.remaining_ms is None else f", {progress.remaining_ms / 1000:.0f} s left"
    return f"{_percent(progress)}, {progress.bytes_per_second / 1000:.1f} kB/s{left}"


def _result_lines(result: Result) -> list[str]:
    lines = [result.line]
    if result.next_step:
        lines.append(f"next: {in_options(result.next_step)}")
    if result.sent is not None:
        lines.append(_sent_line(result.sent))
    if result.not_read_since:
        lines.append(f"slots: not read since {result.not_read_since}")
    return [*lines, *slot_lines(result.after or ())]


def _sent_line(sent: SentBytes) -> str:
    there = f"; {sent.already_there:,} bytes were there already" if sent.already_there else ""
    return f"sent {sent.bytes:,} bytes at {sent.bytes_per_second / 1000:.1f} kB/s{there}"


def slot_lines(slots: tuple[SlotInfo, ...]) -> list[str]:
    """What lies in the slots, one line each; the image is named where there are several."""
    several = len({view.image for view in slots}) > 1
    return [
        f"{f'image {view.image} ' if several else ''}slot {view.slot}: "
        f"{view.version} {view.hash.hex()[:16]}{_flags(view)}"
        for view in slots
    ]


def _flags(view: SlotInfo) -> str:
    names = [name for name in ("active", "confirmed", "pending", "permanent") if getattr(view, name)]
    return f" ({', '.join(names)})" if names else ""
