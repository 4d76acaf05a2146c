"""When the SMP service is in the table, and who may access it there, for every strategy, in every kind of state."""

from dataclasses import replace
from itertools import product

import pytest
from tests.gate.drive import Gate
from tests.policy.samples import pump, pump_with

from keyswitch.gate.authorise import DoorRule, authorise
from keyswitch.gate.decision import Allowed
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState, Session
from keyswitch.gate.visibility import (
    PEER_RULES,
    asks_at_each_access,
    may_access_smp,
    must_go,
    never_hidden,
    service_wanted,
    shown_now,
)
from keyswitch.policy.enums import ProofKind, SessionRule, Visibility
from keyswitch.policy.model import Policy
from keyswitch.smp.commands import resolve
from keyswitch.terms import Security, Transport

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
        wanted = service in {Visibility.ALWAYS, Visibility.AUTHORIZE} or state.session is not None or state.first_trial
        assert service_wanted(policy, state) == wanted
        stays = state.down or (service is Visibility.RECONNECT and bool(state.connections))
        assert shown_now(policy, state) == (state.service_shown if stays else wanted)


@pytest.mark.parametrize("service", list(Visibility))
def test_who_has_to_go_before_it_can_be_shown(service: Visibility) -> None:
    policy = with_service(service)
    for state in states(policy):
        waits = service is Visibility.RECONNECT and service_wanted(policy, state) and not state.service_shown
        assert must_go(policy, state) == (state.connections if waits else NOBODY)


def guarded(service: Visibility, rule: SessionRule) -> Policy:
    """The pump with a maintenance mode that wants an encrypted link, for anybody or for whoever entered."""
    policy = with_service(service)
    mode = replace(policy.modes["maintenance"], security=Security.ENCRYPTED, session=rule)
    return replace(policy, modes={**policy.modes, "maintenance": mode})


def _owned(owner: int | None) -> Session:
    return Session(way=0, proof=ProofKind.CHALLENGE, owner=owner)


def kinds(policy: Policy) -> list[GateState]:
    """Every kind of state in which somebody could ask, the session another's, nobody's or peer 1's."""
    up = Gate(policy).state
    inside = [replace(up, mode="maintenance", session=_owned(owner)) for owner in (None, 1, 2)]
    states = [up, replace(up, mode="active"), replace(up, mode="maintenance"), replace(up, first_trial=True), *inside]
    return [replace(state, down=down) for state in states for down in (False, True)]


PEERS = [
    Peer(id=number, transport=Transport.BLE, security=security) for number, security in product((1, 3), tuple(Security))
]


@pytest.mark.parametrize("rule", list(SessionRule))
@pytest.mark.parametrize("service", list(Visibility))
def test_who_may_access_the_service(service: Visibility, rule: SessionRule) -> None:
    policy = guarded(service, rule)
    for state, peer in product(kinds(policy), PEERS):
        owned = rule is SessionRule.OWNER and state.session is not None and state.session.owner != peer.id
        served = not state.down and (state.session is not None or state.first_trial) and not owned
        let_in = served and peer.security >= Security.ENCRYPTED
        assert may_access_smp(policy, state, peer) == (let_in or service is not Visibility.AUTHORIZE), (state, peer)


@pytest.mark.parametrize("rule", list(SessionRule))
def test_whoever_may_send_images_gets_to_the_service(rule: SessionRule) -> None:
    """Everybody whom the door serves a command about images is let in by ATT, and outside of that nobody is."""
    policy = guarded(Visibility.AUTHORIZE, rule)
    commands = sorted(resolve("image"))
    for state, peer in product(kinds(policy), PEERS):
        served = [isinstance(authorise(policy, state, peer, command), Allowed) for command in commands]
        outside = state.session is None and not state.first_trial
        assert may_access_smp(policy, state, peer) == (any(served) and not outside), (state, peer)


@pytest.mark.parametrize("missing", PEER_RULES)
def test_each_rule_about_the_peer_keeps_somebody_out(missing: DoorRule) -> None:
    policy = guarded(Visibility.AUTHORIZE, SessionRule.OWNER)
    without = tuple(rule for rule in PEER_RULES if rule is not missing)
    kept_out = [
        (state, peer)
        for state, peer in product(kinds(policy), PEERS)
        if may_access_smp(policy, state, peer, rules=without) and not may_access_smp(policy, state, peer)
    ]
    assert kept_out


@pytest.mark.parametrize("service", list(Visibility))
def test_the_table_never_changes_where_the_service_is_never_hidden(service: Visibility) -> None:
    policy = with_service(service)
    assert never_hidden(policy) == (service in {Visibility.ALWAYS, Visibility.AUTHORIZE})
    assert asks_at_each_access(policy) == (service is Visibility.AUTHORIZE)
