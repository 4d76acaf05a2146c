"""Lock-out: slower and slower, each kind for itself, with a maximum, not shortened by a power cycle."""

from collections.abc import Mapping

import pytest

from keyswitch.device.server.components import Components
from keyswitch.gate.lockout import Lockout, wait_ms
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import LockoutSettings

SETTINGS = LockoutSettings(free_tries=3, first_ms=1_000, max_ms=10_000)
CHALLENGE, PERMIT, BUTTON = ProofKind.CHALLENGE, ProofKind.PERMIT, ProofKind.BUTTON


@pytest.mark.parametrize(
    ("failures", "expected"),
    [(0, 0), (3, 0), (4, 1_000), (5, 2_000), (7, 8_000), (8, 10_000), (9, 10_000), (10**9, 10_000)],
)
def test_the_wait_doubles_up_to_its_maximum(failures: int, expected: int) -> None:
    assert wait_ms(SETTINGS, failures) == expected


def restore(settings: LockoutSettings, stored: Mapping[str, int], now_ms: int) -> Lockout:
    """The lock-out that devices are made of."""
    return Components().lockout(settings, stored, now_ms)


def wrong(times: int, kind: ProofKind = CHALLENGE, now_ms: int = 0) -> Lockout:
    lockout = restore(SETTINGS, {}, 0)
    for _ in range(times):
        lockout = lockout.wrong(SETTINGS, kind, now_ms)
    return lockout


def test_a_locked_kind_is_heard_again_when_its_wait_is_over() -> None:
    lockout = wrong(4, now_ms=50)
    assert lockout.remaining_ms(CHALLENGE, 50) == 1_000
    assert lockout.remaining_ms(CHALLENGE, 1_049) == 1
    assert lockout.remaining_ms(CHALLENGE, 1_050) == 0


def test_each_kind_waits_for_itself_and_the_button_never() -> None:
    lockout = wrong(9)
    assert lockout.remaining_ms(PERMIT, 0) == 0
    assert wrong(9, BUTTON).stored() == {}


def test_a_right_proof_clears_its_own_kind() -> None:
    lockout = wrong(9).wrong(SETTINGS, PERMIT, 0)
    assert lockout.right(CHALLENGE).stored() == {"permit": 1}
    assert Lockout().right(CHALLENGE) == Lockout()


def test_a_power_cycle_starts_the_wait_again_in_full() -> None:
    lockout = wrong(5)
    after = restore(SETTINGS, lockout.stored(), 0)
    assert after.remaining_ms(CHALLENGE, 0) == 2_000
    assert after.stored() == lockout.stored()


def test_what_an_unknown_version_stored_is_left_out() -> None:
    assert restore(SETTINGS, {"retina": 5, "button": 7, "permit": 0}, 0) == Lockout()
