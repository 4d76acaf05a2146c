"""Text that is measured and broken; one look, light and dark."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pictures import check, texts

from keyswitch.drawing import BOLD_FONT, FONTS, REGULAR_FONT, STYLE, Page, width, wrap

TEXT = st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from(" \N{NO-BREAK SPACE}")), max_size=80)
ROOM = st.integers(min_value=60, max_value=400)


def test_every_printable_character_of_ascii_has_its_width() -> None:
    assert len(REGULAR_FONT.split()) == len(BOLD_FONT.split()) == ord("~") - ord(" ") + 1


def test_the_widths_are_those_of_the_font() -> None:
    """As fontTools reads them from DejaVu Sans 2.37: i 278, W 989, bold W 1103 thousandths of the size."""
    assert width("i" * 1000) == 278 * 12 + 1
    assert width("W" * 1000) == 989 * 12 + 1
    assert width("W" * 1000, "strong") == 1103 * 12 + 1
    assert width("", "note") == 1
    assert width("e\u0301" * 10) == width("e" * 10)
    assert width("Ж漢") >= (1.077 + 1) * 12


def test_lines_end_between_words() -> None:
    assert wrap("aaaa bbbb cccc", width("aaaa bbbb")) == ["aaaa bbbb", "cccc"]
    assert wrap("a\N{NO-BREAK SPACE}b c\N{NO-BREAK SPACE}d", width("a b c")) == [
        "a\N{NO-BREAK SPACE}b", "c\N{NO-BREAK SPACE}d",
    ]  # fmt: skip
    assert wrap("", 100) == [""]


def test_only_a_word_that_no_line_can_hold_is_broken() -> None:
    most = width("x" * 10)
    assert wrap("ab " + "x" * 25, most) == ["ab", "x" * 10, "x" * 10, "x" * 5]
    assert wrap("aaaaaa\N{NO-BREAK SPACE}bbbbbb", most) == ["aaaaaa", "bbbbbb"]


@settings(max_examples=50)
@given(words=TEXT, most=ROOM, kind=st.sampled_from(sorted(FONTS)))
def test_a_line_fits_and_no_word_is_lost(words: str, most: int, kind: str) -> None:
    lines = wrap(words, most, kind)
    assert all(width(line, kind) <= most for line in lines)
    page = Page()
    page.text(0, 20, words)
    written = texts(check(page.svg("t", margin=0)))[0].words
    spaces = re.compile("[ \N{NO-BREAK SPACE}]")
    assert spaces.sub("", "".join(lines)) == spaces.sub("", written)


@settings(max_examples=25)
@given(words=TEXT, anchor=st.sampled_from(["start", "end"]))
def test_whatever_is_written_lies_inside(words: str, anchor: str) -> None:
    page = Page()
    page.text(5_000, 30, words, "strong", anchor)
    check(page.svg(words, margin=0))


def test_each_class_has_its_colours_in_both_settings() -> None:
    light, _, dark = STYLE.partition("@media (prefers-color-scheme:dark){")
    coloured = re.compile(r"\.([a-z-]+)\{[^}]*(?:fill|stroke):#")
    assert set(coloured.findall(light)) == set(coloured.findall(dark))
    assert {kind for kind in FONTS if kind not in {"", "title", "strong", "small"}} <= set(coloured.findall(dark))


def luminance(colour: str) -> float:
    """WCAG 2.2, "relative luminance"."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("setting", [0, 1], ids=["light", "dark"])
def test_words_can_be_read_on_what_is_behind_them(setting: int) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    rules = STYLE.split("@media (prefers-color-scheme:dark){")[setting]
    fill = dict(re.findall(r"(?:^|\}|\{)\.?([a-z-]+)\{fill:(#[0-9a-f]{6})", rules))
    pairs = [("text", "page"), ("note", "page"), ("failed", "page"), ("open", "page")]
    pairs += [("text", "card"), ("text", "card-open"), ("open", "card-open")]
    for words, behind in pairs:
        dark, bright = sorted((luminance(fill[words]), luminance(fill[behind])))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (words, behind)
