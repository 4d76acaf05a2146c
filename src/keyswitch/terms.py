"""Words that every layer shares."""

from enum import IntEnum, StrEnum


class Transport(StrEnum):
    """How a frame reached the device. The value is the word in policy files and JSON."""

    BLE = "ble"
    UDP = "udp"
    SERIAL = "serial"


class Security(IntEnum):
    """How well a link is protected; ordered, so that `>=` means "at least".

    Just Works pairing gives `ENCRYPTED`, never `AUTHENTICATED` (Core spec Vol 3 Part C 10.2.1: mode 1 levels 2 and 3).
    """

    NONE = 0
    ENCRYPTED = 1
    AUTHENTICATED = 2

    @property
    def word(self) -> str:
        """The word in policy files and JSON."""
        return self.name.lower()
