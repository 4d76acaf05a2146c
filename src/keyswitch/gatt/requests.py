"""Requests that read: discovery and values. A PDU in, the response's PDU out, or an `AttError`.

Bounds and formats are those of Core spec Vol 3 Part F 3.4.3 and 3.4.4. A PDU of the wrong length is `struct.error`.
"""

import struct
from collections.abc import Callable
from typing import Final, Protocol

from keyswitch.gatt.access import AttError, check_read
from keyswitch.gatt.att import CHARACTERISTIC, INCLUDE, PRIMARY_SERVICE, SECONDARY_SERVICE, AttOpcode, Error, uuid_bytes
from keyswitch.gatt.client_state import ALL_HANDLES, GattClient
from keyswitch.gatt.database import Attribute, AttributeKind, Database
from keyswitch.gatt.services import DATABASE_HASH_UUID

_MAX_ENTRY = 255
"""An entry's length is one byte: Vol 3 Part F 3.4.4.2."""
_SHORT, _LONG = 2, 16
"""Bytes of a UUID."""
_FORMAT_SHORT, _FORMAT_LONG = 1, 2
"""Vol 3 Part F 3.4.3.2."""


class View(Protocol):
    """What requests are answered from."""

    @property
    def database(self) -> Database:
        """The attributes."""
        ...

    def value(self, attribute: Attribute, client: GattClient) -> bytes:
        """An attribute's value for this client."""
        ...


def names_a_handle(pdu: bytes) -> bool:
    """Whether a request depends on what the client believes to be at a handle (Vol 3 Part G 2.5.2.1)."""
    if pdu[0] == AttOpcode.READ_BY_TYPE_REQ:
        try:
            first, last, wanted = _typed_range(pdu)
        except (struct.error, AttError):
            return False
        return wanted not in (uuid_bytes(INCLUDE), uuid_bytes(CHARACTERISTIC)) and (first, last) != ALL_HANDLES
    return pdu[0] in _BY_HANDLE


_BY_HANDLE: Final = frozenset(
    (
        AttOpcode.READ_REQ,
        AttOpcode.READ_BLOB_REQ,
        AttOpcode.READ_MULTIPLE_REQ,
        AttOpcode.READ_MULTIPLE_VARIABLE_REQ,
        AttOpcode.WRITE_REQ,
        AttOpcode.PREPARE_WRITE_REQ,
    )
)


def find_information(view: View, client: GattClient, pdu: bytes) -> bytes:
    """Handles and types."""
    _, first, last = struct.unpack("<BHH", pdu)
    found = _range(view, first, last)
    size = len(found[0].type)
    body = bytearray((AttOpcode.FIND_INFORMATION_RSP, _FORMAT_SHORT if size == _SHORT else _FORMAT_LONG))
    for attribute in found:
        if len(attribute.type) != size or len(body) + 2 + size > client.mtu:
            break
        body += struct.pack("<H", attribute.handle) + attribute.type
    return bytes(body)


def find_by_type_value(view: View, client: GattClient, pdu: bytes) -> bytes:
    """Handles of attributes with a type and a value: how a service is looked for."""
    head = struct.Struct("<BHHH")
    _, first, last, wanted = head.unpack_from(pdu)
    body = bytearray((AttOpcode.FIND_BY_TYPE_VALUE_RSP,))
    for attribute in _range(view, first, last):
        if attribute.type != uuid_bytes(wanted) or check_read(attribute, client) is not None:
            continue
        if view.value(attribute, client) != pdu[head.size :]:
            continue
        if len(body) + 4 > client.mtu:
            break
        body += struct.pack("<HH", attribute.handle, attribute.group_end)
    if len(body) == 1:
        raise AttError(Error.ATTRIBUTE_NOT_FOUND, first)
    return bytes(body)


def read_by_type(view: View, client: GattClient, pdu: bytes) -> bytes:
    """Values of all attributes of a type: characteristics, or the Database Hash."""
    first, last, wanted = _typed_range(pdu)
    entries: list[bytes] = []
    for attribute in _range(view, first, last):
        if attribute.type != wanted:
            continue
        refused = check_read(attribute, client)
        if refused is not None:
            if not entries:
                raise refused
            break
        entries.append(struct.pack("<H", attribute.handle) + view.value(attribute, client))
        if wanted == uuid_bytes(DATABASE_HASH_UUID) and attribute.kind is AttributeKind.VALUE:
            client.hash_read = True
    return _equal_entries(AttOpcode.READ_BY_TYPE_RSP, entries, client.mtu, first)


