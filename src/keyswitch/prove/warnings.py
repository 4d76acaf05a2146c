"""What is legal but doubtful: said with each proof, and no reason to refuse one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.firmware_commands import REVEALING_READS
from keyswitch.policy.model import OnButton, OnEnter, Policy, Transition
from keyswitch.policy.words import Arm, Clock, ProofKind, Service, SessionRule
from keyswitch.smp.commands import resolve, spoken
from keyswitch.terms import Security, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning_:  # noqa: N801 - `Warning` is Python's
    """One doubt. Attributes: name: in JSON; text: in words, with the key path."""

    name: str
    text: str


def _into_maintenance(policy: Policy) -> Iterator[Transition]:
    return (way for way in policy.transitions if policy.modes[way.target].maintenance)


def _keyless(policy: Policy) -> Iterator[str]:
    for way in _into_maintenance(policy):
        if isinstance(way.trigger, OnEnter) and ProofKind.SEQUENCE in way.trigger.proofs:
            yield f"transitions[{way.index}]: entry without a key guards against accident only"


def _unsecured(policy: Policy) -> Iterator[str]:
    for mode in policy.modes.values():
        if mode.maintenance and mode.security is Security.NONE:
            yield f'modes.{mode.name}: security = "none": whoever is near can speak within the session'


def _owner_by_address(policy: Policy) -> Iterator[str]:
    for mode in policy.modes.values():
        if mode.session is SessionRule.OWNER and Transport.UDP in policy.smp.transports:
            yield f'modes.{mode.name}: session = "owner" over UDP: an address and port is no identity: it can be forged'


def _owner_by_line(policy: Policy) -> Iterator[str]:
    for mode in policy.modes.values():
        if mode.session is SessionRule.OWNER and Transport.SERIAL in policy.smp.transports:
            told = "a line is one peer: a session entered over it belongs to whoever opens the line next"
            yield f'modes.{mode.name}: session = "owner" over serial: {told}'


def _always_visible(policy: Policy) -> Iterator[str]:
    if policy.gate.service is Service.ALWAYS:
        yield 'gate.service: "always" shows the SMP service in every mode'


def _early(policy: Policy) -> Iterator[str]:
    if policy.update.arm is Arm.EARLY:
        yield 'update.arm: "early": a power cut after the state write starts the new image outside maintenance'


def _blind_entry(policy: Policy) -> Iterator[str]:
    safety = {each.name for each in policy.inputs if each.safety}
    for way in _into_maintenance(policy):
        for name in sorted(safety - {guard.input for guard in way.when}):
            yield f"transitions[{way.index}]: enters maintenance without asking the safety input {name}"


def _assumed(policy: Policy) -> Iterator[str]:
    for each in policy.inputs:
        if each.safety and each.initial is not None:
            yield f"inputs.{each.name}: a safety input with an initial value is trusted before it was measured"


def _unused(policy: Policy) -> Iterator[str]:
    used = {guard.index for way in policy.transitions for guard in way.when}
    for place, each in enumerate(policy.inputs):
        if place not in used:
            yield f"inputs.{each.name}: no guard asks about it"


def _no_button(policy: Policy) -> Iterator[str]:
    ways = list(_into_maintenance(policy))
    if ways and not any(isinstance(way.trigger, OnButton) for way in ways):
        yield "entry.lockout: there is no button, so whoever sends wrong proofs keeps everybody out"


def _revealing(policy: Policy) -> Iterator[str]:
    for mode in policy.modes.values():
        for key in sorted(mode.allow & REVEALING_READS.keys()):
            if not mode.maintenance:
                yield f"modes.{mode.name}: {spoken(key.group, key.id)}:read {REVEALING_READS[key]}"


def _clock(policy: Policy) -> Iterator[str]:
    permit = policy.entry.permit
    if permit is None or permit.clock is not Clock.TRUSTED:
        return
    (key,) = resolve("os.datetime:write")
    for mode in policy.modes.values():
        if key in mode.allow and not mode.maintenance:
            yield f"modes.{mode.name}: os.datetime:write moves the clock that permits are judged by"


def _unsigned(policy: Policy) -> Iterator[str]:
    if policy.bootloader.key is None:
        yield "bootloader.key: none: whoever gets into maintenance installs whatever they like"


def _no_way_back(policy: Policy) -> Iterator[str]:
    if policy.bootloader.algorithm is Algorithm.OVERWRITE_ONLY:
        yield 'bootloader.algorithm: "overwrite-only" has no trial and no way back'


def _two_limits(policy: Policy) -> Iterator[str]:
    deadline_ms = policy.update.trial_deadline_ms
    for mode in policy.modes.values():
        if mode.maintenance and deadline_ms is not None and mode.idle_ms is not None and mode.idle_ms < deadline_ms:
            # Not wrong: the shorter one reverts as well, but then it also leaves.
            yield f"modes.{mode.name}: idle_s is shorter than update.trial_deadline_s, and leaves first"


CHECKS: Final[dict[str, Callable[[Policy], Iterator[str]]]] = {
    "entry-without-key": _keyless,
    "unsecured-session": _unsecured,
    "owner-by-address": _owner_by_address,
    "owner-by-line": _owner_by_line,
    "always-visible": _always_visible,
    "early-arming": _early,
    "blind-entry": _blind_entry,
    "assumed-input": _assumed,
    "unused-input": _unused,
    "no-button": _no_button,
    "revealing-read": _revealing,
    "settable-clock": _clock,
    "unsigned-images": _unsigned,
    "no-way-back": _no_way_back,
    "idle-before-deadline": _two_limits,
}


def doubts(policy: Policy) -> tuple[Warning_, ...]:
    """Every warning about a policy, in a fixed order."""
    return tuple(Warning_(name=name, text=text) for name, check in CHECKS.items() for text in check(policy))
