"""A characteristic that needs authorization: the device is asked at each access, and discovery goes on."""

import struct

import pytest
from tests.gatt.clients import (
    CONTROL_CCC,
    SMP,
    SMP_CCC,
    SMP_VALUE,
    STATE_VALUE,
    Client,
    error,
    maintenance,
)

from keyswitch.gatt.att import AttOpcode
from keyswitch.gatt.database import Database
from keyswitch.gatt.server import GattServer
from keyswitch.terms import Security

SUBSCRIBE, TAKE_BACK = b"\x01\x00", b"\x00\x00"


class Gate:
    """Opens and shuts for a connection; counts how often it was asked."""

    def __init__(self, *connections: int) -> None:
        self.open = set(connections)
        self.asked: list[tuple[int, str]] = []

    def __call__(self, connection: int, characteristic: str) -> bool:
        self.asked.append((connection, characteristic))
        return connection in self.open


def server_of(gate: Gate, **options: Security) -> GattServer:
    return GattServer(maintenance(smp_authorized=True, **options), may_access=gate)


def asking(op: AttOpcode, handle: int) -> bytes:
    """A request of this kind about the handle, whole as the specification has it."""
    head = struct.pack("<BH", op, handle)
    return {
        AttOpcode.READ_REQ: head,
        AttOpcode.READ_BLOB_REQ: head + b"\x00\x00",
        AttOpcode.READ_MULTIPLE_REQ: head + struct.pack("<H", STATE_VALUE),
        AttOpcode.READ_MULTIPLE_VARIABLE_REQ: struct.pack("<BHH", op, STATE_VALUE, handle),
        AttOpcode.WRITE_REQ: head + SUBSCRIBE,
    }[op]


REQUESTS = (
    AttOpcode.READ_REQ,
    AttOpcode.READ_BLOB_REQ,
    AttOpcode.READ_MULTIPLE_REQ,
    AttOpcode.READ_MULTIPLE_VARIABLE_REQ,
    AttOpcode.WRITE_REQ,
)


@pytest.mark.parametrize("handle", [SMP_VALUE, SMP_CCC])
@pytest.mark.parametrize("op", REQUESTS)
def test_every_request_is_told_and_changes_nothing(op: AttOpcode, handle: int):
    gate = Gate()
    one = Client(server_of(gate))
    assert one.ask(asking(op, handle)) == error(op, handle, 0x08)
    assert gate.asked == [(1, SMP)]
    assert one.events == []
    gate.open = {1}
    assert one.read(SMP_CCC) == b"\x0b\x00\x00"


@pytest.mark.parametrize(("handle", "kind"), [(SMP_VALUE, SMP), (SMP_CCC, "2902")])
def test_a_value_asked_for_by_its_type_is_refused_too(handle: int, kind: str):
    one = Client(server_of(Gate()))
    kind_bytes = bytes.fromhex(kind.replace("-", ""))[::-1]
    asked = struct.pack("<BHH", AttOpcode.READ_BY_TYPE_REQ, SMP_VALUE, 0xFFFF) + kind_bytes
    assert one.ask(asked) == error(AttOpcode.READ_BY_TYPE_REQ, handle, 0x08)
    found = struct.pack("<BHHH", AttOpcode.FIND_BY_TYPE_VALUE_REQ, SMP_VALUE, 0xFFFF, 0x2902) + TAKE_BACK
    assert one.ask(found) == error(AttOpcode.FIND_BY_TYPE_VALUE_REQ, SMP_VALUE, 0x0A)


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("op", [AttOpcode.PREPARE_WRITE_REQ, AttOpcode.EXECUTE_WRITE_REQ])
def test_long_writes_are_not_supported_whoever_asks(op: AttOpcode, *, opened: bool):
    """The request itself is unknown here (0x06), before anything at the handle is looked at."""
    one = Client(server_of(Gate(1) if opened else Gate()))
    asked = struct.pack("<BHH", op, SMP_VALUE, 0) + b"x" if op is AttOpcode.PREPARE_WRITE_REQ else bytes((op, 1))
    answer = one.ask(asked)
    assert answer is not None
    assert (answer[:2], answer[4]) == (bytes((0x01, op)), 0x06)
    assert one.written() == []


def test_commands_are_dropped_in_silence_while_it_is_shut():
    gate = Gate()
    one = Client(server_of(gate))
    for handle in (SMP_VALUE, SMP_CCC):
        assert one.command(handle, b"frame") is None
    assert one.written() == []
    gate.open = {1}
    assert one.command(SMP_VALUE, b"frame") is None
    assert one.written() == [b"frame"]


