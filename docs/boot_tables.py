"""Writes what is generated in boot.md and images.md, from the code's own tables.

Run it after a change of those tables; a test compares both pages with what it writes.
"""

import re
from collections.abc import Callable
from pathlib import Path

from keyswitch.mcuboot.keys import SIGNATURE_TYPES, VERIFIED_HASHES, VerifiedHash
from keyswitch.mcuboot.layout import Algorithm, Layout, max_image_size
from keyswitch.mcuboot.trailer import SwapRow, swap_rows
from keyswitch.mcuboot.verify import CHECKS

HERE = Path(__file__).parent
SLOT_SIZE = 458_752


def algorithms() -> str:
    """What each algorithm can take, for the slots of the pump."""
    lines = [
        f"| Algorithm | Trailer | Largest file in a slot of {SLOT_SIZE:,} bytes | SMP mode number |",
        "|---|---|---|---|",
    ]
    for algorithm in Algorithm:
        layout = Layout.for_slots(algorithm, SLOT_SIZE)
        lines.append(
            f"| `{algorithm}` | {layout.trailer_size:,} bytes | {max_image_size(layout):,} bytes "
            f"| {algorithm.boot_mode} |"
        )
    return "\n".join(lines)


def swap_types() -> str:
    """The rows of the swap type table."""
    lines = [
        "| Primary: magic | image ok | copy done | Secondary: magic | image ok | copy done | The bootloader would |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in swap_rows(Algorithm.SWAP_OFFSET):
        only = "" if row in swap_rows(Algorithm.SWAP_MOVE) else " (swap using offset only)"
        lines.append(f"| {' | '.join(_cells(row))} | {row.result.name}{only} |")
    return "\n".join(lines)


def _cells(row: SwapRow) -> list[str]:
    states = (
        row.primary_magic,
        row.primary_image_ok,
        row.primary_copy_done,
        row.secondary_magic,
        row.secondary_image_ok,
        row.secondary_copy_done,
    )
    return ["any" if state is None else state.value for state in states]


def keys() -> str:
    """Kinds of keys, with their signatures and hashes."""
    lines = ["| Key | Signature TLV | The bootloader is built for |", "|---|---|---|"]
    for kind, signature in SIGNATURE_TYPES.items():
        builds = [build.words for build in VerifiedHash if build in VERIFIED_HASHES[kind]]
        one_of = "" if len(builds) == 1 else "one of "
        lines.append(f"| {kind.value} | {signature.name} | {one_of}{', '.join(builds)} |")
    return "\n".join(lines)


def checks() -> str:
    """The checks in their order."""
    return ", ".join(["format", *(name for name, _ in CHECKS)]) + "."


TABLES: dict[str, Callable[[], str]] = {
    "algorithms": algorithms,
    "swap types": swap_types,
    "keys": keys,
    "checks": checks,
}
PAGES = ("boot.md", "images.md")


def renewed(text: str) -> str:
    """A page with its generated parts made anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->\n"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        text = pattern.sub(f"{begin}\n{table()}\n\n{end}", text)
    return text


if __name__ == "__main__":
    for page in PAGES:
        (HERE / page).write_text(renewed((HERE / page).read_text()))
