"""How a campaign stands, from what it has written; nothing is carried out, and whoever does is not disturbed.

To look loads neither the engine nor an update: it is done often, and beside a campaign that is carried out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from keyswitch.campaign.dbos_tables import open_store
from keyswitch.campaign.engine import DEVICE, FLOWS_VERSION, FlowRecord, FlowState
from keyswitch.campaign.events import (
    Attempt,
    CampaignState,
    CampaignStatus,
    DeviceState,
    DeviceStatus,
    last_attempt,
)
from keyswitch.campaign.locks import is_held
from keyswitch.campaign.model import Campaign, CampaignDevice, CampaignFiles, Plain, round_id
from keyswitch.campaign.orders import Order, Standing, read_standing
from keyswitch.errors import InputError
from keyswitch.host.report.evidence_file import INTERRUPTED, RUN_BEGUN, RUN_ENDED, last_record


def look(campaign: Campaign, files: CampaignFiles, *, held: bool = False) -> CampaignStatus:
    """How a campaign stands; nothing is carried out.

    Args:
        campaign: as its file has it.
        files: where it keeps what it has to remember.
        held: the lock is the caller's own.

    Raises:
        InputError: its file was changed since it began, or its directory cannot be used.
    """
    running = not held and is_held(files.lock)
    with open_store(files.store, at_once=True) as store:
        flows = store.flows(campaign.name)
        steps = store.results_of_steps(campaign.name, DEVICE)
        begun = rounds_of(flows, campaign.name)
        if not begun:
            devices = tuple(_devices(_Seen(files=files, running=running), [campaign]))
            return CampaignStatus(name=campaign.name, state=CampaignState.NOT_BEGUN, devices=devices)
        rounds = [as_begun_in(campaign, flow, files, any_version=True) for flow in begun]
        stands = read_standing(files)
        state, why = _state(begun[-1], stands, running=running)
        if not state.has_ended and begun[-1].version != FLOWS_VERSION:
            why = f"{_of_another_version(begun[-1])}: resume it with that keyswitch"
        return CampaignStatus(
            name=campaign.name,
            state=state,
            devices=tuple(_devices(_Seen(files=files, running=running, flows=flows, steps=steps), rounds)),
            why=why,
            awaits=None if state.has_ended else _awaits(rounds[-1], flows, stands),
            round=len(rounds),
        )


def rounds_of(flows: Mapping[str, FlowRecord], name: str) -> list[FlowRecord]:
    """The campaign's own flows, the first round's first."""
    found = list[FlowRecord]()
    while (flow := flows.get(round_id(name, len(found) + 1))) is not None:
        found.append(flow)
    return found


def last_round(files: CampaignFiles, campaign: Campaign) -> FlowRecord | None:
    """The flow of its last round."""
    with open_store(files.store) as store:
        rounds = rounds_of(store.flows(campaign.name), campaign.name)
    return rounds[-1] if rounds else None


def begun_round(campaign: Campaign, files: CampaignFiles) -> FlowRecord:
    """The flow of its last round.

    Raises:
        InputError: it has not begun.
    """
    begun = last_round(files, campaign) if files.directory.is_dir() else None
    if begun is None:
        raise InputError(str(files.directory), "this campaign has not begun", "`keyswitch campaign run`")
    return begun


def as_begun_in(campaign: Campaign, flow: FlowRecord, files: CampaignFiles, *, any_version: bool = False) -> Campaign:
    """The campaign as it was begun, with its files where they are now."""
    if flow.version != FLOWS_VERSION and not any_version:
        raise InputError(str(files.directory), _of_another_version(flow), "that keyswitch")
    as_begun = Campaign.from_plain(flow.argument, {each.id: each for each in campaign.devices})
    if as_begun.digest != campaign.digest:
        problem = "the campaign's file, or its list of devices, was changed after it began"
        raise InputError(str(files.directory), problem, "the file as it was, or a file with another name")
    return as_begun


def _of_another_version(flow: FlowRecord) -> str:
    return f"begun by a keyswitch whose campaigns have version {flow.version}; this one has {FLOWS_VERSION}"


def _state(flow: FlowRecord, stands: Standing, *, running: bool) -> tuple[CampaignState, str]:
    match flow.state:
        case FlowState.DONE:
            return CampaignState(flow.result["state"]), flow.result["why"]
        case FlowState.CANCELLED:
            return CampaignState.ABORTED, words_of(stands.aborted)
        case FlowState.BROKEN:
            return CampaignState.ABORTED, f"a bug in keyswitch: {flow.result}"
        case FlowState.UNFINISHED:
            if running:
                return CampaignState.RUNNING, ""
            if stands.paused is not None:
                return CampaignState.PAUSED, words_of(stands.paused)
            return CampaignState.INTERRUPTED, ""


def words_of(asked: Order | None) -> str:
    """Who asked for it, in words."""
    return f"{asked.kind.value} by {asked.who}" if asked is not None else ""


def _awaits(campaign: Campaign, flows: Mapping[str, FlowRecord], stands: Standing) -> int | None:
    """The wave that begins when it is approved: those before it have ended, and it has not begun."""
    if not campaign.approval or stands.aborted is not None:
        return None
    for number, wave in enumerate(campaign.waves_of_devices, 1):
        there = [flows.get(campaign.device_flow_id(device)) for device in wave]
        if not any(there):
            return number if number > 1 and number not in stands.approved else None
        if any(flow is None or flow.state is not FlowState.DONE for flow in there):
            return None
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is looked at. Attributes: running: somebody carries the campaign out; steps: results, by the flow's id."""

    files: CampaignFiles
    running: bool
    flows: Mapping[str, FlowRecord] = field(default_factory=dict[str, FlowRecord])
    steps: Mapping[str, tuple[Plain, ...]] = field(default_factory=dict[str, tuple[Plain, ...]])


