"""The advertisement, byte for byte."""

import pytest

from keyswitch.device.transport.advertising import MAX_DATA, advertisement
from keyswitch.link.peripheral import ADVERTISING_INTERVAL_MS, AWAITED_INTERVAL_MS
from keyswitch.smp.groups.mode import SLOWEST_ADVERTISING_MS, Beacon

BEACON = Beacon(mode_index=3, token=b"\x01\x02\x03\x04")


def test_every_byte_in_maintenance() -> None:
    made = advertisement(name="Pump 7", company_id=0xFFFF, beacon=BEACON, smp_shown=True)
    assert made.data.hex() == "020106110784aa6074528a8b86d34cb71d1ddc538d08ffffff1301020304"
    assert made.scan_response.hex() == "0709" + b"Pump 7".hex()


def test_outside_maintenance_the_mode_service_is_named() -> None:
    made = advertisement(name="Pump 7", company_id=0x0059, beacon=BEACON, smp_shown=False)
    assert made.data.hex() == "0201061107190831efe11aecbe37434d67dcaf252108ff59001301020304"


@pytest.mark.parametrize("length", [0, 1, 28, 29, 30, 100])
def test_a_name_is_complete_or_said_to_be_shortened(length: int) -> None:
    response = advertisement(name="n" * length, company_id=1, beacon=BEACON, smp_shown=True).scan_response
    assert len(response) <= MAX_DATA
    assert response[0] == len(response) - 1
    assert response[1] == (0x09 if length <= 29 else 0x08)
    assert response[2:] == b"n" * min(length, 29)


def test_a_name_is_never_cut_inside_a_character() -> None:
    response = advertisement(name="ü" * 20, company_id=1, beacon=BEACON, smp_shown=True).scan_response
    assert response[2:].decode() == "ü" * 14


@pytest.mark.parametrize(("awaited", "interval_ms"), [(True, AWAITED_INTERVAL_MS), (False, ADVERTISING_INTERVAL_MS)])
def test_who_is_awaited_finds_the_device_sooner_and_nobody_waits_longer_than_promised(
    *, awaited: bool, interval_ms: int
) -> None:
    made = advertisement(name="Pump 7", company_id=1, beacon=BEACON, smp_shown=True, awaited=awaited)
    assert made.interval_ms == interval_ms <= SLOWEST_ADVERTISING_MS
