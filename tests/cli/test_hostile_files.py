"""Every command, every file that it takes, every kind of file that it should not be given.

Exit code 2, one line on stderr, no traceback, nothing that a terminal obeys: neither out of the file nor of its name.
"""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.policy_commands import Ran, Run, run
from tests.policy.samples import PUMP_FILE

from keyswitch.cli.keygen import GeneratedKey, make_key
from keyswitch.demo.workshop import Workshop
from keyswitch.evidence.chain import Head, encode, encode_head, next_record
from keyswitch.exits import Exit
from keyswitch.host.report.evidence_file import head_path

NAME = "a\x1b[2J\nb\u202e\x9b.toml"
"""A name that clears a terminal, breaks a line in two and turns what follows round."""

WIDE_HEX = b":0100000001FE\n:020000043FFFBC\n:0100000001FE\n:00000001FF\n"

FILES: dict[str, Callable[[Path], object]] = {
    "none": lambda _: None,
    "directory": lambda path: path.mkdir(),
    "below a file": lambda _: None,
    "empty": lambda path: path.write_bytes(b""),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 64),
    "escapes": lambda path: path.write_bytes(b"\x1b[2J\x1b]0;owned\x07\nkey = \x9b1\n"),
    "text with escapes": lambda path: path.write_text('{"\\u001b[2J\\n\\u202e": "\\u001b[2J"}'),
    "TOML with escapes": lambda path: path.write_text('schema = 1\n"\\u001b[2J\\n\\u202e" = "\\u001b[2J"\n'),
    "huge": lambda path: (path.write_bytes(b"a"), os.truncate(path, 17_000_000)),
    "deep JSON": lambda path: path.write_bytes(b'{"violations": ' + b"[" * 100_000),
    "deep TOML": lambda path: path.write_bytes(b"schema = 1\na = " + b"[" * 90_000),
    "deep CBOR": lambda path: path.write_bytes(b"\xd2" + b"\x81" * 900),
    "number": lambda path: path.write_bytes(b"schema = 0x" + b"f" * 5_000),
    "number in JSON": lambda path: path.write_bytes(b'{"identities": ' + b"9" * 5_000 + b"}"),
    "no PEM": lambda path: path.write_bytes(b"-----BEGIN PUBLIC KEY-----\n\x1b[2J\n-----END PUBLIC KEY-----\n"),
    "HEX": lambda path: path.write_bytes(
        b":020000040000FA\n:0100000001FE\n:020000043FFFBC\n:0100000001FE\n:00000001FF\n"
    ),
    "cut HEX": lambda path: path.write_bytes(b":0100000001FE\n"),
    "no package": lambda path: path.write_bytes(b"PK\x03\x04\x1b[2J\n"),
}

UDP = "udp:127.0.0.1:9"
HCI = "hci:tcp-client:127.0.0.1:1#x"

USES: dict[str, tuple[object, ...]] = {
    "check": ("check", "FILE"),
    "check --replay": ("check", PUMP_FILE, "--replay", "FILE"),
    "explain": ("explain", "FILE", "--mode", "normal", "--command", "os.reset"),
    "diagram": ("diagram", "FILE", "-o", "NEW.svg"),
    "permit show": ("permit", "show", "FILE"),
    "permit show --issuer": ("permit", "show", "PERMIT", "--issuer", "FILE"),
    "permit issue --issuer": ("permit", "issue", "--issuer", "FILE", "--holder", "PUBLIC", "-o", "NEW", "--mode", "m"),
    "permit issue --holder": ("permit", "issue", "--issuer", "KEY", "--holder", "FILE", "-o", "NEW", "--mode", "m"),
    "permit issue --policy": (
        "permit",
        "issue",
        "--issuer",
        "KEY",
        "--holder",
        "PUBLIC",
        "-o",
        "NEW",
        "--policy",
        "FILE",
    ),
    "permit issue --image": (
        *("permit", "issue", "--issuer", "KEY", "--holder", "PUBLIC", "-o", "NEW", "--device", "d", "--mode", "m"),
        *("--image", "FILE"),
    ),
    "image show": ("image", "show", "FILE"),
    "image verify --key": ("image", "verify", "IMAGE", "--key", "FILE"),
    "image verify --policy": ("image", "verify", "IMAGE", "--policy", "FILE"),
    "image diff": ("image", "diff", "IMAGE", "FILE"),
    "device": ("device", "FILE", "--state", "STATE", "--image", "IMAGE", "--ble", "none"),
    "device --image": ("device", "POLICY", "--state", "STATE", "--image", "FILE"),
    "device --unit": ("device", "POLICY", "--state", "STATE", "--image", "IMAGE", "--ble", "none", "--unit", "FILE"),
    "init --image-key": ("init", "NEW", "--yes", "--image-key", "FILE"),
    "keys make": ("keys", "make", "FILE"),
    "scan --policy": ("scan", "hci:tcp-client:127.0.0.1:1", "--policy", "FILE"),
    "status --policy": ("status", UDP, "--policy", "FILE"),
    "status --inventory": ("status", UDP, "--policy", "POLICY", "--inventory", "FILE"),
    "update": ("update", UDP, "FILE"),
    "update --inventory": ("update", UDP, "IMAGE", "--policy", "POLICY", "--inventory", "FILE"),
    "update --policy": ("update", UDP, "IMAGE", "--policy", "FILE"),
    "update --recipe": ("update", UDP, "IMAGE", "--recipe", "FILE"),
    "update --secret": ("update", UDP, "IMAGE", "--policy", "POLICY", "--secret", "FILE"),
    "update --permit": ("update", UDP, "IMAGE", "--policy", "PERMITS", "--permit", "FILE", "--holder", "PUBLIC"),
    "update --holder": ("update", UDP, "IMAGE", "--policy", "PERMITS", "--permit", "PERMIT", "--holder", "FILE"),
    "update --key": ("update", UDP, "IMAGE", "--key", "FILE"),
    "update --sign": ("update", UDP, "IMAGE", "--evidence", "NEW", "--sign", "FILE"),
    "evidence verify --key": ("evidence", "verify", "EVIDENCE", "--key", "FILE"),
}
"""Where a command takes a file: all of these end with 2 whatever of `FILES` they get."""

