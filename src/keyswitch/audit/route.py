"""How to bring a device from one mode into another, as its policy has it: the fewest acts, each of which can be told.

Pure: the policy in, acts out. Whether they worked is for the device to show.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from keyswitch.policy.enums import Compare, InputType
from keyswitch.policy.model import (
    INT_MAX,
    INT_MIN,
    Guard,
    OnButton,
    OnDisconnect,
    OnEnter,
    OnInput,
    OnLeave,
    OnReset,
    OnTimeout,
    Policy,
    Transition,
    Value,
)


@dataclass(frozen=True, slots=True)
class SetInput:
    """Make an input read a value."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold the button for so many milliseconds."""

    ms: int


@dataclass(frozen=True, slots=True)
class Enter:
    """Enter a mode by the mode group; `inputs` are what its conditions ask for, if the device refuses for them."""

    to: str
    inputs: tuple[SetInput, ...] = ()


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave by the mode group."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Let so many milliseconds pass."""

    ms: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End every connection."""


@dataclass(frozen=True, slots=True)
class PowerCycle:
    """Take the power away and give it back."""


Act = SetInput | Hold | Enter | Leave | Wait | Disconnect | PowerCycle


def route(policy: Policy, start: str, target: str, *, by_command: bool = True) -> tuple[Act, ...] | None:
    """The acts that lead from `start` to `target`; None if the policy has no way that can be acted.

    Args:
        policy: of the device.
        start: its mode now.
        target: where it is to be.
        by_command: whether the mode group may be used to enter maintenance.
    """
    found: dict[str, tuple[Act, ...]] = {start: ()}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        if here == target:
            return found[here]
        for mode, acts in _steps(policy, here, by_command=by_command):
            if mode not in found:
                found[mode] = (*found[here], *acts)
                waiting.append(mode)
    return None


def _steps(policy: Policy, here: str, *, by_command: bool) -> Iterator[tuple[str, tuple[Act, ...]]]:
    """Each mode that one transition leads to from here, and what has to be done for it."""
    leaves = False
    for way in policy.transitions:
        if here not in way.sources:
            continue
        leaves |= isinstance(way.trigger, OnLeave)
        inputs = _inputs(policy, way)
        act = _act(policy, way, here, by_command=by_command)
        if inputs is None or act is None:
            continue
        if act == (Enter(way.target),):
            yield way.target, (Enter(way.target, inputs),)
        else:
            # The guards of an input transition are what sets it off; there is nothing else to do.
            yield way.target, (*inputs, *act)
    if policy.modes[here].maintenance and not leaves:
        yield policy.device.initial_mode, (Leave(),)


def _act(policy: Policy, way: Transition, here: str, *, by_command: bool) -> tuple[Act, ...] | None:
    match way.trigger:
        case OnInput():
            return () if way.when else None
        case OnButton(hold_ms=hold_ms):
            return (Hold(hold_ms),)
        case OnEnter():
            return (Enter(way.target),) if by_command else None
        case OnLeave():
            return (Leave(),) if policy.modes[here].maintenance else None
        case OnTimeout():
            limit = policy.modes[here].timeout_ms
            return None if limit is None else (Wait(limit),)
        case OnDisconnect():
            return (Disconnect(),)
        case OnReset():
            return (PowerCycle(),)
        case _:
            return None


def _inputs(policy: Policy, way: Transition) -> tuple[SetInput, ...] | None:
    """Values that make the guards true; None if none does."""
    found: list[SetInput] = []
    for name in dict.fromkeys(guard.input for guard in way.when):
        value = value_for(policy, [guard for guard in way.when if guard.input == name])
        if value is None:
            return None
        found.append(SetInput(name, value))
    return tuple(found)


def value_for(policy: Policy, guards: Iterable[Guard], *, true: bool = True) -> Value | None:
    """A value of their input for which all of these guards are true (or one is false); None if there is none."""
    wanted = list(guards)
    known = policy.inputs[wanted[0].index]
    candidates: list[Value] = [False, True] if known.type is InputType.BOOL else []
    if known.type is InputType.INT:
        numbers = [int(guard.value) for guard in wanted]
        near = {number + step for number in numbers for step in (-1, 0, 1)}
        # The largest one first: a battery that is full is more likely to be believed than one that is just enough.
        most = [100] if all(guard.compare in {Compare.AT_LEAST, Compare.MORE} for guard in wanted) else []
        candidates = [*most, *sorted(number for number in near if INT_MIN <= number <= INT_MAX)]
    for candidate in candidates:
        if all(guard.holds(candidate) for guard in wanted) is true:
            return candidate
    return None
