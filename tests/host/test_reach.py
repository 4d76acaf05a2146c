import asyncio
from collections.abc import AsyncGenerator

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import MODE_SERVICE, SMP_SERVICE, PeerAir, PeerGattLink, SmpPeer

from keyswitch.errors import InputError, LinkLostError, RemoteError
from keyswitch.host.job import Job, Outcome
from keyswitch.host.reach import NAMESAKES_MS, BleReach, Wanted, token_of
from keyswitch.host.update import update
from keyswitch.link.air.clock import run
from keyswitch.link.ports import Sighting
from keyswitch.reasons import Reason

OLD = make_image()
TOKEN = b"\x01\x02\x03\x04"


def heard(address: str = "C0:00:00:00:00:01", name: str = "Pump 7", token: bytes | None = TOKEN) -> Sighting:
    manufacturer = None if token is None else (0xFFFF, b"\x10" + token)
    return Sighting(address=address, name=name, manufacturer=manufacturer)


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Wanted(name="Pump 7"), True),
        (Wanted(name="Pump 8"), False),
        (Wanted(), False),
        (Wanted(addresses=frozenset({"C0:00:00:00:00:01"})), True),
        (Wanted(tokens=frozenset({TOKEN})), True),
        (Wanted(tokens=frozenset({b"else"}), addresses=frozenset({"C0:00:00:00:00:01"})), True),
        (Wanted(name="Pump 7", tokens=frozenset({b"else"})), False),
        (Wanted(name="Pump 7", addresses=frozenset({"C0:00:00:00:00:02"})), False),
    ],
)
def test_what_tells_the_device_from_others(wanted: Wanted, *, matches: bool):
    assert wanted.matches(heard()) is matches


@pytest.mark.parametrize(
    ("sighting", "token"),
    [
        (heard(), TOKEN),
        (heard(token=None), None),
        (Sighting(address="", manufacturer=(0x59, b"\x01\x02")), None),
        (Sighting(address="", manufacturer=(0x59, b"\x20\x01\x02\x03\x04")), None),
    ],
)
def test_tokens(sighting: Sighting, token: bytes | None):
    assert token_of(sighting) == token


def test_the_first_connection_learns_what_the_next_ones_look_for():
    async def story() -> None:
        peer = SmpPeer(OLD)
        reach = BleReach(PeerAir(peer), target="ble:Pump 7", name="Pump 7")
        connection = await reach.connect()
        assert reach.wanted == Wanted(tokens=frozenset({TOKEN}), addresses=frozenset({peer.address}))
        assert connection.token == TOKEN
        assert connection.smp is None
        assert connection.mode is not None

    run(story())


def test_names_are_listened_for_a_little_longer_and_addresses_are_not():
    async def story(name: str | None, address: str | None) -> int:
        reach = BleReach(PeerAir(SmpPeer(OLD)), target="ble:", name=name, address=address)
        await reach.connect()
        return round(asyncio.get_running_loop().time() * 1000)

    by_name = run(story("Pump 7", None))
    by_address = run(story(None, "C0:00:00:00:00:01"))
    assert by_name - by_address == NAMESAKES_MS


def test_a_namesake_is_refused_with_the_addresses():
    async def story() -> None:
        peers = [SmpPeer(OLD, address=f"C0:00:00:00:00:0{n}") for n in (2, 1)]
        with pytest.raises(InputError, match="2 devices have this name: C0:00:00:00:00:01, C0:00:00:00:00:02"):
            await BleReach(PeerAir(*peers), target="ble:Pump 7", name="Pump 7").connect()

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
            await BleReach(SlowAir(*peers), target="ble:Pump 7", name="Pump 7").connect()

    run(story())


def test_an_advertisement_without_the_smp_service_is_not_believed_when_it_is_wanted():
    async def story() -> None:
        peer = SmpPeer(OLD)
        reach = BleReach(PeerAir(peer), target="ble:Pump 7", name="Pump 7")
        asyncio.get_running_loop().call_later(3, lambda: setattr(peer, "mode", "maintenance"))
        connection = await reach.connect(smp_shown=True)
        assert connection.smp is not None
        assert asyncio.get_running_loop().time() > 3

    run(story())


