import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from tests.host.images import Made, is_sound, make_image
from tests.host.smp_peer import DatagramLink, Fate, Faults, PeerAir, SmpPeer

from keyswitch.cli.progress import _result_lines
from keyswitch.errors import InputError, KeyswitchError, LinkLostError, LocalError, RemoteError
from keyswitch.exits import Exit
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.mode_group import Expected
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.packet_endpoint import PacketEndpoint
from keyswitch.host.connect.verdict import NEXT_STEP, Gate
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.update.events import Ended, Event, Message, StepBegun, StepDone, StepFailed, Uploading, VerdictFound
from keyswitch.host.update.job import ConfirmBy, Goal, Job, JobImage, Outcome, Result
from keyswitch.host.update.run import update
from keyswitch.host.update.steps import STEPS, WORK, StepName
from keyswitch.host.upload.limits import Bounds
from keyswitch.host.upload.uploader import Capacity
from keyswitch.link.air.clock import run
from keyswitch.link.ports import Sighting
from keyswitch.reasons import Reason

OLD, NEW = make_image("1.0.0"), make_image("1.1.0")
SECRET = b"s" * 32


def image_of(made: Made) -> JobImage:
    return JobImage(data=made.data, hash=made.hash, version=made.version)


def job(**settings: Any) -> Job:
    return Job(**{"images": (image_of(NEW),), "way": ModeGroupStrategy("maintenance", Secret(SECRET)), **settings})


def ble(*peers: SmpPeer, faults: Faults | None = None, name: str | None = "Pump 7") -> BleEndpoint:
    return BleEndpoint(PeerAir(*peers, faults=faults), target=f"ble:{name}", name=name)


async def whole(peer: SmpPeer, work: Job | None = None, faults: Faults | None = None) -> tuple[Result, list[Event]]:
    events: list[Event] = []
    result = await update(ble(peer, faults=faults), work or job(), sink=events.append)
    return result, events


def done(events: list[Event]) -> list[StepName]:
    return [event.name for event in events if isinstance(event, StepDone)]


def test_the_whole_way_in_order():
    async def story() -> None:
        peer = SmpPeer(OLD)
        result, events = await whole(peer)
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.running() == ("1.1.0", NEW.hash)
        assert peer.confirmed
        assert peer.mode == "normal"
        assert peer.boots == 1
        assert list(dict.fromkeys(done(events))) == [step.name for step in STEPS]
        assert result.resumed == 0
        assert result.upload is not None
        assert result.resent_bytes == 0
        assert peer.received_image_bytes == len(NEW.data)
        assert result.before is not None
        assert [view.version for view in result.before] == ["1.0.0"]
        assert result.after is not None
        view = result.after[0]
        assert (view.version, view.active, view.confirmed) == ("1.1.0", True, True)
        assert isinstance(events[-1], Ended)
        assert not [event for event in events if isinstance(event, StepFailed)]

    run(story())


@pytest.mark.parametrize("service", ["reconnect", "always"])
def test_every_way_of_showing_the_service(service: str):
    async def story() -> None:
        peer = SmpPeer(OLD, service=service)
        result, _ = await whole(peer)
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.mode == "normal"

    run(story())


def test_a_session_with_an_owner_is_attached_to_after_each_reconnect():
    async def story() -> None:
        peer = SmpPeer(OLD, owned=True)
        result, _ = await whole(peer)
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.log.count("19283/3/2") == 2
        assert peer.mode == "normal"

    run(story())


def test_a_session_of_somebody_else_is_left_alone():
    async def story() -> None:
        peer = SmpPeer(OLD, owned=True, service="always")
        peer.mode, peer.owner = "maintenance", 0
        result, _ = await whole(peer, job(way=ModeGroupStrategy("maintenance", Secret(b"x" * 32))))
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PROOF), result
        result, _ = await whole(peer, Job(images=(image_of(NEW),)))
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.OWNER), result
        assert peer.mode == "maintenance"
        assert peer.received_image_bytes == 0

    run(story())


def test_a_device_without_a_gate():
    async def story() -> None:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        result, events = await whole(peer, Job(images=(image_of(NEW),)))
        assert result.outcome is Outcome.CONFIRMED, result
        assert StepName.ENTER not in [event.name for event in events if isinstance(event, StepBegun)]
        assert StepName.LEAVE not in [event.name for event in events if isinstance(event, StepBegun)]

    run(story())


@pytest.mark.parametrize("mode_group", [True, False])
def test_over_datagrams_nobody_says_that_the_link_has_ended(*, mode_group: bool):
    async def story() -> None:
        peer = SmpPeer(OLD, mode_group=mode_group, gated=mode_group)

        async def open_link() -> DatagramLink:
            return DatagramLink(peer)

        result = await update(PacketEndpoint("udp:192.0.2.1", open_link), job())
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.running() == ("1.1.0", NEW.hash)
        assert peer.boots == 1

    run(story())


