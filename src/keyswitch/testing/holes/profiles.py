"""Gates as products build them today, by the name of their pattern: each closes something, and leaves the rest open."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from keyswitch.device.server.components import Components
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate import machine
from keyswitch.gate.events import Event
from keyswitch.gate.machine import Step
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy
from keyswitch.smp.commands import CommandKey, resolve
from keyswitch.smp.groups import mode
from keyswitch.smp.header import Header
from keyswitch.terms import Transport
from keyswitch.testing.holes.hole import unless


def _gates(commands: frozenset[CommandKey]) -> Components:
    """A device that asks its gate about these commands, and about the mode group, alone."""

    def exempt(_peer: Peer, request: Header, _packet: bytes) -> bool:
        gated = (request.group, request.command, request.op) in commands
        return not gated and request.group != mode.ID

    return unless(exempt)


def _gatt_authorization_only() -> Components:
    """The characteristic asks; whatever comes by another transport is asked by nobody."""

    def exempt(peer: Peer, request: Header, _packet: bytes) -> bool:
        return peer.transport is not Transport.BLE and request.group != mode.ID

    return unless(exempt)


def _unlocked_until_reboot() -> Components:
    """A flag in RAM: set by whoever enters, cleared by a reset; a lease was not thought of."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        if state.session is not None and isinstance(event, on.LeaveAsked | on.InputChanged):
            return Step(state=state)
        done = machine.step(policy, state, event)
        kept = tuple(each for each in done.effects if not (isinstance(each, do.StartTimer) and each.timer in _LIMITS))
        return Step(state=done.state, effects=kept, ways=done.ways, refused=done.refused)

    return Components(step=step)


_LIMITS: Final = frozenset({on.Timer.LEASE, on.Timer.LEASE_MAX, on.Timer.IDLE})

PROFILES: Final[Mapping[str, Callable[[], Components]]] = {
    "hook on upload chunks only": partial(_gates, resolve("image.upload")),
    "access hook of the image group only": partial(_gates, resolve("image")),
    "GATT authorization only": _gatt_authorization_only,
    "unlocked until reboot": _unlocked_until_reboot,
}
"""Each makes a device anew."""
