"""Carries a campaign out in this process, from its beginning or from where it was left.

    hand = Hand()
    status = await begin(campaign, files, sink, hand=hand)     # in one task
    order(campaign, files, OrderKind.PAUSE); hand.look()       # in another one, or in another process without the hand

Rules:

* One process carries a campaign out; it holds a lock on the campaign's directory until it ends, however that happens.
* What is carried out is what was asked for when it began. A file that was changed since then is refused, not mixed in.
* What people ask for meanwhile stands in the campaign's own record (`orders`) before anybody is told to look there.
"""

import asyncio
import os
import signal
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

from keyswitch.campaign.dbos_engine import EXECUTOR, cancel_flows, open_dbos
from keyswitch.campaign.dbos_tables import open_store
from keyswitch.campaign.engine import CAMPAIGN, FlowState
from keyswitch.campaign.events import Attempt, CampaignBegun, CampaignState, CampaignStatus, last_attempt
from keyswitch.campaign.flows import Controller, Sink, Update, updates_over
from keyswitch.campaign.gateways import SILENT_S, check_gateways, hand_over, there
from keyswitch.campaign.locks import announce, holder, locked, withdraw
from keyswitch.campaign.look import as_begun_in, begun_round, last_round, look, rounds_of, words_of
from keyswitch.campaign.model import Campaign, CampaignFiles
from keyswitch.campaign.orders import ENDED, OrderKind, read_standing, record
from keyswitch.campaign.outcomes import Outcome
from keyswitch.campaign.radios import Radios, own_adapters
from keyswitch.errors import InputError, Phrase
from keyswitch.host.report.evidence_file import read_journal
from keyswitch.private_files import open_directory

NO_MORE_LABELS: Final = "no more labels are scanned"

CARRIES_OUT: Final = "carries this campaign out"

LOOK_SIGNAL: Final = getattr(signal, "SIGUSR1", None)
"""Asks the process that carries a campaign out to look at what was asked for; there is none on Windows."""


