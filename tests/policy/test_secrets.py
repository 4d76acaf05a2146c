"""The secret: read only when it is safe, and never repeated in a message."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from tests.policy.samples import SMALL

from keyswitch.errors import InputError
from keyswitch.policy.load import load
from keyswitch.policy.secrets import read_issuers, read_private_key, read_public_key, read_secret, read_secret_file

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


# --- keys for permits -----------------------------------------------------------------------------------------------


def private_pem(key: Ed25519PrivateKey | EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    how = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()


def public_pem(key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


ED25519 = Ed25519PrivateKey.from_private_bytes(SECRET)
P256 = generate_private_key(SECP256R1())


def test_ed25519_keys_are_read(tmp_path: Path) -> None:
    assert read_private_key(written(tmp_path / "k", private_pem(ED25519))) == SECRET
    public = read_public_key(written(tmp_path / "p", public_pem(ED25519), 0o644))
    assert public == ED25519.public_key().public_bytes_raw()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "no private key"),
        (public_pem(ED25519), "no private key"),
        (private_pem(P256), "a key of another kind"),
        (private_pem(ED25519, b"pw"), "encrypted with a password"),
    ],
)
def test_what_is_no_private_key(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        read_private_key(written(tmp_path / "k", text))


def test_a_private_key_that_others_can_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="others can read it"):
        read_private_key(written(tmp_path / "k", private_pem(ED25519), 0o644))


@pytest.mark.parametrize(
    ("text", "line"),
    [("", "no public key"), (private_pem(ED25519), "no public key"), (public_pem(P256), "a key of another kind")],
)
def test_what_is_no_public_key(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        read_public_key(written(tmp_path / "p", text))


def test_issuers_are_read_when_they_are_needed(tmp_path: Path) -> None:
    policy = load((SMALL + '[entry.permit]\nissuers = ["a.pem"]\n').encode(), directory=tmp_path)
    with pytest.raises(InputError, match=r"a.pem: No such file"):
        read_issuers(policy)
    written(tmp_path / "a.pem", public_pem(ED25519))
    assert read_issuers(policy) == (ED25519.public_key().public_bytes_raw(),)
    with pytest.raises(InputError, match=r"entry.permit: missing"):
        read_issuers(load(SMALL.encode()))
