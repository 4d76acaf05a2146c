"""The device's radio on Bumble: advertising, connections, and our ATT server on its channel.

Rules kept here beyond those of `link.peripheral`:

* What a client may see and do is decided in `gatt.server`; this file carries PDUs.
* A client that makes us queue answers faster than it takes them is disconnected: ATT lets it ask one thing at a time.
* Nothing waits without a bound.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from bumble import hci

from keyswitch.errors import LinkLostError, LocalError
from keyswitch.gatt.att import MAX_VALUE, VALUE_OVERHEAD, AttOpcode
from keyswitch.gatt.server import GattServer, Held, Output, Send, Subscribed, Written
from keyswitch.gatt.table import GattTable
from keyswitch.link.bumble.advertiser import Advertiser, check
from keyswitch.link.bumble.bonds import Bonds
from keyswitch.link.bumble.capture import Capture
from keyswitch.link.bumble.link_security import LinkSecurity, SecuredConnection
from keyswitch.link.bumble.outflow import Outflow
from keyswitch.link.bumble.radio import HciRadio, Opener, switch_on
from keyswitch.link.bumble.reasons import reason_words
from keyswitch.link.bumble.stack import QuietHost
from keyswitch.link.peripheral import Advertisement, Pace, PeripheralSink

ROOM = 8
"""Packets of one connection that may wait before `notify` waits too: more than one event of any phone carries."""
FLOOD = 128
"""Packets of one connection that may wait before it counts as hostile: 32 kB of answers that nobody takes."""
DISCONNECT_WITHIN_S = 2.0
"""Some events for the exchange, else the controller's supervision timeout decides."""
SUPERVISION = 200
"""Supervision timeout asked for, in units of 10 ms: twenty missed events at the longest usual interval."""
HELD_WITHIN_S = 2.0
"""How long a notification waits for a client to learn of a changed table: confirming takes two events."""
_REMEMBERED = frozenset((AttOpcode.WRITE_REQ, AttOpcode.CONFIRMATION))
"""After these, what is known of a client may be other than before."""


