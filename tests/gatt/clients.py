"""Clients for tests: what they send and what the server says, one PDU at a time."""

import struct
from typing import Any

from keyswitch.gatt.att import AttOpcode
from keyswitch.gatt.server import GattServer, Send, Subscribed, Written
from keyswitch.gatt.services import CLIENT_FEATURES_UUID, DATABASE_HASH_UUID, SERVICE_CHANGED_UUID, device_table
from keyswitch.gatt.table import GattTable
from keyswitch.smp.framing import ble
from keyswitch.terms import Security


def normal(**options: Any) -> GattTable:
    return device_table("Pump 7", smp=False, **options)


def maintenance(**options: Any) -> GattTable:
    return device_table("Pump 7", smp=True, **options)


SMP_VALUE, SMP_CCC = 0x42, 0x43
CONTROL_VALUE, CONTROL_CCC, STATE_VALUE, STATE_CCC = 0x12, 0x13, 0x15, 0x16
SERVICE_CHANGED_CCC, FEATURES_VALUE, HASH_VALUE, NAME_VALUE = 0x04, 0x06, 0x08, 0x0B


class Client:
    """One client of a server; keeps the indications and notifications that it got.

    Attributes:
        told: indications, as their ranges.
        events: what the device was told because of this client.
    """

    def __init__(self, server: GattServer, connection: int = 1, **options: Any) -> None:
        self.server, self.connection = server, connection
        self.told: list[tuple[int, int]] = []
        self.events: list[Written | Subscribed] = []
        server.connect(connection, **options)

    def take(self, outputs: list[Any]) -> bytes | None:
        """The response among outputs, if there is one; the rest is kept."""
        response = None
        for output in outputs:
            if output.connection != self.connection:
                continue
            if not isinstance(output, Send):
                self.events.append(output)
            elif output.pdu[0] == AttOpcode.INDICATION:
                self.told.append(struct.unpack("<HH", output.pdu[3:]))
            else:
                assert response is None, "two responses"
                response = output.pdu
        return response

    def ask(self, pdu: bytes) -> bytes | None:
        return self.take(self.server.receive(self.connection, pdu))

    def read(self, handle: int) -> bytes | None:
        return self.ask(struct.pack("<BH", AttOpcode.READ_REQ, handle))

    def write(self, handle: int, value: bytes) -> bytes | None:
        return self.ask(struct.pack("<BH", AttOpcode.WRITE_REQ, handle) + value)

    def command(self, handle: int, value: bytes) -> bytes | None:
        return self.ask(struct.pack("<BH", AttOpcode.WRITE_CMD, handle) + value)

    def confirm(self) -> bytes | None:
        return self.ask(bytes((AttOpcode.CONFIRMATION,)))

    def read_hash_by_type(self) -> bytes | None:
        return self.ask(struct.pack("<BHHH", AttOpcode.READ_BY_TYPE_REQ, 1, 0xFFFF, 0x2B2A))

    def discover(self) -> list[bytes | None]:
        """Services, characteristics, descriptors: everything that names no handle as something known."""
        return [
            self.ask(struct.pack("<BHHH", AttOpcode.READ_BY_GROUP_TYPE_REQ, 1, 0xFFFF, 0x2800)),
            self.ask(struct.pack("<BHHH", AttOpcode.READ_BY_TYPE_REQ, 0x40, 0x43, 0x2803)),
            self.ask(struct.pack("<BHH", AttOpcode.FIND_INFORMATION_REQ, 0x43, 0x43)),
        ]

    def cache_robustly(self) -> None:
        assert self.write(FEATURES_VALUE, b"\x01") == b"\x13"

    def watch(self) -> None:
        assert self.write(SERVICE_CHANGED_CCC, b"\x02\x00") == b"\x13"

    def written(self) -> list[bytes]:
        return [event.value for event in self.events if isinstance(event, Written)]


def error(op: int, handle: int, code: int) -> bytes:
    return struct.pack("<BBHB", 0x01, op, handle, code)


OUT_OF_SYNC = {op: error(op, 0, 0x12) for op in range(256)}
SMP = ble.CHARACTERISTIC_UUID
__all__ = ("CLIENT_FEATURES_UUID", "DATABASE_HASH_UUID", "SERVICE_CHANGED_UUID", "Security")
