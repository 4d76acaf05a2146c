"""A chart as SVG: modes are columns, transitions are rows, each with its label above its arrow; a legend says the rest.

Rules kept here: a label lies in its own row and inside the picture, so that nothing overlaps whatever the names are;
the picture is as narrow as its columns let it be, to be read on a page beside text; the same policy gives the same
bytes.
"""

from typing import Final

from keyswitch.drawing import LINE, Page, width, wrap
from keyswitch.policy.model import Mode
from keyswitch.prove.chart import Chart, ChartRow, conditions

_MARGIN: Final = 24
_NARROWEST: Final = 640
"""Pixels between the margins: labels want room where there are few columns."""
_PITCH: Final = 150
_GAP: Final = 16
"""Between two cards."""
_PAD: Final = 10
"""Inside a card."""
_MANY: Final = 8
"""More columns than this have their names slanted, and what they serve in a table."""
_SLANT_PITCH: Final = 30
_RISE: Final = 0.82
"""Sine of the slant, 55 degrees, rounded up; `_RUN` is its cosine."""
_RUN: Final = 0.58
_LABEL: Final = 280
"""Pixels that a label needs right of its arrow's left end, to be broken into lines there."""
_SYMBOL: Final = 56
"""Width of a symbol in the legend."""


def svg(chart: Chart) -> str:
    """The whole picture."""
    page = Page()
    title = f"{chart.title}: modes, and what leads from one to another"
    page.lines(_MARGIN, _MARGIN + 10, title, _NARROWEST, "title")
    top = page.height + LINE
    many = len(chart.columns) > _MANY
    columns, right, foot = _slanted_names(page, chart, top) if many else _cards(page, chart, top)
    page.reach(right, foot)
    _rows(page, chart, columns, (foot, right))
    if many:
        _table(page, chart, page.height + 2 * LINE)
    _legend(page, chart, page.height + 2 * LINE, right)
    return page.svg(title, margin=_MARGIN)


