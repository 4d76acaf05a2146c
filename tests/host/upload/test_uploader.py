import asyncio
import hashlib
import re
from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.host.images import Made, make_image
from tests.host.smp_peer import Fate, Faults, PeerLink, SmpPeer

from keyswitch.errors import KeyswitchError, LinkLostError, LocalError, RemoteError
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.upload.encoder import Requests
from keyswitch.host.upload.limits import Bounds
from keyswitch.host.upload.uploader import (
    Capacity,
    Uploaded,
    UploadProgress,
    UploadRefused,
    UploadStalled,
    upload,
)
from keyswitch.host.upload.window import Piece
from keyswitch.link.air.clock import run
from keyswitch.link.ports import GattRefused

NEW = make_image("1.1.0")
FRAME = 495
CAPACITY = Capacity(frame=FRAME, outstanding=3)


def device(**settings: Any) -> SmpPeer:
    return SmpPeer(make_image(), gated=False, **{"buf_size": FRAME, **settings})


async def send(
    peer: SmpPeer,
    faults: Faults | None = None,
    *,
    image: Made = NEW,
    link: PeerLink | None = None,
    capacity: Capacity = CAPACITY,
    **settings: Any,
) -> Any:
    async def is_there() -> bool:
        return any(row["hash"] == image.hash for row in peer.listing())

    client = SmpClient(link or PeerLink(peer, faults))
    return await upload(client, image.data, capacity, is_there=is_there, **settings)


def arrived(peer: SmpPeer, image: Made = NEW) -> bool:
    return peer.slots[1].data == image.data


def test_a_whole_image_in_order_and_once():
    async def story() -> None:
        peer, seen = device(), list[UploadProgress]()
        end = await send(peer, on_progress=seen.append)
        assert isinstance(end, Uploaded)
        assert arrived(peer)
        assert (end.size, end.resumed_at, end.resent_bytes, end.losses, end.match) == (16_384, 0, 0, 0, True)
        assert peer.lost_requests == 0
        assert [p.off for p in seen] == sorted({p.off for p in seen})
        assert seen[-1].off == 16_384
        assert seen[-1].remaining_ms == 0
        assert all(p.bytes_per_second > 0 and p.remaining_ms is not None for p in seen[1:])

    run(story())


def test_the_window_is_used():
    """Three requests in each round trip of 10 ms and three services of 1 ms: close to three times one at a time."""

    async def duration(outstanding: int) -> int:
        end = await send(device(), capacity=Capacity(frame=FRAME, outstanding=outstanding))
        assert isinstance(end, Uploaded)
        return end.duration_ms

    assert run(duration(1)) > 2.5 * run(duration(3))


