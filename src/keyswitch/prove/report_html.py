"""The report about one check as one page that needs nothing else: no script, no picture, no font from elsewhere."""

from html import escape
from typing import Final

from keyswitch.policy.model import Policy
from keyswitch.prove.check import ProofResult, trace_words
from keyswitch.prove.report import (
    NOT_PROVED,
    PROMISES,
    ReportHeader,
    clean,
    counterexample,
    promise_verdict,
    sentence,
    summary,
    verdict_of,
)

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --bad: #b00020; --good: #1b5e20 }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #81c784 } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td, th { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top }
pre { overflow-x: auto; padding: .6rem; border: 1px solid var(--line) }
code, pre { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
.refuted { color: var(--bad); font-weight: 600 }
.holds { color: var(--good) }
"""


def html(policy: Policy, verdict: ProofResult, circumstances: ReportHeader) -> str:
    """The page."""
    word = verdict_of(verdict)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(policy.device.name)}: {word}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_text(policy.device.name)}: {_word(word)}</h1><table>",
        _row("Policy file", f"<code>{_text(policy.origin)}</code>"),
        _row("Digest", f"<code>{policy.digest.hex()}</code>"),
        _row("Checked by", _text(circumstances.tool)),
        _row("Time", _text(circumstances.time)),
        _row("Explored", _text(summary(verdict))),
        "</table><h2>Promises</h2><table>",
    ]
    for name, promise in PROMISES:
        of_rule = promise_verdict(verdict, name)
        told = _text(sentence(promise, of_rule))
        parts.append(f"<tr><td>{_text(name)}</td><td>{_word(of_rule)}</td><td>{told}</td></tr>")
    parts.append("</table>")
    if verdict.violations:
        parts.append("<h2>Counterexamples</h2>")
    for violation in verdict.violations:
        parts.append(f"<h3>{_text(violation.rule)}: {_text(violation.text)}</h3>")
        parts.append(_lines(counterexample(violation)))
    parts += _list("Warnings", [each.text for each in verdict.warnings])
    parts += _list("Bypasses that the policy declares", list(verdict.bypasses))
    parts += _list("What is not proved", list(NOT_PROVED))
    if verdict.early:
        parts.append("<h2>The window that early arming leaves open</h2>" + _lines(trace_words(verdict.early)))
    return "\n".join((*parts, "</body></html>")) + "\n"


def _text(text: str) -> str:
    return escape(clean(text))


def _word(word: str) -> str:
    return f'<span class="{word.replace(" ", "-")}">{word}</span>'


def _row(name: str, value: str) -> str:
    return f"<tr><th>{name}</th><td>{value}</td></tr>"


def _lines(lines: list[str]) -> str:
    return f"<pre>{_text(chr(10).join(lines))}</pre>" if lines else ""


def _list(title: str, texts: list[str]) -> list[str]:
    items = "".join(f"<li>{_text(text)}</li>" for text in texts)
    return [f"<h2>{title}</h2>", f"<ul>{items}</ul>" if items else "<p>None.</p>"]
