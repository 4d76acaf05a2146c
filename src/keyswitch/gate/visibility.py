"""Whether the SMP service is in the GATT table, and who may access it there. No promise of the gate rests on it.

reconnect    the table changes only while nobody is connected; who is there has to go before it is shown
live         the table changes at once, under connected centrals
always       the service is there in every mode, and everybody may access it
authorize    the service is there in every mode; outside maintenance, and to whom the session is not open, each access
             is refused by ATT

Only this module tells them apart in the machine. The radio carries out what it says (`device.transport.ble`), and asks
`may_access_smp` at each access: nothing of its answer is kept. It judges what arrives; what was queued before is judged
by the door (`gate.authorise`) when it is executed, under every strategy.
"""

from typing import Final

from keyswitch.gate import authorise as door
from keyswitch.gate.decision import Allowed
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState
from keyswitch.policy.enums import Visibility
from keyswitch.policy.model import Policy
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image
from keyswitch.smp.header import Op

_NEVER_HIDDEN: Final = frozenset({Visibility.ALWAYS, Visibility.AUTHORIZE})


def never_hidden(policy: Policy) -> bool:
    """Whether the table has the service in every mode, so that it never changes."""
    return policy.gate.service in _NEVER_HIDDEN


def asks_at_each_access(policy: Policy) -> bool:
    """Whether the service's characteristic needs authorization."""
    return policy.gate.service is Visibility.AUTHORIZE


def service_wanted(policy: Policy, state: GateState) -> bool:
    """Whether the service belongs into the table, now or as soon as it may change."""
    return state.session is not None or state.first_trial or never_hidden(policy)


def shown_now(policy: Policy, state: GateState) -> bool:
    """Whether the table is to have the service now: as it is wanted, or still as it was."""
    may_change = not state.down and (policy.gate.service is not Visibility.RECONNECT or not state.connections)
    return service_wanted(policy, state) if may_change else state.service_shown


def must_go(policy: Policy, state: GateState) -> frozenset[int]:
    """The peers whose connections have to end before the service can be shown. What hides it may wait for them."""
    waits = policy.gate.service is Visibility.RECONNECT and service_wanted(policy, state) and not state.service_shown
    return state.connections if waits else frozenset()


_ASKS_FOR_IMAGES: Final = CommandKey(image.ID, image.Id.STATE, Op.READ)
"""The least that is asked about images; the rules below look at it on the first trial alone."""

PEER_RULES: Final = (door.resetting, door.first_trial, door.too_insecure, door.not_the_owner)
"""The rules of the door that look at who asks, and not at what: whom they let use a session gets to the service."""


def may_access_smp(
    policy: Policy, state: GateState, peer: Peer, *, rules: tuple[door.DoorRule, ...] = PEER_RULES
) -> bool:
    """Whether this peer may access the SMP characteristic and its configuration now.

    With "authorize": in a session that is open to the peer, and on the first trial whoever may ask about it.

    Args:
        policy: with the strategy.
        state: the gate's state at the moment of the access.
        peer: who accesses, as the device knows it.
        rules: of the door; tests take one out.
    """
    if not asks_at_each_access(policy):
        return True
    if state.session is None and not state.first_trial:
        return False
    return isinstance(door.authorise(policy, state, peer, _ASKS_FOR_IMAGES, rules=rules), Allowed)
