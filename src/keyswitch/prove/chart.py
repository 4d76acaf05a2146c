"""A policy as rows and columns: what every picture of it shows, before it is drawn.

A chart has one column for each mode and one row for each transition, with its label beside it: however many there are,
nothing can lie on top of anything else. Ways out of maintenance that need no transition have a row as well.
"""

from dataclasses import dataclass

from keyswitch.policy.bootloader import bypasses_of
from keyswitch.policy.enums import Others, SessionRule, WhenFalse
from keyswitch.policy.model import (
    Mode,
    OnButton,
    OnConnect,
    OnDisconnect,
    OnEnter,
    OnInput,
    OnLeave,
    OnReset,
    OnTimeout,
    Policy,
    Transition,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRow:
    """One way.

    Attributes:
        sources: columns it starts in.
        target: column it leads to.
        label: what sets it off, and under which conditions.
        implied: no transition of the file: the end of a session.
    """

    sources: tuple[int, ...]
    target: int
    label: str
    implied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is drawn. Attributes: title; columns: the modes; initial: a column; rows; bypasses: as declared."""

    title: str
    columns: tuple[Mode, ...]
    initial: int
    rows: tuple[ChartRow, ...]
    bypasses: tuple[str, ...]


def seconds(ms: int) -> str:
    """A duration as the file writes it."""
    return f"{ms / 1000:g} s"


def chart(policy: Policy) -> Chart:
    """The chart of a policy."""
    columns = tuple(policy.modes.values())
    rows = [
        ChartRow(
            sources=tuple(policy.modes[source].index for source in way.sources),
            target=policy.modes[way.target].index,
            label=label(policy, way),
        )
        for way in policy.transitions
    ]
    for mode in columns:
        if mode.maintenance and not policy.ways(mode.name, OnLeave):
            text = ending(policy, mode)
            rows.append(ChartRow(sources=(mode.index,), target=policy.initial.index, label=text, implied=True))
    return Chart(
        title=policy.device.name,
        columns=columns,
        initial=policy.initial.index,
        rows=tuple(rows),
        bypasses=bypasses_of(policy),
    )


def label(policy: Policy, way: Transition) -> str:
    """What sets a transition off, and its conditions."""
    parts = [_trigger(policy, way)]
    if way.when:
        # A condition stays on one line.
        parts.append("when " + " and ".join(guard.text.replace(" ", "\N{NO-BREAK SPACE}") for guard in way.when))
    if way.security:
        parts.append(f"link {way.security.word}")
    if policy.modes[way.target].maintenance:
        if isinstance(way.trigger, OnEnter):
            refused = way.others is Others.REFUSE
            parts.append("refused while others are connected" if refused else "others are disconnected")
        if way.when_false is WhenFalse.HOLD:
            parts.append("guards wait for the upload")
    return " · ".join(parts)


def _trigger(policy: Policy, way: Transition) -> str:
    match way.trigger:
        case OnEnter(proofs=proofs):
            return "enter command, proof: " + (" or ".join(proof.value for proof in proofs) or "none")
        case OnLeave():
            return ending(policy, policy.modes[way.sources[0]])
        case OnButton(hold_ms=hold_ms):
            return f"button held {seconds(hold_ms)}"
        case OnInput():
            return "input changes"
        case OnTimeout():
            return "after " + " or ".join(
                sorted({seconds(policy.modes[source].timeout_ms or 0) for source in way.sources})
            )
        case OnConnect():
            return "first central connects"
        case OnDisconnect():
            return "last central is gone"
        case OnReset():
            return "reset"


def ending(policy: Policy, mode: Mode) -> str:
    """Every way in which a mode's session ends."""
    ways = ["leave"]
    if mode.lease_ms is not None:
        ways.append(f"lease {seconds(mode.lease_ms)}")
        if mode.lease_max_ms is not None and mode.lease_max_ms != mode.lease_ms:
            ways[-1] += f" (at most {seconds(mode.lease_max_ms)})"
    if mode.idle_ms is not None:
        ways.append(f"idle {seconds(mode.idle_ms)}")
    if mode.maintenance and any(way.when for way in policy.transitions if way.target == mode.name):
        ways.append("a guard turns false")
    return ", ".join(ways)


def conditions(mode: Mode) -> tuple[str, ...]:
    """What a mode asks for and forbids besides its allow list."""
    parts: list[str] = []
    if mode.maintenance:
        parts.append("session: " + ("its owner" if mode.session is SessionRule.OWNER else "anyone"))
    if mode.security:
        parts.append(f"link {mode.security.word}")
    if mode.inhibits:
        quiet = "" if mode.quiet_after_ms is None else f", {seconds(mode.quiet_after_ms)} longer than the last change"
        parts.append("inhibits " + ", ".join(mode.inhibits) + quiet)
    return tuple(parts)
