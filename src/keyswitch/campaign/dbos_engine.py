"""The engine: DBOS on SQLite or PostgreSQL, in this process. No other module lets it do anything.

Rules:

* It is told everything that it would guess: who executes (`EXECUTOR`), which shape the flows have (`FLOWS_VERSION`, by
  default a hash of the source: work of another hash would lie there untouched without a word).
* The database is ours to set up: write-ahead log, `synchronous=FULL`, readable by its owner alone.
* Values are JSON. The engine's default is pickle, which runs what whoever writes the database wants to have run.
* A local file only: SQLite's locks do not hold on network file systems.
"""

import asyncio
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.campaign.dbos_tables import ERROR, Database, open_store, within
from keyswitch.campaign.engine import FLOWS_VERSION, Flow
from keyswitch.campaign.model import Plain
from keyswitch.campaign.postgresql import CONNECT_WITHIN_S, check_url, place_of, unusable
from keyswitch.errors import InputError
from keyswitch.extras import need
from keyswitch.private_files import open_file

EXECUTOR: Final = "bench"
"""Who carries flows out: a campaign on SQLite has one process."""

BUSY_MS: Final = 30_000
"""How long a writer waits for another one, as the engine has it (`dbos/_sys_db_sqlite.py`)."""

LOOK_EACH_S: Final = 1.0
"""How often an executor looks for what others have left for it, and they for its end: the engine tells neither."""

OF_THE_ENGINE: Final = "DBOS."
"""How the names begin of what is kept of a flow and is no step of ours (`dbos/_sys_db.py`)."""

NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)
"""As Linux names them in /proc/mounts."""


