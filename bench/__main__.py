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

PARTS = ("upload", "server", "images", "prover")
"""In the order in which they run; the first ones are the quick ones."""

RESULT = Path("build/bench.json")


def main(names: list[str]) -> int:
    """Run the parts; 1 if one of them says that it missed its mark."""
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        print(f"bench: no part {', '.join(unknown)} (expected {' or '.join(PARTS)})", file=sys.stderr)
        return 2
    result: dict[str, object] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    missed: list[str] = []
    for name in names or PARTS:
        began = time.monotonic()
        print(f"--- {name}")
        part = importlib.import_module(f"bench.{name}").run()
        missed += [f"{name}: {line}" for line in part.pop("missed", [])]
        result |= part
        print(f"({time.monotonic() - began:.1f} s)")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    for line in missed:
        print(f"missed: {line}")
    print(f"written: {RESULT}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
