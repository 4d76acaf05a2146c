"""Ask a running device over its panel's socket."""

import json
import os
import socket
from pathlib import Path
from typing import Any

from keyswitch import private_files
from keyswitch.errors import InputError, KeyswitchError, LinkLostError
from keyswitch.exits import Exit
from keyswitch.panel.protocol import ANSWER_WITHIN_MS, MAX_LINE, SOCKET, SocketAddress


class DeviceNotRunningError(LinkLostError):
    """No device process serves this state directory."""

    exit_code = Exit.UNREACHABLE


class RefusedByDeviceError(KeyswitchError):
    """The device said no (`Exit.NO`), or the request made no sense to it (`Exit.USAGE`)."""

    def __init__(self, said: str, exit_code: Exit) -> None:
        super().__init__(said)
        self.exit_code = exit_code


def ask(state: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send one request to the device that serves `state` and wait for its answer, at most `ANSWER_WITHIN_MS`.

    Raises:
        InputError: `state` is no state directory, or not this user's.
        DeviceNotRunningError: nobody serves it, or there was no answer in time.
        RefusedByDeviceError: the device refused the request; says why.
    """
    try:
        line = _exchange(state, json.dumps(request).encode() + b"\n")
    except PermissionError as error:
        raise InputError(str(state), "Permission denied", "the user who runs the device") from error
    except OSError as error:
        raise DeviceNotRunningError(f"{state}: no running device answers here ({error})") from error
    if not line.endswith(b"\n"):
        raise DeviceNotRunningError(f"{state}: the device ended before it answered")
    answer: dict[str, Any] = json.loads(line)
    if not answer.pop("ok"):
        raise RefusedByDeviceError(str(answer["error"]), Exit(answer["exit"]))
    return answer


def _exchange(state: Path, line: bytes) -> bytes:
    try:
        os.close(
            private_files.open_directory(state)
        )  # in another user's directory, another user's program would answer
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(str(state), "no such state directory", "the state directory of a running device") from None
    address = SocketAddress(state / SOCKET)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_WITHIN_MS / 1000)
            connection.connect(address.text)
            connection.sendall(line)
            return connection.makefile("rb").readline(MAX_LINE)
    finally:
        address.close()
