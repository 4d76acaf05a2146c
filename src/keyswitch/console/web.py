"""The console as a web application: which address does what, and who may ask it. Carries nothing out itself.

Rules:

* Every request names a host of ours; whoever changes something has a session that operates, comes from a page of ours
  (its origin), and carries that session's own word in its form. Each of the three is asked, none stands for another.
* Nothing is loaded from elsewhere, and no script or style stands in a page: the policy of contents says so to browsers.
* A stream tells what is, not what happened: a browser that slept is told the same as one that was there.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keyswitch.campaign.orders import OrderKind
from keyswitch.campaign.report import report
from keyswitch.console.addresses import Reached
from keyswitch.console.bench import Act, Bench, Card
from keyswitch.console.desk import TOPIC, WORDS, CampaignDesk
from keyswitch.console.history import chart_of
from keyswitch.console.pages import TRAY, Pages
from keyswitch.console.sessions import NotLetIn, Session, Sessions
from keyswitch.console.texts import text
from keyswitch.errors import InputError

_log = logging.getLogger(__name__)

COOKIE: Final = "keyswitch"

MAX_DIGITS: Final = 15
"""Of a number of acts, records or changes: none has so many."""

MAX_FORM: Final = 4_096
"""Bytes; the longest form, a token with a name, has some hundred."""

FORM_MS: Final = 10_000
"""In which a form has to arrive."""

MOST_STREAMS: Final = 200
"""Open pages; the next one is told to come back later."""

EACH_MS: Final = 100
"""Between two parts of a stream: what changes faster is shown as it is then."""

STILL_MS: Final = 15_000
"""After which a stream says that it is still there, so that both ends notice when it is not."""

CONTENTS: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

HELD: Final = frozenset({OrderKind.BEGIN, OrderKind.ABORT})
"""Acts that are asked for by holding the button."""

_HEADERS: Final = {
    "content-security-policy": CONTENTS,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

_SVG_CONTENTS: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""A chart brings its own styles, and nothing else; it is a picture in our pages, not a part of them."""


class Refused(HTTPException):
    """A request that is not carried out. Attributes: detail: why, in the words of `texts.toml`."""

    def __init__(self, status: HTTPStatus, name: str) -> None:
        super().__init__(status, text(name))


