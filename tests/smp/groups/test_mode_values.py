"""The state characteristic's nine bytes and the beacon's five."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.errors import RemoteError
from keyswitch.smp.groups.mode import Beacon, StateFlags, StateValue

TOKEN = bytes.fromhex("a1b2c3d4")


def test_state_layout():
    value = StateValue(mode_index=3, flags=StateFlags.GATE_OPEN | StateFlags.LEASED, lease_s=900, token=TOKEN)
    assert value.encode() == bytes.fromhex("01 03 03 8403 a1b2c3d4")
    assert StateValue.decode(value.encode() + b"later") == value


@pytest.mark.parametrize(
    "data", [bytes.fromhex("0103038403a1b2c3d4")[:size] for size in range(9)] + [b"\x02" + bytes(8)]
)
def test_state_that_says_nothing(data: bytes):
    with pytest.raises(RemoteError):
        StateValue.decode(data)


def test_state_flags_of_later_versions_are_passed_over():
    assert StateValue.decode(bytes.fromhex("0100ff0000a1b2c3d4")).flags == StateFlags(7)


@pytest.mark.parametrize(("lease_s", "told"), [(65_534, 65_534), (65_535, 65_535), (65_536, 65_535)])
def test_lease_is_told_up_to_the_fields_size(lease_s: int, told: int):
    value = StateValue(mode_index=256, flags=StateFlags(0), lease_s=lease_s, token=TOKEN)
    decoded = StateValue.decode(value.encode())
    assert (decoded.mode_index, decoded.lease_s) == (255, told)


@given(mode_index=st.integers(0, 15), token=st.binary(min_size=4, max_size=4))
def test_beacon_round_trip(mode_index: int, token: bytes):
    beacon = Beacon(mode_index=mode_index, token=token)
    assert len(beacon.encode()) == 5
    assert Beacon.decode(beacon.encode()) == beacon


def test_modes_above_15_share_an_index():
    assert Beacon(mode_index=40, token=TOKEN).encode() == b"\x1f" + TOKEN


@pytest.mark.parametrize("data", [b"", TOKEN, b"\x1f" + TOKEN + b"x", b"\x2f" + TOKEN, b"\x0f" + TOKEN])
def test_other_peoples_data_is_no_beacon(data: bytes):
    assert Beacon.decode(data) is None
