"""A device is the unit that its file says, whether the file describes the unit or holds its data."""

from pathlib import Path

import pytest

from keyswitch.device.process.process import unit_of
from keyswitch.errors import InputError
from keyswitch.policy.load import load
from keyswitch.policy.unit_data import UnitData, to_bytes, to_hex

POLICY = """schema = 1
[device]
name = "Unit"
id = "of the policy"
initial_mode = "work"
[modes.work]
allow = ["mode"]
[entry.challenge]
secret = "product.hmac"
"""
SECRET = bytes(range(32))


def secret(path: Path) -> None:
    path.write_text(SECRET.hex())
    path.chmod(0o600)


def test_both_kinds_of_file_give_the_same_unit(tmp_path: Path) -> None:
    policy = load(POLICY.encode(), origin="unit")
    described, data = tmp_path / "unit.toml", tmp_path / "unit.hex"
    described.write_text('[unit]\nid = "P-7"\nsecret = "p-7.hmac"\n')
    secret(tmp_path / "p-7.hmac")
    data.write_text(to_hex(to_bytes(UnitData(id="P-7", secret=SECRET)), 0xFE000))
    data.chmod(0o600)
    for path in (described, data):
        rules, found, issuers = unit_of(policy, path)
        assert (rules.device.id, found, issuers) == ("P-7", SECRET, ())
        assert rules.digest == policy.digest


def test_issuers_are_the_units_own(tmp_path: Path) -> None:
    data = tmp_path / "unit.bin"
    data.write_bytes(to_bytes(UnitData(id="P-7", secret=None, issuers=(b"\x11" * 32,))))
    data.chmod(0o600)
    _, found, issuers = unit_of(load(POLICY.encode(), origin="unit"), data)
    assert (found, issuers) == (None, (b"\x11" * 32,))


def test_damaged_data_is_no_unit(tmp_path: Path) -> None:
    data = tmp_path / "unit.bin"
    data.write_bytes(b"\xff" * 128)
    data.chmod(0o600)
    with pytest.raises(InputError, match="no unit's data, or damaged"):
        unit_of(load(POLICY.encode(), origin="unit"), data)
