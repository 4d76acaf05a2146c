"""What the engine has written, read from its tables without it: to load it takes longer than to read a thousand flows.

Rules:

* Nothing is written here, and nothing is locked: whoever carries the campaign out does not notice.
* Only the tables of `dbos` 3 are known; the contract test writes with the engine and reads here.
"""

import json
import os
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, cast

from keyswitch.campaign.dbos_version import MADE_BY_NEWER, is_newer
from keyswitch.campaign.engine import FlowRecord, FlowState
from keyswitch.campaign.model import Plain
from keyswitch.campaign.postgresql import connect_postgresql, place_of
from keyswitch.errors import InputError
from keyswitch.private_files import open_file

_CHANGES: Final = "SELECT version FROM {schema}dbos_migrations"
"""How often the engine has changed its tables until they were as they are."""

Database = Path | str
"""Where the engine keeps what it has to remember: a file of SQLite, or the URL of a PostgreSQL."""

ERROR: Final = "keyswitch error"
"""Key of what an error is kept as."""

_STATES: Final = {
    "SUCCESS": FlowState.DONE,
    "ERROR": FlowState.BROKEN,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": FlowState.BROKEN,
    "CANCELLED": FlowState.CANCELLED,
}
"""Of the engine's words; all others are unfinished work."""

_FLOWS: Final = """
    SELECT s.workflow_uuid, s.status, s.application_version, s.executor_id, i.inputs, o.output, o.error
    FROM {schema}workflow_status s
    LEFT JOIN {schema}workflow_input i ON i.workflow_uuid = s.workflow_uuid
    LEFT JOIN {schema}workflow_output o ON o.workflow_uuid = s.workflow_uuid
    WHERE s.workflow_uuid = {value} OR substr(s.workflow_uuid, 1, {value}) IN ({value}, {value})
"""

_STEPS: Final = """
    SELECT o.workflow_uuid, o.output
    FROM {schema}workflow_status s
    JOIN {schema}operation_outputs o ON o.workflow_uuid = s.workflow_uuid
    WHERE substr(s.workflow_uuid, 1, {value}) IN ({value}, {value}) AND s.name = {value} AND s.status <> 'SUCCESS'
        AND o.output IS NOT NULL
    ORDER BY o.workflow_uuid, o.function_id
"""


class Connection(Protocol):
    """What both stores' connections have."""

    def execute(self, query: Any, values: Any = ..., /) -> Any:
        """Carry a statement out; its rows can be fetched."""
        ...


class TablesStore:
    """`keyswitch.campaign.engine.Store`; without a connection, of a database that is still empty.

    Args:
        connection: to the database.
        schema: before the names of its tables.
        value: the mark of a value in a statement.
    """

    def __init__(self, connection: Connection | None = None, *, schema: str = "", value: str = "?") -> None:
        self._connection = connection
        words = {"schema": schema, "value": value}
        self._flows, self._steps = _FLOWS.format(**words), _STEPS.format(**words)

    def flows(self, campaign: str) -> dict[str, FlowRecord]:
        """Every flow of a campaign by its id."""
        if self._connection is None:
            return {}
        rows = self._connection.execute(self._flows, (campaign, *within(campaign))).fetchall()
        return {row[0]: _record(row) for row in rows}

    def results_of_steps(self, campaign: str, flow: str) -> dict[str, tuple[Plain, ...]]:
        """By its id: what the steps of each flow of this name that is not done have returned so far, in order."""
        if self._connection is None:
            return {}
        rows = self._connection.execute(self._steps, (*within(campaign), flow)).fetchall()
        found: dict[str, list[Plain]] = {}
        for id_, output in rows:
            value = _kept(output, id_)
            if isinstance(value, dict):
                found.setdefault(id_, []).append(cast("dict[str, Plain]", value))
        return {id_: tuple(values) for id_, values in found.items()}


def within(campaign: str) -> tuple[int, str, str]:
    """How long the beginnings are of the ids of a campaign's flows, all but its first round's, and which they are."""
    return len(campaign) + 1, f"{campaign}/", f"{campaign}#"


@contextmanager
def open_store(database: Database, *, at_once: bool = False) -> Generator[TablesStore]:
    """What a campaign's database has in it.

    Args:
        database: where the engine keeps it.
        at_once: all that is read is of one moment, however many questions that takes.

    Raises:
        InputError: it is no campaign's database, a newer engine has made it, or it cannot be used.
    """
    with (
        _sqlite(database, at_once=at_once) if isinstance(database, Path) else _postgresql(database, at_once=at_once)
    ) as store:
        yield store


@contextmanager
def _sqlite(path: Path, *, at_once: bool) -> Generator[TablesStore]:
    try:
        os.close(open_file(path, os.O_RDWR))
    except FileNotFoundError:
        yield TablesStore()
        return
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be opened", "a campaign's database") from error
    connection = sqlite3.connect(path)
    try:
        if _has(connection, "dbos_migrations"):
            _refuse_newer(connection, str(path))
        if at_once:
            connection.execute("BEGIN")
        # Killed before the engine had made its tables: nothing has begun.
        yield TablesStore(connection if _has(connection, "workflow_status") else None)
    except sqlite3.DatabaseError as error:
        raise InputError(str(path), str(error), "a campaign's database, and room on its disk") from error
    finally:
        connection.close()


@contextmanager
def _postgresql(url: str, *, at_once: bool) -> Generator[TablesStore]:
    with connect_postgresql(url) as connection:
        there = "SELECT to_regclass('dbos.dbos_migrations'), to_regclass('dbos.workflow_status')"
        counts, flows = connection.execute(there).fetchone()
        if counts:
            _refuse_newer(connection, place_of(url), schema="dbos.")
        if at_once:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield TablesStore(connection if flows else None, schema="dbos.", value="%s")


def _has(connection: Connection, table: str) -> bool:
    named = "SELECT 1 FROM sqlite_master WHERE name = ?"
    return connection.execute(named, (table,)).fetchone() is not None


def _refuse_newer(connection: Connection, where: str, *, schema: str = "") -> None:
    row = connection.execute(_CHANGES.format(schema=schema)).fetchone()
    if row is not None and is_newer(int(row[0])):
        raise InputError(where, MADE_BY_NEWER, "that one, or a newer one")


def _record(row: Any) -> FlowRecord:
    id_, status, version, executor, inputs, output, error = row
    given = cast("dict[str, Any]", _kept(inputs, id_)) if inputs else {}
    state = _STATES.get(status, FlowState.UNFINISHED)
    return FlowRecord(
        id=id_,
        state=state,
        version=(version or "").partition("/")[0],  # behind it is whose it is
        executor=executor or "",
        argument=(given.get("args") or [None])[0],
        result=_words_of(error) if state is FlowState.BROKEN else _kept(output, id_) if output else None,
    )


def _kept(text: str, flow: str) -> Plain:
    """A value that the engine has kept."""
    try:
        return json.loads(text)
    except ValueError:
        raise InputError(
            f"flow {flow}", "what is kept of it is not JSON: it was changed", "the database as it was"
        ) from None


def _words_of(error: str | None) -> str:
    value: Any = json.loads(error) if error else ""
    return str(cast("Mapping[str, Any]", value).get(ERROR, value)) if isinstance(value, dict) else str(value)
