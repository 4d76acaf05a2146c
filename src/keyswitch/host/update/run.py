"""The update: takes the first step whose proof does not hold, until all hold; then goes back to normal and proves that.

Rules:

* Every run ends. Each act is bounded in time; a step that is tried again and again without progress ends the run with
  the outcome that its table row names. Progress is a step that holds for the first time, or an image further on than
  ever before.
* Whatever happens inside maintenance mode, the way out is tried; if that fails, nothing else is the outcome.
* What a run tells goes to one sink, in order.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from keyswitch.errors import InputError, KeyswitchError, LinkLostError, Phrase, RemoteError, SilenceError
from keyswitch.host.connect.endpoint import Endpoint
from keyswitch.host.connect.verdict import AFTER_PAIRING, NEXT_STEP, TELL, Given, Verdict, advised, unreached
from keyswitch.host.update import access_acts, firmware_acts, upload_acts
from keyswitch.host.update.context import UpdateContext
from keyswitch.host.update.events import Ended, Event, Message, StepBegun, StepDone, StepFailed, Uploading, VerdictFound
from keyswitch.host.update.job import ConfirmBy, Goal, Job, JobImage, Outcome, Result, SentBytes, Stop
from keyswitch.host.update.preflight import arms_itself
from keyswitch.host.update.steps import BY_NAME, CHANGES, WAY_OUT, WORK, StepName, UpdateStep, first_missing
from keyswitch.host.upload.uploader import UploadProgress
from keyswitch.link.ports import GattRefused, PairingError
from keyswitch.reasons import Reason

_ACTS: Final[dict[StepName, Callable[[UpdateContext], Awaitable[Stop | None]]]] = {
    StepName.FIND: access_acts.find,
    StepName.VERDICT: access_acts.judge,
    StepName.ENTER: access_acts.enter,
    StepName.RECONNECT: access_acts.reconnect,
    StepName.VERIFY: access_acts.verify,
    StepName.UPLOAD: upload_acts.upload_missing,
    StepName.TEST: firmware_acts.test,
    StepName.RESET: firmware_acts.reset,
    StepName.SWAP: firmware_acts.swap,
    StepName.PROVE: firmware_acts.prove,
    StepName.HEALTH: firmware_acts.check_health,
    StepName.CONFIRM: firmware_acts.confirm,
    StepName.LEAVE: access_acts.leave,
    StepName.LEFT: access_acts.left,
}

FIRST_TRIES: Final = 2
"""To find a device that was not connected yet in this run."""

PAUSE_MS: Final = 100
"""Before a lost link is made again, doubled by each try: a device or an adapter that restarts takes some seconds."""

MOST_PAUSE_MS: Final = 5_000

_REACHED: Final = {
    Goal.FULL: Outcome.CONFIRMED,
    Goal.TEST: Outcome.ON_TRIAL,
    Goal.UPLOAD: Outcome.STAGED,
    Goal.CONFIRM: Outcome.CONFIRMED,
    Goal.LEAVE: Outcome.LEFT,
}

_AWAY: Final = Phrase(
    "wait a minute, and look what runs: keyswitch status, or the same command with {only} confirm; if it is not "
    "found: power-cycle it, which brings the old image back; the same command tries the new image once more"
)
"""What a person can do about a device that never came back."""


_AWAY_BY_RESET: Final = (
    "look at the device itself: its application may not speak on this line; a loader or recovery keeps no old image, "
    "so that no power cycle brings one back"
)
"""The same where a loader or recovery has written the image, and the reset alone was to start it."""


_LONG: Final = frozenset({StepName.UPLOAD, StepName.HEALTH, StepName.CONFIRM})
"""Steps that may outlast a lease, with the device there to be asked meanwhile; a reset is prepared for by itself."""

_TOUCHES: Final = CHANGES | {StepName.ENTER}
"""From these steps on the device is not as it was: a run ends with a result, whatever goes wrong."""

_INTERRUPTED: Final = Stop(
    outcome=Outcome.INTERRUPTED, next_step="run the same command again: it resumes from what the device has"
)


async def update(endpoint: Endpoint, job: Job, *, sink: Callable[[Event], None] | None = None) -> Result:
    """Carry `job` out on the device behind `endpoint`; returns how it ended.

    Cancelling ends the connection and leaves the device as it is; the same job goes on from there. `sink` is told how
    a run ended also then.

    Raises:
        InputError: the target names several devices; none was asked anything.
    """
    run = _Run(endpoint, job, sink or (lambda _event: None))
    try:
        return await run.to_the_end()
    except asyncio.CancelledError:
        run.end(run.left_inside(_INTERRUPTED))
        raise
    finally:
        await run.context.drop()


def _stopped_by(error: KeyswitchError) -> Stop:
    match error:
        case PairingError(failure=failure):
            next_step = AFTER_PAIRING[failure]
            return Stop(outcome=Outcome.REFUSED, detail=str(error), reason=Reason.SECURITY, next_step=next_step)
        case GattRefused(wants_security=True):
            next_step = NEXT_STEP[Reason.SECURITY]
            return Stop(outcome=Outcome.REFUSED, detail=str(error), reason=Reason.SECURITY, next_step=next_step)
        case RemoteError():
            next_step = TELL
            return Stop(outcome=Outcome.FAILED, detail=str(error), next_step=next_step)
        case _:
            return Stop(outcome=Outcome.FAILED, detail=str(error))


class _Run:
    def __init__(self, endpoint: Endpoint, job: Job, sink: Callable[[Event], None]) -> None:
        self.job = job
        self.sink = sink
        self.loop = asyncio.get_running_loop()
        self.begun_at = self.loop.time()
        self.context = UpdateContext(job, endpoint, say=self.say, on_progress=self.uploading, on_verdict=self.judged)
        self.tries: Counter[StepName] = Counter()
        self.acted: set[StepName] = set()
        self.held: set[StepName] = set()
        self.resumed = 0
        self.trouble = ""
        self.link_lost = False
        self.local_step = ""
        self.to_continue = False
        self.last_step = StepName.FIND

    async def to_the_end(self) -> Result:
        unfit = arms_itself(self.job)
        if unfit is not None:
            return self.end(unfit)
        stop = await self.follow(WORK[self.job.goal])
        reached = self.reached() if stop is None else self.unseen_after_reset(stop)
        await self.context.read_again()
        if self.must_leave(reached):
            if self.context.inside is None:
                await self.context.drop()  # where the device really is has to be seen first
            way_out = await self.follow(WAY_OUT)
            await self.context.read_again()
            if way_out is not None:
                reached = self.not_out(reached, way_out)
        elif stop is None or self.context.entered is not None or reached.reason is Reason.NO_SLOT:
            reached = self.left_inside(reached)
        return self.end(reached)

    def end(self, reached: Stop) -> Result:
        result = self.result(reached)
        self.sink(Ended(result=result, at_ms=self.now_ms()))
        return result

    def reached(self) -> Stop:
        """All proofs hold; without a change they did before. What no list can show is said beside it."""
        taken = firmware_acts.taken_words(self.context.seen)
        if taken and len(self.context.seen.taken) == len(self.job.images):
            next_step = "ask the device itself, or its maker's tool, which version it runs"
            return Stop(outcome=Outcome.UNKNOWN, detail=taken, next_step=next_step)
        reached = self.proved()
        if (unproved := self.context.seen.unproved) and reached.outcome is not Outcome.STAGED:
            versions = ", ".join(image.version for image in unproved)
            does = "runs on trial" if reached.outcome is Outcome.ON_TRIAL else "runs and stays"
            detail = f"the device lists no hashes: that {versions} {does} is told by its version alone"
            reached = Stop(outcome=Outcome.UNKNOWN, detail=detail, next_step=firmware_acts.BY_VERSION)
        return replace(reached, detail="; ".join(part for part in (reached.detail, taken) if part))

    def unseen_after_reset(self, stop: Stop) -> Stop:
        """Why the run ends, where that is only that nothing of the new image can be seen: the reset has shown itself.

        A device with a mode group tells where it is; what it refuses then is the answer.
        """
        seen = self.context.seen
        ways_in = {StepName.VERDICT, StepName.ENTER, StepName.RECONNECT}
        unseen = seen.rebooted and seen.slots is None and self.last_step in ways_in
        if not unseen or self.context.tells_mode:
            return stop
        versions = ", ".join(image.version for image in self.job.images)
        detail = (
            f"the device was reset to start {versions}, and is back without showing its slots: "
            f"whether that runs on trial, is confirmed or has gone back cannot be seen ({stop.detail})"
        )
        theirs = self.job.confirm_by is ConfirmBy.SELF
        look = "look what runs (keyswitch status)" if theirs else "confirm it ({only} confirm) before its next reset"
        next_step = Phrase(f"put it into its update mode, then {look}")
        return Stop(outcome=Outcome.UNKNOWN, detail=detail, next_step=next_step)

    def proved(self) -> Stop:
        seen, goal = self.context.seen, self.job.goal
        if goal is Goal.LEAVE:
            return self.outside()
        if goal is Goal.UPLOAD and not seen.all_active:
            there = "" if self.acted & CHANGES else "already in the slot"
            armed = "the device lists it as pending: its next reset starts it" if seen.all_pending else ""
            return Stop(outcome=Outcome.STAGED, detail="; ".join(part for part in (there, armed) if part))
        if goal is Goal.TEST and self.acted & CHANGES and seen.all_confirmed:
            return Stop(outcome=Outcome.CONFIRMED, detail="the image came up confirmed: there is no trial")
        if self.acted & CHANGES or (goal is Goal.TEST and not seen.all_confirmed):
            return Stop(outcome=_REACHED[goal])
        return Stop(outcome=Outcome.ALREADY_RUNNING)

    def outside(self) -> Stop:
        """Nothing is to be done but to leave: whether there is anything to leave, the device has said, or cannot."""
        seen = self.context.seen
        if seen.gated is False:
            detail = "the device has no mode group: whether it is in maintenance cannot be seen"
            return Stop(outcome=Outcome.UNKNOWN, detail=detail, next_step="look at the device itself, or reset it")
        return Stop(outcome=Outcome.LEFT, detail="it was outside already" if seen.outside else "")

    async def follow(self, steps: tuple[StepName, ...]) -> Stop | None:
        """Take steps until all hold; a Stop if that cannot be."""
        self.tries.clear()
        while (step := first_missing(steps, self.context.seen)) is not None:
            self.last_step = step.name
            self.already_held(steps[: steps.index(step.name)])
            if step.name is StepName.ENTER and self.tries[StepName.RECONNECT] >= BY_NAME[StepName.RECONNECT].tries:
                return self.exhausted(BY_NAME[StepName.RECONNECT])  # nobody would look whether it is inside this time
            self.tries[step.name] += 1
            if self.tries[step.name] > self.most_tries(step):
                return self.exhausted(step)
            stop = await self.take(step)
            if stop is not None:
                return stop
            if self.link_lost:
                await asyncio.sleep(min(MOST_PAUSE_MS, PAUSE_MS << self.tries[step.name]) / 1000)
            if (connection := self.context.connection) is not None and connection.closed is not None:
                await self.context.drop()
        self.already_held(steps)
        return None

    async def take(self, step: UpdateStep) -> Stop | None:
        """One act, bounded; a lost link or a silence is noted and the run goes on from what holds then."""
        begun = self.now_ms()
        self.sink(StepBegun(name=step.name, says=step.says, at_ms=begun))
        self.acted.add(step.name)
        stop: Stop | None = None
        self.link_lost = False
        self.context.put_off = None
        why = step.lacks
        try:
            async with asyncio.timeout(step.bound_ms / 1000):
                act = _ACTS[step.name](self.context)
                stop = await (self.context.extending(act) if step.name in _LONG else act)
        except TimeoutError:
            why = f"took longer than {step.bound_ms} ms"
            await self.context.drop()
        except (LinkLostError, SilenceError) as error:
            why = str(error)
            self.link_lost = True
            self.local_step = error.next_step if isinstance(error, LinkLostError) else ""
            self.to_continue = StepName.FIND in self.held
            await self.context.drop()
        except KeyswitchError as error:
            if isinstance(error, InputError) and not self.acted & _TOUCHES:
                raise
            stop = _stopped_by(error)
        self.count_continued()
        self.tell(step, begun, stop, why)
        return stop

    def count_continued(self) -> None:
        """A lost link is continued once there is another one."""
        if self.to_continue and self.context.connection is not None:
            self.to_continue = False
            self.resumed += 1

    def tell(self, step: UpdateStep, begun: int, stop: Stop | None, why: str) -> None:
        now = self.now_ms()
        if step.holds(self.context.seen):
            self.progress(step.name)
            self.sink(StepDone(name=step.name, at_ms=now, duration_ms=now - begun))
        else:
            end = self.context.put_off or stop
            why = why if end is None else end.detail
            refused = end is not None and end.outcome is Outcome.REFUSED
            self.trouble = f"{step.name.value}: {why}"
            self.sink(StepFailed(name=step.name, at_ms=now, duration_ms=now - begun, why=why, refused=refused))

    def already_held(self, names: tuple[StepName, ...]) -> None:
        """Tell each step once, also where nothing had to be done for it; a device that is away proves nothing."""
        if not self.context.seen.connected:
            return
        for name in names:
            if name not in self.held:
                self.progress(name)
                self.sink(StepDone(name=name, at_ms=self.now_ms(), duration_ms=None))

    def progress(self, name: StepName) -> None:
        if name not in self.held:
            self.held.add(name)
            self.tries.clear()

    def most_tries(self, step: UpdateStep) -> int:
        """A device that was never there is given up sooner than one that has gone."""
        return FIRST_TRIES if step.name is StepName.FIND and step.name not in self.held else step.tries

    def exhausted(self, step: UpdateStep) -> Stop:
        if self.context.put_off is not None:
            return self.context.put_off
        if step.name is StepName.ENTER and self.context.thrown_out is not None:
            return self.context.thrown_out
        outcome = step.outcome
        if self.link_lost and outcome not in {Outcome.NEVER_CAME_BACK, Outcome.STILL_IN_MAINTENANCE}:
            outcome = Outcome.UNREACHABLE
        next_step = self.farthest_step(outcome)
        entered = self.context.entered
        if step.name is StepName.RECONNECT and entered is not None and entered.prompt:
            detail = f"nothing shows that this was done: {entered.prompt} ({self.trouble})"
            return Stop(outcome=outcome, detail=detail, next_step="do it while the update waits, and run it again")
        return Stop(outcome=outcome, detail=self.trouble, next_step=next_step)

    def farthest_step(self, outcome: Outcome) -> str:
        """What a person can do where the device does not answer."""
        match outcome:
            case Outcome.UNREACHABLE:
                return self.local_step or unreached(self.given())
            case Outcome.NEVER_CAME_BACK if self.context.seen.by_reset:
                return _AWAY_BY_RESET
            case Outcome.NEVER_CAME_BACK:
                return _AWAY
            case _:
                return ""

    def given(self) -> Given:
        """What the person has given, for advice."""
        endpoint = self.context.endpoint
        return Given(entry=self.job.way.field, pair=endpoint.pair, radio=endpoint.radio)

    def must_leave(self, reached: Stop) -> bool:
        if self.job.stay or reached.outcome in {Outcome.ON_TRIAL, Outcome.NEVER_CAME_BACK}:
            return False
        if reached.reason is Reason.NO_SLOT and self.context.entered is None:
            return False  # the trial of somebody else would end with it
        if reached.outcome in {Outcome.ALREADY_RUNNING, _REACHED[self.job.goal]}:
            return True
        return self.context.entered is not None or bool(self.acted & {*CHANGES, StepName.HEALTH})

    def not_out(self, reached: Stop, way_out: Stop) -> Stop:
        if reached.outcome is Outcome.UNREACHABLE:
            return self.left_inside(reached)
        before = f"before that: {reached.outcome.value} {reached.detail}".rstrip()
        return self.left_inside(
            Stop(
                outcome=Outcome.STILL_IN_MAINTENANCE,
                detail=f"{way_out.detail}; {before}",
                reason=way_out.reason,
                next_step=self._beside_it(reached),
            )
        )

    def _beside_it(self, reached: Stop) -> str:
        """What a person can do with a device that is still inside: a link that was not let in will not be again."""
        alone = "do not leave the device alone: power-cycle it"
        if reached.reason is not Reason.SECURITY:
            return f"{alone}, or run the same command again"
        step = advised(reached.reason, reached.next_step, self.given())
        return Phrase(f"{alone}; {step.template}") if isinstance(step, Phrase) else f"{alone}; {step}"

    def left_inside(self, reached: Stop) -> Stop:
        words = self.context.left_inside()
        return replace(reached, detail="; ".join(part for part in (reached.detail, words) if part))

    def result(self, stop: Stop) -> Result:
        uploaded = self.context.uploaded
        continued = 1 if uploaded is not None and uploaded.resumed_at and not self.resumed else 0
        return Result(
            outcome=stop.outcome,
            detail=stop.detail,
            reason=stop.reason,
            next_step=advised(stop.reason, stop.next_step, self.given()),
            upload=uploaded,
            sent=self.sent_bytes(),
            resumed=self.resumed + continued,
            resent_bytes=sum(sent.resent_bytes for sent in self.context.sent.values()),
            duration_ms=self.now_ms(),
            before=self.context.slots.before,
            after=self.context.slots.now,
            not_read_since=self.context.slots.not_read_since,
            extensions=self.context.lease.extensions,
            entered_by=self.context.entered.by if self.context.entered is not None else None,
            device=self.context.endpoint.known_by,
        )

    def sent_bytes(self) -> SentBytes | None:
        sent = [each for each in self.context.sent.values() if each.bytes]
        if not sent:
            return None
        taking_ms = sum(each.taking_ms for each in sent)
        taken = sum(each.taken_bytes for each in sent)
        return SentBytes(
            bytes=sum(each.bytes for each in sent),
            already_there=sum(each.already_there or 0 for each in sent),
            bytes_per_second=round(taken * 1000 / taking_ms) if taking_ms else 0,
        )

    def now_ms(self) -> int:
        return round((self.loop.time() - self.begun_at) * 1000)

    def say(self, text: str) -> None:
        self.sink(Message(text=text, at_ms=self.now_ms()))

    def judged(self, verdict: Verdict) -> None:
        self.sink(VerdictFound(verdict=verdict, at_ms=self.now_ms()))

    def uploading(self, image: JobImage, progress: UploadProgress) -> None:
        if progress.off > self.context.farthest[image.number]:
            self.context.farthest[image.number] = progress.off
            self.tries.clear()
        self.sink(Uploading(progress=progress, at_ms=self.now_ms()))