def test_it_is_asked_at_each_access_and_never_remembered():
    gate = Gate(1)
    one = Client(server_of(gate))
    assert one.write(SMP_CCC, SUBSCRIBE) == b"\x13"
    for opened in (True, False, True, False):
        gate.open = {1} if opened else set[int]()
        asked = len(gate.asked)
        one.command(SMP_VALUE, b"frame")
        assert (one.server.notify(1, SMP, b"x") is not None) is opened
        assert (one.read(SMP_CCC) == b"\x0b\x01\x00") is opened
        assert len(gate.asked) == asked + 3
    assert one.written() == [b"frame", b"frame"]


def test_a_subscription_stays_and_nothing_is_notified_meanwhile():
    gate = Gate(1)
    one = Client(server_of(gate))
    one.write(SMP_CCC, SUBSCRIBE)
    gate.open = set()
    assert one.server.notify(1, SMP, b"x") is None
    assert one.write(SMP_CCC, TAKE_BACK) == error(AttOpcode.WRITE_REQ, SMP_CCC, 0x08)
    gate.open = {1}
    assert one.server.notify(1, SMP, b"x") == b"\x1b\x42\x00x"


def test_clients_are_told_apart():
    gate = Gate(2)
    server = server_of(gate)
    one, two = Client(server, 1), Client(server, 2)
    assert one.write(SMP_CCC, SUBSCRIBE) == error(AttOpcode.WRITE_REQ, SMP_CCC, 0x08)
    assert two.write(SMP_CCC, SUBSCRIBE) == b"\x13"
    one.command(SMP_VALUE, b"one")
    two.command(SMP_VALUE, b"two")
    assert (one.written(), two.written()) == ([], [b"two"])


def test_discovery_is_the_same_open_shut_and_without_authorization():
    """One table: the same bytes, the same hash, so that no cache is ever stale."""
    gate = Gate()
    shut = Client(server_of(gate)).discover()
    gate.open = {1}
    assert Client(server_of(gate)).discover() == shut == Client(GattServer(maintenance())).discover()
    assert all(answer is not None and answer[0] != 0x01 for answer in shut)
    assert Database(maintenance(smp_authorized=True)).hash == Database(maintenance()).hash


def test_nothing_else_is_asked_about():
    gate = Gate()
    one = Client(server_of(gate))
    assert one.write(CONTROL_CCC, SUBSCRIBE) == b"\x13"
    assert one.read(STATE_VALUE) == b"\x0b"
    assert gate.asked == []


def test_where_nobody_can_be_asked_it_is_no():
    one = Client(GattServer(maintenance(smp_authorized=True)))
    assert one.write(SMP_CCC, SUBSCRIBE) == error(AttOpcode.WRITE_REQ, SMP_CCC, 0x08)
    one.command(SMP_VALUE, b"frame")
    assert one.written() == []


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("has_key", [False, True])
def test_a_link_that_is_protected_too_little_is_told_that(*, opened: bool, has_key: bool):
    """Pairing may be all that it lacks; the device is not even asked."""
    gate = Gate(1) if opened else Gate()
    one = Client(server_of(gate, smp_security=Security.ENCRYPTED), has_key=has_key)
    code = 0x0F if has_key else 0x05
    assert one.write(SMP_CCC, SUBSCRIBE) == error(AttOpcode.WRITE_REQ, SMP_CCC, code)
    assert gate.asked == []
    one.take(one.server.secured(1, Security.ENCRYPTED))
    assert one.write(SMP_CCC, SUBSCRIBE) == (b"\x13" if opened else error(AttOpcode.WRITE_REQ, SMP_CCC, 0x08))


def test_a_bonded_client_finds_its_subscription_again_once_it_may():
    """Shut, it hears nothing on it, and no write of its configuration would tell it why: it does not write it again."""
    gate = Gate(1)
    one = Client(server_of(gate))
    one.server.bond(1)
    one.write(SMP_CCC, SUBSCRIBE)
    record = one.server.record(1)
    one.server.disconnect(1)
    back = Client(one.server, 2)
    back.take(back.server.secured(2, Security.ENCRYPTED, record))
    assert back.server.notify(2, SMP, b"x") is None
    gate.open = {2}
    assert back.server.notify(2, SMP, b"x") == b"\x1b\x42\x00x"
