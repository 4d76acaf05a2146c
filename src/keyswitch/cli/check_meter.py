"""How a long check is watched: progress on stderr, and an end before memory runs out."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from keyswitch.prove.explore import ExploreProgress

MAX_MEMORY_MB: Final = 2048
QUIET_MS: Final = 2_000
"""Nobody needs to be told of a check that is done by then."""
LINE_MS: Final = 10_000
"""Between two lines where they pile up; a terminal's one line is renewed more often."""
RENEW_MS: Final = 500

_STATM: Final = Path("/proc/self/statm")


def held_mb() -> int | None:
    """The memory that this process holds, in MB; None where the system does not say (it does on Linux)."""
    import os

    try:
        pages = int(_STATM.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000


class CheckMeter:
    """Told by the prover how far it has come (`keyswitch.prove.explore.Meter`).

    Args:
        max_mb: stop beyond this.
        now_ms: the time.
        held: what the process holds now, in MB; None: not known.
        out: where progress goes.
        terminal: it is a terminal: one line that is renewed.
    """

    def __init__(
        self,
        max_mb: int,
        *,
        now_ms: Callable[[], int],
        held: Callable[[], int | None] = held_mb,
        out: TextIO | None = None,
        terminal: bool | None = None,
    ) -> None:
        self._max_mb = max_mb
        self._now_ms = now_ms
        self._held = held
        self._out = out or sys.stderr
        self._terminal = self._out.isatty() if terminal is None else terminal
        self._began_ms = now_ms()
        self._next_ms = self._began_ms + QUIET_MS
        self._shown = False

    def __call__(self, progress: ExploreProgress) -> str | None:
        """Say how far it has come, if it is time to; why to stop, if it is."""
        held = self._held()
        if held is not None and held > self._max_mb:
            return f"it uses {held} MB, more than {self._max_mb} MB (--max-memory)"
        now_ms = self._now_ms()
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + (RENEW_MS if self._terminal else LINE_MS)
            rate = progress.explored * 1_000 // max(1, now_ms - self._began_ms)
            line = f"{progress.explored} of {progress.found} states explored so far, {rate} a second"
            line += "" if held is None else f", {held} MB"
            self._out.write(f"\r\x1b[K{line}" if self._terminal else f"{line}\n")
            self._out.flush()
            self._shown = self._terminal
        return None

    def done(self) -> None:
        """Take a line that was renewed away again."""
        if self._shown:
            self._out.write("\r\x1b[K")
            self._out.flush()