def test_the_wrong_secret_is_refused_with_what_to_do():
    async def story() -> None:
        peer = SmpPeer(OLD)
        result, _ = await whole(peer, job(way=ModeGroupStrategy("maintenance", Secret(b"x" * 32))))
        assert result.outcome is Outcome.REFUSED
        assert result.reason is Reason.PROOF
        assert result.next_step == "use the key or permit that belongs to this device"
        assert result.outcome.exit_code is Exit.NO
        assert peer.served <= 4

    run(story())


def test_a_device_that_is_open_and_has_no_policy_is_not_the_one_that_is_meant():
    async def story() -> None:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        expected = Expected(device="Pump 7", policy=b"policy!!")
        result, _ = await whole(peer, job(way=ModeGroupStrategy("maintenance", Secret(SECRET), expected=expected)))
        assert result.outcome is Outcome.REFUSED, result
        assert result.detail.startswith("the device takes firmware and tells of no policy, 'Pump 7' has one")
        assert peer.received_image_bytes == peer.boots == 0

    run(story())


@pytest.mark.parametrize("mode", ["normal", "maintenance"])
@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (
            Expected(device="Pump 7", policy=b"another!"),
            "another policy than that of 'Pump 7': the device has the policy 706f6c6963792121",
        ),
        (Expected(device="Pump 8", policy=b"policy!!"), "'Pump 7' answers, not 'Pump 8'"),
    ],
    ids=["policy", "name"],
)
def test_another_device_than_the_one_that_is_meant_is_left_alone(expected: Expected, said: str, mode: str):
    async def story() -> None:
        peer = SmpPeer(OLD, owned=True, service="always")
        peer.mode = mode
        result, _ = await whole(peer, job(way=ModeGroupStrategy("maintenance", Secret(SECRET), expected=expected)))
        assert result.outcome is Outcome.REFUSED, result
        assert said in result.detail
        assert result.next_step.startswith("check target and policy: they name two devices")
        assert peer.mode == mode
        assert peer.received_image_bytes == 0
        assert not {"19283/2/2", "19283/3/2", "19283/5/2"} & set(peer.log)

    run(story())


def test_the_device_that_is_meant_is_updated_though_its_new_firmware_brings_another_policy():
    async def story() -> None:
        peer = SmpPeer(OLD)
        boot = peer.boot

        def renewed(*, keep: bool = False) -> None:
            boot(keep=keep)
            peer.policy = b"renewed!"

        peer.boot = renewed
        expected = Expected(device="Pump 7", policy=b"policy!!")
        result, _ = await whole(peer, job(way=ModeGroupStrategy("maintenance", Secret(SECRET), expected=expected)))
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.mode == "normal"

    run(story())


def test_a_guard_is_named():
    async def story() -> None:
        peer = SmpPeer(OLD)
        peer.guard = "motion == false, is true"
        result, _ = await whole(peer)
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.GUARD)
        assert result.detail == "guard: motion must be false, it is true"

    run(story())


def test_without_a_way_in_nothing_is_tried():
    async def story() -> None:
        peer = SmpPeer(OLD)
        result, _ = await whole(peer, Job(images=(image_of(NEW),)))
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.WRONG_MODE)
        assert peer.log == ["19283/0/0"]

    run(story())


def test_already_running_is_an_outcome_of_its_own():
    async def story() -> None:
        peer = SmpPeer(NEW)
        result, _ = await whole(peer)
        assert result.outcome is Outcome.ALREADY_RUNNING
        assert peer.mode == "normal"
        assert peer.boots == 0

    run(story())


def test_staging_twice_says_that_it_was_there_already():
    async def story() -> None:
        peer = SmpPeer(OLD)
        peer.slots[1].data = NEW.data
        peer.veto = lambda op, group, command, _body: {"rc": 1} if (op, group, command) == (2, 1, 1) else None
        result, _ = await whole(peer, job(goal=Goal.UPLOAD))
        assert (result.outcome, result.detail) == (Outcome.STAGED, "already in the slot"), result
        assert peer.mode == "normal"

    run(story())


def test_staging_what_runs_already():
    async def story() -> None:
        result, _ = await whole(SmpPeer(NEW), job(goal=Goal.UPLOAD))
        assert result.outcome is Outcome.ALREADY_RUNNING

    run(story())


def test_a_trial_that_runs_is_not_ended_by_asking_for_it_again():
    async def story() -> None:
        peer = SmpPeer(OLD)
        for _ in range(2):
            result, _ = await whole(peer, job(goal=Goal.TEST))
            assert result.outcome is Outcome.ON_TRIAL, result
            assert peer.running()[0] == "1.1.0"
            assert peer.mode == "maintenance"

    run(story())


def damaged() -> bytes:
    return NEW.data[:100] + bytes([NEW.data[100] ^ 1]) + NEW.data[101:]


def refuse_damaged(peer: SmpPeer) -> None:
    """Mark no image whose hash is not what its hash TLV says."""

    def checked(op: int, group: int, command: int, body: dict[str, Any]) -> dict[str, Any] | None:
        wrong = "hash" in body and not is_sound(peer.slots[1].data)
        return {"rc": 11, "rsn": "image: its hash is wrong"} if (op, group, command) == (2, 1, 0) and wrong else None

    peer.veto = checked


