"""How a device is found, judged, entered, verified and left: the acts of those steps (`keyswitch.host.update.steps`).

Each act changes what was seen to what the device told, and returns a `Stop` only where going on makes no sense.
"""

import asyncio
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Final

from keyswitch.errors import LinkLostError, SilenceError
from keyswitch.host.access.strategy import OLDER_FORM, AlreadyOpen, EntryRefused, other_policy, tells_older_form
from keyswitch.host.connect.probe import probe_gate
from keyswitch.host.connect.stale_table import cure, what_is_stale
from keyswitch.host.connect.verdict import NEXT_STEP, Gate, Verdict
from keyswitch.host.smp.slots import trial_of
from keyswitch.host.update.context import LINK_ENDS_MS, UpdateContext, pauses
from keyswitch.host.update.job import Outcome, Stop
from keyswitch.host.update.preflight import is_downgrade, never_starts, trial_in_the_way
from keyswitch.link.ports import GattRefused
from keyswitch.reasons import Reason

_OPENED_BY_ENTERING: Final = frozenset({Reason.WRONG_MODE, Reason.NO_SERVICE, Reason.NO_IMAGE_GROUP, Reason.VETO})
"""What is different in maintenance, so that the run goes there."""

SHOWN_MS: Final = 3_000
"""How long a device that has entered is given to show its SMP service, and to be connected to; then what is there is
looked at. It changes its table when everybody is gone; a system may repeat for a moment what it heard before."""

RESTART_MS: Final = 1_000
"""Pause before a device that restarts is asked over a line that does not end: until then the old program answers."""


async def find(scene: UpdateContext) -> Stop | None:
    """Connect to the device, whatever it shows."""
    await scene.connect(smp_shown=False)
    return None


async def judge(scene: UpdateContext) -> Stop | None:
    """Ask the device about its gate."""
    told = await probe_gate(scene.up())
    other = _other_device(scene, told)
    if other is None and told.reason is Reason.OWNER and await scene.attached():
        told = await probe_gate(scene.up())
    if told.reason is Reason.SILENCE:
        raise SilenceError(told.detail)
    scene.on_verdict(replace(told, next_step="") if _is_next(scene, told) else told)
    if other is not None:
        return other
    if tells_older_form(scene.job.way.expected, told) and scene.seen.reset is None:
        scene.say(OLDER_FORM)
    is_open = {Gate.OPEN: True, Gate.SHUT: False}.get(told.gate)
    scene.seen = replace(scene.seen, verdict=told, open=is_open, gated=False, smp=scene.up().smp is not None)
    if told.state is not None:
        scene.note_state(told.state)
        if scene.seen.rebooted and told.slots is not None:
            scene.note_slots(told.slots)  # with the gate open, as `verify` would read them at once again
    elif is_open is None:
        return Stop(outcome=Outcome.UNKNOWN, detail=told.detail, reason=told.reason, next_step=told.next_step)
    else:
        inside = await scene.job.way.is_inside(scene.up())
        if inside is not None:
            scene.note_inside(inside=is_open and inside, lease_ms=None)
            scene.seen = replace(scene.seen, gated=True, open=is_open and inside, outside=not inside)
    return None


async def enter(scene: UpdateContext) -> Stop | None:
    """Enter maintenance mode by the job's way."""
    if scene.thrown_out is not None and scene.lease.in_vain:
        return scene.thrown_out
    verdict = scene.seen.verdict
    if verdict is not None and (stop := trial_in_the_way(scene.job, verdict.slots)) is not None:
        return stop  # many ways in begin with a reset, which ends the trial
    told = await scene.job.way.enter(scene.up(), scene.say)
    if isinstance(told, EntryRefused):
        return _no_entry(scene, told)
    scene.entered = told
    scene.leaving = False
    scene.note_inside(inside=True, lease_ms=told.lease_ms)
    if not told.told:
        scene.inside = None
    if told.restarts:
        scene.will_change("the device was restarted to enter maintenance")
    if told.identity is not None:
        scene.reach.visit(told.identity)
    scene.reach.learn(token=told.token, address=told.address)
    # Where the link does not end with the device's word, there is nothing to come back from.
    again = told.restarts or (told.reconnect and scene.up().announced_end)
    scene.seen = replace(scene.seen, open=True, outside=False if told.told else None, smp=scene.seen.smp and not again)
    if not again:
        # A service that was there and refused may be used from now on, without another connection.
        with suppress(LinkLostError):  # then there is another one
            await scene.open_smp()
    return None


