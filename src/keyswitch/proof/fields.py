"""The words of the `enter` and `attach` requests that carry a proof (mode group, commands 2 and 3).

    proof       further keys
    challenge   mac: 32 bytes, HMAC-SHA256 (`proof.challenge`)
    permit      permit: COSE_Sign1 bytes; sig: 64 bytes, the holder's Ed25519 signature (`proof.permit`)
    sequence    step: unsigned, 1 for the first (`proof.sequence`)

Each proof but `sequence` answers a nonce that the same peer was given by the `challenge` command just before.
"""

from typing import Final

PROOF: Final = "proof"
MAC: Final = "mac"
PERMIT: Final = "permit"
SIGNATURE: Final = "sig"
STEP: Final = "step"