def test_a_damaged_copy_with_the_same_hash_is_replaced():
    async def story() -> None:
        peer = SmpPeer(OLD)
        peer.slots[1].data = damaged()
        refuse_damaged(peer)
        result, _ = await whole(peer)
        assert result.outcome is Outcome.CONFIRMED, result
        assert result.upload is not None
        assert peer.slots[0].data == NEW.data

    run(story())


def test_what_this_run_has_uploaded_is_not_uploaded_again():
    async def story() -> None:
        peer = SmpPeer(OLD)
        peer.slots[1].data = damaged()
        refuse_damaged(peer)
        image = JobImage(data=damaged(), hash=NEW.hash, version=NEW.version)
        result, events = await whole(peer, job(images=(image,)))
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.IMAGE), result
        assert [event.name for event in events if isinstance(event, StepBegun)].count(StepName.UPLOAD) == 1
        assert peer.mode == "normal"

    run(story())


def test_a_device_that_answers_but_does_not_get_on_was_reached():
    async def story() -> None:
        peer = SmpPeer(OLD)
        peer.veto = lambda op, group, command, _body: {"off": 1} if (op, group, command) == (2, 1, 1) else None
        result, events = await whole(peer, job(bounds=Bounds(stall_ms=2_000)))
        assert result.outcome is Outcome.FAILED, result
        assert result.detail == "the upload stands at byte 1: the device keeps asking for offset 1"
        assert [event.name for event in events if isinstance(event, StepBegun)].count(StepName.UPLOAD) == 1
        assert peer.mode == "normal"

    run(story())


@pytest.mark.parametrize("at", [0, 5_000], ids=["first piece", "in the middle"])
@pytest.mark.parametrize(
    ("said", "reason", "detail"),
    [
        ({"rc": 11}, Reason.VETO, "upload vetoed: EACCESSDENIED"),
        ({"err": {"group": 70, "rc": 3}, "off": 0}, Reason.VETO, "upload vetoed: group 70 code 3"),
        ({"err": {"group": 1, "rc": 30}}, Reason.SIZE, "size: image INVALID_IMAGE_TOO_LARGE"),
        ({"rc": 11, "rsn": "guard: motion == false"}, Reason.GUARD, "guard: motion must be false"),
    ],
)
def test_an_upload_that_the_application_refuses_says_why_and_what_to_do(
    said: dict[str, Any], reason: Reason, detail: str, at: int
):
    """In Zephyr's order: the hook is asked after the offset was checked, so that the probe finds this gate open."""

    async def story() -> None:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        peer.hook = lambda off: said if off >= at else None
        result, events = await whole(peer, Job(images=(image_of(NEW),)))
        assert next(event.verdict.gate for event in events if isinstance(event, VerdictFound)) is Gate.OPEN
        assert (result.outcome, result.reason, result.detail) == (Outcome.REFUSED, reason, detail)
        assert result.next_step == NEXT_STEP[reason]

    run(story())


def test_a_device_that_is_busy_with_another_upload_says_so_in_the_end():
    async def story() -> None:
        peer = SmpPeer(OLD)
        peer.hook = lambda _off: {"rc": 10, "rsn": "another upload"}
        result, events = await whole(peer)
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.BUSY), result
        assert (result.detail, result.next_step) == ("busy: EBUSY: another upload", NEXT_STEP[Reason.BUSY])
        missed = [(event.refused, event.why) for event in events if isinstance(event, StepFailed)]
        assert set(missed) == {(True, "busy: EBUSY: another upload")}
        assert peer.mode == "normal"

    run(story())


def test_a_device_that_is_busy_for_a_while_is_waited_for():
    async def story() -> None:
        peer = SmpPeer(OLD)
        until = asyncio.get_running_loop().time() + 6
        peer.hook = lambda _off: {"rc": 10} if asyncio.get_running_loop().time() < until else None
        result, _ = await whole(peer)
        assert (result.outcome, result.reason) == (Outcome.CONFIRMED, None), result

    run(story())


def test_a_trial_says_where_the_device_is_left():
    async def story() -> None:
        result, _ = await whole(SmpPeer(OLD), job(goal=Goal.TEST))
        assert result.detail == "the device was left in maintenance mode, which its lease ends in at most 900 s"
        result, _ = await whole(SmpPeer(OLD, gated=False, mode_group=False), job(goal=Goal.TEST))
        assert (result.outcome, result.detail) == (Outcome.ON_TRIAL, "")

    run(story())


def test_out_of_reach_for_good_says_where_the_device_was_left():
    async def story() -> None:
        peer = SmpPeer(OLD)

        def vanish(event: Event) -> None:
            if isinstance(event, StepDone) and event.name is StepName.VERIFY:
                peer.up = False
                peer.end_links("gone")

        result = await update(ble(peer), job(), sink=vanish)
        assert (result.outcome, result.resumed) == (Outcome.UNREACHABLE, 0), result
        left = re.search(
            "the device was left in maintenance mode, which its lease ends in at most ([0-9]+) s", result.detail
        )
        assert left is not None
        assert 0 < int(left[1]) < 900

    run(story())


