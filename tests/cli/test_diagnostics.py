"""Logs and captures of the operator: where they go, how much is in them, and that nothing is left behind."""

import logging
from pathlib import Path

import pytest
from tests.cli.ended import ended
from tests.host.images import make_image
from tests.host.smp_peer import SmpPeer
from tests.host.udp_peer import UdpPeerThread

from keyswitch.exits import Exit


def test_what_is_logged_and_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    log = tmp_path / "it.log"
    with UdpPeerThread(lambda: SmpPeer(make_image())) as served:
        ended("smp", served.target, "os", "echo")
        assert capsys.readouterr().err == ""
        ended("smp", served.target, "os", "echo", "-v", "--log-file", str(log))
        said = capsys.readouterr().err
        assert "keyswitch.link.udp: socket to 127.0.0.1" in said
        assert "sent:" not in said
        assert "keyswitch.host.smp.client: sent: os.echo write, sequence" in log.read_text()
        ended("smp", served.target, "os", "echo", "-vv")
        assert "received: os.echo write answered" in capsys.readouterr().err
    logger = logging.getLogger("keyswitch")
    assert (logger.handlers, logger.level) == ([], logging.NOTSET)


def test_an_update_logs_its_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    new = make_image("1.1.0")
    (tmp_path / "new.bin").write_bytes(new.data)
    with UdpPeerThread(lambda: SmpPeer(make_image(), gated=False, mode_group=False)) as served:
        target, image = served.target, str(tmp_path / "new.bin")
        assert ended("update", target, image, "--only", "upload", "-v", "--quiet") == Exit.YES
    said = capsys.readouterr().err
    assert "keyswitch.app.update: upload: done" in said
    assert "keyswitch.app.update: staged" in said


def test_a_capture_of_a_whole_command(tmp_path: Path):
    with UdpPeerThread(lambda: SmpPeer(make_image())) as served:
        ended("status", served.target, "--capture", str(tmp_path / "it.pcapng"))
    content = (tmp_path / "it.pcapng").read_bytes()
    assert content.startswith(b"\n\r\r\n")
    assert served.target.encode() in content
    assert b"mode.state read answered" in content


def test_files_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for option in ("--capture", "--log-file"):
        assert ended("status", "udp:127.0.0.1", option, str(tmp_path / "none" / "it")) == Exit.USAGE
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"keyswitch: {option} {tmp_path}/none/it: No such file or directory (expected a file")
