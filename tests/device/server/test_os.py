"""The order of checks and the os group, sequence by sequence as a real Zephyr server answers them."""

import pytest
from tests.device.server_rig import Rig, make_image, packet, pump, raw

from keyswitch import __version__
from keyswitch.smp.frame import Frame
from keyswitch.smp.header import SmpVersion


@pytest.fixture(scope="module")
def shared() -> tuple[Rig, int]:
    rig = Rig()
    return rig, rig.in_maintenance()


HI = "a16164626869"  # {"d": "hi"}
BACK = "bf6172626869ff"  # {"r": "hi"}


def rc(code: int) -> str:
    return f"bf627263{code:02x}ff"


# What is sent (hex, header first), and each answer to it (first byte of the header, payload).
SEQUENCES: list[tuple[str, str, list[tuple[int, str]]]] = [
    ("1 echo by write", "0a00000600000100" + HI, [(0x0B, BACK)]),
    ("2 echo by read", "0800000600000100" + HI, [(0x09, BACK)]),
    ("3 echo in version 1", "0200000600000100" + HI, [(0x03, BACK)]),
    ("4 echo of nothing", "0a00000100000100a0", [(0x0B, "bf617260ff")]),
    ("5 echo without payload", "0a00000000000100", [(0x0B, rc(3))]),
    ("6 echo of a number", "0a00000400000100a1616405", [(0x0B, rc(3))]),
    ("7 the same key twice", "0a00000900000100a26164616161646162", [(0x0B, rc(3))]),
    ("8 an unknown key", "0a00000900000100a261646171627a7a01", [(0x0B, "bf61726171ff")]),
    ("9 header version 2", "1200000600000100" + HI, [(0x0B, rc(13))]),
    ("10a version 2, unknown group", "12000000004d0100", [(0x0B, rc(13))]),
    ("10b version 3, unknown command", "1800000000000163", [(0x09, rc(13))]),
    ("10c version 2, op 5", "1500000000000100", [(0x0B, rc(8))]),
    ("10d version 2, wrong length", "1200000900000100" + HI, [(0x0B, rc(9))]),
    ("11a op 1", "0900000600000100" + HI, [(0x0B, rc(8))]),
    ("11b op 3", "0b00000600000100" + HI, [(0x0B, rc(8))]),
    ("11c op 5", "0d00000600000100" + HI, [(0x0B, rc(8))]),
    ("12 flags and reserved bits", "eaff000600000100" + HI, [(0x0B, BACK)]),
    ("13 unknown group by write", "0a000000004d0100", [(0x0B, rc(8))]),
    ("14 unknown group by read, version 1", "00000000004d0100", [(0x01, rc(8))]),
    ("15 unknown command", "0800000000000163", [(0x09, rc(8))]),
    ("16 parameters by write", "0a00000000000106", [(0x0B, rc(8))]),
    ("17 upload by read", "0800000000010101", [(0x09, rc(8))]),
    ("18 length greater than the payload", "0a00000700000100" + HI, [(0x0B, rc(9))]),
    ("19 length a lower bound", "0a00000200000100" + HI, [(0x0B, BACK)]),
    ("20 three bytes", "0a0000", []),
    (
        "21 two requests in one packet",
        "0a00000600000100" + HI + "0a00000600000200" + HI,
        [(0x0B, BACK), (0x0B, BACK)],
    ),
    ("22 an error ends the packet", "0a000000004d0100" + "0a00000600000200" + HI, [(0x0B, rc(8))]),
    ("23a parameters", "0800000000000106", [(0x09, "bf686275665f73697a651909ab696275665f636f756e7404ff")]),
    ("23b with an empty map", "0800000100000106a0", [(0x09, "bf686275665f73697a651909ab696275665f636f756e7404ff")]),
    ("23c with garbage", "0800000100000106ff", [(0x09, "bf686275665f73697a651909ab696275665f636f756e7404ff")]),
    ("25 a format that does not exist", "0800000a00000107a166666f726d6174613f", [
        (0x09, "bf63657272bf6567726f757000627263 02ffff"),
    ]),
    ("25 in version 1", "0000000a00000107a166666f726d6174613f", [(0x01, rc(3))]),
    ("chunked text", "0a00000800000100a161647f626869ff", [(0x0B, rc(3))]),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), [row[1:] for row in SEQUENCES], ids=[row[0] for row in SEQUENCES])
def test_as_zephyr_answers(shared, sent: str, expected: list[tuple[int, str]]):
    rig, peer = shared
    answers = rig.send(peer, raw(sent))
    assert [(answer.encode()[0], answer.payload) for answer in answers] == [
        (first, raw(payload)) for first, payload in expected
    ]
    for answer in answers:
        whole = answer.encode()
        assert whole[1] == 0
        assert (answer.header.group, answer.header.command) == (int.from_bytes(raw(sent)[4:6]), raw(sent)[7])
    assert [answer.header.sequence for answer in answers] == list(range(1, len(answers) + 1))


