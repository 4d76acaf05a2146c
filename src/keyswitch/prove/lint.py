"""What is legal but doubtful: said with each proof, and no reason to refuse one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from keyswitch.mcuboot.known_faults import fault_words
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.bootloader import bootloader_kind_of
from keyswitch.policy.enums import Arm, InputType, ProofKind, SessionRule, Visibility
from keyswitch.policy.firmware_commands import REVEALING_READS
from keyswitch.policy.model import INT_MAX, INT_MIN, Guard, OnButton, OnEnter, Policy, Transition
from keyswitch.prove.limits import long_uploads, seconds, upload_ms
from keyswitch.smp.commands import command_name
from keyswitch.terms import Security, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class LintWarning:
    """One doubt. Attributes: name: in JSON; text: in words, with the key path."""

    name: str
    text: str


def _into_maintenance(policy: Policy) -> Iterator[Transition]:
    return (way for way in policy.transitions if policy.modes[way.target].maintenance)


def _keyless(policy: Policy) -> Iterator[str]:
    """A transition into maintenance takes a command sequence that needs no key."""
    for way in _into_maintenance(policy):
        if isinstance(way.trigger, OnEnter) and ProofKind.SEQUENCE in way.trigger.proofs:
            yield f"transitions[{way.index}]: entry without a key guards against accident only"


def _unsecured(policy: Policy) -> Iterator[str]:
    """A maintenance mode serves a link that is not encrypted."""
    for mode in policy.modes.values():
        if mode.maintenance and mode.security is Security.NONE:
            yield f'modes.{mode.name}: security = "none": whoever is near can speak within the session'


def _owner_by_address(policy: Policy) -> Iterator[str]:
    """A session has an owner, who is known over UDP by address and port alone."""
    for mode in policy.modes.values():
        if mode.session is SessionRule.OWNER and Transport.UDP in policy.smp.transports:
            yield f'modes.{mode.name}: session = "owner" over UDP: an address and port can be forged'


def _owner_by_line(policy: Policy) -> Iterator[str]:
    """A session has an owner, who is known over serial by the line alone."""
    for mode in policy.modes.values():
        if mode.session is SessionRule.OWNER and Transport.SERIAL in policy.smp.transports:
            told = "a line is one peer: a session entered over it belongs to whoever opens the line next"
            yield f'modes.{mode.name}: session = "owner" over serial: {told}'


def _always_visible(policy: Policy) -> Iterator[str]:
    """The SMP service is in the table in every mode."""
    match policy.gate.service:
        case Visibility.ALWAYS:
            yield 'gate.service: "always" shows the SMP service in every mode'
        case Visibility.AUTHORIZE:
            yield 'gate.service: "authorize" shows the SMP service in every mode, and refuses it outside maintenance'
        case Visibility.RECONNECT | Visibility.LIVE:
            return


def _early(policy: Policy) -> Iterator[str]:
    """An image is armed at the state write, not at the session's own reset."""
    if policy.update.arm is Arm.EARLY:
        yield 'update.arm: "early": a power cut after the state write starts the new image outside maintenance'


def _blind_entry(policy: Policy) -> Iterator[str]:
    """A transition into maintenance has no guard over a safety input."""
    safety = {each.name for each in policy.inputs if each.safety}
    for way in _into_maintenance(policy):
        for name in sorted(safety - {guard.input for guard in way.when}):
            yield f"transitions[{way.index}]: enters maintenance without asking the safety input {name}"


def _assumed(policy: Policy) -> Iterator[str]:
    """A safety input has a value before it was measured."""
    for each in policy.inputs:
        if each.safety and each.initial is not None:
            yield f"inputs.{each.name}: a safety input with an initial value is trusted before it was measured"


def _unused(policy: Policy) -> Iterator[str]:
    """An input is asked about by no guard."""
    used = {guard.index for way in policy.transitions for guard in way.when}
    for place, each in enumerate(policy.inputs):
        if place not in used:
            yield f"inputs.{each.name}: no guard asks about it"


def _no_button(policy: Policy) -> Iterator[str]:
    """Entry can be locked out, and no button opens maintenance meanwhile."""
    ways = list(_into_maintenance(policy))
    if ways and all(isinstance(way.trigger, OnEnter) for way in ways):
        yield "entry.lockout: there is no button, so whoever sends wrong proofs keeps everybody out"


def _revealing(policy: Policy) -> Iterator[str]:
    """A mode that is not maintenance serves a read that tells more than a stranger needs."""
    for mode in policy.modes.values():
        for key in sorted(mode.allow & REVEALING_READS.keys()):
            if not mode.maintenance:
                yield f"modes.{mode.name}: {command_name(key.group, key.id)}:read {REVEALING_READS[key]}"


