"""A whole SMP packet: a header and the payload it announces.

Rules kept here: a `Frame` is what one peer meant to send; its header's length is its payload's. What a *server* does
with packets that lie about their length is the server's business (`keyswitch.device.server.server`), not the codec's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from keyswitch.errors import LocalError, RemoteError
from keyswitch.smp import cbor
from keyswitch.smp.header import HEADER_SIZE, MAX_PAYLOAD, Header, Op, SmpVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One packet.

    Attributes:
        header: its length is that of `payload`.
        payload: encoded CBOR, or nothing.
    """

    header: Header
    payload: bytes = b""

    def __post_init__(self) -> None:
        if self.header.length != len(self.payload):
            raise LocalError(f"frame: header says {self.header.length} bytes, payload has {len(self.payload)}")

    @classmethod
    def decode(cls, packet: bytes) -> Self:
        """The one frame that `packet` is.

        Raises:
            RemoteError: the header is cut short, or the length is not what the header says.
        """
        header = Header.decode(packet)
        if len(packet) != HEADER_SIZE + header.length:
            raise RemoteError(
                f"SMP frame: header announces {header.length} bytes of payload, {len(packet) - HEADER_SIZE} are there"
            )
        return cls(header=header, payload=packet[HEADER_SIZE:])

    def encode(self) -> bytes:
        """Header and payload."""
        return self.header.encode() + self.payload

    def body(self) -> dict[str, Any]:
        """The payload as a map.

        Raises:
            RemoteError: the payload is not one CBOR map with text keys.
        """
        return cbor.loads_map(self.payload)


def request(
    *,
    op: Op,
    group: int,
    command: int,
    sequence: int,
    body: Mapping[str, object] | None = None,
    version: SmpVersion = SmpVersion.V2,
) -> Frame:
    """A request. `body` None sends no payload at all, which some commands take and others refuse.

    Raises:
        LocalError: the encoded body is larger than the length field can say.
    """
    payload = b"" if body is None else cbor.dumps(body)
    if len(payload) > MAX_PAYLOAD:
        raise LocalError(f"request: payload of {len(payload)} bytes, at most {MAX_PAYLOAD}")
    header = Header(op=op, version=version, length=len(payload), group=group, sequence=sequence & 0xFF, command=command)
    return Frame(header=header, payload=payload)


def answer(to: Header, body: Mapping[str, object]) -> Frame:
    """The answer to the request `to`, encoded as Zephyr does: indefinite-length maps and lists."""
    payload = cbor.dumps_indefinite(body)
    return Frame(header=Header.decode(to.answer(len(payload))), payload=payload)
