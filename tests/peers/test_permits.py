"""Permits and pycose, each reading what the other wrote."""

import subprocess
from typing import Final

import cbor2
import pytest
from tests.proof.test_permit import ASKED, DATA, HOLDER, ISSUER, ISSUERS, PERMIT, STRANGER, public
from tests.rigs.places import REPOSITORY, SET_UP, need

from keyswitch.proof.permit import PermitFault, is_issued_by, sign, verify

PYTHON: Final = REPOSITORY / ".venv-cose" / "bin" / "python"
DRIVER: Final = REPOSITORY / "tests" / "rigs" / "drivers" / "cose_driver.py"

pytestmark = pytest.mark.peers


def pycose(*arguments: str) -> list[str]:
    need(None if PYTHON.exists() else f"{PYTHON} is missing: {SET_UP}")
    done = subprocess.run([PYTHON, DRIVER, *arguments], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.split()


def test_pycose_reads_our_permits() -> None:
    payload, right, eddsa = pycose("read", DATA.hex(), public(ISSUER).hex())
    assert (right, eddsa) == ("True", "True")
    claims = cbor2.loads(bytes.fromhex(payload))
    assert claims[3] == list(PERMIT.devices)
    assert claims[8] == {1: {1: 1, -1: 6, -2: PERMIT.holder}}


def test_pycose_refuses_our_permits_under_another_key() -> None:
    assert pycose("read", DATA.hex(), public(STRANGER).hex())[1] == "False"


def test_we_read_the_permits_of_pycose() -> None:
    claims = cbor2.loads(DATA[1:])[2]
    (made,) = pycose("make", claims.hex(), ISSUER.hex())
    data = bytes.fromhex(made)
    assert is_issued_by(data, public(ISSUER))
    assert verify(data, sign(HOLDER, ASKED, data), ASKED, ISSUERS, 1_500) == PERMIT


def test_we_refuse_the_permits_that_a_stranger_makes_with_pycose() -> None:
    (made,) = pycose("make", cbor2.loads(DATA[1:])[2].hex(), HOLDER.hex())
    data = bytes.fromhex(made)
    assert verify(data, sign(HOLDER, ASKED, data), ASKED, ISSUERS, 1_500) is PermitFault.ISSUER
