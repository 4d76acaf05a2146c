"""A campaign as people and scripts see it: a table on a terminal, lines elsewhere, or one JSON object a line."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from keyswitch.campaign.events import (
    ApprovalAwaited,
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
from keyswitch.campaign.model import Campaign
from keyswitch.cli.fields import in_options, json_line
from keyswitch.cli.output import echo
from keyswitch.host.update.events import Event as UpdateEvent
from keyswitch.host.update.events import Message, StepBegun, StepFailed, Uploading
from keyswitch.text import plain

MOST_ROWS: Final = 20
"""Devices of the table; a campaign may have more under way than a terminal has lines."""

REDRAWS_PER_SECOND: Final = 4


@contextmanager
def shown(campaign: Campaign, file: Path, *, as_json: bool) -> Generator[Sink]:
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
        table = CampaignTable(campaign)
        with Live(console=console, get_renderable=table.render, refresh_per_second=REDRAWS_PER_SECOND) as live:

            def draw(event: Event) -> None:
                table.hear(event)
                for line in lines(event, file):
                    live.console.print(Text(plain(line)))

            yield draw


def _tell_json(event: Event) -> None:
    told = event_json(event)
    if told is not None:
        echo(json_line(told))


def lines(event: Event, file: Path) -> list[str]:
    """What people read of an event."""
    match event:
        case DeviceBegun(device=device, attempt=attempt):
            return [f"{device}: attempt {attempt}" if attempt > 1 else f"{device}: begins"]
        case DeviceEnded():
            return _ended(event)
        case Stopping(why=why):
            return [f"stopping: {why}"]
        case Pausing(why=why):
            return [f"pausing: {why}"]
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
    line = f"{event.device}: {word} ({ended.detail}, {ended.duration_ms / 1000:.1f} s){again}"
    return [line, *([f"{event.device}: next: {in_options(ended.next_step)}"] if ended.next_step else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A device that is under way or will be tried again: what it does, why it is not done, rate and time left."""

    state: str
    reason: str = ""
    rate: str = ""
    remaining: str = ""


class CampaignTable:
    """What a terminal shows of a campaign: the devices under way, and how many have ended how."""

    def __init__(self, campaign: Campaign) -> None:
        self._devices = len(campaign.devices)
        self._waves = {device.id: number for number, wave in enumerate(campaign.waves_of_devices, 1) for device in wave}
        self._wave = 1
        self._rows: dict[str, Row] = {}
        self._ended: dict[str, str] = {}

    def hear(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case DeviceBegun(device=device, attempt=attempt):
                self._wave = max(self._wave, self._waves.get(device, 1))
                self._rows[device] = Row(state="begins" if attempt == 1 else f"attempt {attempt}")
            case DeviceTold(device=device, event=told):
                self._rows[device] = _row(self._rows.get(device, Row(state="")), told)
            case DeviceEnded(device=device, ended=ended, retry_in_ms=None):
                self._rows.pop(device, None)
                self._ended[device] = "" if ended.outcome is None else ended.outcome.value
            case DeviceEnded(device=device, ended=ended, retry_in_ms=int(retry_in_ms)):
                word = "" if ended.outcome is None else ended.outcome.value
                self._rows[device] = Row(state=word, reason=ended.detail, remaining=f"again in {_seconds(retry_in_ms)}")
            case _:
                pass

    def render(self) -> Group:
        """As it stands now."""
        table = Table("device", "state", "reason", "rate", "remaining", box=None, pad_edge=False)
        for device, row in list(self._rows.items())[:MOST_ROWS]:
            cells = (device, row.state, row.reason, row.rate, row.remaining)
            table.add_row(*(Text(plain(cell), overflow="ellipsis", no_wrap=True) for cell in cells))
        more = len(self._rows) - MOST_ROWS
        words = list(self._ended.values())
        counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        foot = f"{len(words)} of {self._devices} have ended{f': {counts}' if counts else ''}"
        waves = max(self._waves.values(), default=1)
        foot += f"; wave {self._wave} of {waves}" if waves > 1 else ""
        foot += f"; {more} more under way" if more > 0 else ""
        return Group(table, Text(foot)) if self._rows else Group(Text(foot))


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
