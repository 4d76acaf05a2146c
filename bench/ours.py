"""One upload by our operator, in a process of its own: what the peers' drivers do, and tell, with ours.

python -m bench.ours TARGET FILE
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from keyswitch.cli.opening import open_reach
from keyswitch.host.fitting import capacity_of
from keyswitch.host.upload import Progress, Uploaded, upload

CONNECT_MS = 20_000


async def main(target: str, data: bytes) -> int:
    """Upload, and print one line."""
    reach = open_reach(target)
    connection = await reach.connect(timeout_ms=CONNECT_MS)
    try:
        client = connection.smp
        if client is None:
            raise SystemExit(f"{target} shows no SMP service")
        capacity = await capacity_of(client)
        seen: list[Progress] = []
        begun_s, cpu_s = time.monotonic(), time.process_time()
        end = await upload(client, data, capacity, on_progress=seen.append)
        took = {"seconds": time.monotonic() - begun_s, "cpu_s": time.process_time() - cpu_s}
        ok = isinstance(end, Uploaded)
        print(json.dumps({"op": "upload", "ok": ok, "said": "" if ok else repr(end), "bytes": len(data), **took}))
        return 0 if ok else 1
    finally:
        await connection.close()
        await reach.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes())))
