"""Every warning stands in the page, as it reads."""

from tests.docs.warnings_table import PAGE, renewed

from keyswitch.prove.lint import CHECKS, meaning


def test_the_page_has_every_warning_as_it_reads() -> None:
    text = PAGE.read_text("utf-8")
    assert renewed(text) == text, "run python -m tests.docs.warnings_table"
    assert all(f"\n| `{name}` | " in text for name in CHECKS)


def test_every_warning_has_a_sentence_of_its_own() -> None:
    told = [meaning(name) for name in CHECKS]
    assert len(set(told)) == len(told)
    assert all(each.endswith(".") for each in told)
