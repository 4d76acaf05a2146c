import asyncio
from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import Fate, Faults, PeerLink, SmpPeer

from keyswitch.errors import LinkLostError
from keyswitch.host.client import Client
from keyswitch.host.fitting import SMALLER, TRY_MS, frame_that_arrives
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
        assert await frame_that_arrives(Client(link), told) == found
        tried = [len(packet) for packet in link.sent]
        assert tried == sorted(tried, reverse=True)
        assert asyncio.get_running_loop().time() <= (len(SMALLER) + 1) * TRY_MS / 1000

    run(story())


@pytest.mark.parametrize("frame", [28, 31, 32, 33, 100, 264, 265, 266, 267, 2475, 65_000])
def test_the_frame_tried_is_never_larger_and_hardly_smaller(frame: int):
    async def story() -> None:
        peer = SmpPeer(make_image(), gated=False, buf_size=70_000)
        link = PeerLink(peer)
        await frame_that_arrives(Client(link), frame)
        if link.sent:
            assert frame - 1 <= len(link.sent[0]) <= frame

    run(story())


@pytest.mark.parametrize("said", [{"rc": 7}, {"rc": 8}, {"rc": 11, "rsn": "wrong mode"}])
def test_a_refusal_says_that_it_arrived(said: dict[str, Any]):
    async def story() -> None:
        peer = SmpPeer(make_image(), gated=False)
        peer.veto = lambda _op, _group, _command, _body: said
        assert await frame_that_arrives(Client(PeerLink(peer)), 2475) == 2475

    run(story())


def test_a_lost_link_is_told():
    async def story() -> None:
        peer = SmpPeer(make_image(), gated=False)
        link = PeerLink(peer, Faults(lambda _w, _n, _p: Fate(cut=True)))
        with pytest.raises(LinkLostError, match="cut"):
            await frame_that_arrives(Client(link), 2475)

    run(story())
