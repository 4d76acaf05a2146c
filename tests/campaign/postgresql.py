"""A PostgreSQL of the system's own package, started for a test by a user who is not root, on a socket of its own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

USER = "postgres"
"""Whom Debian's package makes; the server refuses to be root."""


def programs() -> Path:
    """Where the newest server's programs are; they are not in PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.fail("no PostgreSQL here: tools/apt-ensure postgresql")
    return found[-1].parent


@dataclass
class Server:
    """A server: its directory, which is its socket's as well."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """For whoever connects: who they are there."""
        return {**os.environ, "PGUSER": USER}

    def url(self, database: str) -> str:
        """Of a database of it, which is made."""
        with psycopg.connect(
            f"postgresql:///postgres?host={self.directory}&user={USER}", autocommit=True
        ) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return f"postgresql:///{database}?host={self.directory}&user={USER}"

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.directory} -c max_connections=60"
        self._as_user(
            "pg_ctl", "-D", self.directory / "data", "-w", "-o", options, "-l", self.directory / "log", "start"
        )

    def stop(self) -> None:
        self._as_user("pg_ctl", "-D", self.directory / "data", "-m", "immediate", "stop")

    def make(self) -> None:
        self._as_user("initdb", "-D", self.directory / "data", "-A", "trust", "-U", USER, "--no-sync")

    def _as_user(self, program: str, *words: str | Path) -> None:
        command = [str(programs() / program), *map(str, words)]
        who = USER if os.geteuid() == 0 else None
        subprocess.run(command, user=who, group=who, extra_groups=[], check=True, stdout=subprocess.DEVNULL, cwd="/")


@contextmanager
def server() -> Generator[Server]:
    """A server until the end of the test. Its directory has a short name: a socket's path must not be long."""
    directory = Path(tempfile.mkdtemp(prefix="kspg"))
    if os.geteuid() == 0:
        person = pwd.getpwnam(USER)
        os.chown(directory, person.pw_uid, person.pw_gid)
    it = Server(directory)
    try:
        it.make()
        it.start()
        try:
            yield it
        finally:
            it.stop()
    finally:
        shutil.rmtree(directory)
