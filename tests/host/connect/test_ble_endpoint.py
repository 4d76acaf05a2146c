import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import MODE_SERVICE, SMP_SERVICE, PeerAir, PeerGattLink, SmpPeer

from keyswitch.errors import InputError, LinkLostError, RemoteError
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.mode_group import Expected
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.connect.ble_endpoint import DEVICE_NAME_UUID, NAMESAKES_MS, OURS_NAMESAKES_MS, BleEndpoint
from keyswitch.host.connect.recognition import Wanted
from keyswitch.host.update.job import Job, JobImage, Outcome
from keyswitch.host.update.run import update
from keyswitch.link.air.clock import run
from keyswitch.link.peripheral import ADVERTISING_INTERVAL_MS, AWAITED_INTERVAL_MS
from keyswitch.link.ports import GattRefused, PairingError, PairingFailure, Sighting
from keyswitch.reasons import Reason
from keyswitch.smp.groups.mode import SLOWEST_ADVERTISING_MS

OLD = make_image()
NEW = make_image("1.1.0")
TOKEN = b"\x01\x02\x03\x04"


def test_the_first_connection_learns_what_the_next_ones_look_for():
    async def story() -> None:
        peer = SmpPeer(OLD)
        endpoint = BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7")
        connection = await endpoint.connect()
        assert endpoint.wanted == Wanted(tokens=frozenset({TOKEN}), addresses=frozenset({peer.address}))
        assert connection.token == TOKEN
        assert connection.smp is None
        assert connection.mode is not None

    run(story())


class LaterAir(PeerAir):
    """The second device is heard from a time on; and who is connected to is noted, with the time."""

    def __init__(self, *peers: SmpPeer, from_ms: int = 0, hears: bool = True) -> None:
        super().__init__(*peers)
        self.from_ms = from_ms
        self.hears_while_connecting = hears
        self.connected_at: list[int] = []

    async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        async for sighting in super().scan(timeout_ms):
            if sighting.address == self.peers[0].address or now_ms() >= self.from_ms:
                yield sighting

    async def connect(self, address: str, timeout_ms: int) -> PeerGattLink:
        self.connected_at.append(now_ms())
        return await super().connect(address, timeout_ms)


def now_ms() -> int:
    return round(asyncio.get_running_loop().time() * 1000)


def two() -> list[SmpPeer]:
    return [SmpPeer(OLD, address=f"C0:00:00:00:00:0{n}") for n in (1, 2)]


@pytest.mark.parametrize(
    ("ours", "beacon", "hears", "connected_ms", "ready_ms"),
    [
        (False, True, True, 0, NAMESAKES_MS),
        (True, True, True, 0, OURS_NAMESAKES_MS),
        # Without a beacon it is none of ours, whatever is meant: others of the name can be as slow as any.
        (True, False, True, 0, NAMESAKES_MS),
        # A radio that may not hear while it connects listens first; a silence meanwhile would say nothing.
        (False, True, False, NAMESAKES_MS, NAMESAKES_MS + 160),
        (True, True, False, OURS_NAMESAKES_MS, OURS_NAMESAKES_MS + 160),
    ],
)
def test_how_long_others_of_a_name_are_listened_for(
    *, ours: bool, beacon: bool, hears: bool, connected_ms: int, ready_ms: int
):
    async def story() -> None:
        air = LaterAir(SmpPeer(OLD, mode_group=beacon, gated=beacon), hears=hears)
        await BleEndpoint(air, target="ble:Pump 7", name="Pump 7").connect(ours=ours)
        assert air.connected_at == [connected_ms]
        assert ready_ms <= now_ms() <= max(ready_ms, 1)

    run(story())


def test_an_address_is_connected_to_at_once():
    async def story() -> None:
        await BleEndpoint(PeerAir(*two()), target="ble:", address="C0:00:00:00:00:01").connect()
        assert now_ms() < 200

    run(story())


def test_four_advertisements_of_the_slowest_of_ours_are_waited_for():
    assert OURS_NAMESAKES_MS == 4 * (SLOWEST_ADVERTISING_MS + 10)
    assert max(ADVERTISING_INTERVAL_MS, AWAITED_INTERVAL_MS) <= SLOWEST_ADVERTISING_MS


