"""What an update is asked to do, as plain values: paths, words, numbers. Nothing is read, nothing is opened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self, cast

from keyswitch.errors import Field, InputError
from keyswitch.text import short


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest:
    """One update; `keyswitch update` has an option for each value, and says the same of it.

    Attributes:
        target: the device: `ble:NAME`, `hci:TRANSPORT#NAME`, `udp:HOST[:PORT]`, `serial:PATH[@BAUD]`.
        image: file to install; None only where `only` is `confirm` or `leave`.
        policy: the device's policy: way in, keys.
        new_policy: the policy that the image brings: refused if the update would revert under it.
        recipe: the way into a device that is not ours, by name or file; instead of a policy.
        variables: of the recipe, by name.
        secret: file of the entry secret; None: where the policy says.
        permit: file of a signed permission to enter.
        holder: file of the key that the permit names.
        to: the mode to enter; None: the policy's first maintenance mode.
        keys: files of the keys that the image may be signed with; none: the policy's.
        decrypts: the device's bootloader takes encrypted images.
        unpacks: the device's bootloader takes compressed images.
        hash: `sha256`, `sha384`, `sha512` or `pure`: what the bootloader is built to verify; None: what the policy
            says, else not known.
        only: `upload`, `test`, `confirm` or `leave`: how far to go, or what alone to do; None: until the image is
            confirmed and maintenance left.
        confirm_by: `operator` or `self`; None: what the policy says.
        health: command to run once the new image runs, before it is confirmed; it must end with 0.
        image_number: 0 to 255, for devices with several images.
        window: 1 to 255: at most so many requests under way; None: what the device's buffers allow.
        frame: 110 to 65543: frames of at most so many bytes; None: what the device's buffers allow.
        pair: pair with the device, or encrypt with the keys of an earlier pairing.
        passkey: the six digits that the device shows; None: a person is asked.
        bonds: file that keeps the keys of a radio of ours.
        capture: new file for what is sent and received: btsnoop for `hci:` targets, else pcapng.
        stay: do not leave maintenance mode at the end.
        downgrade: install the image even if the device runs a newer one.
        unchecked: send the image even if the bootloader would refuse it.
        force: reset the device even if it says that it is busy.
        evidence: file that a record of this run is appended to.
        sign: file of the Ed25519 key that signs the record.
        inventory: file with the units of the product; says the unit's id, serial number and secret.
        unit: which unit this is, as its owner calls it, for the record; with an inventory, its id there.
        serial_number: of the unit; for the record.
        note: an order, a reason; for the record.
    """

    target: str
    image: Path | None = None
    policy: Path | None = None
    new_policy: Path | None = None
    recipe: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    secret: Path | None = None
    permit: Path | None = None
    holder: Path | None = None
    to: str | None = None
    keys: tuple[Path, ...] = ()
    decrypts: bool = False
    unpacks: bool = False
    hash: str | None = None
    only: str | None = None
    confirm_by: str | None = None
    health: str | None = None
    image_number: int | None = None
    window: int | None = None
    frame: int | None = None
    pair: bool = False
    passkey: int | None = None
    bonds: Path | None = None
    capture: Path | None = None
    stay: bool = False
    downgrade: bool = False
    unchecked: bool = False
    force: bool = False
    evidence: Path | None = None
    sign: Path | None = None
    inventory: Path | None = None
    unit: str | None = None
    serial_number: str | None = None
    note: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """JSON values, one for each field, that `from_plain` makes the same request of."""
        return {
            **{each.name: getattr(self, each.name) for each in fields(self)},
            **{each.name: _text_of(getattr(self, each.name)) for each in fields(self) if each.type == Path | None},
            "keys": [str(path) for path in self.keys],
            "variables": dict(self.variables),
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Self:
        """The request that JSON values ask for; what is left out has its default.

        Raises:
            InputError: a field is not known, is missing, or has a value of another kind.
        """
        known = {each.name: each.type for each in fields(cls)}
        for name in values:
            if name not in known:
                raise InputError(Field(name), "an update has no such field", f"one of {', '.join(known)}")
        if "target" not in values:
            raise InputError(Field("target"), "missing", "the device, such as ble:NAME")
        return cls(**{name: _read(name, known[name], value) for name, value in values.items()})


def _text_of(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _read(name: str, kind: Any, value: object) -> Any:
    """A JSON value as its field holds it."""
    expected, reader = _KINDS[kind]
    if kind in _OPTIONAL and value is None:
        return None
    try:
        return reader(value)
    except TypeError:
        raise InputError(Field(name), f"{short(value)} is not possible", expected) from None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _path(value: object) -> Path:
    return Path(_text(value))


def _number(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError


def _paths(value: object) -> tuple[Path, ...]:
    if isinstance(value, list):
        return tuple(_path(each) for each in cast("list[object]", value))
    raise TypeError


def _texts_by_name(value: object) -> tuple[tuple[str, str], ...]:
    if isinstance(value, dict):
        return tuple((_text(name), _text(each)) for name, each in cast("dict[object, object]", value).items())
    raise TypeError


_OPTIONAL: Final[frozenset[Any]] = frozenset({str | None, Path | None, int | None})

_KINDS: Final[dict[Any, tuple[str, Callable[[object], Any]]]] = {
    str: ("a text", _text),
    str | None: ("a text, or null", _text),
    Path | None: ("a path, or null", _path),
    int | None: ("a whole number, or null", _number),
    bool: ("true or false", _flag),
    tuple[Path, ...]: ("a list of paths", _paths),
    tuple[tuple[str, str], ...]: ("an object of texts", _texts_by_name),
}
"""How a value of each kind of field is told and read."""
