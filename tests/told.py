"""What tests measured or counted, for people: printed at the end of a run, and kept of a deep one.

A test says it by the fixture `tell`. What a deep run told goes into build/deep.json, of which `python -m bench.deep`
makes the page.
"""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

KEPT: Final = Path("build/deep.json")
KEY: Final = "numbers"
DEEP: Final = "deep"

_BEGAN: Final = pytest.StashKey[float]()


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[_BEGAN] = time.monotonic()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker(DEEP) is not None:
            item.user_properties.append((DEEP, True))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = sorted(_rows(terminalreporter.stats.get("passed", [])), key=lambda row: row["test"])
    told = [row for row in rows if row["numbers"]]
    if told:
        terminalreporter.section("numbers")
    for row in told:
        terminalreporter.write_line(f"{_short(row['test'])}: {row['numbers']}")
    if config.getoption("--deep"):
        _keep(config, rows, {name: len(terminalreporter.stats.get(name, [])) for name in ("passed", "failed", "error")})


def _rows(reports: list[pytest.TestReport]) -> list[dict[str, Any]]:
    return [
        {
            "test": report.nodeid,
            "seconds": round(report.duration, 1),
            "numbers": "; ".join(str(value) for name, value in report.user_properties if name == KEY),
            "deep": (DEEP, True) in report.user_properties,
        }
        for report in reports
    ]


def _short(test: str) -> str:
    return test.partition("::")[2].removeprefix("test_").replace("_", " ")


def _keep(config: pytest.Config, rows: list[dict[str, Any]], counts: dict[str, int]) -> None:
    """Of this run the deep tests and what told something; of another run (of peers, of campaigns) what it left."""
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    part = next((name for name in ("peers", "campaign") if config.getoption(f"--{name}")), "tree")
    kept[part] = {
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.monotonic() - config.stash[_BEGAN]),
        **counts,
        "rows": [row for row in rows if row["deep"] or row["numbers"]],
    }
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
