"""What a trace from a file must be before a device plays it: the events' fields, and nothing that could not have been.

Rules kept here: each wrong value is named by its place; what an event is called is not asked here (`replay.play`).
"""

from collections.abc import Callable
from typing import Any, Final, cast

from keyswitch.errors import InputError
from keyswitch.gate.events import Timer
from keyswitch.policy.enums import InputType, ProofKind
from keyswitch.policy.grammar import INT_INPUT, MAX_DURATION_S
from keyswitch.policy.model import Policy
from keyswitch.smp.commands import BY_NAME
from keyswitch.terms import Transport
from keyswitch.text import short

MAX_EVENTS: Final = 1_000
"""In a trace; the prover's are the shortest ones."""
_EXPECTED: Final = "the JSON of `keyswitch check`"
_PEERS: Final = range(1, 4)

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "boot": (),
    "boot_after_another": ("record", "trial"),
    "power_cut": (),
    "self_confirm": (),
    "upload_ended": (),
    "connect": ("peer",),
    "disconnect": ("peer",),
    "input": ("input",),
    "button": ("hold_ms",),
    "expired": ("timer",),
    "enter": ("peer", "transport", "to", "proof", "limited"),
    "attach": ("peer", "transport"),
    "leave": ("peer", "transport"),
    "upload": ("peer", "transport"),
    "firmware_command": ("peer", "transport"),
    "arm": ("peer", "transport", "image", "permanent"),
    "reset": ("peer", "transport"),
    "confirm": ("peer", "transport"),
}
"""The events that can be played, and what belongs to each."""


RECORD_FIELDS: Final = ("proof", "same_policy", "expected", "limited", "ending", "timed", "transition")
"""What belongs to `boot_after_another` with a session record; without one it is `blank`."""

_BOOTS: Final = frozenset({"boot", "boot_after_another"})


def _one_of(*words: str | None) -> Callable[[object], bool]:
    return lambda value: value in words and not isinstance(value, bool)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


_KINDS: Final[dict[str, Callable[[object], bool]]] = {
    "peer": lambda value: type(value) is int and value in _PEERS,
    "transport": _one_of(*Transport),
    "timer": _one_of(*Timer),
    "hold_ms": lambda value: type(value) is int and 0 <= value <= MAX_DURATION_S * 1000,
    "to": lambda value: isinstance(value, str),
    "proof": _one_of(None, *ProofKind),
    "limited": _is_bool,
    "image": _one_of("new", "other"),
    "permanent": _is_bool,
    "record": lambda value: isinstance(value, str | None),
    "expected": _one_of(None, "old", "new", "other"),
    "transition": lambda value: value is None or (type(value) is int and value >= 0),
    **dict.fromkeys(("trial", "blank", "same_policy", "ending", "timed"), _is_bool),
}

_OF_SEVERAL: Final[dict[str, tuple[str, ...]]] = {
    "upload": ("pair",),
    "arm": ("pair",),
    "confirm": ("pair",),
    "boot_after_another": ("trials",),
}
"""What belongs to an event besides where the policy has several images; with a session record `expects` as well."""


def check_trace(policy: Policy, violation: dict[str, Any]) -> None:
    """Refuse a violation that no `keyswitch check` of any policy with these inputs can have written.

    Args:
        policy: on whose device it is to be played.
        violation: with `rule`, `subject` and a list `trace`; `loop` and `refused` where it has them.

    Raises:
        InputError: names the place.
    """
    rule, subject = violation["rule"], violation["subject"]
    trace = cast("list[object]", [*violation["trace"], *violation.get("loop", ())])
    if not isinstance(rule, str) or not isinstance(subject, str) or not subject.strip():
        raise InputError("rule, subject", f"found {short(rule)}, {short(subject)}", _EXPECTED)
    if rule == "whole-revert" and subject not in _images_of(policy):
        raise InputError(
            "subject", f"{short(subject)} names no image", ", ".join(_images_of(policy)) or "several images"
        )
    if rule == "firmware-outside-maintenance" and not _names_a_command(subject.split()[-1]):
        raise InputError("subject", f"{short(subject)} names no command", _EXPECTED)
    refused = violation.get("refused")
    if refused is not None and not _names_a_command(refused):
        raise InputError("refused", f"{short(refused)} names no command", _EXPECTED)
    if not 1 <= len(trace) <= MAX_EVENTS:
        raise InputError("trace", f"{len(trace)} events", f"1 to {MAX_EVENTS}")
    here: set[object] = set()
    for number, event in enumerate(trace):
        where = f"trace[{number}]"
        fields = cast("dict[str, Any]", event) if isinstance(event, dict) else {}
        name = fields.get("event")
        if not isinstance(name, str) or "mode" not in fields or not isinstance(fields["mode"], str | None):
            raise InputError(where, "no event", "an object with event and mode")
        _check_fields(policy, where, name, fields)
        _follow(where, name, fields.get("peer"), here, first=number == 0)


