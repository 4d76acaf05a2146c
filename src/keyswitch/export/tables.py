"""A policy as const tables in C: `ks_policy.c` and `ks_policy.h`, for the firmware module's core.

The same policy gives the same bytes: no clock, no path, no order that Python chooses.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from keyswitch.export.limits import inhibits_of, macro
from keyswitch.export.numbers import ABI, COMPARE, CONFIRM, PROOFS, SECURITY, SERVICE, TRIGGERS
from keyswitch.export.room import most_effects
from keyswitch.gate.change import timers
from keyswitch.gate.events import Timer
from keyswitch.gate.record import entry_of
from keyswitch.policy.enums import Arm, Clock, InputType, Others, ProofKind, SessionRule, UploadRest, WhenFalse
from keyswitch.policy.model import (
    Input,
    Mode,
    OnButton,
    OnConnect,
    OnDisconnect,
    OnEnter,
    OnLeave,
    OnReset,
    OnTimeout,
    Policy,
    Transition,
)
from keyswitch.smp.header import Op
from keyswitch.terms import Security

_NO_LIMIT: Final = "KS_NO_LIMIT"
_ESCAPED: Final = '"\\?'
"""Ends the literal, begins an escape, begins a trigraph."""


def policy_h(policy: Policy, header: str) -> str:
    """`ks_policy.h`: what the core's arrays need, and where the tables are.

    Args:
        policy: one that `limits.check_fits` has passed.
        header: the lines that begin each generated file, as a C comment.
    """
    names = [f"#define KS_POLICY_MODE_{macro(mode.name)} {mode.index}u" for mode in policy.modes.values()]
    names += [f"#define KS_POLICY_INPUT_{macro(each.name)} {place}u" for place, each in enumerate(policy.inputs)]
    names += [
        f"#define KS_POLICY_INHIBIT_{macro(name)} 0x{1 << bit:08X}u" for bit, name in enumerate(inhibits_of(policy))
    ]
    return "\n".join(
        (
            header,
            "#ifndef KS_POLICY_H_",
            "#define KS_POLICY_H_",
            "",
            "#include <keyswitch/ks_abi.h>",
            "",
            f"#if KS_ABI != {ABI}",
            '#error "Regenerate: keyswitch export zephyr POLICY -o DIR (tables and core are of different versions)"',
            "#endif",
            "",
            "/* Sizes of the core's arrays. */",
            f"#define KS_POLICY_INPUTS {len(policy.inputs)}",
            f"#define KS_POLICY_EFFECTS {most_effects(policy)}",
            f"#define KS_POLICY_PAIRS {len(policy.bootloader.pairs)}",
            *([f"#define KS_POLICY_COPIED 0x{_copied(policy):02X}u"] if len(policy.bootloader.pairs) > 1 else []),
            "",
            "/* What it uses: the core leaves out the rest. */",
            *(f"#define {name} {int(used)}" for name, used in features(policy).items()),
            f"#define KS_POLICY_SERVICE {SERVICE[policy.gate.service]}",
            f"#define KS_POLICY_CONFIRM {CONFIRM[policy.update.confirm]}",
            f"#define KS_POLICY_FLAGS ({_policy_flags(policy)})",
            f"#define KS_COUNT_MODES {len(policy.modes)}u",
            f"#define KS_COUNT_TRANSITIONS {len(policy.transitions)}u",
            f"#define KS_COUNT_INPUTS {len(policy.inputs)}u",
            "",
            "/* What the application names: modes, inputs, what it must not do. */",
            *names,
            "",
            "struct ks_policy;",
            "extern const struct ks_policy ks_policy;",
            "",
            "#endif",
            "",
        )
    )


def _copied(policy: Policy) -> int:
    """Bit N: image N is only copied, and what runs of it cannot be read."""
    return sum(pair.copied << number for number, pair in enumerate(policy.bootloader.pairs))


def features(policy: Policy) -> dict[str, bool]:
    """What of the core this policy uses, by the macro that says so (`ks_limits.h`)."""
    modes, triggers = policy.modes.values(), [way.trigger for way in policy.transitions]
    proofs = {proof for trigger in triggers if isinstance(trigger, OnEnter) for proof in trigger.proofs}
    kinds = {type(trigger) for trigger in triggers}
    levels = {*(mode.security for mode in modes), *(way.security for way in policy.transitions)}
    return {
        "KS_HAS_QUIET": any(mode.quiet_after_ms is not None for mode in modes),
        "KS_HAS_SECURITY": levels != {Security.NONE},
        "KS_HAS_OWNED": any(mode.session is SessionRule.OWNER for mode in modes),
        "KS_HAS_HOLD": any(way.when_false is WhenFalse.HOLD for way in policy.transitions),
        "KS_HAS_DISCONNECT_OTHERS": any(way.others is Others.DISCONNECT for way in policy.transitions),
        "KS_HAS_UNPROVED": any(isinstance(trigger, OnEnter) and not trigger.proofs for trigger in triggers),
        "KS_HAS_SEQUENCE": ProofKind.SEQUENCE in proofs,
        "KS_HAS_CHALLENGE": ProofKind.CHALLENGE in proofs,
        "KS_HAS_PERMIT": ProofKind.PERMIT in proofs,
        "KS_HAS_ON_BUTTON": OnButton in kinds,
        "KS_HAS_ON_CONNECT": OnConnect in kinds,
        "KS_HAS_ON_DISCONNECT": OnDisconnect in kinds,
        "KS_HAS_ON_LEAVE": OnLeave in kinds,
        "KS_HAS_ON_RESET": OnReset in kinds,
        "KS_HAS_ON_TIMEOUT": OnTimeout in kinds,
    }


def policy_c(policy: Policy, header: str) -> str:
    """`ks_policy.c`: the tables.

    Args:
        policy: one that `limits.check_fits` has passed.
        header: the lines that begin each generated file, as a C comment.
    """
    parts = [header, '#include <keyswitch/ks_tables.h>\n\n#include "ks_policy.h"']
    inhibits = inhibits_of(policy)
    if policy.inputs:
        parts.append(_array("struct ks_input", "inputs", map(_input, policy.inputs)))
    parts += [
        _array("struct ks_allow", f"allow_{mode.index}", _allow(mode)) for mode in policy.modes.values() if mode.allow
    ]
    parts.append(_array("struct ks_mode", "modes", (_mode(mode, inhibits) for mode in policy.modes.values())))
    if any(way.when for way in policy.transitions):
        parts.append(_array("struct ks_guard", "guards", _guards(policy)))
    if policy.transitions:
        parts.append(_array("struct ks_transition", "transitions", _transitions(policy)))
    if inhibits:
        parts.append(_array("char *const", "inhibits", (f"{_string(name)}," for name in inhibits)))
    parts.append(_policy(policy, inhibits))
    return "\n\n".join(parts) + "\n"


def _string(text: str) -> str:
    """A C string literal of the text's UTF-8; an escape never runs into a digit behind it: octal has three at most."""
    shown = ""
    for byte in text.encode():
        character = chr(byte)
        plain = character.isascii() and character.isprintable() and character not in _ESCAPED
        shown += character if plain else f"\\{byte:03o}"
    return f'"{shown}"'


