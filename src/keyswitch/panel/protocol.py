"""What goes over a panel's socket: how a person at the device (or a test) reaches what no radio may.

A Unix socket in the state directory, open to its owner alone. One JSON object a line each way:

    {"do": "set", "name": "motion", "value": true}   ->  {"ok": true, …}
    anything that cannot be done                      ->  {"ok": false, "error": "what, where, why", "exit": 1 or 2}

Rule: a line is bounded (`MAX_LINE`), and so is every wait of the client.
"""

import os
from pathlib import Path
from typing import Any, TypedDict

from keyswitch.exits import Exit

SOCKET = "panel.sock"
"""The socket's name in the state directory."""

MAX_LINE = 65_536
"""Bytes in one request or answer; a status of a device with many slots and inputs is far below."""

MAX_ERROR = 1_000
"""Characters of an error; six bytes each at most in JSON."""

ANSWER_WITHIN_MS = 10_000
"""A power cycle with a swap of the largest images is done by then."""

MAX_SOCKET_PATH = 100
"""Bytes; the kernel's limit for a socket's path is 107 (unix(7), sun_path)."""


class RunningJson(TypedDict):
    """The image that runs."""

    version: str
    hash: str


class PanelSlotJson(TypedDict):
    """What lies in one slot."""

    image: int
    slot: int
    version: str
    hash: str
    active: bool
    confirmed: bool
    pending: bool
    permanent: bool


class GateStatus(TypedDict):
    """Mode, lease and gate (`open` or `shut`), what runs and what the slots hold; `mode` is null while nothing runs."""

    mode: str | None
    lease_ms: int | None
    gate: str
    running: RunningJson | None
    slots: list[PanelSlotJson]


class PanelStatusJson(GateStatus):
    """The object of every `keyswitch panel DIR … --json` but `log`: the device as it is afterwards.

    `passkey` is what it shows for a pairing at this moment.
    """

    passkey: str | None


class SocketAddress:
    """The socket's path, made short where the kernel could not take it as it is. To be closed after use.

    Attributes:
        text: what to bind or to connect to.
    """

    def __init__(self, path: Path) -> None:
        self._directory = -1
        self.text = str(path)
        if len(os.fsencode(self.text)) > MAX_SOCKET_PATH:
            self._directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self.text = f"/proc/self/fd/{self._directory}/{path.name}"

    def close(self) -> None:
        """Give back what made the path short."""
        if self._directory >= 0:
            os.close(self._directory)


def done(answer: dict[str, Any]) -> dict[str, Any]:
    """What goes back for a request that was carried out."""
    return {"ok": True, **answer}


def refused(why: str, code: Exit) -> dict[str, Any]:
    """What goes back for a request that was not. Cut to `MAX_ERROR`: what was asked for may be quoted in it."""
    return {"ok": False, "error": why[:MAX_ERROR], "exit": code}
