"""A PostgreSQL, and its URL: which stands in no file, and has no password in it. The driver comes with the engine."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from keyswitch.errors import InputError
from keyswitch.extras import need

CONNECT_WITHIN_S: Final = 10


@contextmanager
def connect_postgresql(url: str, *, keep: bool = False) -> Generator[Any]:
    """A connection of its own to a PostgreSQL; each statement is a transaction.

    With `keep`, the caller closes it, if all went well.

    Raises:
        InputError: the engine's package is not installed, or the database cannot be used.
    """
    check_url(url)
    need("dbos", place_of(url))
    import psycopg  # noqa: PLC0415 - of an extra

    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_WITHIN_S)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if not keep:
            connection.close()
    except psycopg.Error as error:
        raise unusable(url, error) from error


def unusable(url: str, error: object) -> InputError:
    """The error of a database that the driver, or the engine, could not use."""
    words = " ".join(str(error).split()) or "cannot be used"
    return InputError(place_of(url), words, "a PostgreSQL that is there, and a database of it that is ours to write")


def check_url(url: str) -> None:
    """Check the URL of a database, which stands in no file and must have no password in it.

    Raises:
        InputError: it is none, or has a password: whoever lists processes would see it.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise InputError(place_of(url), "no PostgreSQL", "postgresql://HOST/DATABASE")
    if parts.password or "password=" in parts.query:
        raise InputError(place_of(url), "a password stands in it, where others can see it", "~/.pgpass, or PGPASSWORD")


def place_of(url: str) -> str:
    """The URL of a database as messages have it: without who connects, and how."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