def _array(kind: str, name: str, rows: Iterable[str]) -> str:
    body = "".join(f"\t{row}\n" for row in rows)
    return f"static const {kind} {name}[] = {{\n{body}}};"


def _bytes(data: bytes) -> str:
    return "{" + ", ".join(f"0x{byte:02x}" for byte in data) + "}"


def _flags(*flags: tuple[bool, str]) -> str:
    return " | ".join(name for is_set, name in flags if is_set) or "0u"


def _ms(limit_ms: int | None) -> str:
    return _NO_LIMIT if limit_ms is None else f"{limit_ms}u"


def _int32(value: int) -> str:
    """The literal: the lowest value has none in C."""
    return f"({value + 1} - 1)" if value == -(2**31) else str(value)


def _input(each: Input) -> str:
    flags = _flags(
        (each.type is InputType.BOOL, "KS_INPUT_BOOL"),
        (each.safety, "KS_INPUT_SAFETY"),
        (each.initial is not None, "KS_INPUT_KNOWN"),
    )
    return f"{{.name = {_string(each.name)}, .initial = {_int32(int(each.initial or 0))}, .flags = {flags}}},"


def _allow(mode: Mode) -> Iterator[str]:
    for group in sorted({key.group for key in mode.allow}):
        words = [sum(1 << key.id for key in mode.allow if key.group == group and key.op == op) for op in _OPS]
        yield f"{{.group = 0x{group:04X}u, .reads = 0x{words[0]:08X}u, .writes = 0x{words[1]:08X}u}},"


_OPS: Final = (Op.READ, Op.WRITE)
_LIMITS: Final = (Timer.TIMEOUT, Timer.LEASE, Timer.LEASE_MAX, Timer.IDLE)
"""Time limits of a mode in their order in the table."""


def _mode(mode: Mode, inhibits: tuple[str, ...]) -> str:
    groups, limits = len({key.group for key in mode.allow}), timers(mode)
    flags = _flags(
        (mode.maintenance, "KS_MODE_MAINTENANCE"),
        (mode.session is SessionRule.OWNER, "KS_MODE_OWNED"),
        (mode.lease_ms is not None and mode.lease_ms != mode.lease_max_ms, "KS_MODE_EXTENDED"),
    )
    fields = (
        f".name = {_string(mode.name)}",
        f".allow = {f'allow_{mode.index}' if groups else '0'}",
        f".allow_count = {groups}u",
        f".inhibits = 0x{sum(1 << inhibits.index(name) for name in set(mode.inhibits)):08X}u",
        f".quiet_ms = {mode.quiet_after_ms or 0}u",
        f".limit_ms = {{{', '.join(_ms(limits.get(timer)) for timer in _LIMITS)}}}",
        f".security = {SECURITY[mode.security]}",
        f".flags = {flags}",
    )
    return "{" + ",\n\t ".join(fields) + "},"


