"""The operator against our whole device over the modelled air: cut at every packet, gated and reset at every step.

What must hold is always the same: the right image runs and stays, the device is out of maintenance, nothing hangs, and
no more than a window of the image is sent again for one loss. All points are tried in the deep run, a sample otherwise.
"""

import asyncio
import struct
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import cbor2
import pytest
from tests.integration.files import job_image
from tests.link.radios import ADDRESS, Device

from keyswitch.demo.workshop import Workshop
from keyswitch.errors import InputError, LinkLostError
from keyswitch.gate.events import InputChanged
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.policy_profile import way_into
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.update.events import Event, StepBegun, StepDone, Uploading
from keyswitch.host.update.job import Goal, Job, Outcome, Result
from keyswitch.host.update.run import update
from keyswitch.host.update.steps import WORK, StepName
from keyswitch.link.air import clock
from keyswitch.link.air.link import AirLink
from keyswitch.link.air.settings import parse_air
from keyswitch.link.bumble.peripheral import BumblePeripheral
from keyswitch.link.peripheral import ADVERTISING_INTERVAL_MS, AWAITED_INTERVAL_MS, Advertisement
from keyswitch.link.ports import Adapter, GattLink, Sighting, Sink
from keyswitch.policy.enums import SessionRule, Visibility
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_secret
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import image
from keyswitch.testing.world import VirtualWorld

T = TypeVar("T")

AIR = parse_air("interval_ms=15,phy=2M,dle=251")
FRAME = 2475
WINDOW = 3 * FRAME
SAMPLE = 12
"""Points that are tried in every run."""


class Fate(StrEnum):
    """What becomes of one packet."""

    CUT = "cut"
    """The link ends instead."""
    LOST = "lost"
    LATE = "late"
    """It comes after its sender has asked again."""
    TWICE = "twice"


LATE_S = 4
"""Longer than an answer is waited for."""


class Scissors:
    """Counts what passes between operator and device; the n-th meets its fate.

    All fates but the cut are those of answers: a radio loses no write, but a device without buffers gives no answer.
    """

    def __init__(self, strike_at: int | None = None, fate: Fate = Fate.CUT) -> None:
        self.strike_at = strike_at
        self.fate = fate
        self.passed = 0
        self.image_bytes = 0
        """Of the image, in all that was sent to the device."""

    def meets(self, *, answer: bool) -> Fate | None:
        """The fate of what passes now, None for almost all."""
        if self.fate is not Fate.CUT and not answer:
            return None
        self.passed += 1
        return self.fate if self.passed == self.strike_at else None


class CutLink:
    """A `GattLink` to which something happens; all else is the real one's."""

    def __init__(self, link: GattLink, scissors: Scissors) -> None:
        self._link = link
        self._scissors = scissors
        self._packet = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    async def subscribe(self, service: str, characteristic: str, sink: Sink) -> None:
        await self._pass()

        def heard(value: bytes) -> None:
            match self._scissors.meets(answer=True):
                case None:
                    sink(value)
                case Fate.CUT:
                    self._closing = asyncio.ensure_future(self._link.close())
                case Fate.LATE:
                    asyncio.get_running_loop().call_later(LATE_S, sink, value)
                case Fate.TWICE:
                    sink(value)
                    sink(value)
                case Fate.LOST:
                    pass

        await self._link.subscribe(service, characteristic, heard)

    async def read(self, service: str, characteristic: str) -> bytes:
        await self._pass()
        return await self._link.read(service, characteristic)

    async def write(self, service: str, characteristic: str, data: bytes) -> None:
        await self._pass()
        self._count(data)
        await self._link.write(service, characteristic, data)

    def _count(self, piece: bytes) -> None:
        """Packets are not mixed, so the pieces of one follow each other (SMP over BLE)."""
        self._packet += piece
        length, group, command = struct.unpack_from("!2xHHxB", self._packet)
        if len(self._packet) < 8 + length:
            return
        packet, self._packet = self._packet, b""
        if (group, command) == (image.ID, image.Id.UPLOAD):
            self._scissors.image_bytes += len(cbor2.loads(packet[8:])["data"])

    async def _pass(self) -> None:
        if self._scissors.meets(answer=False) is Fate.CUT:
            await self._link.close()
            raise LinkLostError("cut")


class CutAir:
    """An `Adapter` whose links can be cut."""

    def __init__(self, adapter: Adapter, scissors: Scissors) -> None:
        self._adapter = adapter
        self._scissors = scissors

    @property
    def hears_while_connecting(self) -> bool:
        return self._adapter.hears_while_connecting

    async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        async for sighting in self._adapter.scan(timeout_ms):
            yield sighting

    async def connect(self, address: str, timeout_ms: int) -> Any:
        return CutLink(await self._adapter.connect(address, timeout_ms), self._scissors)

    async def close(self) -> None:
        await self._adapter.close()


