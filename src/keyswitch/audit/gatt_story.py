"""What the checks on the GATT table have in common: a connection with its handles, and what a strategy promises.

Rules:

* Visibility is a courtesy: what these checks find is a broken promise to clients, and never by itself an open gate.
* The table is discovered anew wherever it is judged; what the device says of an earlier one is not believed.
* What a check needs a kept handle for cannot be done by an adapter of the system's, which tells no handles.
"""

from contextlib import suppress
from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.story import GONE_ON_MS, go_outside
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.wire import Visit
from keyswitch.link.ports import GattRefused, HandleLink
from keyswitch.policy.enums import Visibility
from keyswitch.policy.model import Mode
from keyswitch.smp.framing import ble
from keyswitch.terms import Transport

INVALID_HANDLE: Final = 0x01
OUT_OF_SYNC: Final = 0x12
"""Core spec Vol 3 Part F 3.4.1.1."""

NOTIFY: Final = b"\x01\x00"
SILENT: Final = bytes(2)
"""Values of a characteristic's configuration: Vol 3 Part G 3.3.3.3."""

TOLD_WITHIN_MS: Final = 2_000
"""Within this a change of the table is told: an indication and its confirmation take two connection events."""

HIDES: Final = frozenset({Visibility.RECONNECT, Visibility.LIVE})
"""The strategies under which the table follows the mode."""


def strategy(bench: Bench) -> Visibility:
    """How the device declares to show its SMP service."""
    return bench.target.policy.gate.service


def has_radio(bench: Bench) -> bool:
    """Whether the device is declared to be reached over Bluetooth LE at all."""
    return Transport.BLE in bench.target.policy.smp.transports


def shown_in(bench: Bench, mode: Mode) -> bool:
    """Whether the SMP service belongs into the table in this mode."""
    return mode.maintenance or strategy(bench) not in HIDES


async def radio_visit(bench: Bench, *, smp_shown: bool = False) -> tuple[Visit, HandleLink]:
    """A connection over Bluetooth LE, with its table discovered now.

    Raises:
        NotReachedError: there is no way over it, or one that tells no handles.
        LinkLostError: the device was not reached.
    """
    if Transport.BLE not in bench.target.ways:
        raise NotReachedError("no target over Bluetooth LE was given (--also, or first an hci: target)")
    visit = await bench.visit(Transport.BLE, smp_shown=smp_shown)
    table = visit.table
    if table is None:
        raise NotReachedError("this way tells no handles: give an hci: target, which does")
    await table.look_anew()
    return visit, table


async def outside_visit(bench: Bench) -> tuple[Visit, HandleLink]:
    """Bring the device out of maintenance, let the table follow, and connect over Bluetooth LE.

    Raises:
        NotReachedError: it could not be brought there, or is not connected so.
    """
    await go_outside(bench)
    await bench.pause(GONE_ON_MS)
    return await radio_visit(bench)


def entered_by_radio(bench: Bench) -> None:
    """See that maintenance is entered over Bluetooth LE.

    Raises:
        NotReachedError: it is entered over another way.
    """
    if bench.main is not Transport.BLE:
        raise NotReachedError("this enters over Bluetooth LE: give that target first, and the others with --also")


async def kept_handle(bench: Bench) -> int:
    """Where the SMP characteristic lies in maintenance, as a client remembers it.

    Raises:
        NotReachedError: the device did not show it, or the way does not tell.
    """
    await bench.enter()
    visit, _ = await radio_visit(bench, smp_shown=bench.main is not Transport.BLE)
    handle = bench.learn_handle(visit)
    if handle is None:
        raise NotReachedError("the device shows no SMP service in maintenance")
    return handle


async def refusal_of(table: HandleLink, handle: int, data: bytes) -> GattRefused | None:
    """Write with response to a handle; the peer's refusal, None if it was taken."""
    try:
        await table.request_handle(handle, data)
    except GattRefused as refused:
        return refused
    return None


async def subscribe_to_smp(table: HandleLink, *, on: bool) -> GattRefused | None:
    """Switch notifications of the SMP characteristic; the refusal, None if it was taken."""
    ccc = await table.ccc_of(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID)
    return await refusal_of(table, ccc, NOTIFY if on else SILENT)


async def end_quietly(bench: Bench) -> None:
    """Bring the device out of maintenance; what fails then is for the next check to find."""
    with suppress(NotReachedError):
        await go_outside(bench)
