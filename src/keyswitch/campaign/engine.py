"""What a campaign asks of a durable engine: the port. The engine itself is in `dbos_engine`, and in no other module.

Rules of whoever implements it (the contract test is `tests/campaign/contract.py`):

* A step that has returned is never carried out again for the same flow; one that had not is, when the flow is taken up.
* A wait behind which a flow has gone on is over, whatever the clock says when the flow is taken up.
* A flow has one id, and one result: run again under it, it is the same one.
* What is kept is plain JSON; nothing that is read back is ever executed.
* Flows and steps run in the event loop that opened the engine.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from keyswitch.campaign.model import Plain

if TYPE_CHECKING:  # whoever only looks at a campaign has no loop
    import asyncio

FLOWS_VERSION: Final = "2"
"""Of the flows' shape; raised when their steps are others, or come in another order."""

CAMPAIGN: Final = "campaign"
DEVICE: Final = "device"
ATTEMPT: Final = "attempt"
"""Names of the flows."""


class Steps(Protocol):
    """What a flow may do."""

    async def step(self, name: str, act: Callable[[], Awaitable[Plain]]) -> Plain:
        """The result of `act`, which is carried out unless its result is there already."""
        ...

    async def sleep(self, duration_ms: int, until: "asyncio.Event") -> None:
        """Wait so long, or until the event; what has passed before a crash counts."""
        ...

    async def children(self, flow: str, arguments: Sequence[tuple[str, Plain]]) -> list[Plain]:
        """Begin a flow for each id and argument, or take it up; the results of all, in that order."""
        ...

    async def elsewhere(self, executor: str, flow: str, id_: str, argument: Plain) -> Plain:
        """The result of a flow that another executor of the same store carries out, when that is there."""
        ...


Flow = Callable[[Steps, Plain], Awaitable[Plain]]
"""A durable flow: with the same results of its steps it does the same again."""


class FlowState(StrEnum):
    """How far a flow is."""

    UNFINISHED = "unfinished"
    DONE = "done"
    CANCELLED = "cancelled"
    BROKEN = "broken"
    """It ended with an error that is a bug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRecord:
    """What the store knows of a flow.

    Attributes:
        id: its own.
        state: how far it is.
        version: of the flows' shape that it was begun with.
        executor: who carries it out, or did last.
        argument: that it was begun with.
        result: that it ended with, None before; of a broken one the error's text.
    """

    id: str
    state: FlowState
    version: str
    executor: str
    argument: Plain
    result: Plain


class Store(Protocol):
    """What the engine keeps, looked at while nothing is carried out by the one who looks."""

    def flows(self, campaign: str) -> dict[str, FlowRecord]:
        """Every flow of a campaign by its id: of its rounds, and of their devices."""
        ...

    def results_of_steps(self, campaign: str, flow: str) -> dict[str, tuple[Plain, ...]]:
        """By its id: what the steps of each flow of this name that is not done have returned so far, in order."""
        ...


class Engine(Protocol):
    """Carries flows out, until it is closed."""

    async def run(self, id_: str, flow: str, argument: Plain) -> Plain:
        """Begin a flow, or take it up, and wait for its result."""
        ...
