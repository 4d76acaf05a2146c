"""Wrong proofs cost time: for each kind of proof the wait doubles with each further one, up to a maximum.

Rules kept here:

* A kind waits for itself alone: guessing challenges locks nobody's permit. The button is never locked.
* The count survives a reset (`failures` is what is stored); the wait then starts again in full, so that a power cycle
  never shortens it.
* The wait has a maximum, so that nobody can be locked out for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import LockoutSettings


def wait_ms(settings: LockoutSettings, failures: int) -> int:
    """How long a kind of proof waits after its `failures`-th wrong one in a row."""
    over = failures - settings.free_tries
    if over <= 0:
        return 0
    # 2**40 ms is beyond every maximum: the shift stays small whatever the count is.
    return min(settings.first_ms << min(over - 1, 40), settings.max_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lockout:
    """Wrong proofs so far.

    Attributes:
        failures: in a row, by kind of proof.
        until_ms: when the next try of that kind is heard.
    """

    failures: Mapping[ProofKind, int] = field(default_factory=dict[ProofKind, int])
    until_ms: Mapping[ProofKind, int] = field(default_factory=dict[ProofKind, int])

    def remaining_ms(self, kind: ProofKind, now_ms: int) -> int:
        """How long this kind of proof is not heard; 0: it is."""
        return max(0, self.until_ms.get(kind, now_ms) - now_ms)

    def wrong(self, settings: LockoutSettings, kind: ProofKind, now_ms: int) -> "Lockout":
        """One more wrong proof of this kind. Store `failures` before the answer is sent."""
        if kind is ProofKind.BUTTON:
            return self
        failures = self.failures.get(kind, 0) + 1
        return replace(
            self,
            failures={**self.failures, kind: failures},
            until_ms={**self.until_ms, kind: now_ms + wait_ms(settings, failures)},
        )

    def right(self, kind: ProofKind) -> "Lockout":
        """A right proof of this kind: its count starts again."""
        if kind not in self.failures:
            return self
        return replace(
            self,
            failures={each: count for each, count in self.failures.items() if each is not kind},
            until_ms={each: until for each, until in self.until_ms.items() if each is not kind},
        )

    def stored(self) -> dict[str, int]:
        """What is kept across a reset."""
        return {kind.value: count for kind, count in self.failures.items()}


def restore(settings: LockoutSettings, stored: Mapping[str, int], now_ms: int) -> Lockout:
    """The lock-out after a reset, from `Lockout.stored`; a kind that this version does not know is left out."""
    known: dict[str, ProofKind] = {kind.value: kind for kind in ProofKind if kind is not ProofKind.BUTTON}
    failures = {known[word]: count for word, count in stored.items() if word in known and count > 0}
    until_ms = {kind: now_ms + wait_ms(settings, count) for kind, count in failures.items()}
    return Lockout(failures=failures, until_ms=until_ms)
