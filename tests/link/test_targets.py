import pytest

from keyswitch.errors import InputError
from keyswitch.link.targets import BleTarget, SerialTarget, Target, UdpTarget, parse


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ble:Pump 7", BleTarget(text="ble:Pump 7", name="Pump 7")),
        ("ble:c0:00:00:00:00:0a", BleTarget(text="ble:c0:00:00:00:00:0a", address="C0:00:00:00:00:0A")),
        (
            "ble:12345678-90ab-cdef-1234-567890abcdef",
            BleTarget(text="ble:12345678-90ab-cdef-1234-567890abcdef", address="12345678-90AB-CDEF-1234-567890ABCDEF"),
        ),
        (
            "hci:tcp-client:127.0.0.1:6402#Pump 7",
            BleTarget(
                text="hci:tcp-client:127.0.0.1:6402#Pump 7", transport="tcp-client:127.0.0.1:6402", name="Pump 7"
            ),
        ),
        ("hci:usb:0#No. #1", BleTarget(text="hci:usb:0#No. #1", transport="usb:0", name="No. #1")),
        ('hci:usb:0#"No. #1"', BleTarget(text='hci:usb:0#"No. #1"', transport="usb:0", name="No. #1")),
        (
            "hci:usb:0A12:0001#2#No. #1",
            BleTarget(text="hci:usb:0A12:0001#2#No. #1", transport="usb:0A12:0001#2", name="No. #1"),
        ),
        ("hci:usb:0A12:0001#2", BleTarget(text="hci:usb:0A12:0001#2", transport="usb:0A12:0001", name="2")),
        (
            'ble:"C0:00:00:00:00:0A"',
            BleTarget(text='ble:"C0:00:00:00:00:0A"', name="C0:00:00:00:00:0A"),
        ),
        ('ble:Pump "7"', BleTarget(text='ble:Pump "7"', name='Pump "7"')),
        (
            'serial:"/dev/odd@9600,raw"@115200,cobs',
            SerialTarget(
                text='serial:"/dev/odd@9600,raw"@115200,cobs', path="/dev/odd@9600,raw", baud=115_200, framing="cobs"
            ),
        ),
        ("udp:192.0.2.1", UdpTarget(text="udp:192.0.2.1", host="192.0.2.1", port=1337)),
        ("udp:pump.local:99", UdpTarget(text="udp:pump.local:99", host="pump.local", port=99)),
        ("udp:[2001:db8::1]:65535", UdpTarget(text="udp:[2001:db8::1]:65535", host="2001:db8::1", port=65535)),
        ("udp:[::1]", UdpTarget(text="udp:[::1]", host="::1", port=1337)),
        (
            "serial:/dev/ttyACM0",
            SerialTarget(text="serial:/dev/ttyACM0", path="/dev/ttyACM0", baud=115_200, framing="console"),
        ),
        (
            "serial:/dev/ttyACM0@921600,raw",
            SerialTarget(text="serial:/dev/ttyACM0@921600,raw", path="/dev/ttyACM0", baud=921_600, framing="raw"),
        ),
        ("serial:COM3,console", SerialTarget(text="serial:COM3,console", path="COM3", baud=115_200, framing="console")),
        ("serial:/dev/a@b", SerialTarget(text="serial:/dev/a@b", path="/dev/a@b", baud=115_200, framing="console")),
    ],
)
def test_targets(text: str, target: Target):
    assert parse(text) == target


@pytest.mark.parametrize(
    "text",
    [
        *("", "Pump 7", "usb:0", "ble", "ble:", "hci:", "hci:usb:0", "hci:usb:0#", "hci:#Pump 7"),
        *('ble:""', 'ble:"Pump 7', 'hci:usb:0#"Pump', 'serial:""', 'serial:"a"b', 'serial:"a'),
        *("udp:", "udp:h:0", "udp:h:65536", "udp:h:p", "udp:2001:db8::1", "udp:[::1", "serial:"),
    ],
)
def test_what_names_nothing_is_one_line(text: str):
    with pytest.raises(InputError, match="expected") as raised:
        parse(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "transport"),
    [("ble:", None), ("hci:usb:0", "usb:0"), ("hci:usb:0A12:0001#2", "usb:0A12:0001#2")],
)
def test_for_scanning_a_radio_is_enough(text: str, transport: str | None):
    assert parse(text, anyone=True) == BleTarget(text=text, transport=transport)


@pytest.mark.parametrize("baud", ["0", "100000001", "9" * 5_000])
def test_a_speed_that_no_port_has(baud: str) -> None:
    with pytest.raises(InputError, match="no such speed"):
        parse(f"serial:/dev/ttyS0@{baud}")
