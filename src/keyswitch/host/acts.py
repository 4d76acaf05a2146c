"""How each step of an update is done; the steps themselves are the table in `keyswitch.host.steps`.

Rules:

* An act changes `seen` to what the device told, and returns a `Stop` only where going on makes no sense.
* A lost link is raised, not handled: the run then begins again at the first step whose proof does not hold.
* After a reset nothing is believed before the device has shown that the reset took place.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from keyswitch.errors import LinkLostError
from keyswitch.host.client import Client, SilenceError
from keyswitch.host.job import BeforeReset, ConfirmBy, Job, Outcome, Seen, Stop
from keyswitch.host.reach import Connection, Reach
from keyswitch.host.reboot import has_rebooted, was_tried
from keyswitch.host.reply import Refusal, reason_of
from keyswitch.host.upload import Capacity, Progress, Uploaded, UploadRefused, UploadStalled, upload
from keyswitch.host.verdict import NEXT_STEP, Gate, Verdict, find_out
from keyswitch.host.views import DEFAULT_BUF_SIZE, ModeState, SlotView, read_mode, read_params, read_slots, slots_of
from keyswitch.host.way import Inside, NoEntry
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image as image_group
from keyswitch.smp.groups import os as os_group

LINK_ENDS_MS: Final = 5_000
"""How long a device may take to end the link after it said so, or after its answer to a reset (250 ms by default)."""

RESET_LOST_MS: Final = 10_000
"""A device that still answers as before after this long has not been reset: the request was lost."""

AGAIN_MS: Final = 50
"""First pause before a device that is busy with itself is asked again; doubled each time, until `AGAIN_MOST_MS`."""

AGAIN_MOST_MS: Final = 1_000

BUSY_MS: Final = 2_000
"""Pause before an upload that met another one is tried again."""

CONFIRMED_ITSELF_MS: Final = 2_000
"""Pause between looks at whether the application has confirmed itself."""

WRITE_STATE_MS: Final = 10_000
"""Bound for the answer to a state write: trailers are written, and sectors may be erased for it."""


class Acts:
    """The acts, and what they share: the connection, and what was seen over it.

    Args:
        job: what is to be done.
        reach: the way to the device.
        say: told what a person should read.
        on_progress: told how the upload goes.
        on_verdict: told each verdict.
    """

    def __init__(
        self,
        job: Job,
        reach: Reach,
        *,
        say: Callable[[str], None],
        on_progress: Callable[[Progress], None],
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        self.job = job
        self.reach = reach
        self.seen = Seen(images=job.images)
        self.connection: Connection | None = None
        self.entered: Inside | None = None
        self.uploaded: Uploaded | None = None
        self.slots_before: tuple[SlotView, ...] | None = None
        self.slots_after: tuple[SlotView, ...] | None = None
        self._say = say
        self._on_progress = on_progress
        self._on_verdict = on_verdict
        self._capacity: Capacity | None = None
        self._ended_by_reset = False
        self._ran = False
        self._session_lost = False
        self._tried_again = False

    # --- connection ---

    async def drop(self) -> None:
        """End the connection and forget what was seen over it."""
        connection, self.connection = self.connection, None
        self._capacity = None
        self.seen = replace(
            self.seen,
            connected=False,
            smp=False,
            open=None,
            outside=None,
            verdict=None,
            slots=None,
            boot_id=b"",
            left=False,
        )
        if connection is not None:
            await connection.close()

    async def find(self) -> Stop | None:
        """Connect to the device, whatever it shows."""
        await self._connect(smp_shown=False)
        return None

    async def verdict(self) -> Stop | None:
        """Ask the device about its gate."""
        told = await find_out(self._up())
        if told.reason is Reason.OWNER and await self._attached():
            told = await find_out(self._up())
        if told.reason is Reason.SILENCE:
            raise SilenceError(told.detail)
        self._on_verdict(told)
        is_open = told.state.open if told.state else {Gate.OPEN: True, Gate.SHUT: False}.get(told.gate)
        self.seen = replace(self.seen, verdict=told, gated=told.state is not None, open=is_open)
        if told.state is not None:
            self._note_state(told.state)
        if is_open is None:
            return Stop(outcome=Outcome.UNKNOWN, detail=told.detail, reason=told.reason, next_step=told.next_step)
        return None

    async def enter(self) -> Stop | None:
        """Enter maintenance mode by the job's way."""
        told = await self.job.way.enter(self._up(), self._say)
        if isinstance(told, NoEntry):
            return self._no_entry(told)
        self.entered = told
        self.reach.learn(token=told.token, address=told.address)
        # Where the link does not end with the device's word, there is nothing to come back from.
        reconnect = told.reconnect and self._up().announced_end
        self.seen = replace(self.seen, open=True, outside=False, smp=self.seen.smp and not reconnect)
        return None

    async def reconnect(self) -> Stop | None:
        """Come back to the same device once it shows its SMP service."""
        if self.entered is not None and self.entered.reconnect and self.connection is not None:
            await self.connection.wait_closed(LINK_ENDS_MS)
        verdict = self.seen.verdict
        await self.drop()
        await self._connect(smp_shown=True)
        self.seen = replace(self.seen, verdict=verdict, open=True)
        return None

    async def verify(self) -> Stop | None:
        """Read mode, slots and buffers with the gate open."""
        state = await self._state()
        if state is not None and not state.open and reason_of(state.reason) is Reason.OWNER and await self._attached():
            state = await self._state()
        if state is not None and not state.open:
            return None
        slots = await read_slots(self._smp())
        if isinstance(slots, Refusal):
            return await self._refused(slots)
        self._note(slots)
        return None

    # --- firmware ---

    async def upload(self) -> Stop | None:
        """Upload the first image that the device does not list."""
        image = next(image for image in self.job.images if self.seen.listed(image) is None)

        async def is_there() -> bool:
            slots = await read_slots(self._smp())
            return not isinstance(slots, Refusal) and any(view.hash == image.hash for view in slots)

        end = await upload(
            self._smp(),
            image.data,
            await self._carries(),
            number=image.number,
            bounds=self.job.bounds,
            on_progress=self._on_progress,
            is_there=is_there,
            heal=self._up().heal,
        )
        match end:
            case Uploaded():
                self.uploaded = end
                return await self.verify()
            case UploadRefused(refusal=refusal) if refusal.is_rc(Rc.EBUSY):
                await asyncio.sleep(BUSY_MS / 1000)
                return None
            case UploadRefused(refusal=refusal):
                return await self._refused(refusal)
            case UploadStalled():
                raise LinkLostError(f"the upload stands at byte {end.off}: {end.why}")

    async def test(self) -> Stop | None:
        """Mark each image for a trial boot."""
        for image in self.job.images:
            view = self.seen.listed(image)
            if view is not None and not view.active and not view.pending:
                stop = await self._write_state({"hash": image.hash, "confirm": False})
                if stop is not None:
                    return stop
        return None

    async def reset(self) -> Stop | None:
        """Ask for a reset and see the link end."""
        self.seen = replace(self.seen, reset=BeforeReset(boot_id=self.seen.boot_id, slots=self.seen.slots or ()))
        self._ended_by_reset = False
        connection = self._up()
        try:
            reply = await self._smp().write(os_group.ID, os_group.Id.RESET)
        except LinkLostError:
            # The request or its answer was lost. What happened is seen when the device is back.
            await self.drop()
            return None
        if isinstance(reply, Refusal):
            self.seen = replace(self.seen, reset=None)
            return await self._refused(reply)
        if connection.announced_end:
            self._ended_by_reset = await connection.wait_closed(LINK_ENDS_MS) is not None
        await self.drop()
        return None

    async def swap(self) -> Stop | None:
        """Wait until the device is back and has shown that it was reset."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        for pause_ms in _pauses():
            try:
                if self.connection is None:
                    await self._connect(smp_shown=False)
                rebooted = await self._has_rebooted()
            except LinkLostError:
                await self.drop()
                rebooted = None
            if rebooted:
                self._session_lost = self.seen.outside is True
                self.seen = replace(self.seen, rebooted=True, slots=None)
                return None
            if rebooted is False and loop.time() - since >= RESET_LOST_MS / 1000:
                self.seen = replace(self.seen, reset=None, slots=None)
                return None
            await asyncio.sleep(pause_ms / 1000)
        return None

    async def prove(self) -> Stop | None:
        """The slots were read after the reset, and something else runs: say what."""
        runs = ", ".join(f"{view.version} ({view.hash.hex()[:8]})" for view in self.seen.slots or () if view.active)
        if self.job.images and not self.seen.rebooted:
            return Stop(outcome=Outcome.FAILED, detail=f"the device runs {runs}", next_step="run a full update")
        if self._session_lost and not self._tried_again:
            # The gate closed before the reset, which disarmed the image; or the device was reset once more.
            self._tried_again = True
            self.seen = replace(self.seen, reset=None, rebooted=False)
            self._say("the maintenance session did not survive the reset: once more")
            return None
        if self._ran or was_tried(self.seen):
            return Stop(
                outcome=Outcome.REVERTED,
                detail=f"the device runs {runs} again",
                next_step="look into the new image's log: it did not stay",
            )
        return Stop(
            outcome=Outcome.NOT_STARTED,
            detail=f"the bootloader did not start the new image; the device runs {runs}",
            next_step="check signature and version of the image (keyswitch image verify)",
        )

    async def confirm(self) -> Stop | None:
        """Make what runs stay, or wait until the application has done so."""
        self._ran = True
        if self.job.health is not None and (wrong := await self.job.health()) is not None:
            return Stop(
                outcome=Outcome.FAILED,
                detail=f"the health check says: {wrong}; the image was not confirmed",
                next_step="the device goes back to its old image by itself",
            )
        if self.job.confirm_by is ConfirmBy.OPERATOR:
            return await self._write_state({"confirm": True})
        while not self.seen.all_confirmed:
            await asyncio.sleep(CONFIRMED_ITSELF_MS / 1000)
            if (stop := await self.verify()) is not None or not self.seen.all_active:
                return stop
        return None

    # --- the way out ---

    async def leave(self) -> Stop | None:
        """Ask the device to leave."""
        no = await self.job.way.leave(self._up())
        if no is not None:
            return Stop(outcome=Outcome.STILL_IN_MAINTENANCE, detail=no.detail, reason=no.reason)
        self.seen = replace(self.seen, left=True)
        return None

    async def left(self) -> Stop | None:
        """Ask until the device says that its gate is shut; a device that reverts first takes its time."""
        for pause_ms in _pauses():
            state = await self._state()
            if state is None or state.outside:
                return None
            if await self._up().wait_closed(pause_ms) is not None:
                # The device has ended the link on its way out; the next connection tells.
                await self.drop()
                await self._connect(smp_shown=False)
        return None

    # --- shared ---

    def _up(self) -> Connection:
        if self.connection is None:
            raise LinkLostError("there is no connection")
        return self.connection

    def _smp(self) -> Client:
        client = self._up().smp
        if client is None:
            raise LinkLostError("the device does not show its SMP service")
        return client

    async def _connect(self, *, smp_shown: bool) -> None:
        self.connection = await self.reach.connect(smp_shown=smp_shown)
        self.seen = replace(self.seen, connected=True, smp=self.connection.smp is not None)

    async def _attached(self) -> bool:
        """Show the device that its session is ours, if we can; what it says then decides, not this."""
        connection = self._up()
        token = self.entered.token if self.entered is not None else connection.token
        if not token:
            return False
        return await self.job.way.attach(connection, token) is None

    async def _state(self) -> ModeState | None:
        """The mode group's state, noted; None from a device that has none."""
        client = self._up().mode
        state = await read_mode(client) if client is not None else None
        if not isinstance(state, ModeState):
            return None
        self._note_state(state)
        return state

    def _note_state(self, state: ModeState) -> None:
        self.seen = replace(self.seen, gated=True, open=state.open, outside=state.outside, boot_id=state.boot_id)

    def _note(self, slots: tuple[SlotView, ...]) -> None:
        self.seen = replace(self.seen, slots=slots)
        self.slots_before = self.slots_before or slots
        self.slots_after = slots

    async def _carries(self) -> Capacity:
        """What device and link carry: one buffer is left for the answers (Zephyr shares them)."""
        if self._capacity is None:
            params = await read_params(self._smp())
            if isinstance(params, Refusal):
                self._capacity = Capacity(frame=self._fits(DEFAULT_BUF_SIZE))
            else:
                most = self.job.most_outstanding or params.buf_count
                outstanding = max(1, min(params.buf_count - 1, most))
                self._capacity = Capacity(frame=self._fits(params.buf_size), outstanding=outstanding)
        return self._capacity

    def _fits(self, buf_size: int) -> int:
        most = self._smp().link.max_packet
        return buf_size if most is None else min(buf_size, most)

    async def _write_state(self, body: dict[str, object]) -> Stop | None:
        reply = await self._smp().write(image_group.ID, image_group.Id.STATE, body, timeout_ms=WRITE_STATE_MS)
        if isinstance(reply, Refusal):
            if reply.is_rc(Rc.ENOTSUP) and "hash" in body:
                self.seen = replace(self.seen, by_reset=True)
                return None
            return await self._refused(reply)
        if "images" in reply.values:
            self._note(slots_of(reply.values))
            return None
        return await self.verify()

    async def _refused(self, refusal: Refusal) -> Stop | None:
        """A refused command: the gate may have closed meanwhile, which is no reason to stop."""
        if refusal.is_rc(Rc.EACCESSDENIED) and (state := await self._state()) is not None and not state.open:
            self.seen = replace(self.seen, slots=None)
            return None
        reason = refusal.reason
        return Stop(
            outcome=Outcome.REFUSED,
            detail=str(refusal),
            reason=reason,
            next_step=NEXT_STEP[reason] if reason is not None else "",
        )

    def _no_entry(self, told: NoEntry) -> Stop:
        verdict = self.seen.verdict
        reason = told.reason or (verdict.reason if verdict is not None else None)
        next_step = told.next_step or (NEXT_STEP[reason] if reason is not None else "")
        detail = told.detail
        if told.reason is None and verdict is not None and verdict.reason is not None:
            detail = f"{told.detail} ({verdict.line})"
            next_step = ""
        if reason is Reason.OWNER:
            next_step = NEXT_STEP[Reason.OWNER]
        return Stop(outcome=Outcome.REFUSED, detail=detail, reason=reason, next_step=next_step)

    async def _has_rebooted(self) -> bool | None:
        """Whether the device shows that it was reset; None if nothing can be told yet."""
        if self.seen.reset is None:
            return True
        state = await self._state()
        client = self._up().smp
        if state is not None and state.boot_id and self.seen.reset.boot_id:
            slots = None
        else:
            slots = await read_slots(client) if client is not None else None
        return has_rebooted(
            self.seen.reset,
            boot_id=state.boot_id if state is not None else b"",
            slots=None if isinstance(slots, Refusal) else slots,
            hashes=frozenset(image.hash for image in self.job.images),
            link_ended=self._ended_by_reset,
        )


def _pauses() -> Iterator[int]:
    """Milliseconds to wait before asking again, without end: the step's bound ends it."""
    pause_ms = AGAIN_MS
    while True:
        yield pause_ms
        pause_ms = min(2 * pause_ms, AGAIN_MOST_MS)