def _images_of(policy: Policy) -> tuple[str, ...]:
    return tuple(f"image {number}" for number in range(1, len(policy.bootloader.images)))


def _names_a_command(value: object) -> bool:
    return isinstance(value, str) and value.partition(":")[0] in BY_NAME


def _check_fields(policy: Policy, where: str, name: str, fields: dict[str, Any]) -> None:
    more: tuple[str, ...] = ()
    if name == "boot_after_another":
        more = ("blank",) if fields.get("record") is None else RECORD_FIELDS
    if policy.bootloader.images:
        more += _OF_SEVERAL.get(name, ())
        more += ("expects",) if "transition" in more else ()
    for key in (*FIELDS.get(name, ()), *more):
        value = fields.get(key, _MISSING)
        if key == "input":
            _check_input(policy, where, fields)
        elif key in {"pair", "trials", "expects"}:
            _check_pairs(policy, f"{where}.{key}", value)
        elif value is _MISSING or not _KINDS[key](value):
            found = "missing" if value is _MISSING else f"found {short(value)}"
            raise InputError(f"{where}.{key}", found, _EXPECTED)
    place = fields.get("transition")
    if "transition" in more and place is not None and place >= len(policy.transitions):
        raise InputError(f"{where}.transition", f"found {place}", f"below {len(policy.transitions)}, or null")


_MISSING: Final = object()


def _check_pairs(policy: Policy, where: str, value: object) -> None:
    """A number of an image pair, or several in a text, in rising order."""
    known = [str(number) for number in range(len(policy.bootloader.images))]
    words = [str(value)] if type(value) is int else value.split() if isinstance(value, str) else ["?"]
    if words != sorted(set(words)) or not set(words) <= set(known):
        found = "missing" if value is _MISSING else f"found {short(value)}"
        raise InputError(where, found, f"numbers of images: {', '.join(known)}")


def _check_input(policy: Policy, where: str, fields: dict[str, Any]) -> None:
    name, value = fields.get("input"), fields.get("value")
    known = {each.name: each for each in policy.inputs}
    if not isinstance(name, str) or name not in known:
        raise InputError(f"{where}.input", f"found {short(name)}", f"an input of the policy: {', '.join(known)}")
    if value is None and "value" in fields:
        fits = True  # it can no longer be read
    elif known[name].type is InputType.BOOL:
        fits = isinstance(value, bool)
    else:
        fits = type(value) is int and INT_INPUT.least - 1 <= value <= INT_INPUT.most + 1
    if not fits:
        raise InputError(f"{where}.value", f"found {short(value)}", f"a value of {name}")


def _follow(where: str, name: str, peer: object, here: set[object], *, first: bool) -> None:
    """Who is connected, and whether there is a device at all."""
    if first and name in FIELDS and name not in _BOOTS:
        raise InputError(where, "nothing runs yet", "a trace that begins with boot")
    if name in _BOOTS:
        here.clear()
    elif name == "disconnect":
        if peer not in here:
            raise InputError(where, f"peer {peer} leaves, and is not here", _EXPECTED)
        here.discard(peer)
    elif peer is not None:
        here.add(peer)
