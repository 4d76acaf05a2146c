"""What keeps an update from being installed or confirmed: the first step of it that nobody can take, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from keyswitch.gate.decision import Refused
from keyswitch.gate.events import ArmAsked, ResetAsked, SelfConfirmed, UploadStarted
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.enums import Confirm, SessionRule
from keyswitch.policy.model import Policy
from keyswitch.prove import environment
from keyswitch.prove.explore import Graph
from keyswitch.prove.world import World
from keyswitch.reasons import Reason
from keyswitch.smp.commands import CommandKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why. Attributes: text: in words; refused: the command that is refused, as in an allow list, if it is one."""

    text: str
    refused: str | None = None


_STEPS: Final = (
    (UploadStarted, environment.UPLOAD, "image.upload:write", "sends the image"),
    (ArmAsked, environment.STATE_WRITE, "image.state:write", "marks the image for the next boot"),
    (ResetAsked, environment.RESET, "os.reset:write", "lets it start"),
)
"""What an update needs, in this order."""


def obstacle(policy: Policy, graph: Graph, way: int) -> Obstacle:
    """Why no session that this transition opens leads to a new image."""
    done = {
        type(edge.move.event)
        for _, _, edge in graph.own_edges()
        if edge.before.session is not None and edge.before.session.way == way
    }
    worlds = [world for world in graph.own_worlds() if world.session is not None and world.session.way == way]
    if not graph.space.uploads:
        return Obstacle(
            text=f'"{policy.bootloader.algorithm}" has one slot, in which the image runs, so that nothing can be sent. '
            f'Use a bootloader with a second slot or with a loader ("{Algorithm.FIRMWARE_LOADER}")'
        )
    for event, key, name, does in _STEPS:
        if event is ArmAsked and graph.space.arming is environment.UPLOAD:
            continue  # the upload's end does it
        if event not in done:
            return Obstacle(text=f"{_why(policy, graph, worlds, key, name)}, which {does}", refused=name)
    return Obstacle(text="images are sent and marked, but none is ever started")


def no_confirmation(policy: Policy, graph: Graph, mode: str, on_trial: Iterable[int]) -> Obstacle:
    """Why nobody confirms what runs on trial in this mode."""
    worlds = [graph.worlds[place] for place in on_trial if graph.worlds[place].gate.mode == mode]
    if policy.update.confirm is Confirm.SELF:
        return Obstacle(text=f"the application is not heard ({SelfConfirmed.__name__})")
    name = "image.state:write"
    why = _why(policy, graph, worlds, environment.STATE_WRITE, name)
    return Obstacle(text=f"{why}, which confirms an image", refused=name)


def _why(policy: Policy, graph: Graph, worlds: list[World], key: CommandKey, name: str) -> str:
    """Why the command is not executed in any of these worlds, whoever asks."""
    mode = policy.modes[worlds[0].gate.mode]
    if key not in mode.allow:
        return f'mode "{mode.name}" does not allow {name}'
    refusals: set[tuple[Reason, str]] = set()
    for world in worlds:
        for peer in graph.space.present(world):
            decision = graph.gate.authorise(policy, world.gate, peer, key)
            if isinstance(decision, Refused):
                refusals.add((decision.reason, decision.detail))
    reasons = {reason for reason, _ in refusals}
    if reasons == {Reason.OWNER} and mode.session is SessionRule.OWNER:
        owned = 'session = "owner", and entering by this transition makes nobody the owner'
        return f'mode "{mode.name}" serves its owner alone ({owned}), so it refuses {name}'
    if reasons == {Reason.SECURITY}:
        needed = min(detail for _, detail in refusals)
        return f'mode "{mode.name}" asks for a link that is {needed}, and no peer that can enter has one, for {name}'
    told = "; ".join(sorted(f"{reason.value} {detail}".strip() for reason, detail in refusals))
    return f"nobody is heard with {name}" + (f" ({told})" if told else "")