def _guards(policy: Policy) -> Iterator[str]:
    for way in policy.transitions:
        for guard in way.when:
            value = _int32(int(guard.value))
            text = guard.text.replace("*/", "* /")
            yield f"{{.input = {guard.index}u, .compare = {COMPARE[guard.compare]}, .value = {value}}}, /* {text} */"


def _transitions(policy: Policy) -> Iterator[str]:
    first = 0
    for way in policy.transitions:
        yield _transition(policy, way, first)
        first += len(way.when)


def _transition(policy: Policy, way: Transition, first: int) -> str:
    trigger = way.trigger
    proofs = tuple(dict.fromkeys(trigger.proofs)) if isinstance(trigger, OnEnter) else ()
    flags = _flags(
        (way.when_false is WhenFalse.HOLD, "KS_TRANSITION_HOLD"),
        (way.others is Others.DISCONNECT, "KS_TRANSITION_DISCONNECT_OTHERS"),
    )
    fields = (
        f".sources = 0x{sum(1 << policy.modes[name].index for name in set(way.sources)):08X}u",
        f".target = {policy.modes[way.target].index}u",
        f".trigger = {TRIGGERS[type(trigger)]}",
        f".hold_ms = {trigger.hold_ms if isinstance(trigger, OnButton) else 0}u",
        f".proofs = 0x{sum(1 << PROOFS[proof] for proof in proofs):02X}u",
        f".proof_list = {{{', '.join(f'{PROOFS[proof]}u' for proof in proofs) or '0u'}}}",
        f".guard = {first if way.when else 0}u",
        f".guard_count = {len(way.when)}u",
        f".security = {SECURITY[way.security]}",
        f".flags = {flags}",
        f".entry = {_bytes(entry_of(way))}",
    )
    return f"/* {', '.join(way.sources)} -> {way.target} */\n\t{{" + ",\n\t ".join(fields) + "},"


def _policy_flags(policy: Policy) -> str:
    return _flags(
        (policy.update.arm is Arm.EARLY, "KS_POLICY_ARM_EARLY"),
        (policy.gate.upload is UploadRest.KEEP, "KS_POLICY_KEEP_UPLOAD"),
        (policy.entry.permit is not None and policy.entry.permit.clock is Clock.TRUSTED, "KS_POLICY_TRUSTED_CLOCK"),
        (not policy.update.simultaneous, "KS_POLICY_ONE_BY_ONE"),
    )


def _policy(policy: Policy, inhibits: tuple[str, ...]) -> str:
    entry, update, pairs = policy.entry, policy.update, policy.bootloader.pairs
    fields = (
        f".device_id = {_string(policy.device.id)}",
        f".name = {_string(policy.device.name)}",
        f".inputs = {'inputs' if policy.inputs else '0'}",
        ".modes = modes",
        f".transitions = {'transitions' if policy.transitions else '0'}",
        f".guards = {'guards' if any(way.when for way in policy.transitions) else '0'}",
        f".inhibits = {'inhibits' if inhibits else '0'}",
        f".trial_deadline_ms = {_ms(update.trial_deadline_ms)}",
        f".sequence_window_ms = {entry.sequence.window_ms if entry.sequence else 0}u",
        f".sequence_steps = {entry.sequence.steps if entry.sequence else 0}u",
        f".lockout_first_ms = {entry.lockout.first_ms}u",
        f".lockout_max_ms = {entry.lockout.max_ms}u",
        f".lockout_free_tries = {entry.lockout.free_tries}u",
        f".max_permits = {entry.permit.max_permits if entry.permit else 0}u",
        f".company_id = 0x{policy.device.company_id:04X}u",
        f".buf_size = {policy.smp.buf_size}u",
        f".input_count = {len(policy.inputs)}u",
        f".mode_count = {len(policy.modes)}u",
        f".transition_count = {len(policy.transitions)}u",
        f".inhibit_count = {len(inhibits)}u",
        f".initial_mode = {policy.initial.index}u",
        f".service = {SERVICE[policy.gate.service]}",
        f".confirm = {CONFIRM[update.confirm]}",
        f".flags = {_policy_flags(policy)}",
        f".pair_count = {len(pairs)}u",
        f".copied = 0x{_copied(policy):02X}u",
        f".digest = {_bytes(policy.digest)}",
    )
    return "const struct ks_policy ks_policy = {\n\t" + ",\n\t".join(fields) + ",\n};"
