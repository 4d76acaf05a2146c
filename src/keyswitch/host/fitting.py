"""How large a frame really gets through: what a device says of its buffers is not always what its line takes.

A UART driver with two buffers for lines loses longer frames without a word (Zephyr `UART_MCUMGR_RX_BUF_COUNT`), and a
server without reassembly takes no frame larger than a write. So a frame of the full size is tried with an echo: any
answer, a refusal too, says that it arrived.
"""

from typing import Final

from keyswitch.host.client import Client, SilenceError
from keyswitch.smp import cbor
from keyswitch.smp.groups import os
from keyswitch.smp.header import HEADER_SIZE

TRY_MS: Final = 1_500
"""For an echo there and back: 384 bytes each way at 9600 baud take 1.1 s."""

SMALLER: Final = (2475, 1024, 512, 256, 169, 128)
"""Sizes to try below the one that was told: usual buffers; 169 is two lines of a console."""


async def frame_that_arrives(client: Client, told: int) -> int:
    """The largest frame, at most `told` bytes, that the device answers; the smallest one if it answers none.

    Raises:
        LinkLostError: the link is gone.
    """
    sizes = [told, *(size for size in SMALLER if size < told)]
    for size in sizes[:-1]:
        try:
            await client.write(os.ID, os.Id.ECHO, {"d": _padding(size)}, timeout_ms=TRY_MS)
        except SilenceError:
            if client.link.closed is not None:
                raise
        else:
            return size
    return sizes[-1]


def _padding(frame: int) -> str:
    """A text whose echo request is exactly this large."""
    empty = HEADER_SIZE + len(cbor.dumps({"d": ""}))
    text = "." * max(0, frame - empty)
    over = HEADER_SIZE + len(cbor.dumps({"d": text})) - frame
    return text[: len(text) - max(0, over)]
