"""The numbers of the air, each with its section of the Core specification (5.4). Times are whole microseconds."""

from enum import Enum

T_IFS_US = 150
"""Between two packets of a connection event: Vol 6 Part B 4.1.1."""
MIC_OCTETS = 4
"""Added to each packet with a payload on an encrypted link: Vol 6 Part B 2.4."""
MIN_DATA_LENGTH = 27
"""Payload octets of a data packet before the data length was updated: Vol 6 Part B 4.5.10."""
MAX_DATA_LENGTH = 251
"""The most payload octets: Vol 6 Part B 4.5.10."""
INTERVAL_UNIT_US = 1250
"""Unit of the connection interval: Vol 6 Part B 4.5.1."""
MIN_INTERVAL_US = 6 * INTERVAL_UNIT_US
"""7.5 ms: Vol 6 Part B 4.5.1."""
MAX_INTERVAL_US = 3200 * INTERVAL_UNIT_US
"""4 s: Vol 6 Part B 4.5.1."""
SUPERVISION_UNIT_US = 10_000
"""Unit of the supervision timeout: Vol 6 Part B 4.5.2."""
MIN_SUPERVISION_US = 10 * SUPERVISION_UNIT_US
MAX_SUPERVISION_US = 3200 * SUPERVISION_UNIT_US
"""100 ms to 32 s: Vol 6 Part B 4.5.2."""
MAX_LATENCY = 499
"""Connection events that a peripheral may leave out: Vol 6 Part B 4.5.1."""
TRANSMIT_WINDOW_DELAY_US = 1250
"""Between the connect request and the first possible event: Vol 6 Part B 4.5.3."""
CRC_ERRORS_END_EVENT = 2
"""Consecutive packets with a wrong CRC close the event: Vol 6 Part B 4.5.1."""
INSTANT_EVENTS = 6
"""The fewest events between an announced change and its instant: Vol 6 Part B 5.1.1."""
PROCEDURE_EVENTS = 2
"""A request and its response, one event each, where no instant is needed (data length): Vol 6 Part B 5.1.9."""
CONTROL_OCTETS = 12
"""Payload of a link layer control packet, near enough: LL_CONNECTION_UPDATE_IND has 12 (Vol 6 Part B 2.4.2.1)."""
ADVERTISING_UNIT_US = 625
"""Unit of the advertising interval: Vol 4 Part E 7.8.5."""
ADVERTISING_DELAY_US = 10_000
"""Each advertising interval is lengthened by up to this much at random: Vol 6 Part B 4.4.2.2.1."""


class Phy(Enum):
    """Physical layer; the value is its number in HCI (Vol 4 Part E 7.8.47)."""

    # Each is one object. An Enum's own, by the name, is worked out in Python, and packets ask for it by the thousand.
    __hash__ = object.__hash__

    LE_1M = 1
    LE_2M = 2

    @property
    def word(self) -> str:
        """The word in settings and JSON: `1M` or `2M`."""
        return f"{self.value}M"


_OVERHEAD_OCTETS = {
    Phy.LE_1M: 10,
    Phy.LE_2M: 11,
}  # preamble 1 or 2, access address 4, header 2, CRC 3: Vol 6 Part B 2.1
_US_PER_OCTET = {Phy.LE_1M: 8, Phy.LE_2M: 4}


def air_us(phy: Phy, octets: int, *, encrypted: bool = False) -> int:
    """How long a packet with this many payload octets is on the air; 0 octets are an empty packet."""
    mic = MIC_OCTETS if encrypted and octets else 0
    return (_OVERHEAD_OCTETS[phy] + octets + mic) * _US_PER_OCTET[phy]


def exchange_us(phy: Phy, central_octets: int, peripheral_octets: int, *, encrypted: bool = False) -> int:
    """One packet of the central, one of the peripheral, and the pause after each."""
    central = air_us(phy, central_octets, encrypted=encrypted)
    peripheral = air_us(phy, peripheral_octets, encrypted=encrypted)
    return central + T_IFS_US + peripheral + T_IFS_US
