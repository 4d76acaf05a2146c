import importlib.util
import json
import platform
import re
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli.ended import ended
from tests.host.images import make_image
from tests.host.smp_peer import SmpPeer
from tests.host.udp_peer import UdpPeerThread

from keyswitch.evidence.chain import Head, encode_head
from keyswitch.exits import Exit
from keyswitch.host.report.evidence_file import append, close, head_path
from keyswitch.policy.digest import POLICY_FORM
from keyswitch.policy.load import read_policy

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


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The evidence of two runs on a device without a gate: one confirmed, one already running; signed."""
    image, key, path = tmp_path / "new.bin", tmp_path / "key.pem", tmp_path / "pump.jsonl"
    image.write_bytes(NEW.data)
    key.write_text(PRIVATE_KEY, encoding="ascii")
    key.chmod(0o600)
    with UdpPeerThread(lambda: SmpPeer(OLD, gated=False, mode_group=False, reset_ms=20, boot_ms=20)) as served:
        told = ("--unit", "ward 3", "--serial-number", "0042", "--note", "order 17\nby ann")
        for _ in range(2):
            assert (
                ended("update", served.target, image, "--quiet", "--evidence", path, "--sign", key, *told) == Exit.YES
            )
    return path


@pytest.fixture
def public(tmp_path: Path) -> Path:
    path = tmp_path / "key.pub.pem"
    path.write_text(PUBLIC_KEY, encoding="ascii")
    return path


def test_what_a_run_leaves_behind(recorded: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert ended("evidence", "show", recorded, "--json") == Exit.YES
    begun, over, closed, _, again, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["kind"] for record in (begun, over, closed)] == ["update begun", "update ended", "closed"]
    assert [record["body"] for record in (closed, last)] == [{"records": 3}, {"records": 6}]
    assert datetime.fromisoformat(begun["at"]).utcoffset() == timedelta(0)
    assert begun["clock"] == platform.node()
    told = {key: begun["body"][key] for key in ("device_id", "unit", "serial_number", "note")}
    assert told == {"device_id": None, "unit": "ward 3", "serial_number": "0042", "note": "order 17\nby ann"}
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
    assert said[0].endswith("; unit ward 3; serial number 0042; note: order 17\\nby ann")
    assert said[1].endswith("run 1 ended: confirmed")
    assert said[2].endswith("closed with 3 records")


def verified(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], dict[str, Any]]:
    """Exit code, lines for people, and the same as JSON."""
    capsys.readouterr()
    code = ended("evidence", "verify", *arguments)
    lines = capsys.readouterr().out.splitlines()
    assert ended("evidence", "verify", *arguments, "--json") == code
    return code, lines, json.loads(capsys.readouterr().out)


OLDER = "age: an older state of the whole file cannot be told from this one"
UNSIGNED = "unsigned: whoever can write this file can rewrite it"


def test_verified_by_the_signers_key(recorded: Path, public: Path, capsys: pytest.CaptureFixture[str]):
    code, lines, told = verified(capsys, recorded, "--key", public)
    assert code == Exit.YES
    assert re.match(r"verified: 6 records, all signed by [0-9a-f]{16}, and the last one closes the chain: ", lines[0])
    head = lines[0].split()[-1]
    assert lines[1:] == [OLDER, f"next: note {head} elsewhere after each run, and compare with --head"]
    assert (told["state"], told["ok"], told["records"], told["signatures_verified"]) == ("verified", True, 6, 6)
    assert (told["forms"], told["closed"], told["noted"], told["findings"]) == ([2], True, None, [])


def test_signatures_that_were_not_checked_are_said(recorded: Path, capsys: pytest.CaptureFixture[str]):
    code, lines, told = verified(capsys, recorded)
    assert code == Exit.YES
    assert lines[0].startswith("consistent: 6 records")
    assert "signatures: 6 of 6 records are signed, and none was checked" in lines
    assert UNSIGNED not in lines
    assert (told["state"], told["signed"], told["signatures_verified"]) == ("consistent", 6, 0)


def cut(path: Path, left: int) -> str:
    """Leave so many records, as somebody does who can write the head beside the file as well; the head of before."""
    lines = path.read_bytes().splitlines(keepends=True)
    last = json.loads(lines[-1])
    path.write_bytes(b"".join(lines[:left]))
    kept = json.loads(lines[left - 1])
    head_path(path).write_bytes(encode_head(Head(n=left, hash=kept["hash"])))
    return f"{last['n']}:{last['hash']}"


@pytest.mark.parametrize(("left", "state"), [(5, "open"), (4, "open"), (3, "verified"), (2, "open"), (1, "open")])
def test_a_chain_cut_off_is_not_verified_and_an_older_state_is_told_by_the_noted_head(
    recorded: Path, public: Path, left: int, state: str, capsys: pytest.CaptureFixture[str]
):
    head = cut(recorded, left)
    code, lines, told = verified(capsys, recorded, "--key", public)
    assert told["state"] == lines[0].partition(":")[0] == state
    assert code == (Exit.YES if state == "verified" else Exit.UNKNOWN)
    assert ("end: its writer is at work or was killed, or records were cut off" in lines) == (state == "open")
    assert OLDER in lines
    assert ("runs that never ended: 1" in lines) == (left == 1)
    code, lines, told = verified(capsys, recorded, "--key", public, "--head", head)
    assert (code, told["state"]) == (Exit.NO, "changed")
    assert told["findings"][0]["what"].startswith(f"records {left + 1} to 6 are missing: this is an older state")


def test_a_head_noted_earlier_holds_what_was_there_then(
    recorded: Path, public: Path, capsys: pytest.CaptureFixture[str]
):
    third = json.loads(recorded.read_bytes().splitlines()[2])
    code, lines, told = verified(capsys, recorded, "--key", public, "--head", f"3:{third['hash'].upper()}")
    assert (code, told["noted"]) == (Exit.YES, 3)
    assert lines[1:] == ["age: record 3 is as it was noted; 3 were added since"]


def test_unsigned_is_said_and_a_noted_head_makes_up_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "pump.jsonl"
    append(path, at="2026-11-22T12:00:00Z", clock="bench 3", kind="update begun", body={})
    last = close(path, at="2026-11-22T12:00:01Z", clock="bench 3")
    code, lines, told = verified(capsys, path)
    assert (code, told["state"], told["never_ended"]) == (Exit.YES, "consistent", [1])
    assert UNSIGNED in lines
    code, lines, told = verified(capsys, path, "--head", f"2:{last.hash}")
    assert (code, told["state"]) == (Exit.YES, "verified")
    assert lines[0].startswith("verified: 2 records, all held by the noted head")
    assert UNSIGNED not in lines


def test_a_file_of_the_earlier_form_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "pump.jsonl"
    append(path, at="2026-11-22T12:00:00Z by the clock of bench 3", kind="update begun", body={})
    code, lines, told = verified(capsys, path)
    assert (code, told["state"], told["forms"]) == (Exit.UNKNOWN, "open", [1])
    assert lines[1].startswith("form: all records have form 1, which has the time and its clock in one text")
    append(path, at="2026-11-22T12:00:00Z", clock="bench 3", kind="update begun", body={})
    close(path, at="2026-11-22T12:00:01Z", clock="bench 3")
    code, lines, told = verified(capsys, path)
    assert (code, told["state"], told["forms"]) == (Exit.YES, "consistent", [1, 2])
    assert lines[1].startswith("form: the first 1 records have form 1")


def test_the_head_beside_the_file_is_not_needed(recorded: Path, public: Path, capsys: pytest.CaptureFixture[str]):
    head_path(recorded).unlink()
    code, _, told = verified(capsys, recorded, "--key", public)
    assert (code, told["state"], told["end_checked"]) == (Exit.YES, "verified", False)


def test_an_empty_file_is_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "none.jsonl"
    path.write_bytes(b"")
    code, _, told = verified(capsys, path)
    assert (code, told["state"]) == (Exit.UNKNOWN, "open")


ODD_BODIES: list[tuple[str, dict[str, Any], str]] = [
    ("update begun", {"images": [1]}, "no image of ours"),
    ("update begun", {"images": 5, "who": "ann\nbob"}, "begun by ann\\nbob: None <- no image"),
    ("update begun", {"images": [{"hash": 5}]}, "None (5)"),
    ("update ended", {"run": [1], "steps": 5}, "steps is not a list"),
    ("update ended", {"verdicts": [5]}, "verdicts[0] is not an object"),
    ("update ended", {"said": [{"at_ms": 0}]}, "said[0].text is missing"),
    ("update ended", {"said": [{"at_ms": None, "text": "x"}]}, "said[0].at_ms is not a number of milliseconds"),
    ("update ended", {"said": [{"at_ms": 10**400, "text": "x"}]}, "said[0].at_ms is not a number of milliseconds"),
    ("update ended", {"steps": [{"at_ms": 0, "step": 1, "outcome": 2}]}, "steps[0].duration_ms is missing"),
    (
        "update ended",
        {"steps": [{"at_ms": 0, "step": 1, "outcome": 2, "duration_ms": "1"}]},
        "steps[0].duration_ms is not a number of milliseconds",
    ),
    ("update ended", {"steps": [{"at_ms": 0, "step": 1, "outcome": 2, "duration_ms": 3}]}, ""),
    ("update ended", {"uploading": [{"at_ms": 0, "off": "1", "size": 2}]}, "uploading[0].off is not a number of bytes"),
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
    assert "line 5: record 5: its hash does not fit: the record was changed" in capsys.readouterr().err
    assert ended("evidence", "verify", recorded, "--json") == Exit.NO
    assert [finding["line"] for finding in json.loads(capsys.readouterr().out)["findings"]] == [5]


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
        ["verify", "RECORDED", "--head", "4"],
        ["verify", "RECORDED", "--head", "x:" + "0" * 64],
        ["verify", "RECORDED", "--head", "4:" + "z" * 64],
        ["verify", "RECORDED", "--head", "\u0664:" + "0" * 64],
        ["verify", "RECORDED", "--head", "9" * 5_000 + ":" + "0" * 64],
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
        for option in ("--sign", "--note", "--unit", "--serial-number"):
            assert ended("update", served.target, image, option, image) == Exit.USAGE
        for length, code in ((1_001, Exit.USAGE), (1_000, Exit.YES)):
            note = ("--note", "x" * length, "--evidence", tmp_path / "new.jsonl", "--dry-run")
            assert ended("update", served.target, image, *note) == code
        assert not (tmp_path / "new.jsonl").exists()
    assert len(capsys.readouterr().err.splitlines()) == 6


def test_words_that_are_not_utf_8_are_kept_as_their_escapes(tmp_path: Path):
    image, path = tmp_path / "new.bin", tmp_path / "pump.jsonl"
    image.write_bytes(NEW.data)
    with UdpPeerThread(lambda: SmpPeer(NEW, gated=False, mode_group=False)) as served:
        assert ended("update", served.target, image, "--evidence", path, "--note", "a\udcffb", "--quiet") == Exit.YES
    assert json.loads(path.read_bytes().splitlines()[0])["body"]["note"] == "a\\udcffb"


def test_the_device_is_named_by_its_policy_and_by_itself(tmp_path: Path):
    image, policy, path = tmp_path / "new.bin", tmp_path / "policy.toml", tmp_path / "pump.jsonl"
    image.write_bytes(NEW.data)
    text = Path("examples/pump/policy.toml").read_text(encoding="utf-8")
    policy.write_text("\n".join(line for line in text.splitlines() if not line.startswith("key = ")), encoding="utf-8")
    secret = tmp_path / "pump.hmac"
    secret.write_text("73" * 32, encoding="ascii")
    secret.chmod(0o600)
    digest = read_policy(policy).digest[:8]
    with UdpPeerThread(lambda: SmpPeer(OLD, device="Pump 7", policy=digest, reset_ms=20, boot_ms=20)) as served:
        options = ("--policy", policy, "--secret", secret, "--unchecked", "--evidence", path, "--quiet")
        assert ended("update", served.target, image, *options) == Exit.YES
    begun, over, _ = (json.loads(line)["body"] for line in path.read_bytes().splitlines())
    assert begun["device_id"] == "Pump 7"
    assert begun["policy_form"] == POLICY_FORM
    digest_of = {"file": str(policy), "sha256": read_policy(policy).digest.hex()}
    assert begun["policy"] == {**digest_of, "issuers": [], "image_key": None}
    assert {verdict["device_id"] for verdict in over["verdicts"]} == {"Pump 7"}


def test_a_picture_is_a_png_or_it_is_said_why_not(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Never one kind of picture in a file of another name."""
    code = ended("evidence", "chart", recorded, "-o", tmp_path / "run.png")
    if importlib.util.find_spec("cairosvg") is None:
        assert code == Exit.USAGE
        assert "cairosvg is not installed: install keyswitch[png]" in capsys.readouterr().err
    else:
        assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    assert ended("evidence", "chart", recorded, "-o", tmp_path / "run.pdf") == Exit.USAGE
    assert 'cannot draw ".pdf" (expected .svg or .png)' in capsys.readouterr().err
    assert not (tmp_path / "run.pdf").exists()
