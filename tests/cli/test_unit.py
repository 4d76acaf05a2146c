"""`keyswitch unit`: each unit's secrets in a file of its owner's, and in no table; one line for what cannot be."""

from pathlib import Path

import pytest
from tests.cli.policy_commands import Run, run
from tests.policy.test_unit_data import records

from keyswitch.exits import Exit
from keyswitch.policy.unit_data import from_bytes

__all__ = ["run"]

POLICY = """schema = 1
[device]
name = "Unit"
initial_mode = "work"
[modes.work]
allow = ["mode"]
[modes.service]
maintenance = true
allow = ["os", "image", "mode"]
lease_s = 60
[entry.challenge]
secret = "product.hmac"
[[transitions]]
from = ["work"]
to = "service"
on = "enter"
proofs = ["challenge"]
"""
SECRET = "ab" * 32


def secret(path: Path, digits: str) -> None:
    path.write_text(digits + "\n")
    path.chmod(0o600)


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A product with two units."""
    (tmp_path / "policy.toml").write_text(POLICY)
    secret(tmp_path / "product.hmac", "cd" * 32)
    secret(tmp_path / "p-2.hmac", SECRET)
    (tmp_path / "units.csv").write_text("id,secret\nP-1,\nP-2,p-2.hmac\n")
    return tmp_path


def test_a_unit_of_an_inventory(run: Run, line: Path) -> None:
    out = line / "out" / "p-2.hex"
    asked = ("unit", "make", line / "policy.toml", "--inventory", line / "units.csv", "--unit", "P-2")
    ran = run(*asked, "--address", "0xFE000", "-o", out)
    assert ran.code == Exit.YES, ran.err
    assert "unit 'P-2', a secret, no issuers; 50 bytes at 0xfe000; keep it secret" in ran.out
    assert SECRET not in ran.out + ran.err
    assert out.stat().st_mode & 0o777 == 0o600
    found = records(out.read_text())
    assert min(found) == 0xFE000
    unit = from_bytes(bytes(found[each] for each in sorted(found)))
    assert unit is not None
    assert (unit.id, unit.secret) == ("P-2", bytes.fromhex(SECRET))
    # Nothing is overwritten; and what it is can be asked, without its secret.
    again = run(*asked, "--address", "0xFE000", "-o", out)
    assert again.code == Exit.USAGE
    assert "is there already" in again.err
    shown = run("unit", "show", out)
    assert shown.code == Exit.YES
    assert shown.out == f"{out}: unit 'P-2', a secret, no issuers\n"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--unit", "P-2"), "--unit: means nothing without an inventory"),
        (("--inventory", "units.csv", "--unit", "P-3"), "has no unit 'P-3'"),
        (("--inventory", "units.csv"), "2 units"),
        (("--inventory", "none.csv"), "none.csv"),
    ],
)
def test_what_cannot_be_is_one_line(run: Run, line: Path, more: tuple[str, ...], told: str) -> None:
    named = [str(line / each) if each.endswith(".csv") else each for each in more]
    ran = run("unit", "make", line / "policy.toml", *named, "--address", "0", "-o", line / "x.hex")
    assert ran.code == Exit.USAGE
    assert told in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (line / "x.hex").exists()


@pytest.mark.parametrize("address", ["", "here", "0xFFFFFFFF", "-1"])
def test_an_address_that_is_none(run: Run, line: Path, address: str) -> None:
    ran = run("unit", "make", line / "policy.toml", f"--address={address}", "-o", line / "x.hex")
    assert ran.code == Exit.USAGE
    assert len(ran.err.splitlines()) == 1
    assert not (line / "x.hex").exists()


def test_a_secret_that_others_can_read(run: Run, line: Path) -> None:
    (line / "product.hmac").chmod(0o644)
    ran = run("unit", "make", line / "policy.toml", "--address", "0", "-o", line / "x.hex")
    assert ran.code == Exit.USAGE
    assert "others can read it" in ran.err
