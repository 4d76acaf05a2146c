"""The known answers in the docs are what Python says today. That the C core says the same: `make test-firmware`."""

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.firmware import vectors

from keyswitch.proof import challenge
from keyswitch.proof.permit import Permit, public_key, verify


def test_the_file_is_what_python_says() -> None:
    assert vectors.FILE.read_text("utf-8") == vectors.text(), "python -m tests.firmware.vectors"


def test_proofs_are_those_of_operators() -> None:
    for each in json.loads(vectors.FILE.read_text("utf-8"))["proofs"]:
        asked = challenge.Challenge(
            nonce=bytes.fromhex(each["nonce"]),
            device=each["device"],
            mode=each["mode"],
            purpose=challenge.Purpose(each["purpose"]),
            session=bytes.fromhex(each["session"]),
        )
        assert challenge.verify(bytes.fromhex(each["secret"]), asked, bytes.fromhex(each["mac"]))


def test_permits_are_those_of_operators() -> None:
    """By the public keys alone: the message is the one that the holder's signature is over."""
    for each in json.loads(vectors.FILE.read_text("utf-8"))["permits"]:
        told = {key: bytes.fromhex(each[key]) for key in ("issuer_key", "holder_key", "permit", "message", "sig")}
        Ed25519PublicKey.from_public_bytes(public_key(told["holder_key"])).verify(told["sig"], told["message"])
        asked = challenge.Challenge(
            nonce=bytes.fromhex(each["nonce"]),
            device=each["device"],
            mode=each["mode"],
            purpose=challenge.Purpose(each["purpose"]),
            session=bytes.fromhex(each["session"]),
        )
        issuers = [public_key(told["issuer_key"])]
        found = verify(told["permit"], told["sig"], asked, issuers, each["clock_s"])
        assert isinstance(found, Permit)
        assert (found.id.hex(), found.uses) == (each["id"], each["uses"])
        assert sorted(image.hex() for image in found.images or ()) == each["images"]
