"""Reports carry what is filed, in each form, and let nothing out of a policy become markup."""

import functools
import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from tests.policy.samples import ROOT, pump, pump_with

from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy
from keyswitch.prove.check import ProofResult, check
from keyswitch.prove.report import NOT_PROVED, PROMISES, ReportHeader, clean, junit, markdown, sentence
from keyswitch.prove.report_html import html

NOW = ReportHeader(tool="keyswitch 9.9.9", time="2026-11-28T16:00:00Z")
FORMS: dict[str, Callable[[Policy, ProofResult, ReportHeader], str]] = {"html": html, "md": markdown, "junit": junit}
TRAP = read_policy(ROOT / "examples/broken/trap.toml")


@functools.cache
def trapped() -> ProofResult:
    """What is found out about the trap."""
    return check(TRAP)


@functools.cache
def pumped() -> ProofResult:
    """What is found out about the pump."""
    return check(pump())


def plain(text: str) -> str:
    """Without the marks that a form puts before what would be markup."""
    return re.sub(r"\\(.)", r"\\1", text).replace("&quot;", '"').replace("&#x27;", "'")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_carries_everything(form: str) -> None:
    told = plain(FORMS[form](TRAP, trapped(), NOW))
    (violation,) = trapped().violations
    for piece in (
        TRAP.digest.hex(),
        TRAP.device.name,
        NOW.tool,
        NOW.time,
        violation.text,
        " 2. motion becomes true → fault",
        "Not so: “From every state the initial mode can be reached without a power cut.”",
        *(each.text for each in trapped().warnings),
        *NOT_PROVED,
        *(name for name, _ in PROMISES),
    ):
        assert piece in told, piece
    assert plain(pumped().bypasses[0]) in plain(FORMS[form](pump(), pumped(), NOW))


def test_a_promise_that_is_not_kept_is_not_printed_as_if_it_were() -> None:
    assert sentence("It is so.", "proved") == "It is so."
    assert sentence("It is so.", "refuted") == "Not so: “It is so.”"
    assert sentence("It is so.", "not decided") == "Not known: “It is so.”"


@pytest.mark.parametrize("form", ["html", "junit"])
def test_a_page_and_a_suite_are_well_formed_whatever_a_policy_says(form: str) -> None:
    evil = replace(TRAP, device=replace(TRAP.device, name="<script>&\"'\x1b[2J\x00|`"), origin="]]>.toml")
    verdict = replace(trapped(), bypasses=("<img src=x>\x07",))
    told = FORMS[form](evil, verdict, NOW)
    assert "<script>" not in told
    assert "<img" not in told
    assert not set(told) & {"\x00", "\x07", "\x1b"}
    if form == "junit":
        ET.fromstring(told)  # noqa: S314 - our own


def test_a_page_needs_nothing_else() -> None:
    told = html(TRAP, trapped(), NOW)
    assert "color-scheme: light dark" in told
    assert not re.search(r"https?://|<script|<link|<img|url[(]|@import", told)


def test_a_table_in_a_text_is_not_broken_by_a_policy() -> None:
    evil = replace(TRAP, device=replace(TRAP.device, name="a|b`c\n# d"))
    told = markdown(evil, trapped(), NOW)
    assert told.startswith(r"# a\|b\`c \# d: refuted")


def test_a_suite_counts_its_cases() -> None:
    suite = ET.fromstring(junit(TRAP, trapped(), NOW))[0]  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (str(len(PROMISES)), "1", "0")
    assert len(suite.findall("testcase")) == len(PROMISES)
    assert len(suite.findall("testcase/failure")) == 1
    stopped = check(pump_with(), max_states=10)
    undecided = ET.fromstring(junit(pump(), stopped, NOW))[0]  # noqa: S314 - our own
    assert len(undecided.findall("testcase/skipped")) == len(PROMISES)


def test_what_terminals_obey_is_taken_out() -> None:
    assert clean("a\x1b[2Jb\u009bc\td\n") == "a\ufffd[2Jb\ufffdc\td\n"
