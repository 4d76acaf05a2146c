"""The Bluetooth adapters of a campaign: each belongs to one process, and its devices share it.

Rules:

* A process holds a lock on each adapter as long as it carries a campaign out: two that scan and connect over one
  adapter take the air from each other, and one would close what the other one uses.
* Devices of one adapter share one radio: it is opened with the first that needs it and closed when none does, so that
  one that failed is opened anew.
"""

import hashlib
import os
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from keyswitch.campaign.locks import HAS_FLOCK, announce, locked
from keyswitch.errors import InputError
from keyswitch.link.ports import Adapter, GattLink, Sighting
from keyswitch.link.targets import BleTarget, open_adapter, parse
from keyswitch.private_files import open_directory

OWN_ADAPTER: Final = "ble:"
"""This computer's own; others are `hci:TRANSPORT`."""


def adapter_of(target: str) -> str | None:
    """The adapter that a target is reached over; None where there is none, as over UDP.

    Raises:
        InputError: it names nothing that can be reached.
    """
    parsed = parse(target, anyone=True)
    if not isinstance(parsed, BleTarget):
        return None
    return OWN_ADAPTER if parsed.transport is None else f"hci:{parsed.transport}"


def locks_directory() -> Path:
    """Where this user's processes keep the locks of adapters."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"keyswitch-{user}"


@contextmanager
def own_adapters(targets: Iterable[str], directory: Path | None = None, *, who: str = "") -> Generator[None]:
    """Hold the adapters that these targets are reached over; where a system has no such locks, nobody holds any.

    Args:
        targets: of devices.
        directory: of the locks; None: `locks_directory`.
        who: this process is, for whoever is refused meanwhile.

    Raises:
        LockedError: another process has one.
    """
    names = sorted({name for name in map(adapter_of, targets) if name is not None and HAS_FLOCK})
    where = directory or locks_directory()
    with ExitStack() as stack:
        if names:
            try:
                os.close(open_directory(where, make=True))
            except OSError as error:
                raise InputError(str(where), error.strerror or "cannot be made", "a directory of this user") from error
        for name in names:  # sorted: two processes with the same adapters cannot each hold one of them for long
            file = where / f"adapter-{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
            announce(stack.enter_context(locked(file, "uses this adapter", where=name)), who)
        yield


class Radios:
    """The radios of one process, by the adapters that they are.

    Args:
        open_radio: opens the adapter of a target.
    """

    def __init__(self, open_radio: Callable[[BleTarget], Adapter] = open_adapter) -> None:
        self._open = open_radio
        self._radios: dict[str, _Shared] = {}

    def of(self, target: str) -> Adapter | None:
        """The radio for one update of this device, which closes it at its end; None where it needs none."""
        name = adapter_of(target)
        if name is None:
            return None
        shared = self._radios.get(name)
        if shared is None:
            parsed = parse(name, anyone=True)
            assert isinstance(parsed, BleTarget)  # noqa: S101 - `adapter_of` names nothing else
            shared = self._radios[name] = _Shared(self._open(parsed), lambda: self._radios.pop(name, None))
        shared.users += 1
        return _Part(shared)


class _Shared:
    def __init__(self, radio: Adapter, forget: Callable[[], object]) -> None:
        self.radio = radio
        self.users = 0
        self._forget = forget

    async def leave(self) -> None:
        self.users -= 1
        if not self.users:
            self._forget()
            await self.radio.close()


class _Part:
    """One user's part of a radio."""

    def __init__(self, shared: _Shared) -> None:
        self._shared: _Shared | None = shared
        self._radio = shared.radio

    @property
    def hears_while_connecting(self) -> bool:
        """As the radio says."""
        return self._radio.hears_while_connecting

    def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        """What the radio hears."""
        return self._radio.scan(timeout_ms)

    async def connect(self, address: str, timeout_ms: int) -> GattLink:
        """Connect and discover."""
        return await self._radio.connect(address, timeout_ms)

    async def close(self) -> None:
        """Use it no longer; the last user's end closes the radio."""
        shared, self._shared = self._shared, None
        if shared is not None:
            await shared.leave()
