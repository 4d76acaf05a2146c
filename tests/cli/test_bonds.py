"""`keyswitch bonds`: what is listed, without keys; what is removed, and what is not ours to remove."""

import asyncio
import json
from functools import partial
from pathlib import Path

import pytest
from bumble.keys import PairingKeys
from tests.cli.ended import ended as command_ended
from tests.docs.json_reference import PRINTED
from tests.shapes import faults

from keyswitch.exits import Exit
from keyswitch.link.bumble.bonds import Bonds
from keyswitch.schema.output import SCHEMA_VERSION

KEY = bytes(range(16))
PEERS = {"C0:00:00:00:00:01": True, "00:11:22:33:44:55/P": False}

ended = partial(command_ended, "bonds")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bonds.json"
    store = Bonds("C8:00:00:00:00:01", save=lambda document: path.write_bytes(document) and None)

    async def fill() -> None:
        for peer, authenticated in PEERS.items():
            await store.update(peer, PairingKeys(ltk=PairingKeys.Key(value=KEY, authenticated=authenticated)))

    asyncio.run(fill())
    return path


def test_listed_without_keys(file: Path, capsys: pytest.CaptureFixture[str]):
    assert ended("list", str(file)) == Exit.YES
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "C0:00:00:00:00:01    authenticated  as C8:00:00:00:00:01",
        "00:11:22:33:44:55/P  encrypted      as C8:00:00:00:00:01",
    ]
    assert ended("list", str(file), "--json") == Exit.YES
    out += capsys.readouterr().out
    told = json.loads(out.splitlines()[-1])
    assert told.pop("schema_version") == SCHEMA_VERSION
    assert faults(told, *PRINTED["keyswitch bonds list"]) == []
    assert told["security"] == "encrypted"
    assert KEY.hex() not in out


def test_removed(file: Path, capsys: pytest.CaptureFixture[str]):
    assert ended("remove", str(file), "00:11:22:33:44:55") == Exit.YES
    assert capsys.readouterr().out.splitlines()[0] == "removed: 00:11:22:33:44:55/P"
    assert ended("remove", str(file), "00:11:22:33:44:55") == Exit.NO
    assert ended("remove", str(file), "c0:00:00:00:00:01") == Exit.YES
    capsys.readouterr()
    assert ended("list", str(file)) == Exit.NO
    assert capsys.readouterr().out == "no pairings\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_device_alone_writes_its_bonds(file: Path, capsys: pytest.CaptureFixture[str]):
    before = file.read_bytes()
    for name in ("flash.bin", "lock"):
        (file.parent / name).touch()
    assert ended("remove", str(file), "C0:00:00:00:00:01") == Exit.USAGE
    assert "these are a device's own bonds" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert ended("list", str(file)) == Exit.YES


@pytest.mark.parametrize("text", ["{}", "not JSON", '{"schema": 2}'])
def test_what_is_no_store_of_bonds(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "bonds.json"
    path.write_text(text)
    assert ended("list", str(path)) == Exit.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1