def run(story: Coroutine[Any, Any, T]) -> T:
    return clock.run(story, limit_s=2400)


async def updated(
    pump: Workshop,
    scissors: Scissors,
    strike: Callable[[VirtualWorld, Event], None] | None = None,
    *,
    service: Visibility = Visibility.RECONNECT,
    policy: Policy | None = None,
    **settings: Any,
) -> tuple[Result, dict[str, Any]]:
    """One whole update; how it ended, and what the device says afterwards."""
    secret = read_secret(pump.policy)
    policy = policy or replace(pump.policy, gate=replace(pump.policy.gate, service=service))
    async with VirtualWorld(policy, pump.old.read_bytes(), secret=secret, air=AIR) as here:
        name = pump.policy.device.name
        endpoint = BleEndpoint(CutAir(here.adapter(), scissors), target=name, name=name)
        job = Job(images=(job_image(pump.new),), way=ModeGroupStrategy("maintenance", Secret(secret)), **settings)
        result = await update(endpoint, job, sink=lambda event: strike(here, event) if strike else None)
        return result, here.device.status()


def check(result: Result, status: dict[str, Any], *, outcome: Outcome = Outcome.CONFIRMED) -> None:
    """What must hold whatever happened."""
    assert result.outcome is outcome, result
    version = "1.1.0" if outcome is Outcome.CONFIRMED else "1.0.0"
    assert status["running"]["version"] == version
    assert (status["mode"], status["gate"]) == ("normal", "shut")


def passing(pump: Workshop, fate: Fate) -> int:
    """How many packets of a whole update can meet this fate."""
    scissors = Scissors(fate=fate)
    check(*run(updated(pump, scissors)))
    return scissors.passed


def strike_each(pump: Workshop, fate: Fate, points: range) -> str:
    """One update for each of these packets; the numbers."""
    size, longest_ms, most = pump.new.stat().st_size, 0, 0
    for point in points:
        scissors = Scissors(point, fate)
        result, status = run(updated(pump, scissors))
        check(result, status)
        again = scissors.image_bytes - size
        losses = max(1, result.upload.losses if result.upload else 0)
        assert again <= losses * (WINDOW + FRAME), (point, again)
        assert result.resent_bytes >= again
        longest_ms = max(longest_ms, result.duration_ms)
        most = max(most, again)
    return (
        f"{len(points)} updates, 0 wrong, at most {most:,} bytes of the image sent again, "
        f"longest run {longest_ms / 1000:.1f} s"
    )