@pytest.mark.parametrize(("ours", "window_ms"), [(False, NAMESAKES_MS), (True, OURS_NAMESAKES_MS)])
@pytest.mark.parametrize("hears", [True, False])
@pytest.mark.parametrize("at", ["while it connects", "at the very end"])
def test_a_namesake_that_appears_late_is_found_before_anything_is_asked(
    *, ours: bool, window_ms: int, hears: bool, at: str, monkeypatch: pytest.MonkeyPatch
):
    """It is heard when the first one is connected to already: that connection is ended, and nothing was learned."""
    links: list[PeerGattLink] = []
    make = PeerGattLink.__init__

    def noted(self: PeerGattLink, *arguments: Any) -> None:
        links.append(self)
        make(self, *arguments)

    monkeypatch.setattr(PeerGattLink, "__init__", noted)

    async def story() -> None:
        peers = two()
        from_ms = 100 if at == "while it connects" else (window_ms - 1) // 100 * 100
        air = LaterAir(*peers, from_ms=from_ms, hears=hears)
        endpoint = BleEndpoint(air, target="ble:Pump 7", name="Pump 7")
        with pytest.raises(InputError, match="2 devices have this name: C0:00:00:00:00:01, C0:00:00:00:00:02"):
            await endpoint.connect(ours=ours)
        assert [peer.served for peer in peers] == [0, 0]
        assert [link.closed for link in links] == ["closed by us"] * hears
        assert endpoint.wanted == Wanted(name="Pump 7"), "it is still looked for by its name"
        await asyncio.sleep(0.001)
        assert len(asyncio.all_tasks()) == 1

    run(story())


@pytest.mark.parametrize("ours", [True, False])
def test_an_update_touches_nobody_where_a_namesake_appears_late(*, ours: bool):
    async def story() -> None:
        peers = two()
        air = LaterAir(*peers, from_ms=600)
        expected = Expected(device="Pump 7", policy=b"policy!!") if ours else None
        job = Job(
            images=(JobImage(data=NEW.data, hash=NEW.hash, version=NEW.version),),
            way=ModeGroupStrategy("maintenance", Secret(b"s" * 32), expected=expected),
        )
        with pytest.raises(InputError, match="2 devices have this name"):
            await update(BleEndpoint(air, target="ble:Pump 7", name="Pump 7"), job)
        assert [(peer.mode, peer.served, len(peer.links)) for peer in peers] == [("normal", 0, 0)] * 2

    run(story())


def test_after_the_first_connection_a_namesake_is_nobody():
    """Another one appears in maintenance mode, first on the air: it is not connected to, and nobody listens for it."""

    async def story() -> None:
        peers = two()
        peers[1].token = b"else"
        air = LaterAir(peers[1], peers[0])
        air.from_ms = 10**6
        endpoint = BleEndpoint(air, target="ble:Pump 7", name="Pump 7")
        first = await endpoint.connect(ours=True)
        await first.close()
        air.from_ms, began = 0, now_ms()
        peers[0].mode = peers[1].mode = "maintenance"
        again = await endpoint.connect(smp_shown=True, ours=True)
        assert again.gatt is not None
        assert again.gatt.address == peers[1].address
        assert now_ms() - began < 300

    run(story())


@pytest.mark.parametrize("namesake", [True, False])
def test_nobody_is_paired_with_before_it_is_known_to_be_the_only_one(
    *, namesake: bool, monkeypatch: pytest.MonkeyPatch
):
    paired: list[int] = []

    async def pair(_self: PeerGattLink) -> None:
        paired.append(now_ms())

    monkeypatch.setattr(PeerGattLink, "pair", pair)

    async def story() -> None:
        air = LaterAir(*two(), from_ms=1_500 if namesake else 10**6)
        endpoint = BleEndpoint(air, target="ble:Pump 7", name="Pump 7", pair=True)
        if namesake:
            with pytest.raises(InputError):
                await endpoint.connect()
            assert paired == []
            assert air.connected_at == []
        else:
            await endpoint.connect()
            assert len(paired) == 1
            assert paired[0] >= NAMESAKES_MS

    run(story())


def test_a_radio_that_is_lost_while_it_listens_has_not_heard_that_nobody_is_there():
    class Lost(LaterAir):
        async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
            async for sighting in super().scan(timeout_ms):
                if now_ms() >= 1_000:
                    raise LinkLostError("the controller is gone")
                yield sighting

    async def story() -> None:
        peer = SmpPeer(OLD)
        endpoint = BleEndpoint(Lost(peer), target="ble:Pump 7", name="Pump 7")
        with pytest.raises(LinkLostError, match="the controller is gone"):
            await endpoint.connect()
        assert not peer.links
        assert endpoint.wanted == Wanted(name="Pump 7")

    run(story())