def _cards(page: Page, chart: Chart, top: int) -> tuple[list[int], int, int]:
    """Draw a card for each mode; their middles, the right edge, and where the rows begin."""
    longest = max(_least(mode) for mode in chart.columns)
    pitch = max(_PITCH, longest + _GAP, _NARROWEST // len(chart.columns))
    wide = pitch - _GAP
    columns = [_MARGIN + wide // 2 + pitch * place for place in range(len(chart.columns))]
    written = [_lines(mode, wide - 2 * _PAD) for mode in chart.columns]
    top += LINE
    high = 2 * _PAD + LINE * (1 + max(len(lines) for lines in written))
    for mode, lines, x in zip(chart.columns, written, columns, strict=True):
        left = x - wide // 2
        page.rect(left, top, (wide, high), "card-open" if mode.maintenance else "card", round_by=6)
        page.text(left + _PAD, top + _PAD + 11, mode.name, "open" if mode.maintenance else "strong")
        for number, line in enumerate(lines, 1):
            page.text(left + _PAD, top + _PAD + 11 + LINE * number, line, "small")
        if mode.index == chart.initial:
            page.dot(left + _PAD + 4, top - 11, 5)
            page.text(left + _PAD + 15, top - 7, "starts here", "note")
    return columns, columns[-1] + wide // 2, top + high


def _least(mode: Mode) -> int:
    """The width of a card that breaks no word of a mode; long names of guards and inputs may be broken."""
    words = [*("serves " + ", ".join(mode.allow_text)).split(" "), *" ".join(conditions(mode)).split(" ")]
    return 2 * _PAD + max(width(mode.name, "strong"), *(width(word, "small") for word in words))


def _lines(mode: Mode, most: int) -> list[str]:
    serves = "serves " + (", ".join(mode.allow_text) or "nothing")
    return [line for part in (serves, *conditions(mode)) for line in wrap(part, most, "small")]


def _slanted_names(page: Page, chart: Chart, top: int) -> tuple[list[int], int, int]:
    """Draw the modes' names, for more modes than cards are good for."""
    longest = max(width(mode.name, "open") for mode in chart.columns)
    columns = [_MARGIN + _SLANT_PITCH // 2 + _SLANT_PITCH * place for place in range(len(chart.columns))]
    foot = top + int(longest * _RISE) + 3 * LINE
    for mode, x in zip(chart.columns, columns, strict=True):
        page.slanted(x + 3, foot - 14, mode.name, "open" if mode.maintenance else "strong")
        page.reach(x + int(longest * _RUN) + LINE, foot)
        page.rect(x - 8, foot - 8, (16, 8), "card-open" if mode.maintenance else "card", round_by=3)
        if mode.index == chart.initial:
            page.dot(x, top, 5)
            page.text(x + 11, top + 4, "starts here", "note")
    return columns, max(columns[-1], _MARGIN + _NARROWEST), foot


def _rows(page: Page, chart: Chart, columns: list[int], corner: tuple[int, int]) -> None:
    """Draw the ways below and left of the corner, and the modes' lines behind them."""
    top, right = corner
    lefts = [min(columns[each] for each in (*row.sources, row.target)) + 12 for row in chart.rows]
    labels = [_placed(_spoken(chart, row), left, right) for row, left in zip(chart.rows, lefts, strict=True)]
    foot = top + LINE + sum(_high(lines) for _, lines in labels)
    for mode, x in zip(chart.columns, columns, strict=True):
        if mode.maintenance:
            page.rect(x - 4, top, (8, foot - top), "card-open")
        else:
            page.path("line", f"M{x} {top}V{foot}")
    y = top + LINE
    for row, (x, lines) in zip(chart.rows, labels, strict=True):
        wide = max(width(line) for line in lines)
        page.rect(x - 3, y, (min(wide + 6, right - x + 3), LINE * len(lines) - 1), "page")  # no line behind the words
        for number, line in enumerate(lines):
            page.text(x, y + 12 + LINE * number, line)
        _way(page, chart, row, columns, y + LINE * len(lines) + 4)
        y += _high(lines)
    page.reach(right, foot)


def _high(lines: list[str]) -> int:
    return LINE * len(lines) + 24


def _placed(words: str, left: int, right: int) -> tuple[int, list[str]]:
    """Where a label begins, and its lines: right of its arrow's left end; further left where the room is too small."""
    if width(words) > right - left and right - left < _LABEL:
        lines = wrap(words, right - _MARGIN)
        return max(_MARGIN, right - max(width(line) for line in lines)), lines
    return left, wrap(words, right - left)


def _spoken(chart: Chart, row: ChartRow) -> str:
    """The row's label; where the columns' names are far away, with the modes it leads from and to."""
    if len(chart.columns) <= _MANY:
        return row.label
    sources = ", ".join(chart.columns[source].name for source in row.sources)
    return f"{sources} → {chart.columns[row.target].name}: {row.label}"


def _way(page: Page, chart: Chart, row: ChartRow, columns: list[int], y: int) -> None:
    target = columns[row.target]
    kind = "implied" if row.implied else "open" if chart.columns[row.target].maintenance else ""
    for source in row.sources:
        page.dot(columns[source], y, 4, "tip-open" if kind == "open" else "tip")
    starts = [columns[source] for source in row.sources]
    for far in sorted({min([*starts, target]), max([*starts, target])} - {target}):
        page.arrow(far, target, y, kind)


def _table(page: Page, chart: Chart, top: int) -> None:
    """What each mode serves, under the picture."""
    y = top
    indent = _MARGIN + max(width(mode.name, "open") for mode in chart.columns) + 24
    most = max(_NARROWEST // 2, page.width - indent)
    page.text(_MARGIN, y, "mode", "note")
    page.text(indent, y, "serves", "note")
    for mode in chart.columns:
        y += LINE + 6
        page.text(_MARGIN, y, mode.name, "open" if mode.maintenance else "strong")
        y = page.lines(indent, y, ", ".join(mode.allow_text) or "nothing", most)
        if conditions(mode):
            y = page.lines(indent, y, " · ".join(conditions(mode)), most, "note")
        y -= LINE


def _legend(page: Page, chart: Chart, top: int, right: int) -> None:
    """What the signs mean, as far as they are there; then the ways past the gate that the policy declares."""
    targets = {chart.columns[row.target].maintenance for row in chart.rows if not row.implied}
    signs = [("card-open", "maintenance: firmware may be changed here, and is meant to be changed nowhere else")]
    signs += [("card", "any other mode")]
    signs += (
        [("open", "a transition into maintenance, from a mode with a dot to the one at the tip")]
        if True in targets
        else []
    )
    signs += [("", "any other transition that the policy gives")] if False in targets else []
    if any(row.implied for row in chart.rows):
        signs.append(("implied", "how the maintenance session ends, without a transition of its own"))
    y, x = top, _MARGIN + _SYMBOL + 12
    page.path("line", f"M{_MARGIN} {y - LINE}H{right}")
    for kind, words in signs:
        if kind.startswith("card"):
            page.rect(_MARGIN, y - 6, (_SYMBOL, 14), kind, round_by=4)
        else:
            page.dot(_MARGIN + 4, y + 1, 4, "tip-open" if kind == "open" else "tip")
            page.arrow(_MARGIN + 4, _MARGIN + _SYMBOL, y + 1, kind)
        y = page.lines(x, y + 5, words, right - x, "note") + 1
    for bypass in chart.bypasses:
        words = f"bypass of this gate, which the policy declares: {bypass}"
        y = page.lines(_MARGIN, y + 5, words, right - _MARGIN, "failed")
