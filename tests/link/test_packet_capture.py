"""What a capture of packets holds: a pcapng file, read by the letter of the format, of every kind of link."""

import asyncio
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import PeerAir, PeerLink, SmpPeer

from keyswitch.errors import InputError
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.smp.client import SmpClient
from keyswitch.link.air.clock import run
from keyswitch.link.packet_capture import CapturedAdapter, CapturedPackets, PacketCapture
from keyswitch.smp.words import packet_words

NOW_US = 1_800_000_000_123_456


class Block(NamedTuple):
    kind: int
    body: bytes
    options: dict[int, bytes]


def options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while True:
        code, size = struct.unpack_from("<HH", data)
        if code == 0:
            assert (size, data[4:]) == (0, b"")
            return found
        found[code] = data[4 : 4 + size]
        data = data[4 + size + -size % 4 :]


def blocks(path: Path) -> Iterator[Block]:
    data = path.read_bytes()
    while data:
        kind, size = struct.unpack_from("<II", data)
        assert size % 4 == 0
        assert struct.unpack_from("<I", data, size - 4) == (size,)
        body = data[8 : size - 4]
        fixed = {0x0A0D0D0A: 16, 1: 8, 6: 20 + struct.unpack_from("<I", body, 12)[0] if kind == 6 else 0}[kind]
        yield Block(kind, body[:fixed], options(body[fixed + -fixed % 4 :]))
        data = data[size:]


def packets(path: Path) -> list[tuple[str, bytes, str]]:
    found: list[tuple[str, bytes, str]] = []
    section, interface, *rest = blocks(path)
    assert section.body[:8] == struct.pack("<IHH", 0x1A2B3C4D, 1, 0)
    assert interface.body == struct.pack("<HHI", 147, 0, 0)
    for block in rest:
        _, high, low, captured, original = struct.unpack_from("<IIIII", block.body)
        assert (high << 32 | low, captured) == (NOW_US, original)
        way = {1: "received", 2: "sent"}[struct.unpack("<I", block.options[2])[0]]
        found.append((way, block.body[20:], block.options[1].decode()))
    return found


def capture(path: Path) -> PacketCapture:
    return PacketCapture(path, name="udp:h", words=packet_words, clock_us=lambda: NOW_US)


def test_each_packet_of_a_link_with_its_direction_and_words(tmp_path: Path):
    async def story() -> list[bytes]:
        link = PeerLink(SmpPeer(make_image()))
        taken = capture(tmp_path / "c.pcapng")
        client = SmpClient(CapturedPackets(link, taken))
        await client.write(0, 0, {"d": "hi"})
        await client.read(1, 0)
        await client.close()
        taken.close()
        taken.note(b"late", outbound=True)
        return link.sent

    sent = run(story())
    found = packets(tmp_path / "c.pcapng")
    assert [(way, packet) for way, packet, _ in found if way == "sent"] == [("sent", packet) for packet in sent]
    assert [words for _, _, words in found] == [
        "os.echo write, sequence 0, 14 bytes",
        "os.echo write answered, sequence 0, 15 bytes",
        "image.state read, sequence 1, 9 bytes",
        f"image.state read answered, sequence 1, {len(found[3][1])} bytes, EACCESSDENIED",
    ]
    assert stat.S_IMODE((tmp_path / "c.pcapng").stat().st_mode) == 0o600


def test_fragments_on_bluetooth_are_put_together(tmp_path: Path):
    async def story() -> None:
        peer = SmpPeer(make_image(), service="always")
        peer.mode = "maintenance"
        taken = capture(tmp_path / "c.pcapng")
        adapter = CapturedAdapter(PeerAir(peer), taken)
        endpoint = BleEndpoint(adapter, target="ble:", address=peer.address)
        connection = await endpoint.connect()
        assert connection.smp is not None
        assert connection.mode is not None
        await connection.smp.write(0, 0, {"d": "x" * 600})
        await connection.mode.read(0x4B53, 0)
        await connection.close()
        await endpoint.close()

    run(story())
    found = packets(tmp_path / "c.pcapng")
    assert [(way, words.split(",")[0]) for way, _, words in found] == [
        ("sent", "os.echo write"),
        ("received", "os.echo write answered"),
        ("sent", "mode.state read"),
        ("received", "mode.state read answered"),
    ]
    assert all(len(packet) == 8 + int.from_bytes(packet[2:4], "big") for _, packet, _ in found)


def test_a_full_disk_ends_the_capture_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async def story() -> Any:
        taken = capture(tmp_path / "c.pcapng")
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, taken._file.fileno())
        os.close(full)
        client = SmpClient(CapturedPackets(PeerLink(SmpPeer(make_image())), taken))
        reply = await client.write(0, 0, {"d": "hi"})
        await client.write(0, 0, {"d": "hi"})
        await asyncio.sleep(0)
        taken.close()
        return reply

    assert run(story()).values == {"r": "hi"}
    assert [record.message for record in caplog.records] == ["captured no further: No space left on device"]


def test_a_file_that_cannot_be_made(tmp_path: Path):
    with pytest.raises(InputError, match=r"No such file or directory .expected a file in a directory that is there"):
        capture(tmp_path / "none" / "c.pcapng")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="symbolic link"):
        capture(tmp_path / "link")


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (b"", "0 bytes, less than a header"),
        (bytes.fromhex("0a00000100000305"), "os.reset write, sequence 3, 8 bytes"),
        (bytes.fromhex("0f00000100410305"), "65/5 operation 7, sequence 3, 8 bytes"),
        (bytes.fromhex("0b00000100000305ff"), "os.reset write answered, sequence 3, 9 bytes, not CBOR"),
        (bytes.fromhex("0b00000600000305a162726308"), "os.reset write answered, sequence 3, 13 bytes, ENOTSUP"),
        (
            bytes.fromhex("0b00000600010300a163657272a26567726f75700162726301"),
            "image.state write answered, sequence 3, 25 bytes, group 1 code 1",
        ),
    ],
)
def test_a_packet_in_words(packet: bytes, words: str):
    assert packet_words(packet) == words
