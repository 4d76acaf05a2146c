"""The plots of docs/bench.md and docs/campaigns.md, drawn from the tables there: small multiples, light and dark.

python -m bench.plots [PAGE [DIRECTORY]]

pygal draws the panels; what is around them, and how all of it looks, is that of every picture of ours
(`keyswitch.drawing`). A picture and the table beside it cannot differ, and nothing has to be measured again for it.
"""

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import Any

import pygal

from keyswitch.drawing import Page, width

PAGE = Path("docs/bench.md")
RADIO_PLOT = "bench.svg"
WIRES_PLOT = "bench-wires.svg"
MODEL_PLOT = "bench-model.svg"
COST_PLOT = "campaign-cost.svg"

MARGIN = 24
RIGHT = 856
"""Right edge of the panels."""
LINES_HEIGHT = 210
BARS_HEIGHT = 150

SERIES = ("bound", "ours", "one at a time", "smpclient", "mcumgr-toolkit")
"""By their number each has its colour."""
NUMBERS = {**{name: number for number, name in enumerate(SERIES)}, "promised": 0, "SQLite": 1, "PostgreSQL": 3}
STORES = ("SQLite", "PostgreSQL")
LIGHT = ("#59636e", "#0969da", "#8250df", "#bc4c00", "#1a7f37")
DARK = ("#9198a1", "#4493f8", "#ab7df8", "#f0883e", "#3fb950")

WORDS = {"bound": "computed bound", "ours": "keyswitch", "one at a time": "one request at a time"}
"""What the tables call it, for a picture that stands alone."""
WIRES = {"udp": "UDP", "serial": "serial line (pseudo-terminal)"}

Row = Mapping[str, str]
"""Of a table: its cells by the heads of their columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One of the small multiples.

    Attributes:
        title: of it.
        most: where its scale ends.
        values: by series.
        marks: of the axis below: the words by their places; None: the places themselves.
    """

    title: str
    most: float
    values: Mapping[str, Any]
    marks: Mapping[float, str] | None = None


def main(arguments: list[str]) -> None:
    """Draw the plots of the page."""
    page = Path(arguments[0]) if arguments else PAGE
    directory = Path(arguments[1]) if arguments[1:] else page.parent
    for name, svg in plots(page.read_text(encoding="utf-8")).items():
        (directory / name).write_text(svg, encoding="utf-8")
        print(f"written: {directory / name}")


def plots(page: str) -> dict[str, str]:
    """The pictures, by the names of their files; those whose table is there."""
    compared, modelled = _table(page, "mcumgr-toolkit"), _table(page, "one at a time")
    radio = [row for row in compared if row["link"][0].isdigit()]
    wires = [row for row in compared if not row["link"][0].isdigit()]
    drawn: dict[str, str] = {}
    if radio:
        drawn[RADIO_PLOT] = _radio(radio)
    if wires:
        panels = [
            _bars(WIRES.get(row["link"], row["link"]), row, "ours", "smpclient", "mcumgr-toolkit") for row in wires
        ]
        what = "Upload rate over UDP and over a pseudo-terminal"
        drawn[WIRES_PLOT] = _picture(what, "kB/s; each panel has its own scale", panels, kind="bars")
    if modelled:
        panels = [
            _bars(f"buffer {row['buffer']} bytes, flash: {row['flash']}", row, "bound", "ours", "one at a time")
            for row in modelled
        ]
        links = ", ".join(dict.fromkeys(row["link"] for row in modelled))
        what = f"Upload rate in virtual time, at a connection interval of {links}"
        drawn[MODEL_PLOT] = _picture(what, "kB/s; each panel has its own scale", panels, kind="bars")
    if costs := _table(page, "CPU ms a device"):
        drawn[COST_PLOT] = _costs(costs)
    return drawn


