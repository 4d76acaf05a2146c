"""What an audit sends and receives, taken down until its report is written: one capture for each way to the device."""

import shutil
import tempfile
from pathlib import Path
from typing import Self

from keyswitch.link.targets import BleTarget, SerialTarget, UdpTarget, parse


class Captures:
    """The captures of one audit, in a directory that only this user can read. Use it as a context manager."""

    def __init__(self) -> None:
        self._directory: Path | None = None

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="keyswitch-audit-"))
        return self

    def __exit__(self, *_: object) -> None:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def path_for(self, target: str) -> Path | None:
        """Where the packets of this target go; None before anything is captured."""
        return None if self._directory is None else self._directory / name_of(target)

    def files(self) -> dict[str, bytes]:
        """What was captured, by the name that it has in the report."""
        found = sorted(self._directory.iterdir()) if self._directory is not None else []
        return {path.name: path.read_bytes() for path in found}


def name_of(target: str) -> str:
    """The name of a target's capture: btsnoop where we are the host of the radio, else pcapng."""
    match parse(target):
        case BleTarget(transport=None):
            return "capture-ble.pcapng"
        case BleTarget():
            return "capture-ble.btsnoop"
        case UdpTarget():
            return "capture-udp.pcapng"
        case SerialTarget():
            return "capture-serial.pcapng"
