"""What emulated boards lost in this process: a line now and then, even on a quiet machine.

Whoever asks a board asks once more where nothing comes back, and notes it here; a test run says how often
(`tests.peers.conftest`). What is missing twice is missing, and another answer than the expected one is a difference.
"""

from typing import Final

LOST: Final[list[str]] = []
"""What was asked again, in words."""
