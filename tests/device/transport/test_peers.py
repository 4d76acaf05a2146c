"""Who is there: what is told of peers in which order, and for whom a passkey is shown."""

import asyncio
from typing import Any

from tests.integration.places import place
from tests.integration.test_first_light import run
from tests.integration.wires import Datagrams

from keyswitch.demo.workshop import Workshop
from keyswitch.device.runtime.passkey import PasskeyDisplay
from keyswitch.gate.peer import Peer
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer
from keyswitch.smp.groups import os
from keyswitch.terms import Security, Transport
from keyswitch.testing.world import VirtualWorld


def ble(number: int, security: Security = Security.NONE) -> Peer:
    return Peer(id=number, transport=Transport.BLE, security=security)


def test_the_server_hears_of_a_peer_before_anybody_else(pump: Workshop) -> None:
    """A report that goes wrong must not leave a peer that is never served."""
    known: list[tuple[str, bool]] = []

    async def story() -> None:
        net = Datagrams(pump.policy.smp.buf_size)

        def report(event: dict[str, Any]) -> None:
            if "peer" in event:
                known.append((event["event"], event["peer"] in here.device.server.core.peers))

        here = VirtualWorld(pump.policy, pump.old.read_bytes(), report=report, others={Transport.UDP: net})
        async with here:
            assert isinstance(await SmpClient(net.socket(1)).write(os.ID, os.Id.ECHO, {"d": "hi"}), Answer)
            for port in range(2, 18):
                await net.socket(port).send(bytes.fromhex("0a00000600004200a16164626869"))
            await asyncio.sleep(70)
            await net.socket(99).send(bytes.fromhex("0a00000600004200a16164626869"))
            await asyncio.sleep(1)

    run(story())
    assert {("connected", True), ("disconnected", False)} == set(known)


def test_a_passkey_stays_whoever_else_comes_and_goes() -> None:
    display = PasskeyDisplay()
    display.peer_came(ble(1))
    display.peer_came(ble(2, Security.AUTHENTICATED))
    display.show("123456")
    display.peer_came(Peer(id=3, transport=Transport.UDP))
    display.peer_came(ble(4))
    for other in (2, 3, 4):
        display.peer_went(other)
        assert display.passkey == "123456"
    display.peer_came(ble(1, Security.AUTHENTICATED))
    assert display.passkey is None


def test_a_stranger_who_encrypts_takes_no_passkey_away_from_who_is_typing_it() -> None:
    display = PasskeyDisplay()
    display.peer_came(ble(1))
    display.peer_came(ble(2))
    display.show("123456")
    display.peer_came(ble(2, Security.ENCRYPTED))
    assert display.passkey == "123456"
    display.peer_came(ble(1, Security.AUTHENTICATED))
    assert display.passkey is None


def test_a_passkey_for_a_central_that_pairs_anew_goes_with_it() -> None:
    display = PasskeyDisplay()
    display.peer_came(ble(1, Security.AUTHENTICATED))
    display.show("123456")
    assert display.passkey == "123456"
    display.peer_went(1)
    assert display.passkey is None


def test_a_passkey_goes_with_the_last_central_that_it_may_be_for() -> None:
    display = PasskeyDisplay()
    display.peer_came(ble(1))
    display.peer_came(ble(2))
    display.show("123456")
    display.peer_went(2)
    assert display.passkey == "123456"
    display.peer_went(1)
    assert display.passkey is None


def test_the_panel_shows_a_passkey_while_datagrams_come_and_not_after_a_power_cycle(pump: Workshop) -> None:
    async def story() -> None:
        async with place(pump) as here:
            await here.central()
            here.world.device._display.show("123456")
            assert isinstance(await (await here.client("net")).write(os.ID, os.Id.ECHO, {"d": "hi"}), Answer)
            here.world.device._peers.peer_went(next(iter(here.net._by_peer)))
            assert here.status["passkey"] == "123456"
            await here.world.device.power_cycle()
            assert here.status["passkey"] is None

    run(story())
