"""What the demo needs on disk: a policy with its keys, and images signed with the demo's own key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyswitch.demo.images import flip_one_bit, make_payload
from keyswitch.errors import LocalError
from keyswitch.policy.model import Policy
from keyswitch.testing.example import write_example

OLD_VERSION: Final = "1.0.0"
NEW_VERSION: Final = "1.1.0"
BROKEN_VERSION: Final = "1.2.0"
TRIAL_VERSION: Final = "1.3.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The demo's files.

    Attributes:
        policy_file: the example pump's policy.
        policy: the same, read.
        state: directory of the device.
        old: runs at first.
        new: what the update installs.
        broken: a later version with one bit of its firmware changed after signing.
        flipped: byte offset of that bit in `broken`.
        never_confirmed: a later version; good, but nobody confirms it.
    """

    policy_file: Path
    policy: Policy
    state: Path
    old: Path
    new: Path
    broken: Path
    flipped: int
    never_confirmed: Path

    @property
    def trial_deadline_ms(self) -> int:
        """How long the policy lets an image be on trial.

        Raises:
            LocalError: for ever: the example is another one than the story is about.
        """
        deadline_ms = self.policy.update.trial_deadline_ms
        if deadline_ms is None:
            raise LocalError(f"{self.policy_file}: no update.trial_deadline_s")
        return deadline_ms


def make(directory: Path, payload: Path | None = None) -> Workshop:
    """Make everything in `directory`.

    Args:
        directory: empty.
        payload: a person's own firmware binary; None: the demo makes one up.

    Raises:
        InputError: the payload cannot be used.
    """
    example = write_example(directory)
    if payload is None:
        payload = directory / "firmware.bin"
        make_payload(payload, seed=1)
    versions = (OLD_VERSION, NEW_VERSION, BROKEN_VERSION, TRIAL_VERSION)
    old, new, good, trial = (example.sign(payload, version) for version in versions)
    broken = directory / "one-bit-flipped.signed.bin"
    return Workshop(
        policy_file=example.policy_file,
        policy=example.policy,
        state=directory / "state",
        old=old,
        new=new,
        broken=broken,
        flipped=flip_one_bit(good, broken),
        never_confirmed=trial,
    )
