"""That a device has failed for good, and by what: the first thing that went wrong counts, all else follows from it."""

import asyncio

from keyswitch.errors import KeyswitchError
from keyswitch.exits import Exit


class DeviceFailedError(KeyswitchError):
    """The device could not do what it had decided, and has stopped: its flash or its state directory failed."""

    exit_code = Exit.FAULT


class Failure:
    """What a device has failed by; nothing as long as it works."""

    def __init__(self) -> None:
        self._error: BaseException | None = None
        self._happened = asyncio.Event()

    def happen(self, error: BaseException) -> None:
        """The device has failed."""
        self._error = self._error or as_failure(error)
        self._happened.set()

    async def wait(self) -> None:
        """Wait until the device has failed; returns only by the exception."""
        await self._happened.wait()
        if self._error is not None:
            raise self._error


def as_failure(error: BaseException) -> BaseException:
    """A medium that fails is no bug: it is said in one line."""
    return DeviceFailedError(f"the device has stopped: {error}") if isinstance(error, OSError) else error
