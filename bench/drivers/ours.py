"""Uploads one image with Keyswitch's own operator and says how it went, as the drivers of the peers do.

    python -m bench.drivers.ours TARGET FILE

TARGET is as for `keyswitch update`. One line: {"bytes", "requests", "seconds", "cpu_s"}.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from keyswitch.cli.opening import open_reach
from keyswitch.host.reach import Reach
from keyswitch.host.reply import Refusal
from keyswitch.host.upload import Capacity, Uploaded, upload
from keyswitch.host.views import read_params


async def main(target: str, data: bytes) -> None:
    """Connect, upload, say."""
    reach: Reach = open_reach(target)
    connection = await reach.connect(smp_shown=target.startswith("hci:"))
    if connection.smp is None:
        raise SystemExit("the device does not show its SMP service")
    params = await read_params(connection.smp)
    if isinstance(params, Refusal):
        raise SystemExit(f"{params}")
    most = connection.smp.link.max_packet
    frame = params.buf_size if most is None else min(params.buf_size, most)
    capacity = Capacity(frame=frame, outstanding=max(1, params.buf_count - 1))
    began_s, cpu_s = time.monotonic(), time.process_time()
    end = await upload(connection.smp, data, capacity)
    seconds, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    if not isinstance(end, Uploaded):
        raise SystemExit(f"{end}")
    print(json.dumps({"bytes": end.size, "losses": end.losses, "seconds": seconds, "cpu_s": cpu_s}))
    await connection.close()
    await reach.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