def test_rate_and_duration_are_those_of_the_clock():
    async def story() -> None:
        end = await send(device(), capacity=Capacity(frame=FRAME))
        assert isinstance(end, Uploaded)
        requests = -(-(NEW.data.__len__() - 423) // (FRAME - 25)) + 1
        assert end.duration_ms == pytest.approx(requests * 11, abs=2)
        assert end.bytes_per_second == pytest.approx((16_384 - 423) / ((requests - 1) * 0.011), rel=0.02)

    run(story())


@pytest.mark.parametrize("size", [1, 31, 32, 33, 423, 424, 425, 893, 2000])
def test_every_size_of_image(size: int):
    async def story() -> None:
        peer = device()
        image = Made(data=bytes(range(256)) * 8, version="", hash=b"")
        image = Made(data=image.data[:size], version="", hash=b"")
        end = await send(peer, image=image)
        assert isinstance(end, Uploaded)
        assert arrived(peer, image)

    run(story())


def number_of_packets() -> int:
    async def story() -> int:
        faults = Faults()
        await send(device(), faults)
        return faults.requests

    return run(story())


REQUESTS = number_of_packets()


@pytest.mark.parametrize("way", ["request", "answer"])
@pytest.mark.parametrize(
    "fate",
    [Fate(drop=True), Fate(copies=2), Fate(delay_ms=40), Fate(delay_ms=3_000)],
    ids=["lost", "twice", "late", "too late"],
)
def test_any_one_packet_lost_late_or_twice(way: str, fate: Fate, tell: Callable[[str], None]):
    """Every n: the image arrives, and a loss costs at most one window."""
    window_bytes = CAPACITY.outstanding * FRAME
    most = 0
    for n in range(1, REQUESTS + 1):

        async def story(n: int = n) -> None:
            peer = device()
            faults = Faults(lambda w, number, _packet: fate if (w, number) == (way, n) else None)
            end = await send(peer, faults)
            assert isinstance(end, Uploaded), (way, n, end)
            assert arrived(peer)
            assert end.resent_bytes <= end.losses * window_bytes
            assert end.losses <= 2
            assert end.resent_bytes <= 2 * window_bytes
            nonlocal most
            most = max(most, end.resent_bytes)

        run(story())
    tell(f"{REQUESTS} packets, 0 wrong, at most {most:,} bytes sent again; a window has {window_bytes:,}")


def test_a_link_cut_after_any_packet_is_told_and_the_next_call_goes_on():
    for n in range(1, 2 * REQUESTS + 1):

        async def story(n: int = n) -> None:
            peer = device()
            counted = [0]

            def cut(_way: str, _number: int, _packet: bytes) -> Fate | None:
                counted[0] += 1
                return Fate(cut=True) if counted[0] == n else None

            with pytest.raises(LinkLostError, match="cut"):
                await send(peer, Faults(cut))
            before = peer.received_image_bytes
            end = await send(peer)
            assert isinstance(end, Uploaded)
            assert arrived(peer)
            if 16_384 > end.resumed_at > 0:
                # The request that asks where to go on carries data as well; Zephyr does not look at it.
                assert peer.received_image_bytes - before <= 16_384 - end.resumed_at + FRAME

        run(story())


def test_the_last_answer_lost_does_not_mean_starting_over():
    async def story() -> None:
        peer = device()
        end = await send(peer, Faults(lambda w, n, _p: Fate(drop=True) if (w, n) == ("answer", REQUESTS) else None))
        assert isinstance(end, Uploaded)
        assert arrived(peer)
        assert peer.received_image_bytes <= 16_384 + FRAME

    run(story())


@pytest.mark.parametrize(("n", "most_ms"), [(1, 3_000), (2, 400), (20, 400), (REQUESTS, 400)])
def test_a_lost_request_is_found_by_asking_something_small(n: int, most_ms: int):
    """Not by waiting as long as the device may take to erase a slot, or to check an image."""

    async def took(faults: Faults) -> int:
        end = await send(device(), faults)
        assert isinstance(end, Uploaded)
        return end.duration_ms

    whole = run(took(Faults()))
    lossy = run(took(Faults(lambda w, number, _p: Fate(drop=True) if (w, number) == ("request", n) else None)))
    assert lossy - whole <= most_ms


@pytest.mark.parametrize("busy_ms", [8_000, 30_000])
@pytest.mark.parametrize("at", [0, 16_000])
def test_a_device_that_is_busy_is_waited_for(busy_ms: int, at: int):
    """Erasing before the first answer, checking before the last: nothing is sent again meanwhile."""

    async def story() -> None:
        peer = device()

        def busy(_op: int, group: int, _command: int, body: dict[str, Any]) -> None:
            if group == 1 and body["off"] >= at:
                peer.step_ms, peer.veto = busy_ms, None

        peer.veto = busy
        link = PeerLink(peer)
        work = link.work

        def once() -> None:
            work()
            peer.step_ms = 1

        link.work = once
        end = await send(peer, link=link, bounds=Bounds(last_answer_ms=40_000))
        assert isinstance(end, Uploaded)
        assert arrived(peer)

    run(story())


def test_a_session_that_is_gone_is_begun_again():
    async def story() -> None:
        peer = device()
        forgotten: list[int] = []

        def forget(op: int, group: int, command: int, body: dict[str, Any]) -> None:
            del op, group, command
            if body["off"] > 8_000 and not forgotten:
                forgotten.append(body["off"])
                peer.session = None

        peer.veto = forget
        end = await send(peer)
        assert isinstance(end, Uploaded)
        assert arrived(peer)
        assert forgotten

    run(story())


def test_a_session_that_is_always_dropped_ends():
    async def story() -> None:
        peer = device()

        def forget(op: int, group: int, command: int, body: dict[str, Any]) -> None:
            del op, group, command
            if body["off"] > 8_000:
                peer.session = None

        peer.veto = forget
        end = await send(peer)
        assert isinstance(end, UploadStalled)
        assert end.why == "the device dropped the upload 3 times"
        assert not end.silent

    run(story())


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"rc": 11}, "EACCESSDENIED"),
        ({"rc": 11, "rsn": "guard: motion == false"}, "guard: motion must be false"),
        ({"err": {"group": 1, "rc": 30}}, "image INVALID_IMAGE_TOO_LARGE"),
        ({"err": {"group": 1, "rc": 25}, "off": 0}, "image INVALID_FLASH_ADDRESS"),
        ({"rc": 10}, "EBUSY"),
    ],
)
@pytest.mark.parametrize("at", [0, 8_000])
def test_a_refusal_is_told_with_where_it_was(said: dict[str, Any], name: str, at: int):
    async def story() -> None:
        peer = device()
        peer.veto = lambda _op, _group, _command, body: said if body["off"] >= at else None
        end = await send(peer)
        assert isinstance(end, UploadRefused)
        assert str(end.refusal) == name
        assert at <= end.off <= at + FRAME

    run(story())


