"""What is filed about one check: the policy, each promise with its verdict, counterexamples, and what is not proved."""

import re
from dataclasses import dataclass
from typing import Any, Final, TypedDict
from xml.sax.saxutils import escape, quoteattr

from keyswitch.policy.digest import POLICY_FORM
from keyswitch.policy.fingerprints import KeyFingerprints
from keyswitch.policy.model import Policy
from keyswitch.prove.check import ProofResult, Violation, trace_json, trace_words
from keyswitch.prove.liveness import LIVENESS
from keyswitch.prove.safety import SAFETY

NOT_PROVED: Final = (
    "How long things take, but for what limits-suffice reckons. A time limit that runs may end at any moment.",
    "The code around the gate's machine: radio, framing, the decoding of requests, their handlers, the flash driver.",
    "Cryptography. A proof that was verified counts as given by whoever holds the key; keys are assumed to be secret.",
    "The bootloader's own checks. An armed image is assumed to start; flash is assumed to keep what was written.",
    "Your product's firmware. What is proved is this machine; an implementation of its own has to be compared with it.",
    "The application: that it obeys what a mode inhibits, that inputs say what is so, and that a button is a person's.",
    "More than two BLE centrals and one other peer at a time.",
    "Whether images of several numbers go with each other: each is confirmed for itself. Dependencies are for that.",
    "Links whose security changes while they last; weaker ones than can be, but for entering and attaching.",
    "Inputs that change several at once, or while the device has no power: they change one after the other.",
    "Anything past the gate: debug ports, serial recovery, and the bypasses that the policy names.",
)
"""The limits of the model, each in a sentence."""

PROMISES: Final = (
    *((rule.name, rule.promise) for rule in SAFETY),
    *((rule.name, rule.promise) for rule in LIVENESS),
)
"""Name and sentence of each promise, in order."""

PROVED: Final = "proved"
REFUTED: Final = "refuted"
UNDECIDED: Final = "not decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHeader:
    """Which check it was.

    Attributes:
        tool: name and version.
        time: when, in ISO 8601, UTC.
        keys: fingerprints of the public keys that the policy names; they are not in its digest.
    """

    tool: str
    time: str
    keys: KeyFingerprints = KeyFingerprints()  # noqa: RUF009 - frozen


class CheckedPolicyJson(TypedDict):
    """Which policy it was."""

    name: str
    file: str
    sha256: str
    form: int
    issuers: list[str | None]
    image_key: str | None


class PromiseJson(TypedDict):
    """One promise; its verdict is `proved`, `refuted` or `not decided`."""

    name: str
    promise: str
    verdict: str


class ViolationJson(TypedDict):
    """A promise that is not kept.

    `trace` is what happens until then, `loop` what can go on for ever then: objects with `event`, what belongs to it,
    and `mode`, the mode after it (null: off). `kind` is `safety` or `liveness`; `explored` says what was tried where
    something never happens at all; `refused` is the command that is refused then, where the violation is that.
    """

    rule: str
    kind: str
    subject: str
    text: str
    trace: list[dict[str, Any]]
    loop: list[dict[str, Any]]
    explored: str | None
    refused: str | None


class WarningJson(TypedDict):
    """Something that is legal but doubtful."""

    name: str
    text: str


class PolicyCheckJson(TypedDict):
    """The object of `check --json`.

    `stopped` says why something was left out; null: everything was explored. `early_arming_window` is a trace; null:
    there is no such window.
    """

    tool: str
    time: str
    policy: CheckedPolicyJson
    verdict: str
    holds: bool
    promises: list[PromiseJson]
    violations: list[ViolationJson]
    warnings: list[WarningJson]
    bypasses: list[str]
    not_proved: list[str]
    states: int
    explored: int
    moves: int
    complete: bool
    stopped: str | None
    early_arming_window: list[dict[str, Any]] | None


def report_json(policy: Policy, verdict: ProofResult, circumstances: ReportHeader) -> PolicyCheckJson:
    """Everything about one check as one JSON object."""
    return {
        "tool": circumstances.tool,
        "time": circumstances.time,
        "policy": {
            "name": policy.device.name,
            "file": policy.origin,
            "sha256": policy.digest.hex(),
            "form": POLICY_FORM,
            "issuers": list(circumstances.keys.issuers),
            "image_key": circumstances.keys.image_key,
        },
        "verdict": verdict_of(verdict),
        "holds": verdict.holds,
        "promises": [
            {"name": name, "promise": promise, "verdict": promise_verdict(verdict, name)} for name, promise in PROMISES
        ],
        "violations": [_violation_json(each) for each in verdict.violations],
        "warnings": [{"name": each.name, "text": each.text} for each in verdict.warnings],
        "bypasses": list(verdict.bypasses),
        "not_proved": list(NOT_PROVED),
        "states": verdict.states,
        "explored": verdict.explored,
        "moves": verdict.edges,
        "complete": verdict.complete,
        "stopped": verdict.stopped,
        "early_arming_window": trace_json(verdict.early) if verdict.early else None,
    }


def verdict_of(verdict: ProofResult) -> str:
    """One word or two for the whole."""
    if verdict.violations:
        return REFUTED
    return PROVED if verdict.complete else UNDECIDED


def promise_verdict(verdict: ProofResult, name: str) -> str:
    """The same for one promise."""
    if any(each.rule == name for each in verdict.violations):
        return REFUTED
    return PROVED if verdict.complete else UNDECIDED


