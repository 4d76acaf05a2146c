"""The policy's digest: SHA-256 over one form of its rules, however the file writes them (`docs/policy-digest.md`).

    SHA-256("keyswitch-policy 1" 0x00, deterministic CBOR of the rules)

Rules kept here:

* The form is made from `policy.grammar`: a key of the language is in it unless it is named below, so that no rule can
  be forgotten.
* A key at its default is left out. A new key with a compatible default changes no digest.
* Who a unit is, and which keys it takes, is no rule: names, ids, file names and keys are not in it.
"""

import hashlib
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, cast

import cbor2

from keyswitch.policy.enums import Others, WhenFalse
from keyswitch.policy.grammar import SECTIONS, Served
from keyswitch.policy.transitions import split_guard
from keyswitch.schema.tables import TomlKey
from keyswitch.schema.value_types import Duration, ListOf
from keyswitch.smp.commands import resolve
from keyswitch.terms import Security

POLICY_FORM: Final = 1
"""Number of the form; evidence names it (`policy_form`)."""

FILE_FORM: Final = 0
"""No form: SHA-256 of the file's bytes, as devices and evidence of before have it."""

_DOMAIN: Final = f"keyswitch-policy {POLICY_FORM}\0".encode()

OUTSIDE: Final = frozenset(
    {
        ".schema",
        "device.name",
        "device.id",
        "bootloader.guessed",
        "bootloader.mcuboot",
        "entry.challenge.secret",
        "entry.permit.issuers",
    }
)
"""Keys that are not in the form, by place and name: the file's version, who the unit is, which keys it takes, and where
the bootloader's numbers are from."""

WHETHER: Final = frozenset({"bootloader.key"})
"""Keys of which only that they are there is in the form: whether signatures are asked for is a rule, the key is not."""

CONFIGURED: Final = frozenset({"entry.sequence", "entry.challenge", "entry.permit"})
"""Tables that say something by being there, with nothing in them."""

_IMPLIED: Final[dict[str, Callable[[Mapping[str, Any]], object]]] = {
    "bootloader.images[].secondary_size": lambda image: image["slot_size"],
    "modes.*.lease_max_s": lambda mode: mode["lease_s"],
    "transitions[].security": lambda _: Security.NONE,
    "transitions[].others": lambda _: Others.REFUSE,
    "transitions[].when_false": lambda _: WhenFalse.LEAVE,
}
"""What leaving a key out means, where the loader has to see whether it was left out."""

_GUARDS: Final = "transitions[].when"


def policy_digest(root: Mapping[str, object]) -> bytes:
    """32 bytes that are equal for equal rules.

    Args:
        root: the parsed file; one that the loader has taken.
    """
    return hashlib.sha256(_DOMAIN + encoded(canonical_rules(root))).digest()


def canonical_rules(root: Mapping[str, object]) -> dict[str, Any]:
    """The rules as maps, arrays, texts, whole numbers and true or false; argument as of `policy_digest`."""
    return _table("", root)


def encoded(value: object) -> bytes:
    """Deterministic CBOR (RFC 8949 4.2.1). Where all keys of maps are texts, cbor2's canonical order is that order."""
    return cbor2.dumps(value, canonical=True)


def _table(place: str, stated: Mapping[str, Any]) -> dict[str, Any]:
    table = SECTIONS[place]
    read = table.read(stated, "")
    form: dict[str, Any] = {}
    for key in table.keys:
        at = f"{place}.{key.name}"
        implied = _IMPLIED.get(at)
        if at in OUTSIDE or read[key.name] in (None, implied(read) if implied is not None else None):
            continue
        value = at in WHETHER or _value(at, key, read[key.name])
        if at in WHETHER or value != _value(at, key, key.default):
            form[_name(key)] = value
    for name in table.tables:
        inner = f"{place}.{name}" if place else name
        rules = _inner(inner, stated[name]) if name in stated else None
        if rules or (rules is not None and inner in CONFIGURED):
            form[name] = rules
    return form


def _inner(place: str, stated: Any) -> Any:
    """A table; or, in file order, an array of tables, each of which says its name where it has one."""
    if f"{place}.*" in SECTIONS:
        return [{"name": name, **_table(f"{place}.*", each)} for name, each in stated.items()]
    if f"{place}[]" in SECTIONS:
        return [_table(f"{place}[]", each) for each in stated]
    return _table(place, stated)


def _name(key: TomlKey) -> str:
    return f"{key.name.removesuffix('_s')}_ms" if isinstance(key.kind, Duration) else key.name


def _value(at: str, key: TomlKey, value: Any) -> Any:
    if not isinstance(key.kind, ListOf):
        return _plain(value)
    if not isinstance(value, tuple):
        return None  # no list by default: a required one
    each = cast("tuple[str, ...]", value)
    if isinstance(key.kind.item, Served):
        return _as_set([list(command) for pattern in each for command in resolve(pattern)])
    return _as_set([list(split_guard(text) or ()) if at == _GUARDS else _plain(text) for text in each])


def _as_set(values: list[Any]) -> list[Any]:
    """Each once, in the order of the bytes of their encodings, which is also the order of a map's keys."""
    by_bytes = {encoded(value): value for value in values}
    return [by_bytes[key] for key in sorted(by_bytes)]


def _plain(value: Any) -> Any:
    if isinstance(value, Security):
        return value.word
    return value.value if isinstance(value, Enum) else value
