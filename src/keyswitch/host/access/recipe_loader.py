"""Recipes from TOML: text in, a `Recipe` out, every mistake named with its place.

    schema = 1
    about = "…"                       one line, for people
    [variables]                       words for {name} below; {random} in them is drawn anew for each run
    [[enter]] / [[leave]]             steps, in order, each with one of
        smp = "os.reset"              a command; also body = {…}, restarts = true
        setting = "a/b"               a settings write; also value = "…", save = true
        write = "01"                  bytes to a characteristic; also service, characteristic, expect = "2001 01"
        prompt = "Press …"            something for a person; also within_s
    [again]                           how the device is known afterwards
        by = "same"                   or "name" (with name = "…"), "next address"
        shows_smp = true              whether it advertises the SMP service then
        within_s = 30
    [inside]                          what shows that it is in the update mode
        serves = ["image.state"]      commands that are answered
        refuses = ["os.info"]         commands that are unknown there

Rules: an unknown or wrong key is named with its path and what was expected; commands are read requests where they only
show something; nothing is executed by reading a recipe.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.errors import Field, InputError
from keyswitch.files.documents import parse_toml
from keyswitch.files.reading import FileKind, read_file
from keyswitch.host.access.recipe import (
    WITHIN_MS,
    Again,
    GattStep,
    PromptStep,
    Recipe,
    RecipeStep,
    SettingStep,
    SmpStep,
)
from keyswitch.schema.tables import REQUIRED, TomlKey, TomlTable, as_table, below
from keyswitch.schema.value_types import Boolean, Choice, Duration, ListOf, Whole, shown, suggestion, wrong
from keyswitch.smp.commands import BY_NAME
from keyswitch.smp.group import Command

MOST_WITHIN_S: Final = 300
"""A person who has not pressed the button by then has gone."""

RECIPE_FILE: Final = FileKind(expected="a recipe (TOML)", max_size=100_000)
"""A recipe is written by people."""


@dataclass(frozen=True, slots=True)
class Characters:
    """Any text: a device's own names and values."""

    expected = "text"

    def read(self, value: object, where: str) -> str:
        """The value, checked."""
        if not isinstance(value, str):
            raise wrong(where, value, self.expected)
        return value

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Hexadecimal:
    """Bytes in hexadecimal."""

    expected = 'bytes in hexadecimal, such as "20 01 01"'

    def read(self, value: object, where: str) -> bytes:
        """The bytes."""
        try:
            return bytes.fromhex(Characters().read(value, where))
        except ValueError:
            raise wrong(where, value, self.expected) from None

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"type": "string", "pattern": "^([0-9A-Fa-f]{2} *)*$"}


@dataclass(frozen=True, slots=True)
class CommandName:
    """An SMP command by its name. Attributes: shows: it can be read, and changes nothing."""

    shows: bool = False

    @property
    def expected(self) -> str:
        """What a person should write."""
        return "a command that only shows something" if self.shows else "an SMP command such as os.reset"

    def read(self, value: object, where: str) -> Command:
        """The command."""
        if not isinstance(value, str):
            raise wrong(where, value, self.expected)
        if value not in BY_NAME:
            raise InputError(where, f"{shown(value)} is not a command", self.expected + suggestion(value, BY_NAME))
        command = BY_NAME[value]
        if self.shows and not command.reads:
            raise InputError(where, f"{command.name} cannot be read", self.expected)
        return command

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"enum": sorted(name for name, command in BY_NAME.items() if command.reads or not self.shows)}


@dataclass(frozen=True, slots=True)
class RequestBody:
    """A table of values that SMP can carry; TOML's dates and times it cannot."""

    expected = "a table of text, numbers, true, false, lists and tables"

    def read(self, value: object, where: str) -> dict[str, Any]:
        """The table."""
        return {
            name: self._value(each, below(where, name)) for name, each in as_table(value, where, self.expected).items()
        }

    def _value(self, value: object, where: str) -> Any:
        match value:
            case dict():
                return self.read(cast("dict[str, object]", value), where)
            case list():
                values = cast("list[object]", value)
                return [self._value(each, f"{where}[{place}]") for place, each in enumerate(values)]
            case Decimal():
                return float(value)
            case bool() | int() | str():
                return value
            case _:
                raise wrong(where, value, "text, numbers, true, false, lists and tables")

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"type": "object"}


_TEXT: Final = Characters()
_WITHIN: Final = TomlKey(
    name="within_s", kind=Duration(MOST_WITHIN_S), doc="How long to wait.", default=WITHIN_MS, default_text="30"
)
_RESTARTS: Final = TomlKey(name="restarts", kind=Boolean(), doc="The device restarts after it.", default=False)

ROOT: Final = TomlTable(
    keys=(
        TomlKey(name="schema", kind=Whole(1, 1), doc="Version of this language.", default=REQUIRED),
        TomlKey(name="about", kind=_TEXT, doc="One line, for people.", default=REQUIRED),
    ),
    tables=("variables", "enter", "leave", "again", "inside"),
)

AGAIN: Final = TomlTable(
    doc="How the device is known afterwards.",
    keys=(
        TomlKey(name="by", kind=Choice(Again), doc="What tells it from others.", default=Again.SAME),
        TomlKey(name="name", kind=_TEXT, doc="Its name then.", default=""),
        TomlKey(name="shows_smp", kind=Boolean(), doc="It advertises the SMP service then.", default=True),
        _WITHIN,
    ),
)

INSIDE: Final = TomlTable(
    doc="What shows that the device is in its update mode.",
    keys=(
        TomlKey(name="serves", kind=ListOf(CommandName(shows=True)), doc="Commands that are answered.", default=()),
        TomlKey(
            name="refuses", kind=ListOf(CommandName(shows=True)), doc="Commands that are unknown there.", default=()
        ),
    ),
)

