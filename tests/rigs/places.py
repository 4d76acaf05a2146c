"""Where the rigs' parts are, and why one cannot be used.

Rule: asking for these tests (`--peers`) means wanting them, so a part that is missing fails the test and names the
cure. Nothing here is skipped in silence.
"""

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PEERS_PYTHON: Final = REPOSITORY / ".venv-peers/bin/python"
SET_UP: Final = "run `make test-peers`, or tools/peers/setup"


@cache
def servers_dir() -> Path:
    """Where the prebuilt servers are kept, outside the repository."""
    cache_dir = subprocess.run(
        [REPOSITORY / "tools/cache-dir"], check=True, capture_output=True, text=True, timeout=10
    ).stdout.strip()
    pinned = (REPOSITORY / "requirements/servers.txt").read_text()
    version = pinned.split("smpclient==")[1].split()[0]
    return Path(cache_dir) / f"smp-servers-{version}"


def server_file(name: str) -> Path:
    """One file of the servers; fails the test when it is not there."""
    path = servers_dir() / name
    need(None if path.is_file() else f"{path} is missing: {SET_UP}")
    return path


def need(reason: str | None) -> None:
    """Fail the running test with `reason`, if there is one."""
    if reason is not None:
        pytest.fail(f"rig unavailable: {reason}", pytrace=False)


def why_no_native_sim() -> str | None:
    """Why a 32-bit native_sim program cannot run here; None if it can."""
    if platform.system() != "Linux":
        return "native_sim servers are Linux programs"
    if not Path("/lib/ld-linux.so.2").exists():
        return f"no loader for 32-bit programs (Debian package libc6-i386): {SET_UP}"
    if not any(Path(folder, "libgcc_s.so.1").exists() for folder in ("/usr/lib32", "/lib/i386-linux-gnu")):
        return f"32-bit programs cannot end a thread (Debian package lib32gcc-s1): {SET_UP}"
    return None


def why_no_namespace() -> str | None:
    """Why no network namespace can be made here; None if one can."""
    if os.geteuid() != 0:
        return "a network namespace needs root"
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return f"unshare and ip are needed (Debian packages util-linux, iproute2): {SET_UP}"
    return None


def why_no_qemu() -> str | None:
    """Why no Cortex-M board can be emulated here; None if one can."""
    if shutil.which("qemu-system-arm") is None:
        return f"qemu-system-arm is not installed (Debian package qemu-system-arm): {SET_UP}"
    return None


def why_no_clients() -> str | None:
    """Why no foreign client can be run; None if they can."""
    return None if PEERS_PYTHON.exists() else f"{PEERS_PYTHON} is missing: {SET_UP}"
