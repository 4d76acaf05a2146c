"""Drives smpclient, unmodified, as its own documentation does. Runs in .venv-peers; speaks JSON lines.

    python smpclient_driver.py TARGET OPERATIONS

TARGET is `serial:PATH`, `udp:ADDRESS`, `bumble:HCI_TRANSPORT#NAME_OR_ADDRESS` or `ble:NAME_OR_ADDRESS`. OPERATIONS is a
JSON list of lists, each a name and its arguments. Every operation answers one line: `{"op", "ok", ...}`; what went
wrong is told in the client's own words. The first line that is not ok ends the run,
unless `go_on` stands before it.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from smpclient import SMPClient
from smpclient.generics import success
from smpclient.requests.image_management import ImageErase, ImageStatesRead, ImageStatesWrite
from smpclient.requests.os_management import EchoWrite, MCUMgrParametersRead, ResetWrite
from smpclient.transport.serial import SMPSerialTransport
from smpclient.transport.udp import SMPUDPTransport

REQUEST_S = 10.0
CONNECT_S = 20.0
RETRY_S = 0.25
Result = dict[str, Any]


def say(result: Result) -> None:
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


class RefusedError(Exception):
    """The server answered with an error; what the client makes of it."""


def client_for(target: str, line: dict[str, int]) -> SMPClient:
    kind, _, rest = target.partition(":")
    if kind == "serial":
        return SMPClient(SMPSerialTransport(**line), rest, timeout_s=REQUEST_S)
    if kind == "udp":
        return SMPClient(SMPUDPTransport(), rest, timeout_s=REQUEST_S)
    if kind == "bumble":
        from smpclient.transport.bumble import SMPBumbleTransport  # noqa: PLC0415  heavy, and not always installed

        hci, _, peer = rest.rpartition("#")
        return SMPClient(SMPBumbleTransport(hci=hci), peer, timeout_s=REQUEST_S)
    from smpclient.transport.ble import SMPBLETransport  # noqa: PLC0415  wants D-Bus

    return SMPClient(SMPBLETransport(), rest, timeout_s=REQUEST_S)


async def ask(client: SMPClient, request: Any, timeout_s: float = REQUEST_S) -> Any:
    answer = await client.request(request, timeout_s=timeout_s)
    if not success(answer):
        raise RefusedError(str(answer))
    return answer


def images(answer: Any) -> list[Result]:
    flags = ("bootable", "pending", "confirmed", "active", "permanent")
    return [
        {
            "slot": image.slot,
            "version": image.version,
            "hash": image.hash.hex() if image.hash else None,
            **{flag: bool(getattr(image, flag)) for flag in flags},
        }
        for image in answer.images
    ]


async def echo(client: SMPClient, text: str) -> Result:
    return {"answer": (await ask(client, EchoWrite(d=text))).r}


async def params(client: SMPClient) -> Result:
    answer = await ask(client, MCUMgrParametersRead())
    return {"buf_size": answer.buf_size, "buf_count": answer.buf_count}


async def state(client: SMPClient) -> Result:
    return {"images": images(await ask(client, ImageStatesRead()))}


async def upload(client: SMPClient, path: str) -> Result:
    data = Path(path).read_bytes()  # noqa: ASYNC240  before the clock starts
    begun_s, cpu_s = time.monotonic(), time.process_time()
    offsets = [offset async for offset in client.upload(data)]
    return {"bytes": offsets[-1], "requests": len(offsets), "seconds": time.monotonic() - begun_s} | {
        "cpu_s": time.process_time() - cpu_s
    }


async def test(client: SMPClient, image: str) -> Result:
    return {"images": images(await ask(client, ImageStatesWrite(hash=bytes.fromhex(image))))}


async def confirm(client: SMPClient, image: str | None = None) -> Result:
    wanted = bytes.fromhex(image) if image else None
    return {"images": images(await ask(client, ImageStatesWrite(hash=wanted, confirm=True)))}


async def erase(client: SMPClient) -> Result:
    await ask(client, ImageErase(), timeout_s=4 * REQUEST_S)
    return {}


async def reset(client: SMPClient) -> Result:
    await ask(client, ResetWrite())
    return {}


OPERATIONS: dict[str, Callable[..., Awaitable[Result]]] = {
    "echo": echo,
    "params": params,
    "state": state,
    "upload": upload,
    "test": test,
    "confirm": confirm,
    "erase": erase,
    "reset": reset,
}


async def running(target: str, line: dict[str, int], version: str, seconds: float) -> Result:
    """Reconnect until a device answers whose running image has that version."""
    end_s = time.monotonic() + seconds
    last: Exception | str = "nothing answered"
    while time.monotonic() < end_s:
        client = client_for(target, line)
        try:
            await client.connect(CONNECT_S)
            found = images(await ask(client, ImageStatesRead(), timeout_s=1.0))
            if any(image["active"] and image["version"] == version for image in found):
                return {"images": found}
            last = f"{found}"
        except Exception as error:  # noqa: BLE001  the client has four roots of exceptions; the last is told
            last = error
        finally:
            await client.disconnect()
        await asyncio.sleep(RETRY_S)
    raise TimeoutError(f"version {version} does not run after {seconds} s: {last}")


async def main(target: str, operations: list[list[Any]]) -> None:
    line: dict[str, int] = {}
    result: Result
    client: SMPClient | None = None
    go_on = False
    for name, *arguments in operations:
        try:
            if name == "go_on":
                go_on, result = True, {}
            elif name == "line":
                line, result = arguments[0], {}
            elif name == "running":
                if client is not None:
                    await client.disconnect()
                    client = None
                result = await running(target, line, *arguments)
            else:
                if client is None:
                    client = client_for(target, line)
                    await client.connect(CONNECT_S)
                result = await OPERATIONS[name](client, *arguments)
        except Exception as error:  # noqa: BLE001  whatever it is, it is what the user of this client would see
            say({"op": name, "ok": False, "kind": type(error).__name__, "said": str(error)})
            if go_on:
                continue
            break
        say({"op": name, "ok": True, **result})
    if client is not None:
        await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