def test_no_buffer_is_no_refusal():
    async def story() -> None:
        peer, count = device(), [0]

        def crowded(op: int, group: int, command: int, body: dict[str, Any]) -> dict[str, Any] | None:
            del op, group, command, body
            count[0] += 1
            return {"rc": 2} if count[0] == 5 else None

        peer.veto = crowded
        end = await send(peer)
        assert isinstance(end, Uploaded)
        assert arrived(peer)

    run(story())


def test_a_device_with_fewer_buffers_than_it_says_gets_one_at_a_time():
    async def story() -> None:
        peer = device(buf_count=1)
        end = await send(peer, bounds=Bounds(answer_ms=100))
        assert isinstance(end, Uploaded)
        assert arrived(peer)
        assert peer.lost_requests < 20

    run(story())


@pytest.mark.parametrize("after", [-1, 0, 8_000])
def test_a_device_that_falls_silent_ends_within_the_bound(after: int):
    async def story() -> None:
        peer = device()
        peer.silent = after < 0

        def hush(op: int, group: int, command: int, body: dict[str, Any]) -> None:
            del op, group, command
            peer.silent = body["off"] >= after

        peer.veto = hush
        end = await send(peer)
        assert isinstance(end, UploadStalled)
        assert "no answer" in end.why
        assert end.silent
        assert asyncio.get_running_loop().time() <= 60 + 40 + 1

    run(story())


def test_a_device_that_never_moves_ends_within_the_bound():
    async def story() -> None:
        peer = device()
        peer.veto = lambda _op, _group, _command, body: {"off": 423} if body["off"] else None
        end = await send(peer, bounds=Bounds(stall_ms=5_000))
        assert isinstance(end, UploadStalled)
        assert end.why == "the device keeps asking for offset 423"
        assert not end.silent
        assert asyncio.get_running_loop().time() < 6

    run(story())


@pytest.mark.parametrize("step", [99, 100, 101])
def test_the_floor_below_which_a_device_is_not_getting_on(step: int):
    """Ten answers in each ten seconds, of so many bytes; too little is said with both numbers."""

    async def story() -> None:
        peer, taken = device(), [0]
        slow = Faults(lambda way, _number, _packet: Fate(delay_ms=980) if way == "answer" else None)

        def sip(_op: int, _group: int, _command: int, body: dict[str, Any]) -> dict[str, Any] | None:
            if "off" not in body:
                return None
            taken[0] = min(4_000, taken[0] + (step if body["off"] == taken[0] else 0))
            return {"off": taken[0]}

        peer.veto = sip
        image = Made(data=NEW.data[:4_000], version="", hash=b"")
        bounds = Bounds(stall_ms=9_900, floor_bytes=1_000)
        end = await send(peer, slow, image=image, bounds=bounds, capacity=Capacity(frame=FRAME))
        if step >= 100:
            assert isinstance(end, Uploaded)
            return
        assert isinstance(end, UploadStalled)
        assert not end.silent
        assert end.why == "the device took 990 bytes in 9.9 s, and the least is 1,000"

    run(story())


