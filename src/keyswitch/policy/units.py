"""Which unit of a product this is: what a policy does not say, so that one policy serves all of them.

A unit is a table `[unit]` in a file of its own; an inventory is a file with many, `[[unit]]` in TOML or a line each in
CSV, whose first line names the columns:

    id,serial,secret
    P-0007,SN 31.7,keys/p-0007.hmac

Files that it names are relative to it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from keyswitch.errors import Field, InputError, Phrase
from keyswitch.files.documents import parse_toml
from keyswitch.files.reading import FileKind, read_file
from keyswitch.policy.grammar import DEVICE
from keyswitch.policy.model import ChallengeEntry, Policy
from keyswitch.schema.csv_rows import read_csv
from keyswitch.schema.tables import REQUIRED, TomlKey, TomlTable, as_table, below
from keyswitch.schema.value_types import Text, suggestion

UNITS_FILE: Final = FileKind(expected="a unit or an inventory (TOML or CSV)", max_size=16_000_000)
MAX_UNITS: Final = 100_000

_CSV: Final = ".csv"
_UNIT: Final = "unit"

(_ID,) = (key for key in DEVICE.keys if key.name == "id")

UNIT: Final = TomlTable(
    doc="Who a unit is.",
    keys=(
        TomlKey(name="id", kind=_ID.kind, doc="Identity that proofs and permits are bound to.", default=REQUIRED),
        TomlKey(name="serial", kind=Text(64), doc="Serial number, for records.", default_text="none"),
        TomlKey(
            name="secret",
            kind=Text(meaning="a file name, relative to this file"),
            doc="File of the unit's own entry secret.",
            default_text="what the policy names",
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit.

    Attributes:
        id: identity that proofs and permits are bound to.
        serial: serial number, for records; None: not known.
        secret: file of its own entry secret; None: what the policy names.
    """

    id: str
    serial: str | None = None
    secret: Path | None = None


def read_unit(path: Path, wanted: str | None = None) -> Unit:
    """The unit `wanted` of a file; the only one if none is wanted.

    Args:
        path: of the unit's file, or of an inventory.
        wanted: its id.

    Raises:
        InputError: the file cannot be used, has no such unit, or has several and none is wanted.
    """
    units = read_units(path)
    if wanted is None and len(units) == 1:
        return next(iter(units.values()))
    if wanted is None:
        raise InputError(str(path), f"{len(units)} units", Phrase("{unit} to name one of them"))
    if wanted not in units:
        raise InputError(Field("unit"), f"{path} has no unit {wanted!r}", f"one of its ids{suggestion(wanted, units)}")
    return units[wanted]


def only_unit(path: Path) -> Unit:
    """The unit of a file that has one.

    Raises:
        InputError: the file cannot be used, or has several.
    """
    units = read_units(path)
    if len(units) > 1:
        raise InputError(str(path), f"{len(units)} units", "a file with one")
    return next(iter(units.values()))


def read_units(path: Path) -> dict[str, Unit]:
    """Every unit of a file by its id, in file order.

    Raises:
        InputError: the file cannot be read, is no inventory, or has an id twice.
    """
    data, origin = read_file(path, UNITS_FILE), str(path)
    if path.suffix.lower() == _CSV:
        rows = read_csv(data, origin, expected=UNITS_FILE.expected, columns=UNIT.names)
    else:
        rows = _toml_rows(data, origin)
    if not 1 <= len(rows) <= MAX_UNITS:
        raise InputError(origin, f"{len(rows)} units", f"1 to {MAX_UNITS}")
    units: dict[str, Unit] = {}
    for where, row in rows:
        unit = _unit(row, where, path.parent)
        if unit.id in units:
            raise InputError(below(where, "id"), f"{unit.id!r} is there twice", "each unit once")
        units[unit.id] = unit
    return units


def with_unit(policy: Policy, unit: Unit) -> Policy:
    """The policy as this unit has it. Its rules, and so its digest, are the same."""
    entry = policy.entry
    if unit.secret is not None and entry.challenge is not None:
        entry = replace(entry, challenge=ChallengeEntry(secret=unit.secret))
    return replace(policy, device=replace(policy.device, id=unit.id), entry=entry)


def _unit(row: object, where: str, directory: Path) -> Unit:
    read = UNIT.read(row, where)
    secret = read["secret"]
    return Unit(id=read["id"], serial=read["serial"], secret=None if secret is None else directory / secret)


def _toml_rows(data: bytes, origin: str) -> list[tuple[str, object]]:
    root = parse_toml(data, origin, UNITS_FILE.expected)
    for name in root:
        if name != _UNIT:
            raise InputError(
                below(f"{origin}: ", name), "unknown key", f"[{_UNIT}], or [[{_UNIT}]] for each of several"
            )
    stated = root.get(_UNIT, {})
    if isinstance(stated, list):
        return [(f"{origin}: {_UNIT}[{n}]", each) for n, each in enumerate(cast("list[object]", stated))]
    return [(f"{origin}: {_UNIT}", as_table(stated, f"{origin}: {_UNIT}", UNIT.expected))]
