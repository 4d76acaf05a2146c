"""Targets: how people name a device and the way to it. Strings in, frozen values out; stacks are imported when opened.

    ble:NAME | ble:ADDRESS            this computer's own adapter
    hci:TRANSPORT#NAME | #ADDRESS     a controller of our own, named as Bumble names HCI transports
    udp:HOST[:PORT]                   datagrams; IPv6 hosts in brackets
    serial:PATH[@BAUD][,FRAMING]      console framing, raw packets, or COBS

Rules: what cannot be meant is refused with what was expected; an address is known by its shape, all else is a name. A
NAME or PATH may stand in quotation marks: it means what stands between them then, whatever it looks like. The first `#`
ends TRANSPORT, but for the one that counts USB devices of a kind (`usb:VENDOR:PRODUCT#2#NAME`).
"""

import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from keyswitch.errors import InputError
from keyswitch.extras import need
from keyswitch.link.ports import Adapter, PacketLink, PairingNumbers
from keyswitch.smp.framing import udp
from keyswitch.terms import Security

_log = logging.getLogger(__name__)

DEFAULT_BAUD: Final = 115_200
"""Zephyr's usual console speed."""

MAX_BAUD: Final = 100_000_000
"""Far beyond any port: USB high speed carries less than five times as much."""

LAST_PORT: Final = 0xFFFF
"""RFC 768: ports have 16 bits."""

FRAMINGS: Final = ("console", "raw", "cobs")

_ADDRESS: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_COUNTED_USB: Final = re.compile(r"(?:py)?usb:[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}#[0-9]+(?=#|$)")
"""The second (third, …) device of a vendor and product, as Bumble names it."""
_QUOTED: Final = re.compile(r'"([^"]*)"')
_APPLE_ADDRESS: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""macOS shows no addresses but identifiers of its own."""

_KINDS: Final = "ble:NAME, hci:TRANSPORT#NAME, udp:HOST[:PORT] or serial:PATH[@BAUD]"


@dataclass(frozen=True, slots=True, kw_only=True)
class BleTarget:
    """A device in the air. Exactly one of `name` and `address` is set, or neither: whoever is near.

    Attributes:
        text: as it was written.
        transport: HCI transport as Bumble names it; None for this computer's own adapter.
        name: complete local name.
        address: upper case.
    """

    text: str
    transport: str | None = None
    name: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpTarget:
    """A device behind a datagram socket."""

    text: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialTarget:
    """A device behind a serial port."""

    text: str
    path: str
    baud: int
    framing: str


PacketTarget = UdpTarget | SerialTarget
Target = BleTarget | PacketTarget


def parse(text: str, *, anyone: bool = False) -> Target:
    """The target that `text` names.

    Args:
        text: as people write it.
        anyone: whether a radio without a device is enough (`ble:`, `hci:TRANSPORT`), for scanning.

    Raises:
        InputError: it names nothing that can be reached.
    """
    kind, colon, rest = text.partition(":")
    match kind if colon else "":
        case "ble":
            return _ble(text, None, rest, anyone=anyone)
        case "hci":
            counted = _COUNTED_USB.match(rest)
            if counted is None or (counted.end() == len(rest) and not anyone):
                transport, _, device = rest.partition("#")
            else:
                transport, device = counted[0], rest[counted.end() + 1 :]
            if not transport:
                raise InputError(text, "no HCI transport", "hci:TRANSPORT#NAME, such as hci:usb:0#Pump 7")
            return _ble(text, transport, device, anyone=anyone)
        case "udp":
            return _udp(text, rest)
        case "serial":
            return _serial(text, rest)
        case _:
            raise InputError(text or "target", "no target", _KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What a radio of ours pairs with. The computer's own adapter has all of it from its system.

    Attributes:
        address: own static random address, which bonds belong to; None draws one.
        bonds: document of earlier bonds; None: none.
        save: keeps the document.
        origin: of the document, for messages.
        ask_passkey: asks a person for the six digits that the device shows; None pairs without.
        numbers: shows that person numbers, to be compared or typed on the device; None: only what it shows is typed.
    """

    address: str | None = None
    bonds: bytes | None = None
    save: Callable[[bytes], None] | None = None
    origin: str = "bonds"
    ask_passkey: Callable[[], Awaitable[int | None]] | None = None
    numbers: PairingNumbers | None = None


def open_adapter(target: BleTarget, pairing: Pairing | None = None, capture: Path | None = None) -> Adapter:
    """The radio of a target. Nothing is switched on before it is used.

    Args:
        target: names it.
        pairing: what a radio of ours pairs with.
        capture: new file for what passes between us and a controller of ours (btsnoop); closed with the radio.

    Raises:
        InputError: there is no such radio, the bonds are none, the file cannot be made, or the extra `virtual` is not
            installed.
    """
    if target.transport is None:
        from keyswitch.link.bleak.adapter import BleakAdapter  # noqa: PLC0415 - a BLE stack, only for who needs it

        return BleakAdapter()
    need("bumble", target.text)
    from keyswitch.link.bumble.bonds import Bonds  # noqa: PLC0415 - a BLE stack, only for who needs it
    from keyswitch.link.bumble.capture import Capture  # noqa: PLC0415 - as above
    from keyswitch.link.bumble.central import BumbleAdapter  # noqa: PLC0415 - as above
    from keyswitch.link.bumble.radio import transport  # noqa: PLC0415 - as above

    chosen = pairing or Pairing()
    address = chosen.address or own_address()
    bonds = Bonds(address, chosen.bonds, save=chosen.save, origin=chosen.origin)
    return BumbleAdapter(
        transport(target.transport),
        address=address,
        bonds=bonds,
        ask_passkey=chosen.ask_passkey,
        numbers=chosen.numbers,
        capture=None if capture is None else Capture(capture, _capture_ended),
    )


