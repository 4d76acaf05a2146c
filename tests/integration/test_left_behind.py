"""What was sent in one stay in maintenance is not executed in the next, however busy the device was in between."""

import asyncio
from typing import Any

import pytest
from tests.integration.test_first_light import AIR, run
from tests.integration.wires import Line

from keyswitch.demo.workshop import Workshop
from keyswitch.device.process.controls import Controls
from keyswitch.device.runtime.failure import DeviceFailedError
from keyswitch.device.server.components import Components
from keyswitch.gate.events import ButtonHeld, InputChanged
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer
from keyswitch.mcuboot.flash import NRF52840_TIMES
from keyswitch.policy.secrets import read_secret
from keyswitch.smp.frame import Frame, request
from keyswitch.smp.framing import console
from keyswitch.smp.groups import image, os
from keyswitch.smp.header import Op
from keyswitch.terms import Transport
from keyswitch.testing.world import VirtualWorld


def world_with_a_line(pump: Workshop, **options: Any) -> tuple[VirtualWorld, Line]:
    line = Line(pump.policy.smp.buf_size)
    world = VirtualWorld(
        pump.policy,
        pump.old.read_bytes(),
        secret=read_secret(pump.policy),
        air=AIR,
        flash_times=NRF52840_TIMES,
        others={Transport.SERIAL: line},
        **options,
    )
    return world, line


def erase(sequence: int) -> bytes:
    frame = request(op=Op.WRITE, group=image.ID, command=image.Id.ERASE, sequence=sequence, body={"slot": 1})
    return b"".join(console.pieces(frame.encode()))


def leave_and_come_back(here: VirtualWorld) -> None:
    """Motion ends the stay at once; then a person opens another one."""
    here.device.happen(InputChanged(name="motion", value=True))
    here.device.happen(InputChanged(name="motion", value=False))
    here.device.happen(ButtonHeld(hold_ms=5_000))
    assert here.device.status()["gate"] == "open"


def answers_on(line: Line) -> dict[int, Any]:
    """What comes back on the line from now on, by sequence number."""
    answers: dict[int, Any] = {}

    def note(packet: bytes) -> None:
        frame = Frame.decode(packet)
        answers[frame.header.sequence] = frame.body()

    line.host.on_packet(note)
    return answers


def test_requests_that_the_line_held_back_are_answered_and_not_executed(pump: Workshop) -> None:
    async def story() -> None:
        world, line = world_with_a_line(pump)
        async with world as here:
            answers = answers_on(line)
            here.device.happen(ButtonHeld(hold_ms=5_000))
            await line.host.write(b"".join(erase(sequence) for sequence in range(100, 112)))
            await asyncio.sleep(0.2)  # the first one is erasing; the device's buffers are full
            leave_and_come_back(here)
            await asyncio.sleep(60)
            assert sorted(answers) == list(range(100, 112))
            assert [sequence for sequence, body in answers.items() if body == {}] == [100]
            assert all(body == {} or body["rc"] == 11 for body in answers.values())
            assert isinstance(await SmpClient(line.host).write(os.ID, os.Id.ECHO, {"d": "hi"}), Answer)

    run(story())


def test_what_a_deaf_peer_asked_in_normal_mode_is_not_executed_in_maintenance(pump: Workshop) -> None:
    """It takes no answers, so its requests wait; minutes later maintenance begins, and it reads again."""

    async def story() -> None:
        world, line = world_with_a_line(pump)
        async with world as here:
            answers = answers_on(line)
            line.reads = False
            asking = [request(op=Op.READ, group=os.ID, command=os.Id.PARAMS, sequence=each) for each in range(4)]
            for each in asking:
                await line.host.send(each.encode())
            await line.host.write(erase(4))
            await line.host.send(request(op=Op.WRITE, group=os.ID, command=os.Id.RESET, sequence=5).encode())
            await asyncio.sleep(1)
            boots, wear = here.device.boot_report, here.flash.wear
            here.device.happen(ButtonHeld(hold_ms=5_000))
            line.reads = True
            await asyncio.sleep(60)
            assert here.device.status()["gate"] == "open"
            assert (here.device.boot_report, here.flash.wear) == (boots, wear)
            too_early = {"rc": 11, "rsn": "wrong mode: normal"}
            assert [answers[each] for each in (4, 5)] == [too_early, too_early]

    run(story())


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_half_a_frame_does_not_wait_for_the_flash(pump: Workshop, cut: int) -> None:
    async def story() -> None:
        world, line = world_with_a_line(pump)
        async with world as here:
            answers: list[int] = []
            line.host.on_packet(lambda packet: answers.append(Frame.decode(packet).header.sequence))
            here.device.happen(ButtonHeld(hold_ms=5_000))
            half = erase(101)
            await line.host.write(erase(100) + half[:cut])
            await asyncio.sleep(0.2)  # the worker waits for the flash
            leave_and_come_back(here)
            await line.host.write(half[cut:])
            await asyncio.sleep(60)
            assert answers == [100]

    run(story())


def test_power_cycles_at_once_leave_one_device(pump: Workshop) -> None:
    async def story() -> None:
        world, _ = world_with_a_line(pump)
        async with world as here:
            controls = Controls(here.policy, here.device)
            await asyncio.gather(*(controls.answer({"do": "power-cycle"}) for _ in range(3)))
            names = [task.get_name() for task in asyncio.all_tasks()]
            assert (names.count("device"), names.count("advertise")) == (1, 1)
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert (names.count("device"), names.count("advertise")) == (0, 0)

    run(story())


def test_a_device_that_cannot_do_what_it_decided_stops(pump: Workshop) -> None:
    """An input ends maintenance, and cleaning up fails: nothing is executed any more, and somebody is told."""

    def failing(*_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error")

    async def story() -> None:
        world, line = world_with_a_line(pump, parts=Components(step=failing_step()))
        with pytest.raises(DeviceFailedError, match="Input/output error"):
            async with world as here:
                here.device.happen(InputChanged(name="motion", value=True))
                assert not here.device.powered
                line.host.on_packet(lambda _: pytest.fail("a stopped device answers nobody"))
                await line.host.write(erase(1))
                await asyncio.sleep(1)

    def failing_step() -> Any:
        real = Components().step

        def step(policy: Any, state: Any, event: Any) -> Any:
            return failing() if event == InputChanged(name="motion", value=True) else real(policy, state, event)

        return step

    run(story())
