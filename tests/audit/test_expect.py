"""The file of accepted findings: read exactly, and compared by the day."""

from datetime import date
from pathlib import Path

import pytest

from keyswitch.audit.expect import Accepted, compare, read_expectations
from keyswitch.audit.verdict import Found, Verdict
from keyswitch.errors import InputError

ENTRY = """
[[accept]]
check = "KS-112"
verdict = "inconclusive"
reason = "built without a shell"
owner = "r.novak"
expires = "2027-03-01"
"""
TODAY = date(2026, 11, 28)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "expect.toml"
    path.write_text(text)
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    (entry,) = read_expectations(written(tmp_path, "schema = 1\n" + ENTRY))
    assert (entry.check, entry.verdict, entry.owner, entry.expires) == (
        "KS-112",
        Verdict.INCONCLUSIVE,
        "r.novak",
        date(2027, 3, 1),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "schema: missing"),
        ("schema = 2", "schema: 2 is not allowed"),
        ("schema = 1\naccept = 3", "accept: 3 is not allowed"),
        ("schema = 1\n" + ENTRY.replace("KS-112", "KS-999"), 'accept[0].check: there is no check "KS-999"'),
        ("schema = 1\n" + ENTRY.replace("inconclusive", "pass"), 'accept[0].verdict: "pass" is not allowed'),
        ("schema = 1\n" + ENTRY.replace("2027-03-01", "2027-02-30"), 'accept[0].expires: "2027-02-30" is not a day'),
        ("schema = 1\n" + ENTRY.replace("2027-03-01", "soon"), 'accept[0].expires: "soon" is not allowed'),
        ("schema = 1\n" + ENTRY.replace('owner = "r.novak"\n', ""), "accept[0].owner: missing"),
        ("schema = 1\n" + ENTRY + 'colour = "red"', "accept[0].colour: unknown key"),
        ("schema = 1\n" + ENTRY + ENTRY, "accept[1]: KS-112 is accepted as inconclusive twice"),
        ("schema = [", "not TOML"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as error:
        read_expectations(path)
    assert says in str(error.value)
    assert str(error.value).startswith(str(path))


def found(check: str, verdict: Verdict) -> Found:
    return Found(check=check, verdict=verdict, why="so")


def accepted(check: str, verdict: Verdict, expires: date) -> Accepted:
    return Accepted(check=check, verdict=verdict, reason="r", owner="o", expires=expires, where="here")


@pytest.mark.parametrize(
    ("expires", "unexpected", "expired"),
    [(TODAY, (), 0), (date(2026, 11, 27), ("KS-112",), 1), (date(2026, 11, 29), (), 0)],
)
def test_the_last_day_counts_and_the_day_after_does_not(
    expires: date, unexpected: tuple[str, ...], expired: int
) -> None:
    told = compare(
        (found("KS-112", Verdict.INCONCLUSIVE),), (accepted("KS-112", Verdict.INCONCLUSIVE, expires),), TODAY
    )
    assert (told.unexpected, len(told.expired)) == (unexpected, expired)


def test_what_is_accepted_is_one_verdict_of_one_check() -> None:
    entries = (accepted("KS-112", Verdict.INCONCLUSIVE, TODAY), accepted("KS-113", Verdict.FAIL, TODAY))
    results = (found("KS-112", Verdict.FAIL), found("KS-113", Verdict.PASS), found("KS-101", Verdict.NOT_APPLICABLE))
    told = compare(results, entries, TODAY)
    assert told.unexpected == ("KS-112",)
    assert [entry.check for entry in told.gone] == ["KS-112", "KS-113"]
    assert told.accepted == {}
