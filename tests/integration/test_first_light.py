"""The whole path in virtual time: the whole device on one side of the air, the operator on the other."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from tests.integration.files import job_image

from keyswitch.demo.workshop import Workshop
from keyswitch.gate.events import InputChanged
from keyswitch.host.access import mode_group
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.connect.probe import probe_gate
from keyswitch.host.connect.verdict import Gate
from keyswitch.host.smp.queries import ModeState, read_mode
from keyswitch.host.smp.reply import Answer, Refusal
from keyswitch.host.update.job import Goal, Job, Outcome
from keyswitch.host.update.run import update
from keyswitch.link.air import clock
from keyswitch.link.air.settings import AirSettings, parse_air
from keyswitch.policy.secrets import read_secret
from keyswitch.reasons import Reason
from keyswitch.smp.groups import image as image_group
from keyswitch.testing.world import VirtualWorld

T = TypeVar("T")

AIR = parse_air("interval_ms=15,phy=2M,dle=251")


def run(story: Coroutine[Any, Any, T]) -> T:
    """In virtual time; a story that would take more than ten minutes hangs."""
    return clock.run(story, limit_s=600)


def world(pump: Workshop, air: AirSettings = AIR) -> VirtualWorld:
    return VirtualWorld(pump.policy, pump.old.read_bytes(), secret=read_secret(pump.policy), air=air)


def way(pump: Workshop, secret: bytes | None = None) -> ModeGroupStrategy:
    return ModeGroupStrategy("maintenance", Secret(secret or read_secret(pump.policy)))


def running(world: VirtualWorld) -> str:
    return str(world.device.status()["running"]["version"])


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_a_whole_update_is_confirmed_and_the_gate_is_shut_again(pump: Workshop, loss: float) -> None:
    async def story() -> None:
        air = AirSettings(interval_us=15_000, phy=AIR.phy, data_length=AIR.data_length, loss=loss, seed=1)
        async with world(pump, air) as here:
            result = await update(here.endpoint(), Job(images=(job_image(pump.new),), way=way(pump)))
            assert result.outcome is Outcome.CONFIRMED, result
            status = here.device.status()
            assert (status["mode"], status["gate"], running(here)) == ("normal", "shut", "1.1.0")
            assert [slot["version"] for slot in status["slots"]] == ["1.1.0", "1.0.0"]
            await here.device.power_cycle()
            assert running(here) == "1.1.0"

    run(story())


def test_outside_maintenance_nothing_is_offered_and_nothing_is_taken(pump: Workshop) -> None:
    async def story() -> None:
        async with world(pump) as here:
            before = here.flash.read(0, here.flash.geometry.size)
            connection = await here.endpoint().connect()
            verdict = await probe_gate(connection)
            assert (verdict.gate, verdict.reason, connection.smp) == (Gate.SHUT, Reason.WRONG_MODE, None)
            assert connection.mode is not None
            for command in image_group.Id:
                for ask in (connection.mode.read, connection.mode.write):
                    reply = await ask(image_group.ID, command, {"off": 0, "len": 64, "data": bytes(64)})
                    assert isinstance(reply, Refusal)
                    assert reply.reason is Reason.NOT_ON_THIS_SERVICE or reply.code == 8
            assert here.flash.read(0, here.flash.geometry.size) == before
            await connection.close()

    run(story())


def test_the_guard_is_named_and_entry_works_over_the_same_connection_once_it_holds(pump: Workshop) -> None:
    async def story() -> None:
        async with world(pump) as here:
            endpoint = here.endpoint()
            connection = await endpoint.connect()
            assert connection.mode is not None
            here.device.happen(InputChanged(name="motion", value=True))
            secret = (Secret(read_secret(pump.policy)),)
            refused = await mode_group.enter(connection.mode, "maintenance", secret)
            assert isinstance(refused, Refusal)
            assert refused.reason is Reason.GUARD
            assert "motion == false" in refused.text
            here.device.happen(InputChanged(name="motion", value=False))
            entered = await mode_group.enter(connection.mode, "maintenance", secret)
            assert isinstance(entered, mode_group.EntryReply)
            assert entered.reconnect
            assert await connection.wait_closed(2_000) is not None
            endpoint.learn(token=entered.session)
            again = await endpoint.connect(smp_shown=True)
            assert again.mode is not None
            assert again.smp is not None
            state = await read_mode(again.mode)
            assert isinstance(state, ModeState)
            assert (state.mode, state.open) == ("maintenance", True)
            await again.close()

    run(story())


def test_motion_in_maintenance_ends_it_and_the_upload(pump: Workshop) -> None:
    async def story() -> None:
        async with world(pump) as here:
            staying = Job(images=(job_image(pump.new),), goal=Goal.UPLOAD, way=way(pump), stay=True)
            seen: list[Any] = []

            def moving(event: Any) -> None:
                seen.append(event)
                progress = getattr(event, "progress", None)
                if progress is not None and progress.off > 8_000:
                    here.device.happen(InputChanged(name="motion", value=True))

            result = await update(here.endpoint(), staying, sink=moving)
            assert result.outcome in {Outcome.REFUSED, Outcome.FAILED, Outcome.UNREACHABLE}, result
            status = here.device.status()
            assert (status["mode"], status["gate"], running(here)) == ("active", "shut", "1.0.0")
            assert [slot["slot"] for slot in status["slots"]] == [0]

    run(story())


def test_a_wrong_secret_does_not_open(pump: Workshop) -> None:
    async def story() -> None:
        async with world(pump) as here:
            result = await update(here.endpoint(), Job(images=(job_image(pump.new),), way=way(pump, bytes(32))))
            assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PROOF), result
            assert here.device.status()["mode"] == "normal"

    run(story())


def test_one_flipped_bit_never_runs(pump: Workshop) -> None:
    async def story() -> None:
        async with world(pump) as here:
            result = await update(here.endpoint(), Job(images=(job_image(pump.broken),), way=way(pump)))
            assert result.outcome in {Outcome.REFUSED, Outcome.FAILED, Outcome.NOT_STARTED}, result
            assert running(here) == "1.0.0"
            await here.device.power_cycle()
            assert (running(here), here.device.status()["mode"]) == ("1.0.0", "normal")

    run(story())


def test_what_is_not_confirmed_reverts_inside_maintenance(pump: Workshop) -> None:
    async def story() -> None:
        modes: list[str] = []

        def note(event: dict[str, Any]) -> None:
            if event["event"] in {"boot", "mode"}:
                modes.append(event.get("mode") or str(event["images"][0]["version"]))

        made = VirtualWorld(pump.policy, pump.old.read_bytes(), secret=read_secret(pump.policy), air=AIR, report=note)
        async with made as here:
            result = await update(here.endpoint(), Job(images=(job_image(pump.new),), goal=Goal.TEST, way=way(pump)))
            assert (result.outcome, running(here)) == (Outcome.ON_TRIAL, "1.1.0"), result
            await clock_passes(pump.trial_deadline_ms)
            assert running(here) == "1.0.0"
            assert modes == ["1.0.0", "normal", "maintenance", "1.1.0", "maintenance", "1.0.0", "maintenance"]

    run(story())


def test_an_upload_that_is_left_behind_is_of_no_use_after_leaving(pump: Workshop) -> None:
    """Leave in the middle of everything: what was begun in maintenance does not go on outside it."""

    async def story() -> None:
        async with world(pump) as here:
            job = Job(images=(job_image(pump.new),), goal=Goal.UPLOAD, way=way(pump), stay=True)
            assert (await update(here.endpoint(), job)).outcome is Outcome.STAGED
            endpoint = here.endpoint()
            connection = await endpoint.connect()
            assert connection.smp is not None
            assert connection.mode is not None
            image = job_image(pump.new)
            marked = await connection.smp.write(image_group.ID, image_group.Id.STATE, {"hash": image.hash})
            assert isinstance(marked, Answer)
            assert await mode_group.leave(connection.mode) is None
            await connection.close()
            await here.device.power_cycle()
            assert (running(here), here.device.status()["mode"]) == ("1.0.0", "normal")

    run(story())


async def clock_passes(ms: int) -> None:
    import asyncio  # noqa: PLC0415 - the one place that lets time pass on purpose

    await asyncio.sleep(ms / 1000)
