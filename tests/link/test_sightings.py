"""What advertising reports tell: names, whole and shortened, from the advertisement and from the scan response."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from bumble import hci

from keyswitch.link.air.clock import run
from keyswitch.link.bumble.sightings import merged
from keyswitch.link.ports import Sighting
from keyswitch.link.sightings import Sightings

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


@pytest.mark.parametrize("after_ms", [999, 1_000, 1_001])
def test_a_scan_hears_until_its_time_is_over(after_ms: int):
    """In order, and nothing afterwards, though it was heard before."""
    first, second, late = (Sighting(address=f"C0:00:00:00:00:0{number}") for number in (1, 2, 3))

    async def main() -> None:
        heard = Sightings(1_000)
        heard.put(first)
        heard.put(second)
        assert [await heard.next(), await heard.next()] == [first, second]
        asyncio.get_running_loop().call_later(0.5, heard.put, first)
        assert await heard.next() == first
        await asyncio.sleep(after_ms / 1000 - 0.5)
        heard.put(late)
        assert await heard.next() == (late if after_ms < 1_000 else None)
        assert await heard.next() is None
        assert asyncio.get_running_loop().time() == max(after_ms, 1_000) / 1000

    run(main())
