"""The report: four forms of one value, and a directory in which nothing can be changed unnoticed."""

import json
import re
import resource
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.audit.audits import PUMP, audit, over
from tests.shapes import faults

from keyswitch.audit.checks import BY_ID, CHECKS
from keyswitch.audit.expect import Accepted, compare
from keyswitch.audit.json_output import ReportCheckedJson, report_checked_json
from keyswitch.audit.manifest import EVIDENCE, MANIFEST, verify_report, write_report
from keyswitch.audit.report.document import Control, ImageUsed, Report, replay_command, summary, to_json
from keyswitch.audit.report.html import to_html
from keyswitch.audit.report.junit import to_junit
from keyswitch.audit.report.sarif import to_sarif
from keyswitch.audit.run import Audited
from keyswitch.audit.table import CoverageOf
from keyswitch.audit.verdict import Verdict
from keyswitch.errors import InputError
from keyswitch.evidence.chain import Head, State
from keyswitch.terms import Transport
from keyswitch.testing.holes.table import HOLES

POLICY = over(PUMP, Transport.UDP)
CHOSEN = ("KS-101", "KS-106", "KS-112", "KS-310")
HOSTILE = 'ble:<script src="https://example.org/x.js"></script>&"\x1b[2J'
ACCEPTED = Accepted(
    check="KS-112",
    verdict=Verdict.INCONCLUSIVE,
    reason="built without <b>a</b> shell",
    owner="r.novak",
    expires=date(2027, 3, 1),
    where="e.toml",
)


USED = ImageUsed(role="next", file="pump-2.bin", version="2.0.0", hash="00", sha256="00")


@pytest.fixture(scope="module")
def audited() -> Audited:
    hole = next(hole for hole in HOLES if hole.check == "KS-106")
    return audit(POLICY, CHOSEN, hole.parts(), of=lambda target: replace(target, eye=None))


@pytest.fixture(scope="module")
def report(audited: Audited) -> Report:
    checks = tuple(BY_ID[check] for check in CHOSEN)
    return Report(
        tool="keyswitch 0",
        target=(HOSTILE,),
        policy=POLICY,
        declared=("plan: a little",),
        begun="2026-11-28T20:00:00.000+00:00",
        ended="2026-11-28T20:00:09.000+00:00",
        clock="the clock of a test",
        duration_ms=9_000,
        checks=checks,
        audited=audited,
        compared=compare(tuple(audited.found), (ACCEPTED,), date(2026, 11, 28)),
        controls={"KS-101": (Control(device="sound device", verdict=Verdict.PASS, right=True),)},
        controls_why="controls: run with this audit",
        cells=CoverageOf(policy=POLICY, ways=(Transport.UDP,), not_run={}, checks=CHECKS).cells(audited.found),
    )


def test_the_summary_says_what_scripts_ask_for(report: Report) -> None:
    assert summary(report) == {
        "event": "audit",
        "checks": 4,
        "passed": 1,
        "failed": ["KS-106"],
        "unconfirmed": [],
        "inconclusive": ["KS-112"],
        "not_applicable": ["KS-310"],
        "unexpected": ["KS-106"],
        "seconds": 9.0,
    }


def test_the_json_has_the_bytes_of_each_finding(report: Report) -> None:
    document = json.loads(to_json(report))
    checks = {check["id"]: check for check in document["checks"]}
    finding = next(part for part in checks["KS-106"]["parts"] if part["verdict"] == "fail")
    assert finding["exchange"][0].startswith("> 0a00")
    assert finding["effects"]
    assert checks["KS-112"]["accepted"]["owner"] == "r.novak"
    assert checks["KS-106"]["evidence_toward"][0]["source"]
    assert {cell["why"] for cell in document["table"] if cell["verdict"] is None} >= {
        "the policy lets this mode serve it"
    }
    assert document["not_said"][0] == "Absence of findings is not proof."


