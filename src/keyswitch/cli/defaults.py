"""What need not be written each time: the target and the policy, from the environment or from a file of the person's.

    target = "ble:Pump 7"           KEYSWITCH_TARGET
    policy = "pump.toml"            KEYSWITCH_POLICY; in the file relative to the file

Rules:

* What is written on the command line comes first, then the environment, then the file. An empty variable means none,
  also where the file has one.
* The file is the one that KEYSWITCH_CONFIG names, else `config.toml` in the system's place for settings
  (`~/.config/keyswitch` on Linux). A file in the current directory is not read: it could be anybody's.
* What was taken is said on stderr: an update must not go to a device that nobody has named in sight.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from keyswitch.cli.output import echo
from keyswitch.errors import InputError
from keyswitch.files.documents import parse_toml
from keyswitch.files.reading import FileKind, read_file, read_file_if_there
from keyswitch.schema.tables import TomlKey, TomlTable
from keyswitch.schema.value_types import Text

CONFIG_FILE: Final = FileKind(expected="settings of keyswitch (TOML)", max_size=10_000)

_TABLE: Final = TomlTable(
    keys=(
        TomlKey(name="target", kind=Text(meaning="a target, such as ble:NAME"), doc="Where TARGET is left out."),
        TomlKey(name="policy", kind=Text(longest=1_000, meaning="a path"), doc="Where --policy is left out."),
    )
)

KINDS: Final = ("ble:", "hci:", "udp:", "serial:")
"""How every target begins (`keyswitch.link.targets`)."""


@dataclass(frozen=True, slots=True)
class _Default:
    value: str
    origin: str


def config_path() -> Path | None:
    """The file of settings; None: none is wanted."""
    named = os.environ.get("KEYSWITCH_CONFIG")
    if named is not None:
        return Path(named) if named else None
    return Path(click.get_app_dir("keyswitch")) / "config.toml"


def with_target(*words: str | None) -> tuple[str | None, ...]:
    """The arguments of a command whose first one is TARGET, which may be left out.

    Args:
        words: as they stand on the command line: where TARGET is left out, each stands one place too early.

    Raises:
        click.UsageError: there is no target, nor a default.
    """
    first, *rest = words
    if first is not None and first.startswith(KINDS):
        return words
    default = _default("target")
    if default is None:
        if first is None:
            raise click.UsageError("Missing argument 'TARGET' (KEYSWITCH_TARGET is not set either).")
        return words
    if rest and rest[-1] is not None:
        return words  # nothing was left out: what stands first is to be a target, and is told that it is none
    if not rest and first is not None:
        return words
    _say("target", default)
    return (default.value, *words[:-1]) if rest else (default.value,)


def default_policy() -> Path | None:
    """The policy where none was given; None if there is no default."""
    default = _default("policy")
    if default is None:
        return None
    _say("policy", default)
    return Path(default.value)


def _say(name: str, default: _Default) -> None:
    echo(f"{name}: {default.value} ({default.origin})", err=True)


def _default(name: str) -> _Default | None:
    variable = f"KEYSWITCH_{name.upper()}"
    value = os.environ.get(variable)
    if value is not None:
        return _Default(value, variable) if value else None
    path = config_path()
    if path is None:
        return None
    text = read_file(path, CONFIG_FILE) if "KEYSWITCH_CONFIG" in os.environ else read_file_if_there(path, CONFIG_FILE)
    if text is None:
        return None
    found = _TABLE.read(parse_toml(text, str(path), CONFIG_FILE.expected), f"{path}: ").get(name)
    if found is None:
        return None
    try:
        return _Default(str(path.parent / Path(found).expanduser()) if name == "policy" else found, str(path))
    except RuntimeError as error:  # ~somebody, and there is no somebody
        raise InputError(f"{path}: {name}", str(error), "a path") from error
