"""The secret: read only when it is safe, and never repeated in a message."""

from pathlib import Path

import pytest
from tests.policy.samples import SMALL

from keyswitch.errors import InputError
from keyswitch.policy.load import load
from keyswitch.policy.secrets import read_secret, read_secret_file

SECRET = bytes(range(32))


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_read(tmp_path: Path, end: str) -> None:
    assert read_secret_file(written(tmp_path / "s", SECRET.hex() + end)) == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o610])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InputError, match=rf"others can read it \(mode {mode:04o}\)"):
        read_secret_file(written(tmp_path / "s", SECRET.hex(), mode))


@pytest.mark.parametrize("text", ["", "zz" * 32, SECRET.hex()[:-2], SECRET.hex() + "00", "é" * 32])
def test_what_is_no_secret_is_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="no secret") as caught:
        read_secret_file(written(tmp_path / "s", text))
    assert not text or text not in str(caught.value)


def test_a_missing_secret_matters_only_to_who_needs_it(tmp_path: Path) -> None:
    policy = load(SMALL.encode(), directory=tmp_path)
    with pytest.raises(InputError, match=r"secret.hmac: No such file"):
        read_secret(policy)
    written(tmp_path / "secret.hmac", SECRET.hex())
    assert read_secret(policy) == SECRET


def test_a_policy_without_challenge_has_no_secret() -> None:
    text = SMALL.replace('[entry.challenge]\nsecret = "secret.hmac"', "[entry.sequence]").replace(
        "challenge", "sequence"
    )
    with pytest.raises(InputError, match=r"entry.challenge: missing"):
        read_secret(load(text.encode()))
