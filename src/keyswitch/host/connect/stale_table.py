"""A list of services that this computer's system kept from before, and how it is made to forget it.

A system keeps what it discovered, by address. A device that changes its services, and whose Service Changed the system
missed or does not heed, is then seen as it was: the update service that is there is not shown, or its handles lead
nowhere. No system lets a program refresh the list within a connection, and bleak offers no other way.
"""

from typing import Final

from keyswitch.host.connect.endpoint import Connection
from keyswitch.link.ports import GattRefused

_OF_THE_TABLE: Final = frozenset({0x01, 0x0A, 0x12})
"""Invalid Handle, Attribute Not Found, Database Out Of Sync (Core spec Vol 3 Part F 3.4.1.1): none is about rights."""

_CURES: Final = {
    "linux": "bluetoothctl remove {address}, which makes BlueZ forget what it kept",
    "darwin": "switch Bluetooth off and on, and forget the device in the system's settings if it is paired (not tried)",
    "win32": "remove the device in the system's Bluetooth settings (not tried)",
}

_OURS: Final = "run the same command again; if it stays so, the device changes its services and not its Database Hash"


def what_is_stale(connection: Connection, *, is_open: bool) -> str:
    """Why the list of services must be old, or may be; empty if nothing shows that it is.

    Args:
        connection: to the device.
        is_open: whether the device says, over this connection, that its gate is open.
    """
    trouble = connection.trouble
    if isinstance(trouble, GattRefused) and trouble.code in _OF_THE_TABLE:
        return f"this computer's list of the device's services is old: {trouble}"
    if connection.smp is None and trouble is None and is_open:
        # One of our devices changes its table once nobody is connected: this may be the moment before.
        says = "the device says that its gate is open, and its SMP service is not to be seen"
        return f"{says}: it has not changed its services yet, or this computer's list of them is old"
    return ""


def cure(connection: Connection, system: str) -> str:
    """How this system is made to forget the list.

    Args:
        connection: to the device.
        system: as `sys.platform` names it.
    """
    gatt = connection.gatt
    if gatt is None or gatt.can_rediscover:
        return _OURS
    words = _CURES.get(system, "make the system forget the device")
    return f"run the same command again; if it stays so: {words.format(address=gatt.address)}"