SMP_STEP: Final = TomlTable(
    doc="A command.",
    keys=(
        TomlKey(name="smp", kind=CommandName(), doc="Which one.", default=REQUIRED),
        TomlKey(name="body", kind=RequestBody(), doc="What goes with it."),
        _RESTARTS,
    ),
)

SETTING_STEP: Final = TomlTable(
    doc="A settings write.",
    keys=(
        TomlKey(name="setting", kind=_TEXT, doc="Name of the setting.", default=REQUIRED),
        TomlKey(name="value", kind=_TEXT, doc="Its value.", default=REQUIRED),
        TomlKey(name="save", kind=Boolean(), doc="Store all settings afterwards.", default=False),
    ),
)

WRITE_STEP: Final = TomlTable(
    doc="Bytes to a characteristic.",
    keys=(
        TomlKey(name="write", kind=Hexadecimal(), doc="The bytes.", default=REQUIRED),
        TomlKey(name="service", kind=_TEXT, doc="UUID of the service.", default=REQUIRED),
        TomlKey(name="characteristic", kind=_TEXT, doc="UUID of the characteristic.", default=REQUIRED),
        TomlKey(name="expect", kind=Hexadecimal(), doc="How the answer begins.", default=b""),
        _WITHIN,
        _RESTARTS,
    ),
)

PROMPT_STEP: Final = TomlTable(
    doc="Something for a person.",
    keys=(TomlKey(name="prompt", kind=_TEXT, doc="What to do.", default=REQUIRED), _WITHIN),
)


def shipped() -> dict[str, str]:
    """The recipes that come with the program: name and text."""
    directory = resources.files("keyswitch.host").joinpath("recipes")
    files = (entry for entry in directory.iterdir() if entry.name.endswith(".toml"))
    return {entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8") for entry in files}


def read_recipe(name: str) -> Recipe:
    """A shipped recipe by its name, or one from a file.

    Raises:
        InputError: there is none, or it is not valid.
    """
    known = shipped()
    if name in known:
        return load(known[name].encode(), name=name)
    path = Path(name)
    if "/" not in name and not name.endswith(".toml"):
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(Field("recipe"), f"no recipe {name!r}{hint}", f"a file, or one of {', '.join(sorted(known))}")
    return load(read_file(path, RECIPE_FILE), name=name)


def load(data: bytes, *, name: str) -> Recipe:
    """The recipe in `data`.

    Raises:
        InputError: it is none; says where and what was expected.
    """
    where = f"{name}: "
    given = parse_toml(data, name, RECIPE_FILE.expected, parse_float=Decimal)
    top = ROOT.read(given, where)
    variables, again = below(where, "variables"), AGAIN.read(given.get("again", {}), below(where, "again"))
    recipe = Recipe(
        name=name,
        about=top["about"],
        variables={
            key: _TEXT.read(value, below(variables, key))
            for key, value in as_table(given.get("variables", {}), variables, "a table of texts").items()
        },
        enter=_steps(given, "enter", where),
        leave=_steps(given, "leave", where),
        again=again["by"],
        again_name=again["name"],
        shows_smp=again["shows_smp"],
        within_ms=again["within_s"],
        **INSIDE.read(given.get("inside", {}), below(where, "inside")),
    )
    return _coherent(recipe, where)


def _coherent(recipe: Recipe, where: str) -> Recipe:
    if not recipe.enter:
        raise InputError(below(where, "enter"), "no steps", "at least one [[enter]]")
    if not recipe.serves and not recipe.refuses:
        expected = 'serves = ["image.state"], for example'
        raise InputError(below(where, "inside"), "nothing shows that the mode was reached", expected)
    if (recipe.again is Again.NAME) != bool(recipe.again_name):
        expected = 'by = "name" and a name, or neither'
        raise InputError(f"{where}again.name", "a name and `by` do not fit", expected)
    return recipe


def _steps(given: dict[str, Any], key: str, where: str) -> tuple[RecipeStep, ...]:
    values: object = given.get(key, [])
    if not isinstance(values, list):
        raise wrong(below(where, key), values, f"[[{key}]] tables")
    steps = cast("list[object]", values)
    return tuple(_step(each, f"{below(where, key)}[{place}]") for place, each in enumerate(steps))


def _step(value: object, where: str) -> RecipeStep:
    given = as_table(value, where, f"a table with one of {', '.join(_STEPS)}")
    found = [kind for kind in _STEPS if kind in given]
    if len(found) != 1:
        raise InputError(where, "no step, or several in one", f"exactly one of {', '.join(_STEPS)}")
    table, make = _STEPS[found[0]]
    return make(table.read(given, where))


def _smp_step(read: dict[str, Any]) -> RecipeStep:
    return SmpStep(command=read["smp"], body=read["body"] or {}, restarts=read["restarts"])


def _setting_step(read: dict[str, Any]) -> RecipeStep:
    return SettingStep(name=read["setting"], value=read["value"], save=read["save"])


def _write_step(read: dict[str, Any]) -> RecipeStep:
    return GattStep(
        service=read["service"].lower(),
        characteristic=read["characteristic"].lower(),
        data=read["write"],
        expect=read["expect"],
        within_ms=read["within_s"],
        restarts=read["restarts"],
    )


def _prompt_step(read: dict[str, Any]) -> RecipeStep:
    return PromptStep(text=read["prompt"], within_ms=read["within_s"])


_STEPS: Final[dict[str, tuple[TomlTable, Callable[[dict[str, Any]], RecipeStep]]]] = {
    "smp": (SMP_STEP, _smp_step),
    "setting": (SETTING_STEP, _setting_step),
    "write": (WRITE_STEP, _write_step),
    "prompt": (PROMPT_STEP, _prompt_step),
}