def _costs(rows: Sequence[Row]) -> str:
    """CPU and bytes of a device over how many there are, which is a scale of powers of ten."""
    marks = {log10(_number(row["devices"])): row["devices"] for row in rows}
    on_sqlite = [row for row in rows if row["store"] == "SQLite"]
    cpu = {store: _over(marks, [row for row in rows if row["store"] == store], "CPU ms a device") for store in STORES}
    cpu["promised"] = _over(marks, on_sqlite, "promised")
    # A server's bytes have its empty database in them: ten devices would be all that one sees.
    size = {"SQLite": _over(marks, on_sqlite, "bytes a device")}
    panels = [
        Panel(
            title=title,
            most=max(value for points in values.values() for _, value in points),
            values=values,
            marks=marks,
        )
        for title, values in (("ms of CPU a device", cpu), ("bytes a device on SQLite", size))
    ]
    note = "over the number of devices; their update takes no time, so this is the engine, its store and the record"
    return _picture("What a campaign costs", note, panels, kind="lines")


def _over(marks: Mapping[float, str], rows: Sequence[Row], head: str) -> list[tuple[float, float]]:
    places = {word: place for place, word in marks.items()}
    return [(places[row["devices"]], _number(row[head])) for row in rows]


def _number(cell: str) -> float:
    return float(cell.replace(",", ""))


def _table(page: str, head: str) -> list[Row]:
    """The rows of the table that has such a column, without units in its heads; none if there is no such table."""
    for block in page.split("\n\n"):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.strip().splitlines()]
        heads = [cell.removesuffix(" kB/s") for cell in lines[0]]
        if block.strip().startswith("|") and head in heads:
            if len(set(heads)) != len(heads):
                raise ValueError(f"two columns of the table have one name: {heads}")
            return [dict(zip(heads, cells, strict=True)) for cells in lines[2:]]
    return []


def _radio(rows: Sequence[Row]) -> str:
    """A row of panels for each loss, a column for each buffer; each column has one scale."""
    buffers = list(dict.fromkeys(row["buffer"] for row in rows))
    losses = list(dict.fromkeys(row["link"].partition(", ")[2] for row in rows))
    panels: list[Panel] = []
    for loss in losses:
        for buffer in buffers:
            column = [row for row in rows if row["buffer"] == buffer]
            shown = [row for row in column if row["link"].partition(", ")[2] == loss]
            most = max(float(row[name]) for row in column for name in SERIES if row.get(name))
            points = {
                name: [(float(row["link"].split()[0]), float(row[name])) for row in shown if row.get(name)]
                for name in ("bound", "ours", "smpclient")
            }
            panels.append(
                Panel(title=f"buffer {buffer} bytes" + (f", {loss}" if loss else ""), most=most, values=points)
            )
    note = "kB/s over the connection interval in ms; each buffer has its own scale; lost: of the packets on the air"
    return _picture("Upload rate over the modelled radio", note, panels, kind="lines", columns=len(buffers))


def _bars(title: str, row: Row, *names: str) -> Panel:
    values = {name: float(row[name]) for name in names if row[name]}
    return Panel(title=title, most=max(values.values()), values=values)