@pytest.mark.parametrize("error", [LocalError("a bug"), InputError("x", "two of them"), RemoteError("no map")])
def test_whatever_goes_wrong_inside_ends_in_a_result_and_outside(
    error: KeyswitchError, monkeypatch: pytest.MonkeyPatch
):
    async def fail(_client: SmpClient, _most: int | None = None, **_bounds: int | None) -> Capacity:
        raise error

    monkeypatch.setattr("keyswitch.host.update.upload_acts.capacity_of", fail)

    async def story() -> None:
        peer = SmpPeer(OLD)
        result, events = await whole(peer)
        assert (result.outcome, result.detail) == (Outcome.FAILED, str(error))
        assert isinstance(events[-1], Ended)
        assert peer.mode == "normal"

    run(story())


def test_cancelled_it_says_how_it_ended_and_where_the_device_is():
    async def story() -> None:
        peer = SmpPeer(OLD)
        events: list[Event] = []

        def interrupt(event: Event) -> None:
            events.append(event)
            if isinstance(event, StepDone) and event.name is StepName.VERIFY:
                task.cancel()

        task = asyncio.ensure_future(update(ble(peer), job(), sink=interrupt))
        with pytest.raises(asyncio.CancelledError):
            await task
        last = events[-1]
        assert isinstance(last, Ended)
        assert last.result.outcome is Outcome.INTERRUPTED
        assert last.result.detail.startswith("the device was left in maintenance mode")

    run(story())


def test_an_image_that_reverts():
    async def story() -> None:
        peer = SmpPeer(OLD)
        boots: list[int] = []
        boot = peer.boot

        def crash(*, keep: bool = False) -> None:
            boot(keep=keep)
            boots.append(1)
            if len(boots) == 1:
                boot(keep=keep)

        peer.boot = crash
        result, _ = await whole(peer)
        assert result.outcome is Outcome.REVERTED, result
        assert result.outcome.exit_code is Exit.REVERTED
        assert "1.0.0" in result.detail
        assert peer.mode == "normal"

    run(story())


def test_an_image_whose_crash_ends_the_session_is_started_twice_and_no_more():
    """What the device shows then is what it shows when the gate shut, or power failed, before the image was started."""

    async def story() -> None:
        peer = SmpPeer(OLD)
        started: list[str] = []
        boot = peer.boot

        def crash(*, keep: bool = False) -> None:
            boot(keep=keep)
            started.append(peer.running()[0])
            if started[-1] == "1.1.0":
                boot(keep=False)

        peer.boot = crash
        result, events = await whole(peer)
        assert result.outcome is Outcome.REVERTED, result
        assert started == ["1.1.0", "1.1.0"]
        said = [event.text for event in events if isinstance(event, Message)]
        assert said.count("the maintenance session did not survive the reset: once more") == 1
        assert peer.mode == "normal"
        assert "1.0.0" in result.detail
        assert result.next_step.startswith("look into the new image's log")

    run(story())


def test_a_session_that_was_lost_before_the_reset_is_begun_once_more():
    """The gate shuts as the reset is asked for: it takes the mark away, and the device is never reset."""

    async def story() -> None:
        peer = SmpPeer(OLD)
        reset, lost = peer.reset, list[int]()

        async def shut_first(*, planned: bool) -> None:
            lost.append(1)
            if len(lost) == 1:
                peer.shut()
                return
            await reset(planned=planned)

        peer.reset = shut_first
        result, _ = await whole(peer)
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.running()[0] == "1.1.0"

    run(story())


def test_an_image_that_the_bootloader_does_not_start():
    async def story() -> None:
        peer = SmpPeer(OLD)
        broken = bytearray(NEW.data)
        broken[100] ^= 1
        result, _ = await whole(peer, job(images=(JobImage(data=bytes(broken), hash=NEW.hash, version="1.1.0"),)))
        assert result.outcome is Outcome.NOT_STARTED, result
        assert result.outcome.exit_code is Exit.NO
        assert peer.running()[0] == "1.0.0"
        assert peer.mode == "normal"

    run(story())


def test_a_device_that_never_comes_back():
    async def story() -> None:
        peer = SmpPeer(OLD)
        peer.never_boots = True
        result, _ = await whole(peer)
        assert result.outcome is Outcome.NEVER_CAME_BACK, result
        assert result.outcome.exit_code is Exit.UNREACHABLE
        assert asyncio.get_running_loop().time() < 600

    run(story())


def hangs(peer: SmpPeer, times: int) -> None:
    """The new image starts and is never heard, so many times."""
    boot, left = peer.boot, [times]

    def silently(*, keep: bool = False) -> None:
        boot(keep=keep)
        peer.silent = peer.running()[0] == "1.1.0" and left[0] > 0
        left[0] -= peer.silent

    peer.boot = silently