def _devices(seen: _Seen, rounds: list[Campaign]) -> Iterable[DeviceStatus]:
    """Each device as its last round has it, with the attempts of all."""
    found: dict[str, DeviceStatus] = {}
    for campaign in rounds:
        flow = seen.flows.get(campaign.flow_id)
        has_ended = flow is not None and flow.state is not FlowState.UNFINISHED
        for number, wave in enumerate(campaign.waves_of_devices, 1):
            for device in wave:
                before = found.get(device.id)
                now_there = _device(seen, campaign, device, number, before)
                if before is not None and has_ended and now_there.state is DeviceState.NOT_BEGUN:
                    continue  # that round ended before its turn came: how it ended before is what is true
                found[device.id] = now_there
    return found.values()


def _device(
    seen: _Seen, campaign: Campaign, device: CampaignDevice, wave: int, before: DeviceStatus | None
) -> DeviceStatus:
    flow = seen.flows.get(campaign.device_flow_id(device))
    last, attempts = (None, 0) if before is None else (before.last, before.attempts)
    state = DeviceState.NOT_BEGUN
    if flow is not None:
        state, there = _how(flow, seen.steps.get(flow.id, ()))
        attempts += len(there)
        last = there[-1] if there else last
        if flow.state is not FlowState.DONE:
            state = _begun(seen, device, flow, len(there), is_first=not attempts) or state
    return DeviceStatus(
        id=device.id,
        target=device.request.target,
        wave=wave if before is None else before.wave,
        state=state,
        attempts=attempts,
        last=last,
    )


def _how(flow: FlowRecord, steps: tuple[Plain, ...]) -> tuple[DeviceState, Sequence[Attempt]]:
    """State, and the attempts whose end is kept; of a finished flow, whose steps are not read, all are as the last."""
    if flow.state is FlowState.DONE:
        last = last_attempt(flow.result)
        if last.outcome is None:
            return DeviceState.NOT_BEGUN, ()
        return DeviceState.ENDED, (last,) * flow.result["attempts"]
    attempts = [Attempt.from_plain(each) for each in steps if "outcome" in each]
    if not attempts:
        return DeviceState.NOT_BEGUN, ()
    return (DeviceState.ENDED if flow.state is FlowState.CANCELLED else DeviceState.RETRY), attempts


def _begun(seen: _Seen, device: CampaignDevice, flow: FlowRecord, kept: int, *, is_first: bool) -> DeviceState | None:
    """How far an attempt is whose end is not kept; None: there is none, the device waits for its turn.

    The engine keeps ends alone. That an attempt has begun stands in the device's own chain of records before anything
    is asked of it, and of one at a gateway the engine knows.
    """
    if device.gateway is not None:
        there = seen.flows.get(f"{flow.id}/{kept + 1}")
        return DeviceState.UNDER_WAY if there is not None and there.state is FlowState.UNFINISHED else None
    record = last_record(seen.files.evidence(device.id), {RUN_BEGUN, RUN_ENDED})
    if record is None:
        return None
    kind, body = record
    if kind == RUN_ENDED and body.get("outcome") == INTERRUPTED:
        return DeviceState.BROKEN_OFF
    if kind == RUN_BEGUN or is_first:  # an end that is the first one, and not kept yet
        return DeviceState.UNDER_WAY if seen.running else DeviceState.BROKEN_OFF
    return None
