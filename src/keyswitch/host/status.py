"""One look at a device: connect, ask, go."""

from dataclasses import replace

from keyswitch.host.ours import ways_in_words
from keyswitch.host.reach import Reach
from keyswitch.host.verdict import Verdict, find_out
from keyswitch.policy.model import Policy
from keyswitch.reasons import Reason


async def look(reach: Reach, policy: Policy | None = None) -> Verdict:
    """The verdict on the device behind `reach`; closes what it opened.

    Args:
        reach: the way to the device.
        policy: what the device is thought to obey; makes the next step more exact.

    Raises:
        LinkLostError: the device was not reached, or the link ended meanwhile.
        InputError: the target names several devices.
    """
    try:
        connection = await reach.connect()
        try:
            verdict = await find_out(connection)
        finally:
            await connection.close()
    finally:
        await reach.close()
    if policy is None or verdict.mode is None or verdict.reason not in {Reason.WRONG_MODE, Reason.GUARD}:
        return verdict
    words = ways_in_words(policy, verdict.mode)
    return replace(verdict, next_step=words) if words else verdict
