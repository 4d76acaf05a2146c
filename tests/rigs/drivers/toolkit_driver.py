"""Drives mcumgr-toolkit, unmodified. Runs in .venv-peers; the same arguments and lines as smpclient_driver.py.

TARGET is `serial:PATH` or `udp:ADDRESS[:PORT]`: over Bluetooth LE it takes only the computer's own adapter.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcumgr_toolkit import MCUmgrClient

REQUEST_MS = 10_000
RETRY_S = 0.25
Result = dict[str, Any]


def say(result: Result) -> None:
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


def client_for(target: str) -> MCUmgrClient:
    kind, _, rest = target.partition(":")
    if kind == "serial":
        return MCUmgrClient.serial(rest, timeout_ms=REQUEST_MS)
    host, _, port = rest.partition(":")
    return MCUmgrClient.udp(host, int(port or 1337), timeout_ms=REQUEST_MS)


def images(states: Any) -> list[Result]:
    flags = ("bootable", "pending", "confirmed", "active", "permanent")
    return [
        {
            "slot": image.slot,
            "version": image.version,
            "hash": bytes(image.hash).hex() if image.hash else None,
            **{flag: bool(getattr(image, flag)) for flag in flags},
        }
        for image in states
    ]


def echo(client: MCUmgrClient, text: str) -> Result:
    return {"answer": client.os_echo(text)}


def params(client: MCUmgrClient) -> Result:
    answer = client.os_mcumgr_parameters()
    return {"buf_size": answer.buf_size, "buf_count": answer.buf_count}


def state(client: MCUmgrClient) -> Result:
    return {"images": images(client.image_get_state())}


def upload(client: MCUmgrClient, path: str) -> Result:
    data = Path(path).read_bytes()
    seen: list[int] = []
    begun_s, cpu_s = time.monotonic(), time.process_time()
    client.image_upload(data, progress=lambda sent, _total: seen.append(sent))
    return {"bytes": max(seen, default=0), "requests": len(seen), "seconds": time.monotonic() - begun_s} | {
        "cpu_s": time.process_time() - cpu_s
    }


def test(client: MCUmgrClient, image: str) -> Result:
    return {"images": images(client.image_set_state(bytes.fromhex(image), confirm=False))}


def confirm(client: MCUmgrClient, image: str | None = None) -> Result:
    wanted = bytes.fromhex(image) if image else None
    return {"images": images(client.image_set_state(wanted, confirm=True))}


def erase(client: MCUmgrClient) -> Result:
    client.image_erase()
    return {}


def reset(client: MCUmgrClient) -> Result:
    client.os_system_reset()
    return {}


def frame(client: MCUmgrClient, size: int) -> Result:
    client.set_frame_size(size)
    return {}


def auto_frame(client: MCUmgrClient) -> Result:
    client.use_auto_frame_size()
    return {}


OPERATIONS: dict[str, Callable[..., Result]] = {
    "echo": echo,
    "params": params,
    "state": state,
    "upload": upload,
    "test": test,
    "confirm": confirm,
    "erase": erase,
    "reset": reset,
    "frame": frame,
    "auto_frame": auto_frame,
}


def running(target: str, version: str, seconds: float) -> Result:
    """Reconnect until a device answers whose running image has that version."""
    end_s = time.monotonic() + seconds
    last: Exception | str = "nothing answered"
    while time.monotonic() < end_s:
        try:
            client = client_for(target)
            client.set_timeout_ms(1000)
            found = images(client.image_get_state())
            if any(image["active"] and image["version"] == version for image in found):
                return {"images": found}
            last = f"{found}"
        except Exception as error:  # noqa: BLE001  the client raises several kinds; the last is told
            last = error
        client = None  # it holds the line until it is forgotten
        time.sleep(RETRY_S)
    raise TimeoutError(f"version {version} does not run after {seconds} s: {last}")


def main(target: str, operations: list[list[Any]]) -> None:
    client: MCUmgrClient | None = None
    go_on = False
    for name, *arguments in operations:
        try:
            if name == "go_on":
                go_on, result = True, {}
            elif name == "running":
                client = None
                result = running(target, *arguments)
            else:
                client = client or client_for(target)
                result = OPERATIONS[name](client, *arguments)
        except Exception as error:  # noqa: BLE001  whatever it is, it is what the user of this client would see
            say({"op": name, "ok": False, "kind": type(error).__name__, "said": str(error)})
            if go_on:
                continue
            break
        say({"op": name, "ok": True, **result})


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
