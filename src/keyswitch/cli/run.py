"""One run of `keyswitch update`: shown, and ended by signals; whatever happens has a result."""

import asyncio
import signal
from contextlib import suppress

from keyswitch.app.update import Prepared
from keyswitch.app.update import run as run_update
from keyswitch.cli.progress import Show
from keyswitch.errors import InputError
from keyswitch.exits import Exit
from keyswitch.host.update.events import Ended, Event
from keyswitch.host.update.job import Outcome, Result


async def run(prepared: Prepared, show: Show) -> Exit:
    """Carry the update out; SIGINT and SIGTERM end it, and leave the device as the run has left it.

    Raises:
        InputError: the run could not begin: its evidence cannot be written.
    """
    ended: list[Outcome] = []

    def sink(event: Event) -> None:
        if isinstance(event, Ended):
            ended.append(event.result.outcome)
        show(event)

    task = asyncio.ensure_future(run_update(prepared, sink))
    _end_by_signals(task)
    try:
        return (await task).outcome.exit_code
    except asyncio.CancelledError:
        # What was told and recorded stands, though the connection was still to be ended.
        return (ended or [Outcome.INTERRUPTED])[0].exit_code
    except InputError as error:
        if not ended:
            raise
        return error.exit_code


def _end_by_signals(task: "asyncio.Task[Result]") -> None:
    loop = asyncio.get_running_loop()
    # Windows has no such handlers; there Ctrl-C cancels what `asyncio.run` runs, which cancels the task as well.
    with suppress(NotImplementedError):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