def refuse_network(path: Path, mounts: str | None = None) -> None:
    """Refuse a database on a network file system, as far as this system says what it is.

    Args:
        path: of the database; its directory is there.
        mounts: text of /proc/mounts; None: this system's.

    Raises:
        InputError: it is one.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text("utf-8", "replace")
        except OSError:
            return  # not Linux: not known
    real = path.parent.resolve()
    found = ("", "")
    for line in mounts.splitlines():
        _, at, kind, *_ = [*line.split(" "), "", "", ""]
        at = at.replace("\\040", " ")
        if real.is_relative_to(at or "?") and len(at) >= len(found[0]):
            found = (at, kind)
    if found[1] in NETWORK_FILE_SYSTEMS:
        problem = f"SQLite on a network file system ({found[1]} at {found[0]})"
        raise InputError(str(path), problem, "the campaign file on a local disk")


@contextmanager
def open_database(database: Database) -> Generator[Any]:
    """The SQLAlchemy engine of a campaign's database; a file is made if it is not there.

    Raises:
        InputError: the engine's package is not installed, or the database cannot be used.
    """
    need("dbos", str(database) if isinstance(database, Path) else place_of(database))
    # What it has to say is raised as well, and told in one line.
    logging.getLogger("dbos").setLevel(logging.CRITICAL + 1)
    with _sqlite(database) if isinstance(database, Path) else _postgresql(database) as engine:
        yield engine


@contextmanager
def _sqlite(path: Path) -> Generator[Any]:
    refuse_network(path)
    with open_store(path):
        pass  # one that a newer engine has made is not touched
    try:
        os.close(open_file(path, os.O_RDWR | os.O_CREAT))
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be opened", "a file that can be written") from error
    from sqlalchemy import create_engine, event  # noqa: PLC0415 - of an extra
    from sqlalchemy.exc import DatabaseError  # noqa: PLC0415 - of an extra

    engine = create_engine(f"sqlite:///{path}")

    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", set_up)
    try:
        yield engine
    except DatabaseError as error:
        raise InputError(str(path), f"{error.orig}", "a campaign's database, and room on its disk") from error
    finally:
        engine.dispose()


@contextmanager
def _postgresql(url: str) -> Generator[Any]:
    check_url(url)
    from sqlalchemy import create_engine, event, make_url  # noqa: PLC0415 - of an extra
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - of an extra

    place = make_url(url).set(drivername="postgresql+psycopg")
    # A connection that a restarted server has forgotten is made anew when it is taken.
    engine = create_engine(place, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_WITHIN_S})
    event.listen(engine, "handle_error", _away)
    closed = False

    def given_back(_connection: Any, record: Any) -> None:
        if closed:
            record.invalidate()

    # The engine does not wait for its threads: what one of them has at the end would stay open in a pool of nobody.
    event.listen(engine, "checkin", given_back)
    try:
        with open_store(url):
            pass  # a database that cannot be reached, or that a newer engine has made, is one line, at once
        yield engine
    except DBAPIError as error:
        raise unusable(url, error.orig) from error
    finally:
        closed = True
        engine.dispose()


def _away(context: Any) -> None:
    """A server that cannot be connected to is a lost connection, which the engine waits for.

    It knows one by some of the driver's sentences (`dbos/_utils.py`, `retriable_postgres_exception`), and lacks that of
    a socket which is not there: the flow would end with an error, for good.
    """
    if context.connection is None:
        context.is_disconnect = True


@asynccontextmanager
async def open_dbos(
    database: Database, flows: Mapping[str, Flow], *, executor: str = EXECUTOR, takes: bool = False
) -> AsyncGenerator["DbosEngine"]:
    """The engine on this database; unfinished flows of this executor are taken up at once.

    Args:
        database: where it keeps what it has to remember.
        flows: by name, everything that it can be asked to carry out.
        executor: who carries them out; only one process may be it.
        takes: also what others leave for this executor (`elsewhere`).

    Raises:
        InputError: the engine's package is not installed, or the file cannot be used.
    """
    with open_database(database) as engine_of_tables:
        from dbos import DBOS  # noqa: PLC0415 - of an extra, and slow to import

        DBOS(
            config={
                "name": _application(executor),
                "system_database_url": f"sqlite:///{database}" if isinstance(database, Path) else database,
                "system_database_engine": engine_of_tables,
                "serializer": _serializer(),
                "executor_id": executor,
                "application_version": _version(executor),
                "console_log_level": "CRITICAL",
                "log_level": "CRITICAL",
                "enable_otlp": False,
            }
        )
        engine = DbosEngine(flows)
        try:
            DBOS.launch()  # in the running loop, which it makes its own
            if takes:
                await DBOS.register_queue_async(executor, polling_interval_sec=LOOK_EACH_S)
            yield engine
        finally:
            await asyncio.to_thread(lambda: DBOS.destroy(destroy_registry=True))


class DbosEngine:
    """`keyswitch.campaign.engine.Engine`; made by `open_dbos`."""

    def __init__(self, flows: Mapping[str, Flow]) -> None:
        self.store_failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._returned = Counter[str]()
        self._kept: dict[str, int] = {}
        self._flows = {name: _registered(name, flow, self) for name, flow in flows.items()}

    async def run(self, id_: str, flow: str, argument: Plain) -> Plain:
        """Begin a flow, or take it up, and wait for its result."""
        result = asyncio.ensure_future(self._result(id_, flow, argument))
        try:
            await asyncio.wait((result, self.store_failed), return_when=asyncio.FIRST_COMPLETED)
            if self.store_failed.done():
                await self.store_failed
            return await result
        finally:
            result.cancel()

    async def _result(self, id_: str, flow: str, argument: Plain) -> Plain:
        return await (await self._begin(id_, flow, argument)).get_result()

    async def step(self, name: str, act: Callable[[], Awaitable[Plain]]) -> Plain:
        """The result of `act`, which is carried out unless its result is there already."""
        from dbos import DBOS  # noqa: PLC0415 - of an extra

        async def carried_out() -> Plain:
            return await act()

        result = await DBOS.run_step_async({"name": name}, carried_out)
        self._returned[str(DBOS.workflow_id)] += 1
        return result

    async def sleep(self, duration_ms: int, until: asyncio.Event) -> None:
        """Wait so long, or until the event; what has passed before a crash counts."""
        from dbos import DBOS  # noqa: PLC0415 - of an extra

        most_s = 0.0 if await self._has_gone_on(str(DBOS.workflow_id)) else duration_ms / 1000
        slept, stopped = (
            asyncio.ensure_future(DBOS.sleep_async(duration_ms / 1000)),
            asyncio.ensure_future(until.wait()),
        )
        try:
            # The engine reckons what is left by the time of day: a clock that was set back must not make it longer.
            # Of a wait that is over it is asked all the same: it numbers what a flow does.
            await asyncio.wait((slept, stopped), return_when=asyncio.FIRST_COMPLETED, timeout=most_s)
        finally:
            slept.cancel()
            stopped.cancel()
            await asyncio.gather(slept, stopped, return_exceptions=True)

    async def _has_gone_on(self, flow: str) -> bool:
        """Whether this flow had gone on behind where it is, before it was taken up: the end of a later step is kept.

        The engine does not know that the wait between is over where the event ended it, or the clock was set back.
        """
        from dbos import DBOS  # noqa: PLC0415 - of an extra

        if flow not in self._kept:
            # Not in this context, in which it would be a step of the flow.
            look = partial(DBOS.list_workflow_steps, flow, load_output=False)
            rows = await asyncio.get_running_loop().run_in_executor(None, look)
            self._kept[flow] = sum(not row["function_name"].startswith(OF_THE_ENGINE) for row in rows)
        return self._returned[flow] < self._kept[flow]

    async def children(self, flow: str, arguments: Sequence[tuple[str, Plain]]) -> list[Plain]:
        """Begin a flow for each id and argument, or take it up; the results of all, in that order."""
        begun = [await self._begin(id_, flow, argument) for id_, argument in arguments]
        return [await each.get_result() for each in begun]

    async def elsewhere(self, executor: str, flow: str, id_: str, argument: Plain) -> Plain:
        """The result of a flow that another executor of the same store carries out, when that is there."""
        from dbos import DBOS  # noqa: PLC0415 - of an extra

        left = await DBOS.enqueue_workflow_with_options_async(
            {
                "workflow_name": flow,
                "queue_name": executor,
                "workflow_id": id_,
                "application_name": _application(executor),
                "app_version": _version(executor),
            },
            argument,
        )
        return await left.get_result(polling_interval_sec=LOOK_EACH_S)

    async def _begin(self, id_: str, flow: str, argument: Plain) -> Any:
        from dbos import DBOS, SetWorkflowID  # noqa: PLC0415 - of an extra

        with SetWorkflowID(id_):
            return await DBOS.start_workflow_async(self._flows[flow], argument)


def cancel_flows(database: Database, flows: Sequence[str]) -> None:
    """Mark flows as cancelled: they are not taken up again.

    Raises:
        InputError: the engine's package is not installed, or the database cannot be used.
    """
    with open_database(database) as tables:
        from dbos import DBOSClient  # noqa: PLC0415 - of an extra, and slow to import

        url = f"sqlite:///{database}" if isinstance(database, Path) else database
        client = DBOSClient(system_database_url=url, system_database_engine=tables, serializer=_serializer())
        try:
            client.cancel_workflows(list(flows))
        finally:
            client.destroy()


def requeue(connection: Any, campaign: str, *, from_: str, to: str) -> int:
    """Leave for one executor what another one has not ended of a campaign; how much that was.

    The engine has no call for it: to it, whose work it is never changes.
    """
    query = """
        UPDATE dbos.workflow_status
        SET status = 'ENQUEUED', queue_name = %s, executor_id = NULL, application_name = %s, application_version = %s,
            owner_xid = NULL, started_at_epoch_ms = NULL
        WHERE queue_name = %s AND status IN ('PENDING', 'ENQUEUED') AND substr(workflow_uuid, 1, %s) IN (%s, %s)
    """
    values = (to, _application(to), _version(to), from_, *within(campaign))
    return int(connection.execute(query, values).rowcount)


def _application(executor: str) -> str:
    """What the engine calls this executor's work: it takes up nobody else's of the same database."""
    return f"keyswitch-{hashlib.sha256(executor.encode()).hexdigest()[:16]}"


def _version(executor: str) -> str:
    """The flows' version as the engine has it: a name of its own for each application of a database."""
    return f"{FLOWS_VERSION}/{_application(executor)}"


