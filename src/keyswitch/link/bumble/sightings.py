"""Advertising reports become sightings (`link.ports.Sighting`)."""

from dataclasses import replace
from typing import Any

from bumble import core, hci

from keyswitch.gatt.att import uuid_string
from keyswitch.link.ports import Sighting


def merged(before: Sighting, report: Any) -> Sighting:
    """What is known of an advertiser after one more report: the name is in the scan response, the rest is not."""
    data = core.AdvertisingData.from_bytes(report.data)
    name = data.get(core.AdvertisingData.Type.COMPLETE_LOCAL_NAME, raw=True)
    short_name = _text(data.get(core.AdvertisingData.Type.SHORTENED_LOCAL_NAME, raw=True)) or before.short_name
    if report.event_type == hci.HCI_LE_Advertising_Report_Event.EventType.SCAN_RSP:
        return replace(before, name=_text(name) or before.name, short_name=short_name, rssi_dbm=report.rssi)
    manufacturer = data.get(core.AdvertisingData.Type.MANUFACTURER_SPECIFIC_DATA, raw=True)
    company = None
    if isinstance(manufacturer, bytes) and len(manufacturer) >= 2:  # noqa: PLR2004 - the company id
        company = (int.from_bytes(manufacturer[:2], "little"), manufacturer[2:])
    return Sighting(
        address=before.address,
        name=_text(name) or before.name,
        services=_services(data),
        manufacturer=company,
        rssi_dbm=report.rssi,
        connectable=report.event_type == hci.HCI_LE_Advertising_Report_Event.EventType.ADV_IND,
        short_name=short_name,
    )


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""


_UUID_FIELDS: dict[int, int] = {
    core.AdvertisingData.Type.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    core.AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    core.AdvertisingData.Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
    core.AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
}


def _services(data: core.AdvertisingData) -> frozenset[str]:
    found: set[str] = set()
    for kind, raw in data.ad_structures:
        size = _UUID_FIELDS.get(kind)
        if size:
            found |= {uuid_string(raw[at : at + size]) for at in range(0, len(raw) - size + 1, size)}
    return frozenset(found)
