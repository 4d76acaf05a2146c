"""What a plan wants to know of a device: asked for, changing nothing."""

from dataclasses import replace
from typing import Final

from keyswitch.host.plan import Bootloader, Device
from keyswitch.host.reach import Connection, Reach
from keyswitch.host.reply import Refusal
from keyswitch.host.verdict import Given, advised, find_out
from keyswitch.host.views import Params, read_bootloader_mode, read_params
from keyswitch.policy.model import Policy
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image

NO_STATE_WRITE: Final = {"confirm": 0}
"""A state write of the wrong type: a server that has the command fails to decode it before it looks at any flash, and
one that has not says so (Zephyr `img_mgmt_state_write`, MCUboot `bs_set`). An empty one would not do: a serial recovery
with one image takes it for that image, and marks it."""


async def survey(reach: Reach, policy: Policy | None = None, *, option: str = "") -> Device:
    """Ask the device behind `reach`; what it does not tell now is taken from its policy, as far as that says it.

    Args:
        reach: the way to the device.
        policy: what the device is thought to obey.
        option: the option that says how maintenance is entered, for advice.

    Raises:
        LinkLostError: the device was not reached, or the link ended meanwhile.
        InputError: the target names several devices.
    """
    connection = await reach.connect()
    try:
        given = Given(option=option, pair=reach.pair, radio=reach.radio)
        return await _ask(connection, policy, given)
    finally:
        await connection.close()


async def _ask(connection: Connection, policy: Policy | None, given: Given) -> Device:
    verdict = await find_out(connection)
    verdict = replace(verdict, next_step=advised(verdict.reason, verdict.next_step, given))
    declared = None
    if policy is not None:
        declared = Params(buf_size=policy.smp.buf_size, buf_count=policy.smp.buf_count)
    client = connection.smp
    if client is None:
        return Device(verdict=verdict, params=declared)
    params = await read_params(client)
    number = await read_bootloader_mode(client)
    reply = await client.write(image.ID, image.Id.STATE, NO_STATE_WRITE)
    state_write = not (isinstance(reply, Refusal) and reply.is_rc(Rc.ENOTSUP))
    refused = isinstance(reply, Refusal) and reply.is_rc(Rc.EACCESSDENIED)
    return Device(
        verdict=verdict,
        params=declared if isinstance(params, Refusal) else params,
        bootloader=None if isinstance(number, Refusal) else _bootloader(number),
        state_write=None if refused else state_write,
    )


def _bootloader(number: int) -> Bootloader | None:
    try:
        return Bootloader(number)
    except ValueError:
        return None
