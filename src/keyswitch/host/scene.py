"""What the steps of a run share: the job, the way to the device, the connection that is up, and what was seen.

Rules:

* `seen` holds what the device told over the connection that is up; dropping the connection forgets it.
* After a lost link nothing is repaired here: it is raised, and the run begins again at the first missing proof.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from keyswitch.errors import LinkLostError
from keyswitch.host.client import Client
from keyswitch.host.job import Job, JobImage, Outcome, Seen, Stop
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
        self.seen = Seen(images=job.images)
        self.connection: Connection | None = None
        self.entered: Inside | None = None
        self.uploaded: Uploaded | None = None
        self.whole: set[bytes] = set()
        """Hashes of the images that this run has uploaded."""
        self.sent = {image.number: Sent() for image in job.images}
        """What was sent of the image of each number."""
        self.inside = False
        """The device was last seen in maintenance mode."""
        self.lease_ends_at: float | None = None
        """When its lease ends that, by the event loop's clock; None if it has none."""
        self.slots_before: tuple[SlotView, ...] | None = None
        self.slots_after: tuple[SlotView, ...] | None = None
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

    def note_state(self, state: ModeState) -> None:
        """Note what the mode group told."""
        self.note_inside(inside=not state.outside, lease_ms=state.lease_ms)
        self.seen = replace(self.seen, gated=True, open=state.open, outside=state.outside, boot_id=state.boot_id)

    def note_inside(self, *, inside: bool, lease_ms: int | None) -> None:
        """Note whether the device is in maintenance, and for how long."""
        self.inside = inside
        self.lease_ends_at = None if lease_ms is None else asyncio.get_running_loop().time() + lease_ms / 1000

    def left_inside(self) -> str:
        """That the device stays in maintenance, and when its lease ends that; empty unless it was last seen there."""
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
        self.slots_before = self.slots_before or slots
        self.slots_after = slots

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
                return None
        # A code alone says nothing to a person: what it means stands before it.
        meant = "" if reason is None or refusal.reason is not None else f"{reason.value}: "
        reason = refusal.reason or reason
        next_step = NEXT_STEP[reason] if reason is not None else ""
        return Stop(outcome=Outcome.REFUSED, detail=f"{meant}{refusal}", reason=reason, next_step=next_step)

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
