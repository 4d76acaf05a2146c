"""The bare link in real time: two processes, HCI over TCP, requests answered by 20 bytes, beside the bound; its CPU.

    python -m bench.air      # exit code 1 if a cell stays under 90 % of its bound

This is the ground that uploads stand on: no SMP, no flash. The device process runs the air.
"""

import asyncio
import subprocess
import sys
import time
from typing import IO, cast

from keyswitch.gatt.services import device_table
from keyswitch.link.air.hub import Hub
from keyswitch.link.air.link import AirLink
from keyswitch.link.air.settings import parse_air
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.bumble.peripheral import BumblePeripheral
from keyswitch.link.bumble.radio import on_air, transport
from keyswitch.link.peripheral import Advertisement
from keyswitch.smp.framing import ble
from keyswitch.terms import Security
from keyswitch.timing.bound import REQUEST_OVERHEAD, upload_bound

ADDRESS = "F0:00:00:00:00:07"
SMP = (ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID)
CELLS = ((7.5, 2475), (7.5, 495), (15.0, 2475), (15.0, 495), (15.0, 244))
"""Interval in milliseconds, bytes of a request; three of them outstanding."""
WINDOW = 3
SECONDS = 4.0
LEAST = 0.9


class Answerer:
    """The device: answers each `size` bytes with 20."""

    def __init__(self, radio: BumblePeripheral, size: int) -> None:
        self.radio, self.size, self.got = radio, size, 0
        self.tasks: set[asyncio.Future[bool]] = set()

    def connected(self, connection: int, address: str) -> None:
        """Begin to count."""
        del connection, address
        self.began = time.monotonic(), time.process_time()

    def disconnected(self, connection: int, reason: str) -> None:
        """Say what share of a core it took."""
        del connection, reason
        wall, cpu = self.began
        print((time.process_time() - cpu) / (time.monotonic() - wall), flush=True)

    def written(self, connection: int, characteristic: str, value: bytes) -> None:
        """Answer what is whole."""
        self.got += len(value)
        while self.got >= self.size:
            self.got -= self.size
            task = asyncio.ensure_future(self.radio.notify(connection, characteristic, bytes(20)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def subscribed(self, connection: int, characteristic: str, on: bool) -> None:  # noqa: FBT001 - the port's
        """Nothing to do."""

    def secured(self, connection: int, security: Security) -> None:
        """Nothing to do."""


async def device(settings: str, size: int) -> None:
    """The device process: prints the name of its hub, and at the end its share of a core."""
    air = AirLink(parse_air(settings))
    hub = Hub(air)
    await hub.start()
    radio = BumblePeripheral(on_air(air, "device"), address=ADDRESS, table=device_table("Bench", smp=True))
    await radio.start(Answerer(radio, size))
    await radio.advertise(Advertisement(data=b"\x02\x01\x06"))
    print(hub.name, flush=True)
    await asyncio.sleep(60)


async def host(name: str, size: int) -> tuple[float, float]:
    """Image bytes per second, and the host's share of a core."""
    adapter = BumbleAdapter(transport(name))
    link = await adapter.connect(ADDRESS, 5_000)
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    await link.subscribe(*SMP, answers.put_nowait)
    began, cpu = time.monotonic(), time.process_time()
    asked = done = 0
    while time.monotonic() - began < SECONDS:
        while asked - done < WINDOW:
            for at in range(0, size, link.max_write):
                await link.write(*SMP, bytes(min(link.max_write, size - at)))
            asked += 1
        await answers.get()
        done += 1
    took = time.monotonic() - began
    share = (time.process_time() - cpu) / took
    await adapter.close()
    return done * (size - REQUEST_OVERHEAD) / took, share


def cell(interval_ms: float, size: int) -> dict[str, object]:
    """One cell: another device process each."""
    settings = f"interval_ms={interval_ms},phy=2M,dle=251"
    arguments = [sys.executable, "-m", "bench.air", settings, str(size)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            out = cast("IO[str]", process.stdout)
            rate, host_share = asyncio.run(host(out.readline().strip(), size))
            device_share = float(out.readline())
        finally:
            process.kill()
    bound = upload_bound(interval_us=int(interval_ms * 1000), buf_size=size, window=WINDOW)
    print(
        f"{interval_ms:>5} ms {size:>5} B  {rate / 1000:6.1f} kB/s of {bound.bytes_per_second / 1000:6.1f} "
        f"({bound.limited_by}), device {device_share:.1%}, host {host_share:.1%} of a core"
    )
    return {
        "interval_us": int(interval_ms * 1000),
        "buf_size": size,
        "bound_bytes_per_second": bound.bytes_per_second,
        "ours_bytes_per_second": rate,
        "device_cpu_share": device_share,
        "host_cpu_share": host_share,
    }


def run() -> dict[str, object]:
    """All cells, for `make bench`."""
    cells = [cell(*shape) for shape in CELLS]
    missed = [
        f"{one['interval_us']} us, {one['buf_size']} B: under {LEAST:.0%} of the bound"
        for one in cells
        if float(str(one["ours_bytes_per_second"])) < LEAST * float(str(one["bound_bytes_per_second"]))
    ]
    return {"link": cells, "missed": missed}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(device(sys.argv[1], int(sys.argv[2])))
    sys.exit(1 if run()["missed"] else 0)
