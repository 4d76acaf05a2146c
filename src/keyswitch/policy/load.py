"""TOML in, `Policy` out. Every mistake is one `InputError` that names the file and the key path.

* `load` is pure; `read_policy` reads the file and nothing else: keys need not exist for modes to be read.
* What is checked here is what makes the file meaningless (unknown words, ways to nowhere). Whether the rules it
  states are *safe* is the prover's question.
"""

import hashlib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.errors import InputError
from keyswitch.files.documents import parse_toml
from keyswitch.files.reading import FileKind, read_file
from keyswitch.policy import grammar
from keyswitch.policy.consistency import check_consistency
from keyswitch.policy.digest import policy_digest
from keyswitch.policy.enums import InputType
from keyswitch.policy.model import (
    BootloaderSettings,
    ButtonEntry,
    ChallengeEntry,
    DeviceSettings,
    EntrySettings,
    GateSettings,
    ImagePair,
    Input,
    LockoutSettings,
    Mode,
    PermitEntry,
    Policy,
    SequenceEntry,
    SmpSettings,
    UpdateSettings,
)
from keyswitch.policy.transitions import read_transitions
from keyswitch.schema.tables import TomlTable, as_table, below
from keyswitch.schema.value_types import NAME, shown, wrong
from keyswitch.smp.commands import resolve

MAX_FILE_SIZE: Final = 1_000_000
"""Bytes; a policy is written by people."""
POLICY_FILE: Final = FileKind(expected="a policy file (TOML)", max_size=MAX_FILE_SIZE)
MAX_MODES: Final = 255
"""The mode's index travels in one byte."""
MIN_IMAGES: Final = 2
"""One image is described by `[bootloader]` itself, so that a policy has one form."""
MAX_IMAGES: Final = 4
"""More than any product that is known; each one multiplies what `keyswitch check` explores."""


