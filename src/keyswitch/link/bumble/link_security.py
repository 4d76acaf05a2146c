"""Security of the device's connections: pairing answered, levels found, bonds kept and what they remember."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from keyswitch.gatt.server import GattServer, Output
from keyswitch.link.bumble import pairing
from keyswitch.link.bumble.bonds import Bonds, keys_security
from keyswitch.terms import Security


@dataclass(slots=True)
class SecuredConnection:
    """One connection."""

    number: int
    handle: int
    address: str
    connection: Any
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    order: asyncio.Lock = field(default_factory=asyncio.Lock)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    security: Security = Security.NONE
    pairing: bool = False

    @property
    def peer(self) -> str:
        """Who it is, for the bonds: the identity address as soon as that is known."""
        return str(self.connection.peer_address)


class LinkSecurity:
    """Security of all connections of one peripheral.

    Args:
        bonds: where keys are kept.
        server: that is told of levels and bonds.
        show_passkey: shows six digits to a person; None: pairing without.
        deliver: takes what the server has to say.
        tell: called when the level of a connection has changed.
        refuse: ends a connection that tried to weaken a bond.
    """

    def __init__(
        self,
        bonds: Bonds,
        server: GattServer,
        *,
        show_passkey: Callable[[str], None] | None,
        deliver: Callable[[list[Output]], None],
        tell: Callable[[SecuredConnection], None],
        refuse: Callable[[SecuredConnection], None],
    ) -> None:
        self.bonds = bonds
        self.pairable = True
        self._server = server
        self._show_passkey = show_passkey
        self._deliver = deliver
        self._tell = tell
        self._refuse = refuse

    def config(self, _connection: Any) -> Any:
        """How Bumble is to answer pairing on a connection."""
        most = Security.ENCRYPTED if self._show_passkey is None else Security.AUTHENTICATED
        delegate = pairing.PairingDisplay(lambda: self.pairable and self.bonds.takes(most), self._show_passkey)
        return pairing.config(delegate, mitm=self._show_passkey is not None)

    def watch(self, link: SecuredConnection) -> None:
        """Follow a new connection."""
        connection = link.connection

        def started() -> None:
            link.pairing = True

        def failed(_reason: int) -> None:
            link.pairing = False

        def paired(keys: Any) -> None:
            link.pairing = False
            self._paired(link, keys)

        def encrypted() -> None:
            self._encrypted(link)

        connection.on("pairing_start", started)
        connection.on("pairing_failure", failed)
        connection.on("pairing", paired)
        connection.on("connection_encryption_change", encrypted)

    def _encrypted(self, link: SecuredConnection) -> None:
        """Encryption is on. What a pairing that is under way will be worth shows at its end: until then, the least."""
        if not link.connection.encryption:
            self._secure(link, Security.NONE)
        elif link.pairing:
            self._secure(link, Security.ENCRYPTED)
        else:
            self._secure(link, max(Security.ENCRYPTED, self.bonds.security(link.peer)))

    def _paired(self, link: SecuredConnection, keys: Any) -> None:
        if link.peer in self.bonds.refused_weaker:
            self.bonds.refused_weaker.discard(link.peer)
            self._refuse(link)
            return
        if self.bonds.has(link.peer):
            self._server.bond(link.number)
        self._secure(link, keys_security(keys))
        self.remember(link)

    def _secure(self, link: SecuredConnection, security: Security) -> None:
        record = self.bonds.client(link.peer) if security > Security.NONE and not link.pairing else None
        before, link.security = link.security, security
        self._deliver(self._server.secured(link.number, security, record))
        link.heard.set()
        if security != before:
            self._tell(link)

    def remember(self, link: SecuredConnection) -> None:
        """Keep what the server knows of a bonded central."""
        record = self._server.record(link.number)
        if record is not None:
            self.bonds.remember(link.peer, record)
