"""What a change of mode consists of, whatever brought it about. Used by the table in `gate.machine` alone.

* Leaving maintenance cleans up first: queue, reassembly, upload, arming, granted reset, session record.
* A trial that nobody confirmed is reverted before maintenance is left: the session is marked as ending, the device
  resets, and `Booted` then leaves.
* The GATT table follows the session as the policy's visibility strategy says (`gate.visibility`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keyswitch.gate import effects as do
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import Timer
from keyswitch.gate.frozen import replace
from keyswitch.gate.guards import failing, must_leave, transitions_from
from keyswitch.gate.state import GateState, Quiet, Session
from keyswitch.gate.visibility import must_go, shown_now
from keyswitch.policy.enums import ProofKind, UploadRest
from keyswitch.policy.model import Mode, OnInput, OnLeave, OnReset, Policy, Transition

NOTHING_WAITS: Final = (do.DropQueued(), do.DropReassembly())
MODE_TIMERS: Final = (Timer.TIMEOUT, Timer.LEASE, Timer.LEASE_MAX, Timer.IDLE)
"""Time limits that begin with a mode, in the order in which they start."""
_STOP: Final = {timer: do.StopTimer(timer=timer) for timer in Timer}


@dataclass(slots=True)
class Change:
    """A step in the making: the state so far and what is to be done so far. `left`: it has ended a session."""

    policy: Policy
    state: GateState
    effects: list[Effect] = field(default_factory=list[Effect])
    ways: list[int] = field(default_factory=list[int])
    left: bool = False

    def do(self, *effects: Effect) -> None:
        """Ask for these, in this order."""
        self.effects.extend(effects)

    @property
    def mode(self) -> Mode:
        """The mode now."""
        return self.policy.modes[self.state.mode]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """By whom a session is opened. Attributes as in `Session`; `answering`: an answer to the peer is on its way."""

    proof: ProofKind | None = None
    owner: int | None = None
    images: frozenset[bytes] | None = None
    answering: bool = False


def leave_way(policy: Policy, state: GateState, mode: str) -> Transition | None:
    """How a session of `mode` ends: the first `leave` way whose guards hold; None: it leads to the initial mode."""
    return next((way for way in transitions_from(policy, mode, OnLeave) if failing(state, way) is None), None)


def leave(change: Change) -> None:
    """End the mode's session or lease."""
    way = leave_way(change.policy, change.state, change.state.mode)
    enter_mode(change, way.target if way is not None else change.policy.device.initial_mode, way, Opening())


def enter_mode(change: Change, target: str, way: Transition | None, opening: Opening) -> None:
    """Change into `target`; clean up and revert first where a session ends."""
    if change.state.session is None:
        change.do(*NOTHING_WAITS)
    elif change.state.trial:
        revert(change, ending=True)
        return
    else:
        clean_up(change)
        change.left = True
    if way is not None:
        change.ways.append(way.index)
    before = change.mode
    session = None
    if change.policy.modes[target].maintenance and way is not None:
        if change.state.upload is not None or change.state.armed or change.state.reset_pending:
            clean_up(change)  # what an unsound policy let begin outside does not continue inside
        session = Session(way=way.index, proof=opening.proof, owner=opening.owner, images=opening.images)
    change.state = replace(change.state, mode=target, session=session)
    arrive(change, before, own_timers(change))
    if session is not None:
        _disconnect_for_table_change(change, opening)


def inhibited(mode: Mode, state: GateState) -> frozenset[str]:
    """What the application must not do now: what the mode says, and what stays inhibited from before."""
    names = frozenset(mode.inhibits)
    return names if state.quiet is None else names | state.quiet.names


def keep_quiet(change: Change, mode: Mode) -> None:
    """Firmware is worked on in `mode`: what it inhibits stays inhibited for the mode's quiet time from now on.

    What stays inhibited already does so at least as long: the machine knows no clock, and lets nothing go too early.
    """
    if mode.quiet_after_ms is None:
        return
    held = change.state.quiet
    names, ms = frozenset(mode.inhibits), mode.quiet_after_ms
    quiet = Quiet(names=names, ms=ms) if held is None else Quiet(names=names | held.names, ms=max(ms, held.ms))
    change.do(do.StartTimer(timer=Timer.QUIET, ms=quiet.ms))
    change.state = replace(change.state, quiet=quiet)


def end_quiet(change: Change) -> None:
    """The quiet time is over: from here on the mode alone says what is inhibited."""
    before = inhibited(change.mode, change.state)
    change.state = replace(change.state, quiet=None)
    names = inhibited(change.mode, change.state)
    if names != before:
        change.do(do.Inhibit(names=names))


