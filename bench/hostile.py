"""What a client on a serial line keeps of its rate while the device's UDP socket is flooded, in real time.

    python -m bench.hostile     # exit code 1 if a promise is not kept

The device is a process of its own, its line a pseudo-terminal, the client echoes one request at a time. Each flood is a
process that sends as fast as it can, at the lowest priority: a flooding machine would be another one, and must not take
this one's processors from the device. A client on the flooded socket itself is not measured: most of what it sends is
lost in the kernel, before the device can tell whose it is.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from statistics import median

from tests.device.server_rig import packet

from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer
from keyswitch.link.serial_port import SerialLink
from keyswitch.smp.groups import os as os_group
from keyswitch.smp.header import Op
from keyswitch.testing.device import running_device

BAUD = 115_200
SECONDS = 1.0
ROUNDS = 7
"""In each everything is measured once, so that what else this machine does falls on all of it; medians count."""
BEGINS_S = 0.3
PROMISED_SHARE = 0.5
DATAGRAM = 1_400
"""Bytes that one datagram carries without fragments on most networks."""
PORTS = 64
NICEST = 19
ALONE = "alone"

ECHO = packet(Op.WRITE, os_group.ID, os_group.Id.ECHO, {"d": "hello world"})
PARAMETERS = packet(Op.READ, os_group.ID, os_group.Id.PARAMS)
FLOODS = {
    "one request in a datagram": (ECHO, 1),
    "as many as fit": (PARAMETERS * (DATAGRAM // len(PARAMETERS)), 1),
    "from many ports": (ECHO, PORTS),
}
"""What is sent, and from how many ports."""


def flood(target: str, kind: str) -> None:
    """Send as fast as it goes, until this process is ended."""
    os.nice(NICEST)
    datagram, ports = FLOODS[kind]
    host, port = target.rsplit(":", 1)
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(ports)]
    for each in sockets:
        each.connect((host, int(port)))
    for each in cycle(sockets):
        with suppress(OSError):  # the device's buffer is full
            each.send(datagram)


@contextmanager
def flooding(target: str, kind: str) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.hostile", target, kind]
    with subprocess.Popen(command) as process:
        time.sleep(BEGINS_S)
        try:
            yield
        finally:
            process.kill()


async def _echoes(line: Path) -> float:
    client = SmpClient(await SerialLink.open(str(line), BAUD))
    count, began = 0, time.monotonic()
    while time.monotonic() - began < SECONDS:
        reply = await client.write(os_group.ID, os_group.Id.ECHO, {"d": f"{count:020}"})
        count += isinstance(reply, Answer)
    await client.close()
    return count / SECONDS


def rounds() -> dict[str, list[float]]:
    """Echoes a second on the line, alone and beside each flood."""
    found: dict[str, list[float]] = {ALONE: [], **{kind: [] for kind in FLOODS}}
    with (
        tempfile.TemporaryDirectory() as made,
        running_device(Path(made) / "device", udp=True, serial=True) as device,
    ):
        for _ in range(ROUNDS):
            found[ALONE].append(asyncio.run(_echoes(device.serial)))
            for kind in FLOODS:
                with flooding(device.udp, kind):
                    found[kind].append(asyncio.run(_echoes(device.serial)))
    return found


def run() -> dict[str, object]:
    """Rates and what is kept of the rate alone as `hostile`, and what fell short as `missed`."""
    measured = rounds()
    found = {
        name: {
            "echoes_per_second": median(rates),
            "share": median(rate / alone for rate, alone in zip(rates, measured[ALONE], strict=True)),
        }
        for name, rates in measured.items()
    }
    for name, each in found.items():
        print(f"{name:28} {each['echoes_per_second']:8,.0f} echoes a second   {each['share']:4.0%}")
    missed = [
        f"{name}: a line keeps {each['share']:.0%} beside it, promised {PROMISED_SHARE:.0%}"
        for name, each in found.items()
        if each["share"] < PROMISED_SHARE
    ]
    return {"hostile": found, "missed": missed}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        flood(*sys.argv[1:])
    sys.exit(1 if run()["missed"] else 0)
