"""SMP on Bluetooth LE, device side: GATT writes become packets, answers become notifications.

Rules:

* Each connection has its own receiver for each of its two doors: the SMP characteristic, and the mode service's control
  characteristic. An answer goes back through the door that its request came by.
* The GATT table, the advertisement and the state characteristic show what `show` was last told. With the `reconnect`
  strategy the table changes only while nobody is connected: a change that is asked for earlier waits for that.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from keyswitch.device.transport.advertising import advertisement
from keyswitch.device.transport.gatt_profile import GattProfile
from keyswitch.device.transport.ports import TransportSink
from keyswitch.errors import LinkLostError
from keyswitch.gate.peer import Peer, Service
from keyswitch.gatt import services
from keyswitch.link.peripheral import Pace, Peripheral
from keyswitch.smp.framing import Receiver, ble
from keyswitch.smp.groups import mode
from keyswitch.terms import Security, Transport

DOORS: Final = {ble.CHARACTERISTIC_UUID: Service.SMP, mode.CONTROL_UUID: Service.MODE}
"""Characteristics that carry SMP, and the door that each is."""

CHARACTERISTICS: Final = {door: uuid for uuid, door in DOORS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the radio shows of the device now.

    Attributes:
        smp: whether the SMP service is in the table.
        beacon: mode index and token, for the advertisement.
        state: for the state characteristic.
        firmware: version that runs, for Device Information.
        battery_percent: for the Battery service; None: not known.
    """

    smp: bool
    beacon: mode.Beacon
    state: mode.StateValue
    firmware: str = ""
    battery_percent: int | None = None


class _Central:
    """One connected central: its peer and a receiver for each door."""

    def __init__(self, connection: int, peer: Peer, receiver: Callable[[], Receiver]) -> None:
        self.connection = connection
        self.peer = peer
        self.receivers: dict[Service, Receiver] = {door: receiver() for door in Service}
        self.telling: asyncio.Task[None] | None = None


