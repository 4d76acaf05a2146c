"""One run of `keyswitch update`: shown; whatever happens, interruption too, has a result."""

import asyncio

from keyswitch.app.update import Prepared
from keyswitch.app.update import run as run_update
from keyswitch.cli.progress import Show
from keyswitch.errors import InputError
from keyswitch.exits import Exit
from keyswitch.host.update.events import Ended, Event
from keyswitch.host.update.job import Outcome


async def run(prepared: Prepared, show: Show) -> Exit:
    """Carry the update out; cancelled, it ends, and leaves the device as the run has left it.

    Raises:
        InputError: the run could not begin: its evidence cannot be written.
    """
    ended: list[Outcome] = []

    def sink(event: Event) -> None:
        if isinstance(event, Ended):
            ended.append(event.result.outcome)
        show(event)

    try:
        return (await run_update(prepared, sink)).outcome.exit_code
    except asyncio.CancelledError:
        # What was told and recorded stands, though the connection was still to be ended.
        return (ended or [Outcome.INTERRUPTED])[0].exit_code
    except InputError as error:
        if not ended:
            raise
        return error.exit_code
