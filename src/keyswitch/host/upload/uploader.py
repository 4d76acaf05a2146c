"""The upload of one image, at the speed of the link; every wait and the whole of it bounded.

Rules:

* As many requests under way as the device has buffers, less the one it needs to answer (`host.upload.window`).
* Frames as large as the device takes; the image's own file SHA-256 goes with the first, so that an interrupted upload
  of the same file goes on where it was.
* Nothing answered for a while: a small question is asked. Devices answer in order, so an answer to it says that what
  was under way is lost; no answer says that the device is busy, and there is patience. Each silence doubles it.
* Less progress than `floor_bytes` in `stall_ms` ends it, whatever the device answers meanwhile.
* "No session" (offset 0) after progress is no reason to start over before the device's slots were looked at: the answer
  to the last piece may be what was lost.
* Time is the event loop's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from keyswitch.errors import LinkLostError, RemoteError
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.gatt_channel import resubscribe
from keyswitch.host.smp.reply import Answer, Refusal, Reply
from keyswitch.host.upload.encoder import Requests
from keyswitch.host.upload.limits import Bounds
from keyswitch.host.upload.window import Moved, Sent, Window
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image as image_group
from keyswitch.smp.groups import os as os_group
from keyswitch.smp.header import Op

LEAST_QUESTION_MS: Final = 250
"""No question is asked sooner; later where answers have taken longer."""

SLOWEST_TIMES: Final = 4
"""How often the slowest answer so far is waited for before a question: erasing a sector takes a few answers' time."""

SLOWEST_FADES: Final = 0.95
"""One slow answer counts less with each that follows."""

EMPTY_MAP: Final = b"\xa0"
"""CBOR: some servers refuse no payload at all."""

MOST_SILENCE_MS: Final = 20_000
"""Where the doubling of the wait for an answer ends."""

MOST_DOUBLINGS: Final = 16
"""Far beyond where `MOST_SILENCE_MS` ends it; keeps the number small."""

LONE_REFUSALS: Final = 2
"""How often the first piece is refused for want of memory before that is the answer: nothing of ours is in the way."""

LEAST_REST_MS: Final = 50
"""Half of the first pause after a piece that was alone under way was refused for want of memory; doubled by each."""

MOST_REST_MS: Final = 2_000
"""Where that doubling ends."""

MOST_RESTARTS: Final = 2
"""How often a lost session is begun again before the upload is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the device and the link carry.

    Attributes:
        frame: largest SMP packet in bytes, header included.
        outstanding: most requests to have under way.
    """

    frame: int
    outstanding: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadProgress:
    """How far the upload is.

    Attributes:
        off: bytes that the device has.
        size: of the image in bytes.
        bytes_per_second: since the device answered first; 0 until something can be said.
        remaining_ms: at that rate; None until something can be said.
    """

    off: int
    size: int
    bytes_per_second: int
    remaining_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """The device has every byte.

    Attributes:
        size: of the image in bytes.
        resumed_at: where an earlier upload of the same file had got to; 0 if there was none.
        duration_ms: from the first request to the last answer.
        bytes_per_second: of the bytes sent now, over the time from the first answer to the last.
        resent_bytes: sent more than once, over all calls that were handed the same `Sent`.
        losses: times that something had to be sent again.
        match: whether the device compared the file's SHA-256 and found it right; None if it did not say.
    """

    size: int
    resumed_at: int
    duration_ms: int
    bytes_per_second: int
    resent_bytes: int
    losses: int
    match: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRefused:
    """The device does not take the image, or no longer."""

    refusal: Refusal
    off: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStalled:
    """No progress within the bound.

    Attributes:
        off: what the device wants next.
        why: what was seen instead of progress.
        silent: whether the device did not answer; else it did, without getting on.
    """

    off: int
    why: str
    silent: bool


UploadEnd = Uploaded | UploadRefused | UploadStalled


async def _never_there() -> bool:
    return False


async def upload(
    client: SmpClient,
    image: bytes,
    capacity: Capacity,
    *,
    number: int = 0,
    bounds: Bounds | None = None,
    on_progress: Callable[[UploadProgress], None] | None = None,
    is_there: Callable[[], Awaitable[bool]] = _never_there,
    heal: Callable[[], Awaitable[None]] | None = None,
    sent: Sent | None = None,
) -> UploadEnd:
    """Upload `image`; returns how it ended.

    Args:
        client: to the device.
        image: the whole file; at least one byte.
        capacity: what device and link carry.
        number: of the image, for devices with more than one.
        bounds: the limits in time.
        on_progress: told after each progress.
        is_there: asked when the device has no session any more: whether the whole image lies in a slot.
        sent: counts what of this image is sent, also over several calls.
        heal: called after a silence, before asking again: makes the link answer, or raises why it cannot.

    Raises:
        LinkLostError: the link is gone, or its service is. The same call on a new link goes on where the device is.
        GattRefused: the device wants more security.
        RemoteError: the device answers what no upload can mean.
    """
    requests = Requests(image, frame=capacity.frame, number=number)
    window = Window(size=len(image), limit=capacity.outstanding, room=requests.room, sent=sent)
    run = _Upload(client, requests, window, bounds=bounds or Bounds(), on_progress=on_progress)
    try:
        return await run.to_the_end(is_there, heal)
    finally:
        run.drop()
        run.count()


