"""The health check: it decides about confirming, ends before the trial does, and what happens when it says no."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.host.access.test_recipes import updated
from tests.host.other_peers import ConfirmingPeer, LoaderPeer
from tests.host.smp_peer import DatagramLink, SmpPeer
from tests.host.update.test_run import NEW, OLD, ble, image_of, job, whole

from keyswitch.app.health import HEALTH_MS, health_bound_ms, health_command
from keyswitch.cli.main import main
from keyswitch.exits import Exit
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.policy_profile import trial_ms
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.connect.packet_endpoint import PacketEndpoint
from keyswitch.host.update.job import Goal, Job, Outcome, Result
from keyswitch.host.update.run import update
from keyswitch.link.air.clock import run
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy


@pytest.fixture
def shipped() -> Policy:
    return read_policy(Path("examples/pump/policy.toml"))


def with_limits(policy: Policy, *, deadline_ms: int | None, idle_ms: int | None) -> Policy:
    modes = {**policy.modes, "maintenance": replace(policy.modes["maintenance"], idle_ms=idle_ms)}
    return replace(policy, modes=modes, update=replace(policy.update, trial_deadline_ms=deadline_ms))


@pytest.mark.parametrize(
    ("deadline_ms", "idle_ms", "bound_ms"),
    [
        (120_000, 120_000, 90_000),
        (5_000, 120_000, 3_750),
        (120_000, 60_000, 45_000),
        (600_000, 600_000, 90_000),
        (None, None, 90_000),
    ],
)
def test_shorter_than_deadline_and_idle_time(
    shipped: Policy, deadline_ms: int | None, idle_ms: int | None, bound_ms: int
):
    policy = with_limits(shipped, deadline_ms=deadline_ms, idle_ms=idle_ms)
    assert health_bound_ms(policy, None) == bound_ms
    assert health_bound_ms(policy, "maintenance") == bound_ms


def test_the_usual_bound_is_below_what_the_shipped_policy_ends_a_trial_by(shipped: Policy):
    mode = shipped.modes["maintenance"]
    assert mode.idle_ms is not None
    assert shipped.update.trial_deadline_ms is not None
    assert min(mode.idle_ms, shipped.update.trial_deadline_ms) > HEALTH_MS
    assert trial_ms(with_limits(shipped, deadline_ms=5_000, idle_ms=None), "maintenance") == 3_750
    assert health_bound_ms(None, None) == HEALTH_MS


def test_a_command_that_takes_longer_is_ended_and_said():
    check = health_command("sleep 30", 50)
    assert asyncio.run(check()) == "sleep took longer than 0.05 s"


@pytest.mark.parametrize("wrong", [None, "pressure 0"])
def test_health_decides_about_confirming(wrong: str | None):
    async def story() -> None:
        peer = SmpPeer(OLD)

        async def health() -> str | None:
            return wrong

        result, _ = await whole(peer, job(health=health))
        assert result.outcome is (Outcome.FAILED if wrong else Outcome.CONFIRMED)
        assert peer.running()[0] == ("1.0.0" if wrong else "1.1.0")
        assert peer.mode == "normal"

    run(story())


async def unwell(peer: SmpPeer, **settings: Any) -> Result:
    async def health() -> str | None:
        return "pressure 0"

    return (await whole(peer, Job(images=(image_of(NEW),), health=health, **settings)))[0]


UNWELL = "the health check says: pressure 0; the image was not confirmed; "


@pytest.mark.parametrize("datagrams", [False, True], ids=["ble", "udp"])
def test_a_device_that_nothing_takes_back_is_reset_and_seen_to_run_the_old_image(*, datagrams: bool):
    async def story() -> None:
        peer = SmpPeer(OLD, gated=False, mode_group=False)

        async def open_link() -> DatagramLink:
            return DatagramLink(peer)

        async def health() -> str | None:
            return "pressure 0"

        work = Job(images=(image_of(NEW),), health=health)
        result = await update(PacketEndpoint("udp:192.0.2.1", open_link) if datagrams else ble(peer), work)
        assert result.outcome is Outcome.FAILED, result
        assert result.detail == f"{UNWELL}the device was reset and runs 1.0.0 ({OLD.hash.hex()[:8]}) again"
        assert (peer.running()[0], peer.confirmed, peer.boots) == ("1.0.0", True, 2)
        assert result.after is not None
        assert [view.version for view in result.after if view.active] == ["1.0.0"]

    run(story())


def test_a_device_that_cannot_be_seen_to_go_back_has_to_be_power_cycled():
    async def refuses() -> None:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        peer.veto = lambda op, group, command, _body: (
            {"rc": 10} if (op, group, command) == (2, 0, 5) and peer.boots else None
        )
        result = await unwell(peer)
        assert (result.outcome, result.detail) == (Outcome.FAILED, f"{UNWELL}it was not reset: the reset: busy: EBUSY")
        assert result.next_step.startswith("power-cycle it")

    async def stays() -> None:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        boot = peer.boot

        def overwritten(*, keep: bool = False) -> None:
            boot(keep=keep)
            peer.slots[1].data = NEW.data

        peer.boot = overwritten
        result = await unwell(peer)
        still = f"the device was reset and still runs 1.1.0 ({NEW.hash.hex()[:8]}): its bootloader takes nothing back"
        assert result.detail == f"{UNWELL}{still}"
        assert result.next_step == "install the old image again (downgrade)"

    async def is_gone() -> None:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        boot = peer.boot

        def once(*, keep: bool = False) -> None:
            boot(keep=keep)
            peer.never_boots = True

        peer.boot = once
        result = await unwell(peer)
        assert result.outcome is Outcome.NEVER_CAME_BACK, result
        assert result.detail.endswith("the device was reset to bring the old image back, and not heard again")
        assert result.next_step.startswith("power-cycle it")

    for story in (refuses, stays, is_gone):
        run(story())


def test_where_the_device_is_to_stay_in_maintenance_the_result_says_that_the_trial_goes_on():
    async def story() -> None:
        peer = SmpPeer(OLD)
        way = ModeGroupStrategy("maintenance", Secret(b"s" * 32))
        result = await unwell(peer, way=way, stay=True)
        assert result.outcome is Outcome.FAILED
        assert "goes back to its old image by itself, as it ends its trial, or when its lease does" in result.detail
        assert result.next_step == "look into what the health check says"
        assert "the device was left in maintenance mode" in result.detail
        assert peer.mode == "maintenance"

    run(story())


STAYS = "the image is confirmed already, by the bootloader or its own application, and stays"


@pytest.mark.parametrize("goal", [Goal.FULL, Goal.TEST])
@pytest.mark.parametrize("gated", [True, False])
def test_it_is_run_where_the_image_comes_up_confirmed_and_says_what_is_left_to_do(goal: Goal, *, gated: bool):
    async def story() -> None:
        peer = ConfirmingPeer(OLD, gated=gated, mode_group=gated)
        way: dict[str, Any] = {"way": ModeGroupStrategy("maintenance", Secret(b"s" * 32))} if gated else {}
        result = await unwell(peer, goal=goal, **way)
        assert (result.outcome, result.outcome.exit_code) == (Outcome.FAILED, Exit.NO), result
        assert result.detail == f"the health check says: pressure 0; {STAYS}"
        assert result.next_step == "install the old image again (downgrade)"
        assert (peer.running()[0], peer.boots) == ("1.1.0", 1)
        assert peer.mode == ("normal" if gated else "maintenance")

    run(story())


def test_it_is_run_where_the_image_runs_already():
    async def story() -> None:
        peer = SmpPeer(NEW)
        result = await unwell(peer, way=ModeGroupStrategy("maintenance", Secret(b"s" * 32)))
        assert (result.outcome, result.detail) == (Outcome.FAILED, f"the health check says: pressure 0; {STAYS}")
        assert peer.mode == "normal"
        assert (await whole(SmpPeer(NEW), job(health=well)))[0].outcome is Outcome.ALREADY_RUNNING

    run(story())


async def well() -> str | None:
    return None


def test_it_is_run_where_a_reset_alone_started_the_image_and_nothing_is_listed():
    async def story() -> None:
        peer = LoaderPeer(OLD)

        async def health() -> str | None:
            return "pressure 0"

        result, _ = await updated(ble(peer), "firmware-loader", health=health)
        assert result.outcome is Outcome.FAILED, result
        assert "nothing says whether it stays" in result.detail
        assert result.next_step == "install the old image again (downgrade)"
        assert (result.after, result.not_read_since) == (None, "the reset")

    run(story())


def test_what_was_found_wrong_once_is_not_found_well_after_a_lost_link():
    async def story() -> None:
        peer, asked = SmpPeer(OLD), list[int]()

        async def health() -> str | None:
            asked.append(1)
            peer.end_links("gone")
            return "pressure 0" if len(asked) == 1 else None

        result, _ = await whole(peer, job(health=health))
        assert result.outcome is Outcome.FAILED, result
        assert len(asked) == 1
        assert peer.running()[0] == "1.0.0"

    run(story())


def test_a_trial_that_comes_up_confirmed_is_none():
    async def story() -> None:
        peer = ConfirmingPeer(OLD)
        result, _ = await whole(peer, job(goal=Goal.TEST))
        assert (result.outcome, result.detail) == (
            Outcome.CONFIRMED,
            "the image came up confirmed: there is no trial",
        )
        assert peer.mode == "normal"

    run(story())


def test_with_only_upload_there_is_nothing_to_check(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as raised:
        main(["update", "udp:127.0.0.1", "x.bin", "--only", "upload", "--health", "true"])
    assert raised.value.code == Exit.USAGE
    assert "--health: means nothing with --only upload" in capsys.readouterr().err
