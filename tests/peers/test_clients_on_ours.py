"""Foreign clients, unmodified, on our device: what each says when the gate is shut, and a whole update when it is open.

The table in docs/peers.md is what these runs gave; a run that gives anything else fails and shows its row.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.rigs import places
from tests.rigs.clients import SMPCLIENT, TOOLKIT, Client, all_ok, smpmgr

from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import Image, parse_image
from keyswitch.smp.framing.udp import PORT
from keyswitch.testing.device import FIRMWARE, DeviceUnderTest, running_device
from keyswitch.testing.example import example_policy, write_example

pytestmark = [pytest.mark.peers, pytest.mark.timeout(120)]

PAGE = places.REPOSITORY / "docs/peers.md"
UNKNOWN_HASH = "00" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A client on a transport.

    Attributes:
        client: its name in the table.
        transport: likewise.
        service: how the device shows its SMP service over Bluetooth LE.
        library: the driver, or None for the smpmgr command.
    """

    client: str
    transport: str
    service: str = "reconnect"
    library: Client | None = None

    def __str__(self) -> str:
        return f"{self.client} {self.transport}"

    def target(self, device: DeviceUnderTest) -> str:
        """The device, as the drivers take it."""
        if self.transport.startswith("BLE"):
            return f"bumble:{device.hci}#Pump 7"
        return f"serial:{device.serial}" if self.transport == "serial" else f"udp:{device.udp.partition(':')[0]}"

    def options(self, device: DeviceUnderTest) -> tuple[str | Path, ...]:
        """The device, as smpmgr takes it."""
        where = ("--port", device.serial) if self.transport == "serial" else ("--ip", device.udp.partition(":")[0])
        return (*where, "--timeout", "10")


WAYS = (
    *(Way(client=SMPCLIENT.name, transport=transport, library=SMPCLIENT) for transport in ("UDP", "serial")),
    *(
        Way(client=SMPCLIENT.name, transport=f"BLE, `{service}`", service=service, library=SMPCLIENT)
        for service in ("always", "live", "reconnect")
    ),
    *(Way(client="smpmgr", transport=transport) for transport in ("UDP", "serial")),
    *(Way(client=TOOLKIT.name, transport=transport, library=TOOLKIT) for transport in ("UDP", "serial")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Under:
    """A device and its update."""

    device: DeviceUnderTest
    update: Path
    hash: str


@contextmanager
def device_for(way: Way, folder: Path) -> Iterator[Under]:
    # Clients know no other port than 1337, so each worker has an address of its own.
    host = f"127.0.1.{2 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])}"
    text = example_policy().replace('service = "reconnect"', f'service = "{way.service}"')
    example = write_example(folder / "made", text)
    payload = folder / "payload.bin"
    payload.write_bytes(FIRMWARE)
    old, new = example.sign(payload, "1.0.0"), example.sign(payload, "1.1.0")
    parsed = parse_image(BytesSource(new.read_bytes()))
    assert isinstance(parsed, Image)
    with running_device(
        folder / "run", policy=example.policy_file, image=old, ble=True, udp=f"{host}:{PORT}", serial=True
    ) as device:
        yield Under(device=device, update=new, hash=parsed.hash.hex())


def in_short(said: str, kind: str = "") -> str:
    """What a client says, as the table says it: its own words for the error, and whether it passes the reason on."""
    word = "EACCESSDENIED" if "EACCESSDENIED" in said else kind
    return f"{word}, wrong mode" if "wrong mode" in said else word


async def refused_by_library(library: Client, way: Way, under: Under) -> list[str]:
    operations: Sequence[Sequence[object]] = (
        ["upload", str(under.update)],
        ["erase"],
        ["test", UNKNOWN_HASH],
        ["reset"],
    )
    target = way.target(under.device)
    if way.transport.startswith("BLE") and way.service != "always":
        # There is no service to send to, and the client gives up before its first request: each is tried anew.
        results = [(await library.do(target, each))[-1] for each in operations]
    else:
        _, *results = await library.do(target, ["go_on"], *operations)
    assert not any(result["ok"] for result in results)
    return [in_short(result["said"], result["kind"]) for result in results]


async def refused_by_smpmgr(way: Way, under: Under) -> list[str]:
    cells: list[str] = []
    for command in (
        ("image", "upload", under.update),
        ("image", "erase", "1"),
        ("image", "state-write", UNKNOWN_HASH),
        ("os", "reset"),
    ):
        said = await smpmgr(*way.options(under.device), *command)
        cells.append(f"{in_short(said.text)}; exit code {said.code}")
    return cells


async def update(way: Way, under: Under) -> None:
    if way.library is None:
        options = way.options(under.device)
        for command in (("upgrade", "--slot", "1", under.update), ("image", "state-write", "--confirm")):
            said = await smpmgr(*options, *command)
            assert said.code == 0, said.text
        return
    results = await way.library.do(
        way.target(under.device),
        ["upload", str(under.update)],
        ["test", under.hash],
        ["reset"],
        ["running", "1.1.0", 20],
        ["confirm"],
    )
    all_ok(results)


def in_table(way: Way) -> list[str]:
    """The cells of the way's row in the page."""
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[:2] == [way.client, way.transport]:
            return cells[2:]
    return []


def slots(status: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(slot["version"], slot["confirmed"]) for slot in status["slots"] if slot]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_client_is_refused_outside_maintenance_and_updates_inside(way: Way, tmp_path: Path) -> None:
    async def story(under: Under) -> list[str]:
        before = under.device.status()
        refused = refused_by_smpmgr(way, under) if way.library is None else refused_by_library(way.library, way, under)
        row = await refused
        assert under.device.status() == before, "what was refused changed nothing"
        under.device.press(5)
        await update(way, under)
        status = under.device.status()
        assert (status["mode"], status["running"]["version"]) == ("maintenance", "1.1.0")
        assert slots(status)[0] == ("1.1.0", True)
        return [*row, "confirmed"]

    with device_for(way, tmp_path) as under:
        row = asyncio.run(story(under))
    assert row == in_table(way), " | ".join(["", way.client, way.transport, *row, ""]).strip()
