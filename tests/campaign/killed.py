"""`keyswitch campaign`, killed at a named point: `python -m tests.campaign.killed POINT run FILE`.

The process kills itself with SIGKILL, so that the point is exact: nothing behind it was carried out. Where a point is a
device's, it is that of `DEVICE`: one has ended before it, one has not begun.
"""

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import event

from keyswitch.campaign import dbos_engine, flows
from keyswitch.campaign.events import ApprovalAwaited, DeviceTold, Event
from keyswitch.cli.main import main
from keyswitch.host.update.events import StepBegun, StepDone, Uploading
from keyswitch.host.update.steps import StepName

DEVICE = "P-1"

WRITES = (
    "the campaign begun",
    "the approval kept",
    "a device begun",
    "an attempt kept",
    "a device ended",
    "an end noted",
    "the conclusion kept",
    "the campaign ended",
)
"""What the engine writes of a campaign, each in a transaction of its own."""

STEPS = tuple(name for name in StepName if name is not StepName.RECONNECT)
"""Of an update over UDP, which has no connection to make anew."""

ON_TRIAL = tuple(f"at {step.value}" for step in (StepName.SWAP, StepName.PROVE, StepName.HEALTH, StepName.CONFIRM))
"""Here the device runs the new image on trial, and goes back by itself when nobody confirms it in time."""

POINTS = (
    *(f"{when} {write}" for write in WRITES for when in ("before", "behind")),
    *(f"at {step.value}" for step in STEPS),
    "in the upload",
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def written(statement: str, values: tuple[Any, ...]) -> str | None:
    """Which of `WRITES` a statement is; None for all others, and those of other devices."""
    words = [value for value in values if isinstance(value, str)]
    is_device = f"tray/{DEVICE}" in words
    if "INSERT INTO main.workflow_status" in statement:
        return "a device begun" if is_device else "the campaign begun" if values[0] == "tray" else None
    if "UPDATE main.workflow_status SET status" in statement and "SUCCESS" in words:
        return "a device ended" if is_device else "the campaign ended" if "tray" in words else None
    if "INSERT INTO main.operation_outputs" not in statement:
        return None
    match values[2]:
        case "approval":
            return "the approval kept"
        case "device" if is_device:
            return "a device begun"
        case "attempt" if is_device:
            return "an attempt kept"
        case "DBOS.getResult":
            return "an end noted"
        case "conclude":
            return "the conclusion kept"
        case _:
            return None


def kill_at_write(database: Any, point: str) -> None:
    """Let the process die before or behind the commit of a write."""
    last: dict[int, str] = {}

    def noted(connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        what = written(statement, values if isinstance(values, tuple) else ())
        if what is not None:
            last[id(connection.connection.dbapi_connection)] = what

    commit: Callable[[Any], None] = database.dialect.do_commit

    def committed(connection: Any) -> None:
        what = last.pop(id(connection.dbapi_connection), None)
        if point == f"before {what}":
            die()
        commit(connection)
        if point == f"behind {what}":
            die()

    event.listen(database, "before_cursor_execute", noted)
    database.dialect.do_commit = committed


def is_at(point: str, happens: Event) -> bool:
    match happens:
        case DeviceTold(device=device, event=Uploading(progress=progress)) if device == DEVICE:
            return point == "in the upload" and progress.off > 0
        case DeviceTold(device=device, event=StepBegun(name=name) | StepDone(name=name)) if device == DEVICE:
            return point == f"at {name.value}"  # a step whose proof holds already is not begun
        case _:
            return False


def kill_at(point: str) -> None:
    """Let the process die at this point. Whatever wave waits is approved."""
    assert point in POINTS, point
    made, opened = flows.Controller.__post_init__, dbos_engine.open_database

    def watched(self: flows.Controller) -> None:
        self.sink = partial(watch, self, self.sink)
        made(self)

    def watch(controller: flows.Controller, sink: flows.Sink, happens: Event) -> None:
        sink(happens)
        if isinstance(happens, ApprovalAwaited):
            controller.approve(happens.wave, "somebody", "now")
        if is_at(point, happens):
            die()

    @contextmanager
    def watched_database(path: Path) -> Generator[Any]:
        with opened(path) as database:
            kill_at_write(database, point)
            yield database

    flows.Controller.__post_init__ = watched
    dbos_engine.open_database = watched_database


if __name__ == "__main__":
    kill_at(sys.argv[1])
    main(["campaign", *sys.argv[2:]])
