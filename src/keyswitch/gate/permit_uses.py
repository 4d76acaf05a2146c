"""How often each permit was used, where no clock is trusted. Kept across resets; written before the session opens.

Rules kept here: nothing is ever forgotten to make room, because a forgotten permit would work again. A full table
accepts no new permit, and known ones until they are used up. How large it is says the policy (`max_permits`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """Attributes: counts: uses so far, by the permit's id."""

    counts: Mapping[bytes, int] = field(default_factory=dict[bytes, int])

    def left(self, permit: bytes, uses: int, most: int) -> bool:
        """Whether a permit that allows `uses` uses has one left, in a table for `most` permits."""
        known = self.counts.get(permit)
        if known is None:
            return uses > 0 and len(self.counts) < most
        return known < uses

    def used(self, permit: bytes) -> "Uses":
        """One more use of it."""
        return Uses(counts={**self.counts, permit: self.counts.get(permit, 0) + 1})

    def stored(self) -> dict[str, int]:
        """What is kept across a reset."""
        return {permit.hex(): count for permit, count in self.counts.items()}


def restore(stored: Mapping[str, int]) -> Uses:
    """The counts after a reset, from `Uses.stored`.

    Raises:
        ValueError: what was stored is damaged. A device must then accept no permit at all.
    """
    return Uses(counts={bytes.fromhex(permit): count for permit, count in stored.items()})
