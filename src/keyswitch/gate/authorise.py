"""The one door: asked for every frame, on every transport, at the moment of execution."""

from typing import Final

from keyswitch.gate.decision import ALLOWED, FIRST_TRIAL, RESETTING, Decision, Refused
from keyswitch.gate.peer import Door, Peer
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy
from keyswitch.policy.words import SessionRule
from keyswitch.reasons import Reason
from keyswitch.smp.commands import CommandKey, resolve
from keyswitch.smp.groups import mode
from keyswitch.smp.header import Op

ASKING = frozenset({mode.Id.STATE, mode.Id.CHALLENGE, mode.Id.ENTER, mode.Id.ATTACH})
"""Commands of the mode group that neither need the mode's security level nor its session: they prove themselves."""


def authorise(policy: Policy, state: GateState, peer: Peer, command: tuple[int, int, int]) -> Decision:
    """Whether this peer's command may be executed now. What no rule allows is refused.

    Args:
        policy: the rules.
        state: the gate's state at the moment of execution.
        peer: who asks, as the device knows it.
        command: (group, id, op) of a *known* command; an unknown one is answered ENOTSUP before the gate is asked.
    """
    group, command_id, _op = command
    if peer.door is Door.MODE and group != mode.ID:
        return _NOT_HERE
    if state.down:
        return RESETTING
    if state.first_trial:
        return _on_first_trial(policy, peer, command)
    now = policy.modes[state.mode]
    if command not in now.allow:
        return Refused(Reason.WRONG_MODE, state.mode)
    if group == mode.ID and command_id in ASKING:
        return ALLOWED
    if peer.security < now.security:
        return Refused(Reason.SECURITY, now.security.word)
    if now.maintenance:
        session = state.session
        if session is None:
            return _NO_SESSION
        if now.session is SessionRule.OWNER and session.owner != peer.id:
            return _NOT_OWNER
    return ALLOWED


def _on_first_trial(policy: Policy, peer: Peer, command: tuple[int, int, int]) -> Decision:
    """Asking is served to everybody; the slots to whoever could confirm in the least protected maintenance mode."""
    if command == _STATE_OF_MODE:
        return ALLOWED
    if command not in _STATE_OF_IMAGES:
        return FIRST_TRIAL
    levels = [each.security for each in policy.modes.values() if each.maintenance and each.allow >= _STATE_WRITE]
    if not levels:
        return FIRST_TRIAL
    least = min(levels)
    return ALLOWED if peer.security >= least else Refused(Reason.SECURITY, least.word)


_STATE_OF_MODE: Final = CommandKey(mode.ID, mode.Id.STATE, Op.READ)
_STATE_WRITE: Final = resolve("image.state:write")
_STATE_OF_IMAGES: Final = resolve("image.state")
_NOT_HERE = Refused(Reason.NOT_ON_THIS_SERVICE)
_NO_SESSION = Refused(Reason.WRONG_MODE, "nobody has entered")
_NOT_OWNER = Refused(Reason.OWNER)
