"""Data on its way to the controller."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.link.air.clock import run
from keyswitch.link.bumble.outflow import Outflow


def make(buffers=4, length=27):
    sent = []
    return Outflow(sent.append, length=length, buffers=buffers), sent


def handle_of(packet):
    return int.from_bytes(packet[1:3], "little") & 0x0FFF


@pytest.mark.parametrize("size", [1, 26, 27, 28, 54, 55])
def test_frames_are_cut_and_marked(size):
    flow, sent = make(buffers=10)
    flow.put(5, bytes(range(size)))
    assert b"".join(packet[5:] for packet in sent) == bytes(range(size))
    assert [packet[2] >> 4 for packet in sent] == [0] + [1] * (len(sent) - 1)
    assert all(int.from_bytes(packet[3:5], "little") == len(packet) - 5 for packet in sent)
    assert {handle_of(packet) for packet in sent} == {5}


def test_never_more_than_the_controller_holds():
    flow, sent = make(buffers=4)
    flow.put(1, bytes(27 * 10))
    assert len(sent) == 4
    flow.completed(1, 3)
    assert len(sent) == 7
    flow.completed(1, 100)  # more than was sent: a controller's mistake is not ours
    assert len(sent) == 10
    assert flow.waiting(1) == 3


def test_one_stalled_peer_leaves_half_to_the_others():
    flow, sent = make(buffers=8)
    flow.put(1, bytes(27))
    flow.put(2, bytes(27))
    flow.put(1, bytes(27 * 50))
    assert flow.waiting(1) == 51
    assert [handle_of(p) for p in sent].count(1) == 4
    for _ in range(20):
        flow.put(2, bytes(27))
        flow.completed(2, 1)
    assert [handle_of(p) for p in sent].count(2) == 21
    assert [handle_of(p) for p in sent].count(1) == 4


def test_a_connection_that_goes_gives_its_buffers_back():
    flow, sent = make(buffers=2)
    flow.put(1, bytes(27 * 5))
    flow.put(2, bytes(27 * 5))
    flow.drop(1)
    assert flow.waiting(1) == 0
    assert [handle_of(p) for p in sent].count(2) == 2
    flow.completed(1, 1)
    flow.drop(1)


def test_waiting_for_room_and_for_the_end():
    async def main():
        flow, _ = make(buffers=4)
        assert await flow.room(1, 0) is True
        flow.put(1, bytes(27 * 6))
        some, none = asyncio.ensure_future(flow.room(1, 4)), asyncio.ensure_future(flow.room(1, 0))
        await asyncio.sleep(0)
        flow.completed(1, 2)
        assert await some is True
        assert not none.done()
        gone = asyncio.ensure_future(flow.room(1, 1))
        await asyncio.sleep(0)
        gone.cancel()
        flow.drop(1)
        assert await none is False

    run(main())


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 100)), max_size=30), st.integers(1, 6))
def test_everything_goes_out_once_and_in_order(frames, buffers):
    flow, sent = make(buffers=buffers)
    for handle, size in frames:
        flow.put(handle, bytes((size,)) * size)
    done = {1: 0, 2: 0, 3: 0}
    while any(flow.waiting(handle) for handle in done):
        for handle, acknowledged in list(done.items()):
            if sum(handle_of(p) == handle for p in sent) > acknowledged:
                done[handle] += 1
                flow.completed(handle, 1)
    for handle in done:
        expected = b"".join(bytes((size,)) * size for other, size in frames if other == handle)
        assert b"".join(p[5:] for p in sent if handle_of(p) == handle) == expected