def _picture(title: str, note: str, panels: Sequence[Panel], *, kind: str, columns: int = 2) -> str:
    page = Page()
    page.text(MARGIN, MARGIN + 10, title, "title")
    page.text(MARGIN, MARGIN + 30, note, "note")
    y = MARGIN + 50
    shown = [name for name in NUMBERS if any(name in panel.values for panel in panels)]
    if kind == "lines":
        _legend(page, shown, y)
        y += 26
    page.parts.append(f"<style>{_style()}</style>")
    wide = (RIGHT - MARGIN) // columns
    high = LINES_HEIGHT if kind == "lines" else BARS_HEIGHT
    for number, panel in enumerate(panels):
        x, top = MARGIN + wide * (number % columns), y + high * (number // columns)
        drawn = _lines(panel, wide, high) if kind == "lines" else _bar_chart(panel, wide, high)
        page.parts.append(f'<svg x="{x}" y="{top}" width="{wide}" height="{high}">{drawn}</svg>')
        page.reach(x + wide, top + high)
    page.reach(RIGHT, y)
    return page.svg(title, margin=MARGIN)


def _legend(page: Page, names: Sequence[str], y: int) -> None:
    x = MARGIN
    for name in names:
        page.parts.append(f'<g class="graph {_class(name)}"><path class="line" d="M{x} {y}h28"/></g>')
        page.text(x + 36, y + 4, WORDS.get(name, name))
        x += 36 + width(WORDS.get(name, name)) + 28


def _class(name: str) -> str:
    return f"color-{NUMBERS[name]}"


def _lines(panel: Panel, wide: int, high: int) -> str:
    chart = pygal.XY(**_settings(panel, wide, high), dots_size=3)
    places = sorted({x for points in panel.values.values() for x, _ in points})
    marks = panel.marks
    chart.x_labels = places if marks is None else [{"value": place, "label": marks[place]} for place in places]
    for name, points in panel.values.items():
        chart.add(name, points)
    return _inner(chart, list(panel.values))


def _bar_chart(panel: Panel, wide: int, high: int) -> str:
    chart = pygal.HorizontalStackedBar(**_settings(panel, wide, high))
    names = list(reversed(panel.values))  # it draws from below
    chart.x_labels = [f"{WORDS.get(name, name)}: {panel.values[name]:,.1f}" for name in names]
    for name in names:
        chart.add(name, [panel.values[name] if each == name else None for each in names])
    return _inner(chart, names)


def _settings(panel: Panel, wide: int, high: int) -> dict[str, Any]:
    return {
        "width": wide,
        "height": high,
        "title": panel.title,
        "range": (0, panel.most * 1.04),
        "show_legend": False,
        "js": [],
        "css": [],
        "no_prefix": True,
        "max_scale": 6,
        "margin": 6,
        "show_x_guides": False,
    }


def _inner(chart: Any, names: Sequence[str]) -> str:
    """What pygal has drawn, without its style, script, date and tooltips."""
    for element in (root := chart.render_tree()).iter():
        for child in list(element):
            if not isinstance(child.tag, str) or child.tag.rpartition("}")[2] in {"desc", "title", "script", "style"}:
                element.remove(child)
    graph = next(element for element in root.iter() if element.get("class", "").startswith("graph"))
    ours = {f"series serie-{number} color-{number}": f"drawn {_class(name)}" for number, name in enumerate(names)}
    for element in graph.iter():
        element.attrib.update({name: _DECIMALS.sub(_tenth, value) for name, value in element.attrib.items()})
        element.set("class", ours.get(element.get("class", ""), element.get("class", "")))
    return str(ET.tostring(graph, encoding="unicode")).replace(' xmlns="http://www.w3.org/2000/svg"', "")


_DECIMALS = re.compile(r"\d+\.\d+")


def _tenth(found: re.Match[str]) -> str:
    return f"{float(found[0]):.1f}"


def _style() -> str:
    fixed = (
        ".graph text{font-size:11px;font-weight:normal}.graph .plot_title{font-size:12px;font-weight:bold}"
        ".graph .title{text-anchor:middle}.graph .axis.x text{text-anchor:middle}.graph .axis.y text{text-anchor:end}"
        ".graph .background{fill:none}.graph .line{stroke-width:2;fill:none}"
        ".graph .axis .line,.graph .guide{stroke-width:1;fill:none}"
        ".graph .color-0 .line,.graph.color-0 .line{stroke-dasharray:5 4}"
    )
    return fixed + _colours(LIGHT, "#d1d9e0") + "@media (prefers-color-scheme:dark){" + _colours(DARK, "#3d444d") + "}"


def _colours(colours: Sequence[str], line: str) -> str:
    rules = f".graph .axis .line,.graph .guide{{stroke:{line}}}"
    for number, colour in enumerate(colours):
        rules += f".graph .color-{number} .line,.graph.color-{number} .line{{stroke:{colour}}}"
        rules += f".graph .color-{number} circle,.graph .color-{number} rect{{fill:{colour}}}"
    return rules


if __name__ == "__main__":
    main(sys.argv[1:])
