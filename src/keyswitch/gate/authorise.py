"""The one door: asked for every frame, on every transport, at the moment of execution."""

from keyswitch.gate.decision import ALLOWED, RESETTING, Decision, Refused
from keyswitch.gate.peer import Door, Peer
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy
from keyswitch.policy.words import SessionRule
from keyswitch.reasons import Reason
from keyswitch.smp.groups import mode

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


_NOT_HERE = Refused(Reason.NOT_ON_THIS_SERVICE)
_NO_SESSION = Refused(Reason.WRONG_MODE, "nobody has entered")
_NOT_OWNER = Refused(Reason.OWNER)
