"""The CBOR (RFC 8949) that SMP speaks: maps with text keys.

Rules kept here:

* A map with the same key twice is refused: two readers could otherwise see two requests in the same bytes.
* Tags are refused: SMP has none, and the objects behind them (dates, patterns, references) are not for peers.
* Nesting is bounded, so that a few bytes cannot cost a deep recursion.
* Bytes behind the first item are not read (the length in an SMP header is only a lower bound).
* A server's answers have indefinite length, as Zephyr's have; both forms are read.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, cast

import cbor2

from keyswitch.errors import RemoteError

MAX_DEPTH: Final = 8
"""Deepest nesting of maps and lists. Zephyr's deepest answer (enum details) has three levels."""

# Tags that cbor2 would turn into objects by itself (its documentation, "Tag support").
_KNOWN_TAGS: Final = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 43000, 52, 54, 55799, 100, 1004, 256, 258, 260, 261)


def _refuse_tag(_value: object, _immutable: bool) -> NoReturn:  # noqa: FBT001  cbor2's signature
    raise ValueError("a tag")


_REFUSED_TAGS: Final[dict[int, Callable[[Any, bool], Any]]] = dict.fromkeys(_KNOWN_TAGS, _refuse_tag)


def loads(data: bytes) -> Any:
    """The first CBOR item in `data`; what follows it is not read.

    Raises:
        RemoteError: `data` does not begin with one well-formed item of the kind that SMP uses.
    """
    try:
        return cbor2.loads(
            data,
            tag_hook=_refuse_tag,
            semantic_decoders=_REFUSED_TAGS,
            max_depth=MAX_DEPTH,
            allow_duplicate_keys=False,
        )
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise RemoteError(f"CBOR: {_one_line(error)}") from error


def loads_map(data: bytes) -> dict[str, Any]:
    """The first item in `data`, which must be a map with text keys.

    Raises:
        RemoteError: it is anything else.
    """
    item = loads(data)
    if not isinstance(item, dict):
        raise RemoteError(f"CBOR: a map was expected, not {type(item).__name__}")
    fields = cast("dict[object, Any]", item)
    for key in fields:
        if not isinstance(key, str):
            raise RemoteError(f"CBOR: map key {key!r} is not text")
    return cast("dict[str, Any]", fields)


def loads_request(data: bytes) -> dict[str, Any]:
    """The map that a request begins with, in the dialect that Zephyr's server reads: no string of indefinite length.

    Raises:
        RemoteError: it is anything else.
    """
    body = loads_map(data)
    if has_chunked_string(data):
        raise RemoteError("CBOR: a string of indefinite length")
    return body


def dumps(body: Mapping[str, object]) -> bytes:
    """`body` with definite lengths: the shortest form, which clients send."""
    return cbor2.dumps(body)


def dumps_indefinite(body: Mapping[str, object]) -> bytes:
    """`body` with indefinite-length maps and lists, which is what Zephyr's server sends."""
    return cbor2.dumps(body, indefinite_containers=True)


def _one_line(error: Exception) -> str:
    cause = error.__cause__
    text = f"{error}: {cause}" if cause is not None else str(error)
    return " ".join(text.split())


# RFC 8949 section 3: the initial byte is three bits of major type and five bits of additional information.
_TEXT_OR_BYTES: Final = (2, 3)
_LIST: Final = 4
_MAP: Final = 5
_ARGUMENT_SIZES: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_INDEFINITE: Final = 31
_CHUNKED: Final = (0x5F, 0x7F)
_BREAK: Final = 0xFF
_UNTIL_BREAK: Final = -1


def has_chunked_string(data: bytes) -> bool:
    """Whether the first item in `data`, known to be well-formed, has a string of indefinite length in it.

    Zephyr's decoder refuses such strings; `loads` joins their chunks.
    """
    if not any(initial in data for initial in _CHUNKED):
        return False
    position = 0
    missing = [1]  # items still to come at each level, or `_UNTIL_BREAK`
    while missing:
        if missing[-1] == 0 or (missing[-1] == _UNTIL_BREAK and data[position] == _BREAK):
            position += missing.pop() == _UNTIL_BREAK
            continue
        if missing[-1] > 0:
            missing[-1] -= 1
        if data[position] in _CHUNKED:
            return True
        position, inner = _enter(data, position)
        if inner:
            missing.append(inner)
    return False


def _enter(data: bytes, position: int) -> tuple[int, int]:
    """Pass over the item's own bytes: where its inner items begin, and how many they are."""
    kind, argument = data[position] >> 5, data[position] & 0x1F
    position += 1
    if argument == _INDEFINITE:
        return position, _UNTIL_BREAK
    if size := _ARGUMENT_SIZES.get(argument):
        argument = int.from_bytes(data[position : position + size], "big")
        position += size
    if kind in _TEXT_OR_BYTES:
        return position + argument, 0
    if kind == _LIST:
        return position, argument
    return position, argument * 2 if kind == _MAP else 0
