"""How the device ends a connection: the peer gets its last answer first, and neither of the two waits is without end.

Two waits, because the device has an answer in two places:

* in the peer's sender, until the link takes it. A peer that does not read is not waited for any longer after this one;
* on the air, until the peer's link layer has acknowledged it, where the transport can tell.
"""

import asyncio
from typing import Final

from keyswitch.device.transport.sender import Sender

FLUSH_WITHIN_MS: Final = 2_000
"""Bound for the link to take the answers that must leave before their connection is ended."""

DELIVERED_WITHIN_MS: Final = 2_000
"""Bound for the last answer to arrive then: several connection events at the longest usual interval."""


async def disconnect(sender: Sender, *, after_answers: bool) -> None:
    """End the connection of the sender's peer; with `after_answers` once its answers have arrived, or a bound is over.

    Who did not take its answers within the bound is given no more time for the last one to arrive.
    """
    if after_answers and await _flushed(sender):
        await sender.carrier.delivered(sender.peer.id, DELIVERED_WITHIN_MS)
    await sender.carrier.end(sender.peer.id)


async def _flushed(sender: Sender) -> bool:
    try:
        async with asyncio.timeout(FLUSH_WITHIN_MS / 1000):
            await sender.flushed()
    except TimeoutError:
        return False
    return True
