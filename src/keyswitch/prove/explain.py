"""Why a mode serves a command or not, and the shortest way to where it is served."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypedDict

from keyswitch.errors import Field, InputError
from keyswitch.gate.decision import Refused
from keyswitch.policy.firmware_commands import FIRMWARE_COMMANDS
from keyswitch.policy.model import Mode, Policy
from keyswitch.prove import environment
from keyswitch.prove.check import trace_json
from keyswitch.prove.environment import Space
from keyswitch.prove.explore import explore
from keyswitch.prove.input_values import Inputs
from keyswitch.prove.successors import Edge, GateUnderProof
from keyswitch.prove.traces import Target, Traces
from keyswitch.prove.world import World
from keyswitch.schema.value_types import suggestion
from keyswitch.smp.commands import CommandKey, command_name, patterns, resolve
from keyswitch.smp.header import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The answer.

    Attributes:
        allowed: the mode serves the command, to whoever its other conditions let.
        reason: why, or why not.
        path: the shortest way from the mode to where it is served; empty if it is served here; None if there is none.
    """

    allowed: bool
    reason: str
    path: tuple[Edge, ...] | None


class ExplainJson(TypedDict):
    """The object of `explain --json`; `path` is a trace to where the command is served, null if there is none."""

    allowed: bool
    reason: str
    path: list[dict[str, Any]] | None


def explain_json(found: Explanation) -> ExplainJson:
    """The answer as JSON."""
    path = None if found.path is None else trace_json(found.path)
    return {"allowed": found.allowed, "reason": found.reason, "path": path}


def explain(policy: Policy, mode: str, command: str) -> Explanation:
    """Explain one command in one mode.

    Args:
        policy: the rules.
        mode: the mode's name.
        command: as in an allow list; with several commands behind it (a group), all of them are asked for.

    Raises:
        InputError: no such mode or command.
    """
    if mode not in policy.modes:
        known = f"one of the modes {', '.join(policy.modes)}{suggestion(mode, policy.modes)}"
        raise InputError(Field("mode"), f'"{mode}" is not a mode of {policy.origin}', known)
    keys = resolve(command)
    if not keys:
        expected = "a group or command like image.upload or image.state:read" + suggestion(command, patterns())
        raise InputError(Field("command"), f'"{command}" is not a command', expected)
    missing = sorted(keys - policy.modes[mode].allow)
    reason = _why_not(policy.modes[mode], missing) if missing else _why(policy, policy.modes[mode])
    return Explanation(allowed=not missing, reason=reason, path=_way(policy, mode, keys) if missing else ())


def _named(keys: Iterable[CommandKey]) -> str:
    return ", ".join(f"{command_name(key.group, key.id)}:{'read' if key.op == Op.READ else 'write'}" for key in keys)


def _why_not(mode: Mode, missing: list[CommandKey]) -> str:
    allowed = ", ".join(mode.allow_text) or "nothing"
    text = f"wrong mode: {mode.name} allows {allowed}, and so not {_named(missing)}"
    reasons = dict.fromkeys(FIRMWARE_COMMANDS[key] for key in missing if key in FIRMWARE_COMMANDS)
    if reasons and not mode.maintenance:
        text += f"; only a maintenance mode may, because it {'; it '.join(reasons)}"
    return text


def _why(policy: Policy, mode: Mode) -> str:
    text = f"{mode.name} allows {', '.join(mode.allow_text)}"
    if mode.security:
        text += f"; on a link that is {mode.security.word}"
    if mode.maintenance:
        text += f"; to {'its owner' if mode.session == 'owner' else 'anyone'} while the session lasts"
        text += "".join(
            f"; {name} {ms / 1000:g} s" for name, ms in (("lease", mode.lease_ms), ("idle", mode.idle_ms)) if ms
        )
    elif mode.name == policy.device.initial_mode:
        text += "; this is the initial mode"
    return text


def _way(policy: Policy, mode: str, keys: frozenset[CommandKey]) -> tuple[Edge, ...] | None:
    inputs, gate = Inputs(policy), GateUnderProof()
    graph = explore(inputs, gate, _Nobody())
    space = Space(policy, inputs)
    start = next((n for n, world in enumerate(graph.own_worlds()) if not world.off and world.gate.mode == mode), None)
    served = [Target(place=place) for place, world in enumerate(graph.own_worlds()) if _served(space, world, keys)]
    return None if start is None or not served else Traces(graph, policy, gate).onwards(start, served, _wanted)


def _wanted(edge: Edge) -> bool:
    return edge.move.left is None and edge.move is not environment.CUT and not edge.cut and not edge.failed


class _Nobody:
    """Nobody is looking."""

    def edge(self, before: int, edge: Edge) -> None:
        """See `explore.Visitor`."""

    def world(self, place: int, edge: Edge) -> None:
        """See `explore.Visitor`."""


def _served(space: Space, world: World, keys: frozenset[CommandKey]) -> bool:
    gate = GateUnderProof()
    return not world.off and any(
        not any(isinstance(gate.authorise(space.policy, world.gate, peer, key), Refused) for key in keys)
        for peer in space.present(world)
    )
