"""Units: one policy, many identities; from a file of one, or an inventory."""

from pathlib import Path

import pytest
from tests.policy.samples import pump

from keyswitch.errors import InputError
from keyswitch.policy.units import Unit, only_unit, read_unit, read_units, with_unit

CSV = "id,serial,secret\nP-1,SN 1,keys/1.hmac\nP-2,,\n"
TOML = """
[[unit]]
id = "P-1"
serial = "SN 1"
secret = "keys/1.hmac"
[[unit]]
id = "P-2"
"""


def written(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"), [("u.toml", TOML), ("u.csv", CSV), ("u.CSV", "\ufeff" + CSV.replace("\n", "\r\n") + "\r\n")]
)
def test_an_inventory_names_its_units_in_either_form(tmp_path: Path, name: str, text: str) -> None:
    path = written(tmp_path, name, text)
    one, two = Unit(id="P-1", serial="SN 1", secret=tmp_path / "keys/1.hmac"), Unit(id="P-2")
    assert read_units(path) == {"P-1": one, "P-2": two}
    assert read_unit(path, "P-1") == one
    with pytest.raises(InputError, match="2 units"):
        read_unit(path)
    with pytest.raises(InputError, match="2 units"):
        only_unit(path)
    with pytest.raises(InputError, match=r"has no unit 'P-3'.*did you mean"):
        read_unit(path, "P-3")


def test_a_file_of_one_unit_needs_no_choice(tmp_path: Path) -> None:
    path = written(tmp_path, "unit.toml", '[unit]\nid = "P-1"\n')
    assert read_unit(path) == read_unit(path, "P-1") == only_unit(path) == Unit(id="P-1")


def test_a_unit_changes_who_it_is_and_no_rule() -> None:
    policy = pump()
    unit = with_unit(policy, Unit(id="P-1", secret=Path("1.hmac")))
    assert unit.device.id == "P-1"
    assert unit.entry.challenge is not None
    assert unit.entry.challenge.secret == Path("1.hmac")
    assert (unit.digest, unit.modes, unit.device.name) == (policy.digest, policy.modes, policy.device.name)
    kept = with_unit(policy, Unit(id="P-2"))
    assert kept.entry == policy.entry


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("u.toml", "", "unit.id: missing"),
        ("u.toml", "[units]\nid = 'a'", "units: unknown key"),
        ("u.toml", "unit = 3", "unit: 3 is not allowed"),
        ("u.toml", "unit = []", "0 units"),
        ("u.toml", "[unit]\nid = 'a'\nname = 'b'", "unit.name: unknown key"),
        ("u.toml", "[[unit]]\nid = 'a'\n[[unit]]\nid = 'a'", r"unit\[1\].id: 'a' is there twice"),
        ("u.toml", "[[unit]]\nid = 'a'\n[[unit]]\nserial = 'a'", r"unit\[1\].id: missing"),
        ("u.csv", "", "no line that names the columns"),
        ("u.csv", "id,serial\n", "0 units"),
        ("u.csv", "id,colour\na,red\n", "line 2.colour: unknown key"),
        ("u.csv", "serial\n7\n", "line 2.id: missing"),
        ("u.csv", "id\na,b\n", "line 2: 2 cells"),
        ("u.csv", "id\na\na\n", "line 3.id: 'a' is there twice"),
        ("u.csv", 'id\n"a', "not CSV"),
    ],
)
def test_what_is_no_inventory(tmp_path: Path, name: str, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_units(written(tmp_path, name, text))
