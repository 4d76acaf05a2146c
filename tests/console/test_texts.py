"""Every word of the pages stands in one file, and each of them is used."""

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.console.texts import catalogue, duration, text

TEMPLATES = {each.name: each.read_text() for each in files("keyswitch.console").joinpath("templates").iterdir()}
SOURCES = [each.read_text() for each in files("keyswitch.console").iterdir() if each.name.endswith(".py")] + list(
    TEMPLATES.values()
)
BUILT = {
    "act": ["look", "plan", "update", "leave", "stop"],
    "campaign": ["begin", "resume", "retry", "approve", "pause", "abort"],
    "card": ["open", "shut", "unknown"],
}
"""Names that templates put together."""


def test_every_text_is_used_and_every_text_that_is_used_is_there() -> None:
    used = {name for source in SOURCES for name in re.findall(r'"([a-z]+\.[a-z_]+)"', source)}
    used |= {f"{table}.{key}" for table, keys in BUILT.items() for key in keys}
    tables = {name.split(".")[0] for name in catalogue()}
    assert {name for name in used if name.split(".")[0] in tables and name not in TEMPLATES} == set(catalogue())


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_has_words_of_its_own(name: str) -> None:
    without_code = re.sub(
        r"\{% block stream %\}.*?\{% endblock %\}|\{%.*?%\}|\{\{.*?\}\}", " ", TEMPLATES[name], flags=re.DOTALL
    )
    shown = re.sub(r"<[^>]*>|&[a-z]+;", " ", without_code)
    assert re.findall(r"[A-Za-z]{2,}", shown) == []


@pytest.mark.parametrize(
    ("duration_ms", "words"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (1, "under 1 s"),
        (499, "under 1 s"),
        (501, "1 s"),
        (59_499, "59 s"),
        (59_500, "1 min"),
        (61_000, "1 min 1 s"),
        (3_599_000, "59 min 59 s"),
        (3_600_000, "1 h"),
        (3_660_000, "1 h 1 min"),
    ],
)
def test_durations_are_told_as_people_say_them(duration_ms: int, words: str) -> None:
    assert duration(duration_ms) == words


@given(st.text())
def test_a_value_is_never_taken_for_a_text_of_ours(value: str) -> None:
    assert text("page.person", person=value) == f"You are {value}."


def test_a_text_without_its_value_is_a_fault() -> None:
    with pytest.raises(KeyError):
        text("page.person")
