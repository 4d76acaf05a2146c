"""A run as a sequence chart in SVG, from its evidence record. Pure.

Time runs downwards; each step is an arrow from the operator to the device, with what became of it. Steps that had
nothing to do are notes. Every row has its own height, so that no two labels meet, however fast the steps followed.
"""

from collections.abc import Mapping, Sequence
from html import escape as escape_markup
from typing import Any, Final, cast

from keyswitch.text import plain

WIDTH: Final = 900
_OPERATOR: Final = 150
_DEVICE: Final = 600
_TOP: Final = 100
_ROW: Final = 34
MAX_MS: Final = 2**53
"""Beyond every run; what a JSON number holds exactly (RFC 8259 section 6)."""
_KEYS: Final = {
    "steps": ("at_ms", "step", "duration_ms", "outcome"),
    "verdicts": ("at_ms", "gate"),
    "said": ("at_ms", "text"),
}
"""What is drawn, and what each of it has."""
_WRAP: Final = 38
"""Characters of a remark on one line, beside the device's lifeline."""

_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#1d2733}"
    ".t{font-size:11px;fill:#66727f}.h{font-size:16px;font-weight:600}"
    ".l{stroke:#9aa7b4;stroke-dasharray:2 4}.a{stroke:#1f6feb;stroke-width:1.6}"
    ".m{stroke:#b3261e;stroke-width:1.6;stroke-dasharray:6 4}.n{fill:#eef2f6;stroke:#c5ced8}"
    ".b{fill:#fff;stroke:#1d2733}.w{fill:#b3261e}"
)


_TIP: Final = (
    '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#1f6feb"/></marker>'
)


def escape(text: str) -> str:
    """Text of a record as it may stand in the picture; control characters may stand in no XML, and in no terminal."""
    return escape_markup(plain(text))


def chart(body: Mapping[str, Any], *, title: str) -> str:
    """The SVG of one ended run.

    Args:
        body: of the record (`keyswitch.host.account.ended`), one without a `fault`.
        title: shown above the chart.
    """
    rows = _rows(body)
    height = _TOP + _ROW * (len(rows) + 2)
    head = f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {head}>',
        f"<style>{_STYLE}</style>",
        f"<defs>{_TIP}</defs>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="20" y="26">{escape(title)}</text>',
    ]
    for x, name in ((_OPERATOR, "operator"), (_DEVICE, "device")):
        parts.append(f'<line class="l" x1="{x}" x2="{x}" y1="{_TOP - 18}" y2="{height - _ROW}"/>')
        parts.append(f'<rect class="b" x="{x - 50}" y="{_TOP - 48}" width="100" height="28" rx="5"/>')
        parts.append(f'<text x="{x}" y="{_TOP - 29}" text-anchor="middle">{name}</text>')
    for number, row in enumerate(rows):
        parts.extend(_drawn(row, _TOP + 12 + number * _ROW))
    outcome = escape(str(body.get("outcome", "")))
    parts.append(f'<text class="h" x="{_OPERATOR}" y="{height - 16}" text-anchor="middle">{outcome}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def fault(body: Mapping[str, Any]) -> str:
    """Why a run cannot be drawn: what its record lacks, with the key; empty if it can."""
    for name, keys in _KEYS.items():
        rows: object = body.get(name, ())
        if not isinstance(rows, list | tuple):
            return f"{name} is no list"
        for number, row in enumerate(cast("Sequence[object]", rows)):
            what = _row_fault(row, keys)
            if what:
                return f"{name}[{number}]{what}"
    return ""


def _row_fault(row: object, keys: Sequence[str]) -> str:
    if not isinstance(row, dict):
        return " is no object"
    fields = cast("dict[str, Any]", row)
    missing = [key for key in keys if key not in fields]
    if missing:
        return f".{missing[0]} is missing"
    duration_ms = fields.get("duration_ms")
    times = [fields["at_ms"], *([] if duration_ms is None else [duration_ms])]
    return "" if all(_is_time(each) for each in times) else " has a time that is none"


def _is_time(value: object) -> bool:
    return type(value) is int and abs(value) <= MAX_MS


def _rows(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    steps = cast("Sequence[Mapping[str, Any]]", body.get("steps", ()))
    verdicts = cast("Sequence[Mapping[str, Any]]", body.get("verdicts", ()))
    said = cast("Sequence[Mapping[str, Any]]", body.get("said", ()))
    return sorted([*steps, *verdicts, *said], key=lambda row: (int(row["at_ms"]), "step" in row))


def _drawn(row: Mapping[str, Any], y: int) -> list[str]:
    parts = [f'<text class="t" x="20" y="{y + 4}">{int(row["at_ms"]) / 1000:.2f} s</text>']
    if "gate" in row:
        why = ": ".join(str(row[key]) for key in ("reason", "detail") if row.get(key))
        return [*parts, *_remark(f"gate {row['gate']}" + (f" ({why})" if why else ""), y)]
    if "text" in row:
        return [*parts, *_remark(str(row["text"]), y)]
    name = escape(str(row["step"]))
    middle = (_OPERATOR + _DEVICE) // 2
    if row["duration_ms"] is None:
        parts.append(
            f'<rect class="n" x="{middle - 120}" y="{y - 11}" width="240" height="22" rx="11"/>'
            f'<text x="{middle}" y="{y + 4}" text-anchor="middle">{name}: holds</text>'
        )
        return parts
    done = row["outcome"] == "done"
    line, text = ("a", "") if done else ("m", ' class="w"')
    across = f'x1="{_OPERATOR}" x2="{_DEVICE - 2}" y1="{y + 6}" y2="{y + 6}"'
    label = f"{name} · {int(row['duration_ms']) / 1000:.2f} s"
    parts.append(f'<line class="{line}" {across} marker-end="url(#tip)"/>')
    parts.append(f'<text x="{middle}" y="{y}" text-anchor="middle"{text}>{label}</text>')
    return parts if done else [*parts, *_remark(str(row["outcome"]), y)]


def _remark(text: str, y: int) -> list[str]:
    shown = text if len(text) <= 2 * _WRAP else text[: 2 * _WRAP - 1] + "…"
    lines = [shown[:_WRAP], shown[_WRAP:]]
    return [
        f'<text class="t" x="{_DEVICE + 14}" y="{y - 3 + 13 * number}">{escape(line)}</text>'
        for number, line in enumerate(lines)
        if line
    ]
