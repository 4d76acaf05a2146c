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
from keyswitch.link.packet_capture import CapturedAdapter, CapturedPackets, PacketCapture
from keyswitch.link.ports import Adapter, PacketLink, PairingNumbers
from keyswitch.link.serial_port import FRAMINGS
from keyswitch.link.targets import (
    BleTarget,
    PacketTarget,
    Pairing,
    SerialTarget,
    UdpTarget,
    open_adapter,
    open_packets,
    own_address,
    parse,
)
from keyswitch.link.udp import IPV4_ROOM
from keyswitch.smp.words import packet_words

BONDS_FILE: Final = FileKind(expected="a file of pairing keys that `keyswitch update` made", max_size=1_000_000)
"""Thirty-two bonds have 20 kB."""

_OWN_ADDRESS: Final = re.compile("[C-Fc-f][0-9A-Fa-f](:[0-9A-Fa-f]{2}){5}")
"""A static random address (Core spec Vol 6 Part B 1.3.2.1)."""


MAX_PASSKEY: Final = 999_999
"""Six digits (Core spec Vol 3 Part H 2.3.5.3)."""

AskPasskey = Callable[[], Awaitable[int | None]]
"""Asks a person for the six digits that the device shows; None if there is nobody, or they gave up."""


def open_endpoint(
    text: str,
    *,
    pair: bool = False,
    passkey: int | None = None,
    bonds: Path | None = None,
    ask_passkey: AskPasskey | None = None,
    capture: Path | None = None,
    numbers: PairingNumbers | None = None,
    radio: Adapter | None = None,
) -> Endpoint:
    """The way to the device that `text` names. Nothing is opened yet.

    Args:
        text: the target.
        pair: pair with the device, or encrypt with the keys of an earlier pairing, on each connection.
        passkey: the six digits that the device shows; None: a person is asked when it shows them.
        bonds: file that keeps the keys of a radio of ours; made if it is not there.
        ask_passkey: asks that person; None: nothing that it shows can be typed.
        numbers: shows that person numbers, to be compared or typed on the device. Without either, pairing goes without
            digits (Just Works), which protects less.
        capture: new file for what is sent and received: btsnoop where we are the host of the radio, else pcapng.
        radio: that others use as well, instead of one of its own; `pair` and `capture` mean nothing then.

    Raises:
        InputError: it names nothing that can be reached, the bonds are none, or the capture cannot be made.
    """
    if passkey is not None and not 0 <= passkey <= MAX_PASSKEY:
        raise InputError(Field("passkey"), f"{passkey}", f"six digits, at most {MAX_PASSKEY}")
    target = parse(text)
    if isinstance(target, BleTarget):
        if radio is not None:
            return BleEndpoint(radio, target=text, name=target.name, address=target.address, pair=pair)
        pairing = _pairing(passkey, bonds, ask_passkey, numbers) if pair else None
        if capture is not None and target.transport is None:
            adapter: Adapter = CapturedAdapter(open_adapter(target, pairing), _packets_into(capture, text))
        else:
            adapter = open_adapter(target, pairing, capture)
        return BleEndpoint(adapter, target=text, name=target.name, address=target.address, pair=pair)
    if pair:
        raise InputError(Field("pair"), "means nothing here", "a Bluetooth LE target")
    if capture is not None:
        return _CapturedEndpoint(text, target, _packets_into(capture, text))
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


class _CapturedEndpoint(PacketEndpoint):
    """A device behind a socket or port, whose packets are written down; closing it closes the file."""

    def __init__(self, text: str, target: PacketTarget, capture: PacketCapture) -> None:
        self._capture = capture

        async def opened() -> PacketLink:
            return CapturedPackets(await open_packets(target), capture)

        super().__init__(text, opened)

    async def close(self) -> None:
        await super().close()
        self._capture.close()


def _packets_into(path: Path, name: str) -> PacketCapture:
    return PacketCapture(path, name=name, words=packet_words)


def _pairing(
    passkey: int | None, bonds: Path | None, ask_passkey: AskPasskey | None, numbers: PairingNumbers | None
) -> Pairing:
    async def known() -> int | None:
        return passkey

    ask = ask_passkey if passkey is None else known
    numbers = numbers if passkey is None else None
    if bonds is None:
        return Pairing(ask_passkey=ask, numbers=numbers)
    document = read_file_if_there(bonds, BONDS_FILE)
    return Pairing(
        address=_address_in(bonds, document) or own_address(),
        bonds=document,
        save=partial(keep_bonds, bonds),
        origin=str(bonds),
        ask_passkey=ask,
        numbers=numbers,
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


def keep_bonds(path: Path, document: bytes) -> None:
    """Write the keys where nobody else can read them."""
    replace_file(path, document, mode=SECRET)
