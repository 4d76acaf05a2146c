"""What the options of a device mean, one by one; each is wrong in one line that says what was expected."""

from typing import Final

from keyswitch.errors import Field, InputError
from keyswitch.mcuboot.flash import TIMES_BY_PROFILE, FlashTimes

VIRTUAL: Final = "virtual"
NO_RADIO: Final = "none"

WITHOUT_PARAMETERS: Final = frozenset({"pty", "vhci", "hci-socket", "android-emulator", "android-netsim"})
WITH_PARAMETERS: Final = frozenset(
    {"serial", "udp", "tcp-client", "tcp-server", "ws-client", "ws-server", "file", "usb", "pyusb"}
    | {"unix", "unix-client", "unix-server"}
)
"""HCI transports as Bumble names them (`bumble.transport.open_transport`): the others' parameters may be left out."""

MAX_PORT: Final = 65_535


def flash_times(profile: str) -> FlashTimes:
    """What the flash costs on this profile's part."""
    if profile not in TIMES_BY_PROFILE:
        raise InputError(Field("flash"), f"no profile {profile!r}", " or ".join(TIMES_BY_PROFILE))
    return TIMES_BY_PROFILE[profile]


def virtual_port(text: str) -> int | None:
    """The TCP port of `virtual[:PORT]`, 0 to let the system choose; None for any other HCI transport.

    Raises:
        InputError: neither.
    """
    kind, _, rest = text.partition(":")
    if kind == VIRTUAL:
        return _port("ble", rest) if rest else 0
    if kind in WITH_PARAMETERS and not rest:
        raise InputError(Field("ble"), f"{text!r} has no parameters", f"{kind}:PARAMETERS as Bumble names them")
    if kind not in WITH_PARAMETERS | WITHOUT_PARAMETERS:
        raise InputError(Field("ble"), f"no radio {text!r}", "virtual[:PORT], none, or an HCI transport such as usb:0")
    return None


def udp_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, an IPv6 host in brackets.

    Raises:
        InputError: it is neither.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise InputError(Field("udp"), f"{text!r} has no port", "HOST:PORT, such as 127.0.0.1:1337")
    return host.strip("[]"), _port("udp", port)


def _port(field: str, text: str) -> int:
    if not text.isdecimal() or len(text) > len(str(MAX_PORT)) or int(text) > MAX_PORT:
        raise InputError(Field(field), f"no port {text!r}", f"a number up to {MAX_PORT}")
    return int(text)
