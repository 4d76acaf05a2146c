"""What the steps of a run share: the job, the way to the device, the connection that is up, and what was seen.

Rules:

* `seen` holds what the device told over the connection that is up; dropping the connection forgets it.
* After a lost link nothing is repaired here: it is raised, and the run begins again at the first missing proof.
* What was read of the slots is forgotten at each act that can change them (`UpdateContext.will_change`), and when the
  device is out of sight in a state that it can leave by itself (`at_rest`).
* A lease is extended while there is still time: before and within each act that takes long (`host.update.lease`).
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar

from keyswitch.errors import LinkLostError, RemoteError, SilenceError
from keyswitch.host.access.strategy import EntryGranted
from keyswitch.host.connect.endpoint import CONNECT_MS, Connection, Endpoint
from keyswitch.host.connect.verdict import NEXT_STEP, Verdict
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.queries import ModeState, SlotInfo, mode_if_any, read_slots
from keyswitch.host.smp.reply import Refusal, reason_of
from keyswitch.host.update.direct_xip import for_the_free_slots
from keyswitch.host.update.job import Goal, Job, JobImage, Observed, Outcome, Stop, at_rest
from keyswitch.host.update.lease import Lease
from keyswitch.host.upload.uploader import Uploaded, UploadProgress
from keyswitch.host.upload.window import Sent
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc

AGAIN_MS: Final = 50
"""First pause before a device that is busy with itself is asked again; doubled each time, until `AGAIN_MOST_MS`."""

AGAIN_MOST_MS: Final = 1_000

RESTARTED_STEP: Final = "look why it restarted (its power, the log of what it ran), then run the same command again"
"""What a person can do about a device that was reset, and not by us."""

LINK_ENDS_MS: Final = 5_000
"""How long a device may take to end the link after it said so, or after its answer to a reset (250 ms by default)."""

_T = TypeVar("_T")


class SlotReadings:
    """What was read of the slots in a run; a reading counts until something begins that can change them."""

    def __init__(self) -> None:
        self.before: tuple[SlotInfo, ...] | None = None
        """When they were first read."""
        self.now: tuple[SlotInfo, ...] | None = None
        """As they are; None if they were never read, or not since something could have changed them."""
        self.not_read_since = ""
        """What that was; empty otherwise."""
        self.strangers: set[str] = set()
        """Addresses of devices of the same name whose slots did not show that they are the one."""

    def note(self, slots: tuple[SlotInfo, ...]) -> None:
        """They were read."""
        self.before = slots if self.before is None else self.before
        self.now, self.not_read_since = slots, ""

    def forget(self, act: str) -> None:
        """Something begins that can change them; `act` stands behind "not read since"."""
        if self.now is not None:
            self.now, self.not_read_since = None, act

    @property
    def at_rest(self) -> bool:
        """Whether what was read stays so while nobody does anything."""
        return self.now is None or at_rest(self.now)


class UploadFaults:
    """What was wrong with uploads of a run: once is bad luck, twice it is the device."""

    def __init__(self) -> None:
        self.wrong_sums: set[bytes] = set()
        """Hashes of images of which the device has said once that it received something else."""
        self.stood_at: dict[int, int] = {}
        """Where the upload of the image of each number stood when the device was silent last."""


class UpdateContext:
    """The shared state of one run.

    Args:
        job: what is to be done.
        endpoint: the way to the device.
        say: told what a person should read.
        on_progress: told how the upload of an image goes.
        on_verdict: told each verdict.
    """

    def __init__(
        self,
        job: Job,
        endpoint: Endpoint,
        *,
        say: Callable[[str], None],
        on_progress: Callable[[JobImage, UploadProgress], None],
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        self.job = job
        self.endpoint = endpoint
        self.say = say
        self.on_progress = on_progress
        self.on_verdict = on_verdict
        self.seen = Observed(images=job.images, health=job.health is not None and job.goal is not Goal.UPLOAD)
        self.connection: Connection | None = None
        self.entered: EntryGranted | None = None
        self.uploaded: Uploaded | None = None
        self.sent = {image.number: Sent() for image in job.images}
        """What was sent of the image of each number."""
        self.inside: bool | None = False
        """The device was last seen in maintenance mode; None if it should be there and was not seen since."""
        self.lease = Lease(say)
        self.leaving = False
        """It was asked to leave."""
        self.thrown_out: Stop | None = None
        """Why it left maintenance by itself, the last time that it did."""
        self.upload_faults = UploadFaults()
        self.loader_started = 0
        """How often the device was reset into its firmware loader."""
        self.farthest: Counter[int] = Counter()
        """How far the image of each number has got."""
        self.slots = SlotReadings()
        self.tells_mode = False
        """It has a mode group."""
        self._boot_id: bytes = b""
        self.unwell: str | None = None
        """What the health check has said was wrong."""
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
        """Connect; see `Endpoint.connect`."""
        ours = self.job.way.expected is not None
        self.adopt(await self.endpoint.connect(smp_shown=smp_shown, timeout_ms=timeout_ms, ours=ours))

    def adopt(self, connection: Connection) -> None:
        """Use this connection to the device from now on."""
        self.connection = connection
        self.seen = replace(self.seen, connected=True, smp=connection.smp is not None)

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

    def smp(self) -> SmpClient:
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
        self.tells_mode = True
        restarted = bool(self._boot_id) and state.boot_id not in {b"", self._boot_id}
        if restarted:
            self.will_change("the device restarted")
        self._boot_id = state.boot_id or self._boot_id
        away = self.seen.reset is not None and not self.seen.rebooted
        if self.inside and state.outside and not self.leaving and not away:
            self._note_thrown_out(state, restarted=restarted)
        self.note_inside(inside=not state.outside, lease_ms=state.lease_ms)
        self.seen = replace(self.seen, gated=True, open=state.open, outside=state.outside, boot_id=state.boot_id)

    def note_inside(self, *, inside: bool, lease_ms: int | None) -> None:
        """Note whether the device is in maintenance, and for how long."""
        self.inside = inside
        self.lease.note(lease_ms, inside=inside)

    def _note_thrown_out(self, state: ModeState, *, restarted: bool) -> None:
        """The device has left maintenance, and not because we asked for it: say why, as far as that is known."""
        self._may_change("the device left maintenance")
        if self.lease.is_over:
            size = sum(len(image.data) for image in self.job.images)
            self.thrown_out = self.lease.ended(sum(self.farthest.values()), size)
        elif restarted:
            # Why it is shut is of no use here: it is so after each start.
            detail = f"the device restarted by itself, and is in {state.mode}"
            self.thrown_out = Stop(
                outcome=Outcome.REFUSED, detail=detail, reason=Reason.WRONG_MODE, next_step=RESTARTED_STEP
            )
        else:
            reason = reason_of(state.reason) or Reason.WRONG_MODE
            detail = f"the device left maintenance mode by itself: {state.reason or f'it is in {state.mode}'}"
            self.thrown_out = Stop(outcome=Outcome.REFUSED, detail=detail, reason=reason, next_step=NEXT_STEP[reason])
        self.say(self.thrown_out.detail)

    async def extending(self, act: Awaitable[_T]) -> _T:
        """Wait for `act`, and extend the device's lease meanwhile."""
        return await self.lease.extended(act, lambda: None if self.connection is None else self.connection.mode)

    def left_inside(self) -> str:
        """That the device stays in maintenance, and when its lease ends that; empty if it was last seen outside."""
        if self.inside is None:
            by = self.entered.by if self.entered is not None else "it was to enter"
            return f"whether the device is in maintenance mode is not known: it was not seen there after {by}"
        if not self.inside:
            return ""
        left_ms = self.lease.left_ms
        if left_ms is None:
            return "the device was left in maintenance mode"
        left_s = max(0, round(left_ms / 1000))
        return f"the device was left in maintenance mode, which its lease ends in at most {left_s} s"

    async def attached(self) -> bool:
        """Show the device that its session is ours, if we can; what it says then decides, not this."""
        connection = self.up()
        token = self.entered.token if self.entered is not None else connection.token
        if not token or await self.job.way.attach(connection, token) is not None:
            return False
        await self.open_smp()
        return True

    async def open_smp(self) -> None:
        """Ask again for firmware commands that the device has refused over this connection until now."""
        self.seen = replace(self.seen, smp=await self.up().open_smp())

    async def read_slots(self) -> Stop | None:
        """Read the slots, and note them."""
        slots = await read_slots(self.smp())
        if isinstance(slots, Refusal):
            return await self.refused(slots)
        self.note_slots(slots)
        return None

    def note_slots(self, slots: tuple[SlotInfo, ...]) -> None:
        """Note what lies in the slots. The first time they decide which files of a direct-XIP package are meant."""
        chosen = for_the_free_slots(self.job.images, slots)
        if chosen != self.job.images:
            self.job = replace(self.job, images=chosen)
            self.seen = replace(self.seen, images=chosen)
            for image in chosen:
                if image.slot is not None:
                    self.say(f"direct-XIP: of image {image.number} the file for slot {image.slot} is installed")
        self.seen = replace(self.seen, slots=slots)
        self.slots.note(slots)

    def will_change(self, act: str) -> None:
        """Something begins that can change what lies in the slots: what was read before says no more what is there.

        Args:
            act: what it is, as it stands behind "not read since".
        """
        self.seen = replace(self.seen, slots=None)
        self.slots.forget(act)

    def _may_change(self, act: str) -> None:
        """The same, where only a device that is not at rest can change."""
        if not self.slots.at_rest:
            self.will_change(act)

    def will_leave(self) -> None:
        """The device is asked to leave maintenance: it disarms what is pending, and takes an open trial back."""
        self.leaving = True
        self._may_change("the device was asked to leave maintenance")

    async def read_again(self) -> None:
        """Read the slots once more at the end, if they were forgotten and the device still tells."""
        away = self.seen.reset is not None and not self.seen.rebooted
        if self.slots.before is None or self.slots.now is not None or away:
            return
        client = self.connection.smp if self.connection is not None else None
        if client is None:
            return
        with suppress(LinkLostError, SilenceError, RemoteError):
            slots = await read_slots(client)
            if not isinstance(slots, Refusal):
                self.note_slots(slots)

    async def refused(self, refusal: Refusal, *, reason: Reason | None = None, act: str = "") -> Stop | None:
        """A refused command: the gate may have closed meanwhile, which is no reason to stop.

        Args:
            refusal: what the device said.
            reason: what that means where it does not say so in our words.
            act: what was refused, as it stands behind "refused"; told where the device gives no reason of ours.
        """
        if refusal.is_rc(Rc.EACCESSDENIED):
            await self.look()
            if self.seen.open is False:
                self.seen = replace(self.seen, slots=None)
                self.put_off = self.thrown_out
                return None
        # A code alone says nothing to a person: what it means stands before it.
        meant = "" if reason is None or refusal.reason is not None else f"{reason.value}: "
        what = f"{act}: " if act and refusal.reason is None else ""
        detail = f"{what}{meant}{refusal}"
        reason = refusal.reason or reason
        next_step = NEXT_STEP[reason] if reason is not None else ""
        return Stop(outcome=Outcome.REFUSED, detail=detail, reason=reason, next_step=next_step)

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
