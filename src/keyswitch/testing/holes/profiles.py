"""Gates as products build them today, by the name of their pattern: each closes something, and leaves the rest open."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from keyswitch.device.server.components import Components
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate import machine
from keyswitch.gate.events import Event
from keyswitch.gate.machine import Step
from keyswitch.gate.peer import Peer, Service
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


def _open() -> Components:
    """A device that gates nothing but its mode group; firmware commands come by the SMP service alone."""
    return unless(lambda peer, request, _packet: request.group != mode.ID and peer.door is Service.SMP)


WINDOW_MS: Final = 10_000
"""How long the application takes after a boot until it takes the service out."""


def _unregister_only() -> Components:
    """The service is taken out of the table outside maintenance; at boot it is there until the application comes to it.

    Nothing asks about commands: by another transport, or in the window, they are all done.
    """
    parts = _open()

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        if event == on.Expired(timer=on.Timer.TIMEOUT) and policy.modes[state.mode].timeout_ms is None:
            return Step(state=state, effects=(do.ShowService(shown=state.service_shown),))
        done = parts.step(policy, state, event)
        if not isinstance(event, on.Booted) or done.state.service_shown:
            return done
        window = (do.ShowService(shown=True), do.StartTimer(timer=on.Timer.TIMEOUT, ms=WINDOW_MS))
        return replace(done, effects=(*done.effects, *window))

    return replace(parts, step=step)


def _advertising_only() -> Components:
    """Outside maintenance nothing is said of the service in the advertisement; it is in the table, and served."""
    parts = _open()

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = parts.step(policy, state, event)
        kept = tuple(each for each in done.effects if each != do.ShowService(shown=False))
        return replace(done, effects=(*kept, do.ShowService(shown=True)) if isinstance(event, on.Booted) else kept)

    return replace(parts, step=step)


_LIMITS: Final = frozenset({on.Timer.LEASE, on.Timer.LEASE_MAX, on.Timer.IDLE})

PROFILES: Final[Mapping[str, Callable[[], Components]]] = {
    "hook on upload chunks only": partial(_gates, resolve("image.upload")),
    "access hook of the image group only": partial(_gates, resolve("image")),
    "GATT authorization only": _gatt_authorization_only,
    "unlocked until reboot": _unlocked_until_reboot,
    "unregister only, with the window at boot": _unregister_only,
    "advertising only": _advertising_only,
}
"""Each makes a device anew."""

ON_AIR: Final = frozenset({"unregister only, with the window at boot", "advertising only"})
"""Those that are gates of a radio: the device needs one."""
