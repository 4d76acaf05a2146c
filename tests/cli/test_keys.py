"""`keyswitch keys new`: keys of each kind, never overwritten, never readable by others."""

import stat
from pathlib import Path

import pytest
from tests.cli.policy_commands import Run, run

from keyswitch.exits import Exit
from keyswitch.policy.secrets import read_private_key, read_public_key, read_secret_file
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
