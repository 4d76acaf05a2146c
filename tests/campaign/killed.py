"""`keyswitch campaign`, killed at a named point: `python -m tests.campaign.killed POINT run FILE`.

The process kills itself with SIGKILL, so that the point is exact: nothing behind it was carried out. Where a point is a
device's, it is that of `DEVICE`: one has ended before it, one has not begun. What is written is known by the table and
by the flow, on either store.
"""

import os
import signal
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
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

FOR_GATEWAYS = ("that it may begin kept", "an attempt left for a gateway", "the end of an attempt noted")
"""What it writes besides where a gateway carries the attempts out, in place of `an attempt kept`."""

BY_GATEWAYS = ("an attempt taken", "an attempt kept", "an attempt ended")
"""What a gateway's engine writes."""

STEPS = tuple(name for name in StepName if name is not StepName.RECONNECT)
"""Of an update over UDP, which has no connection to make anew."""

ON_TRIAL = tuple(f"at {step.value}" for step in (StepName.SWAP, StepName.PROVE, StepName.HEALTH, StepName.CONFIRM))
"""Here the device runs the new image on trial, and goes back by itself when nobody confirms it in time."""


def around(*writes: str) -> tuple[str, ...]:
    """The points before and behind the commit of each."""
    return tuple(f"{when} {write}" for write in writes for when in ("before", "behind"))


IN_AN_UPDATE = (*(f"at {step.value}" for step in STEPS), "in the upload")

POINTS = (*around(*WRITES), *IN_AN_UPDATE)
POINTS_FOR_GATEWAYS = around(*(write for write in WRITES if write != "an attempt kept"), *FOR_GATEWAYS)
POINTS_OF_A_GATEWAY = (*around(*BY_GATEWAYS), *IN_AN_UPDATE)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


FLOW, ATTEMPT = f"tray/{DEVICE}", f"tray/{DEVICE}/1"
"""What the engine calls the device's flow, and its first attempt at a gateway."""

BEGUN = {"tray": "the campaign begun", FLOW: "a device begun", ATTEMPT: "an attempt left for a gateway"}
ENDED = {"tray": "the campaign ended", FLOW: "a device ended", ATTEMPT: "an attempt ended"}
TAKEN = {ATTEMPT: "an attempt taken"}
KEPT = {
    ("tray", "approval"): "the approval kept",
    ("tray", "DBOS.getResult"): "an end noted",
    ("tray", "conclude"): "the conclusion kept",
    (FLOW, "attempt"): "an attempt kept",
    (FLOW, "begin"): "that it may begin kept",
    (FLOW, "DBOS.getResult"): "the end of an attempt noted",
    (ATTEMPT, "update"): "an attempt kept",
}
"""By the flow and the name of its step."""


def written(statement: str, given: Sequence[Any] | Mapping[str, Any]) -> str | None:
    """Which write a statement is; None for all others, and those of other devices."""
    values = given.values() if isinstance(given, Mapping) else given
    words = [value for value in values if isinstance(value, str)]
    if len(words) < 2:
        return None  # the engine's tables are made
    text = statement.replace("main.", "").replace("dbos.", "")
    if "INSERT INTO workflow_status" in text:
        return BEGUN.get(words[0])
    if "INSERT INTO operation_outputs" in text:
        ends = words[1] == "DBOS.getResult"  # the end of a child, which is named behind it, as is one that begins
        return (None if ends else _first(BEGUN, words[2:])) or KEPT.get((words[0], words[1]))
    if "UPDATE workflow_status SET status" in text:
        return _first(ENDED if "SUCCESS" in words else TAKEN if "PENDING" in words else {}, words)
    return None


def _first(table: Mapping[str, str], words: Sequence[str]) -> str | None:
    return next((table[word] for word in words if word in table), None)


def kill_at_write(database: Any, point: str) -> None:
    """Let the process die before or behind the commit of a write."""
    last: dict[int, str] = {}

    def is_alone(connection: Any) -> bool:
        """Whether a statement is committed with its end."""
        return bool(connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT")

    def noted(connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        what = written(statement, values)
        if what is not None:
            last[id(connection.connection.dbapi_connection)] = what
            if is_alone(connection) and point == f"before {what}":
                die()

    def done(connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if is_alone(connection) and point == f"behind {written(statement, values)}":
            die()

    commit: Callable[[Any], None] = database.dialect.do_commit

    def committed(connection: Any) -> None:
        what = last.pop(id(connection.dbapi_connection), None)
        if point == f"before {what}":
            die()
        commit(connection)
        if point == f"behind {what}":
            die()

    event.listen(database, "before_cursor_execute", noted)
    event.listen(database, "after_cursor_execute", done)
    database.dialect.do_commit = committed


def kill_at_writes(point: str) -> None:
    """The same with whatever database this process opens."""
    opened = dbos_engine.open_database

    @contextmanager
    def watched(place: Path | str) -> Generator[Any]:
        with opened(place) as database:
            kill_at_write(database, point)
            yield database

    dbos_engine.open_database = watched


def is_at(point: str, happens: Event, devices: str = DEVICE) -> bool:
    match happens:
        case DeviceTold(device=device, event=Uploading(progress=progress)) if fnmatch(device, devices):
            return point == "in the upload" and progress.off > 0
        case DeviceTold(device=device, event=StepBegun(name=name) | StepDone(name=name)) if fnmatch(device, devices):
            return point == f"at {name.value}"  # a step whose proof holds already is not begun
        case _:
            return False


def kill_at(point: str) -> None:
    """Let the process die at this point. Whatever wave waits is approved."""
    assert point in {*POINTS, *POINTS_FOR_GATEWAYS}, point
    made = flows.Controller.__post_init__

    def watched(self: flows.Controller) -> None:
        self.sink = partial(watch, self, self.sink)
        made(self)

    def watch(controller: flows.Controller, sink: flows.Sink, happens: Event) -> None:
        sink(happens)
        if isinstance(happens, ApprovalAwaited):
            controller.approve(happens.wave, "somebody", "now")
        if is_at(point, happens):
            die()

    flows.Controller.__post_init__ = watched
    kill_at_writes(point)


if __name__ == "__main__":
    kill_at(sys.argv[1])
    main(["campaign", *sys.argv[2:]])
