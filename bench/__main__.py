"""`make bench`: run what was asked for (all of it by default), print it, and write build/bench.json.

    python -m bench [NAME …]

A part is a module of this package with `run() -> dict[str, object]`; what it returns is merged into the file, but for
`missed`: lines that say which mark was missed.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

PARTS = ("upload", "waits", "server", "idle", "hostile", "images", "prover", "campaign", "peers")
"""In the order in which they run; the first ones are the quick ones."""

RESULT = Path("build/bench.json")


def main(names: list[str]) -> int:
    """Run the parts; 1 if one of them says that it missed its mark."""
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        print(f"bench: no part {', '.join(unknown)} (expected {' or '.join(PARTS)})", file=sys.stderr)
        return 2
    worst = 0
    for name in names or PARTS:
        began = time.monotonic()
        print(f"--- {name}", flush=True)
        worst = max(worst, merge(importlib.import_module(f"bench.{name}").run()))
        print(f"({time.monotonic() - began:.1f} s)", flush=True)
    return worst


def merge(part: dict[str, Any]) -> int:
    """Write what a part has measured into the file; 1 if it missed a mark, which is told.

    `cells` of several parts are kept side by side: one for each combination, the newest.
    """
    result: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    missed = part.pop("missed", [])
    cells = {_combination(cell): cell for cell in result.get("cells", []) + part.pop("cells", [])}
    result |= part
    result["cells"] = list(cells.values())
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    for line in missed:
        print(f"missed: {line}")
    print(f"written: {RESULT}")
    return 1 if missed else 0


def _combination(cell: dict[str, Any]) -> tuple[Any, ...]:
    keys = ("transport", "interval_us", "phy", "buf_size", "buf_count", "loss", "flash")
    return (*(cell[key] for key in keys), bool(cell["peers"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
