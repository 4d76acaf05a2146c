"""The example policy is found in a checkout and in a wheel."""

import tomllib
from pathlib import Path

import pytest

from keyswitch.policy import schema
from keyswitch.testing import example

ROOT = Path(__file__).parents[2]


def test_a_wheel_puts_each_file_where_it_is_looked_for() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    there = {ROOT / source: ROOT / "src" / target for source, target in wheel["force-include"].items()}
    assert there == {
        example._IN_CHECKOUT: Path(str(example._PACKAGED)),
        ROOT / "docs" / schema.SCHEMA_FILE: Path(schema.__file__).with_name(schema.SCHEMA_FILE),
    }


def test_the_packaged_one_is_taken_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = tmp_path / "pump.toml"
    monkeypatch.setattr(example, "_PACKAGED", packaged)
    assert example.example_policy() == example._IN_CHECKOUT.read_text("utf-8")
    packaged.write_text("packaged")
    assert example.example_policy() == "packaged"
