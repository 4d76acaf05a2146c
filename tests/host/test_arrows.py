"""Inside the operator, imports run one way: report, update, access, upload | connect, smp."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOST = Path(__file__).parents[2] / "src/keyswitch/host"

ROOMS = {
    "report": "account chart journal",
    "update": "entering events firmware images job lease plan reboot scene steps suiting survey update",
    "access": "entry ours recipe recipe_file recipe_way status way",
    "upload": "bounds fitting rates requests upload window",
    "connect": "near reach verdict",
    "smp": "channel client reply views",
}
"""From the top down; `upload` and `connect` do not know each other."""

ROOM = {module: room for room, modules in ROOMS.items() for module in modules.split()}
HEIGHT = {"report": 4, "update": 3, "access": 2, "upload": 1, "connect": 1, "smp": 0}


def imported(source: str) -> Iterator[str]:
    """The modules of the operator that a source imports, at whatever depth."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        if node.module == "keyswitch.host":
            yield from (alias.name for alias in node.names)
        elif node.module.startswith("keyswitch.host."):
            yield node.module.rpartition(".")[2]


def against(module: str, source: str) -> list[str]:
    """What a module imports against the direction."""
    here = ROOM[module]
    found = {other: ROOM[other] for other in imported(source)}
    return [other for other, there in found.items() if there != here and HEIGHT[there] >= HEIGHT[here]]


def test_every_module_has_a_room() -> None:
    assert {path.stem for path in HOST.glob("*.py")} - {"__init__"} <= ROOM.keys()


def test_no_arrow_runs_back() -> None:
    back = {path.stem: against(path.stem, path.read_text()) for path in HOST.glob("*.py") if path.stem in ROOM}
    assert {module: others for module, others in back.items() if others} == {}


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("ours", "from keyswitch.host.update.job import ConfirmBy", ["job"]),
        ("upload", "from keyswitch.host.connect.endpoint import Connection", ["reach"]),
        ("reach", "def late():\n    from keyswitch.host import upload", ["upload"]),
        ("client", "from keyswitch.host.upload.window import Window", ["window"]),
        ("job", "from keyswitch.host.report.evidence_file import Journal", ["journal"]),
        ("job", "from keyswitch.host.update.steps import Step", []),
        ("way", "from keyswitch.host.connect.verdict import Verdict", []),
    ],
)
def test_an_arrow_that_runs_back_is_found(module: str, source: str, found: list[str]) -> None:
    assert against(module, source) == found
