"""Audits of real servers without any gate: what is open is reported as such, and nothing that is not so.

The findings were written down by hand first, from what is known of these servers, then compared. What nobody can see on
a server (it tells no mode and no boot id) is inconclusive, never passed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

import pytest
from tests.rigs import images, native_sim, qemu
from tests.rigs.line import line
from tests.rigs.qemu import State

from keyswitch.audit.checks import BY_ID
from keyswitch.audit.run import Audited, Auditor, Permitted
from keyswitch.audit.target import Firmware, Target
from keyswitch.host.connect.packet_endpoint import PacketEndpoint
from keyswitch.link.ports import PacketLink
from keyswitch.link.serial_port import SerialLink
from keyswitch.link.udp import UdpLink
from keyswitch.policy.load import load
from keyswitch.policy.model import Policy, Value
from keyswitch.terms import Transport

pytestmark = [pytest.mark.peers, pytest.mark.timeout(240)]

BAUD: Final = 115_200
MPS2_BAUD: Final = 1_000_000
GROUPS: Final = ("os", "image", "stat", "settings", "fs", "shell", "enum", "basic")
CHECKS: Final = tuple(
    f"KS-{number}" for number in (101, 104, 106, 107, 110, 111, 112, 113, 114, 115, 116, 117, 118, 303)
)


def declared(transport: Transport) -> Policy:
    """What somebody believed who thought that the server had a gate: two modes, one of which serves all commands."""
    text = f"""
schema = 1
[device]
name = "Server"
initial_mode = "normal"
[modes.normal]
allow = ["os.echo", "os.params", "image.state:read"]
[modes.maintenance]
maintenance = true
allow = {list(GROUPS)}
[smp]
transports = ["{transport.value}"]
""".replace("'", '"')
    return load(text.encode(), directory=Path())


class Believer:
    """Says that the server is in each mode: it has none, and is the same in all of them."""

    async def bring(self, mode: str) -> None:
        del mode

    async def set_input(self, name: str, value: Value) -> None:
        raise AssertionError((name, value))

    async def hold_button(self, hold_ms: int) -> None:
        raise AssertionError(hold_ms)

    async def power_cycle(self) -> None:
        raise AssertionError("nobody asks for that")


async def audit(
    transport: Transport,
    open_link: Callable[[], Awaitable[PacketLink]],
    *,
    checks: Iterable[str] = CHECKS,
    new: Firmware | None = None,
) -> Audited:
    target = Target(
        name="a real server",
        policy=declared(transport),
        ways={transport: PacketEndpoint("a real server", open_link)},
        hand=Believer(),
        next=new,
        settle_ms=300,
    )
    auditor = Auditor(
        target,
        [BY_ID[check] for check in checks],
        permitted=Permitted(irreversible=True),
        say=lambda _text: None,
        progress=lambda _words, _step, _steps: None,
    )
    return await auditor.run()


def by_verdict(audited: Audited, verdict: str) -> set[str]:
    return {found.check for found in audited.found if found.verdict.value == verdict}


def why(audited: Audited) -> str:
    return "\n".join(f"{found.check} {found.verdict.value}: {found.why}" for found in audited.found)


# Both have os, stat, settings, fs, shell, enum, basic and no image group. This build has no setting that could be
# written, and they can be put into effect. What would reset is not tried here.
NATIVE_SIM: Final = {"KS-110", "KS-112", "KS-113", "KS-117"}
AFTER_THE_STORAGE: Final = {"KS-111"}
"""A file was written, and cannot be again: the storage that was erased meanwhile held the file system."""


def test_a_server_on_a_terminal_is_open() -> None:
    async def story() -> None:
        async with native_sim.serial_server() as server:
            audited = await audit(Transport.SERIAL, lambda: SerialLink.open(str(server.path), BAUD))
        assert by_verdict(audited, "fail") == NATIVE_SIM, why(audited)
        assert by_verdict(audited, "unconfirmed") == AFTER_THE_STORAGE, why(audited)
        assert by_verdict(audited, "pass") == set(), why(audited)

    asyncio.run(story())


def test_a_server_on_udp_is_open() -> None:
    async def story() -> None:
        async with native_sim.udp_server() as server:

            async def opened() -> UdpLink:
                there = server.make_socket()
                there.setblocking(False)
                there.connect((server.host, server.port))
                _, link = await asyncio.get_running_loop().create_datagram_endpoint(UdpLink, sock=there)
                return link

            audited = await audit(Transport.UDP, opened)
        assert by_verdict(audited, "fail") == NATIVE_SIM, why(audited)
        assert by_verdict(audited, "unconfirmed") == AFTER_THE_STORAGE, why(audited)
        assert by_verdict(audited, "pass") == set(), why(audited)

    asyncio.run(story())


def small(build: qemu.Build) -> Firmware:
    """An image that the server takes and that would never run: little enough to be sent often."""
    made = images.make(build, "9.0.0", payload=bytes(range(256)) * 8)
    return Firmware(data=made.data, hash=made.hash, version="9.0.0")


def test_a_board_that_swaps_is_open(microbit_saved: State) -> None:
    """Groups os, image, stat and enum: everything that changes firmware is served, and nothing is asked."""

    async def story() -> None:
        async with qemu.board(microbit_saved) as board, line(board) as path:
            checks = ("KS-101", "KS-106", "KS-110", "KS-112", "KS-117")
            audited = await audit(
                Transport.SERIAL, lambda: SerialLink.open(str(path), BAUD), checks=checks, new=small(qemu.MICROBIT)
            )
        assert by_verdict(audited, "fail") == {"KS-101", "KS-106", "KS-117"}, why(audited)
        assert by_verdict(audited, "pass") == set(), why(audited)

    asyncio.run(story())


@pytest.mark.deep
def test_a_board_that_loads_into_ram_is_open(mps2_saved: State) -> None:
    """It has no state write: a mark for the next boot is unknown to it, which is no gate and no proof of one.

    The emulated board may fall silent on the way: what it has answered before is then unconfirmed, and never passed.
    """

    async def story() -> None:
        async with qemu.board(mps2_saved) as board, line(board, baud=MPS2_BAUD) as path:
            audited = await audit(
                Transport.SERIAL, lambda: SerialLink.open(str(path), BAUD), checks=("KS-104", "KS-117")
            )
        assert by_verdict(audited, "fail") | by_verdict(audited, "unconfirmed") == {"KS-117"}, why(audited)
        assert by_verdict(audited, "pass") == set(), why(audited)

    asyncio.run(story())
