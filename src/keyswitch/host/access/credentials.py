"""What a person has to prove that they may enter: a shared secret, a permit and its holder's key, or nothing but steps.

Each makes its proof for a nonce that the device gave for this very request; secrets appear in no message.
"""

from typing import Protocol

from keyswitch.proof import challenge, fields


class Credential(Protocol):
    """What a person has to prove that they may enter."""

    @property
    def kind(self) -> str:
        """The kind of proof, as the device names it."""
        ...

    def fields(self, asked: challenge.Challenge, step: int) -> dict[str, object]:
        """The keys of the `enter` or `attach` request that carry the proof; `step` counts requests from 1."""
        ...


class Secret:
    """A shared secret, for entry by challenge."""

    kind = "challenge"

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def fields(self, asked: challenge.Challenge, step: int) -> dict[str, object]:
        """The HMAC over the device's nonce (`keyswitch.proof.challenge`)."""
        del step
        return {fields.MAC: challenge.make(self._secret, asked)}

    def __repr__(self) -> str:
        return "Secret(…)"


class HeldPermit:
    """A signed permission, and the key that it names as its holder's.

    Args:
        permit: its bytes.
        holder_key: Ed25519 private key, 32 bytes.
    """

    kind = "permit"

    def __init__(self, permit: bytes, holder_key: bytes) -> None:
        self._permit = permit
        self._holder_key = holder_key

    def fields(self, asked: challenge.Challenge, step: int) -> dict[str, object]:
        """The permit and the holder's signature over the device's nonce (`keyswitch.proof.permit`)."""
        from keyswitch.proof import permit  # noqa: PLC0415 - cryptography, only for who enters with one

        del step
        return {fields.PERMIT: self._permit, fields.SIGNATURE: permit.sign(self._holder_key, asked, self._permit)}

    def __repr__(self) -> str:
        return "HeldPermit(…)"


class Steps:
    """Numbered steps, without any key: they guard against accident alone."""

    kind = "sequence"

    def fields(self, asked: challenge.Challenge, step: int) -> dict[str, object]:
        """The step's number (`keyswitch.proof.sequence`)."""
        del asked
        return {fields.STEP: step}