def test_after_it_never_came_back_one_looks_first_and_the_same_command_tries_once_more():
    async def story() -> None:
        peer = SmpPeer(OLD)
        hangs(peer, 2)
        result, _ = await whole(peer)
        assert result.outcome is Outcome.NEVER_CAME_BACK, result
        assert "only confirm" in result.next_step
        assert "tries the new image once more" in result.next_step
        peer.boot()
        sent, boots = peer.received_image_bytes, peer.boots
        look, _ = await whole(peer, job(goal=Goal.CONFIRM))
        assert (look.outcome, look.detail.partition(" (")[0]) == (Outcome.FAILED, "the device runs 1.0.0"), look
        assert (peer.boots, peer.slots[1].pending) == (boots, False)
        again, _ = await whole(peer)
        assert again.outcome is Outcome.NEVER_CAME_BACK, again
        peer.boot()
        third, _ = await whole(peer)
        assert third.outcome is Outcome.CONFIRMED, third
        assert peer.running() == ("1.1.0", NEW.hash)
        assert peer.received_image_bytes == sent

    run(story())


def test_looking_confirms_a_new_image_that_was_only_slow():
    async def story() -> None:
        peer = SmpPeer(OLD)
        hangs(peer, 1)
        assert (await whole(peer))[0].outcome is Outcome.NEVER_CAME_BACK
        peer.silent = False
        look, _ = await whole(peer, job(goal=Goal.CONFIRM))
        assert look.outcome is Outcome.CONFIRMED, look
        assert (peer.running()[0], peer.confirmed) == ("1.1.0", True)

    run(story())


def test_a_device_that_is_not_there():
    async def story() -> None:
        peer = SmpPeer(OLD)
        peer.up = False
        result, _ = await whole(peer)
        assert (result.outcome, result.resumed) == (Outcome.UNREACHABLE, 0)
        assert "ble:Pump 7 was not heard" in result.detail

    run(story())


def test_it_says_loudly_that_it_cannot_leave():
    async def story() -> None:
        peer = SmpPeer(OLD)
        peer.veto = lambda op, group, command, _body: (
            {"rc": 11, "rsn": "busy"} if (op, group, command) == (2, 19283, 5) else None
        )
        result, _ = await whole(peer)
        assert result.outcome is Outcome.STILL_IN_MAINTENANCE
        assert result.outcome.exit_code is Exit.STILL_IN_MAINTENANCE
        assert "before that: confirmed" in result.detail

    run(story())


@pytest.mark.parametrize(
    ("goal", "outcome", "running", "mode"),
    [
        (Goal.UPLOAD, Outcome.STAGED, "1.0.0", "normal"),
        (Goal.TEST, Outcome.ON_TRIAL, "1.1.0", "maintenance"),
        (Goal.FULL, Outcome.CONFIRMED, "1.1.0", "normal"),
    ],
)
def test_goals(goal: Goal, outcome: Outcome, running: str, mode: str):
    async def story() -> None:
        peer = SmpPeer(OLD)
        result, _ = await whole(peer, job(goal=goal))
        assert result.outcome is outcome, result
        assert peer.running()[0] == running
        assert peer.mode == mode
        assert peer.slots[1].data == (NEW.data if goal is Goal.UPLOAD else OLD.data)

    run(story())


def test_confirm_only_goes_on_after_test_only():
    async def story() -> None:
        peer = SmpPeer(OLD)
        await whole(peer, job(goal=Goal.TEST))
        assert not peer.confirmed
        result, _ = await whole(peer, job(goal=Goal.CONFIRM))
        assert result.outcome is Outcome.CONFIRMED
        assert peer.confirmed
        assert peer.mode == "normal"

    run(story())


def test_the_application_confirms_itself():
    async def story() -> None:
        peer = SmpPeer(OLD)

        async def application() -> None:
            for _ in range(600):
                await asyncio.sleep(0.1)
                if peer.running()[0] == "1.1.0":
                    await asyncio.sleep(7)
                    peer.confirmed = True
                    break

        running = asyncio.create_task(application())
        result, _ = await whole(peer, job(confirm_by=ConfirmBy.SELF))
        await running
        assert result.outcome is Outcome.CONFIRMED
        assert "1/0/2" in peer.log
        assert peer.log.count("1/0/2") == 1

    run(story())


def test_an_application_that_confirms_itself_at_once_is_not_waited_for_much_longer():
    async def story() -> None:
        peer = SmpPeer(OLD)
        events: list[Event] = []

        def note(event: Event) -> None:
            events.append(event)
            if isinstance(event, StepBegun) and event.name is StepName.CONFIRM:
                asyncio.get_running_loop().call_later(0.2, setattr, peer, "confirmed", True)

        result = await update(ble(peer), job(confirm_by=ConfirmBy.SELF), sink=note)
        assert result.outcome is Outcome.CONFIRMED
        (took_ms,) = [e.duration_ms for e in events if isinstance(e, StepDone) and e.name is StepName.CONFIRM]
        assert took_ms is not None
        assert 200 <= took_ms <= 500

    run(story())


