"""A campaign that people see and steer from the console: carried out in this process, or looked at beside another one.

Rules:

* What is shown is read from what the campaign has written, never from what was told meanwhile.
* Whoever asks for something stands in the campaign's own record, with when, before anything comes of it.
* One process carries a campaign out. Where another one does, the console looks, and asks through that record.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, assert_never

from keyswitch.campaign import carry_out
from keyswitch.campaign.carry_out import Hand
from keyswitch.campaign.events import (
    ApprovalAwaited,
    CampaignBegun,
    CampaignState,
    CampaignStatus,
    DeviceBegun,
    DeviceEnded,
    DeviceTold,
    Event,
    LabelScanned,
    Pausing,
    Stopping,
    WaveApproved,
    WindowAwaited,
)
from keyswitch.campaign.locks import is_held
from keyswitch.campaign.look import look
from keyswitch.campaign.model import Campaign, CampaignFiles
from keyswitch.campaign.orders import OrderKind, asked_by
from keyswitch.console.bench import Bench
from keyswitch.errors import InputError

TOPIC: Final = "campaign"

LOOK_MS: Final = 2_000
"""How old what another process has written may be on a page: nobody tells us of it."""


WORDS: Final = {each.name.lower(): each for each in OrderKind}
"""What a person can ask for, by its word in addresses and texts."""

_STARTS: Final = frozenset({OrderKind.BEGIN, OrderKind.RESUME, OrderKind.RETRY})
"""Acts that carry the campaign out in this process."""


class CampaignDesk:
    """One campaign.

    Args:
        campaign: with its image's hashes (`load.check_requests`).
        files: where it keeps what it has to remember.
        bench: that shows its devices.
    """

    def __init__(self, campaign: Campaign, files: CampaignFiles, bench: Bench) -> None:
        self.campaign = campaign
        self.files = files
        self._bench = bench
        self._targets = {each.id: each.request.target for each in campaign.devices}
        self._hand = Hand()
        self._task: asyncio.Task[None] | None = None
        self._watchers = 0
        self._watch: asyncio.Task[None] | None = None
        self._shown: CampaignStatus | None = None
        self.number = 0
        """Of the acts that were asked for; one is asked for by the next."""
        self.refused = ""
        """Why the last one was not done; empty if it was."""

    @property
    def carries_out(self) -> bool:
        """Whether this process does."""
        return self._task is not None

    def status(self) -> CampaignStatus:
        """How it stands.

        Raises:
            InputError: what it has written cannot be read.
        """
        self._shown = look(self.campaign, self.files)
        return self._shown

    def acts(self, status: CampaignStatus) -> tuple[OrderKind, ...]:
        """What can be asked for as it stands."""
        match status.state:
            case CampaignState.NOT_BEGUN:
                return (OrderKind.BEGIN,)
            case CampaignState.RUNNING:
                approve = (OrderKind.APPROVE,) if status.awaits is not None else ()
                return (*approve, OrderKind.PAUSE, OrderKind.ABORT)
            case CampaignState.INTERRUPTED | CampaignState.PAUSED:
                return (OrderKind.RESUME, OrderKind.ABORT)
            case CampaignState.DONE | CampaignState.ABORTED:
                whole = all(each.is_confirmed for each in status.devices)
                return () if whole else (OrderKind.RETRY,)
            case _:
                assert_never(status.state)

    def ask(self, act: OrderKind, number: int, *, person: str) -> bool:
        """Do what a person asks for, unless that number was asked for before; whether it is done now.

        Args:
            act: which.
            number: the next one, as the person's page has it.
            person: who asks, for the record.
        """
        if number != self.number + 1:
            return False
        self.number, self.refused = number, ""
        with asked_by(person):
            self._ask(act)
        self._bench.changes.note(TOPIC)
        return not self.refused

    def _ask(self, act: OrderKind) -> None:
        try:
            if act not in self.acts(self.status()) or (act in _STARTS and self.carries_out):
                self.refused = f"{act.name.lower()}: not as the campaign stands"
            elif act in _STARTS:
                self._hand = Hand()
                self._task = asyncio.ensure_future(self._carry_out(act, self._hand))
                self._task.add_done_callback(self._ended)
            else:
                self._order(act)
        except InputError as error:
            self.refused = str(error)

    def look(self) -> None:
        """Another process has asked for something of what is carried out here."""
        self._hand.look()

    async def close(self) -> None:
        """End what is carried out here, so that it can be resumed."""
        self._hand.interrupt()
        self._end_watch()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    @contextmanager
    def watched(self) -> Generator[None]:
        """While somebody looks, what another process writes is noticed."""
        self._watchers += 1
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._look_again())
        try:
            yield
        finally:
            self._watchers -= 1
            if self._watchers == 0:
                self._end_watch()

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_MS / 1000)
            if self.carries_out:
                continue  # what is done here is told at once
            before = self._shown
            try:
                changed = self.status() != before
            except InputError:
                changed = True  # the page says why
            if changed:
                self._bench.changes.note(TOPIC)

    async def _carry_out(self, act: OrderKind, hand: Hand) -> None:
        campaign, files = self.campaign, self.files
        async with self._bench.lines(each.request.target for each in campaign.devices):
            match act:
                case OrderKind.RESUME:
                    await carry_out.resume(campaign, files, self._told, hand=hand)
                case OrderKind.RETRY:
                    await carry_out.retry(campaign, files, self._told, hand=hand)
                case _:
                    await carry_out.begin(campaign, files, self._told, hand=hand)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            bug = "" if isinstance(error, InputError) else f"a bug in keyswitch: {type(error).__name__}: "
            self.refused = f"{bug}{error}"
        for device in self.campaign.devices:
            self._bench.campaign_ended(device.request.target)
        self._bench.changes.note(TOPIC)

    def _order(self, act: OrderKind) -> None:
        match act:
            case OrderKind.APPROVE:
                carry_out.order(self.campaign, self.files, OrderKind.APPROVE)
            case OrderKind.PAUSE:
                carry_out.order(self.campaign, self.files, OrderKind.PAUSE)
            case _ if is_held(self.files.lock):
                carry_out.order(self.campaign, self.files, OrderKind.ABORT)
            case _:
                carry_out.abort(self.campaign, self.files)
        self._hand.look()

    def _told(self, event: Event) -> None:
        bench = self._bench
        match event:
            case DeviceBegun(device=device):
                bench.campaign_begins(self._target(device))
            case DeviceTold(device=device, event=told):
                bench.campaign_tells(self._target(device), told)
                return  # what the campaign has written is as it was
            case DeviceEnded(device=device):
                bench.campaign_ended(self._target(device))
            case (
                CampaignBegun()
                | Stopping()
                | Pausing()
                | ApprovalAwaited()
                | WaveApproved()
                | WindowAwaited()
                | LabelScanned()
            ):
                pass
            case _:
                assert_never(event)
        bench.changes.note(TOPIC)

    def _target(self, device: str) -> str:
        return self._targets[device]
