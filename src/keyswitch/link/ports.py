"""The narrow interfaces between what travels and what it means. Kept by `link.bumble`, `link.bleak`, UDP and serial.

Rules that every implementation keeps:

* UUIDs are lower-case strings of 36 characters; addresses are upper-case `AA:BB:CC:DD:EE:FF`, without a type suffix.
* Every wait has a bound; when it is over, or the link is gone, `LinkLostError` is raised and nothing else.
* A write returns when the link has taken the bytes (back-pressure), not when the peer has answered.
* Sinks are called in order, from the event loop, with whole values; they must not block.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from keyswitch.errors import RemoteError
from keyswitch.terms import Security

Sink = Callable[[bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One advertisement as it was heard.

    Attributes:
        address: of the advertiser.
        name: complete local name, empty if none was heard.
        services: UUIDs advertised.
        manufacturer: company id and data of the manufacturer specific field, if any.
        rssi_dbm: signal strength, if known.
        connectable: whether it takes connections.
        short_name: shortened local name, a beginning of the complete one; empty if none was heard.
    """

    address: str
    name: str = ""
    services: frozenset[str] = frozenset()
    manufacturer: tuple[int, bytes] | None = None
    rssi_dbm: int | None = None
    connectable: bool = True
    short_name: str = ""


class GattRefused(RemoteError):  # noqa: N818 - the peer's refusal, not our mistake
    """The peer answered a GATT request with an error.

    Attributes:
        code: the ATT error code (Core spec Vol 3 Part F 3.4.1.1), None if the stack below does not say.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code

    @property
    def wants_security(self) -> bool:
        """Whether `GattLink.pair` is what is missing."""
        return self.code in (0x05, 0x0F)

    @property
    def not_authorized(self) -> bool:
        """Whether the peer's application refuses the access to us: now, and not for want of keys."""
        return self.code == 0x08  # noqa: PLR2004 - Insufficient Authorization: Core spec Vol 3 Part F 3.4.1.1


class PairingNumbers(Protocol):
    """A person who sees numbers while we pair (Core spec Vol 3 Part H 2.3.5.1: numeric comparison, passkey entry)."""

    async def same(self, number: str) -> bool:
        """Whether the device shows these six digits, too."""
        ...

    def show(self, number: str) -> None:
        """Show six digits that are to be typed on the device."""
        ...


class PairingFailure(Enum):
    """Why pairing came to nothing (Core spec Vol 3 Part H 3.5.5, and keys that are lost or belong to another address).

    The value says it to people.
    """

    NO_PASSKEY = "no passkey was given"
    WRONG_PASSKEY = "the passkey is not the one that the device shows"
    NOT_NOW = "the device does not take pairing now"
    TOO_OFTEN = "too many attempts: wait"
    FORGOTTEN = "the device does not know this bond any more: forget it here, and pair again"
    UNMET = "the device asks for a stronger pairing, or keeps an older bond with this computer"
    """Authentication Requirements: by the specification, digits that one side cannot show or type; Zephyr says it too
    where pairing without digits would replace a bond (`update_keys_check` in `smp.c`, 3.4.99 and 4.1.0)."""
    MOVED = "the device was paired at another address, and takes no new pairing at this one"
    """A bond belongs to an address: at another one there are no keys, whoever is there."""
    OTHER = "the device and this computer could not agree"
    """Anything else, or a stack that does not say: then its own words are in the error."""


class PairingError(RemoteError):
    """Peer and host could not agree on keys.

    Args:
        failure: what happened.
        said: in the words of the stack below; empty where `failure` says it.
    """

    def __init__(self, failure: PairingFailure, said: str = "") -> None:
        super().__init__(f"pairing failed: {said or failure.value}")
        self.failure = failure


