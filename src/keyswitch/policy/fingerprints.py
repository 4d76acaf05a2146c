"""Which keys a policy's files hold, told beside its digest, which names none. Secrets are never opened.

A fingerprint is the SHA-256 of a public key: of its 32 bytes for an issuer of permits, whose first 8 bytes are what a
permit hints at; of the DER that MCUboot embeds for the image key, which is what an image's KEYHASH entry holds.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from keyswitch.errors import InputError
from keyswitch.policy.bootloader import keys_of
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_public_key


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFingerprints:
    """What a policy's public keys are.

    Attributes:
        issuers: of each issuer of permits, in hexadecimal; None where its file cannot be used.
        image_key: of the key that images are signed with; None where there is none, or its file cannot be used.
    """

    issuers: tuple[str | None, ...] = ()
    image_key: str | None = None


def fingerprints(policy: Policy) -> KeyFingerprints:
    """Read the public keys that the policy names; one that cannot be read is None."""
    permit = policy.entry.permit
    issuers = () if permit is None else tuple(_issuer(path) for path in permit.issuers)
    return KeyFingerprints(issuers=issuers, image_key=_image_key(policy))


def _issuer(path: Path) -> str | None:
    try:
        return hashlib.sha256(read_public_key(path)).hexdigest()
    except InputError:
        return None


def _image_key(policy: Policy) -> str | None:
    try:
        keys = keys_of(policy).keys
    except InputError:
        return None
    return hashlib.sha256(keys[0].der).hexdigest() if keys else None


def missing_key_files(policy: Policy) -> tuple[tuple[str, Path], ...]:
    """Key path and file of each key that the policy names and that is not there."""
    named: list[tuple[str, Path]] = []
    if policy.entry.challenge is not None:
        named.append(("entry.challenge.secret", policy.entry.challenge.secret))
    if policy.entry.permit is not None:
        named += [(f"entry.permit.issuers[{n}]", path) for n, path in enumerate(policy.entry.permit.issuers)]
    if policy.bootloader.key is not None:
        named.append(("bootloader.key", policy.bootloader.key))
    return tuple((where, path) for where, path in named if not path.exists())
