"""The client that is tested here: a small one of its own, over UDP. Nothing in it knows the device's maker."""

import hashlib
import socket
import struct
from typing import Any

import cbor2

READ, WRITE = 0, 2
ACCESS_DENIED = 11
OS, IMAGE = 0, 1
HEADER = struct.Struct(">BBHHBB")
ANSWER_WITHIN_S = 2.5
CHUNK = 1_024


class RefusedError(Exception):
    """The device said no."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"error {code}: {reason or 'the device does not say why'}")
        self.code = code
        self.reason = reason


class MyClient:
    """One device at `HOST:PORT`."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(ANSWER_WITHIN_S)
        self._socket.connect((host, int(port)))
        self._sequence = 0

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def ask(self, op: int, group: int, command: int, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request and its answer.

        Raises:
            RefusedError: the device refused it.
            TimeoutError: it did not answer.
        """
        self._sequence = (self._sequence + 1) % 256
        payload = cbor2.dumps(body or {})
        self._socket.send(HEADER.pack(0x08 | op, 0, len(payload), group, self._sequence, command) + payload)
        while True:
            answer = self._socket.recv(65_535)
            if answer[6] == self._sequence:  # a late answer belongs to nobody
                return self._understood(cbor2.loads(answer[HEADER.size :]))

    def _understood(self, said: dict[str, Any]) -> dict[str, Any]:
        error = said.get("err") or said
        code = error.get("rc", 0)
        if code:
            raise RefusedError(code, said.get("rsn", ""))
        return said

    def images(self) -> list[dict[str, Any]]:
        """What the slots hold."""
        return list(self.ask(READ, IMAGE, 0)["images"])

    def update(self, content: bytes) -> None:
        """Upload an image, have it tried, and reset the device.

        Raises:
            RefusedError: the device does not take it now; `reason` says what would have to be otherwise.
        """
        offset = 0
        while offset < len(content):
            body: dict[str, Any] = {"off": offset, "data": content[offset : offset + CHUNK]}
            if offset == 0:
                body |= {"len": len(content), "sha": hashlib.sha256(content).digest()}
            offset = self.ask(WRITE, IMAGE, 1, body)["off"]
        new = next(image for image in self.images() if not image["active"])
        self.ask(WRITE, IMAGE, 0, {"hash": new["hash"], "confirm": False})
        self.ask(WRITE, OS, 5)