class Hand:
    """Reaches into a campaign that is carried out in this process; used in its event loop."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._interrupted = asyncio.Event()
        self._labels: asyncio.Queue[str | None] | None = None

    def expect_labels(self) -> None:
        """Let each device wait for its label; to be said before the campaign is carried out."""
        self._labels = asyncio.Queue()

    def scan(self, label: str | None) -> None:
        """A label was scanned; None: none will be any more, and the campaign is paused."""
        if self._labels is not None:
            self._labels.put_nowait(label)

    @property
    def expects_labels(self) -> bool:
        """Whether devices wait for their labels."""
        return self._labels is not None

    async def next_label(self) -> str | None:
        """The next label; None: no more come."""
        if self._labels is None:
            await asyncio.get_running_loop().create_future()
            raise AssertionError
        return await self._labels.get()

    def look(self) -> None:
        """Look at what was asked for (`order`)."""
        self._asked.set()

    def interrupt(self) -> None:
        """End the updates that are under way as Ctrl-C ends one, and the run with them; it can be resumed."""
        self._interrupted.set()

    async def asked(self) -> None:
        """Wait until there is something to look at."""
        await self._asked.wait()
        self._asked.clear()

    async def interrupted(self) -> None:
        """Wait until the run is to end."""
        await self._interrupted.wait()


async def begin(
    campaign: Campaign, files: CampaignFiles, sink: Sink, *, hand: Hand | None = None, update: Update | None = None
) -> CampaignStatus:
    """Carry a campaign out that has not begun.

    Args:
        campaign: with its image's hashes (`load.check_requests`).
        files: where it keeps what it has to remember.
        sink: is told what happens.
        hand: reaches into it while it is carried out.
        update: carries one attempt out; None: the update itself.

    Raises:
        InputError: it has begun already, another process carries it out, or its directory cannot be used.
    """
    _make(files)
    with locked(files.lock, CARRIES_OUT) as lock:
        refuse_begun(campaign, files)
        record(files, OrderKind.BEGIN, campaign, file_sha256=campaign.digest, images=list(campaign.image_hashes))
        return await _carry_out(campaign, files, sink, ended={}, lock=lock, hand=hand, update=update)


def refuse_begun(campaign: Campaign, files: CampaignFiles) -> None:
    """Refuse a campaign that has begun already, before anything is asked of a device.

    Raises:
        InputError: it has.
    """
    if last_round(files, campaign) is not None:
        raise InputError(str(files.directory), "this campaign has begun", "`keyswitch campaign resume`")


async def resume(
    campaign: Campaign, files: CampaignFiles, sink: Sink, *, hand: Hand | None = None, update: Update | None = None
) -> CampaignStatus:
    """Carry a campaign on that was interrupted or paused; one that has ended changes nothing.

    Args:
        campaign: as its file has it now.
        files: where it keeps what it has to remember.
        sink: is told what happens.
        hand: reaches into it while it is carried out.
        update: carries one attempt out; None: the update itself.

    Raises:
        InputError: it has not begun, its file was changed since, another version of keyswitch began it, another process
            carries it out, or its directory cannot be used.
    """
    begun = begun_round(campaign, files)
    as_begun = as_begun_in(campaign, begun, files)
    with locked(files.lock, CARRIES_OUT) as lock:
        with open_store(files.store) as store:
            flows = store.flows(campaign.name)
        if flows[as_begun.flow_id].state is not FlowState.UNFINISHED:
            return look(campaign, files)
        ended = {
            device.id: outcome
            for device in as_begun.devices
            if (flow := flows.get(as_begun.device_flow_id(device))) is not None
            and flow.state is FlowState.DONE
            and (outcome := last_attempt(flow.result).outcome) is not None
        }
        record(files, OrderKind.RESUME, as_begun)
        return await _carry_out(as_begun, files, sink, ended=ended, lock=lock, hand=hand, update=update)


async def retry(
    campaign: Campaign,
    files: CampaignFiles,
    sink: Sink,
    *,
    devices: Collection[str] = (),
    hand: Hand | None = None,
    update: Update | None = None,
) -> CampaignStatus:
    """Try those again that were not confirmed, in one wave; the campaign has to have ended.

    Args:
        campaign: as its file has it now.
        files: where it keeps what it has to remember.
        sink: is told what happens.
        devices: ids of those that are meant; none: all that are not confirmed.
        hand: reaches into it while it is carried out.
        update: carries one attempt out; None: the update itself.

    Raises:
        InputError: it has not begun or not ended, a device is not one of those, its file was changed since, or another
            process carries it out.
    """
    begun = begun_round(campaign, files)
    as_begun = as_begun_in(campaign, begun, files)
    with locked(files.lock, CARRIES_OUT) as lock:
        stands = look(campaign, files, held=True)
        if stands.state not in {CampaignState.DONE, CampaignState.ABORTED}:
            raise InputError(str(files.directory), "this campaign has not ended", "`keyswitch campaign resume`")
        left = {each.id for each in stands.devices if not each.is_confirmed}
        for id_ in devices:
            if id_ not in left:
                there = id_ in {each.id for each in stands.devices}
                problem = "confirmed already" if there else "no device of this campaign"
                raise InputError(f"device {id_}", problem, "one that was not confirmed")
        with open_store(files.store) as store:
            first = as_begun_in(campaign, rounds_of(store.flows(campaign.name), campaign.name)[0], files)
        chosen = tuple(each for each in first.devices if each.id in (devices or left))
        if not chosen:
            return stands
        again = replace(as_begun, round=as_begun.round + 1, devices=chosen, waves=(len(chosen),), approval=False)
        record(files, OrderKind.RETRY, again, devices=[each.id for each in chosen])
        return await _carry_out(again, files, sink, ended={}, lock=lock, hand=hand, update=update)


async def _carry_out(
    campaign: Campaign,
    files: CampaignFiles,
    sink: Sink,
    *,
    ended: dict[str, Outcome],
    lock: int,
    hand: Hand | None,
    update: Update | None,
) -> CampaignStatus:
    hand = hand or Hand()

    def conclude(what: Campaign, attempts: Mapping[str, Attempt], state: CampaignState, why: str) -> None:
        _conclude(files, what, attempts, state, why)

    executor = EXECUTOR if files.url is None else f"campaign {campaign.name}"
    check_gateways(campaign.devices, files.url)
    own = [each.request.target for each in campaign.devices if each.gateway is None]
    with own_adapters(own, who=f"campaign {campaign.name}"), _announced(lock):
        sink(CampaignBegun(campaign=campaign, ended=dict(ended)))
        controller = Controller(
            campaign=campaign,
            sink=sink,
            record=conclude,
            update=update or updates_over(Radios()),
            ended=ended,
            labels=hand.expects_labels,
            away=partial(there, directory=files.directory.parent),
        )
        async with open_dbos(files.store, controller.flows, executor=executor) as engine:
            running = asyncio.ensure_future(engine.run(campaign.flow_id, CAMPAIGN, campaign.to_plain()))
            told = (hand.interrupted(), _obey(controller, files, hand), _scan(controller, files, hand))
            ends = [running, *map(asyncio.ensure_future, told)]
            deadline = asyncio.ensure_future(controller.keep_deadline())
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not running.done():
                    await controller.interrupt()
                for each in (*ends, deadline):
                    each.cancel()
                results = await asyncio.gather(*ends, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    raise result
    return look(campaign, files, held=True)


async def _scan(controller: Controller, files: CampaignFiles, hand: Hand) -> None:
    """Let devices begin whose labels are scanned; returns when no more come, and those that have begun have ended."""
    while (label := await hand.next_label()) is not None:
        controller.scan(label)
    await controller.until_scanned_have_ended()
    record(files, OrderKind.PAUSE, controller.campaign, note=NO_MORE_LABELS)
    await controller.pause(NO_MORE_LABELS)


async def _obey(controller: Controller, files: CampaignFiles, hand: Hand) -> None:
    """Do what people ask for; returns when the campaign is paused."""
    while True:
        stands = read_standing(files)
        for wave, approved in stands.approved.items():
            controller.approve(wave, approved.who, approved.at)
        if stands.aborted is not None:
            controller.stop(words_of(stands.aborted))
        elif stands.paused is not None:
            await controller.pause(words_of(stands.paused))
            return
        await hand.asked()


def order(campaign: Campaign, files: CampaignFiles, kind: OrderKind, *, wave: int | None = None) -> None:
    """Ask for something of a campaign that has begun, and tell the process that carries it out, if another one does.

    Args:
        campaign: as its file has it.
        files: where it keeps what it has to remember.
        kind: a pause, an abort or an approval.
        wave: that is approved; None: the one that waits for it.

    Raises:
        InputError: it has not begun, or no wave waits for an approval, or not this one.
    """
    as_begun = as_begun_in(campaign, begun_round(campaign, files), files, any_version=True)
    more: dict[str, Any] = {}
    if kind is OrderKind.APPROVE:
        awaits = look(campaign, files).awaits
        if awaits is None:
            raise InputError(str(files.directory), "no wave waits for an approval", "one that does (status)")
        if wave not in {None, awaits}:
            raise InputError(str(files.directory), f"wave {wave} does not wait for an approval", f"wave {awaits}")
        more = {"wave": awaits}
    record(files, kind, as_begun, **more)
    _tell_to_look(files)


def replace_gateway(
    campaign: Campaign, files: CampaignFiles, *, from_: str, to: str, silent_s: float = SILENT_S
) -> int:
    """Give what a silent gateway has of this campaign to another one; who said so is recorded.

    Args:
        campaign: as its file has it.
        files: where it keeps what it has to remember.
        from_: the gateway that is silent.
        to: the other one.
        silent_s: how long it has to have been silent.

    Returns:
        How many attempts.

    Raises:
        InputError: it has not begun or has no database, or `gateways.hand_over` refuses.
    """
    as_begun = as_begun_in(campaign, begun_round(campaign, files), files)
    if files.url is None:
        raise InputError(
            f"gateway {from_}", "this campaign has no gateways", Phrase("{database} postgresql://HOST/NAME")
        )
    count = hand_over(files.url, campaign.name, from_=from_, to=to, silent_s=silent_s)
    record(files, "gateway replaced", as_begun, gateway=from_, by=to, attempts=count)
    return count


def pause(campaign: Campaign, files: CampaignFiles) -> CampaignStatus:
    """Pause a campaign: no further attempt begins, those under way reach their end.

    Waits until the process that carries it out has ended, if there is one; not to be called in that process.

    Raises:
        InputError: it has not begun, or its directory cannot be used.
    """
    before = look(campaign, files)
    if before.state.has_ended:
        return before
    order(campaign, files, OrderKind.PAUSE)
    with locked(files.lock, CARRIES_OUT, wait=True):
        return look(campaign, files, held=True)


def abort(campaign: Campaign, files: CampaignFiles) -> CampaignStatus:
    """Stop a campaign for good: no further device begins, those under way reach their end.

    Waits until the process that carries it out has ended, if there is one; not to be called in that process.

    Raises:
        InputError: it has not begun, or its directory cannot be used.
    """
    as_begun = as_begun_in(campaign, begun_round(campaign, files), files, any_version=True)
    before = look(campaign, files)
    if before.state.has_ended:
        return before
    order(campaign, files, OrderKind.ABORT)
    with locked(files.lock, CARRIES_OUT, wait=True):
        before = look(campaign, files, held=True)
        if before.state.has_ended:
            return before
        with open_store(files.store) as store:
            flows = store.flows(campaign.name).values()
        cancel_flows(files.store, [flow.id for flow in flows if flow.state is FlowState.UNFINISHED])
        ids = {each.id for each in as_begun.devices}
        attempts = {each.id: each.last or Attempt(outcome=None) for each in before.devices if each.id in ids}
        _conclude(files, as_begun, attempts, CampaignState.ABORTED, words_of(read_standing(files).aborted))
        return look(campaign, files, held=True)


def _make(files: CampaignFiles) -> None:
    for directory in (files.directory, files.directory / "evidence"):
        try:
            os.close(open_directory(directory, make=True))
        except OSError as error:
            raise InputError(str(directory), error.strerror or "cannot be made", "a directory of this user") from error


def _conclude(
    files: CampaignFiles, campaign: Campaign, attempts: Mapping[str, Attempt], state: CampaignState, why: str
) -> None:
    """The campaign's own record: how each device ended, and where its chain of records ends."""
    record(
        files,
        ENDED,
        campaign,
        file_sha256=campaign.digest,
        images=list(campaign.image_hashes),
        state=state.value,
        why=why,
        devices={
            each.id: {"outcome": _outcome(attempts.get(each.id)), "head": _head(files, each.id, attempts.get(each.id))}
            for each in campaign.devices
        },
    )