async def reconnect(scene: UpdateContext) -> Stop | None:
    """Come back to the same device once it shows its SMP service."""
    entered, connection = scene.entered, scene.connection
    if entered is not None and connection is not None:
        if entered.reconnect and connection.announced_end:
            await connection.wait_closed(LINK_ENDS_MS)
        elif entered.restarts:
            await asyncio.sleep(RESTART_MS / 1000)
    verdict = scene.seen.verdict
    await scene.drop()
    if entered is not None and (entered.prompt or entered.restarts or not entered.shows_smp):
        await scene.connect(smp_shown=entered.shows_smp, timeout_ms=entered.within_ms)
    else:
        await _come_back(scene)
    scene.seen = replace(scene.seen, verdict=verdict, open=True)
    trouble = scene.up().trouble
    if isinstance(trouble, GattRefused) and trouble.wants_security:
        # It shows its SMP service and refuses the subscription: no reconnect helps against that.
        raise trouble
    if scene.up().smp is None and scene.up().mode is not None:
        await scene.look()  # the session may be over: what the device says decides what is next
        stale = what_is_stale(scene.up(), is_open=scene.seen.open is True)
        if stale:
            raise LinkLostError(stale, next_step=cure(scene.up(), sys.platform))
    return None


async def _come_back(scene: UpdateContext) -> None:
    """Connect once the device shows its SMP service; to what is there, where it does not show it soon.

    It was inside by its own word and had nothing to wait for: shut meanwhile, it shows its mode service for good.
    """
    try:
        await scene.connect(smp_shown=True, timeout_ms=SHOWN_MS)
    except LinkLostError:
        await scene.connect(smp_shown=False)


async def verify(scene: UpdateContext) -> Stop | None:
    """Read mode and slots with the gate open."""
    await scene.look()
    if not scene.seen.open:
        return None
    stop = await scene.read_slots()
    if stop is not None or scene.seen.slots is None or scene.seen.reset is not None:
        return stop
    job, slots = scene.job, scene.seen.slots
    return trial_in_the_way(job, slots) or never_starts(job, slots, job.bootloader) or is_downgrade(job, scene.seen)


async def leave(scene: UpdateContext) -> Stop | None:
    """Ask the device to leave."""
    trial = None if scene.seen.reset is not None else trial_of(scene.slots.now)
    if trial is not None and scene.seen.open:
        scene.say(f"{trial.runs.version} runs on trial, which this run did not start: leaving may end it")
    scene.will_leave()
    no = await scene.job.way.leave(scene.up())
    if no is not None:
        return Stop(outcome=Outcome.STILL_IN_MAINTENANCE, detail=no.detail, reason=no.reason)
    scene.reach.go_home()
    scene.seen = replace(scene.seen, left=True)
    return None


async def left(scene: UpdateContext) -> Stop | None:
    """Ask until the device says that its gate is shut; a device that reverts first takes its time."""
    for pause_ms in pauses():
        await scene.look()
        if scene.seen.outside or not scene.seen.gated:
            return None
        if await scene.up().wait_closed(pause_ms) is not None:
            # The device has ended the link on its way out; the next connection tells.
            await scene.drop()
            await scene.connect(smp_shown=False)
    return None


def _other_device(scene: UpdateContext, told: Verdict) -> Stop | None:
    """A device with another policy than the one that is meant. After a reset new firmware may have brought another."""
    other = None if scene.seen.reset is not None else other_policy(scene.job.way.expected, told)
    return None if other is None else Stop(outcome=Outcome.REFUSED, detail=other.detail, next_step=other.next_step)


def _is_next(scene: UpdateContext, told: Verdict) -> bool:
    """Whether the run itself now does what the verdict would have a person do."""
    return told.reason in _OPENED_BY_ENTERING and not isinstance(scene.job.way, AlreadyOpen)


def _no_entry(scene: UpdateContext, told: EntryRefused) -> Stop:
    verdict = scene.seen.verdict
    if told.reason is None and verdict is not None and verdict.reason is not None:
        detail = f"{told.detail}, and the gate is {verdict.line}"
        next_step = told.next_step or verdict.next_step
        return Stop(outcome=Outcome.REFUSED, detail=detail, reason=verdict.reason, next_step=next_step)
    next_step = told.next_step or (NEXT_STEP[told.reason] if told.reason is not None else "")
    return Stop(outcome=Outcome.REFUSED, detail=told.detail, reason=told.reason, next_step=next_step)
