"""Where the console listens, and whose requests it takes. Pure.

Rules:

* A request names a host that this console is reached by: a page elsewhere whose name was made to lead here does not.
* What changes something comes from a page of this console: its origin is the address of the console itself.
* Anything but this computer's own address takes a certificate: a token that crosses a network in clear is everybody's.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final, Self

from keyswitch.errors import Field, InputError, Phrase

DEFAULT_LISTEN: Final = "127.0.0.1:8443"

_EXPECTED: Final = "ADDRESS:PORT, such as 127.0.0.1:8443 or [::1]:8443"

MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """Where the console listens.

    Attributes:
        address: of this computer.
        port: 0: any that is free.
    """

    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `ADDRESS:PORT`.

        Raises:
            InputError: it is none.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not (port.isascii() and port.isdigit()) or int(port) > MAX_PORT:
            raise InputError(Field("listen", text), "no address with a port", _EXPECTED)
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        try:
            address = ipaddress.ip_address("127.0.0.1" if bare == "localhost" else bare)
        except ValueError:
            raise InputError(Field("listen", text), f"{bare!r} is no address of a computer", _EXPECTED) from None
        return cls(address=address, port=int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether this computer alone can reach it."""
        return self.address.is_loopback

    @property
    def host(self) -> str:
        """As a URL has it."""
        return f"[{self.address}]" if self.address.version == 6 else str(self.address)  # noqa: PLR2004 - of IP


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How browsers reach the console.

    Attributes:
        scheme: `http` or `https`.
        hosts: names and addresses, as the Host header has them without a port.
        port: that it listens on.
    """

    scheme: str
    hosts: frozenset[str]
    port: int

    def is_host(self, header: str | None) -> bool:
        """Whether a request that names this host is meant for the console."""
        host, port = _split(header or "")
        return host in self.hosts and port in {str(self.port), ""}

    def is_origin(self, header: str | None) -> bool:
        """Whether a page of this console sent the request. A browser names its origin with every form it sends."""
        scheme, there, rest = (header or "").partition("://")
        return bool(there) and scheme == self.scheme and self.is_host(rest)


def reached(listen: ListenAddress, port: int, *, names: tuple[str, ...] = (), tls: bool = False) -> Reached:
    """How browsers reach a console that listens there.

    Args:
        listen: where it was asked to listen.
        port: that it has got.
        names: further names of this computer, as people type them.
        tls: whether it has a certificate.

    Raises:
        InputError: it listens everywhere and has no name: every Host would be as good as another.
    """
    hosts = {name.lower() for name in names}
    if listen.is_loopback:
        hosts |= {"localhost", "127.0.0.1", "[::1]"}
    elif listen.address.is_unspecified:
        if not names:
            expected = Phrase("the name that people type, by {host}")
            raise InputError(Field("listen", listen.host), "listens to every address", expected)
    else:
        hosts.add(listen.host)
    return Reached(scheme="https" if tls else "http", hosts=frozenset(hosts), port=port)


def _split(header: str) -> tuple[str, str]:
    """Host and port of a Host header; IPv6 addresses stand in brackets (RFC 9110 7.2, RFC 3986 3.2.2)."""
    if header.startswith("["):
        host, bracket, rest = header.partition("]")
        return (host + bracket).lower(), rest.removeprefix(":")
    host, _, port = header.partition(":")
    return host.lower(), port
