"""Where the slots lie: `partitions.yml` of nRF Connect SDK's partition manager, else the devicetree that was built.

A `zephyr.dts` is what the build made of all devicetree files: no macros, no includes, one property a line.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.errors import InputError
from keyswitch.files.reading import FileKind, read_file

PARTITIONS_FILE: Final = FileKind(expected="a partitions.yml of nRF Connect SDK", max_size=2**20)
DEVICETREE_FILE: Final = FileKind(expected="a zephyr.dts as Zephyr's build writes it", max_size=8 * 2**20)

_NODE: Final = re.compile(r"^\s*(?:[A-Za-z0-9_]+:\s*)+[A-Za-z0-9_,.-]+(?:@[0-9a-f]+)?\s*\{")
_REG: Final = re.compile(r"reg\s*=\s*<\s*(?P<offset>0x[0-9a-fA-F]+|\d+)\s+(?P<size>0x[0-9a-fA-F]+|\d+)\s*>")
_CELL: Final = r"{}\s*=\s*<\s*(0x[0-9a-fA-F]+|\d+)\s*>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One area of flash.

    Attributes:
        offset: of its first byte in its flash.
        size: bytes.
        external: it lies on another chip than the code.
    """

    offset: int
    size: int
    external: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotPartitions:
    """The two slots of image 0, the flash of the first, and the slots of further images.

    Attributes:
        source: the file that says it.
        primary: where the image runs.
        secondary: where an update is written to; None: there is none.
        further: primary and secondary of image 1 and up, as far as both are there.
        sector_size: erased together, in bytes; None: not said.
        write_block: written together, in bytes; None: not said.
    """

    source: Path
    primary: Partition
    secondary: Partition | None
    sector_size: int | None = None
    write_block: int | None = None
    further: tuple[tuple[Partition, Partition], ...] = ()


MAX_FURTHER: Final = 3
"""Images beside image 0 that are looked for."""


def read_partitions_yml(path: Path) -> SlotPartitions:
    """Read what the partition manager decided.

    Raises:
        InputError: the file cannot be read, is no YAML, or has no `mcuboot_primary`.
    """
    import yaml  # noqa: PLC0415 - only needed for this file

    try:
        loaded: object = yaml.safe_load(read_file(path, PARTITIONS_FILE))
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(str(path), "no YAML", PARTITIONS_FILE.expected) from error
    table = cast("dict[str, Any]", loaded) if isinstance(loaded, dict) else {}
    primary = _area(path, table, "mcuboot_primary")
    if primary is None:
        raise InputError(str(path), "no partition mcuboot_primary", "a build with MCUboot")
    further = [
        (_area(path, table, f"mcuboot_primary_{image}"), _area(path, table, f"mcuboot_secondary_{image}"))
        for image in range(1, 1 + MAX_FURTHER)
    ]
    return SlotPartitions(
        source=path,
        primary=primary,
        secondary=_area(path, table, "mcuboot_secondary"),
        further=_in_a_row(further),
    )


def _in_a_row(found: list[tuple[Partition | None, Partition | None]]) -> tuple[tuple[Partition, Partition], ...]:
    """The pairs up to the first that is not whole."""
    pairs: list[tuple[Partition, Partition]] = []
    for first, second in found:
        if first is None or second is None:
            break
        pairs.append((first, second))
    return tuple(pairs)


def _area(path: Path, table: dict[str, Any], name: str) -> Partition | None:
    found = table.get(name)
    if found is None:
        return None
    entry = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    address, size, region = (entry.get(key) for key in ("address", "size", "region"))
    if not isinstance(address, int) or not isinstance(size, int) or size <= 0 or address < 0:
        raise InputError(f"{path}: {name}", "no address and size", "two numbers")
    return Partition(offset=address, size=size, external=region not in {None, "flash_primary"})


def read_devicetree(path: Path) -> SlotPartitions:
    """Read the partitions `slot0_partition`, `slot1_partition` and so on of a built devicetree.

    Raises:
        InputError: the file cannot be read, or has no `slot0_partition` with an address and a size.
    """
    text = read_file(path, DEVICETREE_FILE).decode("utf-8", "replace")
    lines = text.splitlines()
    places = {name: _node(lines, name) for name in ("slot0_partition", "slot1_partition")}
    first, second = places["slot0_partition"], places["slot1_partition"]
    if first is None:
        raise InputError(str(path), "no node slot0_partition", "a build whose devicetree has slots for MCUboot")
    flash = _parent_flash(lines, first)
    other = None if second is None else _parent_flash(lines, second)
    external = second is not None and other != flash
    body = "\n".join(lines[flash[0] : flash[0] + _HEADER_LINES]) if flash is not None else ""
    return SlotPartitions(
        source=path,
        primary=_reg(path, lines, first, "slot0_partition", external=False),
        secondary=None if second is None else _reg(path, lines, second, "slot1_partition", external=external),
        sector_size=_cell(body, "erase-block-size"),
        write_block=_cell(body, "write-block-size"),
        further=_in_a_row(
            [(_slot(path, lines, 2 * n), _slot(path, lines, 2 * n + 1)) for n in range(1, 1 + MAX_FURTHER)]
        ),
    )


def _slot(path: Path, lines: list[str], number: int) -> Partition | None:
    label = f"slot{number}_partition"
    node = _node(lines, label)
    return None if node is None else _reg(path, lines, node, label, external=False)


_HEADER_LINES: Final = 40
"""A flash node's own properties stand before its partitions."""


def _node(lines: list[str], label: str) -> int | None:
    for number, line in enumerate(lines):
        if _NODE.match(line) and re.search(rf"\b{label}:", line):
            return number
    return None


def _indent(line: str) -> int:
    return len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip())


def _parent_flash(lines: list[str], node: int) -> tuple[int, str] | None:
    """Line and text of the nearest node around `node` that says how its flash is written or erased, or what it is."""
    depth = _indent(lines[node])
    for number in range(node - 1, -1, -1):
        line = lines[number]
        if line.rstrip().endswith("{") and _indent(line) < depth:
            depth = _indent(line)
            if "partition" not in line.partition("{")[0]:
                return number, line.strip()
    return None


def _reg(path: Path, lines: list[str], node: int, label: str, *, external: bool) -> Partition:
    depth = _indent(lines[node])
    for line in lines[node + 1 :]:
        if line.strip() == "};" and _indent(line) <= depth:
            break
        found = _REG.search(line)
        if found is not None:
            return Partition(offset=int(found["offset"], 0), size=int(found["size"], 0), external=external)
    raise InputError(f"{path}: {label}", "no address and size", "reg = < OFFSET SIZE >")


def _cell(body: str, name: str) -> int | None:
    found = re.search(_CELL.format(re.escape(name)), body)
    return None if found is None else int(found[1], 0)
