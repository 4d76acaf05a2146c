"""The table as data, its attributes, and its hash."""

import dataclasses

import pytest

from keyswitch.errors import LocalError
from keyswitch.gatt.att import short_uuid, uuid_bytes, uuid_string
from keyswitch.gatt.database import AttributeKind, Database
from keyswitch.gatt.services import (
    battery_service,
    device_information_service,
    device_table,
    gap_service,
    gatt_service,
    mode_service,
    smp_service,
)
from keyswitch.gatt.table import Characteristic, GattService, GattTable, Property
from keyswitch.terms import Security

R, WWR, W, N, IND = Property


def service(uuid, handle, *characteristics: tuple[str, Property]):
    made = tuple(Characteristic(uuid=u, properties=p) for u, p in characteristics)
    return GattService(uuid=uuid, handle=handle, characteristics=made)


ZEPHYR = (
    service(short_uuid(0x1801), 1, (short_uuid(0x2A05), IND), (short_uuid(0x2B29), R | W), (short_uuid(0x2B2A), R)),
    service(short_uuid(0x1800), 9, (short_uuid(0x2A00), R), (short_uuid(0x2A01), R), (short_uuid(0x2A04), R)),
)
ZEPHYR_SMP = dataclasses.replace(smp_service(), handle=16)


def test_the_hash_of_a_known_table():
    assert Database(GattTable(services=ZEPHYR)).hash.hex() == "fb77e22d828a4b4d45c6c0321ecf57af"
    with_smp = Database(GattTable(services=(*ZEPHYR, ZEPHYR_SMP)))
    assert with_smp.hash.hex() == "067b39b89acd9a68a5335461ffd39342"


def test_our_first_services_stand_as_zephyrs_do():
    assert gatt_service() == ZEPHYR[0]
    ours, theirs = Database(GattTable(services=(gap_service("x"),))), Database(GattTable(services=ZEPHYR[1:]))
    assert ours.hash == theirs.hash


def test_handles_of_a_service_are_reserved():
    normal, maintenance = device_table("Pump 7", smp=False), device_table("Pump 7", smp=True)
    hidden = set(maintenance.services) - set(normal.services)
    assert {s.uuid for s in hidden} == {smp_service().uuid}
    for one in normal.services:
        assert one in maintenance.services
    assert Database(normal).hash != Database(maintenance).hash
    assert Database(normal).difference(Database(maintenance)) == (0x40, 0x43)
    assert Database(normal).difference(Database(normal)) is None
    assert Database(normal).at(0x42) is None


def test_no_two_services_of_ours_can_meet():
    information = device_information_service(manufacturer="m", model="p", firmware="1.0.0", serial="s")
    everything = GattTable(
        services=(gatt_service(), gap_service("x"), mode_service(), information, battery_service(), smp_service())
    )
    handles = [attribute.handle for attribute in Database(everything).attributes]
    assert handles == sorted(set(handles))
    starts = [one.handle for one in everything]
    assert all(one.end < after for one, after in zip(everything, [*starts[1:], 0x10000], strict=True))


@pytest.mark.parametrize(
    "handles",
    [(1, 1), (5, 4), (1, 3), (0, 10), (1, 0xFFFE), (1, 0x10000)],
    ids=lambda pair: f"{pair[0]:#x} {pair[1]:#x}",
)
def test_services_that_overlap_are_refused(handles):
    with pytest.raises(LocalError, match="does not follow"):
        GattTable(
            services=tuple(service(short_uuid(0x1800 + n), at, (short_uuid(1), R)) for n, at in enumerate(handles))
        )


def test_the_last_handle_can_be_used():
    table = GattTable(services=(service(short_uuid(1), 0xFFFD, (short_uuid(2), R)),))
    assert [a.handle for a in Database(table).attributes] == [0xFFFD, 0xFFFE, 0xFFFF]


def test_attributes_stand_in_the_order_of_the_specification():
    table = GattTable(services=(service(short_uuid(0x180F), 0x40, (short_uuid(0x2A19), R | N)),))
    assert [(a.handle, a.kind, a.value.hex()) for a in Database(table).attributes] == [
        (0x40, AttributeKind.SERVICE, "0f18"),
        (0x41, AttributeKind.DECLARATION, "124200192a"),
        (0x42, AttributeKind.VALUE, ""),
        (0x43, AttributeKind.CCC, ""),
    ]
    assert Database(table).value_handle(short_uuid(0x2A19)) == 0x42
    assert table.characteristic(short_uuid(0x2A19)).properties == R | N
    assert table.characteristic(short_uuid(0x2A1A)) is None


def test_uuids_there_and_back():
    long = "8d53dc1d-1db7-4cd3-868b-8a527460aa84"
    assert uuid_bytes(long).hex() == "84aa6074528a8b86d34cb71d1ddc538d"
    assert uuid_string(uuid_bytes(long)) == long
    assert uuid_bytes(short_uuid(0x2902)) == b"\x02\x29"
    assert uuid_string(b"\x02\x29") == short_uuid(0x2902)
    assert uuid_string(bytes.fromhex("02290000")) == short_uuid(0x2902)
    for size in (0, 1, 3, 15, 17):
        with pytest.raises(ValueError, match=f"UUID of {size} bytes"):
            uuid_string(bytes(size))


def test_security_is_asked_where_it_is_wanted():
    table = device_table("x", smp=True, smp_security=Security.AUTHENTICATED, mode_security=Security.ENCRYPTED)
    wanted = {c.uuid: c.security for one in table for c in one.characteristics if c.security}
    assert set(wanted.values()) == {Security.AUTHENTICATED, Security.ENCRYPTED}
    assert len(wanted) == 2
