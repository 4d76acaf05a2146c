"""What may stand behind `--ble`."""

import re

import pytest
from bumble.transport import open_transport

from keyswitch.device.process.options import WITH_PARAMETERS, WITHOUT_PARAMETERS, udp_address, virtual_port
from keyswitch.errors import InputError


def test_every_transport_that_bumble_names_is_taken() -> None:
    named = set(re.findall(r"^ +\* ([a-z-]+)$", open_transport.__doc__ or "", re.MULTILINE)) - {"android-netsim"}
    assert len(named) > 10
    assert named | {"android-netsim"} <= WITH_PARAMETERS | WITHOUT_PARAMETERS


@pytest.mark.parametrize("text", [*sorted(WITHOUT_PARAMETERS), "hci-socket:1", "usb:0", "tcp-client:127.0.0.1:6402"])
def test_a_controller_is_no_virtual_radio(text: str) -> None:
    assert virtual_port(text) is None


@pytest.mark.parametrize(("text", "port"), [("virtual", 0), ("virtual:", 0), ("virtual:6402", 6402)])
def test_a_virtual_radio_has_a_port(text: str, port: int) -> None:
    assert virtual_port(text) == port


@pytest.mark.parametrize("text", ["vrtual", "vrtual:6402", "", ":", "hci_socket", "usb", "usb:", "virtual:70000"])
def test_anything_else_is_said_at_once(text: str) -> None:
    with pytest.raises(InputError, match=r"^ble: "):
        virtual_port(text)


@pytest.mark.parametrize("port", ["65536", "9" * 5_000])
def test_a_port_that_no_host_has(port: str) -> None:
    with pytest.raises(InputError, match="no port"):
        udp_address(f"127.0.0.1:{port}")
