"""The only transition table. The device runs it and the prover explores it: one machine.

* `step` is total: every event in every state gives a `Step`. What is not foreseen is refused and changes nothing.
* It knows no clock and no bytes: time limits go out as `StartTimer` and come back as `Expired`.
* Leaving maintenance always cleans up, whatever made it end.
"""

from dataclasses import dataclass

from keyswitch.gate.decision import Refused
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import Event
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one event did.

    Attributes:
        state: the state afterwards.
        effects: what is to be done, in order.
        refused: why the event was refused; then `state` is unchanged and there are no effects.
    """

    state: GateState
    effects: tuple[Effect, ...] = ()
    refused: Refused | None = None


def initial(policy: Policy) -> GateState:
    """The state before `Booted`: nothing is served in it."""
    return GateState(mode=policy.device.initial_mode, inputs=tuple(each.initial for each in policy.inputs), down=True)


def step(policy: Policy, state: GateState, event: Event) -> Step:
    """What `event` does in `state`."""
    raise NotImplementedError