class Page(HTMLParser):
    """What a page would load, where it links, and which ids it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "srcset", "poster", "data"} or (tag == "link" and name == "href"):
                self.loads.append(str(value))
            elif name == "href":
                self.links.append(str(value))
            elif name == "id":
                self.ids.append(str(value))


def test_the_page_needs_nothing_else_and_its_links_work(report: Report) -> None:
    text = to_html(report).decode()
    page = Page(text)
    assert page.loads == []
    assert not re.search(r"url\(|@import|https?://[^\s<]*\.(js|css|woff)\b(?!&)", text.replace("example.org/x.js", ""))
    assert "script" not in page.tags
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)


def test_the_page_says_what_was_found_and_what_not(report: Report) -> None:
    text = to_html(report).decode()
    for said in (
        "Absence of findings is not proof.",
        "mcuboot serial recovery (pin)",
        "How it is closed",
        "evidence toward",
        "accepted until 2027-03-01 by r.novak",
        "not covered: ",
        "keyswitch audit ",
    ):
        assert said in text, said
    assert "\x1b" not in text
    assert "<b>a</b>" not in text


def test_a_finding_says_how_to_try_it_again(report: Report) -> None:
    other = replace(report, target=("ble:Pump 7", "udp:192.0.2.7"), images=(USED,))
    assert replay_command(other, BY_ID["KS-113"]) == (
        f"keyswitch audit 'ble:Pump 7' --policy {POLICY.origin} --only KS-113 --also udp:192.0.2.7"
        " --next pump-2.bin --irreversible -o again"
    )


def test_junit_tells_findings_from_what_was_accepted(report: Report) -> None:
    suite = ET.fromstring(to_junit(report))  # noqa: S314 - our own bytes
    cases = {str(case.get("name")).split()[0]: [child.tag for child in case] for case in suite.iter("testcase")}
    assert cases == {"KS-101": [], "KS-106": ["failure"], "KS-112": ["skipped"], "KS-310": ["skipped"]}
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("1", "0", "2")


def test_sarif_has_a_rule_for_each_result(report: Report) -> None:
    (run,) = json.loads(to_sarif(report))["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(CHOSEN)
    results = {result["ruleId"]: result for result in run["results"]}
    assert (results["KS-106"]["kind"], results["KS-106"]["level"]) == ("fail", "error")
    assert results["KS-112"]["suppressions"][0]["justification"].startswith("r.novak")
    assert all(each["level"] == "none" for each in results.values() if each["kind"] != "fail")


# --- the directory ---


@pytest.fixture(scope="module")
def written(report: Report, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Head]:
    directory = tmp_path_factory.mktemp("audit") / "report"
    files = {"report.json": to_json(report), "report.html": to_html(report), "junit.xml": to_junit(report)}
    return directory, write_report(directory, files, {"tool": "keyswitch 0"}, at=report.begun, clock="a test")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def without_a_finding(directory: Path) -> None:
    document = json.loads((directory / "report.json").read_text())
    document["checks"] = [check for check in document["checks"] if check["verdict"] != "fail"]
    (directory / "report.json").write_text(json.dumps(document))


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    **{
        f"a bit of {name}": (lambda at, name=name: flip(at / name), name)
        for name in ("report.json", "report.html", "junit.xml")
    },
    "a removed finding": (without_a_finding, "report.json: was changed"),
    "a swapped file": (lambda at: shutil.copy(at / "junit.xml", at / "report.html"), "report.html: was changed"),
    "a missing file": (lambda at: (at / "junit.xml").unlink(), "junit.xml: is missing"),
    "another file": (lambda at: (at / "more.html").touch(), "more.html: does not belong"),
    "a changed manifest": (lambda at: flip(at / MANIFEST), MANIFEST),
    "no manifest": (lambda at: (at / MANIFEST).unlink(), f"{MANIFEST}: is missing"),
    "a changed evidence record": (lambda at: flip(at / EVIDENCE), EVIDENCE),
}


@pytest.mark.parametrize(("tamper", "names"), TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_report_is_refused_and_the_file_named(
    written: tuple[Path, Head], tmp_path: Path, tamper: Callable[[Path], object], names: str
) -> None:
    directory = tmp_path / "copy"
    shutil.copytree(written[0], directory)
    assert verify_report(directory).state is State.CONSISTENT
    tamper(directory)
    checked = verify_report(directory)
    assert checked.state is State.CHANGED
    assert any(finding.startswith(names.split(":", maxsplit=1)[0]) and names in finding for finding in checked.findings)
    assert faults(report_checked_json(checked), ReportCheckedJson) == []


def test_a_noted_head_vouches_for_all_of_it(written: tuple[Path, Head]) -> None:
    directory, head = written
    assert verify_report(directory, noted=head).state is State.VERIFIED
    assert verify_report(directory, noted=Head(n=head.n, hash="0" * 64)).state is State.CHANGED


def test_no_report_is_overwritten_and_none_is_left_half_written(written: tuple[Path, Head], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is there already"):
        write_report(written[0], {}, {}, at="2026-11-28T20:00:00Z", clock="a test")
    with pytest.raises(InputError):
        write_report(tmp_path / "new", {"a/b": b"", "a": b""}, {}, at="2026-11-28T20:00:00Z", clock="a test")
    assert list(tmp_path.iterdir()) == []


def test_a_medium_that_takes_no_more_leaves_nothing(report: Report, tmp_path: Path) -> None:
    """The system itself refuses, in the middle of the largest file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    files = {"junit.xml": to_junit(report), "report.json": to_json(report)}
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(files["report.json"]) // 2, before[1]))
    try:
        with pytest.raises(InputError, match="too large"):
            write_report(tmp_path / "new", files, {}, at=report.begun, clock="a test")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
