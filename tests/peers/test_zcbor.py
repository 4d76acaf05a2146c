"""README's warning, as long as it is true: west's zcbor does not start beside the cbor2 that Keyswitch needs."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-zcbor" / "bin" / "python"

pytestmark = pytest.mark.peers


def says(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False, timeout=50)


def test_zcbor_fails_beside_our_cbor2() -> None:
    """When this fails, zcbor has learned cbor2 6: take the warning out of README and CONTRIBUTING."""
    ours = says("import cbor2, importlib.metadata as m; print(m.version('cbor2'))")
    assert ours.stdout.startswith("6."), ours.stderr
    theirs = says("import zcbor")
    assert theirs.returncode != 0
    assert "from 'cbor2'" in theirs.stderr
    assert "cbor2 6 breaks" in (ROOT / "README.md").read_text("utf-8")
