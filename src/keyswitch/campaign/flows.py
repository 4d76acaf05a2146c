"""The two durable flows: one for a campaign, one for a device, whose only act is the update that exists.

Rules:

* Whatever is killed, the flow is taken up, and the update with it: it asks the device what it has, and does what is
  left (`keyswitch.app.update`). A device is therefore never updated twice, however often its step is begun.
* A place is held while a device is updated, not while it waits for another attempt.
* What stops a campaign is judged when a device ends, before its place is free: no device begins in between.
* Stopped or paused, a device that has begun reaches the end of its attempt, which leads it out of maintenance.
* What decides how a flow goes on is the result of one of its steps; what is left undone by a pause or an interruption
  is a step that has no result yet.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final

from keyswitch.app.update import prepare
from keyswitch.app.update import run as run_update
from keyswitch.campaign.engine import ATTEMPT, CAMPAIGN, DEVICE, Flow, Steps
from keyswitch.campaign.events import (
    ApprovalAwaited,
    Attempt,
    CampaignState,
    DeviceBegun,
    DeviceEnded,
    DeviceTold,
    Event,
    LabelScanned,
    Pausing,
    Stopping,
    WaveApproved,
    WindowAwaited,
    last_attempt,
)
from keyswitch.campaign.model import Campaign, CampaignDevice, Plain
from keyswitch.campaign.orders import stamp, time_of_day
from keyswitch.campaign.outcomes import Outcome, Retry, why_abort
from keyswitch.campaign.radios import Radios, adapter_of
from keyswitch.campaign.results import is_still_away, outcome_of
from keyswitch.campaign.windows import opens_at
from keyswitch.errors import InputError
from keyswitch.host.update.events import Event as UpdateEvent
from keyswitch.host.update.job import Result

LOOK_AT_CLOCK_S: Final = 60.0
"""How long a wait for a time of day lasts at most before it is looked at again: somebody may have set the clock."""

Sink = Callable[[Event], None]
Update = Callable[[CampaignDevice, Campaign, Callable[[UpdateEvent], None]], Awaitable[Attempt | None]]
"""Carries one attempt out; None: it was interrupted, and is to be taken up again."""

Record = Callable[[Campaign, Mapping[str, Attempt], CampaignState, str], None]
"""Writes the campaign's own record."""


def executor_of(gateway: str) -> str:
    """Whom the engine takes a gateway for."""
    return f"gateway {gateway}"


def updates_over(radios: Radios) -> Update:
    """Updates whose devices share these radios."""

    async def update(device: CampaignDevice, campaign: Campaign, sink: Callable[[UpdateEvent], None]) -> Attempt | None:
        return await update_device(device, campaign.image_hashes, sink, radios=radios)

    return update


async def update_device(
    device: CampaignDevice,
    image_hashes: tuple[str, ...],
    sink: Callable[[UpdateEvent], None],
    *,
    radios: Radios,
) -> Attempt | None:
    """One attempt: the update of one device, with an outcome whatever happens."""
    try:
        prepared = prepare(device.request, radio=partial(radios.of, device.request.target))
    except InputError as error:
        return Attempt(outcome=Outcome.REFUSED, detail=str(error))
    try:
        if image_hashes != tuple(image.hash.hex() for image in prepared.job.images):
            detail = f"{device.request.image} is another image than when the campaign began"
            return Attempt(outcome=Outcome.REFUSED, detail=detail)
        result: Result = await run_update(prepared, sink)
    except InputError as error:
        return Attempt(outcome=Outcome.REFUSED, detail=str(error))
    except Exception as error:  # noqa: BLE001 - one device's bug must not end the campaign; it is told as what it is
        return Attempt(outcome=Outcome.FAILED, detail=f"a bug in keyswitch: {type(error).__name__}: {error}")
    finally:
        await prepared.endpoint.close()  # its part of a radio, also where the run did not begin
    outcome = outcome_of(result)
    evidence = device.request.evidence
    if outcome is Outcome.UNREACHABLE and evidence is not None and is_still_away(evidence):
        detail = f"it has not come back since an earlier attempt reset it to start the new image; {result.line}"
        return replace(Attempt.of(Outcome.FAILED, result), detail=detail)
    return None if outcome is None else Attempt.of(outcome, result)


