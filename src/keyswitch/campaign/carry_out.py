"""Carries a campaign out in this process, from its beginning or from where it was left; and looks at one.

Rules:

* One process carries a campaign out; it holds a lock on the campaign's directory until it ends, however that happens.
* What is carried out is what was asked for when it began. A file that was changed since then is refused, not mixed in.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from keyswitch import __version__
from keyswitch.app.recorder import this_person
from keyswitch.campaign.dbos_engine import FLOWS_VERSION, open_dbos, open_store
from keyswitch.campaign.engine import FlowRecord, FlowState, Store
from keyswitch.campaign.events import (
    Attempt,
    CampaignState,
    CampaignStatus,
    DeviceState,
    DeviceStatus,
)
from keyswitch.campaign.flows import CAMPAIGN, Controller, Sink, Update, device_flow_id, last_attempt, update_device
from keyswitch.campaign.model import Campaign, CampaignFiles
from keyswitch.campaign.outcomes import Outcome
from keyswitch.errors import InputError
from keyswitch.host.report.evidence_file import append, close, read_journal
from keyswitch.private_files import open_directory, open_file

ABORT_SIGNAL: Final = getattr(signal, "SIGUSR1", None)
"""Asks the process that carries a campaign out to stop it; there is none on Windows."""

BY_A_PERSON: Final = "aborted by a person"


class LockedError(InputError):
    """Another process carries the campaign out. Attributes: pid: its number, 0 if it has not said it yet."""

    def __init__(self, path: Path, pid: int) -> None:
        self.pid = pid
        whose = f" (process {pid})" if pid else ""
        super().__init__(str(path), f"another process carries this campaign out{whose}", "its end")


async def begin(
    campaign: Campaign, files: CampaignFiles, sink: Sink, *, update: Update = update_device
) -> CampaignStatus:
    """Carry a campaign out that has not begun.

    Args:
        campaign: with its image's hashes (`load.check_requests`).
        files: where it keeps what it has to remember.
        sink: is told what happens.
        update: carries one attempt out.

    Raises:
        InputError: it has begun already, another process carries it out, or its directory cannot be used.
    """
    _make(files)
    with _locked(files.lock):
        if _begun(files, campaign) is not None:
            raise InputError(str(files.directory), "this campaign has begun", "`keyswitch campaign resume`")
        return await _carry_out(campaign, files, sink, {}, update)


async def resume(
    campaign: Campaign, files: CampaignFiles, sink: Sink, *, update: Update = update_device
) -> CampaignStatus:
    """Carry a campaign on that was interrupted; one that has ended changes nothing.

    Args:
        campaign: as its file has it now.
        files: where it keeps what it has to remember.
        sink: is told what happens.
        update: carries one attempt out.

    Raises:
        InputError: it has not begun, its file was changed since, another version of keyswitch began it, another process
            carries it out, or its directory cannot be used.
    """
    begun = _begun(files, campaign) if files.directory.is_dir() else None
    if begun is None:
        raise InputError(str(files.directory), "this campaign has not begun", "`keyswitch campaign run`")
    as_begun = _same(campaign, begun, files)
    with _locked(files.lock):
        with open_store(files.database) as store:
            flows = store.flows()
        if flows[campaign.name].state is not FlowState.UNFINISHED:
            return look(campaign, files)
        ended = {
            device.id: outcome
            for device in as_begun.devices
            if (flow := flows.get(device_flow_id(as_begun, device))) is not None
            and flow.state is FlowState.DONE
            and (outcome := last_attempt(flow.result).outcome) is not None
        }
        return await _carry_out(as_begun, files, sink, ended, update)


async def _carry_out(
    campaign: Campaign, files: CampaignFiles, sink: Sink, ended: dict[str, Outcome], update: Update
) -> CampaignStatus:
    def record(what: Campaign, attempts: Mapping[str, Attempt], state: CampaignState, why: str) -> None:
        _record(files, what, attempts, state, why)

    controller = Controller(campaign=campaign, sink=sink, record=record, update=update, ended=ended)
    interrupted = asyncio.Event()
    with _signals(interrupted.set, lambda: controller.stop(BY_A_PERSON)):
        _announce(files.lock)
        async with open_dbos(files.database, controller.flows) as engine:
            running = asyncio.ensure_future(engine.run(campaign.name, CAMPAIGN, campaign.to_plain()))
            asked = asyncio.ensure_future(interrupted.wait())
            try:
                await asyncio.wait([running, asked], return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not running.done():
                    await controller.interrupt()
                running.cancel()
                asked.cancel()
                await asyncio.gather(running, asked, return_exceptions=True)
            if not running.cancelled():
                running.result()
    return look(campaign, files, held=True)


def look(campaign: Campaign, files: CampaignFiles, *, held: bool = False) -> CampaignStatus:
    """How a campaign stands; nothing is carried out.

    Args:
        campaign: as its file has it.
        files: where it keeps what it has to remember.
        held: the lock is the caller's own.

    Raises:
        InputError: its file was changed since it began, or its directory cannot be used.
    """
    if not files.database.exists():
        return _status(campaign, CampaignState.NOT_BEGUN, {}, None)
    running = not held and _is_held(files.lock)
    with open_store(files.database) as store:
        flows = store.flows()
        flow = flows.get(campaign.name)
        if flow is None:
            return _status(campaign, CampaignState.NOT_BEGUN, {}, None)
        campaign = _same(campaign, flow, files, any_version=True)
        state, why = _state(flow, running=running)
        return _status(campaign, state, flows, store, why)


def abort(campaign: Campaign, files: CampaignFiles) -> CampaignStatus:
    """Stop a campaign for good: no further device begins, those under way reach their end.

    Waits until the process that carries it out has ended, if there is one.

    Raises:
        InputError: it has not begun, or its directory cannot be used.
    """
    begun = _begun(files, campaign) if files.directory.is_dir() else None
    if begun is None:
        raise InputError(str(files.directory), "this campaign has not begun", "one that has")
    try:
        with _locked(files.lock):
            pass
    except LockedError as error:
        if not error.pid or ABORT_SIGNAL is None:
            raise
        with suppress(ProcessLookupError):
            os.kill(error.pid, ABORT_SIGNAL)
    with _locked(files.lock, wait=True):
        before = look(campaign, files, held=True)
        if before.state is not CampaignState.INTERRUPTED:
            return before
        with open_store(files.database) as store:
            left = [flow.id for flow in store.flows().values() if flow.state is FlowState.UNFINISHED]
            store.cancel(left)
        attempts = {each.id: each.last or Attempt(outcome=None) for each in before.devices}
        _record(files, campaign, attempts, CampaignState.ABORTED, BY_A_PERSON)
        return look(campaign, files, held=True)


def _make(files: CampaignFiles) -> None:
    for directory in (files.directory, files.directory / "evidence"):
        try:
            os.close(open_directory(directory, make=True))
        except OSError as error:
            raise InputError(str(directory), error.strerror or "cannot be made", "a directory of this user") from error


def _begun(files: CampaignFiles, campaign: Campaign) -> FlowRecord | None:
    if not files.database.exists():
        return None
    with open_store(files.database) as store:
        return store.flows().get(campaign.name)


def _same(campaign: Campaign, flow: FlowRecord, files: CampaignFiles, *, any_version: bool = False) -> Campaign:
    """The campaign as it was begun."""
    as_begun = Campaign.from_plain(flow.argument)
    if as_begun.digest != campaign.digest:
        problem = "the campaign's file, or its list of devices, was changed after it began"
        raise InputError(str(files.directory), problem, "the file as it was, or a file with another name")
    if flow.version != FLOWS_VERSION and not any_version:
        problem = f"begun by a keyswitch whose campaigns have version {flow.version}; this one has {FLOWS_VERSION}"
        raise InputError(str(files.directory), problem, "that keyswitch")
    return replace(as_begun, devices=campaign.devices)


def _state(flow: FlowRecord, *, running: bool) -> tuple[CampaignState, str]:
    match flow.state:
        case FlowState.DONE:
            return CampaignState(flow.result["state"]), flow.result["why"]
        case FlowState.CANCELLED:
            return CampaignState.ABORTED, BY_A_PERSON
        case FlowState.BROKEN:
            return CampaignState.ABORTED, f"a bug in keyswitch: {flow.result}"
        case FlowState.UNFINISHED:
            return (CampaignState.RUNNING if running else CampaignState.INTERRUPTED), ""


def _status(
    campaign: Campaign, state: CampaignState, flows: Mapping[str, FlowRecord], store: Store | None, why: str = ""
) -> CampaignStatus:
    devices: list[DeviceStatus] = []
    for number, wave in enumerate(campaign.waves_of_devices, 1):
        for device in wave:
            flow = flows.get(device_flow_id(campaign, device))
            how, attempts, last = _device(flow, store)
            target = device.request.target
            devices.append(
                DeviceStatus(id=device.id, target=target, wave=number, state=how, attempts=attempts, last=last)
            )
    return CampaignStatus(name=campaign.name, state=state, devices=tuple(devices), why=why)


def _device(flow: FlowRecord | None, store: Store | None) -> tuple[DeviceState, int, Attempt | None]:
    """State, attempts that have ended, and how the last one did; the steps of a finished flow are not read."""
    if flow is None or store is None:
        return DeviceState.NOT_BEGUN, 0, None
    if flow.state is FlowState.DONE:
        last = last_attempt(flow.result)
        if last.outcome is None:
            return DeviceState.NOT_BEGUN, 0, None
        return DeviceState.ENDED, flow.result["attempts"], last
    attempts = [Attempt.from_plain(each) for each in store.results_of_steps(flow.id)]
    if not attempts:
        begun = flow.state is FlowState.UNFINISHED
        return (DeviceState.UNDER_WAY if begun else DeviceState.NOT_BEGUN), 0, None
    ended = flow.state is FlowState.CANCELLED
    return (DeviceState.ENDED if ended else DeviceState.RETRY), len(attempts), attempts[-1]


def _record(
    files: CampaignFiles, campaign: Campaign, attempts: Mapping[str, Attempt], state: CampaignState, why: str
) -> None:
    """The campaign's own record: how each device ended, and where its chain of records ends."""
    body: dict[str, Any] = {
        "name": campaign.name,
        "file_sha256": campaign.digest,
        "images": list(campaign.image_hashes),
        "state": state.value,
        "why": why,
        "who": this_person(),
        "tool": f"keyswitch {__version__}",
        "devices": {
            each.id: {"outcome": _outcome(attempts.get(each.id)), "head": _head(files, each.id)}
            for each in campaign.devices
        },
    }
    clock = this_person().partition("@")[2] or "this computer"
    append(files.record, at=_now(), clock=clock, kind="campaign ended", body=body)
    close(files.record, at=_now(), clock=clock)