def _unsigned(policy: Policy) -> Iterator[str]:
    """The bootloader checks no signature."""
    if policy.bootloader.key is None:
        yield "bootloader.key: none: whoever gets into maintenance installs whatever they like"


def _no_way_back(policy: Policy) -> Iterator[str]:
    """The bootloader has no trial, of all images or of one: what it has started stays."""
    algorithm = policy.bootloader.algorithm
    if not algorithm.has_trial:
        yield f'bootloader.algorithm: "{algorithm}" has no trial and no way back'
    for number, pair in enumerate(policy.bootloader.images):
        if pair.copied:
            at = f"bootloader.images[{number}].copied"
            yield f"{at}: image {number} has no trial and no way back, and what runs of it cannot be read"


def _apart(policy: Policy) -> Iterator[str]:
    """Images that are started together can end apart."""
    if policy.bootloader.images and policy.update.simultaneous:
        yield (
            "bootloader.images: images of one update are armed and confirmed one by one: cut off in between, one is "
            "new and another old; sign them with dependencies on each other, which the bootloader keeps"
        )


def _header_last(policy: Policy) -> Iterator[str]:
    """The bootloader starts whatever lies there: the proof is for a server that writes an upload's header last."""
    settings = policy.bootloader
    algorithm = settings.algorithm
    gated = algorithm is Algorithm.DIRECT_XIP_NO_REVERT or settings.loader_gated
    if not algorithm.armed_by_trailer and gated:
        yield (
            f'bootloader.algorithm: "{algorithm}" starts whatever lies there: proved for a server that writes an '
            "upload's header last, as the virtual device does and Zephyr's own does not"
        )


def _idle_first(policy: Policy) -> Iterator[str]:
    """A session that nobody speaks to ends before a trial's deadline."""
    deadline_ms = policy.update.trial_deadline_ms
    for mode in policy.modes.values():
        if mode.maintenance and deadline_ms is not None and mode.idle_ms is not None and mode.idle_ms < deadline_ms:
            # Not wrong: the shorter one reverts as well, but then it also leaves.
            yield (
                f"modes.{mode.name}: idle_s = {seconds(mode.idle_ms)} is shorter than update.trial_deadline_s = "
                f"{seconds(deadline_ms)}: a trial that nobody speaks to is reverted by leaving, before its deadline"
            )


def _lease_first(policy: Policy) -> Iterator[str]:
    """The lease ends before a trial's deadline."""
    deadline_ms = policy.update.trial_deadline_ms
    for mode in policy.modes.values():
        if mode.maintenance and deadline_ms is not None and mode.lease_ms is not None and mode.lease_ms < deadline_ms:
            extended = mode.lease_max_ms is not None and mode.lease_max_ms >= deadline_ms
            unless = " unless it is extended" if extended else ""
            yield (
                f"modes.{mode.name}: lease_s = {seconds(mode.lease_ms)} is shorter than update.trial_deadline_s = "
                f"{seconds(deadline_ms)}: the lease ends first{unless}, and reverts the trial by leaving"
            )


_STRENGTH: Final = {ProofKind.SEQUENCE: 0, ProofKind.CHALLENGE: 1, ProofKind.PERMIT: 2}
"""No key, one secret for all, one person's permission with its own limits. A button is compared with none of them."""


def _weaker_way(policy: Policy) -> Iterator[str]:
    """Two transitions enter the same mode, and one asks for a weaker proof or link."""
    doors = [
        (way, proof)
        for way in _into_maintenance(policy)
        if isinstance(way.trigger, OnEnter)
        for proof in way.trigger.proofs
    ]
    for (one, its), (other, others) in combinations(doors, 2):
        if one.target == other.target:
            yield from _weaker(one, its, other, others)
            yield from _weaker(other, others, one, its)


def _weaker(weak: Transition, proof: ProofKind, strong: Transition, strong_proof: ProofKind) -> Iterator[str]:
    asks: list[str] = []
    if _STRENGTH[proof] < _STRENGTH[strong_proof]:
        asks.append(f'proof "{proof.value}", not "{strong_proof.value}"')
    if weak.security < strong.security:
        asks.append(f'security "{weak.security.word}", not "{strong.security.word}"')
    if asks:
        what = f'transitions[{weak.index}] is a weaker transition into "{weak.target}" than transitions[{strong.index}]'
        if weak is strong:
            what = f'transitions[{weak.index}] has a weaker proof for entering "{weak.target}" beside a stronger one'
        yield f"{what}: it takes {' and '.join(asks)}"


