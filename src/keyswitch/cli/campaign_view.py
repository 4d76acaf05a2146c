"""A campaign as people and scripts see it: a table on a terminal, lines elsewhere, or one JSON object a line."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from keyswitch.campaign.events import (
    ApprovalAwaited,
    CampaignBegun,
    DeviceBegun,
    DeviceEnded,
    DeviceTold,
    Event,
    LabelScanned,
    Pausing,
    Stopping,
    WaveApproved,
    WindowAwaited,
)
from keyswitch.campaign.flows import Sink
from keyswitch.campaign.json_output import event_json
from keyswitch.cli.fields import in_options, json_line
from keyswitch.cli.output import echo
from keyswitch.host.update.events import Event as UpdateEvent
from keyswitch.host.update.events import Message, StepBegun, StepFailed, Uploading
from keyswitch.text import plain

MOST_ROWS: Final = 20
"""Devices of the table; a campaign may have more under way than a terminal has lines."""

AROUND: Final = 3
"""Lines of a terminal that the rows leave: the table's head and foot, and the one where the cursor is."""

REDRAWS_PER_SECOND: Final = 4


@contextmanager
def shown(file: Path, *, as_json: bool) -> Generator[Sink]:
    """How events are shown while a campaign is carried out."""
    console = Console(markup=False, highlight=False)
    if as_json:
        yield _tell_json
    elif not console.is_terminal:

        def tell(event: Event) -> None:
            for line in lines(event, file):
                echo(line)

        yield tell
    else:
        table = CampaignTable()
        drawn = partial(_drawn, table, console)
        with Live(console=console, get_renderable=drawn, refresh_per_second=REDRAWS_PER_SECOND) as live:

            def draw(event: Event) -> None:
                table.hear(event)
                for line in lines(event, file):
                    live.console.print(Text(plain(line)))

            yield draw


def _drawn(table: "CampaignTable", console: Console) -> Group:
    return table.render(console.size.height)


def _tell_json(event: Event) -> None:
    told = event_json(event)
    if told is not None:
        echo(json_line(told))


def lines(event: Event, file: Path) -> list[str]:
    """What people read of an event."""
    match event:
        case CampaignBegun(campaign=campaign, ended=ended):
            return [f"{len(ended)} of {len(campaign.devices)} devices had ended before"] if ended else []
        case DeviceBegun(device=device, attempt=attempt):
            return [f"{device}: attempt {attempt}" if attempt > 1 else f"{device}: begins"]
        case DeviceEnded():
            return _ended(event)
        case Stopping(why=why) | Pausing(why=why):
            return [f"{'stopping' if isinstance(event, Stopping) else 'pausing'}: {why}"]
        case ApprovalAwaited(wave=wave, devices=devices):
            return [f"wave {wave} ({devices} devices) waits: approve it with `keyswitch campaign approve {file}`"]
        case WaveApproved(wave=wave, who=who):
            return [f"wave {wave}: approved by {who}"]
        case LabelScanned():
            return [_label(event)]
        case WindowAwaited(opens_at=opens_at):
            return [f"no window is open: the next one opens at {opens_at}"]
        case DeviceTold():
            return []


def _label(event: LabelScanned) -> str:
    if event.device is None:
        return f"{event.label}: no device of this campaign has this label"
    return f"{event.device}: scanned before" if event.again else f"{event.device}: scanned"


