"""SMP on Bluetooth LE, device side: GATT writes become packets, answers become notifications.

Rules:

* Each connection has its own receiver for each of its two doors: the SMP characteristic, and the mode service's control
  characteristic. An answer goes back through the door that its request came by.
* The GATT table, the advertisement and the state characteristic show what `show` was last told. With the `reconnect`
  strategy the table changes only while nobody is connected: a change that is asked for earlier waits for that.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from keyswitch.device.advertising import advertisement
from keyswitch.device.doors import Arrivals
from keyswitch.errors import LinkLostError
from keyswitch.gate.peer import Door, Peer
from keyswitch.gatt.table import Table
from keyswitch.link.peripheral import Peripheral
from keyswitch.smp.framing import Receiver, ble
from keyswitch.smp.groups import mode
from keyswitch.terms import Security, Transport

DELIVERED_WITHIN_MS: Final = 2_000
"""Bound for the last answer before a connection is ended: several connection events at the longest usual interval."""

DOORS: Final = {ble.CHARACTERISTIC_UUID: Door.SMP, mode.CONTROL_UUID: Door.MODE}
"""Characteristics that carry SMP, and the door that each is."""

CHARACTERISTICS: Final = {door: uuid for uuid, door in DOORS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the radio shows of the device.

    Attributes:
        smp: whether the SMP service is in the table.
        beacon: mode index and token, for the advertisement.
        state: for the state characteristic.
    """

    smp: bool
    beacon: mode.Beacon
    state: mode.StateValue


class _Central:
    """One connected central: its peer and a receiver for each door."""

    def __init__(self, connection: int, peer: Peer, receiver: Callable[[], Receiver]) -> None:
        self.connection = connection
        self.peer = peer
        self.receivers: dict[Door, Receiver] = {door: receiver() for door in Door}
        self.telling: asyncio.Task[None] | None = None


