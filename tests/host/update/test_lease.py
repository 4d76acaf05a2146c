"""The lease: extended in time, and named where it ends a session."""

import asyncio
from typing import Any

import pytest
from tests.host.other_peers import LeasePeer
from tests.host.smp_peer import SmpPeer
from tests.host.update.test_run import NEW, OLD, job, whole

from keyswitch.host.update.context import RESTARTED_STEP
from keyswitch.host.update.events import Event, Message, StepFailed
from keyswitch.host.update.job import Goal, Outcome, Result
from keyswitch.link.air.clock import run
from keyswitch.reasons import Reason

SLOW = {"buf_size": 495, "step_ms": 500}
"""About 18 s for the image of 16 KiB."""


def said(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Message)]


def test_an_upload_that_takes_longer_than_a_lease_is_done_in_one_session():
    async def story() -> None:
        peer = LeasePeer(OLD, lease_ms=10_000, lease_max_ms=60_000, **SLOW)
        result, events = await whole(peer)
        assert result.outcome is Outcome.CONFIRMED, result
        assert (peer.entries, peer.received_image_bytes) == (1, len(NEW.data))
        assert result.extensions == peer.log.count("19283/4/2") >= 2
        assert said(events) == []
        assert peer.mode == "normal"

    run(story())


def test_a_lease_that_lasts_is_not_extended():
    async def story() -> None:
        peer = LeasePeer(OLD, lease_ms=900_000, lease_max_ms=3_600_000)
        result, _ = await whole(peer)
        assert (result.outcome, result.extensions) == (Outcome.CONFIRMED, 0)
        assert "19283/4/2" not in peer.log

    run(story())


async def too_slow(**settings: Any) -> tuple[LeasePeer, Result, list[Event]]:
    peer = LeasePeer(OLD, **{**SLOW, "step_ms": 900, **settings})
    return peer, *await whole(peer)


@pytest.mark.parametrize(
    ("lease_max_ms", "told"),
    [
        (None, "the device does not extend its lease (expired: "),
        (25_000, "extends its lease no further"),
    ],
    ids=["not extended", "limit of all extensions"],
)
@pytest.mark.parametrize("service", ["reconnect", "always"])
def test_the_end_of_the_lease_is_named_where_it_strikes(service: str, lease_max_ms: int | None, told: str):
    async def story() -> None:
        peer, result, events = await too_slow(lease_ms=10_000, lease_max_ms=lease_max_ms, service=service)
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.EXPIRED), result
        assert result.detail.startswith("the device's lease of 10 s ended before this was done, and it extends it no")
        assert "lease_max_s" in result.next_step
        assert any(told in text for text in said(events))
        assert peer.entries == 2, "a second session that brings nothing more is the last"
        assert peer.boots == 0
        assert peer.mode == "normal"
        assert not [event for event in events if isinstance(event, StepFailed) and "its proof" in event.why]

    run(story())


def test_where_the_device_keeps_the_upload_it_goes_on_in_the_next_session():
    async def story() -> None:
        peer = LeasePeer(OLD, lease_ms=15_000, keeps=True, **{**SLOW, "step_ms": 900})
        result, _ = await whole(peer, job(goal=Goal.UPLOAD))
        assert result.outcome is Outcome.STAGED, result
        assert peer.entries > 2
        assert peer.slots[1].data == NEW.data

    run(story())


def test_before_a_reset_the_lease_is_made_as_long_as_it_gets():
    async def story() -> None:
        peer = LeasePeer(OLD, lease_ms=60_000, lease_max_ms=600_000, boot_ms=57_000, step_ms=200)
        result, _ = await whole(peer)
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.log.index("19283/4/2") < peer.log.index("0/5/2")

    run(story())


def test_while_the_health_check_runs_the_lease_is_extended():
    async def story() -> None:
        async def health() -> str | None:
            await asyncio.sleep(80)
            return None

        peer = LeasePeer(OLD, lease_ms=30_000, lease_max_ms=600_000)
        result, _ = await whole(peer, job(health=health))
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.log.count("19283/4/2") >= 4

    run(story())


def test_a_device_that_leaves_for_another_reason_says_which():
    async def story() -> None:
        peer = SmpPeer(OLD, service="always")

        def close(_op: int, group: int, command: int, body: dict[str, Any]) -> dict[str, Any] | None:
            if (group, command) == (1, 1) and body["off"] > 8_000:
                peer.shut()
                peer.guard = "motion == false"
                return {"rc": 11, "rsn": "wrong mode: normal"}
            return None

        peer.veto = close
        result, events = await whole(peer)
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.GUARD), result
        assert "the device left maintenance mode by itself: guard: motion == false" in said(events)

    run(story())


def test_a_device_that_restarts_on_trial_and_goes_back_says_so_and_what_to_look_for():
    """The new image ends in a reset: what brings the device into maintenance would help nobody."""

    async def story() -> None:
        peer = SmpPeer(OLD)

        async def crash() -> str | None:
            await peer.reset(planned=False)
            return None

        result, events = await whole(peer, job(health=crash))
        assert result.outcome is Outcome.REVERTED, result
        assert result.detail.startswith("the device restarted by itself, and is in normal; the device runs 1.0.0 (")
        assert result.next_step == RESTARTED_STEP
        assert "left maintenance mode by itself" not in said(events)

    run(story())
