import asyncio
import struct
from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import Fate, Faults, PeerLink, SmpPeer

from keyswitch.errors import LinkLostError, LocalError, RemoteError, SilenceError
from keyswitch.host.smp.client import SEQUENCES, SmpClient
from keyswitch.host.smp.reply import Answer, Refusal
from keyswitch.link.air.clock import run
from keyswitch.smp.header import Op


def echo_client(faults: Faults | None = None, **settings: Any) -> tuple[SmpClient, PeerLink, SmpPeer]:
    peer = SmpPeer(make_image(), **settings)
    link = PeerLink(peer, faults)
    return SmpClient(link), link, peer


def only(way: str, *numbers: int, fate: Fate) -> Faults:
    return Faults(lambda w, n, _packet: fate if w == way and n in numbers else None)


def test_an_answer_and_a_refusal():
    async def story() -> None:
        client, _, _ = echo_client()
        assert await client.write(0, 0, {"d": "hi"}) == Answer(values={"r": "hi"})
        reply = await client.read(1, 0)
        assert isinstance(reply, Refusal)
        assert str(reply) == "wrong mode: normal"
        assert str(await client.read(99, 3)) == "ENOTSUP: the device does not have this command"

    run(story())


def test_answers_find_their_requests_in_any_order():
    async def story() -> None:
        client, link, _ = echo_client(only("answer", 1, fate=Fate(delay_ms=300)))
        told = await asyncio.gather(*(client.write(0, 0, {"d": f"{n}"}) for n in range(3)))
        assert [reply.values["r"] for reply in told if isinstance(reply, Answer)] == ["0", "1", "2"]
        assert len(link.sent) == 3
        assert client.outstanding == 0

    run(story())


def test_silence_is_no_lost_link():
    assert not issubclass(SilenceError, LinkLostError)
    assert not issubclass(LinkLostError, SilenceError)
    assert SilenceError("no answer").exit_code is LinkLostError("gone").exit_code


def test_silence_is_bounded_and_the_late_answer_harms_nobody():
    async def story() -> None:
        client, _, _ = echo_client(only("answer", 1, fate=Fate(delay_ms=3_000)))
        loop = asyncio.get_running_loop()
        with pytest.raises(SilenceError, match=r"no answer to os\.echo within 2500 ms"):
            await client.write(0, 0, {"d": "late"})
        assert round(loop.time() * 1000) == 2_500
        for n in range(3):
            assert await client.write(0, 0, {"d": f"{n}"}) == Answer(values={"r": f"{n}"})
            await asyncio.sleep(0.4)
        assert client.dropped.late == 1

    run(story())


def test_a_sequence_number_given_up_is_not_used_again():
    async def story() -> None:
        client, link, _ = echo_client(only("answer", 1, fate=Fate(drop=True)))
        with pytest.raises(SilenceError):
            await client.write(0, 0, {"d": "lost"}, timeout_ms=50)
        for _ in range(2 * SEQUENCES):
            await client.write(0, 0)
        assert [packet[6] for packet in link.sent].count(0) == 1
        assert {packet[6] for packet in link.sent} == set(range(SEQUENCES))

    run(story())


def test_when_every_number_was_given_up_they_are_used_again():
    async def story() -> None:
        client, _, peer = echo_client()
        peer.silent = True
        for _ in range(SEQUENCES):
            with pytest.raises(SilenceError):
                await client.write(0, 0, timeout_ms=1)
        peer.silent = False
        assert isinstance(await client.write(0, 0), Answer)

    run(story())


def test_answers_that_come_twice_are_dropped():
    async def story() -> None:
        client, _, _ = echo_client(Faults(lambda way, _n, _p: Fate(copies=2) if way == "answer" else None))
        for n in range(5):
            assert await client.write(0, 0, {"d": f"{n}"}) == Answer(values={"r": f"{n}"})
        await asyncio.sleep(1)
        assert client.dropped.late == 5

    run(story())


def test_no_more_requests_than_sequence_numbers():
    async def story() -> None:
        client, link, peer = echo_client()
        peer.silent = True
        under_way = [await client.begin(Op.WRITE, 0, 0, b"\xa0") for _ in range(SEQUENCES)]
        with pytest.raises(LocalError, match="256 requests"):
            await client.begin(Op.WRITE, 0, 0, b"\xa0")
        link.lost("cut")
        for future in under_way:
            with pytest.raises(LinkLostError, match="cut"):
                await future

    run(story())


def test_a_lost_link_ends_every_wait():
    async def story() -> None:
        client, link, peer = echo_client()
        peer.silent = True
        asyncio.get_running_loop().call_later(0.1, link.lost, "supervision timeout")
        told = await asyncio.gather(client.write(0, 0), client.read(0, 6), return_exceptions=True)
        assert [str(error) for error in told] == ["the link is gone: supervision timeout"] * 2
        assert round(asyncio.get_running_loop().time() * 1000) == 100
        with pytest.raises(LinkLostError, match="supervision"):
            await client.write(0, 0)

    run(story())


def test_closing_ends_every_wait():
    async def story() -> None:
        client, _, peer = echo_client()
        peer.silent = True
        waiting = asyncio.ensure_future(client.write(0, 0))
        await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(LinkLostError, match="closed by us"):
            await waiting

    run(story())


def packet(
    *, op: int = 3, group: int = 0, seq: int = 0, command: int = 0, body: bytes = b"\xa0", length: int | None = None
) -> bytes:
    return struct.pack("!BBHHBB", 8 | op, 0, len(body) if length is None else length, group, seq, command) + body


@pytest.mark.parametrize(
    "wrong",
    [b"", b"\x0b\x00", packet(op=1), packet(group=1), packet(command=1), packet(seq=9), packet(op=2, seq=9)],
    ids=["empty", "short", "op", "group", "command", "sequence", "a request"],
)
def test_what_answers_nothing_is_dropped_and_the_answer_still_comes(wrong: bytes):
    async def story() -> None:
        client, link, peer = echo_client()
        peer.silent = True
        future = await client.begin(Op.WRITE, 0, 0, b"\xa0")
        link.deliver(wrong)
        assert not future.done()
        link.deliver(packet())
        assert await future == Answer(values={})
        assert client.dropped.late + client.dropped.malformed == 1

    run(story())


@pytest.mark.parametrize(
    "wrong",
    [
        packet(body=b""),
        packet(body=b"\x80"),
        packet(body=b"\xff"),
        packet(body=b"\xa0", length=2),
        packet(body=bytes.fromhex("a1627263f5")),
    ],
    ids=["no payload", "a list", "no CBOR", "cut short", "rc is true"],
)
def test_an_answer_in_no_known_shape_is_the_devices_fault(wrong: bytes):
    async def story() -> None:
        client, link, peer = echo_client()
        peer.silent = True
        future = await client.begin(Op.WRITE, 0, 0, b"\xa0")
        link.deliver(wrong)
        with pytest.raises(RemoteError):
            await future

    run(story())


def test_an_old_server_is_spoken_to_in_version_1():
    async def story() -> None:
        client, link, peer = echo_client()
        asked: list[int] = []

        def old(op: int, group: int, command: int, body: dict[str, Any]) -> dict[str, Any] | None:
            del op, group, command, body
            asked.append(link.sent[-1][0] >> 3)
            return {"rc": 13} if asked[-1] else None

        peer.veto = old
        assert await client.write(0, 0, {"d": "hi"}) == Answer(values={"r": "hi"}, version=0)
        assert await client.write(0, 0, {"d": "hi"}) == Answer(values={"r": "hi"}, version=0)
        assert asked == [1, 0, 0]

    run(story())
