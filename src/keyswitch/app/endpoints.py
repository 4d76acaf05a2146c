"""From a target, as people write it, to a connection: the way to the device that it names."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.errors import Field, InputError
from keyswitch.files.documents import parse_json
from keyswitch.files.reading import FileKind, read_file_if_there
from keyswitch.files.writing import SECRET, replace_file
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.endpoint import Endpoint
from keyswitch.host.connect.packet_endpoint import PacketEndpoint
from keyswitch.host.upload.throughput import Line
from keyswitch.link.serial_port import FRAMINGS
from keyswitch.link.targets import (
    BleTarget,
    Pairing,
    SerialTarget,
    UdpTarget,
    open_adapter,
    open_packets,
    own_address,
    parse,
)
from keyswitch.link.udp import IPV4_ROOM

BONDS_FILE: Final = FileKind(expected="a file of pairing keys that `keyswitch update` made", max_size=1_000_000)
"""Thirty-two bonds have 20 kB."""

_OWN_ADDRESS: Final = re.compile("[C-Fc-f][0-9A-Fa-f](:[0-9A-Fa-f]{2}){5}")
"""A static random address (Core spec Vol 6 Part B 1.3.2.1)."""


MAX_PASSKEY: Final = 999_999
"""Six digits (Core spec Vol 3 Part H 2.3.5.3)."""

AskPasskey = Callable[[], Awaitable[int | None]]
"""Asks a person for the six digits that the device shows; None if there is nobody, or they gave up."""


def open_reach(
    text: str,
    *,
    pair: bool = False,
    passkey: int | None = None,
    bonds: Path | None = None,
    ask_passkey: AskPasskey | None = None,
) -> Endpoint:
    """The way to the device that `text` names. Nothing is opened yet.

    Args:
        text: the target.
        pair: pair with the device, or encrypt with the keys of an earlier pairing, on each connection.
        passkey: the six digits that the device shows; None: a person is asked when it shows them.
        bonds: file that keeps the keys of a radio of ours; made if it is not there.
        ask_passkey: asks that person; None: pairing without digits (Just Works), which protects less.

    Raises:
        InputError: it names nothing that can be reached, or the bonds are none.
    """
    if passkey is not None and not 0 <= passkey <= MAX_PASSKEY:
        raise InputError(Field("passkey"), f"{passkey}", f"six digits, at most {MAX_PASSKEY}")
    target = parse(text)
    if isinstance(target, BleTarget):
        adapter = open_adapter(target, _pairing(passkey, bonds, ask_passkey) if pair else None)
        return BleEndpoint(adapter, target=text, name=target.name, address=target.address, pair=pair)
    if pair:
        raise InputError(Field("pair"), "means nothing here", "a Bluetooth LE target")
    return PacketEndpoint(text, partial(open_packets, target))


def line_to(text: str) -> Line:
    """What carries bytes to the device that `text` names, as a plan counts it.

    Raises:
        InputError: it names nothing that can be reached.
    """
    match parse(text):
        case SerialTarget(baud=baud, framing=framing):
            return Line(kind="serial", baud=baud, framing=framing, framing_bytes=FRAMINGS[framing][-1])
        case UdpTarget():
            return Line(kind="udp", max_packet=IPV4_ROOM)
        case BleTarget():
            return Line(kind="ble")


def _pairing(passkey: int | None, bonds: Path | None, ask_passkey: AskPasskey | None) -> Pairing:
    async def known() -> int | None:
        return passkey

    ask = ask_passkey if passkey is None else known
    if bonds is None:
        return Pairing(ask_passkey=ask)
    document = read_file_if_there(bonds, BONDS_FILE)
    return Pairing(
        address=_address_in(bonds, document) or own_address(),
        bonds=document,
        save=partial(_keep, bonds),
        origin=str(bonds),
        ask_passkey=ask,
    )


def _address_in(path: Path, document: bytes | None) -> str | None:
    """The address that the bonds belong to: it has to be ours again."""
    if document is None:
        return None
    known: Any = parse_json(document, str(path), BONDS_FILE.expected)
    identities: Any = cast("dict[str, Any]", known).get("identities") if isinstance(known, dict) else None
    address = next(iter(cast("dict[str, Any]", identities)), "") if isinstance(identities, dict) else ""
    if _OWN_ADDRESS.fullmatch(address):
        return address
    raise InputError(str(path), "no bonds", BONDS_FILE.expected)


def _keep(path: Path, document: bytes) -> None:
    """Write the keys where nobody else can read them."""
    replace_file(path, document, mode=SECRET)
