import asyncio
from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import Fate, Faults, PeerLink, SmpPeer

from keyswitch.errors import LinkLostError, RemoteError
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.upload.encoder import Requests
from keyswitch.host.upload.frame_size import (
    LEAST_FRAME,
    SMALLER,
    TRY_MS,
    ArrivingFrame,
    capacity_of,
    frame_that_arrives,
    smaller,
)
from keyswitch.host.upload.uploader import Capacity
from keyswitch.link.air.clock import run


def narrow(takes: int) -> Faults:
    """A line that loses frames larger than this."""
    return Faults(lambda way, _n, packet: Fate(drop=way == "request" and len(packet) > takes))


@pytest.mark.parametrize(
    ("told", "takes", "found"),
    [
        (2475, 2475, 2475),
        (2475, 2474, 1024),
        (384, 384, 384),
        (384, 383, 256),
        (384, 200, 169),
        (384, 150, 128),
        (384, 10, 128),
        (100, 10, 100),
        (4096, 5000, 4096),
        (4096, 3000, 2475),
    ],
)
def test_the_largest_frame_that_is_answered(told: int, takes: int, found: int):
    async def story() -> None:
        peer = SmpPeer(make_image(), gated=False, buf_size=told)
        link = PeerLink(peer, narrow(takes))
        arriving = await frame_that_arrives(SmpClient(link), told)
        assert arriving == ArrivingFrame(size=found, lost=found < told)
        tried = [len(packet) for packet in link.sent]
        assert tried == sorted(tried, reverse=True)
        assert asyncio.get_running_loop().time() <= (len(SMALLER) + 2) * TRY_MS / 1000

    run(story())


@pytest.mark.parametrize("frame", [28, 31, 32, 33, 100, 264, 265, 266, 267, 2475, 65_000])
def test_the_frame_tried_is_never_larger_and_hardly_smaller(frame: int):
    async def story() -> None:
        peer = SmpPeer(make_image(), gated=False, buf_size=70_000)
        link = PeerLink(peer)
        await frame_that_arrives(SmpClient(link), frame)
        if link.sent:
            assert frame - 1 <= len(link.sent[0]) <= frame

    run(story())


def capacity(buf_size: int, buf_count: int) -> Capacity:
    async def story() -> Capacity:
        peer = SmpPeer(make_image(), gated=False, buf_size=70_000)
        peer.veto = lambda _op, _group, command, _body: (
            {"buf_size": buf_size, "buf_count": buf_count} if command else {"r": ""}
        )
        return await capacity_of(SmpClient(PeerLink(peer)))

    return run(story())


@pytest.mark.parametrize(
    ("size", "count", "frame", "outstanding"),
    [
        (LEAST_FRAME, 2, LEAST_FRAME, 1),
        (65_543, 65, 65_543, 64),
        (65_544, 66, 65_543, 64),
        (1 << 63, 1 << 63, 65_543, 64),
    ],
)
def test_silly_buffers_are_bounded(size: int, count: int, frame: int, outstanding: int):
    assert capacity(size, count) == Capacity(frame=frame, outstanding=outstanding)


@pytest.mark.parametrize("size", [1, 9, LEAST_FRAME - 1])
def test_buffers_that_nothing_fits_in_are_the_devices_fault(size: int):
    with pytest.raises(RemoteError, match=f"buffers have {size} bytes"):
        capacity(size, 4)


def test_the_least_frame_holds_the_first_request_of_any_image():
    assert Requests(bytes(1 << 24), frame=LEAST_FRAME, number=255).room(0) >= Requests.LEAST_FIRST


@pytest.mark.parametrize("said", [{"rc": 7}, {"rc": 8}, {"rc": 11, "rsn": "wrong mode"}])
def test_a_refusal_says_that_it_arrived(said: dict[str, Any]):
    async def story() -> None:
        peer = SmpPeer(make_image(), gated=False)
        peer.veto = lambda _op, _group, _command, _body: said
        assert await frame_that_arrives(SmpClient(PeerLink(peer)), 2475) == ArrivingFrame(size=2475)

    run(story())


@pytest.mark.parametrize(("takes", "frame"), [(2475, 2475), (2474, 1024), (300, 256), (244, 244), (10, 128)])
def test_what_is_refused_as_cut_did_not_arrive_and_costs_a_round_trip_alone(takes: int, frame: int):
    async def story() -> None:
        peer = SmpPeer(make_image(), gated=False)
        link = PeerLink(peer)
        peer.veto = lambda *_asked: {"rc": 9} if len(link.sent[-1]) > takes else None
        assert await frame_that_arrives(SmpClient(link), 2475) == ArrivingFrame(size=frame)
        assert asyncio.get_running_loop().time() < TRY_MS / 1000

    run(story())


@pytest.mark.parametrize(("frame", "less"), [(65_543, 2475), (2475, 1024), (129, 128), (128, None), (110, None)])
def test_the_next_smaller_frame(frame: int, less: int | None):
    capacity = Capacity(frame=frame, outstanding=3)
    assert smaller(capacity) == (None if less is None else Capacity(frame=less, outstanding=3))


@pytest.mark.parametrize(("most", "frame"), [(None, 2475), (300, 300), (2475, 2475), (9_999, 2475)])
def test_a_frame_can_be_bounded(most: int | None, frame: int):
    async def story() -> None:
        peer = SmpPeer(make_image(), gated=False)
        assert (await capacity_of(SmpClient(PeerLink(peer)), max_frame=most)).frame == frame

    run(story())


@pytest.mark.parametrize("way", ["request", "answer"])
def test_one_lost_echo_says_nothing_about_the_line(way: str):
    async def story() -> None:
        peer = SmpPeer(make_image(), gated=False)
        first_echo = Faults(lambda w, n, _p: Fate(drop=w == way and n == 2))
        assert await capacity_of(SmpClient(PeerLink(peer, first_echo))) == Capacity(frame=2475, outstanding=3)

    run(story())


def test_a_lost_link_is_told():
    async def story() -> None:
        peer = SmpPeer(make_image(), gated=False)
        link = PeerLink(peer, Faults(lambda _w, _n, _p: Fate(cut=True)))
        with pytest.raises(LinkLostError, match="cut"):
            await frame_that_arrives(SmpClient(link), 2475)

    run(story())


def test_a_garbled_echo_is_asked_for_once_more():
    async def story() -> None:
        peer = SmpPeer(make_image(), gated=False)
        echoes: list[object] = []

        def garbled(_op: int, group: int, command: int, body: object) -> dict[str, Any] | None:
            echoes.append(body)
            return {"rc": "what"} if len(echoes) == 1 else None

        peer.veto = garbled
        assert await frame_that_arrives(SmpClient(PeerLink(peer)), 2475) == ArrivingFrame(size=2475)
        assert len(echoes) == 2

    run(story())