def _weaker_than_mode(policy: Policy) -> Iterator[str]:
    """A command enters a mode on a link that the mode does not serve."""
    for way in policy.transitions:
        mode = policy.modes[way.target]
        # Into maintenance it is no doubt but a violation: whoever enters could not leave.
        if isinstance(way.trigger, OnEnter) and not mode.maintenance and way.security < mode.security:
            yield (
                f'transitions[{way.index}]: takes a peer on a link of security "{way.security.word}" into '
                f'"{mode.name}", which serves it nothing but asking and entering below "{mode.security.word}"'
            )


MIN_HOLD_MS: Final = 1_000
"""A button that is brushed, bumped or pressed in passing is let go within a second."""


def _short_hold(policy: Policy) -> Iterator[str]:
    """A button is held for less than a second."""
    for way in _into_maintenance(policy):
        if isinstance(way.trigger, OnButton) and way.trigger.hold_ms < MIN_HOLD_MS:
            yield (
                f"transitions[{way.index}]: hold_s = {seconds(way.trigger.hold_ms)} can happen by accident: "
                f"ask for {seconds(MIN_HOLD_MS)} s or more"
            )


LONG_LOCKOUT_MS: Final = 24 * 3_600_000
"""A day: nobody waits that long beside a device."""


def _long_lockout(policy: Policy) -> Iterator[str]:
    """Wrong proofs shut that kind of entry for a day or longer."""
    lockout = policy.entry.lockout
    proved = any(isinstance(way.trigger, OnEnter) and way.trigger.proofs for way in policy.transitions)
    if proved and lockout.first_ms >= LONG_LOCKOUT_MS:
        count = lockout.free_tries + 1
        proofs = "one wrong proof of anybody's shuts" if count == 1 else f"{count} wrong proofs of anybody's shut"
        yield f"entry.lockout: {proofs} that kind of entry for {seconds(lockout.first_ms)} s: lower first_s"


def _always_true(policy: Policy) -> Iterator[str]:
    """A guard is true for every value of its input."""
    for way in policy.transitions:
        for guard in way.when:
            if policy.inputs[guard.index].type is InputType.INT and all(guard.holds(each) for each in _ends(guard)):
                yield (
                    f'transitions[{way.index}]: "{guard.text}" is true for every value of {guard.input}: '
                    "it only waits for the first report"
                )


def _ends(guard: Guard) -> tuple[int, ...]:
    """Values of an int input of which one makes the guard false, if any does."""
    near = (int(guard.value) + step for step in (-1, 0, 1))
    return (INT_MIN, *(value for value in near if INT_MIN <= value <= INT_MAX), INT_MAX)


def _unknown_rate(policy: Policy) -> Iterator[str]:
    """A lease is too short for an upload over Bluetooth LE, and no bound of the other transports is known."""
    others = [each.value for each in policy.smp.transports if each is not Transport.BLE]
    if others:
        for mode, most_ms in long_uploads(policy):
            needed_ms, _ = upload_ms(policy)
            yield (
                f"modes.{mode.name}: lease_max_s = {seconds(most_ms)} is too short for an upload of a full slot over "
                f"Bluetooth LE, which takes at least {seconds(needed_ms)} s; how long it takes over "
                f"{' or '.join(others)} is not known"
            )


def _guessed(policy: Policy) -> Iterator[str]:
    """The bootloader's numbers are a board's usual ones, and no build was read."""
    if policy.bootloader.guessed:
        yield (
            "bootloader: the numbers are a board's usual ones and not confirmed: have them read from the build "
            "(keyswitch init)"
        )


def _mcuboot_faults(policy: Policy) -> Iterator[str]:
    """MCUboot itself has, or may have, a fault with this algorithm."""
    for words in fault_words(bootloader_kind_of(policy)):
        yield f"bootloader.algorithm: {words}"


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
    "unsigned-images": _unsigned,
    "no-way-back": _no_way_back,
    "images-apart": _apart,
    "header-last": _header_last,
    "idle-before-deadline": _idle_first,
    "lease-before-deadline": _lease_first,
    "weaker-way": _weaker_way,
    "weaker-than-mode": _weaker_than_mode,
    "short-hold": _short_hold,
    "long-lockout": _long_lockout,
    "always-true": _always_true,
    "unknown-rate": _unknown_rate,
    "guessed-bootloader": _guessed,
    "mcuboot-fault": _mcuboot_faults,
}


def meaning(name: str) -> str:
    """What a policy has that is warned about by this name, in a sentence."""
    return CHECKS[name].__doc__ or ""


def lint(policy: Policy) -> tuple[LintWarning, ...]:
    """Every warning about a policy, in a fixed order."""
    return tuple(LintWarning(name=name, text=text) for name, check in CHECKS.items() for text in check(policy))
