"""The panel's requests on a whole device, in virtual time."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.integration.places import place
from tests.integration.test_first_light import run, world

from keyswitch.demo.workshop import Workshop
from keyswitch.device.process.controls import Controls, RefusedAtPanelError
from keyswitch.device.runtime.failure import DeviceFailedError
from keyswitch.errors import InputError
from keyswitch.exits import Exit
from keyswitch.panel.protocol import MAX_LINE

Story = Callable[[Controls], Awaitable[None]]


def play(pump: Workshop, story: Story) -> None:
    async def whole() -> None:
        async with world(pump) as here:
            await story(Controls(here.policy, here.device))

    run(whole())


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, "cannot do None.*status or set"),
        ({"do": "dance"}, "cannot do 'dance'"),
        ({"do": "set", "name": "moton", "value": "true"}, r"no input 'moton' \(expected motion\?\)"),
        ({"do": "set", "name": "motion", "value": "maybe"}, "motion cannot be 'maybe'.*true or false"),
        ({"do": "set", "name": "battery_percent", "value": "x"}, "battery_percent cannot be 'x'.*whole number"),
        ({"do": "set", "name": "battery_percent", "value": 2**31}, "cannot be 2147483648.*to 2147483647"),
        ({"do": "set", "name": "battery_percent", "value": "9" * 5000}, "battery_percent cannot be '999"),
        ({"do": "press", "hold_ms": -1}, "hold_ms is -1"),
        ({"do": "press"}, "hold_ms is None"),
        ({"do": "advance", "ms": 1}, "runs on real time"),
    ],
)
def test_what_makes_no_sense_is_said_and_changes_nothing(
    pump: Workshop, request_: dict[str, Any], expected: str
) -> None:
    async def story(controls: Controls) -> None:
        before = controls.status()
        with pytest.raises(InputError, match=expected):
            await controls.answer(request_)
        assert controls.status() == before

    play(pump, story)


def test_inputs_and_button_move_the_mode_and_a_guard_refuses_the_button(pump: Workshop) -> None:
    async def story(controls: Controls) -> None:
        assert (await controls.answer({"do": "set", "name": "motion", "value": "true"}))["mode"] == "active"
        assert (await controls.answer({"do": "set", "name": "motion", "value": "FALSE"}))["mode"] == "normal"
        assert (await controls.answer({"do": "press", "hold_ms": 5_000}))["mode"] == "maintenance"
        assert (await controls.answer({"do": "set", "name": "motion", "value": "true"}))["mode"] == "active"
        log = (await controls.answer({"do": "log"}))["log"]
        modes = [event["mode"] for event in log if event["event"] == "mode"]
        assert modes == ["normal", "active", "normal", "maintenance", "normal", "active"]

    play(pump, story)


def test_a_log_longer_than_an_answer_keeps_the_newest_and_says_so(pump: Workshop) -> None:
    async def story(controls: Controls) -> None:
        for n in range(1_000):
            controls._runtime.log.append({"at_ms": n, "event": "x" * (n % 300)})
        answer = await controls.answer({"do": "log"})
        log, left_out = answer["log"], answer["left_out"]
        assert left_out > 0
        assert left_out + len(log) == 1_000
        assert log == list(controls._runtime.log)[left_out:]
        line = len(json.dumps({"ok": True, **answer})) + 1
        assert MAX_LINE - 1_000 < line <= MAX_LINE

    play(pump, story)


def test_a_power_cycle_ends_maintenance_and_inputs_read_as_before(pump: Workshop) -> None:
    async def story(controls: Controls) -> None:
        assert (await controls.answer({"do": "set", "name": "battery_percent", "value": "20"}))["mode"] == "normal"
        assert (await controls.answer({"do": "press", "hold_ms": 5_000}))["mode"] == "maintenance"
        assert (await controls.answer({"do": "power-cycle"}))["mode"] == "normal"
        assert (await controls.answer({"do": "set", "name": "motion", "value": "true"}))["mode"] == "active"
        assert (await controls.answer({"do": "power-cycle"}))["mode"] == "active"

    play(pump, story)


def test_who_turns_a_knob_waits_through_the_reset_that_follows(pump: Workshop) -> None:
    """Motion during a trial: the device reverts first, by a reset."""

    async def whole() -> None:
        async with place(pump) as here:
            controls = Controls(here.world.policy, here.world.device)
            await here.bring_on_trial(pump.new)
            impatient = asyncio.ensure_future(controls.answer({"do": "status"}))
            await asyncio.sleep(0)
            impatient.cancel()
            after = await controls.answer({"do": "set", "name": "motion", "value": "true"})
            assert (after["running"]["version"], after["mode"], after["gate"]) == ("1.0.0", "active", "shut")

    run(whole())


def test_confirming_is_the_operators_in_this_policy(pump: Workshop) -> None:
    async def story(controls: Controls) -> None:
        with pytest.raises(RefusedAtPanelError):
            await controls.answer({"do": "confirm"})

    play(pump, story)


def test_where_nothing_may_run_nothing_can_happen(pump: Workshop) -> None:
    async def whole() -> None:
        async with world(pump) as here:
            controls = Controls(here.policy, here.device)
            here.flash.erase(0, here.flash.geometry.size)
            assert (await controls.answer({"do": "power-cycle"}))["mode"] is None
            for request in ({"do": "confirm"}, {"do": "press", "hold_ms": 5_000}):
                with pytest.raises(RefusedAtPanelError, match="nothing runs here"):
                    await controls.answer(request)
            assert (await controls.answer({"do": "status"}))["running"] is None

    run(whole())


def test_what_a_sensor_reads_is_so_though_nothing_runs(pump: Workshop) -> None:
    async def whole() -> None:
        async with world(pump) as here:
            controls = Controls(here.policy, here.device)
            kept = here.flash.read(0, here.flash.geometry.size)
            here.flash.erase(0, here.flash.geometry.size)
            await controls.answer({"do": "power-cycle"})
            assert (await controls.answer({"do": "set", "name": "motion", "value": "true"}))["mode"] is None
            here.flash.write(0, kept)
            assert (await controls.answer({"do": "power-cycle"}))["mode"] == "active"

    run(whole())


def test_a_power_cycle_that_fails_stops_the_device_and_is_answered(pump: Workshop) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    async def whole() -> None:
        with pytest.raises(DeviceFailedError, match="No space left"):
            async with world(pump) as here:
                controls = Controls(here.policy, here.device)
                here.device._boot = full
                with pytest.raises(DeviceFailedError, match="No space left") as failed:
                    await controls.answer({"do": "power-cycle"})
                assert failed.value.exit_code is Exit.FAULT
                assert not here.device.powered
                await asyncio.sleep(1)

    run(whole())
