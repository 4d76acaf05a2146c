"""The one door: asked for every frame, on every transport, at the moment of execution.

The rules below are all there are, asked in this order. Each is a pure function that decides or says nothing; the first
decision counts.

rule                    decides where                                                    and says
`not_on_this_service`   a command of another group came by the mode service              no
`resetting`             a reset was ordered, or the device has not come up yet           no
`first_trial`           the first image with this gate is on trial                       no, or yes
`not_allowed`           the mode does not list the command                               no
`asking`                the command proves itself (`ASKING`)                             yes
`too_insecure`          the link is protected less than the mode asks for                no
`nobody_entered`        a maintenance mode is on without a session                       no
`not_the_owner`         the session is its owner's alone, and this peer is another       no
what no rule decides                                                                     yes
"""

from collections.abc import Callable
from typing import Final

from keyswitch.gate.decision import ALLOWED, FIRST_TRIAL, RESETTING, Allowed, Decision, Refused
from keyswitch.gate.peer import Peer, Service
from keyswitch.gate.state import GateState
from keyswitch.policy.enums import SessionRule
from keyswitch.policy.model import Mode, Policy
from keyswitch.reasons import Reason
from keyswitch.smp.commands import CommandKey, resolve
from keyswitch.smp.groups import mode
from keyswitch.smp.header import Op

ASKING = frozenset({mode.Id.STATE, mode.Id.CHALLENGE, mode.Id.ENTER, mode.Id.ATTACH})
"""Commands of the mode group that neither need the mode's security level nor its session: they prove themselves."""

Command = tuple[int, int, int]
"""(group, id, op) of a *known* command."""

DoorRule = Callable[[Policy, Mode, GateState, Peer, Command], Decision | None]
"""What a rule decides about this peer's command, under this policy, in this mode and state; None: nothing."""


def not_on_this_service(_policy: Policy, _now: Mode, _state: GateState, peer: Peer, command: Command) -> Refused | None:
    """The mode service carries its own group, whatever the op."""
    return _NOT_HERE if peer.door is _MODE_SERVICE and command[0] != _MODE_GROUP else None


def resetting(_policy: Policy, _now: Mode, state: GateState, _peer: Peer, _command: Command) -> Refused | None:
    """Between the order to reset and the next boot nothing is served."""
    return RESETTING if state.down else None


def first_trial(policy: Policy, _now: Mode, state: GateState, peer: Peer, command: Command) -> Decision | None:
    """Asking is served to everybody; the slots to whoever could confirm in the least protected maintenance mode."""
    if not state.first_trial:
        return None
    if command == _STATE_OF_MODE:
        return ALLOWED
    if command not in _STATE_OF_IMAGES:
        return FIRST_TRIAL
    levels = [each.security for each in policy.modes.values() if each.maintenance and each.allow >= _STATE_WRITE]
    if not levels:
        return FIRST_TRIAL
    least = min(levels)
    return ALLOWED if peer.security >= least else Refused(Reason.SECURITY, least.word)


def not_allowed(_policy: Policy, now: Mode, _state: GateState, _peer: Peer, command: Command) -> Refused | None:
    """What the mode does not list is refused."""
    return None if command in now.allow else Refused(Reason.WRONG_MODE, now.name)


def asking(_policy: Policy, _now: Mode, _state: GateState, _peer: Peer, command: Command) -> Allowed | None:
    """Neither level nor session is asked of what proves itself."""
    return ALLOWED if command[0] == _MODE_GROUP and command[1] in ASKING else None


def too_insecure(_policy: Policy, now: Mode, _state: GateState, peer: Peer, _command: Command) -> Refused | None:
    """The mode's security level, of the link as it is now."""
    return Refused(Reason.SECURITY, now.security.word) if peer.security < now.security else None


def nobody_entered(_policy: Policy, now: Mode, state: GateState, _peer: Peer, _command: Command) -> Refused | None:
    """Maintenance is used by a session only."""
    return _NO_SESSION if now.maintenance and state.session is None else None


def not_the_owner(_policy: Policy, now: Mode, state: GateState, peer: Peer, _command: Command) -> Refused | None:
    """Where the session is its owner's, nobody else uses it."""
    session = state.session
    return _NOT_OWNER if session is not None and now.session is _OWNED and session.owner != peer.id else None


_STATE_OF_MODE: Final = CommandKey(mode.ID, mode.Id.STATE, Op.READ)
_STATE_WRITE: Final = resolve("image.state:write")
_STATE_OF_IMAGES: Final = resolve("image.state")
_MODE_GROUP: Final = mode.ID
_MODE_SERVICE: Final = Service.MODE
_OWNED: Final = SessionRule.OWNER
_NOT_HERE = Refused(Reason.NOT_ON_THIS_SERVICE)
_NO_SESSION = Refused(Reason.WRONG_MODE, "nobody has entered")
_NOT_OWNER = Refused(Reason.OWNER)

RULES: Final[tuple[DoorRule, ...]] = (
    not_on_this_service,
    resetting,
    first_trial,
    not_allowed,
    asking,
    too_insecure,
    nobody_entered,
    not_the_owner,
)
"""The door, in order."""


def authorise(
    policy: Policy,
    state: GateState,
    peer: Peer,
    command: Command,
    *,
    rules: tuple[DoorRule, ...] = RULES,
) -> Decision:
    """Whether this peer's command may be executed now. What the policy's mode does not list is refused.

    Args:
        policy: what the modes allow.
        state: the gate's state at the moment of execution.
        peer: who asks, as the device knows it.
        command: (group, id, op) of a *known* command; an unknown one is answered ENOTSUP before the gate is asked.
        rules: the door; tests take one rule out.
    """
    now = policy.modes[state.mode]
    for rule in rules:
        decision = rule(policy, now, state, peer, command)
        if decision is not None:
            return decision
    return ALLOWED