def _ended(event: DeviceEnded) -> list[str]:
    ended = event.ended
    again = "" if event.retry_in_ms is None else f"; again in {event.retry_in_ms / 1000:g} s"
    word = "" if ended.outcome is None else ended.outcome.value
    took = "" if ended.duration_ms is None else f", {ended.duration_ms / 1000:.1f} s"
    line = f"{event.device}: {word} ({ended.detail}{took}){again}"
    return [line, *([f"{event.device}: next: {in_options(ended.next_step)}"] if ended.next_step else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A device that is under way or will be tried again: what it does, why it is not done, rate and time left.

    `again_ms` is when it is tried again, by the table's clock; None: it is under way.
    """

    state: str
    reason: str = ""
    rate: str = ""
    remaining: str = ""
    again_ms: int | None = None


class CampaignTable:
    """What a terminal shows of a campaign: the devices under way, and how many have ended how.

    Args:
        now_ms: a clock that nobody sets.
    """

    def __init__(self, now_ms: Callable[[], int] = lambda: round(monotonic() * 1000)) -> None:
        self._now_ms = now_ms
        self._devices = 0
        self._waves: dict[str, int] = {}
        self._wave = 1
        self._rows: dict[str, Row] = {}
        self._ended: dict[str, str] = {}

    def hear(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case CampaignBegun(campaign=campaign, ended=ended):
                waves = enumerate(campaign.waves_of_devices, 1)
                self._devices = len(campaign.devices)
                self._waves = {device.id: number for number, wave in waves for device in wave}
                self._ended = {device: outcome.value for device, outcome in ended.items()}
                self._wave = max((self._waves[device] for device in ended), default=1)
            case DeviceBegun(device=device, attempt=attempt):
                self._wave = max(self._wave, self._waves.get(device, 1))
                # Behind those that were begun before, also when it is tried again.
                self._rows.pop(device, None)
                self._rows[device] = Row(state="begins" if attempt == 1 else f"attempt {attempt}")
            case DeviceTold(device=device, event=told):
                self._rows[device] = _row(self._rows.get(device, Row(state="")), told)
            case DeviceEnded(device=device, ended=ended, retry_in_ms=None):
                self._rows.pop(device, None)
                self._ended[device] = "" if ended.outcome is None else ended.outcome.value
            case DeviceEnded(device=device, ended=ended, retry_in_ms=int(retry_in_ms)):
                word = "" if ended.outcome is None else ended.outcome.value
                again_ms = self._now_ms() + retry_in_ms
                self._rows[device] = Row(state=word, reason=ended.detail, again_ms=again_ms)
            case _:
                pass

    def render(self, height: int = MOST_ROWS + AROUND) -> Group:
        """As it stands now, on a terminal of so many lines: those under way first, then who is tried again soonest."""
        room = max(1, min(MOST_ROWS, height - AROUND))
        table = Table("device", "state", "reason", "rate", "remaining", box=None, pad_edge=False)
        rows = sorted(self._rows.items(), key=lambda each: each[1].again_ms or 0)  # stable: in the order they began
        for device, row in rows[:room]:
            cells = (device, row.state, row.reason, row.rate, self._remaining(row))
            table.add_row(*(Text(plain(cell), overflow="ellipsis", no_wrap=True) for cell in cells))
        words = list(self._ended.values())
        counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        foot = f"{len(words)} of {self._devices} have ended{f': {counts}' if counts else ''}"
        waves = max(self._waves.values(), default=1)
        foot += f"; wave {self._wave} of {waves}" if waves > 1 else ""
        more = [row.again_ms is None for _, row in rows[room:]]
        hidden = ((more.count(True), "under way"), (more.count(False), "to be tried again"))
        foot += "".join(f"; {count} more {how}" for count, how in hidden if count)
        if not self._devices:
            return Group()
        return Group(table, Text(foot)) if self._rows else Group(Text(foot))

    def _remaining(self, row: Row) -> str:
        if row.again_ms is None:
            return row.remaining
        left_ms = row.again_ms - self._now_ms()
        return f"again in {_seconds(left_ms)}" if left_ms > 0 else "again: waits for a place"


def _row(before: Row, told: UpdateEvent) -> Row:
    match told:
        case StepBegun(says=says):
            return Row(state=says, reason=before.reason)
        case StepFailed(why=why):
            return replace(before, reason=why)
        case Message(text=text):
            return replace(before, reason=text)
        case Uploading(progress=progress):
            rate = f"{progress.bytes_per_second / 1000:.1f} kB/s" if progress.bytes_per_second else ""
            left = "" if progress.remaining_ms is None else _seconds(progress.remaining_ms)
            return replace(before, rate=rate, remaining=left)
        case _:
            return before


def _seconds(duration_ms: int) -> str:
    return f"{-(-duration_ms // 1000)} s"