MAY_BE_MADE = {
    "status --bonds": ("status", HCI, "--pair", "--bonds", "FILE"),
    "update --bonds": ("update", HCI, "IMAGE", "--pair", "--bonds", "FILE"),
}
"""Files that are made if they are not there."""

EVIDENCE = {
    "evidence show": ("evidence", "show", "FILE"),
    "evidence verify": ("evidence", "verify", "FILE"),
    "evidence chart": ("evidence", "chart", "FILE"),
}
"""Any regular file can be judged as evidence: that it is none is the answer."""


@pytest.fixture(scope="module")
def known(pump: Workshop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("known")
    issuer = make_key(GeneratedKey.PERMIT, directory / "issuer.pem")
    assert issuer.public is not None
    policy = pump.policy_file.read_text()
    permits = policy.replace("[entry.challenge]", f'[entry.permit]\nissuers = ["{issuer.public}"]\n[entry.challenge]')
    permits = permits.replace('proofs = ["challenge"', 'proofs = ["permit"')
    (pump.policy_file.parent / "permits.toml").write_text(permits)
    (directory / "bin").write_bytes(pump.new.read_bytes())
    return {
        "KEY": issuer.private,
        "PUBLIC": issuer.public,
        "IMAGE": directory / "bin",
        "POLICY": pump.policy_file,
        "PERMITS": pump.policy_file.parent / "permits.toml",
        "PERMIT": directory / "ann.permit",
        "EVIDENCE": directory / "run.jsonl",
    }


@pytest.fixture
def use(run: Run, known: dict[str, Path], tmp_path: Path) -> Callable[[tuple[object, ...], str], Ran]:
    def used(words: tuple[object, ...], kind: str) -> Ran:
        own = tmp_path / kind.replace(" ", "-")
        own.mkdir()
        permit, evidence = known["PERMIT"], known["EVIDENCE"]
        if not permit.exists():
            made = ("--issuer", known["KEY"], "--holder", known["PUBLIC"], "--mode", "m", "--device", "d", "-o", permit)
            assert run("permit", "issue", *made).code == Exit.YES
        evidence.write_bytes(encode(next_record(Head(), at="t", kind="k", body={})))
        path = own / NAME
        if kind == "below a file":
            (own / "file").write_bytes(b"")
            path = own / "file" / NAME
        FILES[kind](path)
        if path.is_file():
            path.chmod(0o600)
        places = {
            **known,
            "FILE": path,
            "NEW": own / "new",
            "NEW.svg": own / "new.svg",
            "STATE": own / "s",
        }
        return run(*(places.get(str(word), word) for word in words))

    return used


@pytest.fixture(autouse=True)
def device_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes to the descriptor itself, which pytest has taken away."""
    monkeypatch.setattr("keyswitch.cli.device._stdout", lambda: -1)


def harmless(ran: Ran) -> None:
    assert "Traceback" not in ran.err
    assert "bug in keyswitch" not in ran.err
    for line in (ran.out + ran.err).split("\n"):
        assert line.isprintable(), repr(line)


@pytest.mark.parametrize("name", USES)
def test_a_file_that_is_none_is_one_line_and_code_2(use: Any, tmp_path: Path, name: str) -> None:
    for kind in FILES:
        ran: Ran = use(USES[name], kind)
        harmless(ran)
        assert ran.code == Exit.USAGE, (kind, ran)
        assert ran.err.startswith("keyswitch: "), kind
        assert ran.err.count("\n") == 1, kind
        assert ran.out == "", kind
        assert len(ran.err) < 1_000, kind
    assert not list(tmp_path.glob("*/s"))


@pytest.mark.parametrize("name", MAY_BE_MADE)
def test_bonds_that_are_none(use: Any, name: str) -> None:
    for kind in FILES.keys() - {"none"}:
        ran: Ran = use(MAY_BE_MADE[name], kind)
        harmless(ran)
        assert ran.code == Exit.USAGE, (kind, ran)
        assert ran.err.count("\n") == 1, kind


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_that_is_none(use: Any, name: str) -> None:
    for kind in FILES:
        ran: Ran = use(EVIDENCE[name], kind)
        harmless(ran)
        if kind in {"none", "directory", "below a file"} or name == "evidence chart":
            assert ran.code == Exit.USAGE, (kind, ran)
            assert ran.err.count("\n") == 1, kind
        elif kind != "empty":
            assert ran.code == Exit.NO, kind


# --- files that can be read, with words in them that nobody should see as they are ------------------------------------

EVIL = "\x1b[2J\nsigned by boss: yes\u202e\x9b"


def test_a_permit_cannot_forge_lines(run: Run, known: dict[str, Path], tmp_path: Path) -> None:
    permit = tmp_path / "p"
    given = ("--issuer", known["KEY"], "--holder", known["PUBLIC"], "-o", permit)
    assert run("permit", "issue", *given, "--name", EVIL, "--device", EVIL, "--mode", EVIL).code == Exit.YES
    ran = run("permit", "show", permit)
    harmless(ran)
    assert ran.code == Exit.YES
    assert len(ran.out.splitlines()) == 8
    assert "\\x1b[2J\\nsigned by boss: yes\\u202e" in ran.out


def test_a_package_entry_cannot_forge_lines(run: Run, known: dict[str, Path], tmp_path: Path) -> None:
    package = tmp_path / "p.zip"
    with zipfile.ZipFile(package, "w") as made:
        made.writestr("manifest.json", json.dumps({"files": [{"file": EVIL, "image_index": "0"}]}))
        made.writestr(EVIL, known["IMAGE"].read_bytes())
    plain = run("image", "show", known["IMAGE"])
    for words in (("show", package), ("verify", package, "--hash-only"), ("diff", package, package)):
        ran = run("image", *words)
        harmless(ran)
        assert ran.code == Exit.YES
    assert len(run("image", "show", package).out.splitlines()) == len(plain.out.splitlines())


def test_evidence_cannot_forge_lines(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    row = {"at_ms": 0, "step": EVIL, "duration_ms": 1, "outcome": EVIL}
    body = {
        "run": 1,
        "outcome": EVIL,
        "detail": EVIL,
        "steps": [row],
        "verdicts": [],
        "said": [{"at_ms": 1, "text": EVIL}],
    }
    record = next_record(Head(), at=EVIL, kind="update ended", body=body)
    path.write_bytes(encode(record))
    head_path(path).write_bytes(encode_head(Head(n=1, hash=record.hash)))
    ran = run("evidence", "show", path)
    harmless(ran)
    assert len(ran.out.splitlines()) == 1
    ran = run("evidence", "chart", path)
    harmless(ran)
    assert ran.code == Exit.YES


def test_a_trace_cannot_forge_lines(run: Run, tmp_path: Path) -> None:
    trace = [{"event": "boot", "mode": EVIL}]
    violation = {"rule": EVIL, "subject": EVIL, "kind": "safety", "text": EVIL, "trace": trace}
    (tmp_path / "t.json").write_text(json.dumps({"violations": [violation]}))
    ran = run("check", PUMP_FILE, "--replay", tmp_path / "t.json")
    harmless(ran)
    assert ran.code == Exit.NO
    assert len(ran.out.splitlines()) == 3


@pytest.mark.parametrize("kind", ["directory", "binary", "escapes", "huge", "deep JSON", "number in JSON"])
def test_bonds_of_a_device_that_are_damaged(run: Run, known: dict[str, Path], tmp_path: Path, kind: str) -> None:
    name, state = "bonds.json", tmp_path / "state"
    state.mkdir()
    FILES[kind](state / name)
    words = ("device", known["POLICY"], "--state", state, "--image", known["IMAGE"], "--ble", "virtual:0")
    ran = run(*words)
    harmless(ran)
    assert ran.code == Exit.USAGE, ran
    assert name in ran.err
    assert ran.err.count("\n") == 1


def test_the_name_of_a_directory_is_no_terminal_command(run: Run, tmp_path: Path) -> None:
    for words in (
        ("init", tmp_path / NAME, "--yes"),
        ("panel", tmp_path / NAME, "status"),
        ("keys", "new", tmp_path / NAME / "k"),
    ):
        harmless(run(*words))
    assert (tmp_path / NAME).is_dir()


__all__ = ["run"]
