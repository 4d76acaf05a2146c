"""`keyswitch gateway`, killed at a named point: `python -m tests.campaign.killed_gateway POINT DEVICES gateway NAME …`.

DEVICES is a pattern: in the update of any of these, it is that point; what is written is that of `killed.DEVICE`.
"""

import sys
from functools import partial

from tests.campaign.killed import POINTS_OF_A_GATEWAY, die, is_at, kill_at_writes

from keyswitch.campaign import gateways
from keyswitch.campaign.events import Event
from keyswitch.campaign.flows import Sink
from keyswitch.cli.main import main


def kill_at(point: str, devices: str) -> None:
    """Let the process die at this point."""
    assert point in POINTS_OF_A_GATEWAY, point
    made = gateways.Gateway.__init__

    def watch(sink: Sink, happens: Event) -> None:
        sink(happens)
        if is_at(point, happens, devices):
            die()

    def watched(self: gateways.Gateway, name: str, url: str, directory: gateways.Path, sink: Sink) -> None:
        made(self, name, url, directory, partial(watch, sink))

    gateways.Gateway.__init__ = watched
    kill_at_writes(point)


if __name__ == "__main__":
    kill_at(sys.argv[1], sys.argv[2])
    main(sys.argv[3:])
