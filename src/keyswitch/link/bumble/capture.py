"""What passes between host and controller, into a file that Wireshark opens (btsnoop, RFC 1761 with HCI H4 packets).

Rules:

* A record is in the operating system when the packet goes on its way: the file of a killed process ends with a whole
  record, and can be read while it grows.
* Keys pass between host and controller: the file is a new one that only this user can read (mode 0600). An old one of
  this user's is replaced; a link, or what belongs to somebody else, is refused.
* The radio does not depend on the file: when the disk is full, the capture ends and the device goes on.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

from bumble.snoop import BtSnooper, Snooper

from keyswitch.link.capture_file import new_capture_file


class Capture(Snooper):
    """An open capture file; what is there already is replaced. Use it as a context manager, or call `close`.

    Args:
        path: of the file.
        failed: told once, in words, if the file takes no more.

    Raises:
        InputError: the file cannot be made.
    """

    def __init__(self, path: Path, failed: Callable[[str], None]) -> None:
        self._file = new_capture_file(path)
        self._failed = failed
        self._snooper: Snooper | None = None
        self._try(lambda: setattr(self, "_snooper", BtSnooper(self._file)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back. Harmless when repeated."""
        self._snooper = None
        self._file.close()

    def snoop(self, hci_packet: bytes, direction: Snooper.Direction) -> None:
        """Write one packet down."""
        snooper = self._snooper
        if snooper is not None:
            self._try(lambda: snooper.snoop(hci_packet, direction))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self._snooper = None
            self._failed(os.strerror(error.errno) if error.errno else str(error))
