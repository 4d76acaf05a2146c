"""The engine: DBOS on SQLite, in this process. The only module that knows it.

Rules:

* It is told everything that it would guess: who executes (`EXECUTOR`), which shape the flows have (`FLOWS_VERSION`, by
  default a hash of the source: work of another hash would lie there untouched without a word).
* The database is ours to set up: write-ahead log, `synchronous=FULL`, readable by its owner alone.
* Values are JSON. The engine's default is pickle, which runs what whoever writes the database wants to have run.
* A local file only: SQLite's locks do not hold on network file systems.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.campaign.engine import Flow, FlowRecord, FlowState
from keyswitch.campaign.model import Plain
from keyswitch.errors import InputError
from keyswitch.extras import need
from keyswitch.private_files import open_file

EXECUTOR: Final = "bench"
"""Who carries flows out: a campaign on SQLite has one process."""

FLOWS_VERSION: Final = "2"
"""Of the flows' shape; raised when their steps are others, or come in another order."""

BUSY_MS: Final = 30_000
"""How long a writer waits for another one, as the engine has it (`dbos/_sys_db_sqlite.py`)."""

NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)
"""As Linux names them in /proc/mounts."""

_STATES: Final = {
    "SUCCESS": FlowState.DONE,
    "ERROR": FlowState.BROKEN,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": FlowState.BROKEN,
    "CANCELLED": FlowState.CANCELLED,
}
"""Of the engine's words; all others are unfinished work."""


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
def open_database(path: Path) -> Generator[Any]:
    """The SQLAlchemy engine of a campaign's database, which is made if it is not there.

    Raises:
        InputError: the engine's package is not installed, or the file cannot be used.
    """
    need("dbos", str(path))
    refuse_network(path)
    logging.getLogger("dbos").setLevel(
        logging.CRITICAL + 1
    )  # what it has to say is raised as well, and told in one line
    try:
        os.close(open_file(path, os.O_RDWR | os.O_CREAT))
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be opened", "a file that can be written") from error
    from sqlalchemy import create_engine, event  # noqa: PLC0415 - of an extra
    from sqlalchemy.exc import DatabaseError  # noqa: PLC0415 - of an extra

    database = create_engine(f"sqlite:///{path}")

    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(database, "connect", set_up)
    try:
        yield database
    except DatabaseError as error:
        raise InputError(str(path), f"{error.orig}", "a campaign's database, and room on its disk") from error
    finally:
        database.dispose()


@asynccontextmanager
async def open_dbos(path: Path, flows: Mapping[str, Flow]) -> AsyncGenerator["DbosEngine"]:
    """The engine on this database; unfinished flows of it are taken up at once.

    Args:
        path: of the database; only one process may have it open like this.
        flows: by name, everything that it can be asked to carry out.

    Raises:
        InputError: the engine's package is not installed, or the file cannot be used.
    """
    with open_database(path) as database:
        from dbos import DBOS  # noqa: PLC0415 - of an extra, and slow to import

        DBOS(
            config={
                "name": "keyswitch-campaign",
                "system_database_url": f"sqlite:///{path}",
                "system_database_engine": database,
                "serializer": _serializer(),
                "executor_id": EXECUTOR,
                "application_version": FLOWS_VERSION,
                "console_log_level": "CRITICAL",
                "log_level": "CRITICAL",
                "enable_otlp": False,
            }
        )
        engine = DbosEngine(flows)
        try:
            DBOS.launch()  # in the running loop, which it makes its own
            yield engine
        finally:
            await asyncio.to_thread(lambda: DBOS.destroy(destroy_registry=True))


