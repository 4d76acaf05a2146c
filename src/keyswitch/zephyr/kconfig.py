"""The configuration that a build really has: a `.config` file, as Kconfig writes it.

Kconfig leaves out what it could not set, without a word: what `prj.conf` asks for says nothing, this file does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyswitch.errors import InputError
from keyswitch.files.reading import FileKind, read_file

KCONFIG_FILE: Final = FileKind(expected="a .config as Kconfig writes it", max_size=4 * 2**20)
IMAGE: Final = "CONFIG_"
SYSBUILD: Final = "SB_CONFIG_"
_LINE: Final = re.compile(r"(?P<prefix>(?:SB_)?CONFIG_)(?P<name>[A-Za-z0-9_]+)=(?P<value>.*)")
_UNSET: Final = re.compile(r"# (?P<prefix>(?:SB_)?CONFIG_)(?P<name>[A-Za-z0-9_]+) is not set")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kconfig:
    """The symbols of one image.

    Attributes:
        path: the file.
        prefix: `CONFIG_` of an image's symbols, or `SB_CONFIG_` of sysbuild's own.
        values: by name without `CONFIG_` or `SB_CONFIG_`; `y`, `n`, a number, or a text without its quotes.
    """

    path: Path
    prefix: str
    values: Mapping[str, str]

    def on(self, name: str) -> bool:
        """Whether a yes-or-no symbol is set."""
        return self.values.get(name) == "y"

    def text(self, name: str) -> str | None:
        """A symbol's value, None if it has none here."""
        value = self.values.get(name)
        return None if value in {None, "n"} else value

    def number(self, name: str) -> int | None:
        """A number, decimal or hexadecimal; None if the symbol has none here."""
        value = self.values.get(name)
        try:
            return None if value is None else int(value, 0)
        except ValueError:
            return None

    def line(self, name: str) -> str:
        """The symbol as the file writes it, for reports."""
        value = self.values.get(name)
        return f"# {self.prefix}{name} is not set" if value in {None, "n"} else f"{self.prefix}{name}={value}"


def read_kconfig(path: Path) -> Kconfig:
    """Read a `.config`.

    Raises:
        InputError: the file cannot be read, or a line in it is none of Kconfig's; names the line.
    """
    values: dict[str, str] = {}
    prefix = IMAGE
    text = read_file(path, KCONFIG_FILE).decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), start=1):
        unset = _UNSET.fullmatch(line)
        if unset is not None:
            prefix = unset["prefix"]
            values[unset["name"]] = "n"
            continue
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise InputError(f"{path}:{number}", "not a line of Kconfig", "CONFIG_NAME=value")
        prefix = found["prefix"]
        values[found["name"]] = _unquoted(found["value"])
    return Kconfig(path=path, prefix=prefix, values=values)


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return value
