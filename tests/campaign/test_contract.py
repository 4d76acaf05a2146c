"""The port's contract, of every engine that there is; on DBOS, on both stores."""

import asyncio
import gc
import sqlite3
import threading
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.campaign.memory_engine import Kept, MemoryEngine
from tests.campaign.postgresql import server

from keyswitch.campaign.dbos_engine import cancel_flows, open_dbos
from keyswitch.campaign.dbos_tables import Database, open_store
from keyswitch.campaign.engine import FLOWS_VERSION, Engine, Flow, FlowState, Steps
from keyswitch.campaign.postgresql import connect_postgresql
from keyswitch.errors import InputError


class Counting:
    """Flows that count how often each step is carried out, and in which thread."""

    def __init__(self) -> None:
        self.carried_out: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.hold: asyncio.Event | None = None

    async def child(self, steps: Steps, argument: Any) -> Any:
        async def act() -> Any:
            self.carried_out.append(argument["name"])
            self.threads.add(threading.current_thread())
            if self.hold is not None and argument["name"] == "p/b":
                self.hold.set()
                await asyncio.get_running_loop().create_future()
            return {"told": argument["name"], "none": None, "list": [1, 2.5, "ü"]}

        before = await steps.step("act", act)
        await steps.sleep(1, until=asyncio.Event())
        return before

    async def parent(self, steps: Steps, argument: Any) -> Any:
        return await steps.children("child", [(name, {"name": name}) for name in argument])

    @property
    def flows(self) -> dict[str, Flow]:
        return {"child": self.child, "parent": self.parent}


async def fulfils_the_contract(engine: Engine, counting: Counting) -> None:
    expected = [{"told": name, "none": None, "list": [1, 2.5, "ü"]} for name in "abc"]
    assert await engine.run("q", "parent", ["a", "b", "c"]) == expected
    assert sorted(counting.carried_out) == ["a", "b", "c"]
    assert await engine.run("q", "parent", ["a", "b", "c"]) == expected, "one id, one result"
    assert await engine.run("a", "child", {"name": "a"}) == expected[0]
    assert sorted(counting.carried_out) == ["a", "b", "c"]
    assert counting.threads == {threading.main_thread()}, "one loop for flows and links"


def test_the_engine_in_memory_fulfils_the_contract():
    async def tried() -> None:
        counting = Counting()
        await fulfils_the_contract(MemoryEngine(counting.flows, Kept()), counting)

    asyncio.run(tried())


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Database]:
    if request.param == "SQLite":
        yield tmp_path / "engine.sqlite"
    else:
        with server() as postgresql:
            yield postgresql.url("engine")
            gc.collect()


@pytest.mark.campaign
def test_dbos_fulfils_the_contract(database: Database):
    async def left_behind() -> None:
        counting = Counting()
        counting.hold = asyncio.Event()
        async with open_dbos(database, counting.flows, executor="one") as engine:
            running = asyncio.ensure_future(engine.run("p", "parent", ["p/a", "p/b", "p/c"]))
            await counting.hold.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def somebody_else() -> None:
        """Another executor of the same database takes nothing up that is not its own."""
        counting = Counting()
        async with open_dbos(database, counting.flows, executor="other") as engine:
            await fulfils_the_contract(engine, counting)
        assert not any(name.startswith("p/") for name in counting.carried_out)

    async def taken_up() -> None:
        counting = Counting()
        async with open_dbos(database, counting.flows, executor="one") as engine:
            assert (await engine.run("p", "parent", ["p/a", "p/b", "p/c"]))[1]["told"] == "p/b"
            assert "p/b" in counting.carried_out, "its step had not returned"

    asyncio.run(left_behind())
    with open_store(database) as store:
        assert store.flows("p")["p/b"].state is FlowState.UNFINISHED
        assert store.flows("p")["p"].executor == "one"
    asyncio.run(somebody_else())
    asyncio.run(taken_up())
    with open_store(database) as store:
        flows = store.flows("p")
        assert sorted(flows) == ["p", "p/a", "p/b", "p/c"]
        assert {flow.state for flow in flows.values()} == {FlowState.DONE}
        assert {flow.version for flow in flows.values()} == {FLOWS_VERSION}
        assert flows["p"].argument == ["p/a", "p/b", "p/c"]
        assert store.flows("p/") == {}
    texts = stored_texts(database)
    assert any('"told"' in text for text in texts)
    for text in texts:
        assert not text.startswith("gAS"), "a pickle in base64"