class BleCarrier:
    """The carrier; also the sink of the radio's events.

    Args:
        peripheral: the radio.
        name: advertised.
        company_id: of the manufacturer data.
        tables: the GATT table without (False) and with (True) the SMP service.
        live: whether the table may change under a connection.
        receiver: makes a receiver for one connection's door.
    """

    def __init__(
        self,
        peripheral: Peripheral,
        *,
        name: str,
        company_id: int,
        tables: Mapping[bool, Table],
        live: bool,
        receiver: Callable[[], Receiver],
    ) -> None:
        self._peripheral = peripheral
        self._name = name
        self._company_id = company_id
        self._tables = tables
        self._live = live
        self._receiver = receiver
        self._arrivals: Arrivals | None = None
        self._by_connection: dict[int, _Central] = {}
        self._by_peer: dict[int, _Central] = {}
        self._shown: Shown | None = None
        self._smp_in_table: bool | None = None
        self._changed = asyncio.Event()
        self._advertising: asyncio.Task[None] | None = None

    # --- the carrier's side ---

    async def start(self, arrivals: Arrivals) -> None:
        """Switch the radio on; nothing is advertised before `show`."""
        self._arrivals = arrivals
        await self._peripheral.start(self)
        self._advertising = asyncio.get_running_loop().create_task(self._keep_advertising(), name="advertise")

    async def close(self) -> None:
        """Switch the radio off; connected centrals are told."""
        await self._stop()
        await self._peripheral.close()

    async def power_lost(self) -> None:
        """Forget every central; nobody is told: they find out by their supervision timeout."""
        await self._stop()
        await self._peripheral.power_off()

    async def _stop(self) -> None:
        self._arrivals = None
        tasks = [central.telling for central in self._by_connection.values() if central.telling]
        tasks += [self._advertising] if self._advertising else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._advertising = None
        self._shown = None
        self._smp_in_table = None
        self._by_connection.clear()
        self._by_peer.clear()

    def drop_partial(self) -> None:
        """Forget every half-received packet."""
        for central in self._by_connection.values():
            for receiver in central.receivers.values():
                receiver.drop()

    async def send(self, peer_id: int, door: Door, packet: bytes) -> None:
        """Notify the central of an answer, at the pace of the link."""
        central = self._by_peer.get(peer_id)
        if central is None:
            raise LinkLostError("the central has gone")
        for value in ble.pieces(packet, self._peripheral.max_notification(central.connection)):
            if not await self._peripheral.notify(central.connection, CHARACTERISTICS[door], value):
                raise LinkLostError("the central has not subscribed to answers")

    async def end(self, peer_id: int, *, after_delivery: bool) -> None:
        """End the central's connection; before that, with `after_delivery`, let the last answer arrive (bounded)."""
        central = self._by_peer.get(peer_id)
        if central is None:
            return
        if after_delivery:
            await self._peripheral.delivered(central.connection, DELIVERED_WITHIN_MS)
        await self._peripheral.disconnect(central.connection)

    def show(self, shown: Shown) -> None:
        """Show this from now on: table, advertisement, state characteristic and its notifications."""
        self._shown = shown
        self._apply()

    # --- the radio's side ---

    def connected(self, connection: int, address: str) -> None:
        """A central has connected."""
        del address  # an address is no identity: anybody can use it
        if self._arrivals is None:
            return
        peer = Peer(id=self._arrivals.new_peer_id(), transport=Transport.BLE)
        central = _Central(connection, peer, self._receiver)
        self._by_connection[connection] = self._by_peer[peer.id] = central
        self._arrivals.peer_came(peer)

    def disconnected(self, connection: int, reason: str) -> None:
        """A connection has ended."""
        del reason
        central = self._by_connection.pop(connection, None)
        if central is None or self._arrivals is None:
            return
        del self._by_peer[central.peer.id]
        if central.telling:
            central.telling.cancel()
        self._arrivals.peer_went(central.peer.id)
        self._apply()

    def written(self, connection: int, characteristic: str, value: bytes) -> None:
        """A central has written a value."""
        central = self._by_connection.get(connection)
        door = DOORS.get(characteristic)
        if central is None or door is None or self._arrivals is None:
            return
        received = central.receivers[door].receive(value, self._arrivals.now_ms())
        if received.packets or received.dropped:
            self._arrivals.received(replace(central.peer, door=door), received)

    def subscribed(self, connection: int, characteristic: str, on: bool) -> None:  # noqa: FBT001 - the port's
        """A central has switched notifications; the port remembers it."""

    def secured(self, connection: int, security: Security) -> None:
        """The security of a link has changed."""
        central = self._by_connection.get(connection)
        if central is None or self._arrivals is None:
            return
        central.peer = replace(central.peer, security=security)
        self._arrivals.peer_came(central.peer)

    # --- what is shown ---

    def _apply(self) -> None:
        """Bring the table and the state up to date, as far as the strategy allows now."""
        shown = self._shown
        if shown is None:
            return
        if shown.smp != self._smp_in_table and (self._live or not self._by_connection):
            self._peripheral.set_table(self._tables[shown.smp], live=self._live)
            self._smp_in_table = shown.smp
        if self._smp_in_table is not None:
            self._peripheral.set_value(mode.STATE_UUID, shown.state.encode())
            self._tell_state()
        self._changed.set()

    async def _keep_advertising(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._shown is None or self._smp_in_table is None:
                continue
            await self._peripheral.advertise(
                advertisement(
                    name=self._name,
                    company_id=self._company_id,
                    beacon=self._shown.beacon,
                    smp_shown=self._smp_in_table,
                )
            )

    def _tell_state(self) -> None:
        """Notify every central of the state; one that does not read keeps nobody waiting and gets the latest value."""
        for central in self._by_connection.values():
            if central.telling is None or central.telling.done():
                central.telling = asyncio.get_running_loop().create_task(self._tell(central), name="notify state")

    async def _tell(self, central: _Central) -> None:
        told = None
        while self._shown is not None and self._shown.state != told:
            told = self._shown.state
            try:
                await self._peripheral.notify(central.connection, mode.STATE_UUID, told.encode())
            except LinkLostError:
                return
