"""A gate that is driven by events: keeps the state, and what was asked for in the last step."""

from keyswitch.device.server.components import Components
from keyswitch.gate import effects as do
from keyswitch.gate.decision import Decision
from keyswitch.gate.events import Booted, Event
from keyswitch.gate.machine import Step, initial
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState, Session
from keyswitch.policy.model import Policy
from keyswitch.terms import Security, Transport

IMAGE = b"\x11" * 32
OTHER = b"\x22" * 32
ONE, NONE = frozenset({0}), frozenset[int]()
"""Image pairs on trial: the only one, or none."""


def ble(peer_id: int = 1, security: Security = Security.NONE) -> Peer:
    return Peer(id=peer_id, transport=Transport.BLE, security=security)


def udp(peer_id: int = 50) -> Peer:
    return Peer(id=peer_id, transport=Transport.UDP)


def step(policy: Policy, state: GateState, event: Event) -> Step:
    """The machine that devices are made of."""
    return Components().step(policy, state, event)


def authorise(policy: Policy, state: GateState, peer: Peer, command: tuple[int, int, int]) -> Decision:
    """The door that devices are made of."""
    return Components().authorise(policy, state, peer, command)


class Gate:
    def __init__(self, policy: Policy, boot: Booted | None = None) -> None:
        self.policy = policy
        self.state: GateState = initial(policy)
        self.last = self.happens(boot or Booted())

    def happens(self, *events: Event) -> Step:
        for event in events:
            self.last = step(self.policy, self.state, event)
            self.state = self.last.state
        return self.last

    @property
    def session(self) -> Session:
        assert self.state.session is not None
        return self.state.session

    def asked_for(self, kind: type[do.Effect]) -> list[do.Effect]:
        return [effect for effect in self.last.effects if isinstance(effect, kind)]

    def timers(self) -> dict[str, int]:
        return {each.timer.value: each.ms for each in self.last.effects if isinstance(each, do.StartTimer)}
