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


async def find(context: UpdateContext) -> Stop | None:
    """Connect to the device, whatever it shows."""
    await context.connect(smp_shown=False)
    return None


async def judge(context: UpdateContext) -> Stop | None:
    """Ask the device about its gate."""
    verdict = await probe_gate(context.up())
    other = _other_device(context, verdict)
    if other is None and verdict.reason is Reason.OWNER and await context.attached():
        verdict = await probe_gate(context.up())
    if verdict.reason is Reason.SILENCE:
        raise SilenceError(verdict.detail)
    context.on_verdict(replace(verdict, next_step="") if _is_next(context, verdict) else verdict)
    if other is not None:
        return other
    if tells_older_form(context.job.way.expected, verdict) and context.seen.reset is None:
        context.say(OLDER_FORM)
    is_open = {Gate.OPEN: True, Gate.SHUT: False}.get(verdict.gate)
    context.seen = replace(context.seen, verdict=verdict, open=is_open, gated=False, smp=context.up().smp is not None)
    if verdict.state is not None:
        context.note_state(verdict.state)
        if context.seen.rebooted and verdict.slots is not None:
            context.note_slots(verdict.slots)  # with the gate open, as `verify` would read them at once again
    elif is_open is None:
        return Stop(outcome=Outcome.UNKNOWN, detail=verdict.detail, reason=verdict.reason, next_step=verdict.next_step)
    else:
        inside = await context.job.way.is_inside(context.up())
        if inside is not None:
            context.note_inside(inside=is_open and inside, lease_ms=None)
            context.seen = replace(context.seen, gated=True, open=is_open and inside, outside=not inside)
    return None


async def enter(context: UpdateContext) -> Stop | None:
    """Enter maintenance mode by the job's way."""
    if context.thrown_out is not None and context.lease.in_vain:
        return context.thrown_out
    verdict = context.seen.verdict
    if verdict is not None and (stop := trial_in_the_way(context.job, verdict.slots)) is not None:
        return stop  # many ways in begin with a reset, which ends the trial
    granted = await context.job.way.enter(context.up(), context.say)
    if isinstance(granted, EntryRefused):
        return _no_entry(context, granted)
    context.entered = granted
    context.leaving = False
    context.note_inside(inside=True, lease_ms=granted.lease_ms)
    if not granted.told:
        context.inside = None
    if granted.restarts:
        context.will_change("the device was restarted to enter maintenance")
    if granted.identity is not None:
        context.endpoint.visit(granted.identity)
    context.endpoint.learn(token=granted.token, address=granted.address)
    # Where the link does not end with the device's word, there is nothing to come back from.
    again = granted.restarts or (granted.reconnect and context.up().announced_end)
    context.seen = replace(
        context.seen, open=True, outside=False if granted.told else None, smp=context.seen.smp and not again
    )
    if not again:
        # A service that was there and refused may be used from now on, without another connection.
        with suppress(LinkLostError):  # then there is another one
            await context.open_smp()
    return None


async def reconnect(context: UpdateContext) -> Stop | None:
    """Come back to the same device once it shows its SMP service."""
    entered, connection = context.entered, context.connection
    if entered is not None and connection is not None:
        if entered.reconnect and connection.announced_end:
            await connection.wait_closed(LINK_ENDS_MS)
        elif entered.restarts:
            await asyncio.sleep(RESTART_MS / 1000)
    verdict = context.seen.verdict
    await context.drop()
    if entered is not None and (entered.prompt or entered.restarts or not entered.shows_smp):
        await context.connect(smp_shown=entered.shows_smp, timeout_ms=entered.within_ms)
    else:
        await _come_back(context)
    context.seen = replace(context.seen, verdict=verdict, open=True)
    trouble = context.up().trouble
    if isinstance(trouble, GattRefused) and trouble.wants_security:
        # It shows its SMP service and refuses the subscription: no reconnect helps against that.
        raise trouble
    if context.up().smp is None and context.up().mode is not None:
        await context.look()  # the session may be over: what the device says decides what is next
        stale = what_is_stale(context.up(), is_open=context.seen.open is True)
        if stale:
            raise LinkLostError(stale, next_step=cure(context.up(), sys.platform))
    return None


async def _come_back(context: UpdateContext) -> None:
    """Connect once the device shows its SMP service; to what is there, where it does not show it soon.

    It was inside by its own word and had nothing to wait for: shut meanwhile, it shows its mode service for good.
    """
    try:
        await context.connect(smp_shown=True, timeout_ms=SHOWN_MS)
    except LinkLostError:
        await context.connect(smp_shown=False)


async def verify(context: UpdateContext) -> Stop | None:
    """Read mode and slots with the gate open."""
    await context.look()
    if not context.seen.open:
        return None
    stop = await context.read_slots()
    if stop is not None or context.seen.slots is None or context.seen.reset is not None:
        return stop
    job, slots = context.job, context.seen.slots
    return trial_in_the_way(job, slots) or never_starts(job, slots, job.bootloader) or is_downgrade(job, context.seen)


async def leave(context: UpdateContext) -> Stop | None:
    """Ask the device to leave."""
    trial = None if context.seen.reset is not None else trial_of(context.slots.now)
    if trial is not None and context.seen.open:
        context.say(f"{trial.runs.version} runs on trial, which this run did not start: leaving may end it")
    context.will_leave()
    no = await context.job.way.leave(context.up())
    if no is not None:
        return Stop(outcome=Outcome.STILL_IN_MAINTENANCE, detail=no.detail, reason=no.reason)
    context.endpoint.go_home()
    context.seen = replace(context.seen, left=True)
    return None


async def left(context: UpdateContext) -> Stop | None:
    """Ask until the device says that its gate is shut; a device that reverts first takes its time."""
    for pause_ms in pauses():
        await context.look()
        if context.seen.outside or not context.seen.gated:
            return None
        if await context.up().wait_closed(pause_ms) is not None:
            # The device has ended the link on its way out; the next connection tells.
            await context.drop()
            await context.connect(smp_shown=False)
    return None


def _other_device(context: UpdateContext, verdict: Verdict) -> Stop | None:
    """A device with another policy than the one that is meant. After a reset new firmware may have brought another."""
    other = None if context.seen.reset is not None else other_policy(context.job.way.expected, verdict)
    return None if other is None else Stop(outcome=Outcome.REFUSED, detail=other.detail, next_step=other.next_step)


def _is_next(context: UpdateContext, verdict: Verdict) -> bool:
    """Whether the run itself now does what the verdict would have a person do."""
    return verdict.reason in _OPENED_BY_ENTERING and not isinstance(context.job.way, AlreadyOpen)


def _no_entry(context: UpdateContext, refusal: EntryRefused) -> Stop:
    verdict = context.seen.verdict
    if refusal.reason is None and verdict is not None and verdict.reason is not None:
        detail = f"{refusal.detail}, and the gate is {verdict.line}"
        next_step = refusal.next_step or verdict.next_step
        return Stop(outcome=Outcome.REFUSED, detail=detail, reason=verdict.reason, next_step=next_step)
    next_step = refusal.next_step or (NEXT_STEP[refusal.reason] if refusal.reason is not None else "")
    return Stop(outcome=Outcome.REFUSED, detail=refusal.detail, reason=refusal.reason, next_step=next_step)
