"""What firmware of before can have left in flash: any session record that can be written, none, or a blank store.

With it, a device of this policy comes up with whatever any other revision of the policy, or none, has begun.

Records are explored in exact classes. Two records are of one class if the machine can tell them apart by nothing that
a promise asks about:

* the mode: a maintenance mode that some way leads into; one that none leads into; any other mode; none of this policy;
* what binds the session (guards, what they do, least security) and, where it has an owner, whether its proof can be
  shown again (attaching);
* the images: without a limit, or with one that leaves out some image;
* the limits: none at all, or all of them, as short as can be. Time is not explored: what runs may end at any moment;
* the expected hash: that of the image that runs, another one, or none;
* ending or not; the policy: this one or another.

A flash that keeps nothing else stands for all: coming up starts from the record, the bootloader's word and the inputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from keyswitch.gate.guards import Binding, opens, strictest
from keyswitch.gate.record import SessionRecord, entry_at
from keyswitch.policy.enums import ProofKind, SessionRule
from keyswitch.policy.model import OnEnter, Policy
from keyswitch.prove.environment import LeftBehind, Move
from keyswitch.prove.world import NEW, OLD, OTHER, World

LEFT_BEHIND: Final = "boot_after_another"
_ANOTHER: Final = b"another revision"
_UNKNOWN: Final = "a mode of another revision"
_LEFT_MS: Final = 1


def left_behind(policy: Policy, world: World) -> Iterator[Move]:
    """Every way to come up here after another firmware; none where flash already keeps something."""
    if not world.off or world.record is not None or world.pending is not None or world.trial or world.locked:
        return
    blanks = (True, False) if world.blank else (False,)
    for blank in blanks:
        why = "its first gated image" if blank else "an image that no session record expects"
        yield Move(
            name=LEFT_BEHIND,
            details=(("record", None), ("blank", blank), ("trial", True)),
            words=f"the device comes up with {why} on trial",
            left=LeftBehind(record=None, pending=(NEW, False), blank=blank),
        )
    for record in records(policy):
        for running, pending in ((OLD, None), (NEW, (NEW, False))):
            yield _move(policy, record, running, pending)


def _move(policy: Policy, record: SessionRecord, running: bytes, pending: tuple[bytes, bool] | None) -> Move:
    # In the classes "old" stands for the image that runs and "other" for one that does not.
    expected = running if record.expected == OLD else record.expected
    transition = next((way.index for way in policy.transitions if entry_at(policy, way.index) == record.entry), None)
    return Move(
        name=LEFT_BEHIND,
        details=(
            ("record", record.mode),
            ("proof", None if record.proof is None else record.proof.value),
            ("same_policy", record.policy != _ANOTHER),
            ("expected", None if expected is None else expected.decode()),
            ("limited", record.images is not None),
            ("ending", record.ending),
            ("timed", record.lease_ms is not None),
            ("transition", transition),
            ("trial", pending is not None),
        ),
        words=f'the device comes up with a session record for mode "{record.mode}" that another firmware wrote',
        left=LeftBehind(record=replace(record, expected=expected), pending=pending),
    )


@dataclass(frozen=True, slots=True)
class _Class:
    """Attributes: binding: what binds the session; shown_again: whether its proof can be, by attaching."""

    binding: Binding
    shown_again: bool


def records(policy: Policy) -> tuple[SessionRecord, ...]:
    """One record of each class; `expected` is OLD for the image that runs, OTHER for another one."""
    found: list[SessionRecord] = []
    for mode in policy.modes.values():
        led_into = any(way.target == mode.name for way in policy.transitions)
        if mode.maintenance and led_into:
            found += _of_sessions(policy, mode.name)
        found += _that_fit_nowhere(policy, mode.name, serves=mode.maintenance and led_into)
    found += _that_fit_nowhere(policy, _UNKNOWN, serves=False)
    return tuple(found)


def _of_sessions(policy: Policy, mode: str) -> Iterator[SessionRecord]:
    own: dict[_Class, SessionRecord] = {}
    other: dict[_Class, SessionRecord] = {}
    into = [way for way in policy.transitions if way.target == mode]
    # A proof that opens a way stands for its class first: its sessions are explored already.
    proofs = sorted((*ProofKind, None), key=lambda proof: not any(opens(way, proof) for way in into))
    owned = policy.modes[mode].session is SessionRule.OWNER
    for proof in proofs:
        shown_again = owned and proof not in {None, ProofKind.BUTTON}
        # Under the same policy the way may be known; a record may also name none.
        record = SessionRecord(policy=_ANOTHER, mode=mode, proof=proof, expected=OLD)
        unknown = _Class(strictest(policy, mode, proof), shown_again)
        other.setdefault(unknown, record)
        own.setdefault(unknown, replace(record, policy=policy.digest))
        for way in into:
            if opens(way, proof):
                known = _Class(Binding(guards=way.when, when_false=way.when_false, security=way.security), shown_again)
                own.setdefault(known, replace(record, policy=policy.digest, entry=entry_at(policy, way.index)))
    # Where no permit limits sessions of this policy's own, one image is enough to see that a limit is kept.
    permits = any(
        isinstance(way.trigger, OnEnter) and ProofKind.PERMIT in way.trigger.proofs for way in policy.transitions
    )
    limited = frozenset({NEW}) if permits else frozenset({OTHER})
    for images in (None, limited):
        for record in (*other.values(), *own.values()):
            yield _limited(replace(record, images=images))
        for record in other.values():
            yield replace(record, images=images)


def _limited(record: SessionRecord) -> SessionRecord:
    return replace(
        record, lease_ms=_LEFT_MS, lease_max_ms=_LEFT_MS, timeout_ms=_LEFT_MS, idle_ms=_LEFT_MS, trial_ms=_LEFT_MS
    )


def _that_fit_nowhere(policy: Policy, mode: str, *, serves: bool) -> Iterator[SessionRecord]:
    """Of modes that no session can be of; or of one that can, but for another image, without one, or over."""
    for digest in (policy.digest, _ANOTHER):
        record = _limited(SessionRecord(policy=digest, mode=mode, proof=ProofKind.CHALLENGE, expected=OLD))
        if not serves:
            yield record
            continue
        yield replace(record, expected=OTHER)
        yield replace(record, expected=None)
        yield replace(record, ending=True)
        yield replace(record, expected=None, ending=True)
