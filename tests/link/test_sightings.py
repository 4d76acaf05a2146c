"""What advertising reports tell: names, whole and shortened, from the advertisement and from the scan response."""

from types import SimpleNamespace
from typing import Any

from bumble import hci

from keyswitch.link.bumble.sightings import merged
from keyswitch.link.ports import Sighting

KINDS = hci.HCI_LE_Advertising_Report_Event.EventType
COMPLETE, SHORTENED = 9, 8


def report(kind: Any, *fields: tuple[int, bytes]) -> Any:
    data = b"".join(bytes([1 + len(value), field]) + value for field, value in fields)
    return SimpleNamespace(data=data, event_type=kind, rssi=-60)


def names(*reports: Any) -> tuple[str, str]:
    known = Sighting(address="C0:00:00:00:00:01")
    for each in reports:
        known = merged(known, each)
    return known.name, known.short_name


def test_names():
    short, whole = (SHORTENED, b"Pump"), (COMPLETE, b"Pump 7")
    assert names(report(KINDS.ADV_IND, short)) == ("", "Pump")
    assert names(report(KINDS.ADV_IND), report(KINDS.SCAN_RSP, short)) == ("", "Pump")
    assert names(report(KINDS.ADV_IND, short), report(KINDS.SCAN_RSP, whole)) == ("Pump 7", "Pump")
    assert names(report(KINDS.ADV_IND, whole), report(KINDS.ADV_IND)) == ("Pump 7", "")
