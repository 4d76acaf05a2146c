"""Who asks: one connection, as the device itself knows it; never what the peer claims to be."""

from dataclasses import dataclass
from enum import StrEnum

from keyswitch.frozen import quickly_made
from keyswitch.terms import Security, Transport


class Service(StrEnum):
    """Through which service a request came."""

    SMP = "smp"
    """The SMP service, a UDP socket, a serial line."""
    MODE = "mode"
    """The mode service on BLE: the mode group and nothing else."""


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer on one connection.

    Attributes:
        id: unique for each connection and never reused while the device runs: a reconnect is another peer.
        transport: how it reached the device.
        security: how well its link is protected now. A change of security is a new `Peer` value with the same `id`.
        door: which service the request at hand came through.
    """

    id: int
    transport: Transport
    security: Security = Security.NONE
    door: Service = Service.SMP
