"""Whether the SMP service is in the GATT table: what each word of `gate.service` comes to. Never protection.

reconnect    the table changes only while nobody is connected; who is there has to go before it is shown
live         the table changes at once, under connected centrals
always       the service is there in every mode

Only this module tells them apart in the machine. The radio carries out what it says (`device.transport.ble`).
"""

from keyswitch.gate.state import GateState
from keyswitch.policy.enums import Visibility
from keyswitch.policy.model import Policy


def service_wanted(policy: Policy, state: GateState) -> bool:
    """Whether the service belongs into the table, now or as soon as it may change."""
    return state.session is not None or state.first_trial or policy.gate.service is Visibility.ALWAYS


def shown_now(policy: Policy, state: GateState) -> bool:
    """Whether the table is to have the service now: as it is wanted, or still as it was."""
    may_change = not state.down and (policy.gate.service is not Visibility.RECONNECT or not state.connections)
    return service_wanted(policy, state) if may_change else state.service_shown


def must_go(policy: Policy, state: GateState) -> frozenset[int]:
    """The peers whose connections have to end before the service can be shown. What hides it may wait for them."""
    waits = policy.gate.service is Visibility.RECONNECT and service_wanted(policy, state) and not state.service_shown
    return state.connections if waits else frozenset()