def _outcome(attempt: Attempt | None) -> str | None:
    return None if attempt is None or attempt.outcome is None else attempt.outcome.value


def _head(files: CampaignFiles, device: str, attempt: Attempt | None) -> dict[str, Any] | None:
    if attempt is not None and attempt.head is not None:
        return dict(attempt.head)
    path = files.evidence(device)
    if not path.exists():
        return None
    head = read_journal(path).head
    return {"n": head.n, "hash": head.hash}


@contextmanager
def looks_at_signals(hand: Hand) -> Generator[None]:
    """Let `LOOK_SIGNAL` reach into the campaign that this process carries out, which is the only one."""
    if LOOK_SIGNAL is None:
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(LOOK_SIGNAL, hand.look)
    try:
        yield
    finally:
        loop.remove_signal_handler(LOOK_SIGNAL)


def _tell_to_look(files: CampaignFiles) -> None:
    """Signal the process that holds the lock and has said that it listens; one that has not will look by itself."""
    pid = holder(files.lock)
    if LOOK_SIGNAL is not None and pid and pid != os.getpid():
        with suppress(ProcessLookupError):
            os.kill(pid, LOOK_SIGNAL)


@contextmanager
def _announced(lock: int) -> Generator[None]:
    """Say in the lock, which is ours, who can be told to look, as long as that process listens."""
    if _listens():
        announce(lock)
    try:
        yield
    finally:
        withdraw(lock)


def _listens() -> bool:
    """Whether `LOOK_SIGNAL` would be heard, and not end this process."""
    return LOOK_SIGNAL is not None and signal.getsignal(LOOK_SIGNAL) not in {signal.SIG_DFL, signal.SIG_IGN}