def test_of_two_devices_with_one_name_none_is_touched():
    async def story() -> None:
        peers = [SmpPeer(OLD, address=f"C0:00:00:00:00:0{n}", token=bytes([n] * 4)) for n in (1, 2)]
        with pytest.raises(InputError, match="2 devices have this name: C0:00:00:00:00:01, C0:00:00:00:00:02"):
            await update(ble(*peers), job())
        assert [peer.served for peer in peers] == [0, 0]

    run(story())


def test_two_devices_of_one_name_in_maintenance_and_the_right_one_is_updated():
    """The other one comes near while ours is away, in maintenance and with the same name."""

    async def story() -> None:
        peer = SmpPeer(OLD)
        other = SmpPeer(OLD, address="C0:00:00:00:00:02", token=b"\x09\x09\x09\x09")
        other.mode = "maintenance"
        other.up = False
        air = PeerAir(other, peer)
        endpoint = BleEndpoint(air, target="ble:Pump 7", name="Pump 7")

        def appear(event: Event) -> None:
            if isinstance(event, StepDone) and event.name is StepName.FIND:
                other.up = True

        result = await update(endpoint, job(), sink=appear)
        assert result.outcome is Outcome.CONFIRMED
        assert other.served == 0
        assert set(air.connected) == {peer.address}
        assert len(air.connected) == 4

    run(story())


def test_a_device_whose_address_changes_is_known_by_its_token():
    async def story() -> None:
        peer = SmpPeer(OLD)
        boot = peer.boot

        def elsewhere(*, keep: bool = False) -> None:
            boot(keep=keep)
            peer.address = "C0:00:00:00:00:AA"

        peer.boot = elsewhere
        result, _ = await whole(peer)
        assert result.outcome is Outcome.CONFIRMED

    run(story())


def test_answers_of_the_old_image_are_not_believed():
    """Over datagrams the old image goes on answering for a while after it agreed to reset."""

    async def story() -> None:
        peer = SmpPeer(OLD, reset_ms=3_000)
        events: list[Event] = []

        async def open_link() -> DatagramLink:
            return DatagramLink(peer)

        result = await update(PacketEndpoint("udp:192.0.2.1", open_link), job(), sink=events.append)
        assert result.outcome is Outcome.CONFIRMED
        assert peer.log.count("0/5/2") == 1

    run(story())


def packets_of_a_whole_update() -> int:
    async def story() -> int:
        faults = Faults()
        result, _ = await whole(SmpPeer(OLD), faults=faults)
        assert result.outcome is Outcome.CONFIRMED
        return faults.packets

    return run(story())


PACKETS = packets_of_a_whole_update()


def nth(n: int, fate: Fate) -> Faults:
    counted = [0]

    def rule(way: str, _number: int, _packet: bytes) -> Fate | None:
        counted[0] += 1
        if fate.copies > 1 and way == "request":
            return None  # no transport repeats a request but a datagram network, and then the nonce is used up
        return fate if counted[0] == n else None

    return Faults(rule)


@pytest.mark.parametrize(
    "fate",
    [Fate(cut=True), Fate(drop=True), Fate(copies=2), Fate(delay_ms=60), Fate(delay_ms=4_000)],
    ids=["cut", "lost", "twice", "late", "too late"],
)
def test_after_any_one_packet_of_a_whole_update(fate: Fate, tell: Callable[[str], None]):
    again, seconds = 0, 0.0
    for n in range(1, PACKETS + 1):

        async def story(n: int = n) -> None:
            peer = SmpPeer(OLD)
            result, events = await whole(peer, faults=nth(n, fate))
            assert result.outcome is Outcome.CONFIRMED, (n, result)
            assert peer.running() == ("1.1.0", NEW.hash)
            assert peer.confirmed
            assert peer.mode == "normal"
            assert peer.boots <= 2
            received_again = peer.received_image_bytes - len(NEW.data)
            losses = max(1, result.upload.losses if result.upload else 0)
            assert received_again <= losses * (3 + 1) * peer.buf_size
            assert result.resent_bytes >= received_again
            assert isinstance(events[-1], Ended)
            nonlocal again, seconds
            again = max(again, received_again)
            seconds = max(seconds, result.duration_ms / 1000)

        run(story())
    tell(f"{PACKETS} packets, 0 wrong, at most {again:,} bytes received again, longest run {seconds:.1f} s")


@pytest.mark.parametrize("what", ["gate closes", "reset", "link lost"])
def test_at_the_beginning_of_every_step(what: str, tell: Callable[[str], None]):
    steps = (*WORK[Goal.FULL], StepName.LEAVE, StepName.LEFT)
    outcomes = Counter(run(struck_at(step, what)) for step in steps)
    tell(f"{len(steps)} steps, 0 wrong: {', '.join(f'{count} {word}' for word, count in outcomes.items())}")


