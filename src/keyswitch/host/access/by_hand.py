"""What a person at the device does to get it into maintenance, in words, as its policy has it."""

from collections import deque
from typing import Final

from keyswitch.policy.enums import Compare
from keyswitch.policy.model import Guard, OnButton, OnInput, OnTimeout, Policy, Transition, value_text
from keyswitch.reasons import Reason

OPENED_BY_HAND: Final = frozenset({Reason.WRONG_MODE, Reason.GUARD, Reason.PROOF, Reason.LOCKED_OUT})
"""Refusals after which somebody at the device can go on: what they do needs no proof, and is never locked out."""


def by_hand(policy: Policy, mode: str) -> str:
    """The fewest acts that lead from `mode` into a maintenance mode; empty if no acts do.

    `hold the button for 5 s while motion is false`; `wait until motion is false, then hold the button for 5 s …`.
    """
    paths: deque[tuple[str, tuple[str, ...]]] = deque([(mode, ())])
    seen = {mode}
    while paths:
        here, acts = paths.popleft()
        for way in policy.transitions:
            act = _act(policy, way, here) if here in way.sources else ""
            if not act:
                continue
            if policy.modes[way.target].maintenance:
                return ", then ".join((*acts, act))
            if way.target not in seen:
                seen.add(way.target)
                paths.append((way.target, (*acts, act)))
    return ""


def _act(policy: Policy, way: Transition, here: str) -> str:
    """What somebody does, or waits for, to have this way taken; empty if it is nobody's act."""
    match way.trigger:
        case OnButton(hold_ms=hold_ms):
            return f"hold the button for {hold_ms / 1000:g} s{_while(way.when)}"
        case OnTimeout():
            return f"wait {(policy.modes[here].timeout_ms or 0) / 1000:g} s{_while(way.when)}"
        case OnInput():
            moved = [guard for guard in way.when if policy.inputs[guard.index].operated]
            rest = tuple(guard for guard in way.when if guard not in moved)
            if moved:
                return f"{' and '.join(_moved(guard) for guard in moved)}{_while(rest)}"
            waits = not policy.modes[way.target].maintenance and bool(rest)
            return f"wait until {' and '.join(guard.words for guard in rest)}" if waits else ""
        case _:
            return ""


def _moved(guard: Guard) -> str:
    if guard.compare is Compare.EQUAL:
        return f"set {guard.input} to {value_text(guard.value)}"
    return f"set {guard.input} so that {guard.words}"


def _while(guards: tuple[Guard, ...]) -> str:
    return f" while {' and '.join(guard.words for guard in guards)}" if guards else ""
