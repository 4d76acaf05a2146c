"""Reading a request's fields as Zephyr's decoder does: the wrong type of a known key spoils the whole request."""

from typing import Any, Final, TypeVar

from keyswitch.errors import RemoteError

Value = TypeVar("Value")

MAX_UINT: Final = 0xFFFF_FFFF
"""Lengths and offsets are `size_t` of a 32-bit device: anything beyond is no number to it."""


class WrongFieldError(RemoteError):
    """A known key has a value of another type: answered EINVAL."""


def uint(body: dict[str, Any], key: str) -> int | None:
    """An unsigned 32-bit integer; None if the key is not there.

    Raises:
        WrongFieldError: something else is there.
    """
    value = body.get(key)
    if value is None and key not in body:
        return None
    if type(value) is not int or not 0 <= value <= MAX_UINT:
        raise WrongFieldError(f"{key}: an unsigned 32-bit integer was expected")
    return value


def text(body: dict[str, Any], key: str) -> str | None:
    """A text string; None if the key is not there.

    Raises:
        WrongFieldError: something else is there.
    """
    return _of(body, key, str, "a text string")


def data(body: dict[str, Any], key: str) -> bytes | None:
    """A byte string; None if the key is not there.

    Raises:
        WrongFieldError: something else is there.
    """
    return _of(body, key, bytes, "a byte string")


def flag(body: dict[str, Any], key: str) -> bool:
    """A bool, false if the key is not there. 0 and 1 are no bools.

    Raises:
        WrongFieldError: something else is there.
    """
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise WrongFieldError(f"{key}: a bool was expected")
    return value


def _of(body: dict[str, Any], key: str, kind: type[Value], what: str) -> Value | None:
    value = body.get(key)
    if value is None and key not in body:
        return None
    if not isinstance(value, kind):
        raise WrongFieldError(f"{key}: {what} was expected")
    return value