@pytest.mark.parametrize("off", [None, "7", True, -1, 16_385, 1.5])
def test_an_offset_that_means_nothing_is_the_devices_fault(off: object):
    async def story() -> None:
        peer = device()
        peer.veto = lambda _op, _group, _command, _body: {"off": off} if off is not None else {"match": True}
        with pytest.raises(RemoteError, match="offset"):
            await send(peer)

    run(story())


def test_after_a_silence_the_link_is_healed_before_it_is_asked_again():
    async def story() -> None:
        peer, healed = device(), list[float]()
        link = PeerLink(peer, Faults(lambda w, n, _p: Fate(drop=True) if w == "request" and 4 <= n <= 6 else None))

        async def heal() -> None:
            healed.append(asyncio.get_running_loop().time())

        end = await send(peer, link=link, heal=heal)
        assert isinstance(end, Uploaded)
        assert len(healed) == 1

    run(story())


@pytest.mark.parametrize(
    ("refused", "raised"),
    [
        (GattRefused("ATT error 0x01 (invalid handle)", 0x01), LinkLostError),
        (RemoteError("characteristic has no configuration to subscribe with"), LinkLostError),
        (GattRefused("not connected"), LinkLostError),
        (LinkLostError("gone"), LinkLostError),
        (GattRefused("ATT error 0x0f (encryption)", 0x0F), GattRefused),
    ],
    ids=["stale handle", "no such service", "as bleak says it", "no link", "security"],
)
def test_a_link_that_cannot_be_healed_ends_the_upload(refused: KeyswitchError, raised: type[KeyswitchError]):
    """A service that goes while something is uploaded (Zephyr `smp_bt_unregister`): silence, then a stale handle."""

    async def story() -> None:
        peer = device()
        peer.silent = True

        async def heal() -> None:
            raise refused

        with pytest.raises(raised, match=re.escape(str(refused))):
            await send(peer, heal=heal)

    run(story())


@given(frame=st.integers(130, 5000), off=st.integers(0, 2**32 - 1), number=st.integers(0, 300))
def test_requests_fill_the_frame_and_never_exceed_it(frame: int, off: int, number: int):
    image = b"x" * 6000
    requests = Requests(image, frame=frame, number=number)
    room = requests.room(off)
    assert room >= 1
    start = min(off, 6000 - 1)
    end = min(6000, start + requests.room(start))
    payload = requests.payload(Piece(0, start, end))
    assert 8 + len(payload) <= frame
    if end < 6000:
        assert 8 + len(payload) >= frame - 1
    body = cbor2.loads(payload)
    assert body["off"] == start
    assert body["data"] == image[start:end]
    if start == 0:
        assert body["sha"] == hashlib.sha256(image).digest()
        assert body["len"] == 6000
        assert body.get("image", 0) == number
    else:
        assert set(body) == {"off", "data"}


@pytest.mark.parametrize("off", [1, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1])
def test_the_hand_written_cbor_is_cbor2s(off: int):
    requests = Requests(b"y" * 100, frame=256)
    piece = Piece(0, 10, 90)
    shifted = Piece(0, off, off + 80)
    payload = requests.payload(shifted if off < 20 else piece)
    expected_off = shifted.off if off < 20 else piece.off
    data = b"y" * 80
    assert payload == cbor2.dumps({"off": expected_off, "data": data})


def test_a_frame_too_small_for_an_image_header_is_ours_to_avoid():
    with pytest.raises(LocalError, match="frame of 90 bytes"):
        Requests(b"x" * 6000, frame=90)
    with pytest.raises(LocalError, match="no bytes"):
        Requests(b"", frame=495)
