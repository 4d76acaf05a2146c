"""The report as one page that needs nothing else: no script, no picture, no font from elsewhere."""

from collections.abc import Iterable
from html import escape
from typing import Final

from keyswitch.audit.catalogue import Check
from keyswitch.audit.clauses import Clause, clauses_of
from keyswitch.audit.report.document import DISCLAIMER, NOT_SAID, Report, replay_command
from keyswitch.audit.report.packets import packet_words
from keyswitch.audit.table import SERVED, SITUATIONS, Cell
from keyswitch.audit.verdict import Part, Verdict
from keyswitch.policy.bootloader import bypasses_of
from keyswitch.text import plain

MAX_PARTS: Final = 12
"""Parts of one check that the page shows; the JSON has all of them."""
MAX_SHORT: Final = 240
"""Characters of a reason in the table of checks; the whole of it stands with the check."""

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --bad: #b00020; --good: #1b5e20; --open: #8a5a00 }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #81c784; --open: #ffca62 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem }
h1, h2, h3 { line-height: 1.25; overflow-wrap: anywhere }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line) }
table { border-collapse: collapse; width: 100% }
td, th { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top }
td { overflow-wrap: anywhere }
a { white-space: nowrap }
.fail, .pass, .inconclusive, .unconfirmed, .not-applicable { white-space: nowrap }
th { font-weight: 600 }
.wide { overflow-x: auto }
@media (max-width: 44rem) {
  .wide thead { display: none } .wide tr, .wide td { display: block; border: 0; padding: .1rem 0 }
  .wide tr { border-bottom: 1px solid var(--line); padding: .5rem 0 }
  .wide td::before { content: attr(data-head) ": "; opacity: .7 }
  code, pre { overflow-wrap: anywhere }
}
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .6rem; border: 1px solid var(--line) }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere }
.fail { color: var(--bad); font-weight: 600 } .pass { color: var(--good) }
.inconclusive, .unconfirmed { color: var(--open); font-weight: 600 } .not-applicable, .none { opacity: .7 }
.note { background: var(--soft); padding: .6rem .8rem; border-left: 4px solid var(--open) }
.big { font-size: 1.15rem }
section { break-inside: avoid }
dt { font-weight: 600 } dd { margin: 0 0 .4rem 0 }
@media print { body { max-width: none; font-size: 11pt } a { color: inherit } }
"""


def to_html(report: Report) -> bytes:
    """The page."""
    title = f"Audit of {report.policy.device.name}"
    body = [
        f"<h1>{_text(title)}</h1>",
        *_summary(report),
        *_checks_table(report),
        *_matrix(report),
        *_findings(report),
        *_situations(),
        *_controls(report),
        *_clauses(report),
        *_said(report),
    ]
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>"
    )
    return ("\n".join([head, *body, "</body></html>"]) + "\n").encode()


def _summary(report: Report) -> list[str]:
    counts = [(verdict, len(report.of(verdict))) for verdict in Verdict]
    words = ", ".join(f"{number} {_word(verdict)}" for verdict, number in counts if number)
    unexpected = ", ".join(f'<a href="#{check}">{check}</a>' for check in report.compared.unexpected)
    rows = [
        ("Target", ", ".join(report.target)),
        ("Policy", f"{report.policy.origin}, SHA-256 {report.policy.digest.hex()}"),
        *((f"Image ({each.role})", f"{each.file}: {each.version}, hash {each.hash}") for each in report.images),
        *report.facts.items(),
        ("Firmware at the beginning", _firmware(report)),
        ("Begun", f"{report.begun} ({report.clock})"),
        ("Took", f"{report.duration_ms / 1000:.1f} s, {report.audited.costs.attempts} attempts"),
        ("Tool", report.tool),
    ]
    lines = [
        f'<p class="big">{len(report.checks)} checks: {words}.</p>',
        f"<p>To be looked at: {unexpected or 'nothing that was not accepted beforehand'}.</p>",
        f'<p class="note">{DISCLAIMER}</p>',
    ]
    if report.audited.ended:
        lines.append(f'<p class="note">The audit ended before its end: {_text(report.audited.ended)}.</p>')
    if report.audited.left_behind:
        left = "; ".join(report.audited.left_behind)
        lines.append(f'<p class="note">Not put back as it was: {_text(left)}.</p>')
    return [*lines, _table((_text(name), _text(value)) for name, value in rows)]


def _firmware(report: Report) -> str:
    seen = report.audited.firmware
    return "not seen" if seen is None else f"{seen.version}, hash {seen.hash.hex()}"


def _checks_table(report: Report) -> list[str]:
    rows: list[tuple[str, ...]] = []
    for check in report.checks:
        found = report.found(check)
        accepted = report.compared.accepted.get(check.id)
        until = f"<br>accepted until {accepted.expires} by {_text(accepted.owner)}" if accepted is not None else ""
        link = f'<a href="#{check.id}">{check.id}</a>'
        rows.append((link, _text(check.title), _word(found.verdict) + until, _text(_short(found.why))))
    return ["<h2>Checks</h2>", _wide(_table(rows, ("Check", "What must be so", "Verdict", "Because")))]


def _matrix(report: Report) -> list[str]:
    lines = ["<h2>Matrix</h2>", "<p>Every command that can change firmware, in each mode, over each way.</p>"]
    ways = [way for way in dict.fromkeys(cell.way for cell in report.cells) if _any_tried(report.cells, way)]
    for mode in dict.fromkeys(cell.mode for cell in report.cells):
        rows: list[tuple[str, ...]] = []
        for command in dict.fromkeys(cell.command for cell in report.cells):
            found = {cell.way: cell for cell in report.cells if cell.mode == mode and cell.command == command}
            rows.append((f"<code>{_text(command)}</code>", *(_cell(found[way]) for way in ways)))
        lines += [f"<h3>Mode {_text(mode)}</h3>", _wide(_table(rows, ("Command", *ways)))]
    reasons: dict[str, int] = {}
    for cell in report.not_covered:
        reasons[cell.why] = reasons.get(cell.why, 0) + 1
    items = [f"{_text(why)}: {number} cells" for why, number in sorted(reasons.items())]
    return [*lines, "<h3>Cells in which nothing was tried, and why</h3>", _list(items)]


def _any_tried(cells: Iterable[Cell], way: str) -> bool:
    return any(cell.way == way and cell.verdict is not None for cell in cells)


def _cell(cell: Cell) -> str:
    if cell.verdict is not None:
        return _word(cell.verdict)
    served = cell.why == SERVED
    return '<span class="none">served by policy</span>' if served else '<span class="none">not tried</span>'


def _findings(report: Report) -> list[str]:
    lines = ["<h2>Each check</h2>"]
    order = {verdict: place for place, verdict in enumerate((Verdict.FAIL, Verdict.UNCONFIRMED, Verdict.INCONCLUSIVE))}
    for check in sorted(report.checks, key=lambda check: (order.get(report.found(check).verdict, 9), check.id)):
        lines += _check(report, check)
    return lines


def _check(report: Report, check: Check) -> list[str]:
    found = report.found(check)
    lines = [
        f'<section id="{check.id}"><h3>{check.id}: {_text(check.title)} — {_word(found.verdict)}</h3>',
        f"<p>{_text(found.why)}.</p>",
    ]
    accepted = report.compared.accepted.get(check.id)
    if accepted is not None:
        words = f"Accepted until {accepted.expires} by {accepted.owner}: {accepted.reason}"
        lines.append(f'<p class="note">{_text(words)}</p>')
    told = [("Required", check.requirement), ("Why it matters", check.why), ("How it is tried", check.how)]
    if found.verdict in {Verdict.FAIL, Verdict.UNCONFIRMED}:
        told += [("What it means", check.finding), ("How it is closed", check.remedy)]
    told += [("Class", check.impact.value), ("Evidence toward", _names(clauses_of(check.id)))]
    told += [("Controls", _control_words(report, check))]
    lines.append("<dl>" + "".join(f"<dt>{name}</dt><dd>{_text(text)}</dd>" for name, text in told) + "</dl>")
    if found.verdict in {Verdict.FAIL, Verdict.UNCONFIRMED, Verdict.INCONCLUSIVE}:
        lines += [line for part in found.findings[:MAX_PARTS] for line in _part(part)]
        if len(found.findings) > MAX_PARTS:
            lines.append(f"<p>{len(found.findings) - MAX_PARTS} more are in report.json.</p>")
    if found.verdict in {Verdict.FAIL, Verdict.UNCONFIRMED}:
        lines.append(f"<p>Again: <code>{_text(replay_command(report, check))}</code></p>")
    return [*lines, "</section>"]


def _part(part: Part) -> list[str]:
    lines = [f"<p><strong>{_text(part.what)}</strong>: {_text(part.why)}</p>"]
    if part.exchange:
        told = [each for line in part.exchange for each in (line, f"  {packet_words(line)}")]
        lines.append(f"<pre>{_text_lines(told)}</pre>")
    return lines


def _names(clauses: Iterable[Clause]) -> str:
    return "; ".join(clause.name for clause in clauses)


def _control_words(report: Report, check: Check) -> str:
    controls = report.controls_of(check.id)
    if not controls:
        return report.controls_why
    return "; ".join(f"{each.device}: {each.verdict.value}{'' if each.right else ' (wrong)'}" for each in controls)


def _situations() -> list[str]:
    rows = [(_text(row.what), ", ".join(row.checks) or f"not covered: {_text(row.why)}") for row in SITUATIONS]
    return ["<h2>Situations</h2>", _wide(_table(rows, ("Situation", "Tried by"))) if rows else "<p>None.</p>"]


def _controls(report: Report) -> list[str]:
    lines = ["<h2>Controls</h2>", f"<p>{_text(report.controls_why)}.</p>"]
    if report.controls is None:
        return lines
    wrong = [check for check in report.controls if not all(each.right for each in report.controls[check])]
    lines.append(f"<p>Not as they have to be: {', '.join(wrong) or 'none'}.</p>")
    return lines


def _clauses(report: Report) -> list[str]:
    by_clause: dict[Clause, list[str]] = {}
    for check in report.checks:
        for clause in clauses_of(check.id):
            by_clause.setdefault(clause, []).append(check.id)
    rows = [
        (_text(clause.name), _text(clause.says), _text(f"{clause.edition}; {clause.source}"), ", ".join(checks))
        for clause, checks in by_clause.items()
    ]
    head = ("Clause", "Says, in short", "Edition; source", "Checks that are evidence toward it")
    return ["<h2>Clauses</h2>", _wide(_table(rows, head))]


def _said(report: Report) -> list[str]:
    bypasses = [_text(each) for each in bypasses_of(report.policy)]
    return [
        "<h2>What was said beforehand</h2>",
        _list([_text(line) for line in report.declared]),
        "<h2>Bypasses that the policy declares; not tested</h2>",
        _list(bypasses),
        "<h2>What this page does not say</h2>",
        _list([_text(each) for each in NOT_SAID]),
    ]


def _word(verdict: Verdict) -> str:
    return f'<span class="{verdict.value.replace(" ", "-")}">{verdict.value}</span>'


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHORT else f"{text[: MAX_SHORT - 1]}…"


def _text(text: str) -> str:
    return escape(plain(text))


def _text_lines(lines: Iterable[str]) -> str:
    return "\n".join(_text(line) for line in lines)


def _table(rows: Iterable[tuple[str, ...]], head: tuple[str, ...] = ()) -> str:
    """A table of cells that are HTML already. On a narrow screen each cell has its column's name before it."""
    top = f"<thead><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr></thead>" if head else ""
    body = "".join(f"<tr>{_row(row, head)}</tr>" for row in rows)
    return f"<table>{top}<tbody>{body}</tbody></table>"


def _row(row: tuple[str, ...], head: tuple[str, ...]) -> str:
    if head:
        return "".join(f'<td data-head="{name}">{cell}</td>' for name, cell in zip(head, row, strict=True))
    return f"<th>{row[0]}</th>" + "".join(f"<td>{cell}</td>" for cell in row[1:])


def _wide(table: str) -> str:
    return f'<div class="wide">{table}</div>'


def _list(items: Iterable[str]) -> str:
    lines = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{lines}</ul>" if lines else "<p>None.</p>"
