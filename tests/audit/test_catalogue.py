"""The catalogue: nothing of the fixed table is left out, and no text claims what an audit cannot."""

import re
from pathlib import Path

import pytest
from tests.audit.audits import PUMP

from keyswitch.audit.catalogue import Check, Impact, Matrix
from keyswitch.audit.checks import CHECKS
from keyswitch.audit.clauses import all_clauses, clauses_of
from keyswitch.audit.table import SERVED, SITUATIONS, CoverageOf
from keyswitch.audit.verdict import Found, Part, Verdict, together
from keyswitch.policy.firmware_commands import FIRMWARE_COMMANDS
from keyswitch.terms import Transport

ROOT = Path(__file__).parents[2]
IDS = [check.id for check in CHECKS]


def test_ids_are_stable_and_each_check_has_a_file_of_its_own() -> None:
    assert sorted(IDS) == IDS
    assert len(set(IDS)) == len(IDS)
    assert all(re.fullmatch("KS-[1-6][0-9]{2}", check) for check in IDS)
    files = sorted(path.stem for path in (ROOT / "src/keyswitch/audit/checks").glob("ks*.py"))
    assert [f"KS-{name[2:5]}" for name in files] == IDS


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_each_check_says_what_it_is(check: Check) -> None:
    for text in (check.requirement, check.why, check.how, check.finding, check.remedy):
        assert text.endswith(".")
    assert not check.title.endswith(".")
    assert clauses_of(check.id)


def test_every_firmware_command_has_a_check_in_every_mode() -> None:
    """The table's rows: each command is some matrix check's, and matrix checks run in every mode over every way."""
    covered = {key for check in CHECKS if isinstance(check.act, Matrix) for key in check.commands}
    assert covered == FIRMWARE_COMMANDS.keys()


def test_each_situation_has_a_check_or_a_reason() -> None:
    named = {check for row in SITUATIONS for check in row.checks}
    assert named == set(IDS)
    assert all(bool(row.checks) is not bool(row.why) for row in SITUATIONS)


def test_each_cell_of_the_table_is_covered_or_says_why_not() -> None:
    part = Part(verdict=Verdict.PASS, what="x", why="y", mode="normal", way="udp", command="image.erase")
    tested = CoverageOf(policy=PUMP, ways=(Transport.UDP,), not_run={"KS-113": "not asked for"}, checks=CHECKS)
    cells = tested.cells([Found(check="KS-106", verdict=Verdict.PASS, why="", parts=(part,))])
    assert len(cells) == len(FIRMWARE_COMMANDS) * len(PUMP.modes) * len(Transport)
    assert all((cell.verdict is None) is bool(cell.why) for cell in cells)
    by_place = {(cell.command, cell.mode, cell.way): cell for cell in cells}
    assert by_place["image.erase", "normal", "udp"].checks == ("KS-106",)
    assert by_place["image.erase", "maintenance", "udp"].why == SERVED
    assert "--also" in by_place["image.erase", "normal", "serial"].why
    assert by_place["basic.erase_storage", "normal", "udp"].why == "KS-113: not asked for"


def test_the_worst_part_decides() -> None:
    def part(verdict: Verdict) -> Part:
        return Part(verdict=verdict, what="it", why="so")

    order = [Verdict.NOT_APPLICABLE, Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.UNCONFIRMED, Verdict.FAIL]
    for place, verdict in enumerate(order):
        assert together("KS-101", [part(each) for each in order[: place + 1]]).verdict is verdict
    assert together("KS-101", []).verdict is Verdict.NOT_APPLICABLE


def test_nothing_claims_that_a_clause_is_met() -> None:
    """The wording is "evidence toward"."""
    forbidden = re.compile(r"\b(complies|compliant|complying|certified|certifies)\b", re.IGNORECASE)
    sources = [*(ROOT / "src/keyswitch/audit").rglob("*.py"), *(ROOT / "src/keyswitch/audit").rglob("*.toml")]
    sources += [ROOT / "docs/audit.md", ROOT / "docs/tasks/audit.md", ROOT / "src/keyswitch/cli/audit.py"]
    assert len(sources) > 60
    assert [str(path) for path in sources if forbidden.search(path.read_text("utf-8"))] == []


def test_each_clause_is_used_and_says_where_it_was_read() -> None:
    used = {clause for check in IDS for clause in clauses_of(check)}
    assert used == set(all_clauses())
    assert all(clause.edition and clause.source for clause in used)


def test_what_cannot_be_put_back_needs_permission() -> None:
    lost = {"KS-105", "KS-111", "KS-112", "KS-113", "KS-601", "KS-602"}
    assert lost <= {check.id for check in CHECKS if check.impact is Impact.IRREVERSIBLE}
