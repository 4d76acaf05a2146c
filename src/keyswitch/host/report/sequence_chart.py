"""A run as SVG, from its evidence record: a sequence chart of its steps, and the rate of its upload. Pure.

Rules:

* Time runs downwards, and every row has the height that its words need: no two labels meet, however fast the steps
  followed each other. Words are broken at spaces, never inside unless a line cannot hold one.
* The band at the device is what the record says of its mode, from a verdict or a proved step on until the next one.
  From a reset until the device was asked again nothing is known, and that is drawn.
* A record may be a stranger's: what `fault` passes can be drawn, whatever else is in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10
from typing import Any, Final, Literal, cast

from keyswitch.drawing import LINE, Kind, Page, width, wrap
from keyswitch.host.report.rate_samples import Interval, Sample, rates
from keyswitch.host.update.steps import BY_NAME, StepName
from keyswitch.policy.digest import POLICY_FORM

MAX_MS: Final = 2**53
"""Beyond every run; what a JSON number holds exactly (RFC 8259 section 6)."""
_KEYS: Final = {
    "steps": ("at_ms", "step", "duration_ms", "outcome"),
    "verdicts": ("at_ms", "gate"),
    "said": ("at_ms", "text"),
    "uploading": ("at_ms", "off", "size"),
}
"""What is drawn, and what each of it has."""
_NUMBERS: Final = ("at_ms", "duration_ms", "off", "size")

_MARGIN: Final = 24
_RIGHT: Final = 856
"""Right edge of all text."""
_TIME: Final = 82
"""Where the times end."""
_OPERATOR: Final = 136
_DEVICE: Final = 580
_REMARK: Final = 604
_FACTS: Final = 124
"""Where the facts above the chart begin, right of their names."""
_BAND: Final = 12
"""Width of a mode's band."""
_MAX_LINES: Final = 8
"""Of one remark; what is longer is in the record."""

_PLOT: Final = (_OPERATOR, _RIGHT - 16, 120)
"""Left, right and height of the plot of the rate."""
_MAX_PARTS: Final = 48
"""Of the time of an upload, each with its rate."""
_PART_SAMPLES: Final = 3
"""Of one part on average: answers come in bursts, and less would draw those."""