@pytest.mark.parametrize("at_ms", [0, 50, 150, 500, 1_999])
def test_a_connection_that_is_given_up_while_it_listens_leaves_nothing_behind(at_ms: int):
    async def story() -> None:
        peer = SmpPeer(OLD)
        endpoint = BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7")
        task = asyncio.ensure_future(endpoint.connect())
        await asyncio.sleep(at_ms / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not peer.links
        assert len(asyncio.all_tasks()) == 1

    run(story())


def test_a_device_that_does_not_answer_while_it_is_listened_for_is_looked_for_again_with_its_namesakes():
    class Away(LaterAir):
        async def connect(self, address: str, timeout_ms: int) -> PeerGattLink:
            if not self.connected_at:
                self.connected_at.append(now_ms())
                raise LinkLostError("not connected in time")
            return await super().connect(address, timeout_ms)

    async def story() -> None:
        air = Away(*two(), from_ms=1_000)
        endpoint = BleEndpoint(air, target="ble:Pump 7", name="Pump 7")
        with pytest.raises(LinkLostError, match="not connected in time"):
            await endpoint.connect()
        with pytest.raises(InputError, match="2 devices"):
            await endpoint.connect()

    run(story())


def test_a_token_is_read_again_only_where_another_one_is_advertised(monkeypatch: pytest.MonkeyPatch):
    reads: list[bytes] = []
    read = PeerGattLink.read

    async def noted(self: PeerGattLink, service: str, characteristic: str) -> bytes:
        reads.append(self.peer.token)
        return await read(self, service, characteristic)

    monkeypatch.setattr(PeerGattLink, "read", noted)

    async def story() -> None:
        peer = SmpPeer(OLD)
        endpoint = BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7")
        for token in (TOKEN, TOKEN, b"new!", b"new!"):
            peer.token = token
            connection = await endpoint.connect()
            assert connection.token == token
            await connection.close()
        assert reads == [TOKEN, b"new!"]

    run(story())


def test_a_namesake_is_refused_with_the_addresses():
    async def story() -> None:
        peers = [SmpPeer(OLD, address=f"C0:00:00:00:00:0{n}") for n in (2, 1)]
        with pytest.raises(InputError, match="2 devices have this name: C0:00:00:00:00:01, C0:00:00:00:00:02"):
            await BleEndpoint(PeerAir(*peers), target="ble:Pump 7", name="Pump 7").connect()

    run(story())


class SlowAir(PeerAir):
    """The second device advertises as rarely as is usual, and is heard after the first."""

    async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        async for sighting in super().scan(timeout_ms):
            now_ms = round(asyncio.get_running_loop().time() * 1000)
            if sighting.address != self.peers[1].address or (now_ms > 0 and now_ms % 1_300 < 100):
                yield sighting


def test_a_namesake_that_advertises_rarely_is_heard_too():
    async def story() -> None:
        peers = [SmpPeer(OLD, address=f"C0:00:00:00:00:0{n}") for n in (1, 2)]
        with pytest.raises(InputError, match="2 devices have this name: C0:00:00:00:00:01, C0:00:00:00:00:02"):
            await BleEndpoint(SlowAir(*peers), target="ble:Pump 7", name="Pump 7").connect()

    run(story())


def test_an_advertisement_without_the_smp_service_is_not_believed_when_it_is_wanted():
    async def story() -> None:
        peer = SmpPeer(OLD)
        endpoint = BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7")
        asyncio.get_running_loop().call_later(3, lambda: setattr(peer, "mode", "maintenance"))
        connection = await endpoint.connect(smp_shown=True)
        assert connection.smp is not None
        assert asyncio.get_running_loop().time() > 3

    run(story())


def test_a_stranger_with_a_beginning_of_the_name_is_nobody_where_the_whole_name_is_told():
    class Air(PeerAir):
        def sighting(self, peer: SmpPeer) -> Sighting:
            heard = super().sighting(peer)
            return heard if peer is self.peers[1] else replace(heard, name="", short_name="Pu")

    async def story() -> None:
        peers = two()
        connection = await BleEndpoint(Air(*peers), target="ble:Pump 7", name="Pump 7").connect()
        assert connection.gatt is not None
        assert connection.gatt.address == peers[1].address

    run(story())


class NamedAir(PeerAir):
    """Devices whose advertisements are changed: other names, other addresses, shortened names."""

    def __init__(self, *peers: SmpPeer, **changes: Any) -> None:
        super().__init__(*peers)
        self.changes = changes

    async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        async for sighting in super().scan(timeout_ms):
            yield replace(sighting, **self.changes)


def test_what_was_heard_is_said_where_the_device_was_not():
    async def story() -> None:
        peers = [
            SmpPeer(OLD, address=f"C0:00:00:00:00:{number:02X}", name=name)
            for number, name in enumerate(["Lamp", "PUMP 7", "", "Pump 8", "Cup", "Jug", "Box"])
        ]
        endpoint = BleEndpoint(PeerAir(*peers), target="ble:Pump 7", name="Pump 7")
        with pytest.raises(LinkLostError) as raised:
            await endpoint.connect(timeout_ms=1_000)
        assert str(raised.value) == (
            'ble:Pump 7 was not heard within 1000 ms; heard: "PUMP 7" at C0:00:00:00:00:01 (differs by upper and lower '
            'case), "Lamp" at C0:00:00:00:00:00, "Pump 8" at C0:00:00:00:00:03, "Cup" at C0:00:00:00:00:04, 3 more'
        )

    run(story())


def test_what_is_said_where_nobody_is_or_nobody_takes_connections():
    async def said(air: PeerAir) -> str:
        with pytest.raises(LinkLostError) as raised:
            await BleEndpoint(air, target="ble:Pump 7", name="Pump 7").connect(timeout_ms=300)
        return str(raised.value)

    async def story() -> None:
        assert (await said(PeerAir())).endswith("within 300 ms; nothing was heard at all")
        assert (await said(NamedAir(SmpPeer(OLD), name=""))).endswith("; heard: 1 without a name")
        busy = await said(NamedAir(SmpPeer(OLD), connectable=False))
        assert busy.endswith('; heard: "Pump 7" at C0:00:00:00:00:01 (takes no connection now)')

    run(story())


@pytest.mark.parametrize(
    ("target", "short", "whole", "problem"),
    [
        ("Pump 7 in the hall", "Pump 7 in", "Pump 7 in the hall", ""),
        ("Pump 7 in", "Pump 7 in", "Pump 7 in the hall", ""),
        ("Pump 7 in the hall", "Pump 7 in", "Pump 7 in the shed", "it calls itself 'Pump 7 in the shed'"),
        ("Pump 7 in the hall", "Pump 7 in", None, "it does not tell the whole"),
        ("Pump 7 in the hall", "", "Pump 7 in the hall", "was not heard"),
        ("Lamp", "Pump 7 in", "Lamp", "was not heard"),
    ],
)
def test_a_shortened_name_is_heard_and_the_whole_one_asked_for(
    target: str, short: str, whole: str | None, problem: str, monkeypatch: pytest.MonkeyPatch
):
    read = PeerGattLink.read

    async def reads(self: PeerGattLink, service: str, characteristic: str) -> bytes:
        if characteristic != DEVICE_NAME_UUID:
            return await read(self, service, characteristic)
        if whole is None:
            raise RemoteError("ATT error 0x02 (read not permitted)")
        return whole.encode()

    monkeypatch.setattr(PeerGattLink, "read", reads)

    async def story() -> None:
        peer = SmpPeer(OLD)
        endpoint = BleEndpoint(NamedAir(peer, name="", short_name=short), target=f"ble:{target}", name=target)
        if problem:
            with pytest.raises((InputError, LinkLostError), match=problem):
                await endpoint.connect(timeout_ms=5_000)
            assert (peer.served, len(peer.links)) == (0, 0)
        else:
            await endpoint.connect()

    run(story())


def test_what_is_not_heard_in_time():
    async def story() -> None:
        endpoint = BleEndpoint(PeerAir(SmpPeer(OLD)), target="ble:Pump 7", name="Pump 7")
        with pytest.raises(LinkLostError, match="was not heard with the SMP service within 10000 ms"):
            await endpoint.connect(smp_shown=True)
        assert 10 <= asyncio.get_running_loop().time() < 11

    run(story())


def test_a_device_that_takes_no_connections_is_passed_over():
    class Deaf(PeerAir):
        async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
            async for sighting in super().scan(timeout_ms):
                yield Sighting(address=sighting.address, name=sighting.name, connectable=False)

    async def story() -> None:
        with pytest.raises(LinkLostError, match="was not heard"):
            await BleEndpoint(Deaf(SmpPeer(OLD)), target="ble:Pump 7", name="Pump 7").connect(timeout_ms=1000)

    run(story())


@pytest.mark.parametrize("service", [MODE_SERVICE, SMP_SERVICE])
def test_a_connection_that_does_not_get_ready_is_closed(service: str, monkeypatch: pytest.MonkeyPatch):
    links: list[PeerGattLink] = []
    subscribe = PeerGattLink.subscribe

    async def hang(self: PeerGattLink, wanted: str, characteristic: str, sink: object) -> None:
        links.append(self)
        if wanted == service:
            await asyncio.sleep(3600)
        await subscribe(self, wanted, characteristic, sink)

    monkeypatch.setattr(PeerGattLink, "subscribe", hang)

    async def story() -> None:
        peer = SmpPeer(OLD, service="always")
        with pytest.raises(LinkLostError, match="connected, but was not ready in time"):
            await BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7").connect()
        assert links[0].closed == "closed by us"
        assert not peer.links

    run(story())


def test_a_refused_subscription_is_told_with_the_connection(monkeypatch: pytest.MonkeyPatch):
    subscribe = PeerGattLink.subscribe

    async def refuse(self: PeerGattLink, service: str, characteristic: str, sink: object) -> None:
        if service == SMP_SERVICE:
            raise RemoteError("ATT error 0x05 (insufficient authentication)")
        await subscribe(self, service, characteristic, sink)

    monkeypatch.setattr(PeerGattLink, "subscribe", refuse)

    async def story() -> None:
        connection = await BleEndpoint(
            PeerAir(SmpPeer(OLD, service="always")), target="ble:Pump 7", name="Pump 7"
        ).connect()
        assert connection.smp is None
        assert "0x05" in str(connection.trouble)

    run(story())


def test_a_service_that_was_refused_is_asked_for_again_over_the_same_link(monkeypatch: pytest.MonkeyPatch):
    subscribe, asked = PeerGattLink.subscribe, list[str]()
    refusals: list[RemoteError] = [GattRefused("first", 0x08), GattRefused("second", 0x08)]

    async def refuse(self: PeerGattLink, service: str, characteristic: str, sink: Callable[[bytes], None]) -> None:
        asked.append(service)
        if service == SMP_SERVICE and refusals:
            raise refusals.pop(0)
        await subscribe(self, service, characteristic, sink)

    monkeypatch.setattr(PeerGattLink, "subscribe", refuse)

    async def story() -> None:
        peer = SmpPeer(OLD, service="always")
        connection = await BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7").connect()
        assert (connection.smp, connection.heal, str(connection.trouble)) == (None, None, "first")
        assert not await connection.open_smp()
        assert str(connection.trouble) == "second"
        assert await connection.open_smp()
        assert connection.trouble is None
        assert connection.smp is not None
        assert connection.heal is not None
        assert sum(isinstance(link, PeerGattLink) for link in peer.links) == 1
        times = asked.count(SMP_SERVICE)
        assert await connection.open_smp()  # it is there: nothing is asked
        assert asked.count(SMP_SERVICE) == times == 3

    run(story())


def test_a_service_that_is_not_there_is_not_asked_for():
    async def story() -> None:
        connection = await BleEndpoint(PeerAir(SmpPeer(OLD)), target="ble:Pump 7", name="Pump 7").connect()
        assert connection.trouble is None
        assert not await connection.open_smp()

    run(story())


@pytest.mark.parametrize("asked", [True, False])
def test_pairing_is_done_before_anything_is_asked(*, asked: bool, monkeypatch: pytest.MonkeyPatch):
    done: list[str] = []

    async def pair(_self: PeerGattLink) -> None:
        done.append("paired")

    subscribe = PeerGattLink.subscribe

    async def note(self: PeerGattLink, service: str, characteristic: str, sink: object) -> None:
        done.append("subscribed")
        await subscribe(self, service, characteristic, sink)

    monkeypatch.setattr(PeerGattLink, "pair", pair)
    monkeypatch.setattr(PeerGattLink, "subscribe", note)

    async def story() -> None:
        endpoint = BleEndpoint(PeerAir(SmpPeer(OLD)), target="ble:Pump 7", name="Pump 7", pair=asked)
        await endpoint.connect()
        assert done == (["paired", "subscribed"] if asked else ["subscribed"])

    run(story())


def test_a_pairing_that_fails_is_a_refusal_with_what_to_do(monkeypatch: pytest.MonkeyPatch):
    async def refuse(_self: PeerGattLink) -> None:
        raise PairingError(PairingFailure.FORGOTTEN)

    monkeypatch.setattr(PeerGattLink, "pair", refuse)

    async def story() -> None:
        peer = SmpPeer(OLD)
        result = await update(BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7", pair=True), Job())
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.SECURITY), result
        assert "remove the bond on this computer" in result.next_step
        assert not peer.links

    run(story())
