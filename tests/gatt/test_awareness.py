"""A table that changes while people look at it: what each kind of client is told, and what becomes of what it sends.

Each row that the specification demands, and each fault that stacks in the field are known for, as a test that we do
not have it (Core spec Vol 3 Part G 2.5.2, 7.1).
"""

import struct

import pytest
from tests.gatt.clients import (
    FEATURES_VALUE,
    HASH_VALUE,
    NAME_VALUE,
    OUT_OF_SYNC,
    SERVICE_CHANGED_CCC,
    SMP,
    SMP_CCC,
    SMP_VALUE,
    STATE_CCC,
    STATE_VALUE,
    Client,
    error,
    maintenance,
    normal,
)

from keyswitch.gatt.att import AttOpcode
from keyswitch.gatt.client_state import ClientRecord
from keyswitch.gatt.database import Database
from keyswitch.gatt.server import GattServer, Held
from keyswitch.gatt.services import battery_service, device_table
from keyswitch.smp.groups import mode
from keyswitch.terms import Security

SMP_RANGE = (0x40, 0x43)


def unaware(server=None):
    """A client that caches robustly and has missed that the SMP service has come."""
    server = server or GattServer(normal())
    one = Client(server)
    one.cache_robustly()
    one.take(server.change(maintenance()))
    return one


def change(server, table, *clients: Client):
    outputs = server.change(table)
    for one in clients:
        one.take(outputs)


def test_service_changed_goes_to_whoever_subscribed_and_to_nobody_else():
    server = GattServer(normal())
    watching, silent = Client(server, 1), Client(server, 2)
    watching.watch()
    change(server, maintenance(), watching, silent)
    assert watching.told == [SMP_RANGE]
    assert silent.told == []
    watching.confirm()
    change(server, normal(), watching, silent)
    assert watching.told == [SMP_RANGE, SMP_RANGE]


def test_the_pdu_of_service_changed():
    server = GattServer(normal())
    Client(server).watch()
    (sent,) = server.change(maintenance())
    assert sent.pdu.hex() == "1d0300" + "40004300"


def test_a_table_that_is_the_same_changes_nothing():
    server = GattServer(normal())
    one = Client(server)
    one.watch()
    one.cache_robustly()
    change(server, normal(), one)
    assert one.told == []
    assert one.read(NAME_VALUE)[0] == AttOpcode.READ_RSP


def test_one_indication_at_a_time_and_the_range_around_all():
    server = GattServer(normal())
    one = Client(server)
    one.watch()
    change(server, maintenance(), one)
    change(server, device_table("Pump 7", smp=True, extra=(battery_service(),)), one)
    change(server, device_table("Pump 7", smp=False, extra=(battery_service(),)), one)
    assert one.told == [SMP_RANGE]
    one.confirm()
    assert one.told == [SMP_RANGE, (0x30, 0x43)]
    one.confirm()
    one.confirm()
    assert len(one.told) == 2


def test_the_hash_follows_the_table_at_once_and_comes_back():
    server = GattServer(normal())
    one = Client(server)
    first = one.read(HASH_VALUE)
    change(server, maintenance(), one)
    assert one.read(HASH_VALUE) != first
    assert one.read(HASH_VALUE)[1:] == Database(maintenance()).hash
    change(server, normal(), one)
    assert one.read(HASH_VALUE) == first


