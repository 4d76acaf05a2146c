"""The device's clock: the event loop's, or that and what was put on top of it by hand."""

import asyncio

from keyswitch.errors import InputError


class DeviceClock:
    """Milliseconds that never go back.

    Args:
        virtual: whether time may be advanced by hand. Real time passes all the same.
    """

    def __init__(self, *, virtual: bool = False) -> None:
        self._virtual = virtual
        self._ahead_ms = 0

    def now_ms(self) -> int:
        """The device's time."""
        return int(asyncio.get_running_loop().time() * 1000) + self._ahead_ms

    def advance(self, ms: int) -> None:
        """Let `ms` pass at once.

        Raises:
            InputError: this device runs on real time, or `ms` would turn the clock back.
        """
        if not self._virtual:
            raise InputError("advance", "this device runs on real time", "one that was started in virtual time")
        if ms < 0:
            raise InputError("advance", f"{ms} ms would turn the clock back", "0 or more")
        self._ahead_ms += ms
