"""Reads and makes COSE_Sign1 with pycose. Run with the interpreter of .venv-cose; hexadecimal in, hexadecimal out.

cose_driver.py read MESSAGE PUBLIC_KEY      the payload, and whether the signature is right
cose_driver.py make PAYLOAD PRIVATE_KEY     a tagged message
"""

import sys

from pycose.algorithms import EdDSA
from pycose.headers import KID, Algorithm
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import CoseMessage, Sign1Message


def read(message: bytes, public_key: bytes) -> None:
    decoded = CoseMessage.decode(message)
    assert isinstance(decoded, Sign1Message)
    decoded.key = OKPKey(crv=Ed25519, x=public_key)
    sys.stdout.write(f"{decoded.payload.hex()} {decoded.verify_signature()} {decoded.phdr[Algorithm] is EdDSA}\n")


def make(payload: bytes, private_key: bytes) -> None:
    message = Sign1Message(phdr={Algorithm: EdDSA}, uhdr={KID: b"any"}, payload=payload)
    message.key = OKPKey(crv=Ed25519, d=private_key)
    sys.stdout.write(f"{message.encode().hex()}\n")


if __name__ == "__main__":
    _, verb, data, key = sys.argv
    {"read": read, "make": make}[verb](bytes.fromhex(data), bytes.fromhex(key))
