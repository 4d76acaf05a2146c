"""Every exception from a lint rule says why, beside it; those for whole folders say it in pyproject.toml."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXCEPTION = re.compile(r"# noqa(?P<codes>: [A-Z]+\d+(?:, [A-Z]+\d+)*)?(?P<reason>.*)")


def test_every_exception_has_a_reason_and_names_its_rules() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    bare: list[str] = []
    for name in listed.splitlines():
        if name == "tests/test_lint_exceptions.py" or not (ROOT / name).exists():
            continue
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            found = EXCEPTION.search(line)
            if found is not None and (found["codes"] is None or not found["reason"].strip(" -")):
                bare.append(f"{name}:{number}: {line.strip()}")
    assert not bare, "\n".join(bare)
