"""Holes of the GATT table: a service that does not follow the mode, clients not told, a gate at the wrong door."""

from dataclasses import replace
from typing import Any

from keyswitch.device.server.components import Components, receiver_for
from keyswitch.gate import effects as do
from keyswitch.gate import visibility
from keyswitch.gate.events import Event
from keyswitch.gate.machine import Step
from keyswitch.gate.peer import Peer, Service
from keyswitch.gate.state import GateState
from keyswitch.gatt import services
from keyswitch.gatt.client_state import GattClient
from keyswitch.gatt.server import GattServer, Output
from keyswitch.gatt.table import GattTable
from keyswitch.policy.model import Policy
from keyswitch.smp.framing import Received, Receiver, ble
from keyswitch.smp.groups import mode
from keyswitch.smp.header import Header
from keyswitch.terms import Transport
from keyswitch.testing.holes.hole import unless, without


def stays_shown() -> Components:
    """A product that registers the service on entering, and forgets to take it out again."""
    return without(lambda effect: effect == do.ShowService(shown=False))


def keeps_the_connection() -> Components:
    """The service waits for everybody to go, and nobody is asked to."""
    return without(lambda effect: isinstance(effect, do.EndConnections))


class _TellsNobody(GattServer):
    """Changes its table and forgets who subscribed to be told."""

    def _service_changed(self, connection: int, client: GattClient) -> list[Output]:
        del connection
        client.owed = None
        return []


class _SameHash(GattServer):
    """Its hash is that of the table that it began with."""

    def __init__(self, table: GattTable, **more: Any) -> None:
        super().__init__(table, **more)
        self._first = self._database.hash

    def change(self, table: GattTable) -> list[Output]:
        outputs = super().change(table)
        self._database.hash = self._first
        return outputs


class _TakesAllForAware(GattServer):
    """Every client knows the table, as a server without robust caching has it."""

    def change(self, table: GattTable) -> list[Output]:
        outputs = super().change(table)
        for client in self._clients.values():
            client.now_aware()
        return outputs


def _moved(table: GattTable) -> GattTable:
    """The table with its last service where the SMP service lies, if that is not there."""
    last = table.services[-1]
    if last.uuid == ble.SERVICE_UUID:
        return table
    return GattTable(services=(*table.services[:-1], replace(last, handle=services.SMP_HANDLE)))


class _ReusesHandles(GattServer):
    """Gives the handles of a service that was taken out to the next one, as a stack without reserved handles does."""

    def __init__(self, table: GattTable, **more: Any) -> None:
        super().__init__(_moved(table), **more)

    def change(self, table: GattTable) -> list[Output]:
        return super().change(_moved(table))


def remembers_authorization() -> Components:
    """Asks when a client comes to the service first, and keeps the answer."""
    known: set[int] = set()

    def may_access_smp(policy: Policy, state: GateState, peer: Peer) -> bool:
        if visibility.may_access_smp(policy, state, peer):
            known.add(peer.id)
        return peer.id in known

    return Components(may_access_smp=may_access_smp)


def gate_of_the_subscription() -> Components:
    """A product that asks in the callback of the subscription: who does not subscribe is not asked."""
    silent = [False]

    class Notes(GattServer):
        def _command(self, connection: int, client: GattClient, pdu: bytes) -> list[Output]:
            silent[0] = not self.subscribed(connection, ble.CHARACTERISTIC_UUID)
            return super()._command(connection, client, pdu)

    def exempt(peer: Peer, _request: Header, _packet: bytes) -> bool:
        return silent[0] and peer.door is Service.SMP and peer.transport is Transport.BLE

    return replace(unless(exempt), gatt_server=Notes)


def tells_nobody() -> Components:
    """Service Changed is in the table, and never sent."""
    return Components(gatt_server=_TellsNobody)


def same_hash() -> Components:
    """The hash was computed once."""
    return Components(gatt_server=_SameHash)


def takes_all_for_aware() -> Components:
    """A server without robust caching, that takes the client's word for having it."""
    return Components(gatt_server=_TakesAllForAware)


def reuses_handles() -> Components:
    """Handles are given out as services come and go."""
    return Components(gatt_server=_ReusesHandles)


def gate_at_the_first_piece() -> Components:
    """Asks for the mode when a frame begins; what was half received stays, whatever happens meanwhile."""
    inside, passes = [False], [False]

    class Keeps:
        """A receiver whose half frames nothing drops."""

        def __init__(self, sound: Receiver) -> None:
            self._sound = sound
            self._begun_inside = False

        @property
        def pending(self) -> bool:
            return self._sound.pending

        def receive(self, data: bytes, now_ms: int) -> Received:
            begins = not self._sound.pending
            self._begun_inside = inside[0] if begins else self._begun_inside
            received = self._sound.receive(data, now_ms)
            passes[0] = bool(received.packets) and not begins and self._begun_inside
            return received

        def drop(self) -> None:
            """It does not."""

    def exempt(_peer: Peer, request: Header, _packet: bytes) -> bool:
        return passes[0] and request.group != mode.ID

    gated = unless(exempt)

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = gated.step(policy, state, event)
        inside[0] = done.state.session is not None
        return done

    def receiver(transport: Transport, max_packet: int) -> Receiver:
        return Keeps(receiver_for(transport, max_packet))

    return replace(gated, step=step, receiver=receiver)
