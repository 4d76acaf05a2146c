"""Which tables the engine that is installed knows; asked only of a database that is newer than what is known here.

A database that a newer engine has made is refused before anything is done with it. The engine itself would use it, and
may miss what its successor has put into other places: a device that is under way there is nothing to guess about.
"""

from typing import Final

KNOWN_TABLES: Final = 125
"""Of `dbos` 3.4: the number of changes that have made its tables, which it counts in `dbos_migrations`."""

MADE_BY_NEWER: Final = "a dbos newer than the one that is installed here has made its tables"


def is_newer(tables: int) -> bool:
    """Whether tables of this number are newer than those of the engine that is installed.

    An engine that does not say which ones it knows is one behind `dbos` 3.4; it is believed to know them.
    """
    if tables <= KNOWN_TABLES:
        return False
    from dbos import _migration  # noqa: PLC0415 - of an extra, and slow to import; nothing public has this number

    changes = getattr(_migration, "sqlite_migrations", None)
    return changes is not None and tables > len(changes)
