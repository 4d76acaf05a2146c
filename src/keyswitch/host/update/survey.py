"""What a plan wants to know of a device: asked for, changing nothing."""

from dataclasses import replace
from typing import Final

from keyswitch.errors import RemoteError, SilenceError
from keyswitch.host.connect.endpoint import Connection, Endpoint
from keyswitch.host.connect.probe import probe_gate
from keyswitch.host.connect.verdict import Given, advised, verdict_of_failed_connect
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.queries import Params, read_bootloader_mode, read_params, read_room, read_slots, slots_of
from keyswitch.host.smp.reply import Answer, Refusal, Reply
from keyswitch.host.smp.slots import none_runs
from keyswitch.host.update.plan import PlannedDevice, PlannedLease
from keyswitch.mcuboot.known_faults import fault_words
from keyswitch.mcuboot.layout import BootMode
from keyswitch.policy.bootloader import bootloader_kind_of
from keyswitch.policy.enums import UploadRest
from keyswitch.policy.model import Policy
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image

NO_STATE_WRITE: Final = {"confirm": 0}
"""A state write of the wrong type: a server that has the command fails to decode it before it looks at any flash, and
one that has not says so (Zephyr `img_mgmt_state_write`, MCUboot `bs_set`). An empty one would not do: a serial recovery
with one image takes it for that image, and marks it."""


async def survey(
    endpoint: Endpoint, policy: Policy | None = None, *, to: str | None = None, entry: str = ""
) -> PlannedDevice:
    """Ask the device behind `endpoint`; what it does not tell now is taken from its policy, as far as that says it.

    Args:
        endpoint: the way to the device.
        policy: what the device is thought to obey.
        to: the maintenance mode of the policy that is to be entered; tells the lease.
        entry: the field that says how maintenance is entered, for advice.

    Raises:
        LinkLostError: the device was not reached, or the link ended meanwhile.
        SilenceError: it did not answer what every device can be asked.
        InputError: the target names several devices.
    """
    known = declared(policy, to=to)
    given = Given(entry=entry, pair=endpoint.pair, radio=endpoint.radio)
    try:
        connection = await endpoint.connect()
    except RemoteError as error:
        verdict = verdict_of_failed_connect(error)
        return replace(known, verdict=replace(verdict, next_step=advised(verdict.reason, verdict.next_step, given)))
    try:
        return await _ask(connection, known, given)
    finally:
        await connection.close()


def declared(policy: Policy | None, *, to: str | None = None) -> PlannedDevice:
    """What the policy alone says of its device.

    Args:
        policy: None: nothing is known.
        to: the maintenance mode that is to be entered.
    """
    if policy is None:
        return PlannedDevice()
    mode = policy.modes.get(to) if to is not None else None
    lease = None
    if mode is not None and mode.lease_ms is not None:
        keeps = policy.gate.upload is UploadRest.KEEP
        lease = PlannedLease(ms=mode.lease_ms, max_ms=mode.lease_max_ms or mode.lease_ms, keeps=keeps)
    return PlannedDevice(
        params=Params(buf_size=policy.smp.buf_size, buf_count=policy.smp.buf_count),
        lease=lease,
        bootloader=policy.bootloader.algorithm.boot_mode,
        mcuboot_faults=fault_words(bootloader_kind_of(policy)),
    )


async def _ask(connection: Connection, known: PlannedDevice, given: Given) -> PlannedDevice:
    """Ask; `known` is what the policy says."""
    verdict = await probe_gate(connection)
    verdict = replace(verdict, next_step=advised(verdict.reason, verdict.next_step, given))
    client = connection.smp
    known = replace(known, verdict=verdict)
    if client is None:
        return known
    slots = verdict.slots
    if slots is None:
        # The verdict of a device of ours needs no slots; many tell them outside maintenance, too.
        try:
            listed = await read_slots(client)
        except (SilenceError, RemoteError):
            listed = None
        slots = None if isinstance(listed, Refusal) else listed
    try:
        room = await read_room(client)
    except (SilenceError, RemoteError):
        room = {}
    params = await read_params(client)
    number = await read_bootloader_mode(client)
    reply = await _no_state_write(client)
    state_write = not (isinstance(reply, Refusal) and reply.is_rc(Rc.ENOTSUP))
    if isinstance(reply, Answer) and "images" in reply.values and none_runs(slots_of(reply.values)):
        state_write = False  # a recovery that answers with its list, whatever it was asked
    refused = isinstance(reply, Refusal) and reply.is_rc(Rc.EACCESSDENIED)
    return replace(
        known,
        verdict=replace(verdict, slots=slots),
        room={} if isinstance(room, Refusal) else room,
        params=known.params if isinstance(params, Refusal) else params,
        bootloader=known.bootloader if isinstance(number, Refusal) else BootMode.of(number),
        state_write=None if refused else state_write,
    )


async def _no_state_write(client: SmpClient) -> Reply:
    try:
        return await client.write(image.ID, image.Id.STATE, NO_STATE_WRITE)
    except SilenceError:
        if not client.old_server:
            raise
        return Refusal(code=Rc.ENOTSUP)
