"""One look at a device: connect, ask, go."""

from dataclasses import dataclass, replace

from keyswitch.errors import RemoteError
from keyswitch.host.ours import expected_of, ways_in_words
from keyswitch.host.reach import Reach
from keyswitch.host.verdict import Verdict, find_out, unopened
from keyswitch.host.way import OTHER_DEVICE_STEP, other_policy
from keyswitch.policy.model import Policy
from keyswitch.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one look showed.

    Attributes:
        verdict: on the gate.
        other_device: that it is not the policy's device, in words; None if it is, or nothing was told.
    """

    verdict: Verdict
    other_device: str | None = None


async def look(reach: Reach, policy: Policy | None = None) -> Looked:
    """The verdict on the device behind `reach`; closes what it opened.

    Args:
        reach: the way to the device.
        policy: what the device is thought to obey; makes the next step more exact.

    Raises:
        LinkLostError: the device was not reached, or the link ended meanwhile.
        InputError: the target names several devices.
    """
    try:
        verdict = await _found_out(reach)
    finally:
        await reach.close()
    if policy is None:
        return Looked(verdict=verdict)
    other = other_policy(expected_of(policy), verdict)
    if other is not None:
        return Looked(verdict=replace(verdict, next_step=OTHER_DEVICE_STEP), other_device=other)
    words = ""
    if verdict.mode is not None and verdict.reason in {Reason.WRONG_MODE, Reason.GUARD}:
        words = ways_in_words(policy, verdict.mode)
    return Looked(verdict=replace(verdict, next_step=words or verdict.next_step))


async def _found_out(reach: Reach) -> Verdict:
    try:
        connection = await reach.connect()
    except RemoteError as error:
        return unopened(error)
    try:
        return await find_out(connection)
    finally:
        await connection.close()
