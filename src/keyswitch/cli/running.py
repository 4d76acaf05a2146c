"""One run of `keyswitch update`: shown, recorded, ended by signals; whatever happens has a result."""

import asyncio
import signal
from contextlib import suppress

from keyswitch.cli.progress import Show
from keyswitch.cli.update_options import Options
from keyswitch.errors import InputError
from keyswitch.exits import Exit
from keyswitch.host.events import Ended, Event
from keyswitch.host.job import Outcome, Result
from keyswitch.host.update import update


async def run(options: Options, show: Show) -> Exit:
    """Carry the update out; SIGINT and SIGTERM end it, and leave the device as the run has left it."""
    evidence = options.recording() if options.recording is not None else None
    begun_at = asyncio.get_running_loop().time()
    ended: list[Outcome] = []

    def sink(event: Event) -> None:
        if isinstance(event, Ended):
            ended.append(event.result.outcome)
        if evidence is not None:
            evidence.add(event)
        show(event)

    def fail(outcome: Outcome, detail: str) -> None:
        duration_ms = round((asyncio.get_running_loop().time() - begun_at) * 1000)
        result = Result(outcome=outcome, detail=detail, duration_ms=duration_ms, device=options.reach.known_by)
        sink(Ended(result=result, at_ms=duration_ms))

    task = asyncio.ensure_future(update(options.reach, options.job, sink=sink))
    _end_by_signals(task)
    try:
        return (await task).outcome.exit_code
    except asyncio.CancelledError:
        # What was told and recorded stands, though the connection was still to be ended.
        return (ended or [Outcome.INTERRUPTED])[0].exit_code
    except InputError as error:
        fail(Outcome.REFUSED, str(error))
        return error.exit_code
    except Exception as error:
        fail(Outcome.FAILED, f"a bug in keyswitch: {type(error).__name__}: {error}")
        raise
    finally:
        try:
            await options.reach.close()
        finally:
            if evidence is not None:
                evidence.end()


def _end_by_signals(task: "asyncio.Task[Result]") -> None:
    loop = asyncio.get_running_loop()
    # Windows has no such handlers; there Ctrl-C cancels what `asyncio.run` runs, which cancels the task as well.
    with suppress(NotImplementedError):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
