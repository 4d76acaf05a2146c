"""Whether the parts of a policy fit each other: what one names, another declares; what is stated has an effect.

Each check is a generator of `(key path, problem, expected)`; the first one found is the error.
"""

from collections.abc import Callable, Iterator
from typing import Final

from keyswitch.errors import InputError
from keyswitch.mcuboot.config import LoaderEntrance
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.bootloader import slots_of
from keyswitch.policy.enums import Identity, Others, ProofKind, SessionRule, Visibility, WhenFalse
from keyswitch.policy.model import (
    BootloaderSettings,
    Mode,
    OnEnter,
    OnLeave,
    OnReset,
    OnTimeout,
    Policy,
    Transition,
)
from keyswitch.schema.value_types import suggestion
from keyswitch.smp.framing import console, udp
from keyswitch.terms import Transport

Problem = tuple[str, str, str]


def check_consistency(policy: Policy) -> None:
    """Raises: InputError: the first thing that does not fit."""
    for check in _CHECKS:
        for where, problem, expected in check(policy):
            raise InputError(f"{policy.origin}: {where}", problem, expected)


def _initial_mode(policy: Policy) -> Iterator[Problem]:
    name = policy.device.initial_mode
    if name not in policy.modes:
        yield "device.initial_mode", f'"{name}" is not a mode', _modes(policy, name)


def _modes(policy: Policy, name: str) -> str:
    return f"one of the modes {', '.join(policy.modes)}{suggestion(name, policy.modes)}"


def _mode_limits(policy: Policy) -> Iterator[Problem]:
    for mode in policy.modes.values():
        at = f"modes.{mode.name}"
        if mode.lease_max_ms is not None and mode.lease_ms is None:
            yield f"{at}.lease_max_s", "means nothing without lease_s", "lease_s beside it"
        elif mode.lease_max_ms is not None and mode.lease_max_ms < (mode.lease_ms or 0):
            yield f"{at}.lease_max_s", "shorter than lease_s", "at least lease_s"
        if mode.session is SessionRule.OWNER and not mode.maintenance:
            yield f"{at}.session", "means nothing outside maintenance", "maintenance = true beside it"
        if mode.quiet_after_ms is not None and not (mode.maintenance and mode.inhibits):
            yield (
                f"{at}.quiet_after_s",
                "means nothing here: no firmware changes, or nothing is inhibited",
                "maintenance = true and inhibits beside it",
            )
        if mode.timeout_ms is not None and not policy.ways(mode.name, OnTimeout):
            yield (
                f"{at}.timeout_s",
                "nothing happens when it ends",
                f'a transition from "{mode.name}" with on = "timeout"',
            )


def _ways(policy: Policy) -> Iterator[Problem]:
    for way in policy.transitions:
        at = f"transitions[{way.index}]"
        for place, source in enumerate(way.sources):
            if source not in policy.modes:
                yield f"{at}.from[{place}]", f'"{source}" is not a mode', _modes(policy, source)
            if source == way.target:
                yield f"{at}.to", f'leads from "{source}" to itself', "another mode"
        if way.target not in policy.modes:
            yield f"{at}.to", f'"{way.target}" is not a mode', _modes(policy, way.target)
        else:
            yield from _way(policy, way, policy.modes[way.target], at)


def _way(policy: Policy, way: Transition, target: Mode, at: str) -> Iterator[Problem]:
    for source in way.sources:
        if target.maintenance and policy.modes[source].maintenance and source != target.name:
            problem = f'leads from maintenance mode "{source}" into maintenance mode "{target.name}"'
            expected = "leave, then enter: one transition out of maintenance and another into it, so that limits last"
            yield f"{at}.to", problem, expected
    match way.trigger:
        case OnEnter(proofs=proofs):
            if target.maintenance and not proofs:
                yield f"{at}.proofs", "missing", "how entry into maintenance is proved"
            yield from _unconfigured(policy, proofs, at)
        case OnTimeout():
            for source in way.sources:
                if policy.modes[source].timeout_ms is None:
                    yield f"{at}.on", f'"{source}" has no timeout_s', f"modes.{source}.timeout_s"
        case OnLeave():
            if target.maintenance:
                yield f"{at}.to", "leaving cannot lead into maintenance", "a mode without maintenance = true"
        case _:
            pass


def _outside_maintenance(policy: Policy) -> Iterator[Problem]:
    for way in policy.transitions:
        if policy.modes[way.target].maintenance:
            continue
        for name, stated in (
            ("when_false", way.when_false is WhenFalse.HOLD),
            ("others", way.others is Others.DISCONNECT),
        ):
            if stated:
                yield (
                    f"transitions[{way.index}].{name}",
                    "means nothing outside maintenance",
                    "a transition into maintenance",
                )


def _unconfigured(policy: Policy, proofs: tuple[ProofKind, ...], at: str) -> Iterator[Problem]:
    entry = policy.entry
    settings = {
        ProofKind.SEQUENCE: entry.sequence,
        ProofKind.CHALLENGE: entry.challenge,
        ProofKind.PERMIT: entry.permit,
    }
    for place, proof in enumerate(proofs):
        if settings[proof] is None:
            yield f"{at}.proofs[{place}]", f"[entry.{proof.value}] is missing", "what this kind of proof needs"


