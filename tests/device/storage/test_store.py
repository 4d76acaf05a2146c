"""Damaged counters: a wait is never shortened by them, a downgrade never let through."""

from typing import Any

import pytest
from tests.policy.samples import pump

from keyswitch.device.storage.store import COUNTERS, Memory, MemoryStore, security_counters
from keyswitch.errors import InputError
from keyswitch.gate.lockout import restore
from keyswitch.policy.enums import ProofKind


def stored(**document: Any) -> MemoryStore:
    store = MemoryStore()
    store.write(COUNTERS, document)
    return store


@pytest.mark.parametrize(
    "damaged",
    [None, [1], "x", 5, {"challenge": "9"}, {"challenge": 1.5}, {"challenge": True}, {"challenge": 0}, {"permit": -1}],
)
def test_a_damaged_lockout_waits_its_longest(damaged: object) -> None:
    settings = pump().entry.lockout
    lockout = restore(settings, Memory(stored(lockout=damaged)).lockout(), 1_000)
    for kind in ProofKind:
        waits = 0 if kind is ProofKind.BUTTON else settings.max_ms
        assert lockout.remaining_ms(kind, 1_000) == waits, kind


@pytest.mark.parametrize("counts", [{}, {"challenge": 1}, {"challenge": 3, "permit": 10**30}])
def test_a_sound_lockout_is_what_it_was(counts: dict[str, int]) -> None:
    assert Memory(stored(lockout=counts)).lockout() == counts
    assert Memory(MemoryStore()).lockout() == {}


@pytest.mark.parametrize("damaged", [None, "ab", 5, {"0": 1}, [1.5], [True], [1, "2"], [-1]])
def test_damaged_security_counters_are_said(damaged: object) -> None:
    with pytest.raises(InputError, match=r"counters\.json: security_counters: damaged"):
        security_counters(stored(security_counters=damaged))


@pytest.mark.parametrize("counters", [(), (0,), (3, 4)])
def test_sound_security_counters(counters: tuple[int, ...]) -> None:
    assert security_counters(stored(security_counters=list(counters))) == counters
    assert security_counters(MemoryStore()) == ()


def test_only_a_store_that_no_gate_ever_wrote_is_blank():
    assert Memory(MemoryStore()).blank()
    assert Memory(stored(security_counters=[3])).blank(), "the bootloader may be older than the gate"
    for document in ({"lockout": {"challenge": 1}}, {"permits": {}}, {"lockout": "damaged"}):
        assert not Memory(stored(**document)).blank(), document
    store = MemoryStore()
    store.write("session.json", {"record": {"version": 1}})
    assert not Memory(store).blank()


def test_a_mark_outlives_the_record_and_the_counters():
    store = MemoryStore()
    memory = Memory(store)
    memory.mark()
    memory.save_mode("service")
    memory.save_mode(None)
    memory.save_lockout({"challenge": 1})
    memory.save_lockout({})
    assert store.documents == {"gate.json": {"written": True}}
    assert not memory.blank()
