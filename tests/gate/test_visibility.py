"""When the SMP service is in the table, for every strategy, in every kind of state."""

from dataclasses import replace
from itertools import product

import pytest
from tests.gate.drive import Gate
from tests.policy.samples import pump, pump_with

from keyswitch.gate.state import GateState, Session
from keyswitch.gate.visibility import must_go, service_wanted, shown_now
from keyswitch.policy.enums import ProofKind, Visibility
from keyswitch.policy.model import Policy

NOBODY: frozenset[int] = frozenset()
SOMEBODY = frozenset({1, 2})


def with_service(service: Visibility) -> Policy:
    return pump() if service is Visibility.RECONNECT else pump_with(('"reconnect"', f'"{service.value}"'))


def states(policy: Policy) -> list[GateState]:
    up = Gate(policy).state
    session = Session(way=0, proof=ProofKind.CHALLENGE)
    return [
        replace(up, session=inside, first_trial=trial, connections=connections, service_shown=shown, down=down)
        for inside, trial, connections, shown, down in product(
            (None, session), (False, True), (NOBODY, SOMEBODY), (False, True), (False, True)
        )
    ]


@pytest.mark.parametrize("service", list(Visibility))
def test_when_the_table_follows(service: Visibility) -> None:
    policy = with_service(service)
    for state in states(policy):
        wanted = service is Visibility.ALWAYS or state.session is not None or state.first_trial
        assert service_wanted(policy, state) == wanted
        stays = state.down or (service is Visibility.RECONNECT and bool(state.connections))
        assert shown_now(policy, state) == (state.service_shown if stays else wanted)


@pytest.mark.parametrize("service", list(Visibility))
def test_who_has_to_go_before_it_can_be_shown(service: Visibility) -> None:
    policy = with_service(service)
    for state in states(policy):
        waits = service is Visibility.RECONNECT and service_wanted(policy, state) and not state.service_shown
        assert must_go(policy, state) == (state.connections if waits else NOBODY)
