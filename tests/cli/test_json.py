"""Whatever a command prints with `--json` has the shape that the reference has, and the version."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.cli.policy_commands import Run, run
from tests.device.server_rig import Rig
from tests.docs.json_reference import PANEL, PRINTED
from tests.mcuboot import imgtool_images as images
from tests.policy.samples import PUMP_FILE, ROOT
from tests.shapes import faults

from keyswitch.cli import panel
from keyswitch.exits import Exit
from keyswitch.host.report.evidence_file import append, close
from keyswitch.schema.output import SCHEMA_VERSION

__all__ = ["run"]

BROKEN = ROOT / "examples" / "broken"


def objects(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        told = json.loads(line)
        assert told.pop("schema_version") == SCHEMA_VERSION
        yield told


def test_the_prover(run: Run, tmp_path: Path) -> None:
    ran = run("check", BROKEN / "trap.toml", "--json")
    (told,) = objects(ran.out)
    assert told["violations"]
    assert faults(told, *PRINTED["keyswitch check"]) == []
    verdict = tmp_path / "verdict.json"
    verdict.write_text(ran.out)
    (told,) = objects(run("check", BROKEN / "trap.toml", "--replay", verdict, "--json").out)
    assert told["traces"]
    assert faults(told, *PRINTED["keyswitch check --replay"]) == []
    for command in ("os.reset", "shell"):
        (told,) = objects(run("explain", PUMP_FILE, "--mode", "normal", "--command", command, "--json").out)
        assert faults(told, *PRINTED["keyswitch explain"]) == []


@pytest.mark.parametrize("several", [False, True], ids=["image", "package"])
def test_images(run: Run, tmp_path: Path, several: bool) -> None:
    one = tmp_path / ("app.zip" if several else "app.bin")
    data = images.signed("1.2.3", "--security-counter", "7", "--dependencies", "(1, 2.0.0)", "--confirm", size=900)
    one.write_bytes(packed(data) if several else data)
    for arguments, shape in (
        (("show", one), "keyswitch image show"),
        (("verify", one, "--hash-only"), "keyswitch image verify"),
        (("diff", one, one), "keyswitch image diff"),
    ):
        (told,) = objects(run("image", *arguments, "--json").out)
        assert faults(told, *PRINTED[shape]) == []
    other = tmp_path / "other.bin"
    other.write_bytes(images.signed("1.2.4", size=900))
    if not several:
        (told,) = objects(run("image", "diff", one, other, "--json").out)
        assert told["differences"]
        assert faults(told, *PRINTED["keyswitch image diff"]) == []


def packed(data: bytes) -> bytes:
    made = io.BytesIO()
    files = [{"file": name, "image_index": str(number)} for number, name in enumerate(("app.bin", "net.bin"))]
    with zipfile.ZipFile(made, "w") as package:
        package.writestr("manifest.json", json.dumps({"files": files}))
        for each in files:
            package.writestr(each["file"], data)
    return made.getvalue()


def test_evidence(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "pump.jsonl"
    append(path, at="2026-11-22T12:00:00Z", clock="bench 3", kind="update begun", body={"who": "ann"})
    close(path, at="2026-11-22T12:00:00Z", clock="bench 3", signer=None)
    told = list(objects(run("evidence", "show", path, "--json").out))
    assert len(told) == 2
    assert [fault for each in told for fault in faults(each, *PRINTED["keyswitch evidence show"])] == []
    path.write_bytes(path.read_bytes().replace(b"ann", b"bob"))
    ran = run("evidence", "verify", path, "--json")
    (checked,) = objects(ran.out)
    assert (ran.code, bool(checked["findings"])) == (Exit.NO, True)
    assert faults(checked, PRINTED["keyswitch evidence verify"][0]) == []


def test_permits(run: Run, tmp_path: Path) -> None:
    for name in ("issuer", "ann"):
        run("keys", "new", tmp_path / f"{name}.pem")
    permit = tmp_path / "ann.permit"
    keys = ("--issuer", tmp_path / "issuer.pem", "--holder", tmp_path / "ann.pub.pem")
    meant = ("--device", "Pump 7", "--mode", "maintenance")
    assert run("permit", "issue", *keys, *meant, "--image", "ab" * 32, "-o", permit).code == Exit.YES
    for more in ((), ("--issuer", tmp_path / "issuer.pub.pem")):
        (told,) = objects(run("permit", "show", permit, *more, "--json").out)
        assert faults(told, *PRINTED["keyswitch permit show"]) == []


@pytest.mark.parametrize("name", PANEL)
def test_the_panel(name: str, monkeypatch: Any) -> None:
    status = {**Rig().server.status(0), "passkey": None}
    monkeypatch.setattr(panel, "ask", lambda _directory, _request: status)
    more = {"set": ["motion=true"], "press": ["button"], "advance": ["5s"]}.get(name, [])
    done = CliRunner().invoke(panel.panel, ["state", name, *more, "--json"])
    (told,) = objects(done.output)
    assert told["slots"]
    assert faults(told, *PRINTED[f"keyswitch panel {name}"]) == []
