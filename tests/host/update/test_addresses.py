"""A device that has another address after each reset: found again by its name, and by what it runs."""

from collections.abc import AsyncGenerator

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import PeerAir, PeerGattLink, SmpPeer
from tests.host.update.test_run import NEW, OLD, image_of, job

from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.verdict import AFTER_PAIRING
from keyswitch.host.update.events import Event, Message
from keyswitch.host.update.job import Job, Outcome, Result
from keyswitch.host.update.run import update
from keyswitch.link.air.clock import run
from keyswitch.link.ports import PairingError, PairingFailure, Sighting


class WanderingPeer(SmpPeer):
    """A device without privacy and without a public address: it draws a static address at each start."""

    def boot(self, *, keep: bool = False) -> None:
        super().boot(keep=keep)
        self.address = f"C0:00:00:00:01:{self.boots:02X}"


class Air(PeerAir):
    """Another device may be heard from the reset on."""

    later: tuple[SmpPeer, ...] = ()

    async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        if (self.peers[0].boots or not self.peers[0].up) and self.later:
            self.peers, self.later = (*self.peers, *self.later), ()
        async for sighting in super().scan(timeout_ms):
            yield sighting


async def updated(peer: SmpPeer, *others: SmpPeer, **target: str) -> tuple[Result, list[str]]:
    air = Air(peer)
    air.later = others
    events: list[Event] = []
    endpoint = BleEndpoint(air, target="ble:it", **(target or {"name": "Pump 7"}))
    result = await update(endpoint, Job(images=(image_of(NEW),)), sink=events.append)
    return result, [event.text for event in events if isinstance(event, Message)]


def test_it_is_found_by_its_name_and_by_the_image_that_it_runs():
    async def story() -> None:
        result, said = await updated(WanderingPeer(OLD, gated=False, mode_group=False))
        assert result.outcome is Outcome.CONFIRMED, result
        assert result.duration_ms < 30_000
        assert said == [
            "the device is back at another address, C0:00:00:00:01:01: it alone has the name, and it runs the new image"
        ]

    run(story())


@pytest.mark.parametrize("case", ["reverts", "two of the name", "found by address"])
def test_without_a_proof_it_is_not_the_device(case: str):
    async def story() -> None:
        new = NEW if case != "reverts" else make_image("1.0.1", fill=3)
        peer = WanderingPeer(OLD, gated=False, mode_group=False)
        others: list[SmpPeer] = []
        if case == "reverts":
            # What runs at the other address is not what was sent: it may be anybody.
            peer.never_boots = True
            others = [SmpPeer(new, address="C0:00:00:00:02:00", gated=False, mode_group=False)]
        elif case == "two of the name":
            others = [SmpPeer(NEW, address="C0:00:00:00:02:00", gated=False, mode_group=False)]
        target = {"address": peer.address} if case == "found by address" else {}
        result, said = await updated(peer, *others, **target)
        assert result.outcome is Outcome.NEVER_CAME_BACK, result
        heard = "a device of that name is heard at C0:00:00:00:02:00; nothing shows that it is the one"
        assert said == ([heard] if case == "reverts" else [])
        assert all(other.confirmed and not other.slots[1].data for other in others)

    run(story())


def test_a_token_is_better_than_a_name():
    """A device of ours tells its token: nobody is connected to by name, and there is no need."""

    async def story() -> None:
        peer = WanderingPeer(OLD)
        air = Air(peer)
        events: list[Event] = []
        result = await update(BleEndpoint(air, target="ble:Pump 7", name="Pump 7"), job(), sink=events.append)
        assert result.outcome is Outcome.CONFIRMED, result
        assert not [event for event in events if isinstance(event, Message)]

    run(story())


def test_a_session_that_ends_before_the_reconnect_is_entered_again_at_once():
    """The device shows its mode service at once: each try waited ten seconds for the other one."""

    class Impatient(SmpPeer):
        ends = 1

        def end_links(self, why: str) -> None:
            if why == "entered maintenance" and self.ends:
                self.ends -= 1
                self.mode = "normal"
            super().end_links(why)

    async def story() -> None:
        peer = Impatient(OLD)
        result = await update(BleEndpoint(Air(peer), target="ble:Pump 7", name="Pump 7"), job())
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.running() == ("1.1.0", NEW.hash)
        assert result.duration_ms < 10_000

    run(story())


@pytest.mark.parametrize("failure", [PairingFailure.UNMET, PairingFailure.OTHER])
def test_a_device_that_was_paired_at_another_address(failure: PairingFailure, monkeypatch: pytest.MonkeyPatch):
    """Its token tells that it is the device; its keys belong to the other address."""
    first = SmpPeer(OLD).address

    async def pair(link: PeerGattLink) -> None:
        if link.address != first:
            raise PairingError(failure)

    monkeypatch.setattr(PeerGattLink, "pair", pair)

    async def story() -> None:
        peer = WanderingPeer(OLD)
        result = await update(BleEndpoint(Air(peer), target="ble:Pump 7", name="Pump 7", pair=True), job())
        assert result.outcome is Outcome.STILL_IN_MAINTENANCE, result
        moved = f"the device was paired at {first}; it is at {peer.address} now and takes no new pairing"
        why = PairingFailure.MOVED if failure is PairingFailure.UNMET else failure
        assert (moved if why is PairingFailure.MOVED else failure.value) in result.detail
        # The same command would be refused again.
        assert result.next_step == f"do not leave the device alone: power-cycle it; {AFTER_PAIRING[why]}"

    run(story())