def _outcome(attempt: Attempt | None) -> str | None:
    return None if attempt is None or attempt.outcome is None else attempt.outcome.value


def _head(files: CampaignFiles, device: str) -> dict[str, Any] | None:
    path = files.evidence(device)
    if not path.exists():
        return None
    head = read_journal(path).head
    return {"n": head.n, "hash": head.hash}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextmanager
def _signals(interrupt: Callable[[], None], stop: Callable[[], None]) -> Generator[None]:
    """Signals of the process that carries a campaign out; not on Windows, where Ctrl-C cancels what runs."""
    loop = asyncio.get_running_loop()
    numbers = [(signal.SIGINT, interrupt), (signal.SIGTERM, interrupt)]
    if ABORT_SIGNAL is not None:
        numbers.append((ABORT_SIGNAL, stop))
    try:
        with suppress(NotImplementedError):
            for number, act in numbers:
                loop.add_signal_handler(number, act)
        yield
    finally:
        with suppress(NotImplementedError):
            for number, _ in numbers:
                loop.remove_signal_handler(number)


@contextmanager
def _locked(path: Path, *, wait: bool = False) -> Generator[None]:
    """Hold the campaign's lock; it is free when the process has ended, however that happens."""
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        if not _flock(descriptor, wait=wait):
            raise LockedError(path, _pid(descriptor))
        os.ftruncate(descriptor, 0)
        yield
    finally:
        os.close(descriptor)


def _announce(path: Path) -> None:
    """Write into the lock, which is ours, who can be asked to stop."""
    descriptor = open_file(path, os.O_RDWR)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    os.close(descriptor)


def _pid(descriptor: int) -> int:
    word = os.pread(descriptor, 32, 0).strip()
    return int(word) if word.isdigit() else 0


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    descriptor = open_file(path, os.O_RDWR)
    try:
        return not _flock(descriptor, wait=False)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, *, wait: bool) -> bool:
    """Whether the lock is ours now."""
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError as error:
        raise InputError("campaign", "this system has no flock", "Linux or another Unix") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
