"""docs/deep.md, made from build/deep.json: what the last deep run tried and counted.

python -m bench.deep
"""

import json
import sys
from pathlib import Path
from typing import Any

SOURCE = Path("build/deep.json")
PAGE = Path("docs/deep.md")

INTRODUCTION = """# The last deep run

Made from `build/deep.json` by `make deep`: what takes too long for every change. The same tests run with smaller
numbers in `make test` and `make test-peers`.
"""

WHERE = {"tree": "Everything in the tree", "peers": "Beside real servers", "campaign": "Campaigns killed anywhere"}


def main() -> int:
    """Write the page; 1 if something has failed, or a part is missing."""
    kept: dict[str, Any] = json.loads(SOURCE.read_text())
    missing = [name for name in (*WHERE, "powercut", "cost") if name not in kept]
    if missing:
        print(f"{SOURCE} has no part {', '.join(missing)}: run all of `make deep`", file=sys.stderr)
        return 1
    lines = [INTRODUCTION]
    for name, title in WHERE.items():
        part = kept[name]
        lines += [f"## {title}", "", _totals(part), "", "| what | counted | seconds |", "|---|---|---|"]
        lines += [f"| {_name(row)} | {row['numbers']} | {row['seconds']:g} |" for row in part["rows"]]
        lines.append("")
    cut = kept["powercut"]
    lines += ["## The power cut at every flash operation", ""]
    lines.append(f"{cut['date']}: {cut['cut_points']:,} cut points, {cut['failures']} failures, {cut['seconds']} s.")
    cost = kept["cost"]
    lines += ["", "## What a large campaign costs", ""]
    lines.append(
        f"{cost['date']}: {cost['devices']:,} devices on {cost['store']}, whose update takes no time: "
        f"{cost['cpu_ms_a_device']} ms of CPU and {cost['bytes_a_device']:,} bytes a device, {cost['seconds']:,} s."
    )
    PAGE.write_text("\n".join(lines) + "\n")
    print(f"written: {PAGE}")
    return 1 if cut["failures"] or any(kept[name]["failed"] + kept[name]["error"] for name in WHERE) else 0


def _totals(part: dict[str, Any]) -> str:
    return f"{part['date']}: {part['passed']:,} passed, {part['failed'] + part['error']} failed, {part['seconds']:,} s."


def _name(row: dict[str, Any]) -> str:
    _, _, test = row["test"].partition("::")
    return test.removeprefix("test_").replace("_", " ").replace("|", "/")


if __name__ == "__main__":
    sys.exit(main())