def read_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        InputError: it cannot be read, or is no valid policy.
    """
    return load(read_file(path, POLICY_FILE), origin=str(path), directory=path.parent)


def load(data: bytes, *, origin: str = "policy", directory: Path = Path()) -> Policy:
    """The policy that a file's bytes describe.

    Args:
        data: the file's bytes.
        origin: the file's name, for messages.
        directory: what the file names inside are relative to.

    Raises:
        InputError: no valid policy.
    """
    root = as_table(_parse(data, origin), origin, grammar.ROOT.expected)
    at = f"{origin}: "
    grammar.ROOT.read(root, at)
    for name in ("device", "modes"):
        if name not in root:
            raise InputError(below(at, name), "missing", grammar.SECTIONS[name if name == "device" else "modes.*"].doc)
    inputs = _inputs(root.get("inputs", {}), below(at, "inputs"))
    policy = Policy(
        device=_device(root["device"], below(at, "device")),
        inputs=inputs,
        modes=_modes(root["modes"], below(at, "modes")),
        transitions=read_transitions(root.get("transitions", []), below(at, "transitions"), inputs),
        entry=_entry(root.get("entry", {}), below(at, "entry"), directory),
        gate=_gate(root.get("gate", {}), below(at, "gate")),
        update=UpdateSettings(**_ms(_plain(grammar.UPDATE, root, "update", at))),
        bootloader=_bootloader(root.get("bootloader", {}), below(at, "bootloader"), directory),
        smp=SmpSettings(**_plain(grammar.SMP, root, "smp", at)),
        digest=policy_digest(root),
        file_digest=hashlib.sha256(data).digest(),
        origin=origin,
    )
    check_consistency(policy)
    return policy


def _parse(data: bytes, origin: str) -> object:
    if len(data) > MAX_FILE_SIZE:
        raise InputError(origin, f"larger than {MAX_FILE_SIZE} bytes", "a policy file written by people")
    if not data.strip():
        raise InputError(origin, "empty", POLICY_FILE.expected)
    return parse_toml(data, origin, POLICY_FILE.expected, parse_float=Decimal)


def _plain(table: TomlTable, root: Any, name: str, at: str) -> dict[str, Any]:
    return table.read(root.get(name, {}), below(at, name))


def _ms(values: dict[str, Any]) -> dict[str, Any]:
    """Keys `*_s`, whose values the language has made milliseconds, under their honest names."""
    return {f"{name[:-2]}_ms" if name.endswith("_s") else name: value for name, value in values.items()}


def _device(value: object, where: str) -> DeviceSettings:
    read = grammar.DEVICE.read(value, where)
    return DeviceSettings(**{**read, "id": read["id"] or read["name"]})


def _inputs(value: object, where: str) -> tuple[Input, ...]:
    table = as_table(value, where, "a table of inputs")
    inputs: list[Input] = []
    for name, each in table.items():
        place = below(where, name)
        NAME.read(name, place)
        read = grammar.INPUT.read(each, place)
        kind, initial = read["type"], read["initial"]
        if initial is not None and isinstance(initial, bool) is not (kind is InputType.BOOL):
            sort, expected = ("a bool", "true or false") if kind is InputType.BOOL else ("an int", "a whole number")
            raise InputError(below(place, "initial"), f"{shown(initial)} is not {sort}", expected)
        inputs.append(Input(name=name, **read))
    return tuple(inputs)


def _modes(value: object, where: str) -> dict[str, Mode]:
    table = as_table(value, where, "a table of modes")
    if not 1 <= len(table) <= MAX_MODES:
        raise InputError(where, f"{len(table)} modes", f"1 to {MAX_MODES}")
    return {name: _mode(name, index, each, below(where, name)) for index, (name, each) in enumerate(table.items())}


def _mode(name: str, index: int, value: object, where: str) -> Mode:
    NAME.read(name, where)
    read = _ms(grammar.MODE.read(value, where))
    allow_text = read.pop("allow")
    lease_max_ms = read.pop("lease_max_ms") or read["lease_ms"]
    return Mode(
        name=name,
        index=index,
        allow=frozenset(key for entry in allow_text for key in resolve(entry)),
        allow_text=allow_text,
        lease_max_ms=lease_max_ms,
        **read,
    )


def _entry(value: object, where: str, directory: Path) -> EntrySettings:
    grammar.ENTRY.read(value, where)
    table = as_table(value, where, grammar.ENTRY.expected)

    def section(name: str) -> dict[str, Any] | None:
        read = grammar.SECTIONS[f"entry.{name}"].read(table[name], below(where, name)) if name in table else None
        return None if read is None else _ms(read)

    sequence, challenge, permit = section("sequence"), section("challenge"), section("permit")
    if permit is not None:
        permit["issuers"] = tuple(directory / each for each in permit["issuers"])
    return EntrySettings(
        sequence=None if sequence is None else SequenceEntry(**sequence),
        challenge=None if challenge is None else ChallengeEntry(secret=directory / challenge["secret"]),
        permit=None if permit is None else PermitEntry(**permit),
        button=ButtonEntry(**(section("button") or {})),
        lockout=LockoutSettings(**(section("lockout") or {})),
    )


def _gate(value: object, where: str) -> GateSettings:
    read = grammar.GATE.read(value, where)
    table = as_table(value, where, grammar.GATE.expected)
    on_leave = grammar.ON_LEAVE.read(table.get("on_leave", {}), below(where, "on_leave"))
    return GateSettings(**read, **on_leave)


def _bootloader(value: object, where: str, directory: Path) -> BootloaderSettings:
    read = grammar.BOOTLOADER.read(value, where)
    key, entrance = read.pop("key"), read.pop("loader_entrance")
    settings = BootloaderSettings(
        key=None if key is None else directory / key, loader_entrance=() if entrance is None else entrance, **read
    )
    table = as_table(value, where, grammar.BOOTLOADER.expected)
    if "images" not in table:
        return settings
    for name in ("slot_size", "secondary_size"):
        if name in table:
            raise InputError(below(where, name), "each of several images says its own", f"{name} in the images")
    images = _images(table["images"], below(where, "images"))
    first = images[0]
    return replace(settings, images=images, slot_size=first.slot_size, secondary_size=first.secondary_size)


def _images(value: object, where: str) -> tuple[ImagePair, ...]:
    if not isinstance(value, list):
        raise wrong(where, value, "a list of tables, each [[bootloader.images]]")
    entries = cast("list[object]", value)
    if not MIN_IMAGES <= len(entries) <= MAX_IMAGES:
        expected = f"{MIN_IMAGES} to {MAX_IMAGES}; a single image is what [bootloader] itself describes"
        raise InputError(where, f"{len(entries)} {'image' if len(entries) == 1 else 'images'}", expected)
    read = (grammar.IMAGE.read(each, f"{where}[{number}]") for number, each in enumerate(entries))
    return tuple(ImagePair(**{**each, "secondary_size": each["secondary_size"] or each["slot_size"]}) for each in read)
