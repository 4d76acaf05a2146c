"""`keyswitch permit`: issued, shown, and refused where it makes no sense."""

import json
import time
from pathlib import Path

import pytest
from tests.cli.policy_commands import Run, run
from tests.device.server_rig import image_hash, make_image
from tests.policy.samples import PUMP_FILE

from keyswitch.exits import Exit
from keyswitch.policy.secrets import read_private_key, read_public_key
from keyswitch.proof.challenge import Challenge
from keyswitch.proof.permit import Permit, public_key, sign, verify
from keyswitch.proof.permit import issue as sign_permit

__all__ = ["run"]


@pytest.fixture
def keys(run: Run, tmp_path: Path) -> Path:
    for name in ("issuer", "ann"):
        run("keys", "new", tmp_path / f"{name}.pem")
    return tmp_path


@pytest.fixture
def policy(keys: Path) -> Path:
    """The pump's, entered by a permit of our issuer."""
    text = PUMP_FILE.read_text("utf-8").replace('proofs = ["challenge"]', 'proofs = ["challenge", "permit"]')
    path = keys / "policy.toml"
    path.write_text(f'{text}\n[entry.permit]\nissuers = ["issuer.pub.pem"]\n', "utf-8")
    return path


def issue(run: Run, keys: Path, *more: object) -> Path:
    path = keys / "ann.permit"
    ran = run("permit", "issue", "--issuer", keys / "issuer.pem", "--holder", keys / "ann.pub.pem", "-o", path, *more)
    assert ran.code == Exit.YES, ran.err
    return path


def test_a_permit_opens_the_device_it_names(run: Run, keys: Path, policy: Path) -> None:
    data = issue(run, keys, "--policy", policy).read_bytes()
    asked = Challenge(nonce=bytes(16), device="Pump 7", mode="maintenance")
    signature = sign(read_private_key(keys / "ann.pem"), asked, data)
    now_s = int(time.time())
    found = verify(data, signature, asked, [read_public_key(keys / "issuer.pub.pem")], now_s)
    assert isinstance(found, Permit)
    assert (found.uses, found.images) == (1, None)
    assert found.expires_s is not None
    assert 86_390 < found.expires_s - now_s <= 86_400


def test_a_permit_is_shown(run: Run, keys: Path) -> None:
    image = keys / "new.bin"
    image.write_bytes(make_image())
    other = "ab" * 32
    path = issue(
        run, keys, "--device", "A", "--device", "B", "--mode", "service", "--uses", "5", "--days", "2",
        "--image", image, "--image", other, "--name", "Service, north",
    )  # fmt: skip
    ran = run("permit", "show", path, "--issuer", keys / "issuer.pub.pem")
    assert ran.code == Exit.YES
    assert "devices  A, B\n" in ran.out
    assert "issuer.pub.pem: yes" in ran.out
    told = json.loads(run("permit", "show", path, "--json").out)
    assert told["images"] == sorted([other, image_hash(image.read_bytes()).hex()])
    assert (told["mode"], told["uses"], told["issuer"], told["signed"]) == ("service", 5, "Service, north", None)


def test_a_permit_of_somebody_else_is_told(run: Run, keys: Path, policy: Path) -> None:
    path = issue(run, keys, "--policy", policy)
    ran = run("permit", "show", path, "--issuer", keys / "ann.pub.pem")
    assert ran.code == Exit.NO
    assert "ann.pub.pem: NO" in ran.out


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((), "--device: missing"),
        (("--device", "x"), "--mode: missing"),
        (("--device", "", "--mode", "x"), "--device: empty"),
        (("--device", "a", "--device", "", "--mode", "x"), "--device: empty"),
        (("--device", "x", "--mode", ""), "--mode: empty"),
        (("--policy", PUMP_FILE, "--device", ""), "--device: empty"),
        (("--policy", PUMP_FILE, "--image", "."), "not a regular file"),
        (("--policy", PUMP_FILE, "--image", ""), "not a regular file"),
        (("--policy", PUMP_FILE, "--image", "/dev/zero"), "not a regular file"),
        (("--policy", PUMP_FILE, "--image", "/proc/self/mem"), "/proc/self/mem: "),
        (("--policy", PUMP_FILE, "--image", "x" * 300), "neither a file nor an image hash"),
        (("--policy", PUMP_FILE, "--mode", "maintenence"), 'did you mean "maintenance"'),
        (("--policy", PUMP_FILE, "--image", "abcd"), "neither a file nor an image hash"),
        (("--policy", PUMP_FILE, "--image", PUMP_FILE), "policy.toml: "),
        (("--policy", PUMP_FILE, "--name", "x" * 1_000), "at most 1024"),
    ],
)
def test_what_cannot_be_issued(run: Run, keys: Path, policy: Path, options: tuple[object, ...], line: str) -> None:
    options = tuple(
        policy if each is PUMP_FILE and options[place - 1] == "--policy" else each for place, each in enumerate(options)
    )
    ran = run(
        "permit", "issue", "--issuer", keys / "issuer.pem", "--holder", keys / "ann.pub.pem", "-o", keys / "p", *options
    )
    assert ran.code == Exit.USAGE
    assert line in ran.err
    assert not (keys / "p").exists()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('["challenge", "permit"]', '["challenge"]', "transitions: no transition into maintenance takes a permit"),
        ("issuer.pub.pem", "ann.pub.pem", "entry.permit.issuers: the policy does not name the issuer, key "),
        ("issuer.pub.pem", "nobody.pub.pem", "nobody.pub.pem: "),
    ],
)
def test_what_the_policy_would_never_take_is_not_signed(
    run: Run, keys: Path, policy: Path, old: str, new: str, line: str
) -> None:
    policy.write_text(policy.read_text("utf-8").replace(old, new), "utf-8")
    ran = run(
        "permit", "issue", "--issuer", keys / "issuer.pem", "--holder", keys / "ann.pub.pem", "-o", keys / "p",
        "--policy", policy,
    )  # fmt: skip
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert line in ran.err
    assert not (keys / "p").exists()


def test_keys_of_the_wrong_kind(run: Run, keys: Path) -> None:
    ran = run(
        "permit", "issue", "--issuer", keys / "issuer.pub.pem", "--holder", keys / "ann.pub.pem",
        "--policy", PUMP_FILE, "-o", keys / "p",
    )  # fmt: skip
    assert ran.code == Exit.USAGE
    assert "others can read it" in ran.err


@pytest.mark.parametrize("expires_s", [253_402_300_799, 253_402_300_800, 2**63, 2**64 - 1])
def test_a_permit_of_any_length_is_shown(run: Run, tmp_path: Path, expires_s: int) -> None:
    holder = public_key(b"h" * 32)
    made = Permit(
        id=bytes(16), issuer="x", devices=("x",), mode="m", holder=holder, not_before_s=0, expires_s=expires_s, uses=1
    )
    path = tmp_path / "p"
    path.write_bytes(sign_permit(made, b"s" * 32))
    ran = run("permit", "show", path)
    assert ran.code == Exit.YES
    assert ("9999-12-31 23:59:59 UTC" if expires_s < 253_402_300_800 else f"{expires_s} s after 1970") in ran.out
    assert json.loads(run("permit", "show", path, "--json").out)["expires_s"] == expires_s


@pytest.mark.parametrize("content", [None, b"", b"\xd2\x84", bytes(2_000)])
def test_what_is_no_permit(run: Run, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "p"
    if content is not None:
        path.write_bytes(content)
    ran = run("permit", "show", path)
    assert ran.code == Exit.USAGE
    assert ran.err.count("\n") == 1
