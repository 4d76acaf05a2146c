"""Discovery with few questions: what is found is what is there, and a table that is known is not discovered again."""

import asyncio
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.gatt.clients import maintenance, normal
from tests.link.radios import SMP, World

from keyswitch.errors import RemoteError
from keyswitch.gatt.att import AttOpcode, uuid_bytes, uuid_string
from keyswitch.gatt.database import Database
from keyswitch.gatt.server import GattServer, Send
from keyswitch.gatt.services import (
    DATABASE_HASH_UUID,
    GATT_SERVICE_UUID,
    battery_service,
    device_information_service,
    device_table,
)
from keyswitch.gatt.table import Characteristic, GattService, GattTable, Property
from keyswitch.link.air.clock import run
from keyswitch.link.bumble.att_client import AttClient, AttRefused, FoundService
from keyswitch.link.bumble.known_tables import MAX_TABLES, KnownTables

EXTRA = (
    device_information_service(manufacturer="m", model="m", firmware="f", serial="s"),
    battery_service(),
)
LONG = "2125afdc-674d-4337-beec-1ae1ef310000"
UNUSUAL = GattTable(
    services=(
        GattService(uuid=LONG, handle=1, characteristics=()),
        GattService(
            uuid=f"{LONG[:-1]}1",
            handle=3,
            characteristics=tuple(
                Characteristic(uuid=uuid, properties=Property.READ | Property.NOTIFY, value=b"")
                for uuid in (f"{LONG[:-1]}2", "00002a19-0000-1000-8000-00805f9b34fb", f"{LONG[:-1]}3")
            ),
        ),
    )
)


class Asked:
    """A client and a server without a radio; counts what the client asks."""

    def __init__(self, table: GattTable, answer: Callable[[bytes], bytes | None] | None = None) -> None:
        self.server = GattServer(table)
        self.server.connect(1)
        self.counts: Counter[int] = Counter()
        self.answer = answer or (lambda _pdu: None)
        self.client = AttClient(self.take, lambda _handle, _value: None)

    def take(self, pdu: bytes) -> None:
        self.counts[pdu[0]] += 1
        made = self.answer(pdu)
        answers = [made] if made is not None else [o.pdu for o in self.server.receive(1, pdu) if isinstance(o, Send)]
        for answer in answers:
            asyncio.get_running_loop().call_soon(self.client.receive, answer)


def found_in(table: GattTable) -> list[tuple[str, int, int, list[tuple[str, int, int]]]]:
    """Services and characteristics with their handles, read off the attributes themselves."""
    found: list[tuple[str, int, int, list[tuple[str, int, int]]]] = []
    for attribute in Database(table).attributes:
        if attribute.type == uuid_bytes(0x2800):
            found.append((uuid_string(attribute.value), attribute.handle, attribute.group_end, []))
        elif attribute.type == uuid_bytes(0x2803):
            _, handle = struct.unpack_from("<BH", attribute.value)
            own = found[-1][3]
            if own:
                own[-1] = (*own[-1][:2], attribute.handle - 1)
            own.append((uuid_string(attribute.value[3:]), handle, found[-1][2]))
    return found


def as_rows(table: tuple[FoundService, ...]) -> list[Any]:
    return [(s.uuid, s.start, s.end, [(c.uuid, c.handle, c.end) for c in s.characteristics]) for s in table]


@pytest.mark.parametrize(
    ("table", "questions"),
    [
        (normal(), 5),
        (maintenance(), 5),
        (device_table("Pump 7", smp=False, extra=EXTRA), 7),
        (device_table("Pump 7", smp=True, extra=EXTRA), 9),
        (UNUSUAL, 5),
    ],
)
def test_what_is_found_is_what_is_there_and_nothing_is_asked_in_vain(table: GattTable, questions: int):
    async def story() -> None:
        asked = Asked(table)
        await asked.client.exchange_mtu(498)
        found = await asked.client.discover()
        assert as_rows(found) == found_in(table)
        assert asked.counts[AttOpcode.READ_BY_GROUP_TYPE_REQ] + asked.counts[AttOpcode.READ_BY_TYPE_REQ] == questions

    run(story())


def test_with_the_smallest_mtu_the_same_is_found():
    async def story() -> None:
        table = device_table("Pump 7", smp=True, extra=EXTRA)
        assert as_rows(await Asked(table).client.discover()) == found_in(table)

    run(story())


def test_the_only_descriptor_of_what_notifies_is_its_configuration_and_others_are_asked_for():
    async def story() -> None:
        asked = Asked(maintenance())
        smp = next(s for s in await asked.client.discover() if s.uuid == SMP[0]).characteristics[0]
        assert await asked.client.find_ccc(smp) == smp.handle + 1
        assert not asked.counts[AttOpcode.FIND_INFORMATION_REQ]
        assert await asked.client.find_ccc(replace(smp, end=smp.end + 1)) == smp.handle + 1
        assert asked.counts[AttOpcode.FIND_INFORMATION_REQ] == 1
        await asked.client.find_ccc(replace(smp, properties=int(Property.READ)))
        assert asked.counts[AttOpcode.FIND_INFORMATION_REQ] == 2, "what does not notify need have none"

    run(story())


