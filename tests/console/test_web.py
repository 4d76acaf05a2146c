"""What a request may do: hosts, origins, sessions, forms and streams, asked as attackers ask."""

import asyncio
import itertools
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import httpx
import pytest

from keyswitch.app.request import UpdateRequest
from keyswitch.console.addresses import ListenAddress, reached
from keyswitch.console.bench import Act, Bench, BenchDevice
from keyswitch.console.pages import TRAY, Pages
from keyswitch.console.sessions import MOST_GUESSES, Sessions, Tokens
from keyswitch.console.web import MAX_FORM, Web

TOKENS = Tokens(operate="operate-word", look="look-word")
TARGET = "udp:127.0.0.1:9"
HOSTILE = "ble:<script>alert(1)</script>\"'&\u202e\x1b[2J" + "x" * 200
ORIGIN = {"origin": "http://127.0.0.1:8443"}


@dataclass
class Rig:
    """A console without a server. Attributes: asked: the acts that were begun, by the bench's own record."""

    web: Web
    bench: Bench
    client: httpx.AsyncClient
    begun: list[tuple[str, Act]]

    async def page(self, path: str = "/") -> str:
        return (await self.client.get(path)).text

    async def form(self, path: str = "/") -> str:
        found = re.search(r'<meta name="form" content="([^"]+)">', await self.page(path))
        assert found is not None
        return found[1]


@asynccontextmanager
async def rig(
    records: Path, *targets: str, tokens: Tokens | None = None, most_streams: int = 200, form_ms: int = 10_000
) -> AsyncGenerator[Rig]:
    begun: list[tuple[str, Act]] = []

    class Noted(Bench):
        def ask(self, key: str, act: Act, number: int, *, person: str) -> bool:
            if number == self.cards[key].number + 1:
                begun.append((self.cards[key].target, act))
            return super().ask(key, act, number, person=person)

    request = UpdateRequest(target="", image=records / "none.bin")
    bench = Noted(
        [BenchDevice(request=UpdateRequest(target=each, image=request.image)) for each in targets or (TARGET,)],
        radio=None,
        request=request,
        policy=None,
        records=records,
        now_ms=lambda: 1_800_000_000_000,
    )
    words = itertools.count()
    sessions = Sessions(tokens, draw=lambda: f"word-{next(words)}", person="smith@bench")
    pages = Pages(bench, policy=None, logs_out=tokens is not None)
    where = reached(ListenAddress.parse("127.0.0.1:8443"), 8443)
    web = Web(bench, pages, sessions, reached=where, now_ms=lambda: 0, most_streams=most_streams, form_ms=form_ms)
    transport = httpx.ASGITransport(app=web.application())
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8443") as client:
        yield Rig(web=web, bench=bench, client=client, begun=begun)
    await bench.close()


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*args: Any, **values: Any) -> None:
        asyncio.run(test(*args, **values))

    return run


def address(act: str = "look", target: str = TARGET) -> str:
    return f"/devices/{BenchDevice(request=UpdateRequest(target=target)).key}/{act}"


@in_loop
async def test_a_button_begins_its_act_once_however_often_it_is_pressed(tmp_path: Path) -> None:
    async with rig(tmp_path) as console:
        form = {"form": await console.form(), "number": "1"}
        answers = [await console.client.post(address(), data=form, headers=ORIGIN) for _ in range(3)]
        assert [each.status_code for each in answers] == [303, 303, 303]
        assert console.begun == [(TARGET, Act.LOOK)]


Change = Callable[[dict[str, str], dict[str, str]], None]


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (403, lambda headers, _: headers.pop("origin")),
        (403, lambda headers, _: headers.update(origin="http://evil.example")),
        (403, lambda headers, _: headers.update(origin="null")),
        (403, lambda headers, _: headers.update(host="evil.example:8443")),
        (403, lambda _, form: form.pop("form")),
        (403, lambda _, form: form.update(form="word-0")),
        (400, lambda _, form: form.pop("held")),
        (400, lambda _, form: form.update(held="")),
        (413, lambda _, form: form.update(more="x" * MAX_FORM)),
    ],
)
def test_what_is_not_asked_from_a_page_of_ours_begins_nothing(tmp_path: Path, status: int, change: Change) -> None:
    async def run() -> None:
        async with rig(tmp_path) as console:
            headers, form = dict(ORIGIN), {"form": await console.form(), "number": "1", "held": "yes"}
            change(headers, form)
            answer = await console.client.post(address("update"), data=form, headers=headers)
            assert answer.status_code == status
            assert console.begun == []
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")

    asyncio.run(run())


@in_loop
async def test_a_form_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async with rig(tmp_path, form_ms=20) as console:
        form = await console.form()

        async def slowly() -> AsyncGenerator[bytes]:
            yield f"form={form}&num".encode()
            await asyncio.Event().wait()

        answer = await console.client.post(address(), content=slowly(), headers=ORIGIN)
        assert answer.status_code == 408
        assert console.begun == []


@in_loop
async def test_a_form_without_a_session_begins_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as console:
        form = {"form": await console.form(), "number": "1"}
        console.client.cookies.clear()
        assert (await console.client.post(address(), data=form, headers=ORIGIN)).status_code == 403
        assert console.begun == []


@in_loop
async def test_whoever_only_looks_sees_everything_and_begins_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path, tokens=TOKENS) as console:
        assert (await console.client.get("/")).headers["location"] == "/login"
        shown = {"token": TOKENS.look, "person": "Smith"}
        assert (await console.client.post("/login", data=shown, headers=ORIGIN)).status_code == 303
        page = await console.page()
        assert "You can look, and change nothing." in page
        assert "Hold to update" not in page
        form = {"form": await console.form(), "number": "1", "held": "yes"}
        for act in ("look", "update", "leave", "plan", "stop"):
            assert (await console.client.post(address(act), data=form, headers=ORIGIN)).status_code == 403
        assert console.begun == []
        assert (await console.client.post("/logout", data=form, headers=ORIGIN)).status_code == 303
        assert (await console.client.get("/")).headers["location"] == "/login"


