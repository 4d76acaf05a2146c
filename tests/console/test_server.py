"""Where the console may listen, and how it ends."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from keyswitch.app.request import UpdateRequest
from keyswitch.cli.interrupts import run_to_end
from keyswitch.console.addresses import ListenAddress
from keyswitch.console.bench import Bench, BenchDevice
from keyswitch.console.open_bench import open_bench
from keyswitch.console.server import ServerOptions, Serving, serve
from keyswitch.errors import InputError

HERE = ListenAddress.parse("127.0.0.1:0")


def bench_in(directory: Path) -> Bench:
    return Bench(
        [BenchDevice(request=UpdateRequest(target="udp:127.0.0.1:9"))],
        radio=None,
        request=None,
        policy=None,
        records=directory,
        now_ms=lambda: 0,
    )


def refused(options: ServerOptions, directory: Path) -> InputError:
    async def run() -> None:
        await serve(bench_in(directory), options, policy=None, ready=lambda _: None)

    with pytest.raises(InputError) as told:
        asyncio.run(run())
    return told.value


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"listen": ListenAddress.parse("192.0.2.1:0")}, "listen"),
        ({"listen": ListenAddress.parse("0.0.0.0:0")}, "listen"),
        ({"listen": HERE, "certificate_key": Path("key.pem")}, "certificate_key"),
        ({"listen": HERE, "certificate": Path("no-such.pem")}, "certificate"),
    ],
)
def test_what_would_be_unsafe_or_cannot_be_used_is_refused(tmp_path: Path, options: dict[str, Any], field: str) -> None:
    assert refused(ServerOptions(**options), tmp_path).field == field


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    error = refused(ServerOptions(listen=HERE, certificate=tmp_path / "no.pem"), tmp_path)
    assert "no.pem" in str(error)


def test_consoles_end_and_begin_anew_in_one_process(tmp_path: Path) -> None:
    async def run() -> None:
        for _ in range(2):
            ready: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
            task = asyncio.ensure_future(
                serve(bench_in(tmp_path), ServerOptions(listen=HERE), policy=None, ready=ready.set_result)
            )
            serving = await ready
            assert serving.tokens is None
            async with httpx.AsyncClient() as client:
                assert (await client.get(serving.url)).status_code == 200
                async with client.stream("GET", f"{serving.url}events") as stream:  # one that never ends by itself
                    assert stream.status_code == 200
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task

    asyncio.run(run())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_once_the_devices_are_closed(tmp_path: Path, number: signal.Signals) -> None:
    """uvicorn would raise them anew when it has ended: SIGTERM killed the process before that."""
    closed: list[str] = []
    bench = bench_in(tmp_path)
    close = bench.close

    async def closed_in_the_end() -> None:
        signal.raise_signal(number)  # pressed again
        await close()
        closed.append("bench")

    bench.close = closed_in_the_end
    serving = serve(bench, ServerOptions(listen=HERE), policy=None, ready=lambda _: signal.raise_signal(number))
    with pytest.raises(KeyboardInterrupt):
        run_to_end(serving)
    assert closed == ["bench"]


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    async def run() -> None:
        ready: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
        options = ServerOptions(listen=HERE)
        task = asyncio.ensure_future(serve(bench_in(tmp_path), options, policy=None, ready=ready.set_result))
        taken = ListenAddress.parse((await ready).url.removeprefix("http://").rstrip("/"))
        with pytest.raises(InputError) as told:
            await serve(bench_in(tmp_path), ServerOptions(listen=taken), policy=None, ready=lambda _: None)
        assert told.value.field == "listen"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("targets", "near", "field"),
    [((), None, "target"), (("udp:127.0.0.1:9", "udp:127.0.0.1:9"), None, "target"), ((), "udp:127.0.0.1", "near")],
)
def test_a_bench_of_nothing_or_of_one_device_twice_is_refused(
    tmp_path: Path, targets: tuple[str, ...], near: str | None, field: str
) -> None:
    with pytest.raises(InputError) as told:
        open_bench(targets, near=near, request=UpdateRequest(target=""), records=tmp_path / "records")
    assert told.value.field == field
    assert not (tmp_path / "records").exists()