class Web:
    """The application.

    Args:
        bench: whose devices it shows.
        pages: as HTML.
        sessions: the browsers that were let in.
        reached: how browsers reach it.
        now_ms: a clock that never goes back, for sessions and guesses.
        most_streams: open pages.
        form_ms: in which a form has to arrive.
        desk: the campaign that people steer; None without one.
    """

    def __init__(
        self,
        bench: Bench,
        pages: Pages,
        sessions: Sessions,
        *,
        reached: Reached,
        now_ms: Callable[[], int],
        most_streams: int = MOST_STREAMS,
        form_ms: int = FORM_MS,
        desk: CampaignDesk | None = None,
    ) -> None:
        self._bench = bench
        self._desk = desk
        self._pages = pages
        self._sessions = sessions
        self._reached = reached
        self._now_ms = now_ms
        self._most_streams = most_streams
        self._form_ms = form_ms
        self._streams = 0
        self._closing = asyncio.Event()
        self._start = secrets.token_hex(4)
        """Of this console: a version that another one told means nothing here."""

    @property
    def streams(self) -> int:
        """Pages that are open."""
        return self._streams

    def close(self) -> None:
        """End every stream."""
        self._closing.set()

    def application(self) -> ASGIApp:
        """For a server."""
        routes = [
            Route("/", self._tray, methods=["GET"]),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/listen", self._listen, methods=["POST"]),
            Route("/events", self._events, methods=["GET"]),
            Route("/devices/{key}", self._device, methods=["GET"]),
            Route("/devices/{key}/record", self._record, methods=["GET"]),
            Route("/devices/{key}/chart.svg", self._chart, methods=["GET"]),
            Route("/devices/{key}/stop", self._stop, methods=["POST"]),
            Route("/devices/{key}/{act}", self._act, methods=["POST"]),
            Route("/campaign", self._campaign, methods=["GET"]),
            Route("/campaign/plot.svg", self._plot, methods=["GET"]),
            Route("/campaign/report.{form}", self._report, methods=["GET"]),
            Route("/campaign/{act}", self._campaign_act, methods=["POST"]),
            Mount("/static", StaticFiles(packages=[("keyswitch.console", "static")])),
        ]
        handlers = {HTTPException: self._told_why, Exception: self._told_bug}
        return _Guard(Starlette(routes=routes, exception_handlers=handlers), self._reached)

    # --- pages ---

    async def _tray(self, request: Request) -> Response:
        session = self._known(request) or self._let_in(request)
        if session is None:
            return RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        page = self._pages.tray(session, self._mark(self._bench.changes.version))
        return self._with_cookie(HTMLResponse(page), session)

    async def _device(self, request: Request) -> Response:
        session = self._known(request) or self._let_in(request)
        if session is None:
            return RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        page = self._pages.device(self._card(request), session, self._mark(self._bench.changes.version))
        return self._with_cookie(HTMLResponse(page), session)

    async def _login(self, request: Request) -> Response:
        if not self._sessions.wants_token:
            return RedirectResponse("/", HTTPStatus.SEE_OTHER)
        if request.method == "GET":
            return HTMLResponse(self._pages.login())
        form = await _form(request, self._form_ms)
        address = request.client.host if request.client is not None else ""
        told = self._sessions.show(form.get("token", ""), form.get("person", ""), address, self._now_ms())
        if isinstance(told, NotLetIn):
            seconds = -(-told.wait_ms // 1000)
            words = text("login.wait", seconds=seconds) if seconds else text("login.wrong")
            status = HTTPStatus.TOO_MANY_REQUESTS if seconds else HTTPStatus.FORBIDDEN
            return HTMLResponse(self._pages.login(words), status)
        return self._with_cookie(RedirectResponse("/", HTTPStatus.SEE_OTHER), told)

    async def _logout(self, request: Request) -> Response:
        session, _ = await self._asked(request, operates=False)
        self._sessions.end(session)
        answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE)
        return answer

    # --- files ---

    async def _record(self, request: Request) -> Response:
        self._must_know(request)
        path = self._bench.record_of(self._card(request).key)
        if not path.is_file():
            raise Refused(HTTPStatus.NOT_FOUND, "refused.not_found")
        return FileResponse(path, media_type="application/jsonl", filename=path.name)

    async def _chart(self, request: Request) -> Response:
        self._must_know(request)
        path = self._bench.record_of(self._card(request).key)
        try:
            svg = chart_of(path, _whole(request.query_params.get("run", "")))
        except InputError:
            raise Refused(HTTPStatus.NOT_FOUND, "refused.not_found") from None
        return Response(svg, media_type="image/svg+xml", headers={"content-security-policy": _SVG_CONTENTS})

    # --- acts ---

    async def _act(self, request: Request) -> Response:
        session, form = await self._asked(request)
        card = self._card(request)
        try:
            act = Act(request.path_params["act"])
        except ValueError:
            raise Refused(HTTPStatus.NOT_FOUND, "refused.not_found") from None
        if act is Act.UPDATE and form.get("held") != "yes":
            raise Refused(HTTPStatus.BAD_REQUEST, "act.hold")
        self._bench.ask(card.key, act, _number(form), person=session.person)
        return _back(request, card)

    async def _stop(self, request: Request) -> Response:
        _, form = await self._asked(request)
        card = self._card(request)
        self._bench.stop(card.key, _number(form))
        return _back(request, card)

    async def _listen(self, request: Request) -> Response:
        await self._asked(request)
        self._bench.listen()
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)

    # --- the campaign ---

    def _the_desk(self) -> CampaignDesk:
        if self._desk is None:
            raise Refused(HTTPStatus.NOT_FOUND, "refused.not_found")
        return self._desk

    async def _campaign(self, request: Request) -> Response:
        self._the_desk()
        session = self._known(request) or self._let_in(request)
        if session is None:
            return RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        page = self._pages.campaign(session, self._mark(self._bench.changes.version))
        return self._with_cookie(HTMLResponse(page), session)

    async def _campaign_act(self, request: Request) -> Response:
        session, form = await self._asked(request)
        desk = self._the_desk()
        act = WORDS.get(request.path_params["act"])
        if act is None:
            raise Refused(HTTPStatus.NOT_FOUND, "refused.not_found")
        if act in HELD and form.get("held") != "yes":
            raise Refused(HTTPStatus.BAD_REQUEST, "act.hold")
        desk.ask(act, _number(form), person=session.person)
        return RedirectResponse("/campaign", HTTPStatus.SEE_OTHER)

    async def _plot(self, request: Request) -> Response:
        self._must_know(request)
        self._the_desk()
        svg = self._pages.plot()
        if not svg:
            raise Refused(HTTPStatus.NOT_FOUND, "refused.not_found")
        return Response(svg, media_type="image/svg+xml", headers={"content-security-policy": _SVG_CONTENTS})

    async def _report(self, request: Request) -> Response:
        self._must_know(request)
        desk = self._the_desk()
        name = f"{desk.files.directory.stem}.{request.path_params['form']}"
        try:
            data = report(desk.status(), Path(name))
        except InputError:
            raise Refused(HTTPStatus.NOT_FOUND, "refused.not_found") from None
        disposition = f'attachment; filename="{quote(name)}"'
        return Response(data, media_type="application/octet-stream", headers={"content-disposition": disposition})

    # --- streams ---

    async def _events(self, request: Request) -> Response:
        session = self._must_know(request)
        page = request.query_params.get("page", TRAY)
        known = page == TRAY or page in self._bench.cards or (page == TOPIC and self._desk is not None)
        if not known:
            raise Refused(HTTPStatus.NOT_FOUND, "refused.no_device")
        if self._streams >= self._most_streams:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "refused.streams")
        told = request.headers.get("last-event-id") or request.query_params.get("after", "")
        return StreamingResponse(self._stream(page, self._version(told), session), media_type="text/event-stream")

    def _version(self, told: str) -> int:
        """The version that a browser has; 0, so that it is told everything, if this console has not told it that."""
        start, _, number = told.partition("-")
        return _whole(number) if start == self._start else 0

    async def _stream(self, page: str, have: int, session: Session) -> AsyncIterator[str]:
        """What has changed since the version that the browser has, again and again."""
        self._streams += 1
        closing: asyncio.Task[Any] = asyncio.ensure_future(self._closing.wait())
        watched = self._desk.watched() if self._desk is not None and page == TOPIC else nullcontext()
        try:
            with watched:
                async for part in self._parts_until(closing, page, have, session):
                    yield part
        except Exception as error:
            _note_bug(error)
            raise
        finally:
            closing.cancel()
            self._streams -= 1

    async def _parts_until(
        self, closing: "asyncio.Task[Any]", page: str, have: int, session: Session
    ) -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        while not closing.done():
            parts, have = self._parts(page, have, session)
            if parts:
                yield parts
            changed: asyncio.Task[Any] = asyncio.ensure_future(self._bench.changes.wait_newer(have))
            try:
                waits = {changed, closing}
                await asyncio.wait(waits, timeout=STILL_MS / 1000, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
            if not changed.done() and not closing.done():
                yield ": still here\n\n"
            await asyncio.sleep(EACH_MS / 1000)
            if self._sessions.of(session.id, self._now_ms()) is None:
                return

    def _parts(self, page: str, have: int, session: Session) -> tuple[str, int]:
        changes = self._bench.changes
        made = (self._pages.part(page, topic, session) for topic in changes.newer(have))
        at = changes.version
        return "".join(self._event(at, html) for html in made if html), at

    def _mark(self, version: int) -> str:
        """A version as browsers are told it."""
        return f"{self._start}-{version}"

    def _event(self, version: int, html: str) -> str:
        lines = "".join(f"data: {line}\n" for line in html.splitlines())
        return f"id: {self._mark(version)}\nevent: part\n{lines}\n"

    # --- who asks ---

    def _known(self, request: Request) -> Session | None:
        return self._sessions.of(request.cookies.get(COOKIE), self._now_ms())

    def _let_in(self, _request: Request) -> Session | None:
        return None if self._sessions.wants_token else self._sessions.begin(self._now_ms())

    def _must_know(self, request: Request) -> Session:
        session = self._known(request)
        if session is None:
            raise Refused(HTTPStatus.FORBIDDEN, "refused.form")
        return session

    async def _asked(self, request: Request, *, operates: bool = True) -> tuple[Session, dict[str, str]]:
        """Who asks for a change, and with which form."""
        session = self._must_know(request)
        form = await _form(request, self._form_ms)
        if not session.is_form(form.get("form", "")):
            raise Refused(HTTPStatus.FORBIDDEN, "refused.form")
        if operates and not session.operates:
            raise Refused(HTTPStatus.FORBIDDEN, "refused.looks")
        return session, form

    def _with_cookie(self, answer: Response, session: Session) -> Response:
        secure = self._reached.scheme == "https"
        answer.set_cookie(COOKIE, session.id, httponly=True, samesite="strict", secure=secure)
        return answer

    def _card(self, request: Request) -> Card:
        card = self._bench.cards.get(request.path_params["key"])
        if card is None:
            raise Refused(HTTPStatus.NOT_FOUND, "refused.no_device")
        return card

    # --- refusals ---

    async def _told_why(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - what this handler is registered for
        words = {404: text("refused.not_found"), 405: text("refused.method")}
        why = error.detail if isinstance(error, Refused) else words.get(error.status_code, error.detail)
        return HTMLResponse(self._pages.refused(why, self._known(request)), error.status_code, error.headers)

    async def _told_bug(self, request: Request, error: Exception) -> Response:
        _note_bug(error)
        return HTMLResponse(self._pages.refused(text("refused.failed"), self._known(request)), 500)


class _Guard:
    """Lets through what is meant for this console, and says to browsers what its pages may do."""

    def __init__(self, inner: ASGIApp, reached: Reached) -> None:
        self._inner = inner
        self._reached = reached

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        why = ""
        if headers.getlist("host") != [headers.get("host")] or not self._reached.is_host(headers.get("host")):
            why = text("refused.host")
        elif scope["method"] not in {"GET", "HEAD"} and not self._reached.is_origin(headers.get("origin")):
            why = text("refused.origin")
        if why:
            await PlainTextResponse(f"{why}\n", HTTPStatus.FORBIDDEN)(scope, receive, sent)
        else:
            await self._inner(scope, receive, sent)


def _note_bug(error: Exception) -> None:
    """One line for whoever started the console; where it came from is for whoever asked to see it."""
    _log.error("this is a bug in keyswitch: %s: %s", type(error).__name__, error)
    _log.debug("it came from here", exc_info=error)


async def _form(request: Request, within_ms: int) -> dict[str, str]:
    """What a form says, each field once; it is small, and arrives soon."""
    body = bytearray()
    try:
        async with asyncio.timeout(within_ms / 1000):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_FORM:
                    raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "refused.too_long")
    except TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "refused.too_slow") from None
    except ClientDisconnect:
        return {}
    return dict(parse_qsl(bytes(body).decode("utf-8", "replace"), keep_blank_values=True))


def _number(form: dict[str, str]) -> int:
    return _whole(form.get("number", ""))


def _whole(text: str) -> int:
    """A number as we have told it; 0, which we never tell, for anything else."""
    return int(text) if len(text) <= MAX_DIGITS and text.isascii() and text.isdigit() else 0


def _back(request: Request, card: Card) -> Response:
    """To the page that the form stands on: a browser without scripts loads it again."""
    came = request.headers.get("referer", "")
    return RedirectResponse(f"/devices/{card.key}" if card.key in came else "/", HTTPStatus.SEE_OTHER)
