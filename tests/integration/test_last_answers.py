"""A reset keeps no answer from anybody: leaving a trial reverts at once, and whoever asked is told before."""

import asyncio
from typing import Any

import pytest
from tests.device.server_rig import packet
from tests.integration.places import UPLOAD, WAYS, first_chunk, place
from tests.integration.test_first_light import run

from keyswitch.demo.workshop import Workshop
from keyswitch.device.transport.ble import BleTransport
from keyswitch.device.transport.disconnect import FLUSH_WITHIN_MS
from keyswitch.device.transport.serial import SerialTransport
from keyswitch.errors import KeyswitchError
from keyswitch.host.smp.reply import Refusal
from keyswitch.smp.frame import Frame
from keyswitch.smp.framing import console
from keyswitch.smp.groups import mode, os
from keyswitch.testing.world import DEVICE_ADDRESS

LEAVE = packet(2, mode.ID, mode.Id.LEAVE, {}, 11)


@pytest.mark.parametrize("way", WAYS)
def test_leaving_a_trial_is_answered_and_so_is_what_it_drops(pump: Workshop, way: str) -> None:
    chunk = packet(2, *UPLOAD, first_chunk(pump.new.read_bytes()), 12)

    async def story() -> None:
        async with place(pump) as here:
            await here.bring_on_trial(pump.new)
            client = await here.client(way)
            got: dict[int, Any] = {}

            def note(answer: bytes) -> None:
                frame = Frame.decode(answer)
                got[frame.header.sequence] = frame.body()

            client.link.on_packet(note)
            if way == "line":
                await here.line.host.write(b"".join(console.pieces(LEAVE) + console.pieces(chunk)))
            else:
                for each in (LEAVE, chunk):
                    await here.write(client, each)
            await asyncio.sleep(5)
            assert (here.running, here.status["mode"]) == ("1.0.0", "normal")
            assert got[11].get("rc", 0) == 0
            assert got[12]["rc"] == 11

    run(story())


@pytest.mark.parametrize("way", ["line", "net"])
def test_what_waits_when_a_reset_that_was_granted_is_due_is_answered(pump: Workshop, way: str) -> None:
    """Requests of a peer that was not reading: they are not executed any more, and it is told why."""

    async def story() -> None:
        async with place(pump) as here:
            await here.open()
            client = await here.client(way)
            peer = next(iter(here.world.device.server.core.peers), None)
            await client.write(os.ID, os.Id.ECHO, {"d": "hi"})
            peer = max(here.world.device.server.core.peers) if peer is None else peer
            asked = await client.begin(2, os.ID, os.Id.RESET, b"\xa0")
            await asked
            here.world.device.server.hold(peer, held=True)
            waiting = await client.begin(2, os.ID, os.Id.ECHO, b"\xa1adbhi")
            reply = await asyncio.wait_for(waiting, 5)
            assert isinstance(reply, Refusal)
            assert str(reply) == "busy: resetting"

    run(story())


def test_peers_that_do_not_read_delay_a_reset_by_one_bound_together(pump: Workshop) -> None:
    async def story() -> None:
        async with place(pump) as here:
            await here.bring_on_trial(pump.new)
            here.line.reads = False
            here.net.delay_s = 0
            line, net = await here.client("line"), await here.client("net")
            await here.write(line, b"".join(console.pieces(packet(2, os.ID, os.Id.ECHO, {"d": "hi"}, 1))))
            centrals = await asyncio.gather(here.central(), here.central())
            began = asyncio.get_running_loop().time()
            await here.write(net, LEAVE)
            for central in centrals:
                assert await central.wait_closed(10_000) is not None
            seconds = asyncio.get_running_loop().time() - began
            assert seconds < 1, "who reads is not kept waiting by who does not"
            await asyncio.sleep(FLUSH_WITHIN_MS / 1000 + 1)
            assert here.running == "1.0.0"

    run(story())


def test_who_connects_while_a_reset_waits_for_a_line_is_told_as_well(
    pump: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A radio that is slow to stop advertising takes somebody in all the same."""
    monkeypatch.setattr(BleTransport, "expect_reset", lambda *_, **__: None)

    async def story() -> None:
        async with place(pump) as here:
            await here.bring_on_trial(pump.new)
            here.line.reads = False
            line, net = await here.client("line"), await here.client("net")
            await here.write(line, b"".join(console.pieces(packet(2, os.ID, os.Id.ECHO, {"d": "hi"}, 1))))
            await here.write(net, LEAVE)
            link = await here.world.adapter().connect(DEVICE_ADDRESS, 1_000)
            assert here.running == "1.1.0", "the reset still waits"
            why = await link.wait_closed(FLUSH_WITHIN_MS + 1_000)
            assert why is not None
            assert "supervision" not in why
            await asyncio.sleep(1)
            assert here.running == "1.0.0"

    run(story())


def test_an_answer_that_cannot_be_sent_stops_the_device_and_says_why(
    pump: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the link's fault: without a word the peer would never be answered again."""

    async def fails(*_: Any) -> None:
        raise OverflowError("int too big to convert")

    monkeypatch.setattr(SerialTransport, "send", fails)

    async def story() -> None:
        with pytest.raises(OverflowError, match="too big"):
            async with place(pump) as here:
                client = await here.client("line")
                with pytest.raises(KeyswitchError):
                    await client.write(os.ID, os.Id.ECHO, {"d": "hi"})
                assert not here.world.device.powered

    run(story())
