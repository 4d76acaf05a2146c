"""A GATT table as frozen data: services at handles that never move.

Rules kept here:

* A handle belongs to one service for ever. A service that is not shown leaves a gap; nothing else is ever put there,
  so a central with a stale cache can hit nothing but `Invalid Handle`.
* A table is a value. Changing it means making another one and handing it to the server.
* Layout of one service: its declaration, then for each characteristic a declaration, the value and, where it notifies
  or indicates, a Client Characteristic Configuration (Core spec Vol 3 Part G 3).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntFlag

from keyswitch.errors import LocalError
from keyswitch.terms import Security

LAST_HANDLE = 0xFFFF
"""Core spec Vol 3 Part F 3.2.2."""


class Property(IntFlag):
    """Characteristic properties (Core spec Vol 3 Part G 3.3.1.1)."""

    READ = 0x02
    WRITE_WITHOUT_RESPONSE = 0x04
    WRITE = 0x08
    NOTIFY = 0x10
    INDICATE = 0x20

    @property
    def has_ccc(self) -> bool:
        """Whether a Client Characteristic Configuration follows the value."""
        return bool(self & (Property.NOTIFY | Property.INDICATE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristic:
    """One characteristic.

    Attributes:
        uuid: 36 characters, lower case.
        properties: what a client may do with the value; enforced.
        value: the value as long as nobody sets another.
        security: the least a link must have for reading, writing or subscribing.
        authorized: whether the device is asked at each access to the value or its configuration, for each client
            (Core spec Vol 3 Part F 3.2.5); discovery needs no leave.
    """

    uuid: str
    properties: Property
    value: bytes = b""
    security: Security = Security.NONE
    authorized: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GattService:
    """One primary service at its reserved handles.

    Attributes:
        uuid: 36 characters, lower case.
        handle: of the declaration; the other attributes follow without a gap.
        characteristics: in handle order.
    """

    uuid: str
    handle: int
    characteristics: tuple[Characteristic, ...]

    @property
    def end(self) -> int:
        """The last handle of the service."""
        return self.handle + sum(3 if c.properties.has_ccc else 2 for c in self.characteristics)


@dataclass(frozen=True, slots=True, kw_only=True)
class GattTable:
    """All services, in handle order.

    Raises:
        LocalError: the services overlap, are out of order, or leave the range of handles.
    """

    services: tuple[GattService, ...]
    _by_uuid: dict[str, Characteristic] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        last = 0
        for service in self.services:
            if not last < service.handle <= service.end <= LAST_HANDLE:
                raise LocalError(f"service {service.uuid} at handle {service.handle:#06x} does not follow {last:#06x}")
            last = service.end
        by_uuid = {c.uuid: c for service in self.services for c in service.characteristics}
        object.__setattr__(self, "_by_uuid", by_uuid)

    def __iter__(self) -> Iterator[GattService]:
        return iter(self.services)

    def characteristic(self, uuid: str) -> Characteristic | None:
        """The characteristic with this UUID, if the table has it."""
        return self._by_uuid.get(uuid)