@pytest.mark.parametrize("code", [0x01, 0x05, 0x0A, 0x0E])
def test_a_server_without_a_hash_is_discovered_all_the_same(code: int):
    def refuse(pdu: bytes) -> bytes | None:
        if pdu[5:] == uuid_bytes(DATABASE_HASH_UUID):
            return struct.pack("<BBHB", AttOpcode.ERROR_RSP, pdu[0], 1, code)
        return None

    async def story() -> None:
        asked = Asked(normal(), refuse)
        assert await asked.client.read_hash() == b""
        assert as_rows(await asked.client.discover()) == found_in(normal())

    run(story())


def test_a_declaration_that_goes_backwards_ends_discovery():
    def backwards(pdu: bytes) -> bytes | None:
        if pdu[0] == AttOpcode.READ_BY_TYPE_REQ and pdu[1] > 1:
            return bytes([AttOpcode.READ_BY_TYPE_RSP, 7]) + struct.pack("<HBH", 1, 2, 2) + b"\x00\x2a"
        return None

    async def story() -> None:
        with pytest.raises(RemoteError, match="discovery would never end"):
            await Asked(maintenance(), backwards).client.discover()

    run(story())


# --- tables that are known ---


def spied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often a table was discovered."""
    times: list[int] = []
    discover = AttClient.discover

    async def noted(self: AttClient) -> tuple[FoundService, ...]:
        times.append(1)
        return await discover(self)

    monkeypatch.setattr(AttClient, "discover", noted)
    return times


def test_a_table_that_the_server_says_is_the_same_is_discovered_once(monkeypatch: pytest.MonkeyPatch):
    times = spied(monkeypatch)

    async def story() -> None:
        async with World() as world:
            adapter = world.adapter()
            for _ in range(3):
                link = await adapter.connect("F0:00:00:00:00:07", 5_000)
                await link.subscribe(*SMP, print)
                await link.close()
            assert len(times) == 1
            world.device.radio.set_table(normal(), live=False)
            link = await adapter.connect("F0:00:00:00:00:07", 5_000)
            assert len(times) == 2, "another hash"
            assert SMP[0] not in link.services
            await link.close()
            world.device.radio.set_table(maintenance(), live=False)
            link = await adapter.connect("F0:00:00:00:00:07", 5_000)
            assert len(times) == 2, "the first one again"
            assert SMP[0] in link.services
            await (await world.adapter().connect("F0:00:00:00:00:07", 5_000)).close()
            assert len(times) == 3, "another adapter knows nothing of it"

    run(story())


def test_a_table_that_is_not_what_its_hash_said_costs_one_connection(monkeypatch: pytest.MonkeyPatch):
    """A server that forgets to change its hash: its service lies elsewhere, and the subscription is refused."""
    times = spied(monkeypatch)

    async def same(_self: AttClient) -> bytes:
        return b"the same for ever"

    monkeypatch.setattr(AttClient, "read_hash", same)

    async def story() -> None:
        async with World() as world:
            adapter = world.adapter()
            await (await adapter.connect("F0:00:00:00:00:07", 5_000)).close()
            world.device.radio.set_table(normal(), live=False)
            link = await adapter.connect("F0:00:00:00:00:07", 5_000)
            assert len(times) == 1
            with pytest.raises(AttRefused):
                await link.subscribe(*SMP, print)
            await link.close()
            link = await adapter.connect("F0:00:00:00:00:07", 5_000)
            assert len(times) == 2
            assert SMP[0] not in link.services

    run(story())


def test_a_refusal_by_the_application_says_nothing_against_the_table(monkeypatch: pytest.MonkeyPatch):
    times = spied(monkeypatch)

    async def story() -> None:
        async with World(shown=maintenance(smp_authorized=True)) as world:
            adapter = world.adapter()
            for _ in range(2):
                link = await adapter.connect("F0:00:00:00:00:07", 5_000)
                with pytest.raises(AttRefused, match=r"0x08 \(insufficient authorization\)"):
                    await link.subscribe(*SMP, print)
                await link.close()
            assert len(times) == 1

    run(story())


def test_tables_are_known_by_address_and_hash_and_not_without_end():
    tables, table = KnownTables(), (FoundService(uuid=GATT_SERVICE_UUID, start=1, end=8),)
    tables.note("A", b"1", table)
    assert tables.find("A", b"1") == table
    assert tables.find("B", b"1") is None
    assert tables.find("A", b"2") is None
    tables.note("A", b"", table)
    assert tables.find("A", b"") is None, "nobody could say that it is the same"
    tables.forget("A", b"1")
    tables.forget("A", b"1")
    assert tables.find("A", b"1") is None
    for n in range(MAX_TABLES + 1):
        tables.note("A", bytes([n]), table)
    assert tables.find("A", b"\x00") is None
    assert tables.find("A", b"\x01") == table
