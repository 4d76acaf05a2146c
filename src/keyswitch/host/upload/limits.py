"""How long an upload may wait for what. Each number with its reason."""

from dataclasses import dataclass
from typing import Final

from keyswitch.host.smp.client import ANSWER_MS

FIRST_ANSWER_MS: Final = 40_000
"""The device may erase a whole slot before it answers the first piece: 112 pages of 4 KiB at 85 ms are 10 s, and real
parts take up to four times that when worn."""

LAST_ANSWER_MS: Final = 20_000
"""The device may check the whole image before it answers the last piece (`CONFIG_IMG_ENABLE_IMAGE_CHECK`)."""

STALL_MS: Final = 60_000
"""Longest time without progress."""

FLOOR_BYTES: Final = 1_024
"""What counts as progress: so much of the image, or its end, within `STALL_MS`. A line of 9600 baud carries forty times
that, and one frame of a usual size in a minute is enough; a server that takes a byte now and then is not getting on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The upload's limits, times in milliseconds; tests and slow links set their own."""

    first_answer_ms: int = FIRST_ANSWER_MS
    answer_ms: int = ANSWER_MS
    last_answer_ms: int = LAST_ANSWER_MS
    stall_ms: int = STALL_MS
    floor_bytes: int = FLOOR_BYTES