def test_what_is_not_heard_in_time():
    async def story() -> None:
        reach = BleReach(PeerAir(SmpPeer(OLD)), target="ble:Pump 7", name="Pump 7")
        with pytest.raises(LinkLostError, match="was not heard with the SMP service within 10000 ms"):
            await reach.connect(smp_shown=True)
        assert 10 <= asyncio.get_running_loop().time() < 11

    run(story())


def test_a_device_that_takes_no_connections_is_passed_over():
    class Deaf(PeerAir):
        async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
            async for sighting in super().scan(timeout_ms):
                yield Sighting(address=sighting.address, name=sighting.name, connectable=False)

    async def story() -> None:
        with pytest.raises(LinkLostError, match="was not heard"):
            await BleReach(Deaf(SmpPeer(OLD)), target="ble:Pump 7", name="Pump 7").connect(timeout_ms=1000)

    run(story())


@pytest.mark.parametrize("service", [MODE_SERVICE, SMP_SERVICE])
def test_a_connection_that_does_not_get_ready_is_closed(service: str, monkeypatch: pytest.MonkeyPatch):
    links: list[PeerGattLink] = []
    subscribe = PeerGattLink.subscribe

    async def hang(self: PeerGattLink, wanted: str, characteristic: str, sink: object) -> None:
        links.append(self)
        if wanted == service:
            await asyncio.sleep(3600)
        await subscribe(self, wanted, characteristic, sink)  # type: ignore[arg-type]

    monkeypatch.setattr(PeerGattLink, "subscribe", hang)

    async def story() -> None:
        peer = SmpPeer(OLD, service="always")
        with pytest.raises(LinkLostError, match="connected, but was not ready in time"):
            await BleReach(PeerAir(peer), target="ble:Pump 7", name="Pump 7").connect()
        assert links[0].closed == "closed by us"
        assert not peer.links

    run(story())


def test_a_refused_subscription_is_told_with_the_connection(monkeypatch: pytest.MonkeyPatch):
    subscribe = PeerGattLink.subscribe

    async def refuse(self: PeerGattLink, service: str, characteristic: str, sink: object) -> None:
        if service == SMP_SERVICE:
            raise RemoteError("ATT error 0x05 (insufficient authentication)")
        await subscribe(self, service, characteristic, sink)  # type: ignore[arg-type]

    monkeypatch.setattr(PeerGattLink, "subscribe", refuse)

    async def story() -> None:
        connection = await BleReach(
            PeerAir(SmpPeer(OLD, service="always")), target="ble:Pump 7", name="Pump 7"
        ).connect()
        assert connection.smp is None
        assert "0x05" in str(connection.trouble)

    run(story())


@pytest.mark.parametrize("asked", [True, False])
def test_pairing_is_done_before_anything_is_asked(*, asked: bool, monkeypatch: pytest.MonkeyPatch):
    done: list[str] = []

    async def pair(_self: PeerGattLink) -> None:
        done.append("paired")

    subscribe = PeerGattLink.subscribe

    async def note(self: PeerGattLink, service: str, characteristic: str, sink: object) -> None:
        done.append("subscribed")
        await subscribe(self, service, characteristic, sink)  # type: ignore[arg-type]

    monkeypatch.setattr(PeerGattLink, "pair", pair)
    monkeypatch.setattr(PeerGattLink, "subscribe", note)

    async def story() -> None:
        reach = BleReach(PeerAir(SmpPeer(OLD)), target="ble:Pump 7", name="Pump 7", pair=asked)
        await reach.connect()
        assert done == (["paired", "subscribed"] if asked else ["subscribed"])

    run(story())


def test_a_pairing_that_fails_is_a_refusal_with_what_to_do(monkeypatch: pytest.MonkeyPatch):
    async def refuse(_self: PeerGattLink) -> None:
        raise RemoteError("pairing failed: confirm value failed")

    monkeypatch.setattr(PeerGattLink, "pair", refuse)

    async def story() -> None:
        peer = SmpPeer(OLD)
        result = await update(BleReach(PeerAir(peer), target="ble:Pump 7", name="Pump 7", pair=True), Job())
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.SECURITY), result
        assert "remove the bond on both sides" in result.next_step
        assert not peer.links

    run(story())
