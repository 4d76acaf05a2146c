"""Gateways on a real PostgreSQL, with devices over UDP, in real time: `make test-campaign`."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.campaign.postgresql import server
from tests.campaign.test_campaigns import (
    IDLE_MS,
    SECRET_FILES,
    asked,
    campaign,
    command,
    no_secret_in,
    outcomes,
    started,
    updated_once,
    updated_right,
    wait_for,
)
from tests.campaign.tray import Unit, tray, write_campaign

from keyswitch.app.request import UpdateRequest
from keyswitch.campaign.engine import FLOWS_VERSION
from keyswitch.campaign.gateways import here, there
from keyswitch.campaign.model import CampaignDevice, CampaignFiles
from keyswitch.demo.workshop import Workshop
from keyswitch.exits import Exit
from keyswitch.host.report.evidence_file import read_journal

pytestmark = pytest.mark.campaign

LATE_MS = 300_000
"""A sign of life is younger here, however busy this machine is."""


@contextlib.contextmanager
def gateway(
    name: str, url: str, directory: Path, *, point: str = "", devices: str = "*"
) -> Generator["subprocess.Popen[str]"]:
    """A gateway that is ready; killed with the test. At `point`, of an update of these devices, it kills itself."""
    directory.mkdir(exist_ok=True)
    module = ["-m", "tests.campaign.killed_gateway", point, devices] if point else ["-m", "keyswitch"]
    command = [sys.executable, *module, "gateway", name, "--database", url, "--directory", str(directory), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            wait_for(running, "gateway_ready")
            yield running
        finally:
            running.kill()


def check_chains(file: Path, units: list[Unit], directory: Path, gateways: list[str]) -> None:
    """Each chain lies whole with its gateway, and the campaign's record names the head of each."""
    record = [json.loads(line) for line in CampaignFiles.of(file).record.read_text().splitlines()]
    heads = next(each for each in record if each["kind"] == "campaign ended")["body"]["devices"]
    for number, unit in enumerate(units):
        chain = directory / gateways[number % len(gateways)] / "tray.campaign" / "evidence" / f"{unit.id}.jsonl"
        checked = read_journal(chain)
        assert not checked.findings
        assert heads[unit.id]["head"] == {"n": checked.head.n, "hash": checked.head.hash}


def test_gateways_share_a_campaign_and_one_that_dies_takes_up_its_own(tmp_path: Path, pump: Workshop):
    """Four devices at two gateways, canary first; one gateway dies in an upload and comes back."""
    with server() as postgresql, tray(pump, tmp_path, 4) as units:
        url = postgresql.url("pumps")
        store = ("--database", url)
        more = "[waves]\ncounts = [1]\n"
        file = write_campaign(tmp_path, pump, units, more, concurrency=4, gateways=["north", "south"])
        assert asked("run", file)[0] == Exit.USAGE, "no database"
        assert asked("run", file, *store)[0] == Exit.USAGE, "a gateway that nobody has seen"
        with gateway("north", url, tmp_path / "north"):
            code, told = asked("plan", file, *store)
            assert (code, [each["gateway"] for each in told[:2]]) == (Exit.NO, ["north", "south"])
            assert (told[0]["refused"], told[0]["gateway_seen_ms"] < LATE_MS) == (None, True)
            assert told[1]["refused"] == "gateway south was never seen in this database"
            with gateway("south", url, tmp_path / "south", point="in the upload") as south:
                running = started(file, *store)
                assert south.wait(120) == -signal.SIGKILL
            for unit in units:
                unit.time_passes(IDLE_MS)  # the session that the dead gateway has left ends
            status = asked("status", file, *store)[1]
            assert status[-1]["state"] == "running"
            with gateway("south", url, tmp_path / "south"):
                out, _ = running.communicate(timeout=200)
        assert (running.returncode, outcomes(json.loads(out.splitlines()[-1]))) == (Exit.YES, {"confirmed": 4})
        assert all(updated_once(unit) for unit in units)
        check_chains(file, units, tmp_path, ["north", "south"])


