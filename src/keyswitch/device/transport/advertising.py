"""What the device says of itself while it waits: 31 bytes of advertisement, the name in the scan response.

    3   flags: general discoverable, no BR/EDR
    18  one 128-bit service UUID: the SMP service while it is shown, else the mode service
    9   manufacturer data: company id, beacon (mode index and correlation token; it authorises nothing)

Core spec Vol 3 Part C 11 and Supplement Part A give the structure: length, type, data.
"""

from typing import Final
from uuid import UUID

from keyswitch.errors import LocalError
from keyswitch.link.peripheral import ADVERTISING_INTERVAL_MS, AWAITED_INTERVAL_MS, Advertisement
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode

MAX_DATA: Final = 31
"""Bytes of a legacy advertisement, and of a scan response (Core spec Vol 6 Part B 2.3.1.1)."""

_FLAGS: Final = 0x01
_ALL_128_BIT_UUIDS: Final = 0x07
_SHORTENED_NAME: Final = 0x08
_COMPLETE_NAME: Final = 0x09
_MANUFACTURER: Final = 0xFF
"""Assigned Numbers 2.3, common data types."""

_GENERAL_DISCOVERABLE_LE_ONLY: Final = b"\x06"


def advertisement(
    *, name: str, company_id: int, beacon: mode.Beacon, smp_shown: bool, awaited: bool = False
) -> Advertisement:
    """The advertisement for this moment.

    Args:
        name: of the device; shortened where it does not fit.
        company_id: of the manufacturer data.
        beacon: mode and token.
        smp_shown: whether the SMP service is in the GATT table.
        awaited: whether somebody is expected to connect at once: it is sent more often then.
    """
    service = ble.SERVICE_UUID if smp_shown else mode.SERVICE_UUID
    data = (
        _structure(_FLAGS, _GENERAL_DISCOVERABLE_LE_ONLY)
        + _structure(_ALL_128_BIT_UUIDS, UUID(service).bytes[::-1])
        + _structure(_MANUFACTURER, company_id.to_bytes(2, "little") + beacon.encode())
    )
    if len(data) > MAX_DATA:
        raise LocalError(f"advertisement of {len(data)} bytes, {MAX_DATA} is the limit")
    interval_ms = AWAITED_INTERVAL_MS if awaited else ADVERTISING_INTERVAL_MS
    return Advertisement(data=data, scan_response=_name(name), interval_ms=interval_ms)


def _name(name: str) -> bytes:
    room = MAX_DATA - 2
    encoded = name.encode()
    if len(encoded) <= room:
        return _structure(_COMPLETE_NAME, encoded)
    return _structure(_SHORTENED_NAME, encoded[:room].decode(errors="ignore").encode())


def _structure(kind: int, data: bytes) -> bytes:
    return bytes([len(data) + 1, kind]) + data
