"""`keyswitch gateway`, killed at a named point: `python -m tests.campaign.killed_gateway POINT gateway NAME …`."""

import sys
from functools import partial

from tests.campaign.killed import die

from keyswitch.campaign import gateways
from keyswitch.campaign.events import DeviceTold, Event
from keyswitch.campaign.flows import Sink
from keyswitch.cli.main import main
from keyswitch.host.update.events import StepBegun, Uploading


def is_at(point: str, happens: Event) -> bool:
    match happens:
        case DeviceTold(event=Uploading(progress=progress)):
            return point == "in the upload" and progress.off > 0
        case DeviceTold(event=StepBegun(name=name)):
            return point == f"at {name.value}"
        case _:
            return False


def kill_at(point: str) -> None:
    """Let the process die at this point of any device's update."""
    made = gateways.Gateway.__init__

    def watch(sink: Sink, happens: Event) -> None:
        sink(happens)
        if is_at(point, happens):
            die()

    def watched(self: gateways.Gateway, name: str, url: str, directory: gateways.Path, sink: Sink) -> None:
        made(self, name, url, directory, partial(watch, sink))

    gateways.Gateway.__init__ = watched


if __name__ == "__main__":
    kill_at(sys.argv[1])
    main(sys.argv[2:])
