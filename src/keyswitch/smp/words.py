"""A packet in one line, for logs and captures: command, direction, sequence number, size, and an answer's code."""

from typing import Final

from keyswitch.errors import RemoteError
from keyswitch.smp import cbor
from keyswitch.smp.codes import rc_name
from keyswitch.smp.commands import command_name
from keyswitch.smp.header import HEADER_SIZE, Header, Op

_DIRECTIONS: Final = {
    Op.READ: "read",
    Op.READ_RESPONSE: "read answered",
    Op.WRITE: "write",
    Op.WRITE_RESPONSE: "write answered",
}


def packet_words(packet: bytes) -> str:
    """`image.upload write, sequence 7, 2475 bytes`; an answer's code stands behind it. Its values are not shown.

    Args:
        packet: as it travels, header first; anything is taken.
    """
    if len(packet) < HEADER_SIZE:
        return f"{len(packet)} bytes, less than a header"
    header = Header.decode(packet)
    op = _DIRECTIONS[Op(header.op)] if header.op in set(Op) else f"operation {header.op}"
    words = f"{command_name(header.group, header.command)} {op}, sequence {header.sequence}, {len(packet)} bytes"
    return f"{words}{_code(packet)}" if header.op in {Op.READ_RESPONSE, Op.WRITE_RESPONSE} else words


def _code(packet: bytes) -> str:
    try:
        values = cbor.loads_map(packet[HEADER_SIZE:])
    except RemoteError:
        return ", not CBOR"
    match values:
        case {"err": {"group": int(group), "rc": int(rc)}}:
            return f", group {group} code {rc}"
        case {"rc": int(rc)} if rc:
            return f", {rc_name(rc)}"
        case _:
            return ""
