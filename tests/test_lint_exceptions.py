"""Every exception from a lint rule says why, beside it; those for whole folders say it in pyproject.toml."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "bench", "docs", "examples")
EXCEPTION = re.compile(r"# noqa(?P<codes>: [A-Z]+\d+(?:, [A-Z]+\d+)*)?(?P<reason>.*)")


def test_every_exception_has_a_reason_and_names_its_rules() -> None:
    bare: list[str] = []
    for path in (each for folder in FOLDERS for each in (ROOT / folder).rglob("*.py")):
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = EXCEPTION.search(line)
            if found is not None and (found["codes"] is None or not found["reason"].strip(" -")):
                bare.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not bare, "\n".join(bare)
