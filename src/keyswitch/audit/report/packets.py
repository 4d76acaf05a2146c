"""Packets in words: what stands beside the bytes of a finding."""

from collections.abc import Mapping
from typing import Any, Final, cast

from keyswitch.errors import RemoteError
from keyswitch.smp import cbor
from keyswitch.smp.commands import command_name
from keyswitch.smp.header import HEADER_SIZE, Header, Op
from keyswitch.text import plain

MAX_WORDS: Final = 160
_MAX_BYTES: Final = 8
_OPS: Final = {Op.READ: "read", Op.READ_RESPONSE: "answer", Op.WRITE: "write", Op.WRITE_RESPONSE: "answer"}


def packet_words(line: str) -> str:
    """A packet of a finding (`> 0a00…`) in words: `> write image.erase {slot: 1}`."""
    arrow, _, digits = line.partition(" ")
    data = bytes.fromhex(digits)
    try:
        header = Header.decode(data)
        body = cbor.loads_map(data[HEADER_SIZE:])
    except RemoteError as error:
        return f"{arrow} {len(data)} bytes: {error}"
    op = _OPS.get(cast("Op", header.op), f"operation {header.op}")
    version = "" if header.version == 1 else f", version bits {header.version}"
    words = f"{arrow} {op} {command_name(header.group, header.command)} {_map(body)}{version}"
    behind = len(data) - HEADER_SIZE - header.length
    more = f" and {behind} bytes behind it" if behind > 0 else ""
    return plain(words if len(words) <= MAX_WORDS else f"{words[: MAX_WORDS - 1]}…") + more


def _map(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_value(value)}" for key, value in values.items()) + "}"


def _value(value: object) -> str:
    if isinstance(value, bytes):
        shown = value[:_MAX_BYTES].hex()
        return shown if len(value) <= _MAX_BYTES else f"{shown}… ({len(value)} bytes)"
    if isinstance(value, dict):
        return _map(cast("dict[str, Any]", value))
    if isinstance(value, list):
        return f"[{', '.join(_value(each) for each in cast('list[object]', value))}]"
    return str(value)
