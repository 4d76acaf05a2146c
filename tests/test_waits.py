"""A whole update takes at most two seconds besides upload, reset delay and swap; each wait has a reason."""

from pathlib import Path

import pytest
from bench import waits


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> waits.Files:
    return waits.prepare(tmp_path_factory.mktemp("waits"))


@pytest.fixture(scope="module")
def rows(files: waits.Files) -> dict[tuple[str, str], int]:
    return waits.measure(waits.CASES[0], files)


def test_a_whole_update_waits_for_nothing_that_is_not_needed(rows: dict[tuple[str, str], int]):
    assert waits.misses(rows) == []
    assert {what for _, what in rows} >= {waits.UPLOAD, waits.RESET_DELAY, "listen for namesakes"}


def test_nor_does_one_whose_flash_takes_its_time(files: waits.Files):
    rows = waits.measure(waits.CASES[-1], files)
    assert waits.misses(rows) == []
    assert sum(ms for (_, what), ms in rows.items() if what == waits.SWAP) > 10_000


def test_the_same_case_waits_the_same(rows: dict[tuple[str, str], int], files: waits.Files):
    assert waits.measure(waits.CASES[0], files) == rows


def test_a_wait_too_long_and_one_without_a_reason_are_missed_marks():
    most = {("find", "hear the device"): waits.LIMIT_MS, ("upload", waits.UPLOAD): 10_000}
    assert waits.misses(most) == []
    assert waits.misses({**most, ("test", "image.state write"): 1}) == ["2001 ms, at most 2000"]
    assert waits.misses({("find", "a nap"): 1}) == ["why a nap?"]


def test_the_page_gives_the_same_reasons():
    page = (Path(__file__).parents[1] / "docs" / "operator.md").read_text(encoding="utf-8")
    table = page.partition("| Wait | Why it is needed |\n|---|---|\n")[2].partition("\n\n")[0]
    assert table == "\n".join(f"| {what} | {why} |" for what, why in waits.WHY.items())


EVENT_MS = 15
"""A signature is some bytes shorter or longer each time: an upload ends an event earlier or later."""


def test_the_page_shows_what_is_waited_for(rows: dict[tuple[str, str], int]):
    text = (Path(__file__).parents[1] / "docs" / "bench.md").read_text(encoding="utf-8")
    shown = [row.split(" | ") for row in text.partition(waits.SECTION)[2].splitlines() if row.startswith("| ")]
    now = [row.split(" | ") for row in waits.page_table(waits.as_cells(rows)) if row.startswith("| ")]
    assert [row[:2] + row[3:] for row in shown] == [row[:2] + row[3:] for row in now], (
        "make bench, python -m bench.page"
    )
    for was, is_now in zip(shown[1:], now[1:], strict=True):
        assert abs(int(was[2]) - int(is_now[2])) <= EVENT_MS, was
