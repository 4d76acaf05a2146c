"""`keyswitch smp`: the answer in words, the gate's verdict, and the exit code."""

import json
from functools import partial
from typing import Any

import pytest
from tests.cli.ended import ended as command_ended
from tests.docs.json_reference import PRINTED
from tests.host.images import make_image
from tests.host.smp_peer import SmpPeer
from tests.host.udp_peer import UdpPeerThread
from tests.shapes import faults

from keyswitch.cli.main import main
from keyswitch.exits import Exit
from keyswitch.schema.output import SCHEMA_VERSION

OLD = make_image()

ended = partial(command_ended, "smp")


class WritesPeer(SmpPeer):
    """It keeps what was written to a group of its own, and answers what is no answer to another."""

    written: Any = None

    def do_64_0_2(self, body: dict[str, Any], _peer: int) -> dict[str, Any]:
        self.written = body
        return {"got": body["key"]}

    def do_64_1_0(self, _body: dict[str, Any], _peer: int) -> dict[str, Any]:
        return {"rc": "no"}


def test_an_answer_a_refusal_and_the_gate(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: WritesPeer(OLD)) as served:
        assert ended(served.target, "os", "echo", '{"d": "hi"}', "--op", "write") == Exit.YES
        assert capsys.readouterr().out.splitlines() == [
            "os.echo (write, 0/0)",
            'answer: {"r": "hi"}',
            "gate: shut (wrong mode: normal)",
        ]
        assert ended(served.target, "image", "erase") == Exit.NO
        refused = capsys.readouterr().out.splitlines()
        assert refused[:3] == [
            "image.erase (write, 1/5)",
            "refused: wrong mode: normal",
            "gate: shut (wrong mode: normal)",
        ]
        assert refused[3].startswith("next: put the device into maintenance mode")
        served.peer.mode = "maintenance"
        assert ended(served.target, "image", "state", "--json") == Exit.YES
        told = json.loads(capsys.readouterr().out)
        assert told.pop("schema_version") == SCHEMA_VERSION
        assert faults(told, *PRINTED["keyswitch smp"]) == []
        assert (told["gate"], told["mode"], told["trouble"]) == ("open", "maintenance", None)
        assert told["reply"]["values"]["images"][0]["hash"] == f"hex:{OLD.hash.hex()}"


def test_bytes_are_sent_and_told(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: WritesPeer(OLD, gated=False, mode_group=False)) as served:
        assert ended(served.target, "64", "0", '{"key": "hex:00ff"}', "--op", "write") == Exit.YES
        assert isinstance(served.peer, WritesPeer)
        assert served.peer.written == {"key": b"\x00\xff"}
        assert capsys.readouterr().out.splitlines()[:2] == ["64/0 (write)", 'answer: {"got": "hex:00ff"}']


def test_what_is_no_answer_and_silence(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: WritesPeer(OLD, gated=False, mode_group=False)) as served:
        assert ended(served.target, "64", "1") == Exit.UNKNOWN
        assert "no answer: " in capsys.readouterr().out
        assert ended(served.target, "65", "1") == Exit.NO
        assert "refused: ENOTSUP: the device does not have this command" in capsys.readouterr().out
        served.peer.serve = _silent_to(served.peer)
        assert ended(served.target, "os", "echo", "--timeout", "0.1", "--json") == Exit.UNREACHABLE
        told = json.loads(capsys.readouterr().out)
        assert (told["reply"], told["trouble"]) == (None, "no answer to os.echo within 100 ms")


def _silent_to(peer: SmpPeer) -> Any:
    serve = peer.serve
    return lambda packet, *rest: [] if packet[4:6] == b"\0\0" and packet[7] == 0 else serve(packet, *rest)


def test_misspelt_commands_are_answered_with_what_may_be_meant(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as raised:
        main(["stauts", "udp:h"])
    assert raised.value.code == Exit.USAGE
    assert "no such command: stauts. Did you mean status?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["xyzzy"])
    assert "Did you mean" not in capsys.readouterr().err