def _duplicates(policy: Policy) -> Iterator[Problem]:
    seen: dict[object, int] = {}
    for way in policy.transitions:
        for source in way.sources:
            key = (source, way.target, way.trigger, frozenset(way.when))
            if key in seen:
                other = seen[key]
                yield (
                    f"transitions[{way.index}]",
                    f"the same as transitions[{other}] from {source}",
                    "each transition once",
                )
            seen[key] = way.index


def _sessions_end(policy: Policy) -> Iterator[Problem]:
    for way in policy.transitions:
        if isinstance(way.trigger, OnReset) and any(policy.modes[source].maintenance for source in way.sources):
            yield (
                f"transitions[{way.index}].from",
                "a reset ends every maintenance session",
                "modes outside maintenance",
            )


def _packets(policy: Policy) -> Iterator[Problem]:
    for transport in policy.smp.transports:
        most = _LARGEST.get(transport)
        if most is not None and policy.smp.buf_size > most:
            yield (
                "smp.buf_size",
                f"{transport.value} cannot carry a packet of {policy.smp.buf_size} bytes",
                f"at most {most}",
            )


def _slots(boot: BootloaderSettings) -> Iterator[Problem]:
    """What the bootloader itself would say of its slots, once their numbers are possible at all."""
    blocks = (boot.sector_size, boot.write_block)
    if (not boot.images and boot.slot_size % boot.sector_size) or any(value & (value - 1) for value in blocks):
        return
    if boot.images and not boot.algorithm.updates_itself:
        return  # `_images` says it
    try:
        slots_of(boot, where="bootloader")
    except InputError as error:
        yield error.where, error.problem, error.expected or "slots that the algorithm can use"


def _one_slot(boot: BootloaderSettings) -> Iterator[Problem]:
    """What only a firmware loader has, and what a single slot has not."""
    loader = Algorithm.FIRMWARE_LOADER
    if boot.algorithm is loader and not boot.loader_entrance:
        expected = "what starts the loader: " + ", ".join(f'"{each}"' for each in LoaderEntrance)
        yield "bootloader.loader_entrance", f'missing with algorithm = "{loader}"', expected
    for name, given in (("loader_entrance", bool(boot.loader_entrance)), ("loader_gated", boot.loader_gated)):
        if given and boot.algorithm is not loader:
            yield f"bootloader.{name}", f'means nothing with algorithm = "{boot.algorithm}"', f'algorithm = "{loader}"'
    if boot.algorithm is Algorithm.SINGLE_SLOT and boot.secondary_size is not None and not boot.images:
        yield "bootloader.secondary_size", f'there is none with algorithm = "{boot.algorithm}"', "no such key"


def _images(policy: Policy) -> Iterator[Problem]:
    boot = policy.bootloader
    if not boot.images and not policy.update.simultaneous:
        yield "update.simultaneous", "means nothing with one image", "several [[bootloader.images]] beside it"
    if boot.images and not boot.algorithm.updates_itself:
        problem = f'{len(boot.images)} images with algorithm = "{boot.algorithm}"'
        yield "bootloader.images", problem, "one image, described by [bootloader] itself"
        return
    for number, pair in enumerate(boot.images):
        at = f"bootloader.images[{number}].copied"
        if pair.copied and number == 0:
            yield (
                at,
                "image 0 is what the bootloader starts",
                f'algorithm = "{Algorithm.OVERWRITE_ONLY}" for all images',
            )
        elif pair.copied and boot.algorithm not in _COPIES:
            choices = " or ".join(f'"{each}"' for each in _COPIES)
            yield at, f'means nothing with algorithm = "{boot.algorithm}"', f"algorithm = {choices}"


_COPIES: Final = (Algorithm.SWAP_MOVE, Algorithm.SWAP_OFFSET, Algorithm.OVERWRITE_ONLY)
"""With which the primary slot of another image than the application can be a place that is filled at each copy."""


def _settings(policy: Policy) -> Iterator[Problem]:
    gate, boot, lockout = policy.gate, policy.bootloader, policy.entry.lockout
    if gate.identity is Identity.SECOND and gate.service is not Visibility.RECONNECT:
        problem = "an address cannot change under a connection"
        yield "gate.identity", problem, f'"{Identity.SAME}", or service = "{Visibility.RECONNECT}"'
    if not boot.images and boot.slot_size % boot.sector_size:
        yield "bootloader.slot_size", f"not whole sectors of {boot.sector_size} bytes", "a multiple of sector_size"
    for name, value in (("sector_size", boot.sector_size), ("write_block", boot.write_block)):
        if value & (value - 1):
            yield f"bootloader.{name}", f"{value} is not a power of two", "a power of two"
    yield from _one_slot(boot)
    yield from _slots(boot)
    if lockout.first_ms > lockout.max_ms:
        yield "entry.lockout.first_s", "longer than max_s", "at most max_s"


_LARGEST: Final = {Transport.UDP: udp.MAX_DATAGRAM, Transport.SERIAL: console.MAX_PACKET}
"""Bytes of a packet; on BLE only its own header bounds it."""

_CHECKS: Final[tuple[Callable[[Policy], Iterator[Problem]], ...]] = (
    _initial_mode,
    _ways,
    _outside_maintenance,
    _mode_limits,
    _duplicates,
    _sessions_end,
    _packets,
    _settings,
    _images,
)