class BumblePeripheral:
    """A peripheral (`link.peripheral.Peripheral`).

    Args:
        opener: where the controller is (`radio.transport`, `radio.on_air`).
        address: static random address.
        table: shown at first.
        name: for the security manager.
        bonds: keys of earlier pairings; None: none, and new ones are forgotten with this object.
        show_passkey: shows six digits to a person, so that pairing authenticates; None: pairing without (Just Works).
        capture: takes down what passes between host and controller; None: nothing does.
        server: makes the ATT server; plant faults here.
    """

    def __init__(
        self,
        opener: Opener,
        *,
        address: str,
        table: GattTable,
        name: str = "keyswitch",
        bonds: Bonds | None = None,
        show_passkey: Callable[[str], None] | None = None,
        capture: Capture | None = None,
        server: Callable[..., GattServer] = GattServer,
    ) -> None:
        self._opener = opener
        self._address = address
        self._name = name
        self._server = server(table, may_access=self._may_access)
        self._bonds = bonds or Bonds(address)
        self._capture = capture
        self._security = LinkSecurity(
            self._bonds,
            self._server,
            show_passkey=show_passkey,
            deliver=self._deliver,
            tell=self._secured,
            refuse=lambda link: self._spawn(self.disconnect(link.number), "refuse a weaker bond"),
        )
        self._capture = capture
        self._radio: HciRadio | None = None
        self._sink: PeripheralSink | None = None
        self._links: dict[int, SecuredConnection] = {}
        self._by_handle: dict[int, SecuredConnection] = {}
        self._numbers = 0
        self._advertisement: Advertisement | None = None
        self._advertiser: Advertiser | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- the radio ---

    @property
    def address(self) -> str:
        """The address that is advertised."""
        return self._address

    @property
    def connections(self) -> tuple[int, ...]:
        """Connections that are up, oldest first."""
        return tuple(self._links)

    async def start(self, sink: PeripheralSink) -> None:
        """Switch the radio on."""
        if self._radio is not None:
            raise LocalError("the radio is on already")
        self._sink = sink
        self._radio = await switch_on(
            self._opener, name=self._name, address=self._address, bonds=self._bonds, prepare=self._prepare
        )
        self._advertiser = Advertiser(self._radio)

    def _prepare(self, device: Any, host: QuietHost) -> None:
        host.att_sink = self._on_att
        host.snooper = self._capture
        device.on("connection", self._on_connection)
        device.pairing_config_factory = self._security.config
        host.on("flush", self._on_transport_lost)

    async def close(self) -> None:
        """Stop advertising, end connections, give the radio back."""
        if self._radio is None:
            return
        with contextlib.suppress(LinkLostError):
            await self.advertise(None)
        await asyncio.gather(*(self.disconnect(number) for number in self.connections))
        await self.power_off()

    async def power_off(self) -> None:
        """Be gone at once; nobody is told."""
        radio, self._radio, self._sink = self._radio, None, None
        for link in list(self._links.values()):
            self._forget(link)
        self._advertisement = self._advertiser = None
        for task in list(self._tasks):
            task.cancel()
        if radio is not None:
            await radio.close()

    async def _command(self, command: Any) -> None:
        """One HCI command, bounded. A controller that refuses it is an `HCI_Error`."""
        if self._radio is None:
            raise LinkLostError("the radio is off")
        await self._radio.command(command)

    # --- advertising ---

    async def advertise(self, advertisement: Advertisement | None) -> None:
        """Advertise this from now on, also while connected and again after each connection; None: stop."""
        if advertisement is not None:
            check(advertisement)
        self._advertisement = advertisement
        await self._apply_advertisement()

    async def _apply_advertisement(self) -> None:
        if self._advertiser is None:
            raise LinkLostError("the radio is off")
        await self._advertiser.apply(lambda: self._advertisement, connected=lambda: bool(self._links))

    def _readvertise(self) -> None:
        """The controller has stopped advertising because of a connection: begin again."""
        if self._advertiser is None or self._advertisement is None:
            return
        self._spawn(self._apply_advertisement(), "advertise again")

    def _spawn(self, coroutine: Any, name: str) -> None:
        async def guarded() -> None:
            with contextlib.suppress(LinkLostError, hci.HCI_Error):
                await coroutine

        task = asyncio.get_running_loop().create_task(guarded(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def set_address(self, address: str) -> None:
        """Change the static random address."""
        if self._links or (self._advertiser is not None and self._advertiser.on):
            raise LocalError("the address cannot change while advertising or connected")
        self._address = address
        self._bonds.switch(address)
        if self._radio is not None:
            device: Any = self._radio.device
            device.irk = self._bonds.irk
            await device.refresh_resolving_list()
            device.random_address = device.static_address = hci.Address(address, hci.Address.RANDOM_DEVICE_ADDRESS)
            await self._command(hci.HCI_LE_Set_Random_Address_Command(random_address=device.random_address))

    # --- the table ---

    def set_table(self, table: GattTable, *, live: bool = False) -> None:
        """Show this table."""
        if self._links and not live:
            raise LocalError("the table may not change while somebody is connected")
        before = self._server.database
        outputs = self._server.change(table)
        changed = before.difference(self._server.database)
        if changed is not None:
            self._bonds.owe(changed, {link.peer for link in self._links.values()})
        self._deliver(outputs)
        for link in self._links.values():
            self._security.remember(link)

    def set_value(self, characteristic: str, value: bytes) -> None:
        """Set what reading the characteristic returns."""
        self._server.set_value(characteristic, value)

    # --- connections ---

    def max_notification(self, connection: int) -> int:
        """Largest value for one notification."""
        return min(self._server.mtu(connection) - VALUE_OVERHEAD, MAX_VALUE)

    def is_subscribed(self, connection: int, characteristic: str) -> bool:
        """Whether the central gets notifications of the characteristic."""
        return self._server.subscribed(connection, characteristic)

    async def notify(self, connection: int, characteristic: str, value: bytes) -> bool:
        """Send a notification; returns when the link has taken it."""
        link = self._link(connection)
        async with link.order:
            if not await self._outflow.room(link.handle, ROOM) or link.ended.is_set():
                raise LinkLostError("the central has gone")
            pdu = await self._when_aware(link, lambda: self._server.notify(connection, characteristic, value))
            if pdu is None:
                return False
            self._host_send(link, pdu)
            return True

    async def _when_aware(self, link: SecuredConnection, make: Callable[[], bytes | Held | None]) -> bytes | None:
        """The PDU, once the client may have it: after a change of the table it may have to learn of that first."""
        made = make()
        if not isinstance(made, Held):
            return made
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HELD_WITHIN_S):
                while isinstance(made, Held):
                    link.heard.clear()
                    await link.heard.wait()
                    if link.ended.is_set():
                        raise LinkLostError("the central has gone")
                    made = make()
        return None if isinstance(made, Held) else made

    async def delivered(self, connection: int, timeout_ms: int) -> bool:
        """Wait until the peer's link layer has acknowledged all that was sent."""
        link = self._links.get(connection)
        if link is None:
            return False
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await self._outflow.room(link.handle, 0)
        except TimeoutError:
            return False

    async def ask_for(self, connection: int, pace: Pace) -> None:
        """Ask the central for this pace."""
        link = self._links.get(connection)
        if link is None:
            return
        least, most = pace.value
        with contextlib.suppress(hci.HCI_Error, LinkLostError):
            await self._command(
                hci.HCI_LE_Connection_Update_Command(
                    connection_handle=link.handle,
                    connection_interval_min=least,
                    connection_interval_max=most,
                    max_latency=0,
                    supervision_timeout=SUPERVISION,
                    min_ce_length=0,
                    max_ce_length=0,
                )
            )

    async def disconnect(self, connection: int) -> None:
        """End the connection."""
        link = self._links.get(connection)
        if link is None:
            return
        reason = hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
        with contextlib.suppress(hci.HCI_Error, LinkLostError, TimeoutError):
            await self._command(hci.HCI_Disconnect_Command(connection_handle=link.handle, reason=reason))
            async with asyncio.timeout(DISCONNECT_WITHIN_S):
                await link.ended.wait()
        if not link.ended.is_set():
            self._end(link, "the controller did not end it")

    @property
    def _outflow(self) -> Outflow:
        if self._radio is None or self._radio.host.outflow is None:
            raise LinkLostError("the radio is off")
        return self._radio.host.outflow

    def _link(self, connection: int) -> SecuredConnection:
        link = self._links.get(connection)
        if link is None:
            raise LinkLostError("the central has gone")
        return link

    @property
    def pairable(self) -> bool:
        """Whether pairing is accepted now."""
        return self._security.pairable

    @pairable.setter
    def pairable(self, wanted: bool) -> None:
        self._security.pairable = wanted

    # --- events ---

    def _may_access(self, connection: int, characteristic: str) -> bool:
        return self._sink is not None and self._sink.may_access(connection, characteristic)

    def _secured(self, link: SecuredConnection) -> None:
        if self._sink is not None:
            self._sink.secured(link.number, link.security)

    def _on_connection(self, connection: Any) -> None:
        if self._sink is None:
            return
        self._numbers += 1
        link = SecuredConnection(
            number=self._numbers,
            handle=connection.handle,
            address=connection.peer_address.to_string(False),
            connection=connection,
        )
        self._links[link.number] = self._by_handle[link.handle] = link
        self._server.connect(link.number, has_key=self._bonds.has(link.peer))

        def ended(reason: int) -> None:
            self._end(link, reason_words(reason))

        connection.on("disconnection", ended)
        self._security.watch(link)
        if self._advertiser is not None:
            self._advertiser.stopped()
        self._sink.connected(link.number, link.address)
        self._readvertise()

    def _end(self, link: SecuredConnection, reason: str) -> None:
        if link.ended.is_set():
            return
        self._security.remember(link)
        self._forget(link)
        if self._sink is not None:
            self._sink.disconnected(link.number, reason)
        if self._advertiser is not None and not self._advertiser.on:
            self._readvertise()

    def _forget(self, link: SecuredConnection) -> None:
        link.ended.set()
        link.heard.set()
        self._links.pop(link.number, None)
        if self._by_handle.get(link.handle) is link:
            del self._by_handle[link.handle]
        self._server.disconnect(link.number)
        if self._radio is not None and self._radio.host.outflow is not None:
            self._radio.host.outflow.drop(link.handle)

    def _on_transport_lost(self) -> None:
        for link in list(self._links.values()):
            self._end(link, "the controller is gone")

    def _on_att(self, handle: int, pdu: bytes) -> None:
        link = self._by_handle.get(handle)
        if link is not None:
            self._deliver(self._server.receive(link.number, pdu))
            link.heard.set()
            if pdu and pdu[0] in _REMEMBERED:
                self._security.remember(link)

    def _deliver(self, outputs: list[Output]) -> None:
        for output in outputs:
            link = self._links.get(output.connection)
            if link is None or self._sink is None:
                continue
            match output:
                case Send(_, pdu):
                    self._host_send(link, pdu)
                case Written(_, characteristic, value):
                    self._sink.written(link.number, characteristic, value)
                case Subscribed(_, characteristic, on):
                    self._sink.subscribed(link.number, characteristic, on)

    def _host_send(self, link: SecuredConnection, pdu: bytes) -> None:
        if self._radio is None:
            return
        if self._outflow.waiting(link.handle) > FLOOD:
            self._spawn(self.disconnect(link.number), "disconnect a flooding central")
            return
        self._radio.host.send_att(link.handle, pdu)
