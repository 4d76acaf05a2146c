"""Serves the console: opens the address, lets browsers in, and ends everything when it is asked to end."""

import asyncio
import logging
import secrets
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn

from keyswitch.app.recorder import this_person
from keyswitch.campaign.carry_out import LOOK_SIGNAL
from keyswitch.console.addresses import ListenAddress, Reached, reached
from keyswitch.console.bench import Bench
from keyswitch.console.desk import CampaignDesk
from keyswitch.console.pages import Pages
from keyswitch.console.sessions import Sessions, Tokens
from keyswitch.console.web import MOST_STREAMS, Web
from keyswitch.errors import Field, InputError
from keyswitch.policy.model import Policy

TOKEN_BYTES: Final = 16
"""Nobody guesses 128 bits, five a minute."""

SPARE_CONNECTIONS: Final = 64
"""Beside the open pages: for pages that are loaded, and forms that are sent."""

END_S: Final = 2
"""For answers that are under way when the console ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How the console is served.

    Attributes:
        listen: where.
        names: further names that people type to reach it.
        certificate: PEM file; needed for every address but this computer's own.
        certificate_key: PEM file of its private key.
    """

    listen: ListenAddress
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    certificate_key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A console that listens.

    Attributes:
        url: its first page.
        tokens: that let browsers in; None if none are needed.
    """

    url: str
    tokens: Tokens | None


async def serve(
    bench: Bench,
    options: ServerOptions,
    *,
    policy: Policy | None,
    desk: CampaignDesk | None = None,
    ready: Callable[[Serving], None],
) -> None:
    """Serve until cancelled; `ready` is told the address.

    Raises:
        InputError: the address or the certificate cannot be used.
    """
    check_options(options)
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())  # bugs are told by the application, in one line
    logging.getLogger("uvicorn").propagate = False
    listening = _listening(options.listen)
    try:
        port: int = listening.getsockname()[1]
        tls = options.certificate is not None
        where = reached(options.listen, port, names=options.names, tls=tls)
        tokens = None if options.listen.is_loopback else Tokens(operate=_token(), look=_token())
        sessions = Sessions(tokens, draw=_token, person=this_person())
        pages = Pages(bench, policy=policy, logs_out=tokens is not None, desk=desk)
        loop = asyncio.get_running_loop()
        web = Web(bench, pages, sessions, reached=where, now_ms=lambda: round(loop.time() * 1000), desk=desk)
        if desk is not None and LOOK_SIGNAL is not None:
            loop.add_signal_handler(LOOK_SIGNAL, desk.look)
        server = _Server(_config(web, options), web)
        ready(Serving(url=_url(where, options.listen), tokens=tokens))
        running = asyncio.ensure_future(server.serve(sockets=[listening]))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            server.should_exit = True  # ended in the middle, it would leave its socket registered with the loop
            await running
            raise
    finally:
        listening.close()
        if desk is not None:
            await desk.close()
        await bench.close()


class _Server(uvicorn.Server):
    """Ends the streams before it waits for the answers that are under way: a stream has no end of its own.

    Signals are left to the process: uvicorn would take them, and raise them anew when it has ended, before the devices'
    connections are closed.
    """

    def __init__(self, config: uvicorn.Config, web: Web) -> None:
        super().__init__(config)
        self._web = web

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._web.close()
        await super().shutdown(sockets)


def _config(web: Web, options: ServerOptions) -> uvicorn.Config:
    return uvicorn.Config(
        web.application(),
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=MOST_STREAMS + SPARE_CONNECTIONS,
        timeout_graceful_shutdown=END_S,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.certificate_key,
    )


def check_options(options: ServerOptions) -> None:
    """Whether a console can be served so, as far as that shows before it listens.

    Raises:
        InputError: it cannot.
    """
    _check_tls(options)
    reached(options.listen, options.listen.port, names=options.names)


def _check_tls(options: ServerOptions) -> None:
    certificate, key = options.certificate, options.certificate_key
    if certificate is None:
        if key is not None:
            raise InputError(Field("certificate_key"), "means nothing without a certificate")
        if not options.listen.is_loopback:
            raise InputError(
                Field("listen", options.listen.host),
                "is reached from other computers, and there is no certificate",
                "a certificate, or an address of this computer alone",
            )
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        raise InputError(Field("certificate", str(certificate)), f"cannot be used: {error}", "two PEM files") from None


def _listening(listen: ListenAddress) -> socket.socket:
    family = socket.AF_INET6 if listen.address.version == 6 else socket.AF_INET  # noqa: PLR2004 - of IP
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((str(listen.address), listen.port))
        made.listen()  # only now is the address really ours
    except OSError as error:
        made.close()
        raise InputError(Field("listen", f"{listen.host}:{listen.port}"), f"{error.strerror}", "a free port") from None
    return made


def _url(where: Reached, listen: ListenAddress) -> str:
    host = next(iter(sorted(where.hosts))) if listen.address.is_unspecified else listen.host
    return f"{where.scheme}://{host}:{where.port}/"


def _token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)