async def struck_at(step: StepName, what: str) -> Outcome:
    """One update to which `what` happens when a step begins; what that must lead to is checked.

    The proof that the new image runs is there as soon as the slots are read, without an act of its own.
    """
    peer = SmpPeer(OLD)
    struck: list[StepName] = []

    def strike(event: Event) -> None:
        if isinstance(event, StepBegun | StepDone) and event.name is step and not struck:
            struck.append(event.name)
            happen(peer, what)

    result = await update(ble(peer), job(), sink=strike)
    assert struck == [step]
    if step in {StepName.PROVE, StepName.HEALTH, StepName.CONFIRM} and what != "link lost":
        # An unconfirmed trial goes back when the gate closes or the device is reset.
        assert result.outcome is Outcome.REVERTED, result
        assert peer.running()[0] == "1.0.0"
    else:
        assert result.outcome is Outcome.CONFIRMED, (step, result)
        assert peer.running()[0] == "1.1.0"
    assert peer.mode == "normal", step
    return result.outcome


def happen(peer: SmpPeer, what: str) -> None:
    match what:
        case "gate closes":
            peer.shut()
        case "reset":
            peer.end_links("power cut")
            peer.boot()
        case _:
            peer.end_links("supervision timeout")


def test_the_gate_closing_in_the_middle_of_the_upload():
    async def story() -> None:
        peer = SmpPeer(OLD, buf_size=495)
        shut: list[int] = []

        def close(op: int, group: int, command: int, body: dict[str, Any]) -> dict[str, Any] | None:
            del op
            if (group, command) == (1, 1) and body["off"] > 8_000 and not shut:
                shut.append(body["off"])
                peer.shut()
                return {"rc": 11, "rsn": "wrong mode: normal"}
            return None

        peer.veto = close
        result, _ = await whole(peer)
        assert result.outcome is Outcome.CONFIRMED, result
        assert shut
        # The gate drops what began behind it; that is sent again, and counted though it was another upload.
        assert peer.received_image_bytes - len(NEW.data) >= 8_000
        assert result.resent_bytes >= peer.received_image_bytes - len(NEW.data)

    run(story())


@pytest.mark.parametrize("after", list(WORK[Goal.FULL]))
def test_killed_after_any_step_the_same_command_goes_on(after: StepName):
    class Killed(Exception):  # noqa: N818 - a test's own end
        pass

    async def story() -> None:
        peer = SmpPeer(OLD)

        def kill(event: Event) -> None:
            if isinstance(event, StepDone) and event.name is after:
                raise Killed

        with pytest.raises(Killed):
            await update(ble(peer), job(), sink=kill)
        peer.end_links("supervision timeout")
        result, _ = await whole(peer)
        assert result.outcome in {Outcome.CONFIRMED, Outcome.ALREADY_RUNNING}, result
        assert peer.running()[0] == "1.1.0"
        assert peer.confirmed
        assert peer.mode == "normal"

    run(story())


@pytest.mark.parametrize("never", ["scan", "connect", "answers"])
def test_nothing_that_hangs_keeps_the_run(never: str):
    async def story() -> None:
        peer = SmpPeer(OLD)
        air = PeerAir(peer)
        match never:
            case "scan":
                peer.up = False
            case "connect":

                async def hang(address: str, timeout_ms: int) -> Any:
                    del address
                    await asyncio.sleep(timeout_ms / 1000)
                    raise LinkLostError("connection timeout")

                air.connect = hang
            case _:
                peer.silent = True
        result = await update(BleEndpoint(air, target="ble:Pump 7", name="Pump 7"), job())
        assert result.outcome in {Outcome.UNREACHABLE, Outcome.UNKNOWN}, result
        assert asyncio.get_running_loop().time() < 120

    run(story())


def test_outcomes_have_exit_codes():
    assert {outcome: outcome.exit_code for outcome in Outcome}
    good = [Outcome.CONFIRMED, Outcome.STAGED, Outcome.ON_TRIAL, Outcome.ALREADY_RUNNING, Outcome.LEFT]
    assert [outcome for outcome in Outcome if outcome.exit_code is Exit.YES] == good


def test_every_step_can_be_shown_as_a_plan():
    for step in STEPS:
        assert step.says
        assert step.proof
        assert step.bound_ms > 0
    words: Callable[[], set[str]] = lambda: {step.name.value for step in STEPS}  # noqa: E731 - one line
    assert len(words()) == len(STEPS)


@pytest.mark.parametrize("away_s", [1, 25, 45])
@pytest.mark.parametrize("step", [StepName.VERIFY, StepName.UPLOAD, StepName.CONFIRM])
def test_a_device_that_is_gone_for_a_while_is_waited_for(step: StepName, away_s: int):
    async def story() -> None:
        peer, struck = SmpPeer(OLD), list[StepName]()

        def strike(event: Event) -> None:
            if isinstance(event, StepBegun) and event.name is step and not struck:
                struck.append(step)
                peer.up = False
                peer.end_links("power cut")
                asyncio.get_running_loop().call_later(away_s, setattr, peer, "up", True)

        result = await update(ble(peer), job(), sink=strike)
        assert (result.outcome, result.resumed) == (Outcome.CONFIRMED, 1), result

    run(story())


