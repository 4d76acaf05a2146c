"""A chart as SVG: modes are columns, transitions are rows, labels stand beside them.

Rules kept here: positions are computed from text lengths with room to spare, so that nothing overlaps whatever the
names are; every number is a whole pixel; the same policy gives the same bytes.
"""

from dataclasses import dataclass
from html import escape
from typing import Final

from keyswitch.policy.model import Mode
from keyswitch.prove.chart import Chart, Row, conditions

_GLYPH: Final = 7
"""Pixels for a character at 12 px; wider than any common sans-serif needs on average."""
_LINE: Final = 16
_ROW: Final = 26
_MARGIN: Final = 20
_LABEL: Final = 64
"""Characters on one line of a label."""
_MANY: Final = 8
"""More columns than this have their names slanted."""
_SLANT_COLUMN: Final = 30
_RISE: Final = 0.82
"""Sine of the slant, 55 degrees, rounded up; `_RUN` is its cosine."""
_RUN: Final = 0.58

_STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #1b1f24 }
.title { font-size: 16px; font-weight: 600 }
.name { font-weight: 600 }
.note { fill: #57606a }
.line { stroke: #d0d7de }
.band { fill: #fff4e5 }
.box { fill: #eef2f6; stroke: #57606a }
.maintenance { fill: #ffd8a8; stroke: #b35900 }
.way { stroke: #1b1f24; stroke-width: 1.5; fill: none }
.implied { stroke-dasharray: 4 3 }
.dot { fill: #1b1f24 }
"""


@dataclass(slots=True)
class _Page:
    """What has been drawn, and how far it reaches."""

    parts: list[str]
    width: int = 0
    height: int = 0

    def text(self, x: int, y: int, words: str, kind: str = "", more: str = "") -> None:
        named = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x}" y="{y}"{named}{more}>{escape(words)}</text>')
        if "rotate" not in more and "middle" not in more:
            self.width = max(self.width, x + _wide(words))
        self.height = max(self.height, y + _LINE // 2)


def _wide(words: str) -> int:
    return _GLYPH * len(words)


def wrapped(words: str, most: int = _LABEL) -> list[str]:
    """`words` on lines of at most `most` characters, broken at plain spaces; a longer word has its own."""
    lines: list[str] = []
    for word in words.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= most:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines or [""]


def svg(chart: Chart) -> str:
    """The whole picture."""
    page = _Page(parts=[])
    page.text(_MARGIN, _MARGIN + 8, f"{chart.title}: modes and the ways between them", "title")
    columns, top = _header(page, chart)
    below = _rows(page, chart, columns, top)
    _table(page, chart, below + 2 * _LINE)
    width, height = page.width + _MARGIN, page.height + _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<title>{escape(chart.title)}</title><style>{_STYLE}</style>"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    )
    return head + "\n" + "\n".join(page.parts) + "\n</svg>\n"


def _header(page: _Page, chart: Chart) -> tuple[list[int], int]:
    """Draw the modes' names; their columns, and where the rows begin."""
    top = _MARGIN + 2 * _LINE
    longest = max(_wide(mode.name) for mode in chart.columns)
    slanted = len(chart.columns) > _MANY
    pitch = _SLANT_COLUMN if slanted else max(90, longest + 36)
    columns = [_MARGIN + pitch // 2 + pitch * place for place in range(len(chart.columns))]
    height = int(longest * _RISE) + 2 * _LINE if slanted else 3 * _LINE
    foot = top + height
    for mode, x in zip(chart.columns, columns, strict=True):
        if slanted:
            page.text(x, foot - 12, mode.name, "name", f' transform="rotate(-55 {x} {foot - 12})"')
            page.width = max(page.width, x + int(longest * _RUN) + _LINE)
            _box(page, mode, x, foot, (16, 8))
        else:
            wide = _wide(mode.name) + 20
            _box(page, mode, x, foot, (wide, 30))
            page.text(x, foot - 11, mode.name, "name", ' text-anchor="middle"')
        if mode.index == chart.initial:
            above = foot - (height if slanted else 42)
            page.parts.append(f'<circle class="dot" cx="{x}" cy="{above}" r="5"/>')
            page.text(x + 9, above + 4, "starts here", "note")
    return columns, foot


def _box(page: _Page, mode: Mode, x: int, foot: int, size: tuple[int, int]) -> None:
    width, height = size
    x, y = x - width // 2, foot - height
    kind = "box maintenance" if mode.maintenance else "box"
    page.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="5"/>')


def _rows(page: _Page, chart: Chart, columns: list[int], top: int) -> int:
    """Draw the ways; where they end."""
    labels = [wrapped(_spoken(chart, row)) for row in chart.rows]
    heights = [_ROW + _LINE * (len(lines) - 1) for lines in labels]
    foot = top + _ROW // 2 + sum(heights)
    for mode, x in zip(chart.columns, columns, strict=True):
        if mode.maintenance:
            page.parts.append(f'<rect class="band" x="{x - 10}" y="{top}" width="20" height="{foot - top}"/>')
        page.parts.append(f'<path class="line" d="M{x} {top}V{foot}"/>')
    right = columns[-1] + (columns[1] - columns[0] if len(columns) > 1 else 60) // 2 + 10
    y = top + _ROW // 2
    for row, lines, height in zip(chart.rows, labels, heights, strict=True):
        middle = y + height // 2
        _way(page, row, columns, middle)
        for place, line in enumerate(lines):
            page.text(right, middle + 4 + place * _LINE - (len(lines) - 1) * _LINE // 2, line)
        y += height
    page.height = max(page.height, foot)
    return foot


def _spoken(chart: Chart, row: Row) -> str:
    """The row's label; where the columns' names are far away, with the modes it leads from and to."""
    if len(chart.columns) <= _MANY:
        return row.label
    sources = ", ".join(chart.columns[source].name for source in row.sources)
    return f"{sources} → {chart.columns[row.target].name}: {row.label}"


def _way(page: _Page, row: Row, columns: list[int], y: int) -> None:
    target = columns[row.target]
    kind = "way implied" if row.implied else "way"
    for source in row.sources:
        x = columns[source]
        page.parts.append(f'<circle class="dot" cx="{x}" cy="{y}" r="3"/>')
    starts = [columns[source] for source in row.sources]
    for far in {min([*starts, target]), max([*starts, target])} - {target}:
        back = -7 if far < target else 7
        page.parts.append(f'<path class="{kind}" d="M{far} {y}H{target}"/>')
        page.parts.append(f'<path class="dot" d="M{target} {y}l{back} -4v8z"/>')


def _table(page: _Page, chart: Chart, top: int) -> None:
    """What each mode allows, under the picture."""
    y = top
    indent = _MARGIN + max(_wide(mode.name) for mode in chart.columns) + 24
    page.text(_MARGIN, y, "mode", "note")
    page.text(indent, y, "allows", "note")
    for mode in chart.columns:
        y += _LINE + 6
        page.text(_MARGIN, y, mode.name, "name")
        allows = wrapped(", ".join(mode.allow_text) or "nothing", 2 * _LABEL)
        more = wrapped(conditions(mode), 2 * _LABEL) if conditions(mode) else []
        for place, line in enumerate(allows + more):
            y += _LINE if place else 0
            page.text(indent, y, line, "" if place < len(allows) else "note")
    for bypass in chart.bypasses:
        y += _LINE + 6
        page.text(_MARGIN, y, f"way past this gate, declared: {bypass}", "note")
