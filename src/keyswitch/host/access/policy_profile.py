"""What a policy file tells the operator of one of our own devices: which mode, which proof, which images, who confirms.

The device decides by its own copy of the file; the operator only plans with it, and compares the two digests.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from keyswitch.errors import Field, InputError, Phrase
from keyswitch.files.reading import read_file
from keyswitch.host.access.by_hand import by_hand
from keyswitch.host.access.credentials import Credential, HeldPermit, Secret, Steps
from keyswitch.host.access.mode_group import Expected
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.policy.enums import Confirm, ProofKind
from keyswitch.policy.model import OnEnter, Policy
from keyswitch.policy.secrets import read_private_key, read_secret, read_secret_file
from keyswitch.proof.permit import PERMIT_FILE
from keyswitch.smp.groups.mode import POLICY_SIZE


def maintenance_mode(policy: Policy) -> str:
    """The mode to enter: the first maintenance mode that the `enter` command leads to.

    Raises:
        InputError: no command leads to one.
    """
    for way in policy.transitions:
        if isinstance(way.trigger, OnEnter) and policy.modes[way.target].maintenance:
            return way.target
    raise InputError(policy.origin, "no `enter` transition leads to a maintenance mode", "one, or another way in")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """Files to prove entry with; None: what the policy names.

    Attributes:
        secret: shared secret.
        permit: signed permission.
        holder: private key of the permit's holder (Ed25519, PEM).
    """

    secret: Path | None = None
    permit: Path | None = None
    holder: Path | None = None


def way_into(
    policy: Policy, *, to: str | None = None, keys: KeyFiles | None = None, held: bool = True
) -> ModeGroupStrategy:
    """The way into maintenance of the policy's device alone, by whatever the policy takes and the person has.

    Args:
        policy: of the device.
        to: the mode to enter, instead of the first maintenance mode.
        keys: files to prove entry with.
        held: they are here; False: somebody else has them, none is read, and nothing can be entered this way.

    Raises:
        InputError: there is no such mode or way, or a file cannot be used.
    """
    target = to or maintenance_mode(policy)
    if target not in policy.modes:
        raise InputError(Field("to"), f"the policy has no mode {target!r}", f"one of {', '.join(policy.modes)}")
    found = _credentials(policy, target, keys or KeyFiles()) if held else ()
    return ModeGroupStrategy(target, *found, expected=expected_of(policy))


def expected_of(policy: Policy) -> Expected:
    """What the policy's device tells of itself."""
    return Expected(device=policy.device.id, policy=policy.digest[:POLICY_SIZE], file=policy.file_digest[:POLICY_SIZE])


class ConfirmBy(StrEnum):
    """Who makes the new image stay."""

    OPERATOR = "operator"
    SELF = "self"
    """The application does; we wait for it."""


def confirm_by(policy: Policy) -> ConfirmBy:
    """Who confirms a new image."""
    return ConfirmBy.SELF if policy.update.confirm is Confirm.SELF else ConfirmBy.OPERATOR


def trial_ms(policy: Policy, mode: str) -> int | None:
    """How long a trial may be looked at in this mode before it must be confirmed; None if nothing ends it.

    Three quarters of the trial deadline, which counts from the boot, and of the idle time: the device is asked nothing
    meanwhile.
    """
    limits = (policy.update.trial_deadline_ms, policy.modes[mode].idle_ms)
    return min((limit * 3 // 4 for limit in limits if limit is not None), default=None)


def why_reverted(policy: Policy, new: Policy, mode: str) -> str | None:
    """Why an update in `mode` cannot be confirmed by firmware that brings the policy `new`; None: nothing here says so.

    What only the device will know then (whether its guards hold) is not asked.
    """
    if new.digest == policy.digest:
        return None
    there = new.modes.get(mode)
    if there is None or not there.maintenance:
        return f'it has no maintenance mode "{mode}"'
    if not any(way.target == mode for way in new.transitions):
        return f'no transition of it leads into "{mode}"'
    return None


def ways_in_words(policy: Policy, mode: str) -> str:
    """How a person gets from `mode` into maintenance, for a verdict's next step; empty if no way is known."""
    words: list[str] = []
    for way in policy.transitions:
        if mode in way.sources and policy.modes[way.target].maintenance and isinstance(way.trigger, OnEnter):
            when = ", once " + " and ".join(guard.words for guard in way.when) if way.when else ""
            words.append(f"`keyswitch update` enters {way.target} by {' or '.join(way.trigger.proofs)}{when}")
    if hand := by_hand(policy, mode):
        words.append(hand)
    return "; or ".join(words)


def _credentials(policy: Policy, target: str, keys: KeyFiles) -> list[Credential]:
    """The strongest first. The policy's own secret is read only where nothing else was given."""
    proofs = {
        proof
        for way in policy.transitions
        if way.target == target and isinstance(way.trigger, OnEnter)
        for proof in way.trigger.proofs
    }
    found: list[Credential] = []
    if keys.permit is not None:
        found.append(_held_permit(keys.permit, keys.holder))
    if keys.secret is not None:
        found.append(Secret(read_secret_file(keys.secret)))
    elif ProofKind.CHALLENGE in proofs and not found:
        found.append(Secret(read_secret(policy)))
    if ProofKind.SEQUENCE in proofs:
        found.append(Steps())
    if not any(credential.kind in proofs for credential in found):
        wanted = " or ".join(sorted(proofs)) or "no proof that can be sent"
        raise InputError(
            policy.origin, f"{target} is entered by {wanted}", Phrase("the key for it: {permit}, {secret}")
        )
    return found


def _held_permit(path: Path, holder: Path | None) -> HeldPermit:
    if holder is None:
        wanted = Phrase("{holder} KEY, the key that the permit names")
        raise InputError(Field("permit"), "a permit alone proves nothing", wanted)
    return HeldPermit(read_file(path, PERMIT_FILE), read_private_key(holder))