def clean_up(change: Change) -> None:
    """Nothing that began in the session continues: queue, half frames, upload, granted reset, arming, record."""
    state = change.state
    discard = state.upload is not None and change.policy.gate.upload is UploadRest.DISCARD
    change.do(*NOTHING_WAITS, do.DropUpload(discard=discard))
    if state.reset_pending:
        change.do(_STOP[Timer.RESET])
    change.do(*[do.Disarm(pair=each.pair) for each in state.armed if each.written])
    # A session of another revision of the policy may have limits that the mode has not.
    own = own_timers(change)
    foreign = [_STOP[timer] for timer in (Timer.LEASE, Timer.IDLE) if timer not in own]
    change.do(*foreign, _STOP[Timer.TRIAL], do.ClearSessionRecord())
    change.state = replace(state, session=None, upload=None, armed=(), reset_pending=False)


def revert(change: Change, *, ending: bool) -> None:
    """Send an unconfirmed trial back, still in maintenance: by a reset that the session (or its end) survives."""
    session = change.state.session
    assert session is not None  # noqa: S101 - callers ask first
    clean_up(change)
    change.do(*[_STOP[timer] for timer in MODE_TIMERS])
    change.do(do.WriteSessionRecord(expected=()), do.ResetNow())
    change.state = replace(change.state, session=replace(session, ending=ending), down=True)


def timers(mode: Mode) -> dict[Timer, int]:
    """The time limits that begin with the mode."""
    limits = (
        (Timer.TIMEOUT, mode.timeout_ms),
        (Timer.LEASE, mode.lease_ms),
        (Timer.LEASE_MAX, mode.lease_max_ms if mode.lease_max_ms != mode.lease_ms else None),
        (Timer.IDLE, mode.idle_ms),
    )
    return {timer: ms for timer, ms in limits if ms is not None}


def own_timers(change: Change) -> Mapping[Timer, int]:
    """The time limits that begin with the mode now."""
    return change.policy.once(_timers_of, change.state.mode)


def _timers_of(policy: Policy, mode: str) -> Mapping[Timer, int]:
    return timers(policy.modes[mode])


def arrive(change: Change, before: Mode | None, limits: Mapping[Timer, int]) -> None:
    """What being in the mode means: time limits, what the application must not do, what is remembered and told.

    Args:
        change: its state's mode is where the device is now.
        before: the mode before; None at boot, when the caller knows nothing yet.
        limits: the time limits to start.
    """
    mode = change.mode
    if before is not None:
        ends = change.policy.once(_timers_of, before.name)
        change.do(*[_STOP[timer] for timer in ends if timer not in limits])
    change.do(*[do.StartTimer(timer=timer, ms=ms) for timer, ms in limits.items()])
    inhibits = inhibited(mode, change.state)
    if before is None or inhibits != inhibited(before, change.state):
        change.do(do.Inhibit(names=inhibits))
    outlives = bool(change.policy.ways(mode.name, OnReset))
    if outlives or (before is not None and change.policy.ways(before.name, OnReset)):
        change.do(do.PersistMode(mode=mode.name if outlives else None))
    change.do(do.ModeChanged(mode=mode.name))


def sync_gatt_table(change: Change) -> None:
    """Bring the table in line with the session, if the strategy allows it now."""
    shown = shown_now(change.policy, change.state)
    if shown != change.state.service_shown:
        change.do(do.ShowService(shown=shown))
        change.state = replace(change.state, service_shown=shown)


def _disconnect_for_table_change(change: Change, opening: Opening) -> None:
    peers = must_go(change.policy, change.state)
    if peers:
        change.do(do.EndConnections(peers=peers, after_answer=opening.answering))


def apply_input_transitions(change: Change) -> None:
    """Take what inputs make true now: a session whose guards fail ends, `input` ways are taken.

    A mode is not entered twice in one step: ways that chase each other stop there (and the prover says so). A step that
    has ended a session begins none.
    """
    seen = {change.state.mode}
    while not change.state.down and not change.state.first_trial:
        session = change.state.session
        if session is not None and must_leave(change.policy, change.state, session):
            leave(change)
        else:
            way = _input_way(change)
            if way is None or way.target in seen:
                return
            enter_mode(change, way.target, way, Opening())
        seen.add(change.state.mode)


def _input_way(change: Change) -> Transition | None:
    for way in transitions_from(change.policy, change.state.mode, OnInput):
        again = change.left and change.policy.modes[way.target].maintenance
        if not again and failing(change.state, way) is None:
            return way
    return None