REQUESTS = {
    "read": struct.pack("<BH", AttOpcode.READ_REQ, NAME_VALUE),
    "read the hash by handle": struct.pack("<BH", AttOpcode.READ_REQ, HASH_VALUE),
    "read blob": struct.pack("<BHH", AttOpcode.READ_BLOB_REQ, NAME_VALUE, 0),
    "read multiple": struct.pack("<BHH", AttOpcode.READ_MULTIPLE_REQ, NAME_VALUE, NAME_VALUE),
    "read multiple variable": struct.pack("<BHH", AttOpcode.READ_MULTIPLE_VARIABLE_REQ, NAME_VALUE, NAME_VALUE),
    "write": struct.pack("<BHH", AttOpcode.WRITE_REQ, STATE_CCC, 1),
    "prepare write": struct.pack("<BHH", AttOpcode.PREPARE_WRITE_REQ, SMP_VALUE, 0),
    "read by type in a range": struct.pack("<BHHH", AttOpcode.READ_BY_TYPE_REQ, 1, 0x50, 0x2A00),
}
FREE = {
    "services": struct.pack("<BHHH", AttOpcode.READ_BY_GROUP_TYPE_REQ, 1, 0xFFFF, 0x2800),
    "a service": struct.pack("<BHHHH", AttOpcode.FIND_BY_TYPE_VALUE_REQ, 1, 0xFFFF, 0x2800, 0x1800),
    "characteristics": struct.pack("<BHHH", AttOpcode.READ_BY_TYPE_REQ, 0x40, 0x43, 0x2803),
    "descriptors": struct.pack("<BHH", AttOpcode.FIND_INFORMATION_REQ, 0x43, 0x43),
    "mtu": struct.pack("<BH", AttOpcode.EXCHANGE_MTU_REQ, 247),
    "hash by type": struct.pack("<BHHH", AttOpcode.READ_BY_TYPE_REQ, 1, 0xFFFF, 0x2B2A),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_names_a_handle_is_out_of_sync_once(name):
    one = unaware()
    assert one.ask(REQUESTS[name]) == OUT_OF_SYNC[REQUESTS[name][0]]
    assert one.ask(REQUESTS[name]) != OUT_OF_SYNC[REQUESTS[name][0]]
    one.command(SMP_VALUE, b"frame")
    assert one.written() == [b"frame"]


@pytest.mark.parametrize("name", FREE)
def test_discovery_is_answered_and_makes_nobody_aware(name):
    one = unaware()
    for _ in range(3 if name != "hash by type" else 1):
        assert one.ask(FREE[name])[0] != AttOpcode.ERROR_RSP
    one.command(SMP_VALUE, b"frame")
    assert one.written() == []


def test_aware_by_confirming_service_changed():
    server = GattServer(normal())
    one = Client(server)
    one.watch()
    one.cache_robustly()
    change(server, maintenance(), one)
    one.command(SMP_VALUE, b"early")
    one.confirm()
    one.command(SMP_VALUE, b"frame")
    assert one.written() == [b"frame"]
    assert one.read(NAME_VALUE)[0] == AttOpcode.READ_RSP


def test_not_aware_by_confirming_what_was_said_before_the_last_change():
    server = GattServer(normal())
    one = Client(server)
    one.watch()
    one.cache_robustly()
    change(server, maintenance(), one)
    change(server, device_table("Pump 7", smp=True, extra=(battery_service(),)), one)
    one.confirm()
    one.command(SMP_VALUE, b"early")
    assert one.written() == []
    one.confirm()
    one.command(SMP_VALUE, b"frame")
    assert one.written() == [b"frame"]


def test_a_confirmation_that_nobody_asked_for_makes_nobody_aware():
    one = unaware()
    one.confirm()
    one.command(SMP_VALUE, b"frame")
    assert one.written() == []


def test_aware_by_reading_the_hash_and_one_more_request():
    one = unaware()
    assert one.read_hash_by_type()[0] == AttOpcode.READ_BY_TYPE_RSP
    one.command(SMP_VALUE, b"early")
    assert one.written() == []
    assert one.write(SMP_CCC, b"\x01\x00") == b"\x13"
    one.command(SMP_VALUE, b"frame")
    assert one.written() == [b"frame"]


def test_a_hash_read_before_the_change_counts_for_nothing():
    server = GattServer(normal())
    one = Client(server)
    one.cache_robustly()
    one.read_hash_by_type()
    change(server, maintenance(), one)
    assert one.read(NAME_VALUE) == OUT_OF_SYNC[AttOpcode.READ_REQ]


def test_ignored_commands_do_not_use_up_the_error():
    """Elsewhere the first ignored command silences the error too, and the client never learns why nobody answers."""
    one = unaware()
    for _ in range(5):
        assert one.command(SMP_VALUE, b"frame") is None
    assert one.written() == []
    assert one.read(NAME_VALUE) == OUT_OF_SYNC[AttOpcode.READ_REQ]


def test_each_change_is_told_again():
    server = GattServer(normal())
    one = Client(server)
    one.cache_robustly()
    for table in (maintenance(), normal(), maintenance()):
        change(server, table, one)
        assert one.read(NAME_VALUE) == OUT_OF_SYNC[AttOpcode.READ_REQ]
        assert one.read(NAME_VALUE)[0] == AttOpcode.READ_RSP


def test_an_unaware_client_gets_no_notification_until_it_is_aware():
    server = GattServer(normal())
    one = Client(server)
    one.write(STATE_CCC, b"\x01\x00")
    one.cache_robustly()
    change(server, maintenance(), one)
    assert server.notify(1, mode.STATE_UUID, b"x") == Held()
    one.read(NAME_VALUE)
    one.read(NAME_VALUE)
    assert server.notify(1, mode.STATE_UUID, b"x") == struct.pack("<BH", 0x1B, STATE_VALUE) + b"x"


def test_a_client_that_does_not_cache_robustly_loses_nothing():
    server = GattServer(maintenance())
    one = Client(server)
    one.write(SMP_CCC, b"\x01\x00")
    change(server, device_table("Pump 7", smp=True, extra=(battery_service(),)), one)
    one.command(SMP_VALUE, b"frame")
    assert one.written() == [b"frame"]
    assert server.notify(1, SMP, b"answer") is not None


def test_a_stale_handle_meets_nobody_else():
    """Elsewhere another service takes the handles, and a stale write lands in it."""
    server = GattServer(maintenance())
    one = Client(server)
    change(server, device_table("Pump 7", smp=False, extra=(battery_service(),)), one)
    assert one.command(SMP_VALUE, b"frame") is None
    assert one.write(SMP_VALUE, b"frame") == error(AttOpcode.WRITE_REQ, SMP_VALUE, 0x01)
    assert one.read(SMP_VALUE) == error(AttOpcode.READ_REQ, SMP_VALUE, 0x01)
    assert one.write(SMP_CCC, b"\x01\x00") == error(AttOpcode.WRITE_REQ, SMP_CCC, 0x01)
    assert one.events == []


def test_a_subscription_outlives_the_service_being_away():
    """Elsewhere the configuration is 0 again: commands run and are not answered."""
    server = GattServer(maintenance())
    one = Client(server)
    one.write(SMP_CCC, b"\x01\x00")
    change(server, normal(), one)
    assert server.notify(1, SMP, b"x") is None
    change(server, maintenance(), one)
    assert one.read(SMP_CCC) == b"\x0b\x01\x00"
    assert server.notify(1, SMP, b"x") == b"\x1b\x42\x00x"


# --- bonded clients ---


def reconnect(server, record, connection=2):
    one = Client(server, connection, has_key=True)
    return one, server.secured(connection, Security.ENCRYPTED, record)


def bonded(server, *, watch=False, robust=False):
    one = Client(server)
    one.take(server.secured(1, Security.ENCRYPTED))
    server.bond(1)
    if watch:
        one.watch()
    if robust:
        one.cache_robustly()
    one.write(STATE_CCC, b"\x01\x00")
    return one


@pytest.mark.parametrize("watch", [False, True])
@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("changed", [False, True])
def test_what_a_bonded_client_finds_when_it_comes_back(watch, robust, changed):
    server = GattServer(normal())
    bonded(server, watch=watch, robust=robust)
    record = server.record(1)
    server.disconnect(1)
    if changed:
        server.change(maintenance())
    one, outputs = reconnect(server, record)
    assert one.read(STATE_CCC) == (OUT_OF_SYNC[AttOpcode.READ_REQ] if changed and robust else b"\x0b\x01\x00")
    one.take(outputs)
    assert one.told == ([(1, 0xFFFF)] if changed and watch else [])


def test_nothing_is_owed_before_the_link_is_encrypted():
    """Elsewhere the indication goes out before, to whoever has taken the address."""
    server = GattServer(normal())
    bonded(server, watch=True, robust=True)
    record = server.record(1)
    server.disconnect(1)
    server.change(maintenance())
    one = Client(server, 2, has_key=True)
    assert one.read(NAME_VALUE)[0] == AttOpcode.READ_RSP
    assert one.read(SERVICE_CHANGED_CCC) == b"\x0b\x00\x00"
    assert one.told == []
    one.take(server.secured(2, Security.ENCRYPTED, record))
    assert one.told == [(1, 0xFFFF)]


def test_what_was_not_confirmed_is_sent_again_and_what_was_is_not():
    server = GattServer(normal())
    first = bonded(server, watch=True)
    change(server, maintenance(), first)
    assert first.told == [SMP_RANGE]
    record = server.record(1)
    assert record == ClientRecord(features=0, ccc=((4, 2), (0x16, 1)), known_hash=b"", owed=SMP_RANGE)
    server.disconnect(1)
    second, outputs = reconnect(server, record)
    second.take(outputs)
    assert second.told == [SMP_RANGE]
    second.confirm()
    record = server.record(2)
    assert record.owed is None
    server.disconnect(2)
    third, outputs = reconnect(server, record, 3)
    third.take(outputs)
    assert third.told == []


def test_a_table_that_has_come_back_is_no_change():
    server = GattServer(normal())
    bonded(server, watch=True, robust=True)
    record = server.record(1)
    server.disconnect(1)
    server.change(maintenance())
    server.change(normal())
    one, outputs = reconnect(server, record)
    one.take(outputs)
    assert one.told == []
    assert one.read(NAME_VALUE)[0] == AttOpcode.READ_RSP


def test_an_unaware_client_stays_unaware_across_a_reconnect():
    server = GattServer(normal())
    one = bonded(server, robust=True)
    change(server, maintenance(), one)
    record = server.record(1)
    server.disconnect(1)
    again, outputs = reconnect(server, record)
    again.take(outputs)
    again.command(SMP_VALUE, b"frame")
    assert again.written() == []
    assert again.read(FEATURES_VALUE) == OUT_OF_SYNC[AttOpcode.READ_REQ]


def test_clients_without_a_bond_are_forgotten():
    server = GattServer(normal())
    one = Client(server)
    one.watch()
    assert server.record(1) is None
    server.disconnect(1)
    assert server.record(1) is None
    assert server.receive(1, b"\x0a\x03\x00") == []
