"""Asks a person, for the passkey that a device shows or to do something, in a way that can be given up.

Rules:

* Nothing waits in a thread that the program would have to wait for: Ctrl-C and a pairing that took too long end it.
* The prompt goes to stderr: stdout may be JSON lines.
* Where nobody can type, nobody is asked: that is said, and the pairing fails.
"""

import asyncio
import os
import sys
import threading
from contextlib import suppress
from typing import Final

from keyswitch.app.endpoints import MAX_PASSKEY
from keyswitch.cli.output import echo

READ_MOST: Final = 1024
"""Bytes of one line; a terminal hands over lines."""


async def ask_passkey() -> int | None:
    """The six digits that a person types; None if there is nobody, or they gave up."""
    if sys.stdin is None or not sys.stdin.isatty():
        echo("the device shows a passkey, and there is no terminal to type it at: use --passkey", err=True)
        return None
    while True:
        echo("passkey that the device shows: ", err=True, end=False)
        typed = await line_typed(sys.stdin.fileno())
        if not typed:
            return None
        word = typed.decode(errors="replace").strip()
        if word.isdecimal() and int(word) <= MAX_PASSKEY:
            return int(word)
        echo("six digits were expected", err=True)


async def line_typed(descriptor: int) -> bytes:
    """The line that is typed next on this descriptor; empty at its end."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[bytes] = loop.create_future()

    def take(data: bytes) -> None:
        if not typed.done():
            typed.set_result(data)

    def wait() -> None:
        data = os.read(descriptor, READ_MOST)
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(take, data)

    try:
        loop.add_reader(descriptor, lambda: take(os.read(descriptor, READ_MOST)))
    except NotImplementedError:  # Windows: a thread that nobody waits for
        threading.Thread(target=wait, name="passkey", daemon=True).start()
        return await typed
    try:
        return await typed
    finally:
        loop.remove_reader(descriptor)


class TerminalNumbers:
    """Shows numbers on the terminal while we pair (`keyswitch.link.ports.PairingNumbers`)."""

    async def same(self, number: str) -> bool:
        """Whether the person says that the device shows the same number; no where nobody can be asked."""
        if sys.stdin is None or not sys.stdin.isatty():
            echo("the device shows a number to compare, and there is no terminal to answer at", err=True)
            return False
        echo(f"does the device show {number}? [y/N] ", err=True, end=False)
        return (await line_typed(sys.stdin.fileno())).decode(errors="replace").strip().lower() in {"y", "yes"}

    def show(self, number: str) -> None:
        """Show a number that is to be typed on the device."""
        echo(f"type {number} on the device", err=True)
