"""Each stub header says where it was read, by a letter that is explained; and none of them is left over."""

import re
from pathlib import Path

import pytest
from tests.firmware.glue import AGES, GLUE, sources_of

HERE = Path(__file__).with_name("zephyr")
STUBS = sorted((HERE / "stubs").rglob("*.h"))
EXPLAINED = set(re.findall(r"^\| \[(.)\] \|", (HERE / "README.md").read_text("utf-8"), flags=re.MULTILINE))
BY_HAND = {"stub_age.h"}


def first_line(path: Path) -> str:
    return path.read_text("utf-8").splitlines()[0]


@pytest.mark.parametrize("path", STUBS, ids=lambda path: path.relative_to(HERE / "stubs").as_posix())
def test_a_stub_says_where_it_was_read(path):
    text = path.read_text("utf-8")
    letters = set(re.findall(r"\[(.)\]", first_line(path)))
    forwards = re.fullmatch(r"(/\* Ours\. \*/\n)?#include <[a-z_/.]+>\n", text)
    assert path.name in BY_HAND or forwards or (letters and letters <= EXPLAINED), first_line(path)


def test_every_letter_is_used():
    used = {letter for path in STUBS for letter in re.findall(r"\[(.)\]", first_line(path))}
    assert used == EXPLAINED


def test_every_stub_is_included_by_somebody():
    sources = [*GLUE, *(HERE / "fake").glob("*.c"), *STUBS, *HERE.glob("*.[ch]"), *GLUE[0].parent.glob("*.h")]
    included = {name for path in sources for name in re.findall(r"#include <([^>]+)>", path.read_text("utf-8"))}
    roots = {path.relative_to(HERE / "stubs").as_posix().split("/", 1)[1] for path in STUBS}
    assert roots - included == BY_HAND


def test_every_source_of_the_glue_is_built_in_some_age():
    assert set(GLUE) == {path for age in AGES for path in sources_of(age)}
    assert {age.name for age in AGES} | {"any"} == {path.name for path in (HERE / "stubs").iterdir()}