def _violation_json(violation: Violation) -> ViolationJson:
    return {
        "rule": violation.rule,
        "kind": "safety" if violation.safety else "liveness",
        "subject": violation.subject,
        "text": violation.text,
        "trace": trace_json(violation.trace),
        "loop": trace_json(violation.loop),
        "explored": violation.explored or None,
        "refused": violation.refused,
    }


def counterexample(violation: Violation) -> list[str]:
    """A violation's steps for people, one line each, numbered."""
    lines = [f"{number:2}. {line}" for number, line in enumerate(trace_words(violation.trace), 1)]
    if violation.loop:
        lines.append("and then for ever:")
        first = len(violation.trace) + 1
        lines += [f"{number:2}. {line}" for number, line in enumerate(trace_words(violation.loop), first)]
    elif violation.ever:
        lines.append(violation.ever)
    if violation.explored:
        lines.append(f"explored: {violation.explored}")
    return lines


def sentence(rule_promise: str, word: str) -> str:
    """A promise so that nobody takes it for true where it is not."""
    if word == PROVED:
        return rule_promise
    return f"{'Not so' if word == REFUTED else 'Not known'}: “{rule_promise}”"


def summary(verdict: ProofResult) -> str:
    """How much was explored, and why no more."""
    counts = f"{verdict.states} states found, {verdict.explored} of them explored, {verdict.edges} moves"
    return counts if verdict.stopped is None else f"{counts}; stopped: {verdict.stopped}"


def markdown(policy: Policy, verdict: ProofResult, circumstances: ReportHeader) -> str:
    """The report for a page or a ticket."""
    rows = [("Policy", policy.device.name), ("File", policy.origin), ("Digest", policy.digest.hex())]
    rows += [("Checked by", circumstances.tool), ("Time", circumstances.time), ("Explored", summary(verdict))]
    lines = [f"# {_md(policy.device.name)}: {verdict_of(verdict)}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_md(value)} |" for name, value in rows]
    lines += ["", "## Promises", "", "| | verdict | |", "|---|---|---|"]
    for name, promise in PROMISES:
        word = promise_verdict(verdict, name)
        lines.append(f"| {name} | {word} | {_md(sentence(promise, word))} |")
    for violation in verdict.violations:
        lines += ["", f"### {violation.rule}: {_md(violation.text)}", "", "```"]
        lines += [clean(line).replace("```", "'''") for line in counterexample(violation)] + ["```"]
    parts = {
        "Warnings": [each.text for each in verdict.warnings],
        "Bypasses that the policy declares": list(verdict.bypasses),
        "What is not proved": list(NOT_PROVED),
    }
    for title, texts in parts.items():
        lines += ["", f"## {title}", "", *([f"* {_md(text)}" for text in texts] or ["None."])]
    if verdict.early:
        lines += ["", "## The window that early arming leaves open", "", "```"]
        lines += [clean(line) for line in trace_words(verdict.early)] + ["```"]
    return "\n".join(lines) + "\n"


def junit(policy: Policy, verdict: ProofResult, circumstances: ReportHeader) -> str:
    """The report for a CI server: a test case for each promise."""
    words = [promise_verdict(verdict, name) for name, _ in PROMISES]
    head = f'tests="{len(words)}" failures="{words.count(REFUTED)}" errors="0" skipped="{words.count(UNDECIDED)}"'
    properties = {
        "tool": circumstances.tool,
        "policy.name": policy.device.name,
        "policy.file": policy.origin,
        "policy.sha256": policy.digest.hex(),
        "policy.form": str(POLICY_FORM),
        "explored": summary(verdict),
        **{f"warning.{number}": each.text for number, each in enumerate(verdict.warnings, 1)},
        **{f"bypass.{number}": text for number, text in enumerate(verdict.bypasses, 1)},
        **{f"not-proved.{number}": text for number, text in enumerate(NOT_PROVED, 1)},
    }
    # JUnit's timestamp has no offset; it is UTC here, as `time` says.
    named = (
        f"name={_attribute(f'keyswitch check: {policy.device.name}')} timestamp={_attribute(circumstances.time[:19])}"
    )
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {head}>", f"<testsuite {named} {head}>"]
    lines.append("<properties>")
    lines.append(f'<property name="time" value={_attribute(circumstances.time)}/>')
    lines += [f"<property name={_attribute(name)} value={_attribute(value)}/>" for name, value in properties.items()]
    lines.append("</properties>")
    for (name, promise), word in zip(PROMISES, words, strict=True):
        lines.append(f"<testcase classname={_attribute(policy.device.name)} name={_attribute(name)}>")
        # One failure for each test case is what readers of this format expect.
        broken = [each for each in verdict.violations if each.rule == name]
        steps = [sentence(promise, word)] if broken else []
        for each in broken:
            steps += [each.text, *counterexample(each)]
        if broken:
            told = escape(clean("\n".join(steps)))
            lines.append(f"<failure message={_attribute(broken[0].text)}>{told}</failure>")
        if word == UNDECIDED:
            lines.append(f"<skipped message={_attribute(summary(verdict))}/>")
        lines.append("</testcase>")
    return "\n".join((*lines, "</testsuite>", "</testsuites>")) + "\n"


_UNPRINTABLE: Final = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """Without characters that XML forbids and terminals obey."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _attribute(text: str) -> str:
    return quoteattr(clean(text))


def _md(text: str) -> str:
    """On one line, and nothing in it is markup."""
    return re.sub(r"([\\`*_<>\[\]|#])", r"\\\1", clean(text).replace("\n", " "))
