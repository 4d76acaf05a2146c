from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import PeerLink, SmpPeer

from keyswitch.errors import RemoteError
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.queries import (
    ModeState,
    read_bootloader_mode,
    read_mode,
    read_params,
    read_room,
    read_slots,
    slots_of,
)
from keyswitch.host.smp.reply import Refusal
from keyswitch.link.air.clock import run

ROW = {"slot": 0, "version": "1.0.0", "hash": b"h" * 32}


def peer_that_says(said: dict[str, Any] | None = None) -> SmpClient:
    peer = SmpPeer(make_image(), gated=False)
    if said is not None:
        peer.veto = lambda _op, _group, _command, _body: said
    return SmpClient(PeerLink(peer))


def test_what_a_device_tells_of_itself():
    async def story() -> None:
        client = peer_that_says()
        params = await read_params(client)
        assert not isinstance(params, Refusal)
        assert (params.buf_size, params.buf_count) == (2475, 4)
        assert await read_bootloader_mode(client) == 3
        slots = await read_slots(client)
        assert not isinstance(slots, Refusal)
        assert [(view.slot, view.version, view.active) for view in slots] == [(0, "1.0.0", True)]
        state = await read_mode(client)
        assert isinstance(state, ModeState)
        assert (state.mode, state.open, state.lease_ms, state.outside) == ("maintenance", True, 900_000, False)

    run(story())


@pytest.mark.parametrize("ask", [read_params, read_bootloader_mode, read_slots, read_mode])
def test_refusals_are_handed_on(ask: Any):
    async def story() -> None:
        assert isinstance(await ask(peer_that_says({"rc": 8})), Refusal)

    run(story())


@pytest.mark.parametrize(
    ("ask", "said", "key"),
    [
        (read_params, {"buf_size": "2475", "buf_count": 4}, "buf_size"),
        (read_params, {"buf_size": 2475}, "buf_count"),
        (read_params, {"buf_size": 2475, "buf_count": 0}, "0 buffers"),
        (read_bootloader_mode, {}, "mode"),
        (read_bootloader_mode, {"mode": True}, "mode"),
        (read_slots, {}, "image list"),
        (read_slots, {"images": "no"}, "image list"),
        (read_slots, {"images": [7]}, "image list"),
        (read_slots, {"images": [{"slot": 0}]}, "version"),
        (read_slots, {"images": [{**ROW, "active": 1}]}, "active"),
        (read_slots, {"images": [{**ROW, "hash": "text"}]}, "hash"),
        (read_mode, {"gate": True}, "mode"),
        (read_mode, {"mode": "normal", "gate": 1}, "gate"),
        (read_mode, {"mode": "normal", "gate": False, "lease_ms": "soon"}, "lease_ms"),
    ],
)
def test_what_cannot_be_meant_is_named(ask: Any, said: dict[str, Any], key: str):
    async def story() -> None:
        with pytest.raises(RemoteError, match=key):
            await ask(peer_that_says(said))

    run(story())


def test_frugal_lists_and_newer_keys_are_read():
    (view,) = slots_of({"images": [{**ROW, "active": True, "compressed": False, "image": 2}], "splitStatus": 0})
    assert (view.image, view.active, view.confirmed, view.pending, view.bootable) == (2, True, False, False, False)


@pytest.mark.parametrize(
    ("is_open", "reason", "outside"),
    [
        (True, "", False),
        (False, "wrong mode: normal", True),
        (False, "", True),
        (False, "owner", False),
        (False, "security level: encrypted", False),
        (False, "guard: motion == false", True),
    ],
)
def test_shut_for_us_is_not_outside(*, is_open: bool, reason: str, outside: bool):
    assert ModeState(mode="m", open=is_open, reason=reason).outside is outside


@pytest.mark.parametrize(
    ("row", "room"),
    [
        ({"image": 0, "slots": [{"slot": 0, "size": 100}, {"slot": 1, "size": 100}], "max_image_size": 90}, {0: 90}),
        ({"image": 0, "slots": [{"slot": 0, "size": 100}, {"slot": 1, "size": 90}]}, {0: 100}),
        ({"image": 1, "slots": [{"slot": 2, "size": 100}, {"slot": 3, "size": 90, "upload_image_id": 1}]}, {1: 90}),
        ({"image": 0, "slots": [{"slot": 0, "size": 100, "upload_image_id": 2}]}, {0: 100, 2: 100}),
        ({"image": 0, "slots": [{"slot": 0, "rc": 10}]}, {}),
    ],
    ids=["told", "of a slot", "of the slot for uploads", "by another number", "not to be opened"],
)
def test_the_largest_file_of_each_image(row: dict[str, Any], room: dict[int, int]):
    async def story() -> None:
        assert await read_room(peer_that_says({"images": [row]})) == room
        assert isinstance(await read_room(peer_that_says()), Refusal)

    run(story())