@pytest.mark.parametrize("fate", Fate)
def test_a_sample_of_packets_is_cut_lost_late_or_twice(pump: Workshop, fate: Fate, tell: Callable[[str], None]) -> None:
    packets = passing(pump, fate)
    tell(strike_each(pump, fate, range(1, packets + 1, max(1, packets // SAMPLE))))


@pytest.mark.deep
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("fate", Fate)
def test_every_packet_is_cut_lost_late_or_twice(pump: Workshop, fate: Fate, tell: Callable[[str], None]) -> None:
    tell(strike_each(pump, fate, range(1, passing(pump, fate) + 1)))


def motion(here: VirtualWorld, *, on: bool) -> None:
    here.device.happen(InputChanged(name="motion", value=on))


def strike_at(step: StepName, blow: Callable[[VirtualWorld], None]) -> Callable[[VirtualWorld, Event], None]:
    """At a step's beginning, or where it needs no act: when its proof is there."""
    struck: list[StepName] = []

    def strike(here: VirtualWorld, event: Event) -> None:
        if isinstance(event, StepBegun | StepDone) and event.name is step and not struck:
            struck.append(step)
            blow(here)

    return strike


@pytest.mark.parametrize("step", [StepName.VERIFY, StepName.UPLOAD, StepName.TEST, StepName.RESET])
def test_the_gate_closes_for_a_moment(pump: Workshop, step: StepName) -> None:
    def blow(here: VirtualWorld) -> None:
        motion(here, on=True)
        motion(here, on=False)

    check(*run(updated(pump, Scissors(), strike_at(step, blow))))


@pytest.mark.parametrize("service", Visibility)
def test_the_gate_closes_in_the_middle_of_the_upload(pump: Workshop, service: Visibility) -> None:
    """With a live service it vanishes while the link stays: silence, and then a handle that means nothing any more."""
    struck: list[int] = []

    def strike(here: VirtualWorld, event: Event) -> None:
        if isinstance(event, Uploading) and event.progress.off < event.progress.size and not struck:
            struck.append(event.progress.off)
            motion(here, on=True)
            motion(here, on=False)

    result, status = run(updated(pump, Scissors(), strike, service=service))
    check(result, status)
    assert struck


def test_the_gate_closes_during_the_trial_and_the_old_image_is_back(pump: Workshop) -> None:
    def blow(here: VirtualWorld) -> None:
        motion(here, on=True)
        motion(here, on=False)

    check(*run(updated(pump, Scissors(), strike_at(StepName.CONFIRM, blow))), outcome=Outcome.REVERTED)


@pytest.mark.parametrize("session", SessionRule)
@pytest.mark.parametrize("lease_max_ms", [20_000, 600_000], ids=["not extended", "extended"])
def test_a_health_check_that_takes_longer_than_a_lease(pump: Workshop, session: SessionRule, lease_max_ms: int) -> None:
    mode = replace(
        pump.policy.modes["maintenance"], lease_ms=20_000, lease_max_ms=lease_max_ms, idle_ms=None, session=session
    )
    policy = replace(
        pump.policy,
        modes={**pump.policy.modes, "maintenance": mode},
        update=replace(pump.policy.update, trial_deadline_ms=300_000),
    )

    async def health() -> str | None:
        await asyncio.sleep(70)
        return None

    result, status = run(updated(pump, Scissors(), policy=policy, health=health))
    extended = lease_max_ms > 20_000
    check(result, status, outcome=Outcome.CONFIRMED if extended else Outcome.REVERTED)
    assert (result.extensions >= 4) is extended
    if not extended:
        assert result.detail.startswith("the device's lease of 20 s ended before this was done, and it extends it no")
        assert "lease_max_s" in result.next_step


ALL_STEPS = (*WORK[Goal.FULL], StepName.LEAVE, StepName.LEFT)
ON_TRIAL = {StepName.PROVE, StepName.HEALTH, StepName.CONFIRM}
"""The new image runs and is not confirmed yet: it does not start again."""


@pytest.mark.parametrize("step", ALL_STEPS)
def test_the_power_fails(pump: Workshop, step: StepName) -> None:
    tasks: list[Any] = []

    def blow(here: VirtualWorld) -> None:
        tasks.append(asyncio.ensure_future(here.device.power_cycle()))

    outcome = Outcome.REVERTED if step in ON_TRIAL else Outcome.CONFIRMED
    check(*run(updated(pump, Scissors(), strike_at(step, blow))), outcome=outcome)
    assert tasks


def test_a_namesake_on_the_air_is_heard_while_the_first_one_is_connected_to(pump: Workshop):
    """The scan goes on beside the connection attempt, the discovery and the subscription."""

    async def story() -> None:
        async def appear(air: AirLink) -> Device:
            await asyncio.sleep(0.35)
            return await Device(air).start()

        async with VirtualWorld(pump.policy, pump.old.read_bytes(), secret=read_secret(pump.policy), air=AIR) as here:
            namesake = asyncio.ensure_future(appear(here.air))
            job = Job(images=(job_image(pump.new),), way=way_into(pump.policy))
            with pytest.raises(InputError, match=f"2 devices have this name: .*, {ADDRESS}"):
                await update(here.endpoint(), job)
            assert here.device.status()["mode"] == "normal"
            assert not here.peripheral.connections
            await (await namesake).radio.close()

    run(story())


def test_the_device_advertises_more_often_only_while_it_waits_for_whoever_has_entered(
    pump: Workshop, monkeypatch: pytest.MonkeyPatch
):
    async def story() -> None:
        shown: set[tuple[bool, bool, int]] = set()
        advertise = BumblePeripheral.advertise

        async def noted(self: BumblePeripheral, what: Advertisement | None) -> None:
            if what is not None:
                in_maintenance = UUID(ble.SERVICE_UUID).bytes[::-1] in what.data
                shown.add((in_maintenance, bool(self.connections), what.interval_ms))
            await advertise(self, what)

        monkeypatch.setattr(BumblePeripheral, "advertise", noted)
        result, _ = await updated(pump, Scissors())
        assert result.outcome is Outcome.CONFIRMED, result
        assert shown == {
            (False, False, ADVERTISING_INTERVAL_MS),
            (True, False, AWAITED_INTERVAL_MS),
            (True, True, ADVERTISING_INTERVAL_MS),
        } | shown & {(False, True, ADVERTISING_INTERVAL_MS)}

    run(story())


def test_the_slots_are_read_before_the_upload_and_after_the_reset_each_with_the_gate_open(pump: Workshop):
    """What the verdict reads along counts after the reset alone; before it, `verify` also holds the file against it."""

    async def story() -> None:
        events: list[Event] = []
        await updated(pump, Scissors(), lambda _world, event: events.append(event))
        begun = [event.name for event in events if isinstance(event, StepBegun)]
        assert begun.count(StepName.VERIFY) == 1
        assert begun.index(StepName.VERIFY) < begun.index(StepName.UPLOAD)
        after = begun[begun.index(StepName.SWAP) :]
        assert after == [StepName.SWAP, StepName.VERDICT, StepName.CONFIRM, StepName.LEAVE, StepName.LEFT]

    run(story())
