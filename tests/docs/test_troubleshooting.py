"""The page of messages, against the commands that say them."""

import re

import pytest
from tests.docs.situations import PAGE, SITUATIONS, place, renewed

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| What happened")
]


def test_the_page_says_what_the_commands_say() -> None:
    page = PAGE.read_text(encoding="utf-8")
    with place() as here:
        assert renewed(page, here) == page, "run python -m tests.docs.situations"


def test_every_situation_has_its_row() -> None:
    assert [row[0] for row in ROWS] == [what for rows in SITUATIONS.values() for what in rows]
    assert {len(row) for row in ROWS} == {5}


@pytest.mark.parametrize(("what", "command", "says", "next_step", "code"), ROWS)
def test_a_message_says_what_is_and_what_to_do(what: str, command: str, says: str, next_step: str, code: str) -> None:
    """Whoever is not served is told what to do, and nobody is told to give what they gave."""
    assert what
    assert says
    assert code == "0" or next_step
    given = set(re.findall(r"--[a-z]+", command))
    assert "(--policy or" not in next_step or "--policy" not in given
    assert not re.search(r"^[a-z]+: E[A-Z]+$|next:|ENOTSUP", says)
