"""What the steps of a run share: the job, the way to the device, the connection that is up, and what was seen.

Rules:

* `seen` holds what the device told over the connection that is up; dropping the connection forgets it.
* After a lost link nothing is repaired here: it is raised, and the run begins again at the first missing proof.
* What was read of the slots is forgotten at each act that can change them (`Scene.will_change`), and when the device is
  out of sight in a state that it can leave by itself (`at_rest`).
* A lease is extended while there is still time: before and within each act that takes long (`Scene.extending`).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar

from keyswitch.errors import LinkLostError, RemoteError
from keyswitch.host import entry
from keyswitch.host.client import Client, SilenceError
from keyswitch.host.job import Goal, Job, JobImage, Outcome, Seen, Stop, at_rest
from keyswitch.host.reach import CONNECT_MS, Connection, Reach
from keyswitch.host.reply import Refusal, reason_of
from keyswitch.host.upload import Progress, Uploaded
from keyswitch.host.verdict import NEXT_STEP, Verdict
from keyswitch.host.views import ModeState, SlotView, mode_if_any, read_slots
from keyswitch.host.way import Inside
from keyswitch.host.window import Sent
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc

AGAIN_MS: Final = 50
"""First pause before a device that is busy with itself is asked again; doubled each time, until `AGAIN_MOST_MS`."""

AGAIN_MOST_MS: Final = 1_000

LINK_ENDS_MS: Final = 5_000
"""How long a device may take to end the link after it said so, or after its answer to a reset (250 ms by default)."""

LEASE_ENDED_MS: Final = 1_000
"""How much earlier than we count a lease may end: its answer was under way for a while."""

EXTENDED_SHARE: Final = 10
"""An extension that brings less than this part of a lease is the last: the device's limit of all extensions is near."""

GAIN_SHARE: Final = 20
"""A session that ended with its lease and brought less than this part of the images is not worth another one."""

_T = TypeVar("_T")


