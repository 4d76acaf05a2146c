"""Uses of permits: counted, kept, and never forgotten to make room."""

import pytest

from keyswitch.gate.permit_uses import Uses, restore

A, B = b"a" * 16, b"b" * 16
MOST = 1_024


def test_a_permit_is_used_up() -> None:
    uses = Uses()
    assert uses.left(A, 2, MOST)
    assert uses.used(A).left(A, 2, MOST)
    assert not uses.used(A).used(A).left(A, 2, MOST)
    assert not uses.left(A, 0, MOST)


def test_counts_come_back_after_a_reset() -> None:
    uses = Uses().used(A).used(A).used(B)
    assert restore(uses.stored()) == uses


def test_what_is_damaged_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="hex"):
        restore({"no hex": 1})


@pytest.mark.parametrize("most", [1, 2, 1_024])
def test_the_policy_says_how_large_the_table_is(most: int) -> None:
    known = Uses(counts={n.to_bytes(16, "big"): 1 for n in range(most)})
    assert not known.left(A, 9, most)
    assert known.left(A, 9, most + 1)


def test_a_full_table_takes_no_new_permit() -> None:
    full = Uses(counts={n.to_bytes(16, "big"): 1 for n in range(MOST)})
    assert not full.left(A, 9, MOST)
    assert full.left(bytes(16), 2, MOST)
    assert Uses(counts=dict(list(full.counts.items())[1:])).left(A, 1, MOST)