@contextlib.contextmanager
def says_version(database: "psycopg.Connection[Any]", name: str, version: str) -> Generator[None]:
    """Meanwhile the gateway of this name says another version, however often it says that it is there."""
    begun = """
        CREATE FUNCTION keyswitch.of_version() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN NEW.version := {version}; RETURN NEW; END $$;
        CREATE TRIGGER of_version BEFORE INSERT OR UPDATE ON keyswitch.gateways
            FOR EACH ROW WHEN (NEW.name = {name}) EXECUTE FUNCTION keyswitch.of_version();
        UPDATE keyswitch.gateways SET seen_at = seen_at WHERE name = {name}
    """
    ended = """
        DROP FUNCTION keyswitch.of_version() CASCADE;
        UPDATE keyswitch.gateways SET version = {version} WHERE name = {name}
    """
    database.execute(sql.SQL(begun).format(name=sql.Literal(name), version=sql.Literal(version)))
    yield
    database.execute(sql.SQL(ended).format(name=sql.Literal(name), version=sql.Literal(FLOWS_VERSION)))


def test_another_gateway_takes_over_on_a_persons_word_and_skew_is_refused(tmp_path: Path, pump: Workshop):
    with server() as postgresql, tray(pump, tmp_path, 2) as units:
        url = postgresql.url("pumps")
        store = ("--database", url)
        file = write_campaign(tmp_path, pump, units, concurrency=2, gateways=["north"])
        with gateway("south", url, tmp_path / "south"):
            with gateway("north", url, tmp_path / "north", point="at enter") as north:
                second = [sys.executable, "-m", "keyswitch", "gateway", "north", "--database", url]
                refused = subprocess.run(second, capture_output=True, text=True, check=False)
                assert (refused.returncode, refused.stderr) == (
                    Exit.USAGE,
                    "keyswitch: gateway north: another process has this name in the database (expected another name)\n",
                )
                running = started(file, *store)
                assert north.wait(120) == -signal.SIGKILL
            assert asked("retry", file, *store, "--from", "north", "--to", "south")[0] == Exit.USAGE, "not silent yet"
            with psycopg.connect(url, autocommit=True) as database:
                database.execute(
                    "UPDATE keyswitch.gateways SET seen_at = now() - interval '1 hour' WHERE name = 'north'"
                )
                with says_version(database, "south", "1"):
                    assert asked("retry", file, *store, "--from", "north", "--to", "south")[0] == Exit.USAGE, "skew"
            for unit in units:
                unit.time_passes(IDLE_MS)
            code, told = asked("retry", file, *store, "--from", "north", "--to", "south")
            assert (code, told[-1]["attempts"]) == (Exit.YES, 2)
            out, _ = running.communicate(timeout=200)
        assert (running.returncode, outcomes(json.loads(out.splitlines()[-1]))) == (Exit.YES, {"confirmed": 2})
        assert all(updated_once(unit) for unit in units)
        kinds = [json.loads(line)["kind"] for line in CampaignFiles.of(file).record.read_text().splitlines()]
        assert "gateway replaced" in kinds
        with psycopg.connect(url, autocommit=True) as database:
            database.execute("UPDATE keyswitch.gateways SET version = '1' WHERE name = 'north'")
        again = write_campaign(tmp_path, pump, units, gateways=["north"])
        again = again.rename(tmp_path / "again.toml")
        again.write_text(again.read_text().replace('name = "tray"', 'name = "again"'))
        code, _, said = campaign("run", again, *store)
        assert (code, "gateway north: its keyswitch carries out version 1 of campaigns; this one has 2" in said) == (
            Exit.USAGE,
            True,
        )


def test_a_campaign_whose_gateway_is_gone_can_be_aborted_and_a_gateway_that_is_ended_takes_up_its_own(
    tmp_path: Path, pump: Workshop
):
    with server() as postgresql, tray(pump, tmp_path, 1) as units, contextlib.ExitStack() as stack:
        url = postgresql.url("pumps")
        store = ("--database", url)
        file = write_campaign(tmp_path, pump, units, gateways=["north"])
        with gateway("north", url, tmp_path / "north", point="at enter") as north:
            running = stack.enter_context(started(file, *store))
            assert north.wait(120) == -signal.SIGKILL
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == Exit.INTERRUPTED
        code, told = asked("abort", file, *store)
        assert (code, told[-1]["state"]) == (Exit.NO, "aborted")
        again = write_campaign(tmp_path, pump, units, gateways=["north"]).rename(tmp_path / "again.toml")
        again.write_text(again.read_text().replace('name = "tray"', 'name = "again"'))
        units[0].time_passes(IDLE_MS)
        with gateway("north", url, tmp_path / "north") as north:
            running = stack.enter_context(started(again, *store))
            wait_for(north, "device_begun")
            north.send_signal(signal.SIGINT)
            assert north.wait(60) == Exit.INTERRUPTED
        units[0].time_passes(IDLE_MS)
        with gateway("north", url, tmp_path / "north"):
            out, said = running.communicate(timeout=200)
        assert outcomes(json.loads(out.splitlines()[-1])) == {"confirmed": 1}, said
        assert updated_right(units[0], on_trial=True)