def _registered(name: str, flow: Flow, engine: DbosEngine) -> Any:
    from dbos import DBOS  # noqa: PLC0415 - of an extra
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - of an extra

    async def carried_out(argument: Plain) -> Plain:
        try:
            return await flow(engine, argument)
        except DBAPIError as error:
            # That the store failed says nothing of the flow: kept as its end, it could never be taken up again.
            if not engine.store_failed.done():
                engine.store_failed.set_exception(error)
            await asyncio.get_running_loop().create_future()
            raise

    carried_out.__qualname__ = carried_out.__name__ = name
    return DBOS.workflow(name=name, max_recovery_attempts=None)(carried_out)


def _serializer() -> Any:
    from dbos import Serializer  # noqa: PLC0415 - of an extra

    class PlainJson(Serializer):
        """JSON and nothing else; an error becomes its text, and comes back as a `RuntimeError`."""

        def name(self) -> str:
            return "keyswitch_json"

        def serialize(self, data: Any) -> str:
            if isinstance(data, BaseException):
                data = {ERROR: f"{type(data).__name__}: {data}"}
            return json.dumps(data)

        def deserialize(self, serialized_data: str) -> Any:
            value: Any = json.loads(serialized_data)
            if not isinstance(value, dict):
                return value
            table = cast("dict[str, Any]", value)
            return RuntimeError(table[ERROR]) if ERROR in table else table

    return PlainJson()
