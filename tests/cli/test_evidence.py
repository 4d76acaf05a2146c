import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import SmpPeer
from tests.host.udp_peer import UdpPeerThread

from keyswitch.cli.main import main
from keyswitch.exits import Exit
from keyswitch.host.journal import append

OLD, NEW = make_image("1.0.0"), make_image("1.1.0")
PRIVATE_KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
"""
"""RFC 8032 7.1, test 1."""


def ended(*arguments: object) -> int:
    with pytest.raises(SystemExit) as raised:
        main([str(argument) for argument in arguments])
    assert isinstance(raised.value.code, int)
    return raised.value.code


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The evidence of two runs on a device without a gate: one confirmed, one already running; signed."""
    image, key, path = tmp_path / "new.bin", tmp_path / "key.pem", tmp_path / "pump.jsonl"
    image.write_bytes(NEW.data)
    key.write_text(PRIVATE_KEY, encoding="ascii")
    key.chmod(0o600)
    with UdpPeerThread(lambda: SmpPeer(OLD, gated=False, mode_group=False, reset_ms=20, boot_ms=20)) as served:
        for _ in range(2):
            assert ended("update", served.target, image, "--quiet", "--evidence", path, "--sign", key) == Exit.YES
    return path


@pytest.fixture
def public(tmp_path: Path) -> Path:
    path = tmp_path / "key.pub.pem"
    path.write_text(PUBLIC_KEY, encoding="ascii")
    return path


def test_what_a_run_leaves_behind(recorded: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert ended("evidence", "show", recorded, "--json") == Exit.YES
    begun, over, _, again = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["kind"] for record in (begun, over)] == ["update begun", "update ended"]
    assert "by the clock of" in begun["at"]
    assert begun["body"]["images"] == [
        {
            "file": str(recorded.with_name("new.bin")),
            "image": 0,
            "version": "1.1.0",
            "hash": NEW.hash.hex(),
            "size": 16_384,
            "signature": "not checked",
        }
    ]
    body = over["body"]
    assert (body["run"], body["outcome"], body["entered_by"]) == (1, "confirmed", None)
    assert [slot["version"] for slot in body["before"] if slot["active"]] == ["1.0.0"]
    assert [slot["version"] for slot in body["after"] if slot["active"]] == ["1.1.0"]
    assert body["upload"]["size"] == 16_384
    assert (body["uploading"][-1]["off"], body["uploading"][-1]["size"]) == (16_384, 16_384)
    assert "upload" in {step["step"] for step in body["steps"] if step["outcome"] == "done"}
    assert (again["body"]["outcome"], again["body"]["uploading"]) == ("already running", [])


