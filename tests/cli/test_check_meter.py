"""A long check says how far it has come, and ends before memory does."""

import io

from keyswitch.cli.check_meter import LINE_MS, QUIET_MS, RENEW_MS, CheckMeter, held_mb
from keyswitch.prove.explore import ExploreProgress


class Watched:
    """A meter with a clock and a memory of our own."""

    def __init__(self, *, terminal: bool, max_mb: int = 100) -> None:
        self.ms, self.mb, self.out = 0, 10, io.StringIO()
        self.meter = CheckMeter(max_mb, now_ms=lambda: self.ms, held=lambda: self.mb, out=self.out, terminal=terminal)

    def at(self, ms: int, explored: int) -> str | None:
        self.ms = ms
        return self.meter(ExploreProgress(found=2 * explored, explored=explored, moves=9 * explored))


def test_nothing_is_said_of_a_short_check() -> None:
    watched = Watched(terminal=False)
    watched.at(QUIET_MS - 1, 500)
    watched.meter.done()
    assert watched.out.getvalue() == ""


def test_lines_where_they_are_kept() -> None:
    watched = Watched(terminal=False)
    for ms in (QUIET_MS, QUIET_MS + 1, QUIET_MS + LINE_MS - 1, QUIET_MS + LINE_MS):
        watched.at(ms, ms // 2)
    watched.meter.done()
    first, second = watched.out.getvalue().splitlines()
    assert first == "1000 of 2000 states explored so far, 500 a second, 10 MB"
    assert second.startswith("6000 of 12000 states")


def test_one_line_on_a_terminal_that_is_gone_at_the_end() -> None:
    watched = Watched(terminal=True)
    watched.at(QUIET_MS, 1_000)
    watched.at(QUIET_MS + RENEW_MS, 1_250)
    assert watched.out.getvalue().count("\r\x1b[K") == 2
    assert "\n" not in watched.out.getvalue()
    watched.meter.done()
    assert watched.out.getvalue().endswith("\r\x1b[K")


def test_memory_ends_it_at_its_limit_and_not_before() -> None:
    watched = Watched(terminal=False)
    watched.mb = 100
    assert watched.at(1, 20) is None
    watched.mb = 101
    assert watched.at(2, 40) == "it uses 101 MB, more than 100 MB (--max-memory)"


def test_the_memory_of_this_process_is_known_where_the_system_says_it() -> None:
    held = held_mb()
    assert held is None or 10 < held < 10_000
