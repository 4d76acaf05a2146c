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
from importlib import resources
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.errors import Field, InputError
from keyswitch.files.documents import inside, parse_toml
from keyswitch.files.reading import FileKind, read_file
from keyswitch.host.recipe import WITHIN_MS, Again, GattStep, PromptStep, Recipe, SettingStep, SmpStep, Step
from keyswitch.smp.commands import BY_NAME
from keyswitch.smp.group import Command
from keyswitch.text import short

MOST_WITHIN_S: Final = 300
"""A person who has not pressed the button by then has gone."""

RECIPE_FILE: Final = FileKind(expected="a recipe (TOML)", max_size=100_000)
"""A recipe is written by people."""

_LONGEST_KEY: Final = 64
"""Characters of a key that a message shows."""


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
    top = _Table(name, "", parse_toml(data, name, RECIPE_FILE.expected))
    if top.number("schema", required=True) != 1:
        raise top.wrong("schema", "another version", "1")
    again, inside = top.table("again"), top.table("inside")
    recipe = Recipe(
        name=name,
        about=top.text("about", required=True),
        variables=top.texts("variables"),
        enter=tuple(_step(table) for table in top.tables("enter")),
        leave=tuple(_step(table) for table in top.tables("leave")),
        again=_again(again),
        again_name=again.text("name"),
        shows_smp=again.flag("shows_smp", default=True),
        within_ms=again.milliseconds("within_s", WITHIN_MS),
        serves=inside.commands("serves"),
        refuses=inside.commands("refuses"),
    )
    for table in (again, inside, top):
        table.all_known()
    return _coherent(recipe, top)


def _coherent(recipe: Recipe, top: "_Table") -> Recipe:
    if not recipe.enter:
        raise top.wrong("enter", "no steps", "at least one [[enter]]")
    if not recipe.serves and not recipe.refuses:
        raise top.wrong("inside", "nothing shows that the mode was reached", 'serves = ["image.state"], for example')
    if (recipe.again is Again.NAME) != bool(recipe.again_name):
        raise top.wrong("again.name", "a name and `by` do not fit", 'by = "name" and a name, or neither')
    return recipe


def _again(table: "_Table") -> Again:
    word = table.text("by") or Again.SAME.value
    if word not in set(Again):
        raise table.wrong("by", short(word), " or ".join(Again))
    return Again(word)


def _step(table: "_Table") -> Step:
    kinds = {"smp": _smp_step, "setting": _setting_step, "write": _gatt_step, "prompt": _prompt_step}
    found = [kind for kind in kinds if kind in table.values]
    if len(found) != 1:
        raise table.wrong("", "no step, or several in one", f"exactly one of {', '.join(kinds)}")
    step = kinds[found[0]](table)
    table.all_known()
    return step


def _smp_step(table: "_Table") -> Step:
    return SmpStep(
        command=table.command("smp"), body=table.body("body"), restarts=table.flag("restarts", default=False)
    )


def _setting_step(table: "_Table") -> Step:
    return SettingStep(
        name=table.text("setting", required=True),
        value=table.text("value", required=True),
        save=table.flag("save", default=False),
    )


def _gatt_step(table: "_Table") -> Step:
    return GattStep(
        service=table.text("service", required=True).lower(),
        characteristic=table.text("characteristic", required=True).lower(),
        data=table.hexadecimal("write"),
        expect=table.hexadecimal("expect"),
        within_ms=table.milliseconds("within_s", WITHIN_MS),
        restarts=table.flag("restarts", default=False),
    )


def _prompt_step(table: "_Table") -> Step:
    return PromptStep(text=table.text("prompt", required=True), within_ms=table.milliseconds("within_s", WITHIN_MS))


def _bare(key: str) -> str:
    """A key path as messages show it; a stranger's key may be of any length."""
    return key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}…"


