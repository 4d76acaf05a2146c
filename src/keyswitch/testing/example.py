"""The example policy as a device on disk: its text, wherever the package is, and keys of its own beside it."""

import importlib.resources
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy
from keyswitch.proof.challenge import SECRET_SIZE
from keyswitch.testing.imgtool import SigningKeys, keys_in, make_keys, sign

_IN_CHECKOUT: Final = Path(__file__).parents[3] / "examples" / "pump" / "policy.toml"
_PACKAGED: Final = importlib.resources.files("keyswitch.testing") / "pump.toml"
"""In a wheel (`pyproject.toml`, force-include)."""
_POLICY: Final = "policy.toml"
_KEYS: Final = "keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A policy with its keys.

    Attributes:
        policy_file: the policy.
        policy: the same, read.
        keys: that images are signed with.
    """

    policy_file: Path
    policy: Policy
    keys: SigningKeys

    def image(self, version: str) -> Path:
        """Where the signed image of this version lies, once it is made."""
        return self.policy_file.parent / f"firmware-{version}.signed.bin"

    def sign(self, payload: Path, version: str) -> Path:
        """A signed image of `payload`, beside the policy.

        Raises:
            InputError: the payload cannot be used.
        """
        to = self.image(version)
        sign(self.keys, payload, version, self.policy.bootloader.slot_size, to)
        return to


def example_policy() -> str:
    """The text of `examples/pump/policy.toml`."""
    return _PACKAGED.read_text("utf-8") if _PACKAGED.is_file() else _IN_CHECKOUT.read_text("utf-8")


def read_example(directory: Path) -> Example:
    """What `write_example` has written, here or in a copy of the directory."""
    policy_file = directory / _POLICY
    return Example(policy_file=policy_file, policy=read_policy(policy_file), keys=keys_in(directory / _KEYS))


def write_example(directory: Path, text: str | None = None) -> Example:
    """Write the example policy, and new keys for it, into `directory`.

    Args:
        directory: where nothing is yet.
        text: the policy, if it is to be another than the example; it must name the same keys.
    """
    (directory / _KEYS).mkdir(mode=0o700, parents=True)
    make_keys(directory / _KEYS)
    secret = directory / _KEYS / "pump7.hmac"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(SECRET_SIZE) + "\n")
    (directory / _POLICY).write_text(example_policy() if text is None else text)
    return read_example(directory)
