"""What device and link carry. What a device says of its buffers is not always what its line takes.

A UART driver with two buffers for lines loses longer frames without a word (Zephyr `UART_MCUMGR_RX_BUF_COUNT`), and a
server without reassembly takes no frame larger than a write. So a frame of the full size is tried with an echo, if need
be twice: any answer, a refusal too, says that it arrived.
"""

from typing import Final

from keyswitch.errors import LinkLostError, RemoteError, SilenceError
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.queries import DEFAULT_BUF_SIZE, Params, read_params
from keyswitch.host.smp.reply import Refusal
from keyswitch.host.upload.uploader import Capacity
from keyswitch.smp import cbor
from keyswitch.smp.groups import os
from keyswitch.smp.header import HEADER_SIZE

TRY_MS: Final = 1_500
"""For an echo there and back: 384 bytes each way at 9600 baud take 1.1 s."""

LEAST_FRAME: Final = 110
"""Holds the first request of any upload, which carries an image header of 32 bytes (`host.upload.encoder`)."""

LARGEST_FRAME: Final = HEADER_SIZE + 0xFFFF
"""The header's length has two bytes."""

MOST_OUTSTANDING: Final = 64
"""Nobody has more buffers (Zephyr's default is 4), and sequence numbers must be left for questions."""

SMALLER: Final = (2475, 1024, 512, 256, 169, 128)
"""Sizes to try below the one that was told: usual buffers; 169 is two lines of a console."""


async def capacity_of(client: SmpClient, most_outstanding: int | None = None) -> Capacity:
    """What device and link carry; one buffer is left for the answers (Zephyr shares them).

    Args:
        client: to the device.
        most_outstanding: upper bound of requests under way, None for what the buffers allow.

    Raises:
        LinkLostError: the link is gone.
        RemoteError: the device names buffers that nothing could be sent to.
    """
    params = await read_params(client)
    if isinstance(params, Refusal):
        params = Params(buf_size=DEFAULT_BUF_SIZE, buf_count=1)
    most = client.link.max_packet
    told = params.buf_size - client.link.framing_bytes
    if told < LEAST_FRAME:
        raise RemoteError(f"the device says that its buffers have {params.buf_size} bytes: no upload fits in")
    told = min(told, LARGEST_FRAME if most is None else most)
    frame = await frame_that_arrives(client, told)
    # A line that loses a large frame would lose several at once as well.
    outstanding = 1 if frame < told else params.buf_count - 1
    return Capacity(
        frame=frame, outstanding=max(1, min(outstanding, most_outstanding or MOST_OUTSTANDING, MOST_OUTSTANDING))
    )


async def frame_that_arrives(client: SmpClient, told: int) -> int:
    """The largest frame, at most `told` bytes, that the device answers; the smallest one if it answers none.

    Raises:
        LinkLostError: the link is gone.
    """
    sizes = [told, *(size for size in SMALLER if size < told)]
    if len(sizes) > 1:
        sizes.insert(0, told)  # a radio or a network loses one now and then; a line that is too narrow loses each
    for size in sizes[:-1]:
        try:
            await client.write(os.ID, os.Id.ECHO, {"d": _padding(size)}, timeout_ms=TRY_MS)
        except SilenceError as error:
            if client.link.closed is not None:
                raise LinkLostError(f"the link is gone: {client.link.closed}") from error
        else:
            return size
    return sizes[-1]


def _padding(frame: int) -> str:
    """A text whose echo request is exactly this large."""
    empty = HEADER_SIZE + len(cbor.dumps({"d": ""}))
    text = "." * max(0, frame - empty)
    over = HEADER_SIZE + len(cbor.dumps({"d": text})) - frame
    return text[: len(text) - max(0, over)]