class BleTransport:
    """The carrier; also the sink of the radio's events.

    Args:
        peripheral: the radio.
        face: tables, identities and names.
        receiver: makes a receiver for one connection's door.
    """

    def __init__(self, peripheral: Peripheral, face: GattProfile, *, receiver: Callable[[], Receiver]) -> None:
        self._peripheral = peripheral
        self._face = face
        self._receiver = receiver
        self._arrivals: TransportSink | None = None
        self._by_connection: dict[int, _Central] = {}
        self._by_peer: dict[int, _Central] = {}
        self._shown: Shown | None = None
        self._smp_in_table: bool | None = None
        self._awaiting = False
        self._reset_due = False
        self._changed = asyncio.Event()
        self._advertising: asyncio.Task[None] | None = None

    # --- the carrier's side ---

    async def start(self, arrivals: TransportSink) -> None:
        """Switch the radio on; nothing is advertised before `show`."""
        self._arrivals = arrivals
        await self._peripheral.start(self)
        self._advertising = asyncio.get_running_loop().create_task(self._keep_advertising(), name="advertise")
        self._advertising.add_done_callback(self._advertising_ended)

    def _advertising_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and self._arrivals is not None:
            self._arrivals.broken(error)

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
        self._reset_due = False
        self._by_connection.clear()
        self._by_peer.clear()

    def drop_partial(self) -> None:
        """Forget every half-received packet."""
        for central in self._by_connection.values():
            for receiver in central.receivers.values():
                receiver.drop()

    async def send(self, peer_id: int, door: Service, packet: bytes) -> None:
        """Notify the central of an answer, at the pace of the link."""
        central = self._by_peer.get(peer_id)
        if central is None:
            raise LinkLostError("the central has gone")
        for value in ble.pieces(packet, self._peripheral.max_notification(central.connection)):
            if not await self._peripheral.notify(central.connection, CHARACTERISTICS[door], value):
                raise LinkLostError("the central has not subscribed to answers")

    async def delivered(self, peer_id: int, within_ms: int) -> None:
        """Wait until the central's link layer has acknowledged what was sent, at most that long."""
        central = self._by_peer.get(peer_id)
        if central is not None:
            await self._peripheral.delivered(central.connection, within_ms)

    async def end(self, peer_id: int) -> None:
        """End the central's connection."""
        central = self._by_peer.get(peer_id)
        if central is not None:
            await self._peripheral.disconnect(central.connection)

    async def pace(self, peer_id: int, pace: Pace) -> None:
        """Ask the central for a faster or slower connection; it may do as it likes."""
        central = self._by_peer.get(peer_id)
        if central is not None:
            await self._peripheral.ask_for(central.connection, pace)

    def show(self, shown: Shown) -> None:
        """Show this from now on: table, advertisement, state characteristic and its notifications."""
        self._shown = shown
        self._apply()

    def expect_reset(self, *, due: bool) -> None:
        """Invite nobody while a reset is due: who connected now would meet the firmware that is about to go."""
        if due != self._reset_due:
            self._reset_due = due
            self._changed.set()

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
        if self._awaiting:
            self._changed.set()  # whoever was awaited has come: the air is theirs

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

    def may_access(self, connection: int, characteristic: str) -> bool:
        """Whether the gate lets this central access the characteristic now; only SMP asks for that."""
        central = self._by_connection.get(connection)
        if central is None or self._arrivals is None or DOORS.get(characteristic) is not Service.SMP:
            return False
        return self._arrivals.may_access_smp(central.peer.id)

    def secured(self, connection: int, security: Security) -> None:
        """The security of a link has changed."""
        central = self._by_connection.get(connection)
        if central is None or self._arrivals is None:
            return
        central.peer = replace(central.peer, security=security)
        self._arrivals.peer_came(central.peer)

    # --- what is shown ---

    def _apply(self) -> None:
        """Bring the table and its values up to date, as far as the strategy allows now."""
        shown = self._shown
        if shown is None:
            return
        if self._may_change(shown) and self._face.addresses[shown.smp] == self._peripheral.address:
            self._set_table(shown)
        if self._smp_in_table is not None:
            self._set_values(shown)
        self._changed.set()

    def _may_change(self, shown: Shown) -> bool:
        return shown.smp != self._smp_in_table and (self._face.live or not self._by_connection)

    def _set_table(self, shown: Shown) -> None:
        self._peripheral.set_table(self._face.tables[shown.smp], live=self._face.live)
        self._smp_in_table = shown.smp

    def _set_values(self, shown: Shown) -> None:
        self._peripheral.set_value(mode.STATE_UUID, shown.state.encode())
        self._peripheral.set_value(services.FIRMWARE_REVISION_UUID, shown.firmware.encode())
        if self._face.battery and shown.battery_percent is not None:
            level = min(100, max(0, shown.battery_percent))
            self._peripheral.set_value(services.BATTERY_LEVEL_UUID, bytes([level]))
        self._tell_state()

    async def _keep_advertising(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._reset_due:
                self._awaiting = False
                await self._peripheral.advertise(None)
                continue
            if self._shown is not None and self._may_change(self._shown):
                await self._change_identity()
            shown = self._shown
            if shown is None or self._smp_in_table is None:
                continue
            in_maintenance = self._smp_in_table and mode.StateFlags.GATE_OPEN in shown.state.flags
            # Whoever has entered maintenance was sent away for it, or by a reset, and comes back at once.
            self._awaiting = in_maintenance and not self._by_connection
            await self._peripheral.advertise(
                advertisement(
                    name=self._face.name,
                    company_id=self._face.company_id,
                    beacon=shown.beacon,
                    smp_shown=in_maintenance,
                    awaited=self._awaiting,
                )
            )

    async def _change_identity(self) -> None:
        """Another address for another table: only while nobody is connected and nothing is advertised."""
        await self._peripheral.advertise(None)
        shown = self._shown
        if shown is None or self._by_connection:
            return  # somebody was quicker: when they have gone
        await self._peripheral.set_address(self._face.addresses[shown.smp])
        self._apply()

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
