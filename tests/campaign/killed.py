"""`keyswitch campaign run`, killed at a named point: `python -m tests.campaign.killed POINT run FILE`.

The process kills itself with SIGKILL, so that the point is exact: nothing behind it was carried out.
"""

import os
import signal
import sys
from typing import Any

from keyswitch.campaign import flows
from keyswitch.campaign.dbos_engine import DbosEngine
from keyswitch.campaign.events import DeviceEnded, DeviceTold, Event
from keyswitch.cli.main import main
from keyswitch.host.update.events import StepBegun, Uploading
from keyswitch.host.update.steps import StepName

POINTS = ("in the upload", "before the reset", "before the outcome is written", "behind the written outcome")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at(point: str, event: Event) -> bool:
    match event:
        case DeviceTold(event=Uploading(progress=progress)):
            return point == "in the upload" and progress.off > 0
        case DeviceTold(event=StepBegun(name=name)):
            return point == "before the reset" and name is StepName.RESET
        case DeviceEnded():
            return point == "before the outcome is written"
        case _:
            return False


def kill_at(point: str) -> None:
    """Let the process die at this point."""
    assert point in POINTS, point
    told = flows.Controller.__post_init__

    def watched(self: flows.Controller) -> None:
        sink = self.sink

        def watch(event: Event) -> None:
            sink(event)
            if _at(point, event):
                _die()

        self.sink = watch
        told(self)

    flows.Controller.__post_init__ = watched
    if point == "behind the written outcome":
        step = DbosEngine.step

        async def dying(self: DbosEngine, name: str, act: Any) -> Any:
            await step(self, name, act)
            _die()

        DbosEngine.step = dying


if __name__ == "__main__":
    kill_at(sys.argv[1])
    main(["campaign", *sys.argv[2:]])
