"""The public face: its names, their types, what importing it costs, and the program of docs/api.md."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import keyswitch

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/keyswitch"
PAGE = ROOT / "docs/api.md"

NAMES = {
    "Device",
    "InputError",
    "KeyswitchError",
    "LinkLostError",
    "LocalError",
    "Outcome",
    "PairingNumbers",
    "RemoteError",
    "SilenceError",
    "UpdateRequest",
    "__version__",
    "check_policy",
    "load_policy",
    "running_device",
    "scan",
    "status",
    "update",
}
"""A name that leaves breaks the programs of others: take it out here only with a line in the changelog."""


def test_the_public_names_are_these() -> None:
    assert set(keyswitch.__all__) == NAMES
    assert set(dir(keyswitch)) >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    found = getattr(keyswitch, name)
    assert isinstance(found, str) or found.__doc__


def test_what_is_no_public_name_is_missed_as_in_every_module() -> None:
    with pytest.raises(AttributeError, match="module 'keyswitch' has no attribute 'updat'"):
        getattr(keyswitch, "updat")  # noqa: B009 - mypy knows as well that it is not there


def stub_names() -> dict[str, tuple[str, str]]:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text())
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_type_checkers_are_told_the_same() -> None:
    assert stub_names() == vars(keyswitch)["_HOMES"]
    assert stub_names().keys() == NAMES - {"__version__"}


def test_importing_it_costs_nothing() -> None:
    program = "import sys; before = set(sys.modules); import keyswitch; print(*(set(sys.modules) - before))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = {name.partition(".")[0] for name in said.split()}
    assert loaded - {"importlib", "warnings"} == {"keyswitch"}
    assert "keyswitch." not in said


def test_everything_public_stands_in_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert {name for name in NAMES if f"`{name}" not in text} == set()


def test_the_program_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    program, printed = re.findall(r"```(?:python|text)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[:2]
    assert len([line for line in program.splitlines() if line.strip()]) <= 14
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    run = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, printed), run.stderr
