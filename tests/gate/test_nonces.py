"""Nonces: single use, for one peer, one mode and a short time, and never too many."""

import pytest

from keyswitch.device.server.components import Components
from keyswitch.gate.nonces import LIFETIME_MS, MAX_OUTSTANDING

A, B = b"a" * 16, b"b" * 16


def test_a_nonce_is_taken_once() -> None:
    nonces = Components().nonces()
    assert nonces.give(1, "m", A, 0) == A
    assert nonces.take(1, "m", 5) == A
    assert nonces.take(1, "m", 5) is None


@pytest.mark.parametrize(("peer", "mode"), [(2, "m"), (1, "n")])
def test_a_nonce_is_for_one_peer_and_one_mode(peer: int, mode: str) -> None:
    nonces = Components().nonces()
    nonces.give(1, "m", A, 0)
    assert nonces.take(peer, mode, 0) is None


def test_asking_for_the_wrong_mode_uses_the_nonce_up() -> None:
    nonces = Components().nonces()
    nonces.give(1, "m", A, 0)
    nonces.take(1, "n", 0)
    assert nonces.take(1, "m", 0) is None


@pytest.mark.parametrize(("age_ms", "good"), [(LIFETIME_MS - 1, True), (LIFETIME_MS, False), (LIFETIME_MS + 1, False)])
def test_a_nonce_lives_for_a_while(age_ms: int, good: bool) -> None:
    nonces = Components().nonces()
    nonces.give(1, "m", A, 100)
    assert (nonces.take(1, "m", 100 + age_ms) == A) is good


def test_a_new_nonce_replaces_the_old_one() -> None:
    nonces = Components().nonces()
    nonces.give(1, "m", A, 0)
    nonces.give(1, "m", B, 0)
    assert nonces.take(1, "m", 0) == B


def test_the_oldest_goes_when_there_are_too_many() -> None:
    nonces = Components().nonces()
    for peer in range(MAX_OUTSTANDING + 1):
        nonces.give(peer, "m", A, 0)
    assert nonces.take(0, "m", 0) is None
    assert nonces.take(1, "m", 0) == A


def test_a_peer_that_has_gone_is_forgotten() -> None:
    nonces = Components().nonces()
    nonces.give(1, "m", A, 0)
    nonces.forget(1)
    nonces.forget(2)
    assert nonces.take(1, "m", 0) is None
