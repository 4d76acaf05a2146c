"""What a person can do where this computer's own radio or port cannot be used: for each fault a step, else nothing."""

import errno
import os
from pathlib import Path

import pytest
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError

from keyswitch.cli.main import main
from keyswitch.exits import Exit
from keyswitch.link.local_advice import bluetooth_step, hci_step, host_step, port_step


@pytest.mark.parametrize(
    ("number", "ports", "step"),
    [
        (errno.ENOENT, ["/dev/ttyB", "/dev/ttyA"], "give a port that is there: /dev/ttyA, /dev/ttyB"),
        (errno.ENXIO, [], "plug the device in: no port is there"),
        (errno.EACCES, [], "give yourself permission to use this port"),
        (errno.EBUSY, [], "close the program that has the port"),
        (errno.EAGAIN, [], "close the program that has the port"),
        (errno.ENOTTY, [], "this is not a serial port"),
        (errno.EIO, [], ""),
        (None, [], ""),
    ],
)
def test_ports(number: int | None, ports: list[str], step: str):
    told = port_step("/dev/none", number, lambda: ports)
    assert told.startswith(step)
    assert bool(told) == bool(step)


def test_the_group_of_the_port_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "group", lambda _path: "dialout")
    assert "usermod -aG dialout $USER" in port_step("/dev/ttyACM0", errno.EACCES, tuple)
    monkeypatch.setattr(Path, "group", lambda _path: "root")
    assert "root" not in port_step("/dev/ttyACM0", errno.EACCES, tuple)


def test_hosts():
    assert host_step(None, resolved=False) == "check the host's name, or give its address"
    assert "network" in host_step(errno.ENETUNREACH, resolved=True)
    assert host_step(errno.EACCES, resolved=True) == ""


@pytest.mark.parametrize(
    ("transport", "error", "step"),
    [
        ("usb:0", ValueError("LIBUSB_ERROR_ACCESS [-3]"), "a udev rule"),
        ("usb:0", ValueError("LIBUSB_ERROR_BUSY [-6]"), "use ble:"),
        ("usb:0", ValueError("LIBUSB_ERROR_OTHER [-99]"), "lsusb"),
        ("usb:0", ValueError("device not found"), "lsusb"),
        ("hci-socket:0", PermissionError(errno.EPERM, "Operation not permitted"), "CAP_NET_ADMIN"),
        ("tcp-client:127.0.0.1:1", ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "start what serves"),
        ("serial:/dev/none,1000000", FileNotFoundError(errno.ENOENT, "no such"), "plug the device in"),
        ("tcp-client:127.0.0.1:1", TimeoutError(), ""),
    ],
)
def test_controllers(transport: str, error: Exception, step: str):
    told = hci_step(transport, error)
    assert step in told
    assert bool(told) == bool(step)


@pytest.mark.parametrize("reason", BleakBluetoothNotAvailableReason)
def test_each_reason_of_bleak_has_a_step(reason: BleakBluetoothNotAvailableReason):
    error = BleakBluetoothNotAvailableError("no", reason)
    told = bluetooth_step(error, reason.name.lower().replace("_", " "))
    assert bool(told) == (reason is not BleakBluetoothNotAvailableReason.UNKNOWN)


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)), "systemctl start bluetooth"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "systemctl start bluetooth"),
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["org.bluez"]), "systemctl start bluetooth"),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", ["rejected"]), "the group bluetooth"),
        (BleakDBusError("org.bluez.Error.Failed", ["failed"]), ""),
    ],
)
def test_no_service(error: Exception, step: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.platform", "linux")
    told = bluetooth_step(error)
    assert step in told
    assert bool(told) == bool(step)


def test_the_step_is_printed_by_status_and_update(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for arguments in (["status", f"serial:{tmp_path}"], ["update", f"serial:{tmp_path}", "--only", "confirm"]):
        with pytest.raises(SystemExit) as raised:
            main(arguments)
        assert raised.value.code == Exit.UNREACHABLE
        said = capsys.readouterr()
        assert "next: this is not a serial port: check the path" in said.out + said.err
    with pytest.raises(SystemExit) as raised:
        main(["update", f"serial:{tmp_path}", "--only", "confirm", "--dry-run"])
    said = capsys.readouterr()
    assert (raised.value.code, said.err.splitlines()[1:]) == (
        Exit.UNREACHABLE,
        ["next: this is not a serial port: check the path"],
    )