class Scene:
    """The shared state of one run.

    Args:
        job: what is to be done.
        reach: the way to the device.
        say: told what a person should read.
        on_progress: told how the upload of an image goes.
        on_verdict: told each verdict.
    """

    def __init__(
        self,
        job: Job,
        reach: Reach,
        *,
        say: Callable[[str], None],
        on_progress: Callable[[JobImage, Progress], None],
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        self.job = job
        self.reach = reach
        self.say = say
        self.on_progress = on_progress
        self.on_verdict = on_verdict
        self.seen = Seen(images=job.images, health=job.health is not None and job.goal is not Goal.UPLOAD)
        self.connection: Connection | None = None
        self.entered: Inside | None = None
        self.uploaded: Uploaded | None = None
        self.whole: set[bytes] = set()
        """Hashes of the images that this run has uploaded."""
        self.sent = {image.number: Sent() for image in job.images}
        """What was sent of the image of each number."""
        self.inside: bool | None = False
        """The device was last seen in maintenance mode; None if it should be there and was not seen since."""
        self.lease_ends_at: float | None = None
        """When its lease ends that, by the event loop's clock; None if it has none."""
        self.lease_ms: int | None = None
        """The longest lease that it has told of in this session."""
        self.extends = True
        """It has not said yet that it extends its lease no further."""
        self.extensions = 0
        self.leaving = False
        """It was asked to leave."""
        self.thrown_out: Stop | None = None
        """Why it left maintenance by itself, the last time that it did."""
        self.farthest: Counter[int] = Counter()
        """How far the image of each number has got."""
        self.useless_leases = 0
        """How many leases in a row have ended before anything was gained."""
        self._gained_at_last_end = 0
        self.slots_before: tuple[SlotView, ...] | None = None
        self.slots_after: tuple[SlotView, ...] | None = None
        self.not_read_since = ""
        """What could have changed the slots since they were read; empty if nothing, or they never were."""
        self._boot_id = b""
        self.unwell: str | None = None
        """What the health check has said was wrong."""
        self.wrong_sums: set[bytes] = set()
        """Hashes of images of which the device has said once that it received something else."""
        self.ended_by_reset = False
        """The device has ended the link after it had agreed to a reset."""
        self.ran = False
        """The new image was seen running."""
        self.session_lost = False
        """The device came back from the reset outside maintenance."""
        self.tried_again = False
        self.room: Mapping[int, int] | None = None
        """The largest file of each image number, as the device told; None before it was asked."""
        self.put_off: Stop | None = None
        """What the device said when it put the last act off: how the run ends if it never stops saying so."""

    async def connect(self, *, smp_shown: bool, timeout_ms: int = CONNECT_MS) -> None:
        """Connect; see `Reach.connect`."""
        self.connection = await self.reach.connect(smp_shown=smp_shown, timeout_ms=timeout_ms)
        self.seen = replace(self.seen, connected=True, smp=self.connection.smp is not None)

    async def drop(self) -> None:
        """End the connection and forget what was seen over it."""
        connection, self.connection = self.connection, None
        self._may_change("the connection ended")
        self.seen = self.seen.without_connection()
        if connection is not None:
            await connection.close()

    def up(self) -> Connection:
        """The connection.

        Raises:
            LinkLostError: there is none.
        """
        if self.connection is None:
            raise LinkLostError("there is no connection")
        return self.connection

    def smp(self) -> Client:
        """The client for firmware commands.

        Raises:
            LinkLostError: there is no connection, or the device did not show them when it was made.
        """
        client = self.up().smp
        if client is None:
            raise LinkLostError("the device does not show its SMP service")
        return client

    async def look(self) -> None:
        """Ask where the device is, inside or outside of maintenance, and attach to our session if it wants that."""
        state = await self._state()
        if state is not None and reason_of(state.reason) is Reason.OWNER and await self.attached():
            state = await self._state()
        if state is None:
            inside = await self.job.way.is_inside(self.up())
            outside = None if inside is None else not inside
            self.seen = replace(self.seen, gated=inside is not None, open=inside is not False, outside=outside)
            if inside is not None:
                self.note_inside(inside=inside, lease_ms=None)

    def note_state(self, state: ModeState) -> None:
        """Note what the mode group told."""
        if self._boot_id and state.boot_id not in {b"", self._boot_id}:
            self.will_change("the device restarted")
        self._boot_id = state.boot_id or self._boot_id
        away = self.seen.reset is not None and not self.seen.rebooted
        if self.inside and state.outside and not self.leaving and not away:
            self._note_thrown_out(state)
        self.note_inside(inside=not state.outside, lease_ms=state.lease_ms)
        self.seen = replace(self.seen, gated=True, open=state.open, outside=state.outside, boot_id=state.boot_id)

    def note_inside(self, *, inside: bool, lease_ms: int | None) -> None:
        """Note whether the device is in maintenance, and for how long."""
        self.inside = inside
        self.lease_ends_at = None if lease_ms is None else asyncio.get_running_loop().time() + lease_ms / 1000
        if not inside:
            self.lease_ms, self.extends = None, True
        elif lease_ms is not None:
            self.lease_ms = max(lease_ms, self.lease_ms or 0)

    def _note_thrown_out(self, state: ModeState) -> None:
        """The device has left maintenance, and not because we asked for it: say why, as far as that is known."""
        self._may_change("the device left maintenance")
        if self._lease_is_over():
            gained = sum(self.farthest.values())
            enough = gained - self._gained_at_last_end > sum(len(image.data) for image in self.job.images) / GAIN_SHARE
            self.useless_leases = 0 if enough else self.useless_leases + 1
            self._gained_at_last_end = gained
            lease = "" if self.lease_ms is None else f" of {self.lease_ms / 1000:g} s"
            detail = f"the device's lease{lease} ended before this was done"
            if not self.extends:
                detail += ", and it extends it no further"
            self.thrown_out = Stop(
                outcome=Outcome.REFUSED,
                detail=detail,
                reason=Reason.EXPIRED,
                next_step="raise lease_s or lease_max_s in the device's policy, or use a faster link",
            )
        else:
            reason = reason_of(state.reason) or Reason.WRONG_MODE
            detail = f"the device left maintenance mode by itself: {state.reason or f'it is in {state.mode}'}"
            self.thrown_out = Stop(outcome=Outcome.REFUSED, detail=detail, reason=reason, next_step=NEXT_STEP[reason])
        self.say(self.thrown_out.detail)

    def _lease_is_over(self) -> bool:
        left_ms = self._lease_left_ms()
        return left_ms is not None and left_ms <= LEASE_ENDED_MS

    def _lease_left_ms(self) -> int | None:
        if self.lease_ends_at is None:
            return None
        return round((self.lease_ends_at - asyncio.get_running_loop().time()) * 1000)

    async def extending(self, act: Awaitable[_T]) -> _T:
        """Wait for `act`, and extend the device's lease meanwhile: now and whenever half of it is over."""
        keeper = asyncio.ensure_future(self._keep_extending())
        try:
            return await act
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    async def _keep_extending(self) -> None:
        while self.extends and (left_ms := self._lease_left_ms()) is not None and self.lease_ms is not None:
            early_ms = left_ms - self.lease_ms // 2
            if early_ms > 0:
                await asyncio.sleep(early_ms / 1000)
                continue
            try:
                await self._extend()
            except SilenceError:
                await asyncio.sleep(AGAIN_MOST_MS / 1000)
            except (LinkLostError, RemoteError):
                return  # what is being done meets the same, and says so

    async def extend_for(self, needed_ms: int) -> None:
        """Extend the lease if less than this is left of it, for an act during which that cannot be done.

        Raises:
            LinkLostError: there is no connection, or the device does not answer.
            RemoteError: the device answers what the mode group does not say.
        """
        left_ms = self._lease_left_ms()
        if self.extends and left_ms is not None and left_ms < min(needed_ms, self.lease_ms or needed_ms):
            await self._extend()

    async def _extend(self) -> None:
        client, had_ms = self.up().mode, self._lease_left_ms()
        if client is None or had_ms is None:
            self.extends = False
            return
        begun = asyncio.get_running_loop().time()
        lease_ms = await entry.extend(client)
        took_ms = round((asyncio.get_running_loop().time() - begun) * 1000)
        if lease_ms is None or isinstance(lease_ms, Refusal):
            self.extends = False
            if lease_ms is None or lease_ms.is_rc(Rc.ENOTSUP):
                return
            self.say(f"the device does not extend its lease ({lease_ms}): it ends in {max(0, had_ms) // 1000} s")
            return
        self.extensions += 1
        self.note_inside(inside=True, lease_ms=lease_ms)
        if lease_ms - (had_ms - took_ms) < (self.lease_ms or lease_ms) // EXTENDED_SHARE:
            self.extends = False
            self.say(f"the device extends its lease no further: it ends in {lease_ms // 1000} s")

    def left_inside(self) -> str:
        """That the device stays in maintenance, and when its lease ends that; empty if it was last seen outside."""
        if self.inside is None:
            by = self.entered.by if self.entered is not None else "it was to enter"
            return f"whether the device is in maintenance mode is not known: it was not seen there after {by}"
        if not self.inside:
            return ""
        if self.lease_ends_at is None:
            return "the device was left in maintenance mode"
        left_s = max(0, round(self.lease_ends_at - asyncio.get_running_loop().time()))
        return f"the device was left in maintenance mode, which its lease ends in at most {left_s} s"

    async def attached(self) -> bool:
        """Show the device that its session is ours, if we can; what it says then decides, not this."""
        connection = self.up()
        token = self.entered.token if self.entered is not None else connection.token
        return bool(token) and await self.job.way.attach(connection, token) is None

    async def read_slots(self) -> Stop | None:
        """Read the slots, and note them."""
        slots = await read_slots(self.smp())
        if isinstance(slots, Refusal):
            return await self.refused(slots)
        self.note_slots(slots)
        return None

    def note_slots(self, slots: tuple[SlotView, ...]) -> None:
        """Note what lies in the slots."""
        self.seen = replace(self.seen, slots=slots)
        self.slots_before = slots if self.slots_before is None else self.slots_before
        self.slots_after, self.not_read_since = slots, ""

    def will_change(self, act: str) -> None:
        """Something begins that can change what lies in the slots: what was read before says no more what is there.

        Args:
            act: what it is, as it stands behind "not read since".
        """
        self.seen = replace(self.seen, slots=None)
        if self.slots_after is not None:
            self.slots_after, self.not_read_since = None, act

    def _may_change(self, act: str) -> None:
        """The same, where only a device that is not at rest can change."""
        if self.slots_after is not None and not at_rest(self.slots_after):
            self.will_change(act)

    def will_leave(self) -> None:
        """The device is asked to leave maintenance: it disarms what is pending, and takes an open trial back."""
        self.leaving = True
        self._may_change("the device was asked to leave maintenance")

    async def read_again(self) -> None:
        """Read the slots once more at the end, if they were forgotten and the device still tells."""
        away = self.seen.reset is not None and not self.seen.rebooted
        if self.slots_before is None or self.slots_after is not None or away:
            return
        client = self.connection.smp if self.connection is not None else None
        if client is None:
            return
        with suppress(LinkLostError, RemoteError):
            slots = await read_slots(client)
            if not isinstance(slots, Refusal):
                self.note_slots(slots)

    async def refused(self, refusal: Refusal, *, reason: Reason | None = None) -> Stop | None:
        """A refused command: the gate may have closed meanwhile, which is no reason to stop.

        Args:
            refusal: what the device said.
            reason: what that means where it does not say so in our words.
        """
        if refusal.is_rc(Rc.EACCESSDENIED):
            await self.look()
            if self.seen.open is False:
                self.seen = replace(self.seen, slots=None)
                self.put_off = self.thrown_out
                return None
        reason = refusal.reason or reason
        next_step = NEXT_STEP[reason] if reason is not None else ""
        return Stop(outcome=Outcome.REFUSED, detail=str(refusal), reason=reason, next_step=next_step)

    async def _state(self) -> ModeState | None:
        """The mode group's state, noted; None from a device that has none."""
        state = await mode_if_any(self.up().mode)
        if state is not None:
            self.note_state(state)
        return state


def pauses() -> Iterator[int]:
    """Milliseconds to wait before asking again, without end: the step's bound ends it."""
    pause_ms = AGAIN_MS
    while True:
        yield pause_ms
        pause_ms = min(2 * pause_ms, AGAIN_MOST_MS)