class Waiting:
    """A flow that waits for two hours, unless `ended`, and never comes behind the step `hold`."""

    def __init__(self, hold: str | None) -> None:
        self.hold = hold
        self.ended = asyncio.Event()
        self.held = asyncio.Event()
        self.reached: list[str] = []

    async def flow(self, steps: Steps, _argument: Any) -> Any:
        await steps.step("first", partial(self.act, "first"))
        for name in ("second", "third"):
            await steps.sleep(3_600_000, until=self.ended)
            await steps.step(name, partial(self.act, name))
        await steps.step("last", partial(self.act, "last"))

    async def act(self, name: str) -> Any:
        self.reached.append(name)
        if name == self.hold:
            self.held.set()
            await asyncio.get_running_loop().create_future()
        return {"told": name}


async def left_behind_at(hold: str, database: Database) -> None:
    waiting = Waiting(hold)
    waiting.ended.set()
    async with open_dbos(database, {"waits": waiting.flow}) as engine:
        running = asyncio.ensure_future(engine.run("w/1", "waits", None))
        await waiting.held.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def steps_of(flow: str, database: Database) -> list[str] | None:
    """What the steps of a flow of `w` have returned, of one moment with all its flows; None: nothing is told."""
    with open_store(database, at_once=True) as store:
        assert list(store.flows("w")) == [flow]
        assert not store.results_of_steps("w", "other")
        found = store.results_of_steps("w", "waits").get(flow)
    return None if found is None else [each["told"] for each in found]


@pytest.mark.campaign
def test_a_wait_that_the_flow_has_gone_on_behind_is_over_when_it_is_taken_up(database: Database):
    """By the time of day it is not: the hours have not passed, as if somebody had set the clock back."""

    async def taken_up() -> None:
        waiting = Waiting(None)
        async with open_dbos(database, {"waits": waiting.flow}) as engine, asyncio.timeout(60):
            await engine.run("w/1", "waits", None)
        assert waiting.reached == ["last"]

    asyncio.run(left_behind_at("last", database))
    assert steps_of("w/1", database) == ["first", "second", "third"]
    asyncio.run(taken_up())
    assert steps_of("w/1", database) is None, "of a flow that is done its result is enough"


@pytest.mark.campaign
def test_a_wait_behind_which_nothing_is_kept_is_waited_for(database: Database):
    async def taken_up() -> None:
        waiting = Waiting(None)
        async with open_dbos(database, {"waits": waiting.flow}) as engine, asyncio.timeout(60):
            running = asyncio.ensure_future(engine.run("w/1", "waits", None))
            await asyncio.wait((running,), timeout=0.5)
            assert waiting.reached == [], "the wait before it is not over"
            waiting.ended.set()
            await running
        assert waiting.reached == ["third", "last"]

    asyncio.run(left_behind_at("third", database))
    asyncio.run(taken_up())


@pytest.mark.campaign
def test_what_is_cancelled_is_not_taken_up(database: Database):
    async def left_behind() -> None:
        counting = Counting()
        counting.hold = asyncio.Event()
        async with open_dbos(database, counting.flows) as engine:
            running = asyncio.ensure_future(engine.run("p", "parent", ["p/b"]))
            await counting.hold.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(left_behind())
    with open_store(database, at_once=True) as store:
        before = store.flows("p")
        cancel_flows(database, ["p", "p/b"])
        assert store.flows("p") == before, "all that is read is of one moment"
    with open_store(database) as store:
        assert {flow.state for flow in store.flows("p").values()} == {FlowState.CANCELLED}


@pytest.mark.campaign
def test_the_engine_says_which_database_it_cannot_use():
    with server() as postgresql:
        there = postgresql.url("engine")
        away = there.replace("/engine?", "/none?")
        with pytest.raises(InputError, match=r'postgresql:///none: .*database "none" does not exist'), open_store(away):
            pass
    with pytest.raises(InputError, match="postgresql:///engine: ") as refused, open_store(there):
        pass
    assert "\n" not in str(refused.value)


def stored_texts(database: Database) -> list[str]:
    """Every text in the tables."""
    if isinstance(database, Path):
        with sqlite3.connect(database) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = [row for table in tables for row in connection.execute(f'SELECT * FROM "{table}"')]  # noqa: S608 - its own names
    else:
        with connect_postgresql(database) as connection:
            names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'dbos'").fetchall()
            rows = [row for (name,) in names for row in connection.execute(f'SELECT * FROM dbos."{name}"').fetchall()]  # noqa: S608 - its own names
    return [value for row in rows for value in row if isinstance(value, str)]
