"""`keyswitch keys new`: keys of each kind, never overwritten, never readable by others."""

import stat
from pathlib import Path

import pytest
from tests.cli.policy_commands import Run, run
from tests.policy.samples import PUMP_FILE

from keyswitch.exits import Exit
from keyswitch.policy.bootloader import boot_config_of
from keyswitch.policy.fingerprints import missing_key_files
from keyswitch.policy.load import read_policy
from keyswitch.policy.secrets import read_private_key, read_public_key, read_secret, read_secret_file
from keyswitch.proof.permit import public_key

__all__ = ["run"]


def test_a_pair_for_permits(run: Run, tmp_path: Path) -> None:
    ran = run("keys", "new", tmp_path / "deep" / "ann.pem")
    assert ran.code == Exit.YES
    private, public = tmp_path / "deep" / "ann.pem", tmp_path / "deep" / "ann.pub.pem"
    assert public_key(read_private_key(private)) == read_public_key(public)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert "keep it secret" in ran.out


def test_a_shared_secret(run: Run, tmp_path: Path) -> None:
    run("keys", "new", tmp_path / "a.hmac", "--kind", "secret")
    run("keys", "new", tmp_path / "b.hmac", "--kind", "secret")
    assert read_secret_file(tmp_path / "a.hmac") != read_secret_file(tmp_path / "b.hmac")


def test_a_pair_for_images(run: Run, tmp_path: Path) -> None:
    assert run("keys", "new", tmp_path / "root.pem", "--kind", "image").code == Exit.YES
    assert "BEGIN PUBLIC KEY" in (tmp_path / "root.pub.pem").read_text()


@pytest.mark.parametrize("there", ["k.pem", "k.pub.pem"])
def test_nothing_is_overwritten(run: Run, tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    ran = run("keys", "new", tmp_path / "k.pem")
    assert ran.code == Exit.USAGE
    assert "is there already" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == [there]


def test_a_place_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = run("keys", "new", tmp_path / "file" / "k.pem")
    assert ran.code == Exit.USAGE
    assert ran.err.count("\n") == 1


def test_the_shipped_example_has_its_keys_by_one_command(run: Run, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_bytes(PUMP_FILE.read_bytes())
    assert missing_key_files(read_policy(policy))
    assert run("keys", "make", policy).code == Exit.YES
    rules = read_policy(policy)
    assert missing_key_files(rules) == ()
    assert len(read_secret(rules)) == 32
    assert boot_config_of(rules).keys
    made = {path: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    assert {path.name for path in made} == {"pump7.hmac", "root-ec-p256.pem", "root-ec-p256.pub.pem"}
    ran = run("keys", "make", policy)
    assert (ran.code, ran.out) == (Exit.YES, f"{policy}: every key that it names is there\n")
    assert {path: path.read_bytes() for path in made} == made


def test_a_key_whose_private_part_has_no_name_is_not_made(run: Run, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(PUMP_FILE.read_text("utf-8").replace("root-ec-p256.pub.pem", "root.der"), "utf-8")
    ran = run("keys", "make", policy)
    assert ran.code == Exit.USAGE
    assert "bootloader.key" in ran.err
    assert not (tmp_path / "keys").exists()
