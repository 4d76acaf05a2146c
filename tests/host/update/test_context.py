"""What a result says of the slots after a run: as they are, or that they were not read since."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.host.access.test_recipes import updated
from tests.host.other_peers import ButtonPeer
from tests.host.smp_peer import SmpPeer
from tests.host.update.test_run import OLD, ble, hangs, job, whole

from keyswitch.app.json_output import result_json
from keyswitch.cli.progress import _result_lines
from keyswitch.host.report.run_record import RunRecorder, ended
from keyswitch.host.smp.queries import SlotInfo
from keyswitch.host.update.context import SlotReadings
from keyswitch.host.update.events import Ended, Event, Message, StepDone, Uploading
from keyswitch.host.update.job import ConfirmBy, Goal, Outcome, Result, at_rest
from keyswitch.host.update.run import update
from keyswitch.host.update.steps import StepName
from keyswitch.link.air.clock import run


class ListingPeer(SmpPeer):
    """A device that lists its slots in every mode, as the shipped policy lets it."""

    def judge(self, key: tuple[int, int, int], body: dict[str, Any], door: str, peer: int) -> dict[str, Any] | None:
        if key == (1, 0, 0) and not self.open and door == "smp":
            return self.do_1_0_0(body, peer)
        return super().judge(key, body, door, peer)


async def unwell() -> str | None:
    return "pressure 0"


def active(result: Result) -> list[str] | None:
    return None if result.after is None else [view.version for view in result.after if view.active]


def gone_at(when: Callable[[Event], bool], peer: SmpPeer) -> Callable[[Event], None]:
    def vanish(event: Event) -> None:
        if when(event):
            peer.up = False
            peer.end_links("gone")

    return vanish


def test_an_upload_that_is_interrupted():
    async def story() -> None:
        peer, results = SmpPeer(OLD, buf_size=495), list[Result]()

        def interrupt(event: Event) -> None:
            if isinstance(event, Uploading) and event.progress.off > 5_000:
                task.cancel()
            if isinstance(event, Ended):
                results.append(event.result)

        task = asyncio.ensure_future(update(ble(peer), job(), sink=interrupt))
        with pytest.raises(asyncio.CancelledError):
            await task
        (result,) = results
        assert (result.outcome, result.after, result.not_read_since) == (Outcome.INTERRUPTED, None, "the upload began")
        assert result.before is not None

    run(story())


def test_a_device_that_is_gone_in_the_middle_of_an_upload_and_one_that_never_comes_back():
    async def story() -> None:
        peer = SmpPeer(OLD, buf_size=495)
        far = gone_at(lambda event: isinstance(event, Uploading) and event.progress.off > 5_000, peer)
        result = await update(ble(peer), job(), sink=far)
        assert (result.outcome, result.after) == (Outcome.UNREACHABLE, None)
        assert result.not_read_since == "the upload began"

        peer = SmpPeer(OLD)
        hangs(peer, 1)
        result, _ = await whole(peer)
        assert (result.outcome, result.after) == (Outcome.NEVER_CAME_BACK, None)
        assert result.not_read_since == "the reset"

    run(story(), limit_s=3600)


def test_a_trial_that_is_out_of_sight_may_have_ended():
    async def story() -> None:
        peer = SmpPeer(OLD)
        vanish = gone_at(lambda event: isinstance(event, StepDone) and event.name is StepName.PROVE, peer)
        result = await update(ble(peer), job(confirm_by=ConfirmBy.SELF), sink=vanish)
        assert (result.outcome, result.after) == (Outcome.UNREACHABLE, None)
        assert result.not_read_since == "the connection ended"

    run(story(), limit_s=3600)


@pytest.mark.parametrize("lists", [True, False])
def test_after_a_health_check_that_failed_the_device_is_read_again_or_nothing_is_said(*, lists: bool):
    async def story() -> None:
        peer = (ListingPeer if lists else SmpPeer)(OLD, service="always")
        result, _ = await whole(peer, job(health=unwell))
        assert (result.outcome, peer.running()[0]) == (Outcome.FAILED, "1.0.0")
        assert active(result) == (["1.0.0"] if lists else None)
        assert result.not_read_since == ("" if lists else "the device was asked to leave maintenance")

    run(story())


def test_what_is_at_rest_stays_so_outside_and_what_an_upload_left_is_read_again():
    async def story() -> None:
        result, _ = await whole(SmpPeer(OLD))
        assert (active(result), result.not_read_since) == (["1.1.0"], "")

        peer = SmpPeer(OLD)
        peer.hook = lambda off: {"err": {"group": 1, "rc": 30}} if off > 5_000 else None
        result, _ = await whole(peer)
        assert (result.outcome, active(result), result.not_read_since) == (Outcome.REFUSED, ["1.0.0"], "")

        result, _ = await whole(SmpPeer(OLD), job(goal=Goal.TEST))
        assert (active(result), result.not_read_since) == (["1.1.0"], "")

    run(story())


def test_terminal_json_and_evidence_say_it():
    async def story() -> Result:
        peer = SmpPeer(OLD)
        peer.never_boots = True
        return (await whole(peer))[0]

    result = run(story(), limit_s=3600)
    assert "slots: not read since the reset" in _result_lines(result)
    assert not [line for line in _result_lines(result) if line.startswith("slot 0")]
    told = result_json(result)
    assert (told["after"], told["not_read_since"]) == (None, "the reset")
    body = ended(RunRecorder(result=result), run=1)
    assert (body["after"], body["not_read_since"]) == (None, "the reset")


def view(*, active: bool, confirmed: bool, pending: bool) -> SlotInfo:
    return SlotInfo(
        image=0,
        slot=0,
        version="1.0.0",
        hash=b"h",
        bootable=True,
        pending=pending,
        confirmed=confirmed,
        active=active,
        permanent=False,
    )


@pytest.mark.parametrize(
    ("slots", "rests"),
    [
        ((view(active=True, confirmed=True, pending=False),), True),
        ((view(active=True, confirmed=False, pending=False),), False),
        ((view(active=True, confirmed=True, pending=True),), False),
        ((view(active=False, confirmed=True, pending=False),), False),
        ((), False),
    ],
)
def test_a_device_is_at_rest_if_nothing_can_change_it_without_us(slots: tuple[SlotInfo, ...], *, rests: bool):
    assert at_rest(slots) is rests
    readings = SlotReadings()
    assert readings.at_rest, "nothing was read yet"
    readings.note(slots)
    assert readings.at_rest is rests
    readings.forget("the reset")
    assert (readings.before, readings.now, readings.not_read_since) == (slots, None, "the reset")
    readings.forget("something later")
    assert readings.not_read_since == "the reset"


def test_a_button_that_nobody_presses_leaves_no_device_in_maintenance():
    """Neither a device that is heard outside, nor one that is not heard at all, was left in maintenance."""

    async def story() -> None:
        for hidden in (False, True):
            peer = ButtonPeer(OLD)

            def press(event: Event, *, peer: ButtonPeer = peer, hidden: bool = hidden) -> None:
                if hidden and isinstance(event, StepDone) and event.name is StepName.ENTER:
                    peer.up = False

            result, events = await updated(ble(peer), "button", watch=press)
            assert result.outcome is Outcome.UNREACHABLE, result
            assert "was left in maintenance" not in result.detail
            asked = "nothing shows that this was done: Hold the device's update button now."
            assert result.detail.startswith("find: " if hidden else asked), result
            assert ("whether the device is in maintenance mode is not known" in result.detail) is hidden
            assert hidden or result.next_step.startswith("do it while the update waits")
            prompts = [event for event in events if isinstance(event, Message)]
            assert len(prompts) == (1 if hidden else 3)

    run(story(), limit_s=3600)