def test_a_radio_that_is_gone_for_a_while_is_waited_for():
    """Unplugged and plugged in again: every use fails at once meanwhile."""

    class Unplugged(PeerAir):
        def __init__(self, *peers: SmpPeer) -> None:
            super().__init__(*peers)
            self.there = True

        async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
            if not self.there:
                raise LinkLostError("usb:0: no such device")
            async for sighting in super().scan(timeout_ms):
                yield sighting

    async def story() -> None:
        peer, struck = SmpPeer(OLD), list[str]()
        air = Unplugged(peer)

        def strike(event: Event) -> None:
            if isinstance(event, StepBegun) and event.name is StepName.UPLOAD and not struck:
                struck.append("now")
                air.there = False
                peer.end_links("the controller is gone")
                asyncio.get_running_loop().call_later(10, setattr, air, "there", True)

        result = await update(BleEndpoint(air, target="hci:usb:0#Pump 7", name="Pump 7"), job(), sink=strike)
        assert result.outcome is Outcome.CONFIRMED, result

    run(story())


@pytest.mark.parametrize("times", [1, 2])
def test_an_image_whose_sum_the_device_finds_wrong_is_sent_once_more_and_never_marked(times: int):
    """The listing names its hash all the same: that is what the file says of itself."""

    async def story() -> None:
        peer, wrong = SmpPeer(OLD), list[int]()

        def spoil(answer: dict[str, Any]) -> dict[str, Any]:
            if "match" in answer and len(wrong) < times:
                wrong.append(1)
                peer.slots[1].data = damaged()
                return {**answer, "match": False}
            return answer

        upload = peer.do_1_1_2
        peer.do_1_1_2 = lambda body, link: spoil(upload(body, link))
        result, events = await whole(peer)
        said = [event.text for event in events if isinstance(event, Message)]
        assert said == [
            "the device says that the SHA-256 of what it received is wrong: the image is uploaded once more"
        ]
        assert peer.mode == "normal"
        if times == 1:
            assert result.outcome is Outcome.CONFIRMED, result
            assert peer.running() == ("1.1.0", NEW.hash)
            return
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.IMAGE), result
        assert "SHA-256 of what it received is wrong" in result.detail
        assert (peer.boots, peer.log.count("1/0/2"), peer.running()[0]) == (0, 0, "1.0.0")

    run(story())


def test_bytes_and_rate_are_those_that_were_sent_while_it_was_sent():
    """A run that goes on where another one was cut, and has to enter again in the middle: pauses are no sending."""

    async def story() -> None:
        peer = SmpPeer(OLD, buf_size=495)
        first = await update(ble(peer), job(), sink=gone_once(peer, off=6_000))
        assert first.sent is not None
        whole_rate = first.sent.bytes_per_second
        assert (first.outcome, first.sent.already_there) == (Outcome.CONFIRMED, 0)
        assert len(NEW.data) <= first.sent.bytes <= len(NEW.data) + 4 * 495
        assert first.duration_ms > 20_000
        assert whole_rate > 20_000, "20 s without a link are no sending"

        peer = SmpPeer(OLD, buf_size=495, gated=False, mode_group=False)
        with pytest.raises(asyncio.CancelledError):
            await cancelled(peer, off=8_000)
        there = len(peer.session.data) if peer.session is not None else 0
        result, _ = await whole(peer, Job(images=(image_of(NEW),)))
        assert result.sent is not None
        assert there >= 8_000
        assert result.sent.already_there == there
        asking = result.sent.bytes - (len(NEW.data) - there)
        assert 0 < asking < 495, "the first piece asks what is there"
        lines = _result_lines(result)
        rate = result.sent.bytes_per_second / 1000
        said = f"sent {result.sent.bytes:,} bytes at {rate:.1f} kB/s; {there:,} bytes were there already"
        assert said in lines

    run(story())


def gone_once(peer: SmpPeer, *, off: int) -> Callable[[Event], None]:
    struck: list[int] = []

    def strike(event: Event) -> None:
        if isinstance(event, Uploading) and event.progress.off > off and not struck:
            struck.append(off)
            peer.up = False
            peer.end_links("supervision timeout")
            asyncio.get_running_loop().call_later(20, setattr, peer, "up", True)

    return strike


async def cancelled(peer: SmpPeer, *, off: int) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Uploading) and event.progress.off > off:
            task.cancel()

    task = asyncio.ensure_future(update(ble(peer), Job(images=(image_of(NEW),)), sink=interrupt))
    await task


def test_a_server_that_takes_a_byte_now_and_then_does_not_hold_an_update():
    async def story() -> None:
        peer, off = SmpPeer(OLD, step_ms=1_000), [0]

        def sip(op: int, group: int, command: int, body: dict[str, Any]) -> dict[str, Any] | None:
            if (op, group, command) != (2, 1, 1):
                return None
            off[0] += body["off"] == off[0]
            return {"off": off[0]}

        peer.veto = sip
        result, _ = await whole(peer)
        assert result.outcome is Outcome.FAILED, result
        assert re.fullmatch(
            r"the upload stands at byte \d+: the device took \d+ bytes in 60 s, and the least is 1,024", result.detail
        )
        assert result.duration_ms < 120_000
        assert peer.mode == "normal"

    run(story())
