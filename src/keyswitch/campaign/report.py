"""How a campaign went, as a file: JSON, CSV, or a page of HTML that loads nothing."""

import csv
import html
import io
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from keyswitch.campaign.events import Attempt, CampaignStatus, DeviceState, DeviceStatus
from keyswitch.campaign.json_output import DeviceStatusJson, campaign_json, device_json
from keyswitch.campaign.outcomes import REFUSALS, Outcome
from keyswitch.drawing import LINE, Page, width
from keyswitch.errors import InputError
from keyswitch.schema.output import SCHEMA_VERSION

FORMATS: Final = (".json", ".csv", ".html")
PLOT_WIDTH: Final = 560
PLOT_HEIGHT: Final = 160
"""Pixels of the plot, without what is written beside it."""

SLOWEST: Final = 10
"""Devices that the page lists as the slowest."""

NO_REASON: Final = "no reason given"
"""In place of its word: not every device says one, and a file or an adapter that cannot be used has none."""


def report(status: CampaignStatus, to: Path) -> bytes:
    """The content of the file `to`, whose name says in which form.

    Raises:
        InputError: its name says none.
    """
    match to.suffix.lower():
        case ".json":
            return _json(status)
        case ".csv":
            return _csv(status)
        case ".html":
            return _html(status)
        case _:
            raise InputError(
                str(to), "its name does not say in which form", f"a name that ends with {', '.join(FORMATS)}"
            )


def _json(status: CampaignStatus) -> bytes:
    devices = [device_json(each) for each in status.devices]
    whole = {"schema_version": SCHEMA_VERSION, **campaign_json(status), "list": devices}
    return (json.dumps(whole, indent=2) + "\n").encode()


def _csv(status: CampaignStatus) -> bytes:
    file = io.StringIO()
    columns = [key for key in DeviceStatusJson.__annotations__ if key != "event"]
    rows = [{key: _cell(value) for key, value in device_json(each).items()} for each in status.devices]
    table = csv.DictWriter(file, fieldnames=columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return file.getvalue().encode()


def _cell(value: Any) -> Any:
    """A cell; text that a spreadsheet would take for a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _html(status: CampaignStatus) -> bytes:
    title = html.escape(f"Campaign {status.name}: {status.state.value}")
    timed = [
        (each, each.last.duration_ms) for each in status.devices if each.last and each.last.duration_ms is not None
    ]
    slowest = sorted(timed, key=lambda each: each[1], reverse=True)[:SLOWEST]
    refused = [(each.id, each.last) for each in status.devices if each.last and _is_refusal(each.last)]
    waves = sorted({each.wave for each in status.devices})
    parts = [
        f"<h1>{title}</h1>",
        f"<p>{html.escape(status.why)}</p>" if status.why else "",
        ended_over_time(status),
        _table("By outcome", ["outcome", "devices"], [[word, str(n)] for word, n in status.outcomes.items()]),
        _table("By wave", ["wave", "devices", "outcomes"], [_wave(status, wave) for wave in waves]),
        _table(
            "Refused, with reasons",
            ["device", "reason", "in words", "what to do"],
            [[id_, last.reason or NO_REASON, last.detail, last.next_step or ""] for id_, last in refused],
        ),
        _table("Slowest", ["device", "seconds"], [[each.id, f"{took_ms / 1000:.1f}"] for each, took_ms in slowest]),
        _table(
            "Devices",
            ["device", "target", "wave", "state", "attempts", "how the last one ended"],
            [
                [each.id, each.target, str(each.wave), each.state.value, str(each.attempts), _detail(each)]
                for each in status.devices
            ],
        ),
    ]
    style = "body{font:1em sans-serif;margin:2em}td,th{padding:.2em 1em .2em 0;text-align:left;vertical-align:top}"
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    return (head + "\n".join(parts) + "</html>\n").encode()


def ended_over_time(status: CampaignStatus) -> str:
    """Devices that have ended, by the time of day: SVG with a line for each outcome; empty if no time is known."""
    ends = sorted(
        (datetime.fromisoformat(each.last.ended_at), each.last.outcome.value)
        for each in status.devices
        if each.state is DeviceState.ENDED and each.last and each.last.outcome and each.last.ended_at
    )
    if not ends:
        return ""
    first, last = ends[0][0], ends[-1][0]
    span_s = max((last - first).total_seconds(), 1.0)
    most = max(Counter(word for _, word in ends).values())
    page = Page()
    page.text(0, 18, "Devices that have ended", "title")
    left = width(str(most), "note") + 8
    top, bottom, right = 40, 40 + PLOT_HEIGHT, left + PLOT_WIDTH
    for count in sorted({0, most // 2, most}):
        y = bottom - count * PLOT_HEIGHT // most
        page.path("line", f"M{left} {y}H{right}")
        page.text(left - 6, y + 4, str(count), "note", "end")
    page.text(left, bottom + 18, f"{first:%Y-%m-%d %H:%M:%S} UTC", "note")
    page.text(right, bottom + 18, f"{last:%H:%M:%S}", "note", "end")
    labels: list[tuple[int, str]] = []
    for outcome in Outcome:
        times = [at for at, word in ends if word == outcome.value]
        if not times:
            continue
        steps = f"M{left} {bottom}"
        for number, at in enumerate(times, 1):
            x = left + round((at - first).total_seconds() / span_s * PLOT_WIDTH)
            steps += f"H{x}V{bottom - number * PLOT_HEIGHT // most}"
        page.path(_LINES.get(outcome, "arrow dashed"), f"{steps}H{right}")
        labels.append((bottom - len(times) * PLOT_HEIGHT // most, f"{len(times)} {outcome.value}"))
    y = top - LINE
    for end, words in sorted(labels):
        y = max(end + 4, y + LINE)  # one below the other where they would touch
        page.text(right + 8, y, words, "small")
    return page.svg(f"{status.name}: devices that have ended", margin=8)


_LINES: Final[dict[Outcome, str]] = {
    Outcome.CONFIRMED: "series",
    Outcome.WAITING: "arrow-open",
    Outcome.REVERTED: "arrow-failed",
    Outcome.FAILED: "arrow-failed",
}
"""How each outcome is drawn; all others are a dashed line."""


def _is_refusal(last: Attempt) -> bool:
    return last.outcome in REFUSALS or last.reason is not None


def _detail(device: DeviceStatus) -> str:
    return device.last.detail if device.last else ""


def _wave(status: CampaignStatus, wave: int) -> list[str]:
    there = [each for each in status.devices if each.wave == wave]
    ended = [each.last.outcome for each in there if each.state is DeviceState.ENDED and each.last]
    outcomes = Counter(each.value for each in ended if each)
    return [str(wave), str(len(there)), ", ".join(f"{n} {word}" for word, n in outcomes.items())]


def _table(title: str, columns: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(each)}</th>" for each in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(each)}</td>" for each in row) + "</tr>" for row in rows)
    return f"<h2>{html.escape(title)}</h2><table><tr>{head}</tr>{body}</table>" if rows else ""