@in_loop
async def test_guessed_tokens_are_counted(tmp_path: Path) -> None:
    async with rig(tmp_path, tokens=TOKENS) as console:
        for _ in range(MOST_GUESSES):
            assert (await console.client.post("/login", data={"token": "guess"}, headers=ORIGIN)).status_code == 403
        right = await console.client.post("/login", data={"token": TOKENS.operate}, headers=ORIGIN)
        assert right.status_code == 429
        assert "Wait 60 s" in right.text


@pytest.mark.parametrize(
    "path",
    [
        "/devices/..%2f..%2fetc%2fpasswd/record",
        "/devices/0000000000000000/record",
        "/devices/../../etc/passwd",
        "/static/../texts.toml",
        "/static/..%2f..%2fweb.py",
        "/static/%2e%2e/web.py",
        "/nothing",
    ],
)
def test_no_address_leads_out(tmp_path: Path, path: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as console:
            await console.page()
            assert (await console.client.get(path)).status_code in {404, 405}

    asyncio.run(run())


@in_loop
async def test_what_is_recorded_is_for_who_was_let_in(tmp_path: Path) -> None:
    async with rig(tmp_path, tokens=TOKENS) as console:
        key = next(iter(console.bench.cards))
        console.bench.record_of(key).write_text("{}\n")
        for path in (f"/devices/{key}/record", f"/devices/{key}/chart.svg?run=1", "/events?page=tray"):
            assert (await console.client.get(path)).status_code == 403


@in_loop
async def test_a_hostile_name_is_text_on_every_page_and_in_every_part(tmp_path: Path) -> None:
    async with rig(tmp_path, HOSTILE) as console:
        key = next(iter(console.bench.cards))
        await console.page()
        pages = [await console.page(), await console.page(f"/devices/{key}")]
        for page in pages:
            assert "<script>alert" not in page
            assert "\u202e" not in page
            assert "\x1b" not in page
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@in_loop
async def test_a_part_of_a_stream_stays_one_event_whatever_a_device_is_called(tmp_path: Path) -> None:
    async with rig(tmp_path, "ble:a\n\nevent: part\ndata: <b>forged</b>\n\n") as console:
        await console.page()
        parts = await first_of_stream(console, TRAY)
        (event,) = [each for each in parts.split("\n\n") if each.startswith("id: ")]
        assert all(line.startswith("data: ") for line in event.splitlines()[2:])
        assert "<b>forged" not in event


async def first_of_stream(console: Rig, page: str, *, after: str = "", last: str = "") -> str:
    """What a browser is told at once."""
    sent: list[bytes] = []
    told = asyncio.Event()
    query = f"page={page}&after={after}".encode()
    headers = [(b"host", b"127.0.0.1:8443")]
    cookie = "; ".join(f"{name}={value}" for name, value in console.client.cookies.items())
    headers += [(b"cookie", cookie.encode()), *([(b"last-event-id", last.encode())] if last else [])]
    scope = {"type": "http", "method": "GET", "path": "/events", "query_string": query, "headers": headers}

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: Any) -> None:
        body = message.get("body", b"")
        sent.append(body)
        if message["type"] == "http.response.body" and (b"id: " in body or not message.get("more_body")):
            told.set()

    whole: dict[str, Any] = {
        **scope,
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "asgi": {"version": "3.0"},
    }
    stream: Awaitable[None] = console.web.application()(whole, receive, send)
    task = asyncio.ensure_future(stream)
    waits = asyncio.ensure_future(told.wait())
    await asyncio.wait({waits, task}, timeout=0.3, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    waits.cancel()
    await asyncio.gather(task, waits, return_exceptions=True)
    assert console.web.streams == 0
    return b"".join(sent).decode()


@in_loop
async def test_a_stream_tells_what_changed_since_what_the_browser_has(tmp_path: Path) -> None:
    async with rig(tmp_path, TARGET, "udp:127.0.0.1:10") as console:
        found = re.search(r"after=([0-9a-f]+-\d+)", await console.page())
        assert found is not None
        have = found[1]
        assert "id: " not in await first_of_stream(console, TRAY, after=have)
        (first, _) = console.bench.cards
        console.bench.ask(first, Act.LOOK, 1, person="smith")
        for after, last in ((have, ""), ("", have), ("0-0", have)):
            told = await first_of_stream(console, TRAY, after=after, last=last)
            assert told.count("id: ") == 1
            assert f'id="card-{first}"' in told


@pytest.mark.parametrize("after", ["", "x", "0-1", "ffffffff-999", "-1", "9" * 400])
def test_a_browser_with_nothing_of_ours_is_told_everything(tmp_path: Path, after: str) -> None:
    async def run() -> None:
        async with rig(tmp_path, TARGET, "udp:127.0.0.1:10") as console:
            await console.page()
            assert (await first_of_stream(console, TRAY, after=after)).count("id: ") == 2

    asyncio.run(run())


@pytest.mark.parametrize(("most", "status"), [(0, 503), (1, 200)])
def test_one_page_too_many_is_told_to_come_back(tmp_path: Path, most: int, status: int) -> None:
    async def run() -> None:
        async with rig(tmp_path, most_streams=most) as console:
            await console.page()
            if status == 503:
                assert (await console.client.get("/events?page=tray")).status_code == status
            else:
                assert "id: " in await first_of_stream(console, TRAY)

    asyncio.run(run())