class GattLink(Protocol):
    """One connection to one peripheral, with its GATT services discovered."""

    @property
    def address(self) -> str:
        """The peer's address; where a pairing tells a private address's identity, that one from then on."""
        ...

    @property
    def services(self) -> frozenset[str]:
        """UUIDs of the primary services found by the last discovery."""
        ...

    @property
    def max_write(self) -> int:
        """Largest value in bytes for one write without response: min(ATT MTU - 3, 512)."""
        ...

    @property
    def security(self) -> Security | None:
        """What the link is worth now; None where the system does not say."""
        ...

    @property
    def can_rediscover(self) -> bool:
        """Whether `refresh` works within the connection. If not, only a new connection shows a changed table."""
        ...

    @property
    def closed(self) -> str | None:
        """None while the link is up; afterwards why it ended, in words."""
        ...

    async def wait_closed(self, timeout_ms: int) -> str | None:
        """Wait until the link has ended; the reason in words, or None if it is still up after `timeout_ms`."""
        ...

    async def subscribe(self, service: str, characteristic: str, sink: Sink) -> None:
        """Write the CCC (a Request: its error is the one clean signal) and hand notifications to `sink`."""
        ...

    async def read(self, service: str, characteristic: str) -> bytes:
        """Read a characteristic's value."""
        ...

    async def write(self, service: str, characteristic: str, data: bytes) -> None:
        """Write without response; `data` is at most `max_write` bytes. Returns when the link took it."""
        ...

    async def request(self, service: str, characteristic: str, data: bytes) -> None:
        """Write with response; `GattRefused` when the peer refuses."""
        ...

    async def refresh(self) -> None:
        """Discover the services again, if `can_rediscover`."""
        ...

    async def pair(self) -> None:
        """Pair, or encrypt with the keys of an earlier pairing; `PairingError` says why it could not be."""
        ...

    async def close(self) -> None:
        """End the connection; no error if it is gone already."""
        ...


@runtime_checkable
class HandleLink(GattLink, Protocol):
    """A `GattLink` that also works with handles, as a client does that keeps a table, and is told when it changes."""

    def handle_of(self, service: str, characteristic: str) -> int:
        """The value handle of a characteristic in the table that was found."""
        ...

    def is_free(self, handle: int) -> bool:
        """Whether no service of the table that was found has this handle."""
        ...

    async def write_handle(self, handle: int, data: bytes) -> None:
        """Write without response to a handle, whatever lies there. Returns when the link took it."""
        ...

    async def request_handle(self, handle: int, data: bytes) -> None:
        """Write with response to a handle, whatever lies there; `GattRefused` when the peer refuses."""
        ...

    async def ccc_of(self, service: str, characteristic: str) -> int:
        """Handle of a characteristic's configuration (CCC), asked for now."""
        ...

    async def read_hash(self) -> bytes:
        """The Database Hash as it is now (Core spec Vol 3 Part G 7.3), by its UUID; empty if the peer has none."""
        ...

    async def look_anew(self) -> None:
        """Discover the services again, whatever the peer says of the table being one that is known."""
        ...

    async def watch_services(self, sink: Sink) -> bool:
        """Subscribe to Service Changed; `sink` gets the range as 4 bytes. False if the peer has none."""
        ...

    async def cache_robustly(self) -> bool:
        """Say that this client can handle Database Out Of Sync (Vol 3 Part G 7.2). False if the peer takes no such."""
        ...


class Adapter(Protocol):
    """A radio of the host's."""

    @property
    def hears_while_connecting(self) -> bool:
        """Whether a scan goes on hearing everybody while `connect` works. If not, silence meanwhile says nothing."""
        ...

    def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        """Sightings as they are heard, repeated ones too, until `timeout_ms` is over or the generator is closed."""
        ...

    async def connect(self, address: str, timeout_ms: int) -> GattLink:
        """Connect and discover. Raises `LinkLostError` when that is not done within `timeout_ms`."""
        ...

    async def close(self) -> None:
        """Give the radio back."""
        ...


class PacketLink(Protocol):
    """A way for whole SMP packets to one peer; what the SMP client stands on. UDP, serial, or GATT with framing."""

    @property
    def max_packet(self) -> int | None:
        """Largest packet in bytes that the *link* can carry, None where only the peer's buffers bound it."""
        ...

    @property
    def framing_bytes(self) -> int:
        """How many bytes of one of the peer's buffers its framing takes beside a packet."""
        ...

    @property
    def closed(self) -> str | None:
        """None while the link is up; afterwards why it ended, in words."""
        ...

    def on_packet(self, sink: Sink) -> None:
        """Hand each whole packet from the peer to `sink`; replaces the one before."""
        ...

    def on_closed(self, sink: Callable[[str], None]) -> None:
        """Tell `sink` once when the link has ended, and why."""
        ...

    async def send(self, packet: bytes) -> None:
        """Send one packet; returns when the link has taken it. Raises `LinkLostError` when the link is gone."""
        ...

    async def close(self) -> None:
        """End it; no error if it is gone already."""
        ...
