"""The architecture is checked, and the check can fail: every rule is broken once, in a copy, and must be reported."""

import itertools
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]

LAYERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]

UPWARD = [
    (low.split(" | ")[0], high.split(" | ")[0])
    for high, low in itertools.pairwise(LAYERS)
    if high.split(" | ")[0] != "__main__" and low.split(" | ")[0] not in {"errors", "exits"}
]
"""One import against the direction for each pair of neighbouring layers."""

SIDEWAYS = [
    ("host", "device"),
    ("device", "host"),
    ("testing", "replay"),
    ("mcuboot", "smp"),
    ("proof", "evidence"),
    ("timing", "mcuboot"),
]

FORBIDDEN = [
    ("host", "keyswitch.gate.planted", "host works with devices that are not ours"),
    ("host", "keyswitch.gatt.planted", "host works with devices that are not ours"),
    ("host", "keyswitch.prove.planted", "host works with devices that are not ours"),
    *(
        ("app", f"keyswitch.{inside}.planted", "app knows no device from inside")
        for inside in ("device", "gate", "gatt", "prove")
    ),
    ("host/smp", "keyswitch.host.connect.planted", "inside the operator imports point down"),
    ("host/connect", "keyswitch.host.upload.planted", "inside the operator imports point down"),
    ("host/upload", "keyswitch.host.access.planted", "inside the operator imports point down"),
    ("host/access", "keyswitch.host.update.planted", "inside the operator imports point down"),
    ("host/update", "keyswitch.host.report.planted", "inside the operator imports point down"),
    ("audit", "keyswitch.device.planted", "audit judges from outside"),
    ("audit", "keyswitch.gate.planted", "audit judges from outside"),
    ("audit", "keyswitch.gatt.planted", "audit judges from outside"),
    ("audit", "keyswitch.prove.planted", "audit judges from outside"),
    ("link", "keyswitch.policy.planted", "link carries bytes and knows no rules"),
    ("link", "keyswitch.gate.planted", "link carries bytes and knows no rules"),
    ("link", "keyswitch.prove.planted", "link carries bytes and knows no rules"),
    ("link", "keyswitch.mcuboot.planted", "link carries bytes and knows no rules"),
    ("link", "keyswitch.evidence.planted", "link carries bytes and knows no rules"),
    ("device", "bumble.device", "Bumble stays behind link.bumble and link.air"),
    ("host", "bleak", "bleak stays behind link.bleak"),
    ("device", "click", "click and rich stay in cli and demo"),
    ("host", "rich", "click and rich stay in cli and demo"),
    ("campaign", "dbos", "the durable engine stays behind campaign.engine"),
    ("cli", "sqlalchemy", "the durable engine stays behind campaign.engine"),
]


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", tree / "pyproject.toml"]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "COLUMNS": "200"}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def copy_of_the_tree(to: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", to)
    shutil.copytree(ROOT / "src", to / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return to


def plant(tree: Path, package: str, imported: str) -> str:
    """Add a module to `package` that imports `imported`; returns the new module's name."""
    room = "/".join(imported.split(".")[1:-1]) if imported.startswith("keyswitch.") else package
    for name in (package, room):
        if not (tree / "src/keyswitch" / name).is_dir():
            continue
        (tree / "src/keyswitch" / name / "planted.py").touch()
    module = f"planted_{imported.replace('.', '_')}"
    (tree / "src/keyswitch" / package / f"{module}.py").write_text(f"import {imported}\n")
    return f"keyswitch.{package.replace('/', '.')}.{module}"


def test_the_tree_keeps_every_rule(tmp_path: Path) -> None:
    result = lint(copy_of_the_tree(tmp_path))
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


def test_every_rule_can_be_broken(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    planted = [
        (plant(tree, low, f"keyswitch.{high}.planted"), f"keyswitch.{high}.planted") for low, high in UPWARD + SIDEWAYS
    ]
    planted += [
        (plant(tree, package, imported), imported.split(".")[0] if "keyswitch" not in imported else imported)
        for package, imported, _ in FORBIDDEN
    ]
    result = lint(tree)
    assert result.returncode != 0
    reported = result.stdout
    for module, imported in planted:
        assert f"{module} -> {imported}" in reported, f"{module} imports {imported} and nobody says so"
    for rule in {"imports point down", *(name for *_, name in FORBIDDEN)}:
        assert f"{rule} BROKEN" in reported


def test_a_module_without_a_layer_is_refused(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    (tree / "src/keyswitch/helpers.py").touch()
    result = lint(tree)
    assert result.returncode != 0
    assert "helpers" in result.stdout


def test_every_module_of_the_operator_has_a_room() -> None:
    assert [path.name for path in (ROOT / "src/keyswitch/host").glob("*.py")] == ["__init__.py"]