class _Table:
    """One table of the document: reads its keys, and knows where they are."""

    def __init__(self, origin: str, path: str, values: dict[str, Any]) -> None:
        self.values = values
        self._origin = origin
        self._path = path
        self._asked: set[str] = set()

    def wrong(self, key: str, problem: str, expected: str) -> InputError:
        """What is wrong at a key."""
        return InputError(f"{self._origin}: {self._at(key)}", problem, expected)

    def all_known(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self.values:
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise self.wrong(key, f"unknown key{hint}", f"one of {', '.join(sorted(self._asked))}")

    def text(self, key: str, *, required: bool = False) -> str:
        """A text; empty if it is not there."""
        value = self._get(key, str, "text", required=required)
        return "" if value is None else str(value)

    def number(self, key: str, *, required: bool = False) -> int:
        """An integer; 0 if it is not there."""
        value: int | None = self._get(key, int, "an integer", required=required)
        return value or 0

    def flag(self, key: str, *, default: bool) -> bool:
        """A boolean."""
        value = self._get(key, bool, "true or false")
        return default if value is None else bool(value)

    def milliseconds(self, key: str, default_ms: int) -> int:
        """Seconds in the file, milliseconds afterwards."""
        value: float | None = self._get(key, (int, float), "seconds")
        if value is None:
            return default_ms
        if not 0 < value <= MOST_WITHIN_S:
            raise self.wrong(key, short(value), f"more than 0 and at most {MOST_WITHIN_S} seconds")
        return round(value * 1000)

    def hexadecimal(self, key: str) -> bytes:
        """Bytes in hexadecimal."""
        text = self.text(key)
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise self.wrong(key, short(text), 'bytes in hexadecimal, such as "20 01 01"') from None

    def command(self, key: str) -> Command:
        """An SMP command by its name."""
        return self._command(key, self.text(key, required=True))

    def commands(self, key: str) -> tuple[Command, ...]:
        """A list of SMP commands that can be read."""
        names = cast("list[object]", self._get(key, list, "a list of commands") or [])
        found = tuple(self._command(f"{key}[{n}]", name) for n, name in enumerate(names))
        for number, command in enumerate(found):
            if not command.reads:
                raise self.wrong(
                    f"{key}[{number}]", f"{command.name} cannot be read", "a command that only shows something"
                )
        return found

    def mapping(self, key: str) -> dict[str, Any]:
        """A table that is handed on as it is."""
        return cast("dict[str, Any]", self._get(key, dict, "a table") or {})

    def body(self, key: str) -> dict[str, Any]:
        """A table of values that SMP can carry; TOML's dates and times it cannot."""
        found = self.mapping(key)
        level: list[object] = [found]
        while level:
            if not all(isinstance(each, dict | list | str | int | float) for each in level):
                raise self.wrong(key, "a date or time", "text, numbers, true, false, lists and tables")
            level = [inner for each in level for inner in inside(each)]
        return found

    def texts(self, key: str) -> dict[str, str]:
        """A table of texts."""
        table = self.table(key)
        found = {name: table.text(name) for name in table.values}
        table.all_known()
        return found

    def table(self, key: str) -> "_Table":
        """A table; empty if it is not there."""
        return _Table(self._origin, self._at(key), self.mapping(key))

    def tables(self, key: str) -> list["_Table"]:
        """An array of tables."""
        items = cast("list[object]", self._get(key, list, f"[[{key}]] tables") or [])
        for number, item in enumerate(items):
            if not isinstance(item, dict):
                raise self.wrong(f"{key}[{number}]", short(item), f"a [[{key}]] table")
        return [_Table(self._origin, self._at(f"{key}[{n}]"), cast("dict[str, Any]", i)) for n, i in enumerate(items)]

    def _command(self, key: str, name: object) -> Command:
        if isinstance(name, str) and name in BY_NAME:
            return BY_NAME[name]
        near = difflib.get_close_matches(str(name), BY_NAME, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise self.wrong(key, f"no command {short(name)}{hint}", "an SMP command such as os.reset")

    def _get(self, key: str, kind: type[Any] | tuple[type[Any], ...], expected: str, *, required: bool = False) -> Any:
        self._asked.add(key)
        if key not in self.values:
            if required:
                raise self.wrong(key, "missing", expected)
            return None
        value = self.values[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.wrong(key, short(value), expected)
        return value

    def _at(self, key: str) -> str:
        return ".".join(part for part in (self._path, _bare(key)) if part)
