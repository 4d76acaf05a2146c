"""How long an upload may wait for what. Each number with its reason."""

from dataclasses import dataclass
from typing import Final

from keyswitch.host.client import ANSWER_MS

FIRST_ANSWER_MS: Final = 40_000
"""The device may erase a whole slot before it answers the first piece: 112 pages of 4 KiB at 85 ms are 10 s, and real
parts take up to four times that when worn."""

LAST_ANSWER_MS: Final = 20_000
"""The device may check the whole image before it answers the last piece (`CONFIG_IMG_ENABLE_IMAGE_CHECK`)."""

STALL_MS: Final = 60_000
"""Longest time without progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The upload's limits in milliseconds; tests and slow links set their own."""

    first_answer_ms: int = FIRST_ANSWER_MS
    answer_ms: int = ANSWER_MS
    last_answer_ms: int = LAST_ANSWER_MS
    stall_ms: int = STALL_MS
