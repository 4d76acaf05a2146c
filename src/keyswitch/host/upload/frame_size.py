"""What device and link carry. What a device says of its buffers is not always what its line takes.

A UART driver with two buffers for lines loses longer frames without a word (Zephyr `UART_MCUMGR_RX_BUF_COUNT`), and a
server without reassembly takes each write for a whole frame, and answers one that was cut with rc 9. So a frame of the
full size is tried with an echo, twice if it is lost: an answer says that it arrived, a refusal too, but for rc 9. (rc 7
says that the *answer* does not fit: Zephyr's is a byte longer than the request.) Where the first piece of an upload is
refused with either, its frame was too large.
"""

from dataclasses import dataclass, replace
from typing import Final

from keyswitch.errors import LinkLostError, RemoteError, SilenceError
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.queries import DEFAULT_BUF_SIZE, Params, read_params
from keyswitch.host.smp.reply import Refusal, Reply
from keyswitch.host.upload.uploader import Capacity
from keyswitch.smp import cbor
from keyswitch.smp.codes import Rc
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

SMALLER: Final = (2475, 1024, 512, 256, 244, 169, 128)
"""Sizes to try below the one that was told: usual buffers; 244 is one write at the usual ATT MTU of 247, 169 two lines
of a console."""

CUT: Final = Rc.ECORRUPT
"""What servers say to a frame of which they got a part alone (Zephyr `smp_process_request_packet`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivingFrame:
    """The largest frame that the device answers.

    Attributes:
        size: in bytes.
        lost: larger ones were lost without a word.
    """

    size: int
    lost: bool = False


async def capacity_of(
    client: SmpClient, most_outstanding: int | None = None, *, max_frame: int | None = None
) -> Capacity:
    """What device and link carry; one buffer is left for the answers (Zephyr shares them).

    Args:
        client: to the device.
        most_outstanding: upper bound of requests under way, None for what the buffers allow.
        max_frame: upper bound of a frame in bytes, None for what the buffers allow.

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
    told = min(told, LARGEST_FRAME if most is None else most, max_frame or LARGEST_FRAME)
    frame = await frame_that_arrives(client, told)
    # A line that loses a large frame would lose several at once as well.
    outstanding = 1 if frame.lost else params.buf_count - 1
    return Capacity(
        frame=frame.size, outstanding=max(1, min(outstanding, most_outstanding or MOST_OUTSTANDING, MOST_OUTSTANDING))
    )


def smaller(capacity: Capacity) -> Capacity | None:
    """The next smaller frame; None if there is none that an upload fits in."""
    size = next((size for size in SMALLER if LEAST_FRAME <= size < capacity.frame), None)
    return None if size is None else replace(capacity, frame=size)


async def frame_that_arrives(client: SmpClient, told: int) -> ArrivingFrame:
    """The largest frame, at most `told` bytes, that the device answers; the smallest one if it answers none.

    Raises:
        LinkLostError: the link is gone.
    """
    sizes = [told, *(size for size in SMALLER if size < told)]
    lost = client.old_server and await _echo(client, LEAST_FRAME) is None
    if lost:
        return ArrivingFrame(size=sizes[-1], lost=True)  # it has no echo, and is silent about it
    for size in sizes[:-1]:
        reply = await _echo(client, size)
        if reply is None and not lost:
            reply = await _echo(client, size)  # a radio or a network loses one now and then; a narrow line loses each
        lost = lost or reply is None
        if reply is not None and not (isinstance(reply, Refusal) and reply.is_rc(CUT)):
            return ArrivingFrame(size=size, lost=lost)
    return ArrivingFrame(size=sizes[-1], lost=lost)


def says_too_large(reply: Reply) -> bool:
    """Whether a server says of a piece, whose answer is short, that its frame was too large."""
    return isinstance(reply, Refusal) and (reply.is_rc(CUT) or reply.is_rc(Rc.EMSGSIZE))


async def _echo(client: SmpClient, frame: int) -> Reply | None:
    """The answer to an echo of this size; None if there is none in time, or one that lost a piece on its way."""
    try:
        return await client.write(os.ID, os.Id.ECHO, {"d": _padding(frame)}, timeout_ms=TRY_MS)
    except RemoteError:
        return None
    except SilenceError as error:
        if client.link.closed is not None:
            raise LinkLostError(f"the link is gone: {client.link.closed}") from error
        return None


def _padding(frame: int) -> str:
    """A text whose echo request is exactly this large."""
    empty = HEADER_SIZE + len(cbor.dumps({"d": ""}))
    text = "." * max(0, frame - empty)
    over = HEADER_SIZE + len(cbor.dumps({"d": text})) - frame
    return text[: len(text) - max(0, over)]
