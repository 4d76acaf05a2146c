"""What a person can do where this computer's own radio or port cannot be used: systems say errno, people need a step.

Only what the error itself shows is advised; where it shows nothing, nothing is said here, and the advice for a device
that was not reached stands. Linux names are given where the system is Linux: nothing was tried elsewhere.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

_CLOSE: Final = "close the program that has the port (a terminal, ModemManager), then run the same command again"
_NAME: Final = "check the host's name, or give its address"
_NO_SERVICE: Final = (
    "start the Bluetooth service (systemctl start bluetooth); in a container, give it the system's D-Bus socket "
    "(/run/dbus); or use a controller of your own: hci:TRANSPORT#NAME"
)


def port_step(path: str, number: int | None, ports: Callable[[], Iterable[str]]) -> str:
    """For a serial port that did not open.

    Args:
        path: of the port.
        number: errno of the failure, None if there was none.
        ports: lists this computer's ports; called only where that helps.
    """
    match number:
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            there = ", ".join(sorted(ports())[:_SHOWN])
            return f"give a port that is there: {there}" if there else "plug the device in: no port is there"
        case errno.EACCES | errno.EPERM:
            group = _group_of(path)
            if not group:
                return "give yourself permission to use this port"
            return f"join the group that may use this port: sudo usermod -aG {group} $USER, then log in again"
        case errno.EBUSY | errno.EAGAIN:
            return _CLOSE
        case errno.ENOTTY | errno.EISDIR | errno.EINVAL:
            return "this is not a serial port: check the path"
        case _:
            return ""


_SHOWN: Final = 6
"""Ports that are named."""


def host_step(number: int | None, *, resolved: bool) -> str:
    """For a socket that did not open."""
    if not resolved:
        return _NAME
    if number in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return "connect this computer to the device's network"
    return ""


def hci_step(transport: str, error: Exception) -> str:
    """For a controller of our own that did not open.

    Args:
        transport: as Bumble names it.
        error: what its driver raised.
    """
    kind = transport.partition(":")[0]
    words = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if kind in {"usb", "pyusb"}:
        if "LIBUSB_ERROR_ACCESS" in words or number == errno.EACCES:
            return "give yourself permission to use this USB device (a udev rule for its vendor and product)"
        if "LIBUSB_ERROR_BUSY" in words or number == errno.EBUSY:
            return "the system's own Bluetooth has this controller: use ble:, or take it down (hciconfig hci0 down)"
        if "LIBUSB_ERROR" in words or "not found" in words:
            return "check that a USB controller is plugged in (lsusb), and that this program may use USB"
    if number in {errno.EPERM, errno.EACCES} and kind == "hci-socket":
        return "this transport needs the right to administer the network (CAP_NET_ADMIN): use ble:, or run as root"
    if number == errno.ECONNREFUSED:
        return "start what serves that controller first: nobody listens at that address"
    return port_step(transport.partition(":")[2].partition(",")[0], number, tuple) if kind == "serial" else ""


def bluetooth_step(error: Exception, reason: str = "") -> str:
    """For the computer's own adapter.

    Args:
        error: what bleak raised.
        reason: bleak's reason in lower case (`no bluetooth`, `powered off`, `denied by user`), empty if it has none.
    """
    words = str(error)
    if reason == "powered off":
        return "switch Bluetooth on" + (" (bluetoothctl power on; rfkill unblock bluetooth)" if _linux() else "")
    if reason in {"no bluetooth", "no ble central role"}:
        return "plug in an adapter for Bluetooth LE, or use a controller of your own: hci:TRANSPORT#NAME"
    if reason.startswith("denied"):
        return "allow this program, or the terminal that it runs in, to use Bluetooth in the system's privacy settings"
    if "AccessDenied" in words or isinstance(error, PermissionError):
        return "give yourself permission to use Bluetooth (on most systems: the group bluetooth), then log in again"
    if _linux() and (isinstance(error, FileNotFoundError | ConnectionError) or any(word in words for word in _ABSENT)):
        return _NO_SERVICE
    return ""


_ABSENT: Final = ("ServiceUnknown", "NameHasNoOwner", "NoReply")
"""D-Bus errors where nobody is there who serves `org.bluez` (D-Bus specification, standard errors)."""


def _linux() -> bool:
    return sys.platform == "linux"


def _group_of(path: str) -> str:
    """The group that owns a file, unless that is root's own: joining that would be too much."""
    if os.name != "posix":
        return ""
    try:
        group = Path(path).group()
    except (OSError, KeyError):
        return ""
    return "" if group == "root" else group
