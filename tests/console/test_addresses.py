"""Where the console listens, and which requests are meant for it."""

import pytest

from keyswitch.console.addresses import ListenAddress, reached
from keyswitch.errors import InputError

HERE = ListenAddress.parse("127.0.0.1:8443")


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:8443", "127.0.0.1", 8443, True),
        ("localhost:0", "127.0.0.1", 0, True),
        ("[::1]:65535", "[::1]", 65535, True),
        ("192.0.2.1:443", "192.0.2.1", 443, False),
        ("0.0.0.0:443", "0.0.0.0", 443, False),  # noqa: S104 - what a person may ask for
    ],
)
def test_addresses_are_read(text: str, host: str, port: int, loopback: bool) -> None:
    listen = ListenAddress.parse(text)
    assert (listen.host, listen.port, listen.is_loopback) == (host, port, loopback)


@pytest.mark.parametrize(
    "text",
    ["", "8443", ":8443", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "bench:1", "127.0.0.1:x"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        ListenAddress.parse(text)
    assert refused.value.field == "listen"


@pytest.mark.parametrize("host", ["127.0.0.1:8443", "localhost:8443", "LOCALHOST:8443", "[::1]:8443", "localhost"])
def test_a_request_for_this_computer_is_meant_for_the_console(host: str) -> None:
    where = reached(HERE, 8443)
    assert where.is_host(host)
    assert where.is_origin(f"http://{host}")


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example:8443",
        "127.0.0.1.evil.example:8443",
        "localhost.evil.example",
        "127.0.0.1:8444",
        "127.0.0.1:8443:8443",
        "evil@127.0.0.1:8443",
        "[::1",
        "[::2]:8443",
    ],
)
def test_a_request_for_another_host_is_not(host: str | None) -> None:
    where = reached(HERE, 8443)
    assert not where.is_host(host)
    assert not where.is_origin(None if host is None else f"http://{host}")


@pytest.mark.parametrize("origin", [None, "", "null", "https://127.0.0.1:8443", "127.0.0.1:8443", "http://"])
def test_a_page_of_another_scheme_or_of_none_is_not_ours(origin: str | None) -> None:
    assert not reached(HERE, 8443).is_origin(origin)


def test_an_address_of_a_network_is_reached_by_itself_and_its_names() -> None:
    where = reached(ListenAddress.parse("192.0.2.1:8443"), 8443, names=("Bench.example",), tls=True)
    assert where.is_origin("https://192.0.2.1:8443")
    assert where.is_origin("https://bench.example:8443")
    assert not where.is_host("localhost:8443")


def test_whoever_listens_everywhere_says_by_which_name() -> None:
    everywhere = ListenAddress.parse("0.0.0.0:8443")
    with pytest.raises(InputError) as refused:
        reached(everywhere, 8443)
    assert "name" in str(refused.value)
    assert reached(everywhere, 8443, names=("bench",)).is_host("bench:8443")
