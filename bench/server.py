"""How many requests a second the pure server executes, without radio: echo, upload, and what the gate costs of it.

    python -m bench.server      # exit code 1 if a promise is not kept

The times are of one thread. `gate_share` is the time that `authorise` takes, of an echo's.
"""

import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

from tests.device.server_rig import Rig, make_image, packet, pump

from keyswitch.gate.authorise import authorise
from keyswitch.mcuboot.layout import Algorithm, Layout
from keyswitch.smp.header import Op

PROMISED = {
    "echo_requests_per_second": 15_000,
    "upload_requests_per_second": 5_000,
    "gate_share": 0.05,
    "device_bytes_1": 200_000,
    "device_bytes_10": 200_000,
    "device_bytes_100": 200_000,
}
AT_LEAST = frozenset({"echo_requests_per_second", "upload_requests_per_second"})

REPEATS = 5
SLOT_SIZE = 458_752


def _median_seconds(work: Callable[[], None]) -> float:
    times: list[float] = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times)[REPEATS // 2]


def echoes_per_second(count: int = 10_000) -> float:
    """Echoes of 11 characters in maintenance, received and executed one by one."""
    rig = Rig()
    peer = rig.in_maintenance()
    frame = packet(Op.WRITE, 0, 0, {"d": "hello world"})
    server, now_ms = rig.server, rig.now_ms

    def work() -> None:
        for _ in range(count):
            server.receive(peer, frame, now_ms)
            server.run_one(now_ms)

    return count / _median_seconds(work)


def uploads_per_second(chunk: int = 2_400) -> float:
    """Chunks of a whole image into flash in memory, in frames made beforehand."""
    policy = pump()
    policy = replace(policy, bootloader=replace(policy.bootloader, slot_size=SLOT_SIZE, sector_size=4096))
    rig = Rig(policy, layout=Layout.for_slots(Algorithm.SWAP_MOVE, SLOT_SIZE))
    peer = rig.in_maintenance()
    content = make_image(size=SLOT_SIZE - 64 * 1024)
    frames = [
        packet(Op.WRITE, 1, 1, {"off": at, "data": content[at : at + chunk]} | ({} if at else {"len": len(content)}))
        for at in range(0, len(content), chunk)
    ]
    server, now_ms = rig.server, rig.now_ms

    def work() -> None:
        for frame in frames:
            server.receive(peer, frame, now_ms)
            server.run_one(now_ms)

    return len(frames) / _median_seconds(work)


def gate_seconds(count: int = 100_000) -> float:
    """One decision."""
    rig = Rig()
    core, peer = rig.server.core, rig.server.core.peers[rig.in_maintenance()]
    key = (0, 0, Op.WRITE.value)

    def work() -> None:
        for _ in range(count):
            authorise(core.policy, core.state, peer, key)

    return _median_seconds(work) / count


def bytes_per_device(count: int = 100) -> float:
    """Memory of one idle device, its flash not counted, when there are `count` of them in a process."""
    policy = pump()
    tracemalloc.start()
    rigs = [Rig(policy) for _ in range(count)]
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    flash = sum(rig.flash.geometry.size for rig in rigs)
    return (used - flash) / count


def run() -> dict[str, object]:
    """The numbers as `server`, and what fell short as `missed`."""
    echo = echoes_per_second()
    found = {
        "echo_requests_per_second": echo,
        "upload_requests_per_second": uploads_per_second(),
        "gate_share": gate_seconds() * echo,
        "device_bytes_1": bytes_per_device(1),
        "device_bytes_10": bytes_per_device(10),
        "device_bytes_100": bytes_per_device(100),
    }
    for name, value in found.items():
        print(f"{name:28} {value:12,.3f}   ({'at least' if name in AT_LEAST else 'at most'} {PROMISED[name]:,})")
    missed = [
        f"{name} is {value:,.3f}, promised {PROMISED[name]:,}"
        for name, value in found.items()
        if (value < PROMISED[name]) is (name in AT_LEAST)
    ]
    return {"server": found, "missed": missed}


if __name__ == "__main__":
    sys.exit(1 if run()["missed"] else 0)
