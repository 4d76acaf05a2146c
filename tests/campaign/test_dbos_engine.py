"""Where a campaign's database may lie."""

from pathlib import Path

import pytest

from keyswitch.campaign.dbos_engine import NETWORK_FILE_SYSTEMS, open_store, refuse_network
from keyswitch.errors import InputError

LOCAL = "/dev/sda1 / ext4 rw 0 0\n"


@pytest.mark.parametrize("kind", sorted(NETWORK_FILE_SYSTEMS))
def test_a_network_file_system_is_refused(tmp_path: Path, kind: str):
    mounts = f"{LOCAL}server:/x {tmp_path.resolve()} {kind} rw 0 0\n"
    with pytest.raises(InputError, match="SQLite on a network file system"):
        refuse_network(tmp_path / "campaign.sqlite", mounts)
    refuse_network(tmp_path.parent / "campaign.sqlite", mounts)


def test_what_is_mounted_later_and_deeper_counts(tmp_path: Path):
    here = tmp_path.resolve()
    deeper = f"{LOCAL}server:/x {here.parent} nfs rw 0 0\n/dev/sdb1 {here} ext4 rw 0 0\n"
    refuse_network(tmp_path / "campaign.sqlite", deeper)
    refuse_network(tmp_path / "campaign.sqlite", LOCAL + "broken\n\n")


def test_a_database_that_is_still_empty_has_no_flows(tmp_path: Path):
    """Killed before the engine had made its tables: the campaign has not begun."""
    with open_store(tmp_path / "campaign.sqlite") as store:
        assert store.flows() == {}


def test_what_is_no_database_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    path = tmp_path / "campaign.sqlite"
    path.write_bytes(b"x" * 5000)
    path.chmod(0o600)
    with pytest.raises(InputError, match=r"campaign\.sqlite: file is not a database"), open_store(path):
        pass
    assert capfd.readouterr() == ("", "")
