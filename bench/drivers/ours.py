"""Uploads one image with Keyswitch's own operator and says how it went, as the drivers of the peers do.

    python -m bench.drivers.ours TARGET FILE

TARGET is as for `keyswitch update`. The slot is erased first, so that nothing is resumed. One line: {"bytes", "losses",
"seconds", "cpu_s"}; `bytes` are those that were sent now.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

from keyswitch.app.endpoints import open_endpoint
from keyswitch.host.connect.endpoint import Endpoint
from keyswitch.host.smp.reply import Refusal
from keyswitch.host.upload.frame_size import capacity_of
from keyswitch.host.upload.uploader import Uploaded, upload
from keyswitch.smp.groups import image

ERASE_MS: Final = 40_000
"""As long as the drivers of the peers wait for it."""


async def main(target: str, data: bytes) -> None:
    """Connect, upload, say."""
    endpoint: Endpoint = open_endpoint(target)
    connection = await endpoint.connect(smp_shown=target.startswith("hci:"))
    if connection.smp is None:
        raise SystemExit("the device does not show its SMP service")
    erased = await connection.smp.write(image.ID, image.Id.ERASE, timeout_ms=ERASE_MS)
    if isinstance(erased, Refusal):
        raise SystemExit(f"erase: {erased}")
    capacity = await capacity_of(connection.smp)
    began_s, cpu_s = time.monotonic(), time.process_time()
    end = await upload(connection.smp, data, capacity)
    seconds, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    if not isinstance(end, Uploaded):
        raise SystemExit(f"{end}")
    print(json.dumps({"bytes": end.size - end.resumed_at, "losses": end.losses, "seconds": seconds, "cpu_s": cpu_s}))
    await connection.close()
    await endpoint.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
