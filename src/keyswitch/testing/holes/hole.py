"""What a hole is, and the ways in which most of them are made: a device with one part replaced.

A hole is a value, `device.server.components.Components` with one part replaced; nothing else about the device changes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from keyswitch.device.server import checks
from keyswitch.device.server.checks import CHECKS, Check
from keyswitch.device.server.components import Components
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate import machine, session
from keyswitch.gate.decision import Refused
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import Event
from keyswitch.gate.machine import Step
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy
from keyswitch.smp.codes import Rc
from keyswitch.smp.header import Header


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """One device with a hole.

    Attributes:
        name: what is broken, as it could stand in a bug report.
        check: id of the check that has to find it.
        parts: the device, made anew for each run: some parts remember.
        can_be: whether a device of this policy can have the hole at all.
        on_air: whether it is one of the GATT table: the device needs a radio.
    """

    name: str
    check: str
    parts: Callable[[], Components]
    can_be: Callable[[Policy], bool] = lambda _policy: True
    on_air: bool = False


Exempt = Callable[[Peer, Header, bytes], bool]


_STRAY: Final = frozenset({session.stray_upload, session.stray_state_write, session.stray_reset, session.stray_confirm})
_ONE_BARRIER: Final = {
    kind: replace(row, rules=tuple(rule for rule in row.rules if rule not in _STRAY))
    for kind, row in machine.TABLE.items()
}


def one_barrier(policy: Policy, state: GateState, event: Event) -> Step:
    """A machine that leaves the mode to the gate: what the gate lets through is done, a granted reset too.

    Ours asks once more, so that a hole in the gate alone is none. Products have one barrier.
    """
    if event == on.Expired(timer=on.Timer.RESET) and state.reset_pending and state.session is None and not state.down:
        return Step(state=replace(state, reset_pending=False, down=True), effects=(do.ResetNow(),))
    return machine.step(policy, state, event, table=_ONE_BARRIER)


def with_check(instead_of: Check, *instead: Check) -> Components:
    """A device with one barrier, of which one check was taken out, or others put in its place."""
    changed = tuple(each for check in CHECKS for each in (instead if check is instead_of else (check,)))
    return Components(checks=changed, step=one_barrier)


def unless(exempt: Exempt) -> Components:
    """A device on which some frames pass by the gate."""

    def check(ask: checks.Door, peer: Peer, request: Header, packet: bytes) -> Rc | Refused | None:
        return None if exempt(peer, request, packet) else checks.is_let_through(ask, peer, request, packet)

    return with_check(checks.is_let_through, check)


def without(unwanted: Callable[[Effect], bool]) -> Components:
    """A machine that forgets to ask for these effects."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = machine.step(policy, state, event)
        return replace(done, effects=tuple(each for each in done.effects if not unwanted(each)))

    return Components(step=step)
