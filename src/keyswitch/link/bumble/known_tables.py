"""GATT tables that were discovered before, so that a table that is still the same is not discovered again.

Rules:

* A table is known by its Database Hash and the address that showed it, and by nothing else: the server says on each
  connection, before the table is used, that it is the same one (Core spec Vol 3 Part G 7.3).
* A table of which a request was refused is forgotten: the next connection discovers it anew.
"""

from typing import Final

from keyswitch.link.bumble.att_client import FoundService

MAX_TABLES: Final = 32
"""A device has two, in maintenance and outside; more than a few devices meet nobody in one run."""


class KnownTables:
    """Tables of one adapter; the ones that were noted last are kept."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, bytes], tuple[FoundService, ...]] = {}

    def find(self, address: str, database_hash: bytes) -> tuple[FoundService, ...] | None:
        """The table with this hash at this address; None if it is not known, or the server has no hash."""
        return self._tables.get((address, database_hash))

    def note(self, address: str, database_hash: bytes, table: tuple[FoundService, ...]) -> None:
        """This table was discovered. Without a hash nobody could tell whether it is still the same: it is not kept."""
        if not database_hash:
            return
        self.forget(address, database_hash)
        self._tables[address, database_hash] = table
        if len(self._tables) > MAX_TABLES:
            del self._tables[next(iter(self._tables))]

    def forget(self, address: str, database_hash: bytes) -> None:
        """This table is not what the server said."""
        self._tables.pop((address, database_hash), None)
