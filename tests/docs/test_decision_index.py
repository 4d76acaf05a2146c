"""Every decision stands in the index."""

from tests.docs.decision_index import INDEX, renewed


def test_the_index_lists_every_decision() -> None:
    text = INDEX.read_text("utf-8")
    assert renewed(text) == text, "run python -m tests.docs.decision_index"
