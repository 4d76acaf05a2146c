"""The known answers in the docs are what Python says today. That the C core says the same: `make test-firmware`."""

import json

from tests.firmware import vectors

from keyswitch.proof import challenge


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
