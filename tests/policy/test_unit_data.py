"""A unit's data: one form, nothing of a damaged one believed; the HEX file read back by another reader of it."""

import io
from pathlib import Path

import pytest

from keyswitch.errors import InputError
from keyswitch.mcuboot.intel_hex import read_hex
from keyswitch.policy.unit_data import MAX_ISSUERS, UnitData, from_bytes, read_unit_data, to_bytes, to_hex

SECRET, ISSUERS = bytes(range(32)), (b"\x11" * 32, b"\x22" * 32)
UNIT = UnitData(id="P-0007 é", secret=SECRET, issuers=ISSUERS)


def records(text: str) -> dict[int, int]:
    """An Intel HEX file's bytes by their address, read by nothing of ours."""
    found: dict[int, int] = {}
    base = 0
    lines = text.splitlines()
    for line in lines:
        record = bytes.fromhex(line.removeprefix(":"))
        size, address, kind, data = record[0], int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        assert sum(record) % 256 == 0
        assert size == len(data) <= 16
        if kind == 4:
            base = int.from_bytes(data, "big") << 16
        for place, byte in enumerate(data if kind == 0 else b""):
            assert base + address + place not in found
            found[base + address + place] = byte
    assert lines[-1] == ":00000001FF"
    return found


def test_the_bytes_of_a_unit() -> None:
    data = to_bytes(UNIT)
    name = "P-0007 é".encode()
    assert data[:10] == b"KSUN\x01\x01" + len(data).to_bytes(2, "little") + bytes([len(name), 2])
    assert data[10:-4] == name + b"\0" + SECRET + b"".join(ISSUERS)
    assert from_bytes(data) == from_bytes(data + b"\xff" * 9) == UNIT


@pytest.mark.parametrize("unit", [UNIT, UnitData(id="u", secret=None), UnitData(id="x" * 64, secret=SECRET)])
@pytest.mark.parametrize("address", [0, 0xFFF8, 0xFE000, 2**32 - 300])
def test_a_hex_file_says_the_same_to_another_reader(unit: UnitData, address: int) -> None:
    data = to_bytes(unit)
    text = to_hex(data, address)
    assert records(text) == {address + place: byte for place, byte in enumerate(data)}
    assert read_hex("hex", io.BytesIO(text.encode()), 2**20).data == data


def test_nothing_of_a_damaged_one_is_believed() -> None:
    data = to_bytes(UNIT)
    for place in range(len(data)):
        assert from_bytes(data[:place]) is None
        assert from_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]) is None
    assert from_bytes(b"\xff" * 256) is None


def test_no_secret_is_shown() -> None:
    assert "secret" not in repr(UNIT)


def test_what_is_no_unit_is_not_written() -> None:
    with pytest.raises(InputError, match="at most 16 for one unit"):
        to_bytes(UnitData(id="u", secret=None, issuers=(b"\0" * 32,) * (MAX_ISSUERS + 1)))
    with pytest.raises(InputError, match="id"):
        to_bytes(UnitData(id="x" * 65, secret=None))
    for address in (-1, 2**32 - 10):
        with pytest.raises(InputError, match="no room for a unit"):
            to_hex(to_bytes(UNIT), address)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "unit.hex"
    path.write_text(to_hex(to_bytes(UNIT), 0xFE000))
    path.chmod(0o644)
    with pytest.raises(InputError, match="others can read it"):
        read_unit_data(path)
    path.chmod(0o600)
    assert read_unit_data(path) == UNIT
    path.write_text(to_hex(to_bytes(UNIT)[:-1] + b"\0", 0xFE000))
    with pytest.raises(InputError, match="no unit's data, or damaged"):
        read_unit_data(path)
