"""Nonces that were given out: one for each peer, used once, for one mode, for a short time.

Rules kept here: taking a nonce removes it, whether the proof is right or wrong; a new one replaces the peer's old one;
no more than `most` are kept, the oldest goes first.
"""

from dataclasses import dataclass, field
from typing import Final

from keyswitch.proof.challenge import NONCE_SIZE

LIFETIME_MS: Final = 30_000
"""Time for a person to unlock a key; longer only helps a relay."""
MAX_OUTSTANDING: Final = 32
"""Peers that may be on their way in at once: memory is bounded whatever UDP senders do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    nonce: bytes
    mode: str
    until_ms: int


@dataclass(slots=True)
class Nonces:
    """The nonces of one device. Chance is handed in: `give` takes the random bytes."""

    most: int = MAX_OUTSTANDING
    """That are kept; a small device has room for fewer."""
    _given: dict[int, _Given] = field(default_factory=dict[int, _Given])

    def give(self, peer: int, mode: str, random: bytes, now_ms: int) -> bytes:
        """Remember `random` (`NONCE_SIZE` bytes) as this peer's nonce for `mode`, and return it."""
        assert len(random) == NONCE_SIZE  # noqa: S101 - the caller's own random source
        self._given.pop(peer, None)
        while len(self._given) >= self.most:
            del self._given[next(iter(self._given))]
        self._given[peer] = _Given(nonce=random, mode=mode, until_ms=now_ms + LIFETIME_MS)
        return random

    def take(self, peer: int, mode: str, now_ms: int) -> bytes | None:
        """The peer's nonce for `mode`, forgotten from now on; None if it has none, for this mode, in time."""
        given = self._given.pop(peer, None)
        if given is None or given.mode != mode or now_ms >= given.until_ms:
            return None
        return given.nonce

    def forget(self, peer: int) -> None:
        """The peer has gone."""
        self._given.pop(peer, None)