Band = Literal["shut", "open", "unknown", "away"]
_BAND_KIND: Final[dict[Band, str]] = {"shut": "card", "open": "card-open", "unknown": "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One row of the chart.

    Attributes:
        at_ms: since the run's beginning, when what it shows was over.
        step: its name, empty for a remark alone.
        facts: beside the name.
        failed: the step's proof did not hold.
        idle: nothing had to be done for the step.
        note: said to the person at the operator.
        remark: beside the device.
        band: what is known of the mode from here on, None for no change.
    """

    at_ms: int
    step: str = ""
    facts: str = ""
    failed: bool = False
    idle: bool = False
    note: str = ""
    remark: str = ""
    band: Band | None = None


def fault(body: Mapping[str, Any]) -> str:
    """Why a run cannot be drawn: what its record lacks, with the key; empty if it can."""
    for name, keys in _KEYS.items():
        rows: object = body.get(name, ())
        if not isinstance(rows, list | tuple):
            return f"{name} is not a list"
        for number, row in enumerate(cast("Sequence[object]", rows)):
            what = _row_fault(row, keys)
            if what:
                return f"{name}[{number}]{what}"
    return ""


def _row_fault(row: object, keys: Sequence[str]) -> str:
    if not isinstance(row, dict):
        return " is not an object"
    fields = cast("dict[str, Any]", row)
    missing = [key for key in keys if key not in fields]
    if missing:
        return f".{missing[0]} is missing"
    numbers = [key for key in keys if key in _NUMBERS and not (key == "duration_ms" and fields[key] is None)]
    wrong = [key for key in numbers if not _is_number(fields[key])]
    if not wrong:
        return ""
    return f".{wrong[0]} is not a number of {'milliseconds' if wrong[0].endswith('_ms') else 'bytes'}"


def _is_number(value: object) -> bool:
    return type(value) is int and abs(value) <= MAX_MS


def chart(body: Mapping[str, Any], *, title: str, begun: Mapping[str, Any] | None = None) -> str:
    """The picture of one ended run.

    Args:
        body: of the record that it ended with (`keyswitch.host.report.run_record.ended`), one without a `fault`.
        title: when, and what device.
        begun: body of the record that it began with, None if it is not there.
    """
    page = Page()
    outcome = str(body.get("outcome", "not known"))
    page.lines(_MARGIN, _MARGIN + 10, f"Firmware update: {outcome}", _RIGHT - _MARGIN, "title")
    y = _written(page, facts(body, title=title, begun=begun or {}), page.height + LINE + 6)
    y = _sequence(page, rows(body), y + LINE)
    y = _legend(page, y + LINE)
    samples = _samples(body)
    parts = rates(samples, parts=max(1, min(_MAX_PARTS, len(samples) // _PART_SAMPLES)))
    if parts:
        _rate(page, parts, y + 2 * LINE, mean=_number(_dict(body.get("sent")).get("bytes_per_second")))
    page.reach(_RIGHT, 0)
    return page.svg(f"Firmware update: {outcome}", margin=_MARGIN)


# --- the facts above the chart ---------------------------------------------------------------------------------------


def facts(body: Mapping[str, Any], *, title: str, begun: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the record says of the whole run, as names and words; what it does not say is left out."""
    found = [("run", title), ("why", _text(body.get("detail")))]
    duration_ms = _number(body.get("duration_ms"))
    if duration_ms is not None:
        found.append(("took", _seconds(duration_ms)))
    found.append(("device", _text(body.get("device"))))
    before, after = _running(body.get("before")), _running(body.get("after"))
    firmware = [f"ran {before}" if before else "", f"runs {after}" if after else ""]
    found.append(("firmware", " → ".join(each for each in firmware if each)))
    found += [("image", _image(each)) for each in _dicts(begun.get("images"))]
    found.append(("upload", _upload(body)))
    entered_by = _text(body.get("entered_by"))
    entry = [_text(begun.get("entry")), f"entered by {entered_by}" if entered_by else ""]
    found.append(("entry", "; ".join(each for each in entry if each)))
    policy = _dict(begun.get("policy"))
    if policy:
        told = "digest" if begun.get("policy_form") == POLICY_FORM else "SHA-256 of the file"
        found.append(("policy", f"{_text(policy.get('file'))}, {told} {_text(policy.get('sha256'))[:16]}…"))
    found.append(("by", ", with ".join(each for each in (_text(begun.get("who")), _text(begun.get("tool"))) if each)))
    return [(name, words) for name, words in found if words]


def _running(slots: object) -> str:
    """The active images: version, beginning of the hash, whether confirmed."""
    active = [slot for slot in _dicts(slots) if slot.get("active")]
    several = len(active) > 1
    return ", ".join(
        (f"image {_text(slot.get('image'))}: " if several else "")
        + f"{_text(slot.get('version'))} ({_text(slot.get('hash'))[:8]}"
        + (", confirmed)" if slot.get("confirmed") else ", not confirmed)")
        for slot in active
    )


def _image(image: Mapping[str, Any]) -> str:
    parts = [f"{_text(image.get('version'))} ({_text(image.get('hash'))[:8]})", _text(image.get("file"))]
    size = _number(image.get("size"))
    parts.append(f"{size:,} bytes" if size is not None else "")
    signature = _text(image.get("signature"))
    parts.append(f"signature {signature}" if signature else "")
    return ", ".join(each for each in parts if each)


def _upload(body: Mapping[str, Any]) -> str:
    sent = _dict(body.get("sent"))
    size, rate = _number(sent.get("bytes")), _number(sent.get("bytes_per_second"))
    if size is None:
        return ""
    words = f"{size:,} bytes" + (f" at {_kilo(rate)} kB/s" if rate else "")
    already = _number(sent.get("already_there"))
    resent = _number(body.get("resent_bytes"))
    words += f", {already:,} bytes were there already" if already else ""
    return words + (f", {resent:,} bytes sent again" if resent else "")


def _written(page: Page, found: Sequence[tuple[str, str]], y: int) -> int:
    for name, words in found:
        page.text(_MARGIN, y, name, "note")
        y = page.lines(_FACTS, y, words, _RIGHT - _FACTS) + 2
    return y


# --- the sequence ----------------------------------------------------------------------------------------------------


def rows(body: Mapping[str, Any]) -> list[RunRow]:
    """What is drawn, in order. A verdict that a step has found stands beside that step."""
    gated = any(verdict.get("mode") is not None for verdict in _dicts(body.get("verdicts")))
    leaves = gated or body.get("entered_by") is not None
    found = [_verdict_row(each) for each in _dicts(body.get("verdicts"))]
    found += [RunRow(at_ms=int(each["at_ms"]), note=_text(each["text"])) for each in _dicts(body.get("said"))]
    found += [_step_row(each, leaves=leaves) for each in _dicts(body.get("steps"))]
    found.sort(key=lambda row: (row.at_ms, bool(row.step)))
    entries = [place for place, row in enumerate(found) if row.step == StepName.ENTER and row.band]
    if entries and body.get("entered_by") is not None:
        last = found[entries[-1]]
        found[entries[-1]] = replace(last, facts=f"by {_text(body['entered_by'])} · {last.facts}")
    uploads = [place for place, row in enumerate(found) if row.step == StepName.UPLOAD and not row.failed]
    if uploads and not found[uploads[-1]].idle:
        last = found[uploads[-1]]
        found[uploads[-1]] = replace(last, facts=" · ".join(each for each in (_upload(body), last.facts) if each))
    joined: list[RunRow] = []
    for row in found:
        if row.step == StepName.VERDICT and not row.failed and joined and joined[-1].remark and not joined[-1].step:
            verdict = joined.pop()
            joined.append(replace(row, remark=verdict.remark, band=verdict.band))
        else:
            joined.append(row)
    return joined


def _verdict_row(verdict: Mapping[str, Any]) -> RunRow:
    gate = _text(verdict["gate"])
    why = ": ".join(_text(verdict[key]) for key in ("reason", "detail") if verdict.get(key))
    mode = _text(verdict.get("mode"))
    told = (f"mode {mode}: " if mode else "") + f"gate {gate}"
    repeated = why == f"wrong mode: {mode}"
    band: Band = "open" if gate == "open" else "shut" if gate == "shut" else "unknown"
    return RunRow(at_ms=int(verdict["at_ms"]), remark=told + (f" ({why})" if why and not repeated else ""), band=band)


_KNOWN_AFTER: Final[dict[str, tuple[Band, str]]] = {
    StepName.FIND: ("unknown", ""),
    StepName.ENTER: ("open", "gate open"),
    StepName.VERIFY: ("open", ""),
    StepName.RESET: ("away", "reset asked for: nothing is known until it is back"),
    StepName.SWAP: ("unknown", "back"),
    StepName.LEFT: ("shut", "outside maintenance"),
}
"""What a step that was done says of the mode, and in words (`keyswitch.host.update.steps`)."""


def _step_row(step: Mapping[str, Any], *, leaves: bool) -> RunRow:
    name, outcome, duration_ms = _text(step["step"]), _text(step["outcome"]), step["duration_ms"]
    at_ms = int(step["at_ms"])
    if duration_ms is None:
        return RunRow(at_ms=at_ms, step=name, facts="nothing had to be done", idle=True)
    took = _seconds(int(duration_ms))
    if outcome != "done":
        return RunRow(at_ms=at_ms, step=name, facts=took, failed=True, remark=outcome)
    band, words = _KNOWN_AFTER.get(name, (None, ""))
    if name == StepName.LEFT and not leaves:
        band, words = None, ""
    return RunRow(at_ms=at_ms, step=name, facts=took, remark=words, band=band)


def _sequence(page: Page, found: Sequence[RunRow], top: int) -> int:
    """Draw the rows from there on; where they end."""
    for x, name in ((_OPERATOR, "operator"), (_DEVICE, "device")):
        page.rect(x - 44, top, (88, 26), "card", round_by=5)
        page.text(x, top + 17, name, "strong", "middle")
    page.text(_TIME, top + 17, "over at", "note", "end")
    begins = top + 26
    heights = [_high(row) for row in found]
    foot = begins + sum(heights) + LINE
    page.path("line", f"M{_OPERATOR} {begins}V{foot}")
    _bands(page, found, heights, (begins, foot))
    y = begins
    for row, high in zip(found, heights, strict=True):
        _drawn(page, row, y + 10)
        y += high
    page.reach(_RIGHT, foot)
    return foot


def _bands(page: Page, found: Sequence[RunRow], heights: Sequence[int], ends: tuple[int, int]) -> None:
    """Draw what is known of the mode, from the middle of the row that tells it to that of the next one."""
    known: Band = "unknown"
    since, y = ends[0], ends[0]
    for row, high in zip(found, heights, strict=True):
        if row.band is not None and row.band != known:
            _band(page, known, since, y + _ARROW)
            known, since = row.band, y + _ARROW
        y += high
    _band(page, known, since, ends[1])


def _band(page: Page, known: Band, top: int, foot: int) -> None:
    if known == "away":
        middle = min(top + _BREAK, (top + foot) // 2)
        page.path("line dashed", f"M{_DEVICE} {top}V{foot}")
        page.path("mark", f"M{_DEVICE - 8} {middle - 1}l16 -6M{_DEVICE - 8} {middle + 7}l16 -6")
    elif foot > top:
        page.rect(_DEVICE - _BAND // 2, top, (_BAND, foot - top), _BAND_KIND[known])


_BREAK: Final = 40
"""From the arrow of a reset to the break in the device's line: before the next arrow."""
_ARROW: Final = 30
"""From the top of a row to its arrow."""
_LABEL: Final = _DEVICE - _OPERATOR - 32
"""Pixels for the words on an arrow."""


def _label(row: RunRow) -> list[str]:
    return wrap(" · ".join(each for each in (row.step, row.facts) if each), _LABEL, "strong")


def _says(row: RunRow) -> str:
    """What the step does; empty for one that this version does not know."""
    return next((step.says for name, step in BY_NAME.items() if name == row.step and not row.idle), "")


def _remark(row: RunRow) -> list[str]:
    lines = wrap(row.remark, _RIGHT - _REMARK, _remark_kind(row)) if row.remark else []
    return lines if len(lines) <= _MAX_LINES else [*lines[: _MAX_LINES - 1], "… (the record says all)"]


def _remark_kind(row: RunRow) -> Kind:
    return "failed" if row.failed else "open" if row.band == "open" else "strong" if row.band == "shut" else "note"


def _note(row: RunRow) -> list[str]:
    lines = wrap(row.note, _LABEL, "small") if row.note else []
    return lines if len(lines) <= _MAX_LINES else [*lines[: _MAX_LINES - 1], "… (the record says all)"]


def _high(row: RunRow) -> int:
    """The height of a row."""
    left = LINE * (len(_label(row)) + bool(_says(row))) if row.step else LINE * len(_note(row))
    gap = 2 * LINE if row.band == "away" else 0
    return max(left, LINE * len(_remark(row)), LINE) + 20 + gap


def _drawn(page: Page, row: RunRow, y: int) -> None:
    page.text(_TIME, y + 12, _seconds(row.at_ms), "note", "end")
    kind = _remark_kind(row)
    for number, line in enumerate(_remark(row)):
        page.text(_REMARK, y + 12 + LINE * number, line, kind)
    if not row.step:
        for number, line in enumerate(_note(row)):
            page.text(_OPERATOR + 16, y + 12 + LINE * number, line, "small")
        return
    for number, line in enumerate(_label(row)):
        page.text(_OPERATOR + 16, y + 12 + LINE * number, line, "failed" if row.failed else "strong")
    under = y + 12 + LINE * len(_label(row))
    if _says(row):
        page.text(_OPERATOR + 16, under + 5, _says(row), "note")
    if not row.idle:
        page.arrow(_OPERATOR, _DEVICE - _BAND // 2, under - 8, "failed" if row.failed else "")


def _legend(page: Page, top: int) -> int:
    x = _OPERATOR
    signs: list[tuple[Band, str]] = [
        ("shut", "gate shut, or outside maintenance"),
        ("open", "gate open"),
        ("unknown", "not known"),
    ]
    page.text(_MARGIN, top + 10, "device", "note")
    for known, words in signs:
        page.rect(x, top, (24, 12), _BAND_KIND[known])
        page.text(x + 32, top + 10, words, "note")
        x += 32 + width(words, "note") + 28
    page.path("line dashed", f"M{x} {top + 6}h24")
    page.path("mark", f"M{x + 8} {top + 14}l6 -16M{x + 14} {top + 14}l6 -16")
    page.text(x + 32, top + 10, "away after a reset", "note")
    return page.height


# --- the rate --------------------------------------------------------------------------------------------------------


def _samples(body: Mapping[str, Any]) -> list[Sample]:
    return [
        Sample(at_ms=int(each["at_ms"]), off=int(each["off"]), size=int(each["size"]))
        for each in _dicts(body.get("uploading"))
    ]


def ticks(least: float, most: float, *, count: int) -> list[tuple[float, str]]:
    """Up to `count + 1` round numbers from `least` to `most`, which is larger, and how they are written."""
    exponent = floor(log10((most - least) / count))
    times = next(each for each in (1, 2, 5, 10) if each * 10.0**exponent * count >= (most - least) * (1 - 1e-9))
    step, decimals = times * 10.0**exponent, max(0, -exponent)
    first, last = ceil(least / step - 1e-9), floor(most / step + 1e-9)
    return [(number * step, f"{number * step:,.{decimals}f}") for number in range(first, last + 1)]


def _rate(page: Page, parts: Sequence[Interval], top: int, *, mean: int | None) -> None:
    """Draw the rate of the upload over the time of the run."""
    left, right, high = _PLOT
    dashed = f"; dashed: {_kilo(mean)} kB/s while bytes were taken" if mean else ""
    page.text(_MARGIN, top, f"Rate of the upload over the time of the run{dashed}", "strong")
    page.text(left - 8, top + LINE + 6, "kB/s", "note", "end")
    foot = top + 2 * LINE + high
    most = max(1.0, float(mean or 0), *(part.bytes_per_second for part in parts))
    began, ended = parts[0].from_ms, parts[-1].to_ms

    def across(when_ms: float) -> int:
        return left + round((when_ms - began) * (right - left) / (ended - began))

    def up(rate: float) -> int:
        return foot - round(max(0.0, rate) * high / most)

    for rate, written in ticks(0, most / 1000, count=4):
        page.path("line", f"M{left} {up(rate * 1000)}H{right}")
        page.text(left - 8, up(rate * 1000) + 4, written, "note", "end")
    for when, written in ticks(began / 1000, ended / 1000, count=6):
        page.path("line", f"M{across(when * 1000)} {foot}v5")
        page.text(across(when * 1000), foot + 18, f"{written} s", "note", "middle")
    steps = "".join(f"V{up(part.bytes_per_second)}H{across(part.to_ms)}" for part in parts)
    page.path("under", f"M{left} {foot}{steps}V{foot}Z")
    page.path("series", f"M{left} {up(parts[0].bytes_per_second)}{steps}")
    if mean:
        page.path("mean", f"M{left} {up(mean)}H{right}")
    page.reach(_RIGHT, foot + 20)


# --- values of a record ----------------------------------------------------------------------------------------------


def _dict(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [_dict(each) for each in cast("Sequence[object]", value)] if isinstance(value, list | tuple) else []


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> int | None:
    return cast("int", value) if _is_number(value) else None


def _kilo(rate: int) -> str:
    return f"{rate / 1000:,.1f}"


def _seconds(duration_ms: int) -> str:
    return f"{duration_ms / 1000:,.2f} s"
