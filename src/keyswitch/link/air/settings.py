"""What a modelled air is like: `interval_ms=15,phy=2M,loss=0`.

Rules kept here:

* A value that is given holds for every connection, whatever the hosts ask for; one that is not given is the hosts' to
  choose, and starts where the specification says (1M, 27 octets).
* Every mistake is named with what would be right.
"""

import difflib
from dataclasses import dataclass
from typing import Any

from keyswitch.errors import Field, InputError
from keyswitch.timing.rules import (
    INTERVAL_UNIT_US,
    MAX_DATA_LENGTH,
    MAX_INTERVAL_US,
    MIN_DATA_LENGTH,
    MIN_INTERVAL_US,
    Phy,
)

WHERE = Field("air")
MAX_HOST_US = 1_000_000
MAX_PDUS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AirSettings:
    """The air.

    Attributes:
        interval_us: connection interval of every connection; None: as the central asks.
        phy: physical layer of every connection; None: 1M until a host asks for another.
        data_length: payload octets of a data packet (`dle`); None: 27 until the data length was updated.
        loss: probability that a packet with a payload arrives with a wrong CRC; at 1 nothing at all arrives.
        seed: of the loss and of the advertising delays.
        pdus_per_event: most packet pairs in one connection event (phones: 4 to 6); None: as many as fit.
        host_us: a host sees data this long after the event in which it arrived, and so answers inside an open event
            only after this time.
    """

    interval_us: int | None = None
    phy: Phy | None = None
    data_length: int | None = None
    loss: float = 0.0
    seed: int = 0
    pdus_per_event: int | None = None
    host_us: int = 2_000


def parse_air(text: str) -> AirSettings:
    """Settings from `key=value` pairs separated by commas; empty text: all defaults.

    Raises:
        InputError: an unknown key, a key given twice, or a value out of its range.
    """
    given: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in _READERS:
            near = difflib.get_close_matches(key, _READERS, n=1)
            raise InputError(WHERE, f"unknown key {key!r}", f"{near[0]}?" if near else f"one of {', '.join(_READERS)}")
        field, read = _READERS[key]
        if not equals:
            raise InputError(WHERE, f"{key} has no value", f"{key}=...")
        if field in given:
            raise InputError(WHERE, f"{key} is given twice")
        given[field] = read(key, value)
    return AirSettings(**given)


def _interval(key: str, value: str) -> int:
    expected = f"{MIN_INTERVAL_US / 1000:g} to {MAX_INTERVAL_US / 1000:g} in steps of {INTERVAL_UNIT_US / 1000:g}"
    interval_us = round(_number(key, value, expected) * 1000)
    if not MIN_INTERVAL_US <= interval_us <= MAX_INTERVAL_US or interval_us % INTERVAL_UNIT_US:
        raise InputError(WHERE, f"{key}={value} is not possible", expected)
    return interval_us


def _phy(key: str, value: str) -> Phy:
    for phy in Phy:
        if value.upper() == phy.word:
            return phy
    raise InputError(WHERE, f"{key}={value} is not known", " or ".join(phy.word for phy in Phy))


def _loss(key: str, value: str) -> float:
    expected = "a probability from 0 to 1, as in 0.05 or 5%"
    percent = value.endswith("%")
    loss = _number(key, value.removesuffix("%"), expected) / (100 if percent else 1)
    if not 0 <= loss <= 1:
        raise InputError(WHERE, f"{key}={value} is not possible", expected)
    return loss


def _number(key: str, value: str, expected: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise InputError(WHERE, f"{key}={value} is not a number", expected) from None
    if number != number or abs(number) == float("inf"):  # noqa: PLR0124 - that is what a NaN is
        raise InputError(WHERE, f"{key}={value} is not a number", expected)
    return number


def _integer(least: int, most: int) -> Any:
    def read(key: str, value: str) -> int:
        expected = f"a whole number from {least} to {most}"
        number = int(value) if value.isascii() and value.isdigit() and len(value) <= len(str(most)) else None
        if number is None or not least <= number <= most:
            raise InputError(WHERE, f"{key}={value} is not possible", expected)
        return number

    return read


_READERS: dict[str, Any] = {
    "interval_ms": ("interval_us", _interval),
    "phy": ("phy", _phy),
    "dle": ("data_length", _integer(MIN_DATA_LENGTH, MAX_DATA_LENGTH)),
    "loss": ("loss", _loss),
    "seed": ("seed", _integer(0, 2**32 - 1)),
    "pdus_per_event": ("pdus_per_event", _integer(1, MAX_PDUS)),
    "host_us": ("host_us", _integer(0, MAX_HOST_US)),
}