class _Upload:
    def __init__(
        self,
        client: SmpClient,
        requests: Requests,
        window: Window,
        *,
        bounds: Bounds,
        on_progress: Callable[[UploadProgress], None] | None,
    ) -> None:
        self.client = client
        self.requests = requests
        self.window = window
        self.bounds = bounds
        self.on_progress = on_progress
        self.loop = asyncio.get_running_loop()
        self.begun_at = self.floor_at = self.heard_at = self.loop.time()
        self.floor_off = 0
        self.first_answer_at: float | None = None
        self.first_off = 0
        self.resumed_at = 0
        self.silences = 0
        self.restarts = 0
        self.gone = False
        self.answers_else = False
        self.lone_refusals = 0
        self.rests_until = 0.0
        self.match: bool | None = None
        self.refusal: Refusal | None = None
        self.error: Exception | None = None
        self.flying: dict[int, asyncio.Future[Reply]] = {}
        self.sent_at: dict[int, float] = {}
        self.slowest = 0.0
        self.question: asyncio.Future[Reply] | None = None
        self.question_at = self.begun_at
        self.known_lost = False
        self.woken = asyncio.Event()

    async def to_the_end(
        self, is_there: Callable[[], Awaitable[bool]], heal: Callable[[], Awaitable[None]] | None
    ) -> UploadEnd:
        while not self.window.done:
            await self.rest()
            await self.send_what_fits()
            heard = await self.wait()
            if self.error is not None:
                raise self.error
            if self.refusal is not None:
                return UploadRefused(refusal=self.refusal, off=self.window.wanted)
            if self.gone:
                self.gone = False
                if await is_there():
                    break
                if (stalled := self.begin_again()) is not None:
                    return stalled
            elif not heard:
                self.silent()
                if heal is not None:
                    await resubscribe(heal)
            if self.loop.time() - self.floor_at >= self.bounds.stall_ms / 1000 and not self.window.done:
                return self.stalled()
        return self.finished()

    async def rest(self) -> None:
        """Give a device that has no memory some time, where nothing of ours is in the way."""
        rest_s, self.rests_until = self.rests_until - self.loop.time(), 0.0
        if rest_s > 0:
            await asyncio.sleep(rest_s)

    async def send_what_fits(self) -> None:
        while not (self.refusal or self.gone or self.error) and (piece := self.window.next()) is not None:
            payload = self.requests.payload(piece)
            now = self.loop.time()
            if not self.flying:
                self.heard_at = now
                self.question_at = now + self.question_after()
            future = await self.client.begin(Op.WRITE, image_group.ID, image_group.Id.UPLOAD, payload)
            self.flying[piece.number] = future
            self.sent_at[piece.number] = now
            future.add_done_callback(partial(self.answered, piece.number))

    async def wait(self) -> bool:
        """Wait for anything to happen; False if what is under way is lost, or nothing was heard in time."""
        while True:
            given_up_at = self.heard_at + self.patience()
            try:
                async with asyncio.timeout_at(min(given_up_at, self.question_at)):
                    await self.woken.wait()
            except TimeoutError:
                if self.loop.time() >= given_up_at:
                    return False
                await self.ask()
                continue
            self.woken.clear()
            lost, self.known_lost = self.known_lost, False
            return not lost

    async def ask(self) -> None:
        """Ask something small; see the rules."""
        now = self.loop.time()
        self.question_at = now + 2 * max(self.question_after(), now - self.heard_at)
        if self.question is not None:
            self.question.cancel()
        self.question = await self.client.begin(Op.READ, os_group.ID, os_group.Id.PARAMS, EMPTY_MAP)
        self.question.add_done_callback(partial(self.told, now))

    def told(self, asked_at: float, done: asyncio.Future[Reply]) -> None:
        """The small question was answered: what was sent before it and is not answered now was lost."""
        if done.cancelled() or done.exception() is not None or self.heard_at > asked_at or not self.flying:
            return
        self.answers_else = True
        self.known_lost = True
        self.woken.set()

    def patience(self) -> float:
        one = self.bounds.answer_ms
        if self.first_answer_at is None:
            one = self.bounds.first_answer_ms
        elif self.window.all_sent:
            one = self.bounds.last_answer_ms
        return min(max(MOST_SILENCE_MS, one), one << min(self.silences, MOST_DOUBLINGS)) / 1000

    def question_after(self) -> float:
        if self.first_answer_at is None:
            return self.bounds.answer_ms / 1000
        return min(self.bounds.answer_ms / 1000, max(LEAST_QUESTION_MS / 1000, SLOWEST_TIMES * self.slowest))

    def answered(self, number: int, done: asyncio.Future[Reply]) -> None:
        self.flying.pop(number, None)
        sent_at = self.sent_at.pop(number, 0.0)
        if done.cancelled():
            return
        self.woken.set()
        error = done.exception()
        if error is not None:
            self.error = self.error or (error if isinstance(error, Exception) else LinkLostError(str(error)))
            return
        self.heard_at = now = self.loop.time()
        if self.first_answer_at is not None:
            self.slowest = max(now - sent_at, SLOWEST_FADES * self.slowest)
        self.question_at = now + self.question_after()
        match done.result():
            case Answer(values=values):
                self.take(number, values.get("off"), values.get("match"))
            case Refusal() as refusal if refusal.is_rc(Rc.ENOMEM) and not self.no_slot(now):
                self.window.refused(number)
            case Refusal() as refusal:
                self.refusal = self.refusal or refusal

    def no_slot(self, now: float) -> bool:
        """The device has no memory for a piece. Whether that is its last word: the first piece travels alone."""
        if self.flying:
            return False
        self.lone_refusals += 1
        self.rests_until = now + min(MOST_REST_MS, LEAST_REST_MS << min(self.lone_refusals, MOST_DOUBLINGS)) / 1000
        return self.first_answer_at is None and self.lone_refusals >= LONE_REFUSALS

    def take(self, number: int, off: object, match: object) -> None:
        if isinstance(off, bool) or not isinstance(off, int):
            self.error = RemoteError(f"an upload was answered without an offset (off is {off!r})")
            return
        try:
            moved = self.window.answered(number, off)
        except RemoteError as error:
            self.error = error
            return
        now = self.loop.time()
        if self.first_answer_at is None:
            self.first_answer_at, self.first_off = now, self.window.wanted
            self.resumed_at = off if off > self.requests.room(0) else 0
            self.floor_at, self.floor_off = now, self.window.wanted
            self.window.sent.opened(self.resumed_at)
        if isinstance(match, bool):
            self.match = match
        if moved in {Moved.ON, Moved.DONE}:
            self.silences = self.lone_refusals = 0
            self.answers_else = False
            if self.window.wanted - self.floor_off >= self.bounds.floor_bytes:
                self.floor_at, self.floor_off = now, self.window.wanted
            if self.on_progress is not None:
                self.on_progress(self.progress(now))
        self.gone = self.gone or moved is Moved.GONE

    def silent(self) -> None:
        self.silences += 1
        self.drop()
        self.window.lost()

    def begin_again(self) -> UploadStalled | None:
        self.restarts += 1
        if self.restarts > MOST_RESTARTS:
            why = f"the device dropped the upload {self.restarts} times"
            return UploadStalled(off=self.window.wanted, why=why, silent=False)
        self.drop()
        self.count()
        self.window.restart()
        self.first_answer_at = None
        self.floor_off = 0
        return None

    def drop(self) -> None:
        flying, self.flying = self.flying, {}
        question, self.question = self.question, None
        for future in (*flying.values(), question):
            if future is not None:
                future.cancel()
        self.known_lost = False

    def count(self) -> None:
        """Count what the device has taken since it answered first."""
        if self.first_answer_at is not None:
            taking_ms = round((max(self.heard_at, self.first_answer_at) - self.first_answer_at) * 1000)
            self.window.sent.taken(self.window.wanted - self.first_off, within_ms=taking_ms)

    def stalled(self) -> UploadStalled:
        off = self.window.wanted
        slept = self.loop.time() - self.heard_at >= self.bounds.stall_ms / 1000  # this computer, and its clock went on
        if self.silences or slept:
            others = ", and the device answers everything else" if self.answers_else else ""
            return UploadStalled(off=off, why=f"no answer, asked {self.silences} times{others}", silent=True)
        if off <= self.floor_off:
            return UploadStalled(off=off, why=f"the device keeps asking for offset {off}", silent=False)
        within_s = self.bounds.stall_ms / 1000
        took = f"the device took {off - self.floor_off} bytes in {within_s:g} s"
        why = f"{took}, and the least is {self.bounds.floor_bytes:,}"
        return UploadStalled(off=off, why=why, silent=False)

    def progress(self, now: float) -> UploadProgress:
        rate = self.rate(now)
        remaining = round((self.window.size - self.window.wanted) * 1000 / rate) if rate else None
        return UploadProgress(
            off=self.window.wanted, size=self.window.size, bytes_per_second=rate, remaining_ms=remaining
        )

    def rate(self, now: float) -> int:
        if self.first_answer_at is None or now <= self.first_answer_at:
            return 0
        return round((self.window.wanted - self.first_off) / (now - self.first_answer_at))

    def finished(self) -> Uploaded:
        now = self.loop.time()
        return Uploaded(
            size=self.window.size,
            resumed_at=self.resumed_at,
            duration_ms=round((now - self.begun_at) * 1000),
            bytes_per_second=self.rate(self.heard_at),
            resent_bytes=self.window.sent.resent_bytes,
            losses=self.window.losses,
            match=self.match,
        )
