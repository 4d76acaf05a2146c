"""Waves, places, retries and what stops a campaign, with updates whose ends are given."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from tests.campaign.memory_engine import Kept, MemoryEngine

from keyswitch.app.request import UpdateRequest
from keyswitch.campaign.engine import CAMPAIGN
from keyswitch.campaign.events import (
    ApprovalAwaited,
    Attempt,
    CampaignState,
    DeviceEnded,
    Event,
    LabelScanned,
    Pausing,
    Stopping,
    WaveApproved,
    WindowAwaited,
)
from keyswitch.campaign.flows import Controller
from keyswitch.campaign.model import Campaign, CampaignDevice
from keyswitch.campaign.outcomes import AbortRule, Outcome, Retry
from keyswitch.campaign.radios import adapter_of
from keyswitch.campaign.windows import Day, Window

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
"""A Saturday."""

NIGHT = Window(days=(Day.SATURDAY,), opens_min=22 * 60, closes_min=5 * 60, zone="UTC")

FAILED, WAITING, CONFIRMED = Outcome.FAILED, Outcome.WAITING, Outcome.CONFIRMED


@dataclass
class Bench:
    """Devices whose attempts end as given, the last one again and again; who was asked, and how many at once."""

    ends: list[list[Outcome]]
    kept: Kept = field(default_factory=Kept)
    begun: list[str] = field(default_factory=list)
    most: int = 0
    told: list[Event] = field(default_factory=list)
    records: list[tuple[dict[str, Attempt], CampaignState]] = field(default_factory=list)
    during: Callable[[str], None] = lambda _device: None
    now: int = 0
    clock: Callable[[], datetime] = lambda: NOON
    targets: list[str] = field(default_factory=list)
    on: Counter[str | None] = field(default_factory=Counter)
    most_on: Counter[str | None] = field(default_factory=Counter)
    waited_ms: list[int] = field(default_factory=list)
    approves: bool = True
    labels: list[str] = field(default_factory=list)
    before: dict[str, Outcome] = field(default_factory=dict)
    gateways: list[str] = field(default_factory=list)
    asked_at: dict[str, str] = field(default_factory=dict)
    serials: list[str | None] = field(default_factory=list)
    asked: Callable[[], None] = lambda: None
    also: Callable[[Event], None] = lambda _event: None
    at: datetime = NOON
    controller: Controller = field(init=False)
    ask_pause: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, event: Event) -> None:
        """Approves each wave that waits, one turn of the loop later, if it is to."""
        self.told.append(event)
        self.also(event)
        if isinstance(event, ApprovalAwaited) and self.approves:
            loop = asyncio.get_running_loop()
            loop.call_soon(self.controller.approve, event.wave, "somebody@bench", "2026-11-28T12:00:00.000+00:00")
        elif isinstance(event, ApprovalAwaited):
            asyncio.get_running_loop().call_soon(self.asked)

    async def update(self, device: CampaignDevice, _campaign: Campaign | None, _sink: Any) -> Attempt:
        self.begun.append(device.id)
        self.now += 1
        self.most = max(self.most, self.now)
        adapter = adapter_of(device.request.target)
        self.on[adapter] += 1
        self.most_on[adapter] = max(self.most_on[adapter], self.on[adapter])
        self.during(device.id)
        await asyncio.sleep(0)
        self.on[adapter] -= 1
        self.now -= 1
        ends = self.ends[int(device.id)]
        return Attempt(outcome=ends[min(self.begun.count(device.id), len(ends)) - 1])

    def run(self, **values: Any) -> dict[str, Any]:
        devices = tuple(
            CampaignDevice(
                id=str(n),
                request=UpdateRequest(target=target, serial_number=self.serials[n] if self.serials else None),
                gateway=self.gateways[n % len(self.gateways)] if self.gateways else None,
            )
            for n, target in enumerate(self.targets or [f"udp:127.0.0.1:{n + 1}" for n in range(len(self.ends))])
        )
        values = {"waves": (len(devices),), **values}
        campaign = Campaign(name="tray", digest="", devices=devices, **values)

        def record(_what: Campaign, ended: Any, state: CampaignState, _why: str) -> None:
            self.records.append((dict(ended), state))

        async def carried_out() -> dict[str, Any]:
            self.controller = Controller(
                campaign=campaign,
                sink=self.hear,
                record=record,
                update=self.update,
                clock=self.clock,
                labels=bool(self.labels),
                ended=dict(self.before),
            )
            engine = MemoryEngine(self.controller.flows, self.kept)
            engine.others = {f"gateway {name}": partial(self.at_gateway, name) for name in self.gateways}
            deadline = asyncio.ensure_future(self.controller.keep_deadline())
            running = asyncio.ensure_future(engine.run(campaign.name, CAMPAIGN, campaign.to_plain()))
            paused = asyncio.ensure_future(self.paused())
            await asyncio.wait([running, paused], return_when=asyncio.FIRST_COMPLETED)
            self.waited_ms = engine.waited_ms
            if not running.done():
                engine.abandon()
            paused.cancel()
            deadline.cancel()
            ends = await asyncio.gather(running, paused, return_exceptions=True)
            return ends[0] if isinstance(ends[0], dict) else {}

        return asyncio.run(carried_out())

    async def at_gateway(self, name: str, flow: str, argument: Any) -> Any:
        assert flow == "attempt"
        device = CampaignDevice.from_plain(argument["device"])
        self.asked_at[device.id] = f"gateway {name}"
        return (await self.update(device, None, None)).to_plain()

    async def paused(self) -> None:
        """Ends when a pause that was asked for has taken effect."""
        if self.labels:
            for label in self.labels:
                self.controller.scan(label)
            await self.controller.until_scanned_have_ended()
        else:
            await self.ask_pause.wait()
        await self.controller.pause("by a person")


def test_waves_come_one_after_the_other_and_places_are_kept():
    bench = Bench([[CONFIRMED]] * 6)
    result = bench.run(waves=(1, 3, 2), concurrency=2)
    assert result == {"state": "done", "why": "", "outcomes": {"confirmed": 6}}
    assert [set(bench.begun[:1]), set(bench.begun[1:4]), set(bench.begun[4:])] == [{"0"}, {"1", "2", "3"}, {"4", "5"}]
    assert bench.most == 2
    ((ended, state),) = bench.records
    assert (len(ended), state) == (6, CampaignState.DONE)


@pytest.mark.parametrize(("failures", "begun"), [(2, 6), (3, 3)])
def test_a_campaign_stops_at_its_limit_and_no_device_begins_behind_it(failures: int, begun: int):
    bench = Bench([[FAILED]] * failures + [[CONFIRMED]] * (6 - failures))
    result = bench.run(abort=(AbortRule(outcomes=(FAILED,), least=3, percent=50),))
    assert len(bench.begun) == begun
    assert result["state"] == ("aborted" if begun < 6 else "done")
    assert any(isinstance(event, Stopping) for event in bench.told) is (begun < 6)


def test_devices_that_wait_stop_nothing_and_the_next_wave_comes():
    bench = Bench([[WAITING]] * 5 + [[CONFIRMED]])
    result = bench.run(waves=(5, 1), abort=(AbortRule(outcomes=(FAILED,), least=1, percent=1),))
    assert result == {"state": "done", "why": "", "outcomes": {"waiting": 5, "confirmed": 1}}


def test_a_device_that_waits_is_tried_again_and_holds_no_place_meanwhile():
    bench = Bench([[WAITING, WAITING, CONFIRMED], [CONFIRMED]])
    result = bench.run(retries={WAITING: Retry(attempts=3, wait_ms=100, most_wait_ms=1000)})
    assert result["outcomes"] == {"confirmed": 2}
    assert bench.waited_ms == [100, 200]
    assert bench.begun[:2] == ["0", "1"], "the second device has the only place while the first one waits"


@pytest.mark.parametrize(("attempts", "outcome"), [(2, "waiting"), (3, "confirmed")])
def test_attempts_are_counted_exactly(attempts: int, outcome: str):
    bench = Bench([[WAITING, WAITING, CONFIRMED]])
    result = bench.run(retries={WAITING: Retry(attempts=attempts, wait_ms=1, most_wait_ms=1)})
    assert result["outcomes"] == {outcome: 1}


def test_stopped_by_a_person_what_is_under_way_reaches_its_end():
    bench = Bench([[CONFIRMED]] * 3)
    bench.during = lambda device: bench.controller.stop("by a person") if device == "0" else None
    result = bench.run()
    assert (bench.begun, result["state"], result["outcomes"]) == (["0"], "aborted", {"confirmed": 1, "not begun": 2})


def test_stopped_while_it_waits_a_device_is_waiting():
    bench = Bench([[WAITING], [FAILED]])
    retries = {WAITING: Retry(attempts=9, wait_ms=1, most_wait_ms=1)}
    result = bench.run(retries=retries, abort=(AbortRule(outcomes=(FAILED,), least=1, percent=1),))
    assert (result["outcomes"], result["state"]) == ({"waiting": 1, "failed": 1}, "aborted")


def test_a_wave_begins_when_it_is_approved_and_who_did_is_kept():
    bench = Bench([[CONFIRMED]] * 4)
    assert bench.run(waves=(1, 2, 1), approval=True)["outcomes"] == {"confirmed": 4}
    waits = [(n, event) for n, event in enumerate(bench.told) if isinstance(event, ApprovalAwaited)]
    ends = [n for n, event in enumerate(bench.told) if isinstance(event, DeviceEnded)]
    assert [(event.wave, event.devices) for _, event in waits] == [(2, 2), (3, 1)]
    assert (ends[0] < waits[0][0] < ends[1], ends[2] < waits[1][0] < ends[3]) == (True, True)
    kept = [text for place, text in bench.kept.steps.items() if place[0] == "tray" and "somebody@bench" in text]
    assert len(kept) == 2


def test_a_wave_that_nobody_approves_does_not_begin_and_a_stop_ends_the_wait():
    bench = Bench([[CONFIRMED]] * 2, approves=False)
    bench.asked = lambda: bench.controller.stop("by a person")
    result = bench.run(waves=(1, 1), approval=True)
    assert (bench.begun, result["state"], result["outcomes"]) == (["0"], "aborted", {"confirmed": 1})
    assert not any(isinstance(event, WaveApproved) for event in bench.told)


def test_what_was_approved_needs_no_second_approval():
    bench = Bench([[CONFIRMED]] * 2)
    bench.run(waves=(1, 1), approval=True)
    again = Bench(bench.ends, kept=bench.kept, approves=False)
    again.kept.flows.clear()
    assert again.run(waves=(1, 1), approval=True)["outcomes"] == {"confirmed": 2}
    assert again.told == []


@pytest.mark.parametrize(("failures", "begun"), [(2, 6), (3, 3)])
def test_at_gateways_a_campaign_stops_at_its_limit_as_well(failures: int, begun: int):
    bench = Bench([[FAILED]] * failures + [[CONFIRMED]] * (6 - failures), gateways=["north", "south"])
    result = bench.run(abort=(AbortRule(outcomes=(FAILED,), least=3, percent=50),), concurrency=1)
    assert len(bench.begun) == begun
    assert result["state"] == ("aborted" if begun < 6 else "done")
    ends = [event.ended.outcome for event in bench.told if isinstance(event, DeviceEnded)]
    assert len(ends) == begun
    assert [bench.asked_at[id_] for id_ in bench.begun[:2]] == ["gateway north", "gateway south"]


def test_what_a_gateway_has_ended_is_not_asked_of_it_again():
    bench = Bench([[WAITING, CONFIRMED]], gateways=["north"])
    retries = {WAITING: Retry(attempts=2, wait_ms=1, most_wait_ms=1)}
    assert bench.run(retries=retries)["outcomes"] == {"confirmed": 1}
    again = Bench(bench.ends, kept=bench.kept, gateways=["north"])
    again.kept.flows = {id_: text for id_, text in again.kept.flows.items() if id_.count("/") > 1}  # the attempts' own
    assert again.run(retries=retries)["outcomes"] == {"confirmed": 1}
    assert again.begun == []


def test_a_device_begins_when_its_label_was_scanned():
    bench = Bench([[CONFIRMED]] * 3, serials=["SN 0", "SN 1", None])
    bench.labels = ["SN 1", "x", "SN 1", "2"]
    assert bench.run(concurrency=3) == {}, "paused: one was not scanned"
    assert sorted(bench.begun) == ["1", "2"]
    scanned = [(event.device, event.again) for event in bench.told if isinstance(event, LabelScanned)]
    assert scanned == [("1", False), (None, False), ("1", True), ("2", False)]
    again = Bench(bench.ends, kept=bench.kept, serials=bench.serials, labels=["SN 0"])
    again.before = {"1": CONFIRMED, "2": CONFIRMED}
    assert again.run(concurrency=3)["outcomes"] == {"confirmed": 3}
    assert again.begun == ["0"]


def test_who_was_scanned_is_tried_again_before_the_end_of_the_labels_pauses():
    bench = Bench([[WAITING, CONFIRMED], [CONFIRMED]], labels=["0"])
    assert bench.run(retries={WAITING: Retry(attempts=2, wait_ms=1, most_wait_ms=1)}) == {}
    assert bench.begun == ["0", "0"]


class Clock:
    """A time of day that is another one at each look."""

    def __init__(self, *moments: datetime) -> None:
        self.moments = list(moments)

    def __call__(self) -> datetime:
        return self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]


@pytest.fixture
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyswitch.campaign.flows.LOOK_AT_CLOCK_S", 0.0)


@pytest.mark.usefixtures("looks_at_once")
def test_a_device_begins_when_a_window_is_open_by_a_clock_that_may_be_set_back():
    before, open_ = NOON + timedelta(hours=9, minutes=59), NOON + timedelta(hours=10)
    clock = Clock(before, before, before, before - timedelta(hours=1), before, before, open_)
    bench = Bench([[CONFIRMED]], clock=clock)
    assert bench.run(windows=(NIGHT,))["outcomes"] == {"confirmed": 1}
    awaited = [event.opens_at for event in bench.told if isinstance(event, WindowAwaited)]
    assert awaited == ["2026-11-28T22:00:00.000+00:00"], "told once"
    assert clock.moments == [open_]


@pytest.mark.usefixtures("looks_at_once")
def test_a_window_that_closes_lets_end_what_is_under_way_and_nothing_begin():
    bench = Bench([[CONFIRMED]] * 2, clock=lambda: bench.at)
    bench.at = NOON + timedelta(hours=10)

    def closes(device: str) -> None:
        if device == "0":
            bench.at = NOON + timedelta(hours=17)
        assert device == "0" or bench.at == NOON + timedelta(days=7, hours=10)

    def opens(event: Event) -> None:
        if isinstance(event, WindowAwaited):
            bench.at = NOON + timedelta(days=7, hours=10)

    bench.during, bench.also = closes, opens
    assert bench.run(windows=(NIGHT,))["outcomes"] == {"confirmed": 2}
    assert [type(event) for event in bench.told].count(WindowAwaited) == 1


@pytest.mark.parametrize(("late_ms", "begun"), [(-1, ["0", "1"]), (0, ["0"]), (1, ["0"])])
@pytest.mark.usefixtures("looks_at_once")
def test_a_deadline_is_exact(late_ms: int, begun: list[str]):
    deadline = NOON + timedelta(hours=1)
    bench = Bench([[CONFIRMED]] * 2, clock=lambda: bench.at)

    def passes(device: str) -> None:
        if device == "0":
            bench.at = deadline + timedelta(milliseconds=late_ms)

    bench.at, bench.during = NOON, passes
    result = bench.run(deadline=deadline, waves=(1, 1))
    assert bench.begun == begun
    if len(begun) == 1:
        assert (result["state"], result["why"]) == ("aborted", "its deadline, 2026-11-28T13:00:00+00:00, is over")


@pytest.mark.usefixtures("looks_at_once")
def test_who_waits_for_a_window_is_stopped_by_the_deadline():
    clock = Clock(*[NOON] * 9, NOON + timedelta(hours=1))
    bench = Bench([[CONFIRMED]], clock=clock)
    result = bench.run(deadline=NOON + timedelta(hours=1), windows=(NIGHT,))
    assert (bench.begun, result["state"], result["outcomes"]) == ([], "aborted", {"not begun": 1})


@pytest.mark.parametrize(("per_adapter", "most"), [(1, 3), (2, 4)])
def test_devices_of_one_adapter_share_its_places_and_hold_none_of_the_others_meanwhile(per_adapter: int, most: int):
    bench = Bench(
        [[CONFIRMED]] * 8,
        targets=["ble:A", "ble:B", "ble:C", "hci:usb:0#D", "hci:usb:0#E", "udp:h", "hci:usb:0#F", "ble:G"],
    )
    assert bench.run(concurrency=4, per_adapter=per_adapter)["outcomes"] == {"confirmed": 8}
    assert bench.most == most
    assert bench.most_on == {"ble:": per_adapter, "hci:usb:0": per_adapter, None: 1}


@pytest.mark.parametrize("concurrency", [1, 2])
def test_paused_what_is_under_way_reaches_its_end_and_the_rest_begins_when_it_is_resumed(concurrency: int):
    bench = Bench([[CONFIRMED]] * 4)
    bench.during = lambda device: bench.ask_pause.set() if device == "1" else None
    assert bench.run(concurrency=concurrency) == {}
    assert bench.begun == ["0", "1"]
    assert sum(isinstance(event, DeviceEnded) for event in bench.told) == 2
    assert any(isinstance(event, Pausing) for event in bench.told)
    assert len(bench.kept.steps) == 2, "how they ended is kept"
    again = Bench(bench.ends, kept=bench.kept)
    assert again.run(concurrency=concurrency)["outcomes"] == {"confirmed": 4}
    assert again.begun == ["2", "3"]


def test_a_pause_does_not_wait_for_the_next_attempt():
    bench = Bench([[WAITING, CONFIRMED]])
    bench.during = lambda _device: bench.ask_pause.set()
    assert bench.run(retries={WAITING: Retry(attempts=2, wait_ms=600_000, most_wait_ms=600_000)}) == {}
    again = Bench([[CONFIRMED]], kept=bench.kept)
    retries = {WAITING: Retry(attempts=2, wait_ms=1, most_wait_ms=1)}
    assert again.run(retries=retries)["outcomes"] == {"confirmed": 1}


def test_what_has_ended_is_not_begun_again():
    bench = Bench([[CONFIRMED]] * 3)
    bench.run()
    again = Bench(bench.ends, kept=bench.kept)
    again.kept.flows.pop("tray")  # killed before the campaign's own end was written
    assert again.run()["outcomes"] == {"confirmed": 3}
    assert again.begun == []


def test_an_attempt_whose_end_was_written_is_counted_though_its_flow_was_not():
    """Killed between the two: the limit is still found, from what the step has returned."""
    bench = Bench([[FAILED]])
    rule = AbortRule(outcomes=(FAILED,), least=1, percent=1)
    bench.run(abort=(rule,))
    again = Bench([[FAILED], [CONFIRMED]], kept=bench.kept)
    again.kept.flows.clear()
    again.kept.steps = {place: text for place, text in again.kept.steps.items() if place[0] == "tray/0"}
    assert again.run(abort=(rule,))["state"] == "aborted"
    assert again.begun == []


def test_an_attempt_that_no_update_has_measured_took_as_long_as_it_took():
    bench = Bench([[Outcome.REFUSED]], during=lambda _: time.sleep(0.003))
    bench.run()
    (ended,) = [event.ended for event in bench.told if isinstance(event, DeviceEnded)]
    assert ended.duration_ms is not None
    assert ended.duration_ms >= 3
    assert bench.records[0][0]["0"].duration_ms == ended.duration_ms
    measured = Attempt(outcome=CONFIRMED, duration_ms=7).ended(at="noon", took_ms=9)
    assert (measured.duration_ms, measured.ended_at) == (7, "noon")
