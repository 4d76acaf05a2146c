"""A table as clients see it: attributes with handles, and the Database Hash over them (Core spec Vol 3 Part G 7.3)."""

import struct
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from keyswitch.gatt.att import CCC, CHARACTERISTIC, PRIMARY_SERVICE, uuid_bytes
from keyswitch.gatt.table import Characteristic, GattService, GattTable, Property

_HASH_KEY = bytes(16)
"""Vol 3 Part G 7.3.1."""


class AttributeKind(Enum):
    """What an attribute is."""

    SERVICE = auto()
    DECLARATION = auto()
    VALUE = auto()
    CCC = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute.

    Attributes:
        handle: where it is.
        type: its UUID as on the air, 2 or 16 bytes.
        kind: what it is.
        value: of declarations; values of characteristics are the server's.
        group_end: last handle of the service that it declares; its own handle otherwise.
        characteristic: that it belongs to; None for service declarations.
    """

    handle: int
    type: bytes
    kind: AttributeKind
    value: bytes
    group_end: int
    characteristic: Characteristic | None


class Database:
    """The attributes of one table.

    Args:
        table: what is shown.
    """

    def __init__(self, table: GattTable) -> None:
        self.table = table
        self.attributes = tuple(attribute for service in table for attribute in _of_service(service))
        self._by_handle = {attribute.handle: attribute for attribute in self.attributes}
        self._values = {
            a.characteristic.uuid: a.handle
            for a in self.attributes
            if a.kind is AttributeKind.VALUE and a.characteristic
        }

    def at(self, handle: int) -> Attribute | None:
        """The attribute with this handle."""
        return self._by_handle.get(handle)

    def between(self, first: int, last: int) -> list[Attribute]:
        """Attributes in a range of handles, both ends included."""
        return [attribute for attribute in self.attributes if first <= attribute.handle <= last]

    def value_handle(self, uuid: str) -> int | None:
        """The handle of a characteristic's value."""
        return self._values.get(uuid)

    @cached_property
    def hash(self) -> bytes:
        """The Database Hash as it is read over the air: 16 bytes, least significant first."""
        cmac = CMAC(AES(_HASH_KEY))
        for attribute in self.attributes:
            cmac.update(_hashed(attribute))
        return cmac.finalize()[::-1]

    def difference(self, other: "Database") -> tuple[int, int] | None:
        """First and last handle of what has come, gone or changed between two tables; None if nothing has."""
        mine, theirs = set(self.table.services), set(other.table.services)
        changed = mine ^ theirs
        if not changed:
            return None
        return min(service.handle for service in changed), max(service.end for service in changed)


def _hashed(attribute: Attribute) -> bytes:
    head = struct.pack("<H", attribute.handle) + attribute.type
    match attribute.kind:
        case AttributeKind.SERVICE | AttributeKind.DECLARATION:
            return head + attribute.value
        case AttributeKind.CCC:
            return head
        case AttributeKind.VALUE:
            return b""


def _of_service(service: GattService) -> list[Attribute]:
    handle = service.handle
    attributes = [
        Attribute(
            handle=handle,
            type=uuid_bytes(PRIMARY_SERVICE),
            kind=AttributeKind.SERVICE,
            value=uuid_bytes(service.uuid),
            group_end=service.end,
            characteristic=None,
        )
    ]
    for characteristic in service.characteristics:
        kinds = [AttributeKind.DECLARATION, AttributeKind.VALUE] + (
            [AttributeKind.CCC] if characteristic.properties.has_ccc else []
        )
        for kind in kinds:
            handle += 1
            attributes.append(_of_characteristic(characteristic, kind, handle))
    return attributes


def _of_characteristic(characteristic: Characteristic, kind: AttributeKind, handle: int) -> Attribute:
    value = b""
    if kind is AttributeKind.DECLARATION:
        type_ = uuid_bytes(CHARACTERISTIC)
        value = struct.pack("<BH", Property(characteristic.properties), handle + 1) + uuid_bytes(characteristic.uuid)
    elif kind is AttributeKind.CCC:
        type_ = uuid_bytes(CCC)
    else:
        type_ = uuid_bytes(characteristic.uuid)
    return Attribute(handle=handle, type=type_, kind=kind, value=value, group_end=handle, characteristic=characteristic)