def read_by_group_type(view: View, client: GattClient, pdu: bytes) -> bytes:
    """Services."""
    first, last, wanted = _typed_range(pdu)
    if wanted not in (uuid_bytes(PRIMARY_SERVICE), uuid_bytes(SECONDARY_SERVICE)):
        raise AttError(Error.UNSUPPORTED_GROUP_TYPE, first)
    entries = [
        struct.pack("<HH", attribute.handle, attribute.group_end) + attribute.value
        for attribute in _range(view, first, last)
        if attribute.type == wanted
    ]
    return _equal_entries(AttOpcode.READ_BY_GROUP_TYPE_RSP, entries, client.mtu, first)


def read(view: View, client: GattClient, pdu: bytes) -> bytes:
    """One value, as much as fits."""
    _, handle = struct.unpack("<BH", pdu)
    return bytes((AttOpcode.READ_RSP,)) + _readable(view, client, handle)[: client.mtu - 1]


def read_blob(view: View, client: GattClient, pdu: bytes) -> bytes:
    """A value from an offset on."""
    _, handle, offset = struct.unpack("<BHH", pdu)
    value = _readable(view, client, handle)
    if offset > len(value):
        raise AttError(Error.INVALID_OFFSET, handle)
    return bytes((AttOpcode.READ_BLOB_RSP,)) + value[offset : offset + client.mtu - 1]


def read_multiple(view: View, client: GattClient, pdu: bytes) -> bytes:
    """Several values, with or without their lengths."""
    handles = struct.unpack(f"<{len(pdu) // 2}H", pdu[1:])
    if len(handles) < 2:  # noqa: PLR2004 - "a set of two or more": Vol 3 Part F 3.4.4.7
        raise AttError(Error.INVALID_PDU, 0)
    values = [_readable(view, client, handle) for handle in handles]
    if pdu[0] == AttOpcode.READ_MULTIPLE_REQ:
        return (bytes((AttOpcode.READ_MULTIPLE_RSP,)) + b"".join(values))[: client.mtu]
    body = b"".join(struct.pack("<H", len(value)) + value for value in values)
    return (bytes((AttOpcode.READ_MULTIPLE_VARIABLE_RSP,)) + body)[: client.mtu]


READERS: Final[dict[int, Callable[[View, GattClient, bytes], bytes]]] = {
    AttOpcode.FIND_INFORMATION_REQ: find_information,
    AttOpcode.FIND_BY_TYPE_VALUE_REQ: find_by_type_value,
    AttOpcode.READ_BY_TYPE_REQ: read_by_type,
    AttOpcode.READ_BY_GROUP_TYPE_REQ: read_by_group_type,
    AttOpcode.READ_REQ: read,
    AttOpcode.READ_BLOB_REQ: read_blob,
    AttOpcode.READ_MULTIPLE_REQ: read_multiple,
    AttOpcode.READ_MULTIPLE_VARIABLE_REQ: read_multiple,
}


def _range(view: View, first: int, last: int) -> list[Attribute]:
    if not 0 < first <= last:
        raise AttError(Error.INVALID_HANDLE, first)
    found = view.database.between(first, last)
    if not found:
        raise AttError(Error.ATTRIBUTE_NOT_FOUND, first)
    return found


def _typed_range(pdu: bytes) -> tuple[int, int, bytes]:
    head = struct.Struct("<BHH")
    _, first, last = head.unpack_from(pdu)
    wanted = pdu[head.size :]
    if len(wanted) not in (_SHORT, _LONG):
        raise AttError(Error.INVALID_PDU, 0)
    return first, last, wanted


def _readable(view: View, client: GattClient, handle: int) -> bytes:
    attribute = view.database.at(handle)
    if attribute is None:
        raise AttError(Error.INVALID_HANDLE, handle)
    refused = check_read(attribute, client)
    if refused is not None:
        raise refused
    return view.value(attribute, client)


def _equal_entries(op: AttOpcode, entries: list[bytes], mtu: int, first: int) -> bytes:
    """Entries of one length: as many from the start as are alike and fit; an only one is cut."""
    if not entries:
        raise AttError(Error.ATTRIBUTE_NOT_FOUND, first)
    size = min(len(entries[0]), _MAX_ENTRY, mtu - 2)
    body = bytearray((op, size)) + entries[0][:size]
    for entry in entries[1:]:
        if len(entry) != size or len(body) + size > mtu:
            break
        body += entry
    return bytes(body)