@dataclass(slots=True)
class Controller:
    """What the flows of one process share: places, how it stands, and whether it goes on.

    Attributes:
        campaign: that is carried out.
        sink: is told what happens.
        update: carries an attempt out.
        record: writes the campaign's own record.
        ended: outcome of each device that has ended; those of an earlier process are handed in.
        away: a device as its gateway is told of it.
        labels: a device begins when its label was scanned (`scan`); False: at once.
        clock: the time of day, which windows, the deadline and records go by; whoever sets it moves them.
    """

    campaign: Campaign
    sink: Sink
    record: Record
    update: Update
    ended: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    away: Callable[[CampaignDevice], CampaignDevice] = field(default=lambda device: device)
    labels: bool = False
    clock: Callable[[], datetime] = time_of_day
    why: str = ""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _held: bool = False
    _told_window: datetime | None = None
    _at_work: set[str] = field(default_factory=set[str])
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _approved: dict[int, WaveApproved] = field(default_factory=dict[int, WaveApproved])
    _scanned: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    _one_ended: asyncio.Event = field(default_factory=asyncio.Event)
    _approvals: defaultdict[int, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    _under_way: set["asyncio.Task[Attempt | None]"] = field(default_factory=set["asyncio.Task[Attempt | None]"])
    _places: asyncio.Semaphore = field(init=False)
    _on_adapter: defaultdict[str, asyncio.Semaphore] = field(init=False)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.campaign.concurrency)
        self._on_adapter = defaultdict(partial(asyncio.Semaphore, self.campaign.per_adapter))
        self._judge()

    @property
    def flows(self) -> dict[str, Flow]:
        """The flows by their names, for the engine."""
        return {CAMPAIGN: self.campaign_flow, DEVICE: self.device_flow}

    def stop(self, why: str) -> None:
        """No further device begins; those under way reach their end."""
        if not self._stopping.is_set():
            self.why = why
            self._stopping.set()
            self.sink(Stopping(why=why))

    def approve(self, wave: int, who: str, at: str) -> None:
        """The wave of this number may begin once it is its turn."""
        if wave not in self._approved:
            self._approved[wave] = WaveApproved(wave=wave, who=who, at=at)
            self._approvals[wave].set()

    def scan(self, label: str) -> None:
        """Let the device begin that has this label: its serial number or its id, as the campaign has them."""
        of = {name: each.id for each in self.campaign.devices for name in (each.id, each.request.serial_number) if name}
        device = of.get(label)
        again = device is not None and self._scanned[device].is_set()
        if device is not None:
            self._scanned[device].set()
        self.sink(LabelScanned(label=label, device=device, again=again))

    async def until_scanned_have_ended(self) -> None:
        """Wait for the devices that were scanned and whose turn has come; for ever if that is the whole campaign."""
        while self._due() or len(self.ended) == len(self.campaign.devices):
            self._one_ended.clear()
            await self._one_ended.wait()

    def _due(self) -> set[str]:
        """Devices that were scanned and have not ended, of the waves up to the first one that has not."""
        due: set[str] = set()
        for wave in self.campaign.waves_of_devices:
            left = {device.id for device in wave} - self.ended.keys()
            due |= {id_ for id_ in left if self._scanned[id_].is_set()}
            if left:
                break
        return due

    async def pause(self, why: str) -> None:
        """No further attempt begins; returns when those under way have reached their end, and that is kept."""
        self._held = True
        self.sink(Pausing(why=why))
        while self._at_work:
            self._idle.clear()
            await self._idle.wait()

    async def interrupt(self) -> None:
        """End the updates that are under way as Ctrl-C ends one; the campaign can be resumed from there."""
        self._held = True
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def campaign_flow(self, steps: Steps, _argument: Plain) -> Plain:
        """Wave after wave, until all have ended or it is stopped."""
        campaign = self.campaign
        ended: dict[str, Attempt] = {}
        for number, wave in enumerate(campaign.waves_of_devices, 1):
            if campaign.approval and number > 1:
                approval = await steps.step("approval", partial(self._approval, number, len(wave)))
                if approval is None:
                    break
            begun = [(campaign.device_flow_id(device), {"device": device.to_plain()}) for device in wave]
            results = await steps.children(DEVICE, begun)
            ended |= {device.id: last_attempt(each) for device, each in zip(wave, results, strict=True)}
            if any(each.outcome is None for each in ended.values()):
                break
        whole = len(ended) == len(campaign.devices) and all(each.outcome for each in ended.values())

        async def conclude() -> Plain:
            # Stopped, though every device has ended: one that waited may have been left alone because of it.
            state = CampaignState.DONE if whole and not self.why else CampaignState.ABORTED
            self.record(campaign, ended, state, self.why)
            outcomes = dict(Counter(_word(each) for each in ended.values()))
            return {"state": state.value, "why": self.why, "outcomes": outcomes}

        return await steps.step("conclude", conclude)

    async def device_flow(self, steps: Steps, argument: Plain) -> Plain:
        """Attempt after attempt, until one is the last."""
        device = CampaignDevice.from_plain(argument["device"])
        before: Attempt | None = None
        attempt = 1
        while True:
            if self.labels and attempt == 1:
                await _either(self._scanned[device.id], self._stopping)
            await self._open_window()
            async with self._place(device):
                if self._held:
                    await _never()
                if not self._may_begin():
                    continue  # it closed while the device had no place
                ended = Attempt.from_plain(await self._kept(steps, device, attempt))
                if ended.outcome is None:  # stopped: how the last attempt ended is what is true
                    ended, wait_ms, attempt = before or ended, None, attempt - 1
                else:
                    wait_ms = self._retry(ended.outcome).wait_before(attempt + 1)
                if wait_ms is None:
                    if ended.outcome is not None:
                        self.ended[device.id] = ended.outcome
                        self._one_ended.set()
                        self._judge()
                    return {"last": ended.to_plain(), "attempts": attempt}
            await steps.sleep(wait_ms, until=self._stopping)
            before, attempt = ended, attempt + 1

    def _may_begin(self) -> bool:
        """Whether a window is open; what is stopped need not wait for one."""
        at = self.clock()
        return self._stopping.is_set() or opens_at(self.campaign.windows, at) <= at

    async def _open_window(self) -> None:
        """Wait until a window is open, by the time of day."""
        while not self._may_begin():
            opens = opens_at(self.campaign.windows, self.clock())
            if opens != self._told_window:
                self._told_window = opens
                self.sink(WindowAwaited(opens_at=stamp(opens)))
            await self._until(opens)

    async def keep_deadline(self) -> None:
        """Stop the campaign when its deadline is over, by the time of day; returns then, or at once without one."""
        deadline = self.campaign.deadline
        if deadline is None:
            return
        while self.clock() < deadline and not self._stopping.is_set():
            await self._until(deadline)
        self.stop(f"its deadline, {deadline.isoformat()}, is over")

    async def _until(self, moment: datetime) -> None:
        """Wait for a moment, but not so long that a clock which is set meanwhile would not be noticed."""
        left_s = (moment - self.clock()).total_seconds()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), min(max(left_s, 0.0), LOOK_AT_CLOCK_S))

    @asynccontextmanager
    async def _place(self, device: CampaignDevice) -> AsyncGenerator[None]:
        """A place among all; on its adapter first, so that none is held by who waits for an adapter."""
        name = adapter_of(device.request.target)
        async with AsyncExitStack() as stack:
            if name is not None:
                await stack.enter_async_context(self._on_adapter[f"{device.gateway or ''} {name}"])
            await stack.enter_async_context(self._places)
            yield

    async def _kept(self, steps: Steps, device: CampaignDevice, attempt: int) -> Plain:
        """How an attempt ended, once that is kept."""
        self._at_work.add(device.id)
        try:
            if device.gateway is not None:
                return await self._at_gateway(steps, device, attempt, device.gateway)
            return await steps.step("attempt", partial(self._attempt, device, attempt))
        finally:
            self._not_at_work(device)

    async def _at_gateway(self, steps: Steps, device: CampaignDevice, attempt: int, gateway: str) -> Plain:
        """The same by a gateway. Interrupted here, it goes on there, and its end is found when this is resumed."""
        stopped = await steps.step("begin", partial(self._begin, device, attempt))
        if stopped is not None:
            return stopped
        argument = {
            "device": self.away(device).to_plain(),
            "attempt": attempt,
            "image_hashes": list(self.campaign.image_hashes),
        }
        id_ = f"{self.campaign.device_flow_id(device)}/{attempt}"
        plain = await steps.elsewhere(executor_of(gateway), ATTEMPT, id_, argument)
        self._told_end(device, attempt, Attempt.from_plain(plain))
        return plain

    async def _begin(self, device: CampaignDevice, attempt: int) -> Plain:
        """None, or that it does not begin any more."""
        if self._held:  # since its step was begun
            self._not_at_work(device)
            await _never()
        if self._stopping.is_set():
            return Attempt(outcome=None, detail=f"stopped: {self.why}").to_plain()
        self.sink(DeviceBegun(device=device.id, attempt=attempt))
        return None

    async def _attempt(self, device: CampaignDevice, attempt: int) -> Plain:
        stopped = await self._begin(device, attempt)
        if stopped is not None:
            return stopped
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        task = asyncio.ensure_future(self.update(device, self.campaign, partial(self._told, device.id)))
        self._under_way.add(task)
        ended = None
        try:
            ended = await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            if not self._held:
                raise
        finally:
            self._under_way.discard(task)
        if ended is None or ended.outcome is None:
            await _never()  # not to be recorded as ended: the step is begun anew when the campaign is resumed
            raise AssertionError
        ended = ended.ended(at=stamp(self.clock()), took_ms=round((loop.time() - begun_at) * 1000))
        self._told_end(device, attempt, ended)
        return ended.to_plain()

    def _told_end(self, device: CampaignDevice, attempt: int, ended: Attempt) -> None:
        retry_in_ms = self._retry(ended.outcome).wait_before(attempt + 1) if ended.outcome else None
        self.sink(DeviceEnded(device=device.id, attempt=attempt, ended=ended, retry_in_ms=retry_in_ms))

    def _not_at_work(self, device: CampaignDevice) -> None:
        self._at_work.discard(device.id)
        if not self._at_work:
            self._idle.set()

    async def _approval(self, wave: int, devices: int) -> Plain:
        """Who approved a wave, and when; None: the campaign was stopped instead."""
        if wave not in self._approved and not self._stopping.is_set():
            self.sink(ApprovalAwaited(wave=wave, devices=devices))
            await _either(self._approvals[wave], self._stopping)
        if self._stopping.is_set() or wave not in self._approved:
            return None
        approved = self._approved[wave]
        self.sink(approved)
        return {"wave": wave, "who": approved.who, "at": approved.at}

    def _told(self, device: str, event: UpdateEvent) -> None:
        self.sink(DeviceTold(device=device, event=event))

    def _retry(self, outcome: Outcome) -> Retry:
        return self.campaign.retries.get(outcome, Retry())

    def _judge(self) -> None:
        why = why_abort(self.campaign.abort, list(self.ended.values()))
        if why is not None:
            self.stop(why)


async def _never() -> None:
    """Wait until this process carries nothing out any more."""
    await asyncio.get_running_loop().create_future()


async def _either(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()


def _word(attempt: Attempt) -> str:
    return "not begun" if attempt.outcome is None else attempt.outcome.value