@pytest.mark.parametrize(
    ("asked", "output"),
    [
        ({}, "Keyswitch"),
        ({"format": "s"}, "Keyswitch"),
        ({"format": "ss"}, "Keyswitch"),
        ({"format": "nos"}, "Keyswitch Pump 7 Keyswitch"),
        ({"format": "vr"}, f"{__version__} {__version__}"),
        ({"format": "pi"}, "virtual keyswitch/virtual"),
    ],
)
def test_info_comes_in_a_fixed_order(shared, asked, output: str):
    rig, peer = shared
    assert rig.read(peer, 0, 7, asked) == {"output": output}


def test_info_of_everything(shared):
    rig, peer = shared
    assert rig.read(peer, 0, 7, {"format": "a"})["output"].startswith(f"Keyswitch Pump 7 {__version__} {__version__} ")
    assert rig.read(peer, 0, 7, {"format": 1}) == rig.read(peer, 0, 7) == {"rc": 3}


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (None, {"rc": 3}),
        ({}, {"bootloader": "MCUboot"}),
        ({"query": "mode"}, {"mode": 3}),
        ({"query": "colour"}, {"err": {"group": 0, "rc": 3}}),
        ({"query": 1}, {"rc": 3}),
    ],
)
def test_bootloader(shared, asked, answer):
    rig, peer = shared
    assert rig.read(peer, 0, 8, asked) == answer


@pytest.mark.parametrize("size", [-1, 0, 1])
def test_echo_up_to_the_buffer(size: int):
    rig = Rig(pump(buf_size=384))
    peer = rig.in_maintenance()
    # An answer has four bytes around its text: bf, 61 72, ff, and three of its length.
    text = "x" * (384 - 8 - 7 + size)
    answer = rig.write(peer, 0, 0, {"d": text})
    assert answer == ({"r": text} if size <= 0 else {"rc": 7})


@pytest.mark.parametrize(
    "payload", ["", "a0", "ff", "a169626f6f745f6d6f64656178", "a165666f72636501", "a169626f6f745f6d6f646500"]
)
def test_reset_whatever_its_payload(payload: str):
    rig = Rig()
    peer = rig.in_maintenance()
    body = raw(payload)
    (answer,) = rig.send(peer, raw("0a00") + len(body).to_bytes(2) + raw("00000105") + body)
    assert answer.payload == raw("bfff")
    rig.wait(249)
    assert rig.resets == 0
    rig.wait(1)
    assert rig.resets == 1


@pytest.mark.parametrize("force", [False, True, 1])
def test_boot_mode_is_no_way_around_the_gate(force):
    rig = Rig()
    peer = rig.in_maintenance()
    assert rig.write(peer, 0, 5, {"boot_mode": 1, "force": force})["rc"] == 3
    rig.wait(1_000)
    assert rig.resets == 0


def test_force_forces_no_guard():
    rig = Rig()
    peer = rig.in_maintenance()
    assert rig.write(peer, 0, 5, {"force": True}) == {}
    rig.input("motion", True)
    rig.wait(1_000)
    assert (rig.mode, rig.resets) == ("active", 0)


def test_versions_are_those_of_the_request(shared):
    rig, peer = shared
    assert rig.read(peer, 0, 6, version=SmpVersion.V1) == {"buf_size": 2475, "buf_count": 4}


def test_tasks_and_memory(shared):
    rig, peer = shared
    task = rig.read(peer, 0, 2)["tasks"]["smp"]
    assert task["cswcnt"] > 0
    assert set(task) == {
        "prio", "tid", "state", "stkuse", "stksiz", "cswcnt", "runtime", "last_checkin", "next_checkin",
    }  # fmt: skip
    assert rig.read(peer, 0, 3)["mpools"]["smp"] | {"min": 0} == {"blksiz": 2475, "nblks": 4, "nfree": 3, "min": 0}


def test_answers_are_frames():
    rig = Rig()
    peer = rig.in_maintenance()
    rig.upload(peer, make_image())
    for sent in ("0800000000010100", "0800000000000106", "08000000 4b530100"):
        (answer,) = rig.send(peer, raw(sent))
        assert isinstance(answer, Frame)
        assert answer.payload.startswith(b"\xbf")
        assert answer.payload.endswith(b"\xff")


def test_packet_helper_makes_what_clients_send():
    assert packet(2, 0, 0, {"d": "hi"}) == raw("0a00000600000100" + HI)