def test_no_secret_leaves_a_gateway(tmp_path: Path, pump: Workshop):
    """Not in what it or the campaign writes, nor the server's tables and log, nor the list of processes."""
    secret = (pump.policy_file.parent / SECRET_FILES[0]).read_text().strip()
    with server() as postgresql, tray(pump, tmp_path, 1) as units:
        url, seen = postgresql.url("pumps"), tmp_path / "seen.bin"
        look = f"sh -c 'cat /proc/[0-9]*/cmdline /proc/$PPID/environ > {seen} 2> /dev/null; true'"
        file = write_campaign(tmp_path, pump, units, health=look, gateways=["north"])
        with gateway("north", url, tmp_path / "north") as north:
            code, told, said = campaign("run", file, "--database", url)
            assert (code, outcomes(told[-1])) == (Exit.YES, {"confirmed": 1}), said
            north.send_signal(signal.SIGINT)
            assert north.stdout is not None
            printed = north.stdout.read() + json.dumps(told) + said
        with psycopg.connect(url, autocommit=True) as database:
            names = database.execute(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^pg_'"
            ).fetchall()
            queries = [sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(*name)) for name in names]
            rows = [row for query in queries for (row,) in database.execute(query).fetchall()]
        tables, log = "\n".join(rows), (postgresql.directory / "log").read_text()
        assert "confirmed" in tables
        assert b"gateway" in seen.read_bytes()
        for text in (tables, log, printed, seen.read_bytes().decode("latin-1")):
            assert secret not in text
            assert bytes.fromhex(secret).decode("latin-1") not in text
        no_secret_in(tmp_path / "north", pump)
        no_secret_in(CampaignFiles.of(file).directory, pump)


POINTS = ("controller", "gateway at enter", "gateway in the upload", "gateway at reset", "server away")


@pytest.mark.parametrize("point", POINTS)
def test_twenty_devices_at_two_gateways_survive(point: str, tmp_path: Path, pump: Workshop):
    """The process that dies is started again; the server comes back after half a minute."""
    with server() as postgresql, tray(pump, tmp_path, 20) as units, contextlib.ExitStack() as stack:
        url = postgresql.url("pumps")
        store = ("--database", url)
        file = write_campaign(tmp_path, pump, units, concurrency=4, gateways=["north", "south"])
        who, _, where = point.partition(" ")
        stack.enter_context(gateway("north", url, tmp_path / "north"))
        south = stack.enter_context(gateway("south", url, tmp_path / "south", point=where if who == "gateway" else ""))
        running = stack.enter_context(started(file, *store))
        wait_for(running, "device_begun")
        if who == "controller":
            wait_for(running, "device_ended")
            running.kill()
            running = stack.enter_context(
                subprocess.Popen(
                    command("resume", file, "--json", *store), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
            )
        elif who == "gateway":
            assert south.wait(120) == -signal.SIGKILL
            for unit in units[1::2]:  # those of the dead one; whichever of them was on trial goes back
                unit.time_passes(IDLE_MS)
            stack.enter_context(gateway("south", url, tmp_path / "south"))
        else:
            postgresql.stop()
            time.sleep(30)
            postgresql.start()
        out, said = running.communicate(timeout=280)
        assert outcomes(json.loads(out.splitlines()[-1])) == {"confirmed": 20}, said
        for number, unit in enumerate(units):
            assert updated_right(unit, on_trial=who == "gateway" and number % 2 == 1), unit.id


def test_files_of_a_campaign_are_in_the_directory_of_the_gateway(tmp_path: Path):
    request = UpdateRequest(
        target="udp:h", image=tmp_path / "new.bin", keys=(tmp_path / "keys" / "a.pem", Path("/etc/b.pem"))
    )
    device = there(CampaignDevice(id="P", request=request, gateway="north"), tmp_path)
    assert device.request.image == Path("new.bin")
    assert here(device, Path("/srv")).request.keys == (Path("/srv/keys/a.pem"), Path("/etc/b.pem"))
    assert CampaignDevice.from_plain(device.to_plain()) == device
