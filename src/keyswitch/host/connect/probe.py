"""Asks a device whether it would take an update, changing nothing; `host.connect.verdict` weighs what it says.

Reading is all that is done, but for one upload request for an offset that cannot be: every server answers it with the
offset that it wants, or with a refusal, and writes nothing (Zephyr `img_mgmt_upload`).
"""

from dataclasses import replace
from typing import Final

from keyswitch.errors import LinkLostError, RemoteError, SilenceError
from keyswitch.host.connect.endpoint import Connection
from keyswitch.host.connect.verdict import (
    Gate,
    Verdict,
    judge,
    judge_broken_protocol,
    judge_no_service,
    judge_own_word,
    judge_refused_request,
    judge_silence,
)
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.queries import mode_if_any, read_slots
from keyswitch.host.smp.reply import Answer, Refusal
from keyswitch.smp.groups import image

PROBE_OFFSET: Final = 0x7FFF_FFFF
"""No image is that large, so no session wants this offset; it still fits the 32 bits of small servers."""


async def probe_gate(connection: Connection) -> Verdict:
    """Ask the device behind `connection`.

    Raises:
        LinkLostError: the connection ended meanwhile. (A device that is only silent gets a verdict.)
    """
    seen = Verdict(gate=Gate.UNKNOWN)
    try:
        state = await mode_if_any(connection.mode)
        seen = replace(seen, mode=state.mode if state else None, state=state)
        if state is not None and not state.open:
            return judge_own_word(seen, state)
        # Over a link on which the SMP service was refused so far: a gate that has opened since lets it be used now.
        if not await connection.open_smp() or connection.smp is None:
            return judge_no_service(seen, connection.trouble)
        slots = await read_slots(connection.smp)
        if isinstance(slots, Refusal):
            return judge(seen, slots)
        seen = replace(seen, image_group=True, slots=slots)
        if state is not None:
            return judge_own_word(seen, state)
        return judge(seen, await _ask_for_an_upload(connection.smp))
    except SilenceError as error:
        return await _ask_why_silent(connection, seen, str(error))
    except RemoteError as error:
        return judge_broken_protocol(seen, error)


async def _ask_for_an_upload(smp: SmpClient) -> Answer | Refusal:
    """At an offset that no session wants; writes nothing."""
    return await smp.write(image.ID, image.Id.UPLOAD, {"off": PROBE_OFFSET, "data": b""})


async def _ask_why_silent(connection: Connection, seen: Verdict, silence: str) -> Verdict:
    """A device was silent: a request that must be answered says why."""
    if connection.closed is not None:
        raise LinkLostError(f"the link is gone: {connection.closed}")
    if connection.heal is None:
        return judge_silence(seen, silence)
    try:
        await connection.heal()
    except RemoteError as error:
        return judge_refused_request(seen, error)
    return judge_silence(seen, f"{silence}, though the subscription is in order")
