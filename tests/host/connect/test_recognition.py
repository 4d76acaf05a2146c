import pytest

from keyswitch.host.connect.recognition import Wanted, token_of
from keyswitch.link.ports import Sighting
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode

TOKEN = b"\x01\x02\x03\x04"
KNOWN = Wanted(tokens=frozenset({TOKEN}))


def heard(token: bytes | None = TOKEN, *, services: frozenset[str] = frozenset(), connectable: bool = True) -> Sighting:
    manufacturer = None if token is None else (0xFFFF, b"\x10" + token)
    return Sighting(
        address="C0:00:00:00:00:01",
        name="Pump 7",
        services=services,
        manufacturer=manufacturer,
        connectable=connectable,
    )


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Wanted(name="Pump 7"), True),
        (Wanted(name="Pump 8"), False),
        (Wanted(), False),
        (Wanted(addresses=frozenset({"C0:00:00:00:00:01"})), True),
        (Wanted(tokens=frozenset({TOKEN})), True),
        (Wanted(tokens=frozenset({b"else"}), addresses=frozenset({"C0:00:00:00:00:01"})), True),
        (Wanted(name="Pump 7", tokens=frozenset({b"else"})), False),
        (Wanted(name="Pump 7", addresses=frozenset({"C0:00:00:00:00:02"})), False),
    ],
)
def test_what_tells_the_device_from_others(wanted: Wanted, *, matches: bool):
    assert wanted.matches(heard()) is matches


@pytest.mark.parametrize(
    ("sighting", "token"),
    [
        (heard(), TOKEN),
        (heard(token=None), None),
        (Sighting(address="", manufacturer=(0x59, b"\x01\x02")), None),
        (Sighting(address="", manufacturer=(0x59, b"\x20\x01\x02\x03\x04")), None),
    ],
)
def test_tokens(sighting: Sighting, token: bytes | None):
    assert token_of(sighting) == token


@pytest.mark.parametrize(
    ("services", "connectable", "believed"),
    [
        ({ble.SERVICE_UUID}, True, True),
        ({ble.SERVICE_UUID, mode.SERVICE_UUID}, True, True),
        ({mode.SERVICE_UUID}, True, False),
        (set[str](), True, False),
        ({ble.SERVICE_UUID}, False, False),
    ],
)
def test_after_entering_only_an_advertisement_with_the_smp_service_is_fresh(
    services: set[str], *, connectable: bool, believed: bool
):
    sighting = heard(services=frozenset(services), connectable=connectable)
    assert KNOWN.is_device(sighting, smp_shown=True) is believed
    assert KNOWN.is_device(sighting, smp_shown=False) is connectable
    assert not Wanted(tokens=frozenset({b"else"})).is_device(sighting, smp_shown=True)