def test_shown_to_people(recorded: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert ended("evidence", "show", recorded) == Exit.YES
    said = capsys.readouterr().out.splitlines()
    assert re.search(r"begun by \S+@\S+: udp:127\.0\.0\.1:\d+ <- 1\.1\.0", said[0])
    assert said[1].endswith("run 1 ended: confirmed")


def test_verified(recorded: Path, public: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert ended("evidence", "verify", recorded, "--key", public) == Exit.YES
    said = capsys.readouterr().out
    assert said.startswith("whole: 4 records, all signed by")
    head = said.split()[-1]
    assert ended("evidence", "verify", recorded, "--expect", head, "--json") == Exit.YES
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["records"], told["findings"]) == (True, 4, [])


def test_an_end_that_nothing_vouches_for_is_said(recorded: Path, capsys: pytest.CaptureFixture[str]):
    recorded.with_name("pump.jsonl.head").unlink()
    *rest, _ = recorded.read_bytes().splitlines(keepends=True)
    for kept in (b"".join(rest), b""):
        recorded.write_bytes(kept)
        capsys.readouterr()
        assert ended("evidence", "verify", recorded) == Exit.UNKNOWN
        said = capsys.readouterr()
        assert said.out.startswith("not cut within, but its end was not checked: ")
        assert "pump.jsonl.head is missing" in said.err
        assert ended("evidence", "verify", recorded, "--json") == Exit.UNKNOWN
        told = json.loads(capsys.readouterr().out)
        assert (told["ok"], told["end_checked"], told["findings"]) == (False, False, [])


ODD_BODIES: list[tuple[str, dict[str, Any], str]] = [
    ("update begun", {"images": [1]}, "no image of ours"),
    ("update begun", {"images": 5, "who": "ann\nbob"}, "begun by ann\\nbob: None <- no image"),
    ("update begun", {"images": [{"hash": 5}]}, "None (5)"),
    ("update ended", {"run": [1], "steps": 5}, "steps is no list"),
    ("update ended", {"verdicts": [5]}, "verdicts[0] is no object"),
    ("update ended", {"said": [{"at_ms": 0}]}, "said[0].text is missing"),
    ("update ended", {"said": [{"at_ms": None, "text": "x"}]}, "said[0] has a time that is none"),
    ("update ended", {"said": [{"at_ms": 10**400, "text": "x"}]}, "said[0] has a time that is none"),
    ("update ended", {"steps": [{"at_ms": 0, "step": 1, "outcome": 2}]}, "steps[0].duration_ms is missing"),
    ("update ended", {"steps": [{"at_ms": 0, "step": 1, "outcome": 2, "duration_ms": "1"}]}, "a time that is none"),
    ("update ended", {"steps": [{"at_ms": 0, "step": 1, "outcome": 2, "duration_ms": 3}]}, ""),
    ("update ended", {"uploading": [{"at_ms": 0, "off": "1", "size": 2}]}, "uploading[0].off is no number of bytes"),
    ("something else", {}, "something else"),
]


@pytest.mark.parametrize(("kind", "body", "said"), ODD_BODIES)
def test_a_whole_chain_of_what_no_update_writes(
    tmp_path: Path, kind: str, body: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "odd.jsonl"
    append(path, at="t", kind=kind, body=body)
    assert ended("evidence", "show", path) == Exit.YES
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 1
    drawn = ended("evidence", "chart", path)
    told = capsys.readouterr()
    if kind == "update ended":
        assert drawn == (Exit.USAGE if said else Exit.YES)
        assert said in told.err
        assert len(told.err.splitlines()) == bool(said)
    else:
        assert said in shown
        assert drawn == Exit.USAGE


def test_tampering_is_named(recorded: Path, public: Path, capsys: pytest.CaptureFixture[str]):
    recorded.write_bytes(recorded.read_bytes().replace(b"already running", b"already walking"))
    capsys.readouterr()
    assert ended("evidence", "verify", recorded, "--key", public) == Exit.NO
    assert "line 4: record 4: its hash does not fit: the record was changed" in capsys.readouterr().err
    assert ended("evidence", "verify", recorded, "--json") == Exit.NO
    assert [finding["line"] for finding in json.loads(capsys.readouterr().out)["findings"]] == [4, 0]


def test_drawn(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    svg = tmp_path / "run.svg"
    assert ended("evidence", "chart", recorded, "--record", "1", "-o", svg) == Exit.YES
    root = ET.fromstring(svg.read_text(encoding="utf-8"))  # noqa: S314 - our own output
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith("upload ·") for text in texts)
    assert "Firmware update: confirmed" in texts
    assert any(text.startswith("1.1.0 (") and "16,384 bytes" in text for text in texts)
    assert any(text.startswith("Rate of the upload over the time of the run") for text in texts)
    capsys.readouterr()
    assert ended("evidence", "chart", recorded) == Exit.YES
    assert "already running" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "none.jsonl"],
        ["chart", "RECORDED", "--record", "99"],
        ["verify", "RECORDED", "--expect", "4"],
        ["verify", "RECORDED", "--expect", "x:" + "0" * 64],
        ["verify", "RECORDED", "--expect", "4:" + "z" * 64],
        ["verify", "RECORDED", "--expect", "\u0664:" + "0" * 64],
        ["verify", "RECORDED", "--expect", "9" * 5_000 + ":" + "0" * 64],
        ["verify", "RECORDED", "--key", "RECORDED"],
    ],
)
def test_bad_input_is_one_line(recorded: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert ended("evidence", *(recorded if word == "RECORDED" else word for word in arguments)) == Exit.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_evidence_that_cannot_be_written_stops_the_run_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    image = tmp_path / "new.bin"
    image.write_bytes(NEW.data)
    with UdpPeerThread(lambda: SmpPeer(OLD, gated=False)) as served:
        assert ended("update", served.target, image, "--evidence", tmp_path) == Exit.USAGE
        assert ended("update", served.target, image, "--sign", image) == Exit.USAGE
        assert served.peer.served == 0
    assert len(capsys.readouterr().err.splitlines()) == 2
