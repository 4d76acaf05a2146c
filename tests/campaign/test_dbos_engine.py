"""Where a campaign's database may lie, and which one is used."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from dbos import _migration
from tests.cli.ended import ended

from keyswitch.campaign.dbos_engine import NETWORK_FILE_SYSTEMS, open_database, refuse_network
from keyswitch.campaign.dbos_tables import open_store
from keyswitch.campaign.dbos_version import KNOWN_TABLES, is_newer
from keyswitch.campaign.model import CampaignFiles
from keyswitch.campaign.postgresql import check_url
from keyswitch.errors import InputError
from keyswitch.exits import Exit

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
        assert store.flows("tray") == {}


def test_what_is_no_database_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    path = tmp_path / "campaign.sqlite"
    path.write_bytes(b"x" * 5000)
    path.chmod(0o600)
    with pytest.raises(InputError, match=r"campaign\.sqlite: file is not a database"), open_store(path) as store:
        store.flows("tray")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://h/x", "no PostgreSQL"),
        ("postgresql://h", "no PostgreSQL"),
        ("pumps.sqlite", "no PostgreSQL"),
        ("postgresql://me:secret@h/x", "a password stands in it"),
        ("postgresql:///x?host=/tmp&password=secret", "a password stands in it"),
    ],
)
def test_a_url_that_is_none_or_tells_a_password_is_refused(url: str, problem: str):
    with pytest.raises(InputError, match=problem) as refused:
        check_url(url)
    assert "secret" not in str(refused.value)
    check_url("postgresql://me@h:5433/x")
    check_url("postgresql:///x?host=/run/postgresql")


A_PICKLE = """
    CREATE TABLE workflow_status (workflow_uuid TEXT, status TEXT, application_version TEXT, executor_id TEXT);
    CREATE TABLE workflow_input (workflow_uuid TEXT, inputs TEXT);
    CREATE TABLE workflow_output (workflow_uuid TEXT, output TEXT, error TEXT);
    INSERT INTO workflow_status VALUES ('tray', 'PENDING', '2', 'bench');
    INSERT INTO workflow_input VALUES ('tray', 'gASV');
"""


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ("CREATE TABLE workflow_status (workflow_uuid TEXT)", "no such"),  # of another engine's version
        (A_PICKLE, "flow tray: what is kept of it is not JSON"),
    ],
)
def test_tables_that_are_not_ours_are_one_line(tmp_path: Path, tables: str, problem: str):
    path = tmp_path / "campaign.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(tables)
    path.chmod(0o600)
    with pytest.raises(InputError, match=problem) as refused, open_store(path) as store:
        store.flows("tray")
    assert "\n" not in str(refused.value)


def campaign_whose_tables_have(directory: Path, version: int) -> Path:
    """The file of a campaign whose database a dbos has made that counts so many changes of its tables."""
    file = directory / "tray.toml"
    file.write_text(
        '[campaign]\nname = "tray"\n[release]\nimage = "new.bin"\n[[device]]\nid = "P"\ntarget = "udp:127.0.0.1:9"\n'
    )
    path = CampaignFiles.of(file).database
    path.parent.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE dbos_migrations (version INTEGER)")
        database.execute("INSERT INTO dbos_migrations VALUES (?)", (version,))
        database.commit()
    path.chmod(0o600)
    return file


@pytest.mark.parametrize("words", ["run", "resume", "retry", "status", "pause", "abort", "approve"])
def test_what_a_newer_engine_has_made_is_one_line_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str
):
    file = campaign_whose_tables_have(tmp_path, len(_migration.sqlite_migrations) + 1)
    files = CampaignFiles.of(file)
    before = files.database.read_bytes()
    assert ended("campaign", words, str(file)) == Exit.USAGE
    problem = "a dbos newer than the one that is installed here has made its tables (expected that one, or a newer one)"
    assert capsys.readouterr().err == f"keyswitch: {files.database}: {problem}\n"
    assert files.database.read_bytes() == before
    assert not files.record.exists(), "nothing was asked for"
    with pytest.raises(InputError, match="newer than"), open_database(files.database):
        pass


@pytest.mark.parametrize("newer", [-1, 0])
def test_what_the_engine_that_is_installed_has_made_can_be_looked_at(tmp_path: Path, newer: int):
    file = campaign_whose_tables_have(tmp_path, len(_migration.sqlite_migrations) + newer)
    with open_store(CampaignFiles.of(file).database) as store:
        assert store.flows("tray") == {}


def test_the_tables_that_are_known_without_the_engine_are_its_own():
    """Behind it, each `status` imports the engine, which takes a second."""
    assert len(_migration.sqlite_migrations) == KNOWN_TABLES
    assert not is_newer(KNOWN_TABLES)
    assert is_newer(KNOWN_TABLES + 1)


def test_an_engine_that_does_not_say_which_tables_it_knows_is_believed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(_migration, "sqlite_migrations")
    assert not is_newer(KNOWN_TABLES + 1)
