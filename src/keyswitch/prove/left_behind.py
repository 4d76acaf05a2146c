"""What firmware of before can have left in flash: any session record that can be written, none, or a blank store.

With it, a device of this policy comes up with whatever any other revision of the policy, or none, has begun.

Records are explored in exact classes. Two records are of one class if the machine can tell them apart by nothing that
a promise asks about:

* the mode: a maintenance mode that some way leads into; one that none leads into; any other mode; none of this policy;
* what binds the session (guards, what they do, least security) and, where it has an owner, whether its proof can be
  shown again (attaching);
* the images: without a limit, or with one that leaves out some image;
* the limits: none at all, or all of them, as short as can be. Time is not explored: what runs may end at any moment;
* the expected hashes: those of the images that run, another one, or none; with several image pairs, also those of all
  but one that is on trial;
* ending or not; the policy: this one or another.

With several image pairs, any of them can be on trial. One that is only copied is not found beside another's trial: what
another gate has let start together is not this one's doing.

A flash that keeps nothing else stands for all: coming up starts from the record, the bootloader's word and the inputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from keyswitch.gate.guards import Binding, opens, strictest
from keyswitch.gate.record import SessionRecord, entry_at
from keyswitch.policy.enums import ProofKind, SessionRule
from keyswitch.policy.model import OnEnter, Policy
from keyswitch.prove.environment import Detail, LeftBehind, Move
from keyswitch.prove.world import NEW, OLD, OTHER, Pending, World

LEFT_BEHIND: Final = "boot_after_another"
_ANOTHER: Final = b"another revision"
_UNKNOWN: Final = "a mode of another revision"
_LEFT_MS: Final = 1
_RUNS: Final = ((0, OLD),)


def left_behind(policy: Policy, world: World) -> Iterator[Move]:
    """Every way to come up here after another firmware; none where flash already keeps something."""
    if not world.off or world.record is not None or world.pending or world.on_trial or world.locked:
        return
    starts = _starts(policy)
    blanks = (True, False) if world.blank else (False,)
    for blank in blanks:
        why = "its first gated image" if blank else "an image that no session record expects"
        for pairs in starts:
            if pairs:
                yield Move(
                    name=LEFT_BEHIND,
                    details=(("record", None), ("blank", blank), ("trial", True), *_which(policy, "trials", pairs)),
                    words=f"the device comes up with {why} on trial",
                    left=LeftBehind(record=None, pending=_pending(pairs), blank=blank),
                )
    for record in records(policy):
        for pairs in starts:
            yield _move(policy, record, pairs, pairs)
            if record.expected == _RUNS:
                for left_out in pairs if len(pairs) > 1 else ():
                    yield _move(policy, record, pairs, tuple(pair for pair in pairs if pair != left_out))


def _starts(policy: Policy) -> tuple[tuple[int, ...], ...]:
    """The image pairs that can have been started together by another firmware."""
    boot = policy.bootloader
    pairs = range(len(boot.pairs))
    found = (each for count in range(len(pairs) + 1) for each in combinations(pairs, count))
    copied = frozenset(pair for pair in pairs if boot.pairs[pair].copied)
    return tuple(each for each in found if copied.isdisjoint(each) or set(each) <= copied)


def _pending(pairs: tuple[int, ...]) -> Pending:
    return tuple((pair, NEW, False) for pair in pairs)


def _which(policy: Policy, name: str, pairs: tuple[int, ...]) -> tuple[tuple[str, Detail], ...]:
    """Numbers of image pairs, told where there are several."""
    return ((name, " ".join(map(str, pairs))),) if policy.bootloader.images else ()


def _move(policy: Policy, record: SessionRecord, pairs: tuple[int, ...], named: tuple[int, ...]) -> Move:
    """Coming up with these pairs just started, and a record that expects `named`, or as its class says."""
    pending = _pending(pairs)
    # In the classes "old" stands for the image that runs and "other" for one that does not.
    expected = record.expected
    if expected == _RUNS:
        expected = tuple((pair, NEW) for pair in named) or _RUNS
    word = expected[0][1].decode() if expected else None
    transition = next((way.index for way in policy.transitions if entry_at(policy, way.index) == record.entry), None)
    return Move(
        name=LEFT_BEHIND,
        details=(
            ("record", record.mode),
            ("proof", None if record.proof is None else record.proof.value),
            ("same_policy", record.policy != _ANOTHER),
            ("expected", word),
            ("limited", record.images is not None),
            ("ending", record.ending),
            ("timed", record.lease_ms is not None),
            ("transition", transition),
            ("trial", bool(pending)),
            *_which(policy, "trials", pairs),
            *_which(policy, "expects", tuple(pair for pair, _ in expected)),
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
    """One record of each class; `expected` is OLD for what runs, whichever it is, OTHER for another image."""
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
        record = SessionRecord(policy=_ANOTHER, mode=mode, proof=proof, expected=_RUNS)
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
        record = _limited(SessionRecord(policy=digest, mode=mode, proof=ProofKind.CHALLENGE, expected=_RUNS))
        if not serves:
            yield record
            continue
        yield replace(record, expected=((0, OTHER),))
        yield replace(record, expected=())
        yield replace(record, ending=True)
        yield replace(record, expected=(), ending=True)
