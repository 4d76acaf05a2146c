"""Which advertisement is the device's: by what it has told, and fresh enough to be believed.

Rules:

* A device is found by name or address once. After that it is found by what only it has: the correlation token of its
  advertisement, or its address. Never again by name: several devices may have the same one.
* Where the device was sent away to come back with its SMP service, an advertisement without it is one from before.
"""

from dataclasses import dataclass

from keyswitch.host.connect.heard import may_be_called
from keyswitch.link.ports import Sighting
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What tells the device from others.

    Attributes:
        tokens: correlation tokens that it has told.
        addresses: addresses that it has told or was heard from.
        name: used while nothing better is known; None afterwards.
    """

    tokens: frozenset[bytes] = frozenset()
    addresses: frozenset[str] = frozenset()
    name: str | None = None

    def next_addresses(self) -> frozenset[str]:
        """Each address plus one, in its last byte alone (nRF5 SDK, buttonless DFU without bonds)."""
        return frozenset(f"{address[:-2]}{(int(address[-2:], 16) + 1) & 0xFF:02X}" for address in self.addresses)

    def is_device(self, heard: Sighting, *, smp_shown: bool) -> bool:
        """Whether this advertisement is the device's, and with `smp_shown` one from when its SMP service was there."""
        if smp_shown and ble.SERVICE_UUID not in heard.services:
            return False
        return heard.connectable and self.matches(heard)

    def matches(self, heard: Sighting) -> bool:
        """Whether this advertisement, of whatever time, is the device's."""
        if self.tokens or self.addresses:
            return heard.address in self.addresses or token_of(heard) in self.tokens
        return self.name is not None and may_be_called(heard, self.name)


def token_of(heard: Sighting) -> bytes | None:
    """The correlation token in an advertisement, None if it has none."""
    if heard.manufacturer is None:
        return None
    beacon = mode.Beacon.decode(heard.manufacturer[1])
    return None if beacon is None else beacon.token