class BondStore(Protocol):
    """The bonds of our addresses, one address at a time."""

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """All our addresses that have bonds, or had some."""
        ...

    @property
    def peers(self) -> tuple[str, ...]:
        """Addresses of bonded peers, the oldest bond first."""
        ...

    def switch(self, identity: str) -> None:
        """From now on these are the bonds of another of our addresses."""
        ...

    def security(self, peer: str) -> Security:
        """What encryption with this peer's keys is worth."""
        ...

    def forget(self, peer: str) -> None:
        """Forget a peer; no error if it is not known."""
        ...


def open_bonds(document: bytes, save: Callable[[bytes], None], origin: str) -> BondStore:
    """The bonds in a document (`Pairing.bonds`), to be looked at and removed.

    Raises:
        InputError: they are none, or the extra `virtual` is not installed.
    """
    need("bumble", origin)
    from keyswitch.link.bumble.bonds import Bonds  # noqa: PLC0415 - a BLE stack, only for who needs it

    return Bonds("", document, save=save, origin=origin)


def _capture_ended(why: str) -> None:
    _log.warning("captured no further: %s", why)


async def open_packets(target: PacketTarget) -> PacketLink:
    """Open the socket or port of a target.

    Raises:
        LinkLostError: it cannot be opened.
    """
    if isinstance(target, UdpTarget):
        from keyswitch.link.udp import UdpLink  # noqa: PLC0415 - only what is used is imported

        return await UdpLink.open(target.host, target.port)
    from keyswitch.link.serial_port import SerialLink  # noqa: PLC0415 - pyserial, only for who needs it

    return await SerialLink.open(target.path, target.baud, framing=target.framing)


def own_address() -> str:
    """A static random address (Core spec Vol 6 Part B 1.3.2.1): operators on one virtual air must differ."""
    random = bytearray(secrets.token_bytes(6))
    random[0] |= 0xC0
    return ":".join(f"{byte:02X}" for byte in random)


def _ble(text: str, transport: str | None, device: str, *, anyone: bool) -> BleTarget:
    quoted = _QUOTED.fullmatch(device)
    if device.startswith('"') and quoted is None:
        raise InputError(text, "the quotation mark is not closed", 'a name between two quotation marks, "Pump #7"')
    if quoted is not None and quoted[1]:
        return BleTarget(text=text, transport=transport, name=quoted[1])
    device = "" if quoted is not None else device
    if _ADDRESS.fullmatch(device) or _APPLE_ADDRESS.fullmatch(device):
        return BleTarget(text=text, transport=transport, address=device.upper())
    if not device and not anyone:
        raise InputError(text, "no device", "a name or an address")
    return BleTarget(text=text, transport=transport, name=device or None)


_SERIAL: Final = f"serial:PATH[@BAUD][,FRAMING] with framing {' or '.join(FRAMINGS)}"


def _udp(text: str, rest: str) -> UdpTarget:
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?", rest)
    port = int(match[3]) if match and match[3] else udp.PORT
    if match is None or not 0 < port <= LAST_PORT:
        raise InputError(text, "no host and port", "udp:HOST[:PORT], an IPv6 host in brackets")
    return UdpTarget(text=text, host=match[1] or match[2], port=port)


def _serial(text: str, rest: str) -> SerialTarget:
    quoted = _QUOTED.match(rest)
    if quoted is None and rest.startswith('"'):
        raise InputError(text, "the quotation mark is not closed", _SERIAL)
    if quoted is not None:
        target = _serial(text, f"x{rest[quoted.end() :]}")
        if target.path != "x" or not quoted[1]:
            raise InputError(text, "no path", _SERIAL)
        return replace(target, path=quoted[1])
    path, comma, framing = (
        rest.rpartition(",") if rest.endswith(tuple(f",{word}" for word in FRAMINGS)) else (rest, "", "")
    )
    path, at, baud = path.rpartition("@") if re.search(r"@[0-9]+$", path) else (path, "", "")
    if not path:
        raise InputError(text, "no path", _SERIAL)
    speed = DEFAULT_BAUD if not at else int(baud) if len(baud) <= len(str(MAX_BAUD)) else MAX_BAUD + 1
    if not 0 < speed <= MAX_BAUD:
        raise InputError(text, "no such speed", f"a speed from 1 to {MAX_BAUD} baud")
    return SerialTarget(
        text=text,
        path=path,
        baud=speed,
        framing=framing if comma else FRAMINGS[0],
    )