class DbosEngine:
    """`keyswitch.campaign.engine.Engine`; made by `open_dbos`."""

    def __init__(self, flows: Mapping[str, Flow]) -> None:
        self._flows = {name: _registered(name, flow, self) for name, flow in flows.items()}

    async def run(self, id_: str, flow: str, argument: Plain) -> Plain:
        """Begin a flow, or take it up, and wait for its result."""
        return await (await self._begin(id_, flow, argument)).get_result()

    async def step(self, name: str, act: Callable[[], Awaitable[Plain]]) -> Plain:
        """The result of `act`, which is carried out unless its result is there already."""
        from dbos import DBOS  # noqa: PLC0415 - of an extra

        async def carried_out() -> Plain:
            return await act()

        return await DBOS.run_step_async({"name": name}, carried_out)

    async def sleep(self, duration_ms: int, until: asyncio.Event) -> None:
        """Wait so long, or until the event; what has passed before a crash counts."""
        from dbos import DBOS  # noqa: PLC0415 - of an extra

        slept, stopped = (
            asyncio.ensure_future(DBOS.sleep_async(duration_ms / 1000)),
            asyncio.ensure_future(until.wait()),
        )
        try:
            # The engine reckons what is left by the time of day: a clock that was set back must not make it longer.
            await asyncio.wait((slept, stopped), return_when=asyncio.FIRST_COMPLETED, timeout=duration_ms / 1000)
        finally:
            slept.cancel()
            stopped.cancel()
            await asyncio.gather(slept, stopped, return_exceptions=True)

    async def children(self, flow: str, arguments: Sequence[tuple[str, Plain]]) -> list[Plain]:
        """Begin a flow for each id and argument, or take it up; the results of all, in that order."""
        begun = [await self._begin(id_, flow, argument) for id_, argument in arguments]
        return [await each.get_result() for each in begun]

    async def _begin(self, id_: str, flow: str, argument: Plain) -> Any:
        from dbos import DBOS, SetWorkflowID  # noqa: PLC0415 - of an extra

        with SetWorkflowID(id_):
            return await DBOS.start_workflow_async(self._flows[flow], argument)


class DbosStore:
    """`keyswitch.campaign.engine.Store` of a database that is there; without a client, of one that is still empty."""

    def __init__(self, client: Any = None) -> None:
        self._client = client

    def flows(self) -> dict[str, FlowRecord]:
        """Every flow by its id."""
        if self._client is None:
            return {}
        return {each.workflow_id: _record(each) for each in self._client.list_workflows()}

    def results_of_steps(self, flow: str) -> tuple[Plain, ...]:
        """What the steps of a flow have returned so far, in order."""
        steps = self._client.list_workflow_steps(flow)
        return tuple(each["output"] for each in steps if isinstance(each["output"], dict))

    def cancel(self, flows: Sequence[str]) -> None:
        """Mark flows as cancelled: they are not taken up again."""
        self._client.cancel_workflows(list(flows))


@contextmanager
def open_store(path: Path) -> Generator[DbosStore]:
    """What a campaign's database has in it; nothing is carried out. The file must be there.

    Raises:
        InputError: the engine's package is not installed, or the file is no campaign's database.
    """
    with open_database(path) as database:
        from sqlalchemy import inspect  # noqa: PLC0415 - of an extra

        if not inspect(database).has_table("workflow_status"):  # killed before the engine had made its tables
            yield DbosStore()
            return
        from dbos import DBOSClient  # noqa: PLC0415 - of an extra, and slow to import

        client = DBOSClient(
            system_database_url=f"sqlite:///{path}", system_database_engine=database, serializer=_serializer()
        )
        try:
            yield DbosStore(client)
        finally:
            client.destroy()


def _record(status: Any) -> FlowRecord:
    given = cast("dict[str, Any]", status.input or {})
    args = given.get("args") or [None]
    state = _STATES.get(status.status, FlowState.UNFINISHED)
    return FlowRecord(
        id=status.workflow_id,
        state=state,
        version=status.app_version or "",
        argument=args[0],
        result=str(status.error) if state is FlowState.BROKEN else status.output,
    )


def _registered(name: str, flow: Flow, engine: DbosEngine) -> Any:
    from dbos import DBOS  # noqa: PLC0415 - of an extra

    async def carried_out(argument: Plain) -> Plain:
        return await flow(engine, argument)

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
                data = {_ERROR: f"{type(data).__name__}: {data}"}
            return json.dumps(data)

        def deserialize(self, serialized_data: str) -> Any:
            value: Any = json.loads(serialized_data)
            if not isinstance(value, dict):
                return value
            table = cast("dict[str, Any]", value)
            return RuntimeError(table[_ERROR]) if _ERROR in table else table

    return PlainJson()


_ERROR: Final = "keyswitch error"
