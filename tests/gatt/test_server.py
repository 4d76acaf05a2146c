"""The ATT server: every request is answered, and nobody does what he may not."""

import itertools
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gatt.clients import (
    CONTROL_CCC,
    CONTROL_VALUE,
    FEATURES_VALUE,
    HASH_VALUE,
    NAME_VALUE,
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

from keyswitch.errors import LocalError
from keyswitch.gatt.att import MAX_MTU, AttOpcode
from keyswitch.gatt.database import AttributeKind, Database
from keyswitch.gatt.server import GattServer, Subscribed
from keyswitch.gatt.table import Property
from keyswitch.smp.groups import mode
from keyswitch.terms import Security

REQUESTS = [op for op in range(0, 0x40, 2) if op != AttOpcode.CONFIRMATION]


def client(table=None):
    return Client(GattServer(table or maintenance()))


def test_discovery_as_a_client_sees_it():
    one = client()
    services = one.ask(struct.pack("<BHHH", AttOpcode.READ_BY_GROUP_TYPE_REQ, 1, 0xFFFF, 0x2800))
    assert services.hex() == "1106" + "010008000118" + "09000f000018"  # 16-bit services first, in one response
    services = one.ask(struct.pack("<BHHH", AttOpcode.READ_BY_GROUP_TYPE_REQ, 0x10, 0xFFFF, 0x2800))
    assert services[1] == 20
    assert services[2:6].hex() == "10001600"
    one.ask(struct.pack("<BH", AttOpcode.EXCHANGE_MTU_REQ, 247))
    services = one.ask(struct.pack("<BHHH", AttOpcode.READ_BY_GROUP_TYPE_REQ, 0x10, 0xFFFF, 0x2800))
    assert len(services) == 2 + 2 * 20
    characteristic = one.ask(struct.pack("<BHHH", AttOpcode.READ_BY_TYPE_REQ, 0x40, 0x43, 0x2803))
    assert characteristic.hex() == "0915" + "410014" + "4200" + "487c997411269eae014ecefb28782eda"
    assert one.ask(struct.pack("<BHH", AttOpcode.FIND_INFORMATION_REQ, 0x43, 0x43)).hex() == "0501" + "43000229"
    found = one.ask(struct.pack("<BHHH", AttOpcode.FIND_BY_TYPE_VALUE_REQ, 1, 0xFFFF, 0x2800) + b"\x00\x18")
    assert found.hex() == "07" + "09000f00"


def test_an_mtu_is_agreed_on_once():
    one = client()
    assert one.ask(struct.pack("<BH", AttOpcode.EXCHANGE_MTU_REQ, 185)) == struct.pack("<BH", 3, MAX_MTU)
    assert one.server.mtu(1) == 185
    one.ask(struct.pack("<BH", AttOpcode.EXCHANGE_MTU_REQ, 517))
    assert one.server.mtu(1) == 185
    assert client().server.mtu(7) == 23


@pytest.mark.parametrize(
    ("asked", "agreed"), [(0, 23), (22, 23), (23, 23), (24, 24), (514, 514), (515, 515), (517, 515)]
)
def test_mtu_limits(asked, agreed):
    one = client()
    one.ask(struct.pack("<BH", AttOpcode.EXCHANGE_MTU_REQ, asked))
    assert one.server.mtu(1) == agreed


def test_values_longer_than_a_response_are_read_in_parts():
    one = client()
    one.server.set_value(mode.STATE_UUID, bytes(range(100)))
    assert one.read(STATE_VALUE) == b"\x0b" + bytes(range(22))
    parts = [
        one.ask(struct.pack("<BHH", AttOpcode.READ_BLOB_REQ, STATE_VALUE, at))[1:] for at in (0, 22, 44, 66, 88, 100)
    ]
    assert b"".join(parts) == bytes(range(100))
    assert one.ask(struct.pack("<BHH", AttOpcode.READ_BLOB_REQ, STATE_VALUE, 101)) == error(0x0C, STATE_VALUE, 0x07)


def test_several_values_at_once():
    one = client()
    handles = struct.pack("<HH", NAME_VALUE, NAME_VALUE)
    assert one.ask(bytes((AttOpcode.READ_MULTIPLE_REQ,)) + handles) == b"\x0fPump 7Pump 7"
    assert one.ask(bytes((AttOpcode.READ_MULTIPLE_VARIABLE_REQ,)) + handles) == b"\x21\x06\x00Pump 7\x06\x00Pump 7"
    assert one.ask(bytes((AttOpcode.READ_MULTIPLE_REQ,)) + handles[:2]) == error(0x0E, 0, 0x04)
    assert one.ask(bytes((AttOpcode.READ_MULTIPLE_REQ,)) + handles[:3]) == error(0x0E, 0, 0x04)
    hidden = struct.pack("<HH", NAME_VALUE, SMP_VALUE)
    assert one.ask(bytes((AttOpcode.READ_MULTIPLE_REQ,)) + hidden) == error(0x0E, SMP_VALUE, 0x02)


@pytest.mark.parametrize("handle", [a.handle for a in Database(maintenance()).attributes])
@pytest.mark.parametrize("how", ["read", "write", "command"])
def test_every_attribute_in_every_way(handle, how):
    """Only what properties allow has any effect; a declaration cannot be written by anybody."""
    one = client()
    attribute = Database(maintenance()).at(handle)
    properties = attribute.characteristic.properties if attribute.characteristic else Property(0)
    is_value, is_ccc = attribute.kind is AttributeKind.VALUE, attribute.kind is AttributeKind.CCC
    before = one.server.table
    if how == "read":
        allowed = not is_value or properties & Property.READ
        answer = one.read(handle)
        assert (answer[0] == AttOpcode.READ_RSP) if allowed else (answer == error(0x0A, handle, 0x02))
    elif how == "write":
        value = b"\x01" if handle == FEATURES_VALUE else struct.pack("<H", 1 if properties & Property.NOTIFY else 2)
        allowed = is_ccc or (is_value and properties & Property.WRITE)
        assert one.write(handle, value) == (b"\x13" if allowed else error(0x12, handle, 0x03))
    else:
        assert one.command(handle, b"\x00\x00") is None
        allowed = is_value and properties & Property.WRITE_WITHOUT_RESPONSE
        assert one.written() == ([b"\x00\x00"] if allowed else [])
    assert one.server.table is before
    assert Database(one.server.table).hash == Database(maintenance()).hash


@pytest.mark.parametrize("op", REQUESTS)
def test_every_request_of_every_length_is_answered_once(op):
    for size in range(24):
        answer = client().ask(bytes((op,)) + bytes(size))
        assert answer is not None, size
        assert answer[0] in (op + 1, AttOpcode.ERROR_RSP), size
        if answer[0] == AttOpcode.ERROR_RSP:
            assert answer[1] == op, size


@pytest.mark.parametrize("size", [0, 1, 2, 3, 14, 600])
def test_commands_responses_and_nonsense_are_never_answered(size):
    for op in (op for op in range(256) if op & 0x40 or op & 1 or op == AttOpcode.CONFIRMATION):
        one = client()
        assert one.ask(bytes((op,)) + bytes(size)) is None, op
        assert one.ask(b"") is None, op


@pytest.mark.parametrize(
    ("op", "tail"),
    [
        (AttOpcode.FIND_INFORMATION_REQ, b""),
        (AttOpcode.FIND_BY_TYPE_VALUE_REQ, b"\x00\x28\x00\x18"),
        (AttOpcode.READ_BY_TYPE_REQ, b"\x03\x28"),
        (AttOpcode.READ_BY_GROUP_TYPE_REQ, b"\x00\x28"),
    ],
)
def test_ranges(op, tail):
    for first, last in itertools.product((0, 1, 0x44, 0x50, 0xFFFF), (0, 1, 0x44, 0xFFFF)):
        answer = client().ask(struct.pack("<BHH", op, first, last) + tail)
        if not 0 < first <= last:
            assert answer == error(op, first, 0x01), (first, last)
        elif first in (0x44, 0x50, 0xFFFF):
            assert answer == error(op, first, 0x0A), (first, last)
        else:
            assert answer[0] in (op + 1, AttOpcode.ERROR_RSP), (first, last)


def test_groups_are_services_only():
    one = client()
    assert one.ask(struct.pack("<BHHH", AttOpcode.READ_BY_GROUP_TYPE_REQ, 1, 9, 0x2803)) == error(0x10, 1, 0x10)
    assert one.ask(struct.pack("<BHHH", AttOpcode.READ_BY_GROUP_TYPE_REQ, 1, 9, 0x2801)) == error(0x10, 1, 0x0A)


@pytest.mark.parametrize(("size", "accepted"), [(511, True), (512, True), (513, False)])
def test_the_longest_value(size, accepted):
    one = client()
    one.command(SMP_VALUE, bytes(size))
    assert one.written() == ([bytes(size)] if accepted else [])


def test_long_writes_are_refused_cleanly():
    one = client()
    prepare = struct.pack("<BHH", AttOpcode.PREPARE_WRITE_REQ, SMP_VALUE, 0) + b"part"
    assert one.ask(prepare) == error(0x16, SMP_VALUE, 0x06)
    assert one.ask(bytes((AttOpcode.EXECUTE_WRITE_REQ, 1))) == error(0x18, 0, 0x06)
    assert one.written() == []


@pytest.mark.parametrize("handle", [SMP_CCC, CONTROL_CCC, STATE_CCC, SERVICE_CHANGED_CCC])
def test_configurations(handle):
    one = client()
    offered = 2 if handle == SERVICE_CHANGED_CCC else 1
    assert one.read(handle) == b"\x0b\x00\x00"
    for wrong in (3 - offered, 3, 4, 0xFFFF):
        assert one.write(handle, struct.pack("<H", wrong)) == error(0x12, handle, 0x13)
    for length in (0, 1, 3):
        assert one.write(handle, bytes(length)) == error(0x12, handle, 0x0D)
    assert one.write(handle, struct.pack("<H", offered)) == b"\x13"
    assert one.write(handle, struct.pack("<H", offered)) == b"\x13"
    assert one.read(handle) == b"\x0b" + struct.pack("<H", offered)
    assert one.write(handle, b"\x00\x00") == b"\x13"
    assert one.read(handle) == b"\x0b\x00\x00"
    assert [event.on for event in one.events if isinstance(event, Subscribed)] == [True, False]


def test_configurations_are_each_clients_own():
    server = GattServer(maintenance())
    one, two = Client(server, 1), Client(server, 2)
    one.write(SMP_CCC, b"\x01\x00")
    one.write(FEATURES_VALUE, b"\x05")
    assert two.read(SMP_CCC) == b"\x0b\x00\x00"
    assert two.read(FEATURES_VALUE) == b"\x0b\x00"
    assert server.notify(1, SMP, b"x") == b"\x1b\x42\x00x"
    assert server.notify(2, SMP, b"x") is None
    server.disconnect(1)
    assert Client(server, 3).read(SMP_CCC) == b"\x0b\x00\x00"
    assert server.notify(1, SMP, b"x") is None


def test_client_features():
    one = client()
    assert one.write(FEATURES_VALUE, b"") == error(0x12, FEATURES_VALUE, 0x0D)
    assert one.write(FEATURES_VALUE, b"\x01\x00") == error(0x12, FEATURES_VALUE, 0x0D)
    assert one.write(FEATURES_VALUE, b"\x05") == b"\x13"
    assert one.write(FEATURES_VALUE, b"\x04") == error(0x12, FEATURES_VALUE, 0x13)  # bits are never taken back
    assert one.write(FEATURES_VALUE, b"\xff") == b"\x13"
    assert one.read(FEATURES_VALUE) == b"\x0b\x07"


@pytest.mark.parametrize("needed", list(Security))
@pytest.mark.parametrize("level", list(Security))
@pytest.mark.parametrize("has_key", [False, True])
def test_security_is_asked_of_every_way_in(needed, level, has_key):
    one = Client(GattServer(maintenance(smp_security=needed)), has_key=has_key)
    one.take(one.server.secured(1, level))
    code = 0x0F if has_key and level is Security.NONE else 0x05
    refused = level < needed
    assert one.write(SMP_CCC, b"\x01\x00") == (error(0x12, SMP_CCC, code) if refused else b"\x13")
    assert one.read(SMP_CCC)[0] == (0x01 if refused else 0x0B)
    one.command(SMP_VALUE, b"frame")
    assert one.written() == ([] if refused else [b"frame"])
    assert one.server.notify(1, SMP, b"x") == (None if refused else b"\x1b\x42\x00x")


def test_a_level_that_falls_silences_a_subscription():
    one = Client(GattServer(maintenance(smp_security=Security.ENCRYPTED)))
    one.take(one.server.secured(1, Security.ENCRYPTED))
    one.write(SMP_CCC, b"\x01\x00")
    one.take(one.server.secured(1, Security.NONE))
    assert one.server.notify(1, SMP, b"x") is None


def test_what_the_device_may_not_do_is_said():
    one = client()
    one.write(SMP_CCC, b"\x01\x00")
    assert len(one.server.notify(1, SMP, bytes(20))) == 23
    with pytest.raises(LocalError, match="21 bytes does not fit an MTU of 23"):
        one.server.notify(1, SMP, bytes(21))
    one.server.set_value(mode.STATE_UUID, bytes(512))
    with pytest.raises(LocalError, match="513 bytes"):
        one.server.set_value(mode.STATE_UUID, bytes(513))


def test_a_hidden_service_is_not_there():
    one = client(normal())
    for handle in range(0x40, 0x50):
        assert one.read(handle) == error(0x0A, handle, 0x01)
        assert one.write(handle, b"x") == error(0x12, handle, 0x01)
        assert one.command(handle, b"x") is None
    assert one.written() == []
    assert one.server.notify(1, SMP, b"x") is None


def fuzz(data: bytes, one: Client, expected: bytes) -> None:
    one.events.clear()
    answer = one.ask(data)
    if data and not data[0] & 0x41 and data[0] != AttOpcode.CONFIRMATION:
        assert answer is not None
        assert len(answer) <= one.server.mtu(1)
    else:
        assert answer is None
    assert one.server.database.hash == expected
    for event in one.events:
        if not isinstance(event, Subscribed):
            assert struct.unpack("<H", data[1:3])[0] in (SMP_VALUE, CONTROL_VALUE)
            assert event.value == data[3:]


@settings(max_examples=150)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_fuzzed_pdus_are_answered_and_change_nothing(pdus):
    one = client()
    expected = one.server.database.hash
    for pdu in pdus:
        fuzz(pdu, one, expected)


@settings(max_examples=200)
@given(st.sampled_from(sorted(AttOpcode)), st.integers(0, 0x50), st.binary(max_size=24))
def test_pdus_that_are_nearly_right(op, handle, tail):
    one = client()
    fuzz(struct.pack("<BH", op, handle) + tail, one, one.server.database.hash)


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_million_fuzzed_pdus(tell):
    tell("1,000,000 PDUs of four clients")
    chance = random.Random(7)
    ops = [*sorted(AttOpcode), *range(0, 0x30, 2)]
    server = GattServer(maintenance())
    clients = [Client(server, number) for number in range(1, 5)]
    clients[1].cache_robustly()
    clients[2].watch()
    expected = server.database.hash
    for count in range(1_000_000):
        one = clients[count % 4]
        pdu = bytes((chance.choice(ops),)) + chance.randbytes(chance.randrange(12))
        if chance.random() < 0.5 and len(pdu) >= 3:
            pdu = pdu[:1] + struct.pack("<H", chance.randrange(0x50)) + pdu[3:]
        one.events.clear()
        answer = one.ask(pdu)
        if not pdu[0] & 0x41 and pdu[0] != AttOpcode.CONFIRMATION:
            assert answer is not None
        for event in one.events:
            assert isinstance(event, Subscribed) or event.value == pdu[3:]
    assert server.database.hash == expected
    assert HASH_VALUE == 8
