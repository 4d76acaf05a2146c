"""The devices of one bench: what is known of each, and the acts that a person may ask for. Knows no page.

Rules:

* One act at a time for each device, and one for each radio: what is asked meanwhile waits, and is seen to wait.
* An act is asked for by its number, the next one of its device: pressed twice, or by two people, it begins once.
* What is known says when it was read; nothing is asked again unless a person or an act does.
* Each change of a card is noted (`changes`), and so is each of the radio.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final, assert_never

from keyswitch.app.endpoints import open_endpoint
from keyswitch.app.plan import ask_for_plan
from keyswitch.app.request import UpdateRequest
from keyswitch.app.scan import scan
from keyswitch.app.status import Looked, look
from keyswitch.app.update import Prepared, prepare, run
from keyswitch.campaign.radios import adapter_of, own_adapters
from keyswitch.console.changes import Changes
from keyswitch.errors import InputError, KeyswitchError, LinkLostError
from keyswitch.host.connect.scan import FoundDevice
from keyswitch.host.connect.verdict import Gate, Given, unreached
from keyswitch.host.update.events import Ended, Event, Message, StepBegun, StepDone, StepFailed, Uploading, VerdictFound
from keyswitch.host.update.job import Outcome, Result
from keyswitch.host.update.plan import Plan
from keyswitch.host.upload.uploader import UploadProgress
from keyswitch.link.targets import BleTarget, parse
from keyswitch.policy.model import Policy

RADIO: Final = "radio"

MOST_CARDS: Final = 1_000
"""A radio in a crowd hears many; the first ones stay."""

MOST_SAID: Final = 20
"""Lines of a run that a card keeps; the record has them all."""


class Act(StrEnum):
    """What a person can ask for. The value is the word in addresses and records."""

    LOOK = "look"
    PLAN = "plan"
    UPDATE = "update"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """An act that has begun, or waits for its radio.

    Attributes:
        act: which.
        waits: another act uses the radio.
        stopping: it was asked to end.
        by_campaign: a campaign does it, which is paused or aborted as a whole.
        step: what is done now, in words; empty before the first.
        progress: of the upload, while there is one.
    """

    act: Act
    waits: bool = True
    stopping: bool = False
    by_campaign: bool = False
    step: str = ""
    progress: UploadProgress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is known of one device.

    Attributes:
        key: names it in addresses; of its target alone.
        target: where it is.
        name: what people call it.
        serial: its serial number; empty if nobody said it.
        number: of the acts that were begun; an act is asked for by the next one.
        heard: its advertisement, None if none was heard.
        heard_at_ms: when.
        looked: what it answered when it was asked last; None: it was not, or did not answer.
        looked_at_ms: when it was asked.
        trouble: why it did not answer, in words; empty if it did.
        next_step: what a person can do about that.
        plan: what an update would do; None: nobody has asked since the last act that changes it.
        planned_at_ms: when that was asked.
        refused: why an act could not begin, in words.
        under_way: the act that goes on.
        said: lines of the last act, in order.
        result: how the last update or leaving ended.
        ended_at_ms: when.
    """

    key: str
    target: str
    name: str
    serial: str = ""
    number: int = 0
    heard: FoundDevice | None = None
    heard_at_ms: int = 0
    looked: Looked | None = None
    looked_at_ms: int = 0
    trouble: str = ""
    next_step: str = ""
    plan: Plan | None = None
    planned_at_ms: int = 0
    refused: str = ""
    under_way: UnderWay | None = None
    said: tuple[str, ...] = ()
    result: Result | None = None
    ended_at_ms: int = 0

    @property
    def removable(self) -> bool:
        """The update is done and proved, and nothing was read since that says otherwise."""
        done = self.result is not None and self.result.outcome in {Outcome.CONFIRMED, Outcome.ALREADY_RUNNING}
        return done and self.under_way is None and not self.trouble

    @property
    def gate(self) -> Gate | None:
        """Of the last answer; None without one."""
        return None if self.looked is None else self.looked.verdict.gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    """What the bench listens to.

    Attributes:
        name: as `keyswitch scan` takes it; empty: nothing.
        listens: it is listened to now.
        listened_at_ms: when it was last, to the end.
        trouble: why it could not be, in words.
    """

    name: str
    listens: bool = False
    listened_at_ms: int = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchDevice:
    """A device that the bench begins with. Attributes: request: what to update it with; `image` may be missing."""

    request: UpdateRequest
    name: str = ""

    @property
    def key(self) -> str:
        """Its name in addresses."""
        return key_of(self.request.target)


def key_of(target: str) -> str:
    """What names a device in addresses: letters and digits, whatever its target has."""
    return hashlib.sha256(target.encode()).hexdigest()[:16]


class Bench:
    """Devices, and what is done with them.

    Args:
        devices: to begin with.
        radio: that is listened to for others, None: none.
        request: what to update those with; its target is replaced.
        policy: what the devices are thought to obey.
        records: directory of the records, one file for each device.
        now_ms: the time of day, in milliseconds since 1970, which pages show.
    """

    def __init__(
        self,
        devices: Iterable[BenchDevice],
        *,
        radio: str | None,
        request: UpdateRequest | None,
        policy: Policy | None,
        records: Path,
        now_ms: Callable[[], int],
    ) -> None:
        self._requests = {each.key: each.request for each in devices}
        self._request = request
        self._radio = Radio(name=radio or "")
        self.changes = Changes()
        """What has changed since when; topics are the keys of cards, and `RADIO`."""
        self._policy = policy
        self._records = records
        self._now_ms = now_ms
        self._cards: dict[str, Card] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._listening: asyncio.Task[None] | None = None
        for each in devices:
            target, serial = each.request.target, each.request.serial_number or ""
            self._put(Card(key=each.key, target=target, name=each.name or target, serial=serial))

    # --- looked at ---

    @property
    def cards(self) -> Mapping[str, Card]:
        """Every device, in the order in which it was met."""
        return self._cards

    @property
    def radio(self) -> Radio:
        """What is listened to."""
        return self._radio

    def record_of(self, key: str) -> Path:
        """The file that holds the records of this device; it need not be there."""
        return self._requests[key].evidence or self._records / f"{key}.jsonl"

    def installs(self, key: str) -> bool:
        """Whether there is an image for this device."""
        return self._requests[key].image is not None

    # --- asked for ---

    def ask(self, key: str, act: Act, number: int, *, person: str) -> bool:
        """Begin an act, unless that number was begun before; whether it has begun now.

        Args:
            key: of the device.
            act: which.
            number: the next of the device, as the person's page has it.
            person: who asks, for the record.

        Raises:
            KeyError: there is no such device.
        """
        card = self._cards[key]
        if number != card.number + 1 or key in self._tasks:
            return False
        self._put(replace(card, number=number, refused="", said=(), under_way=UnderWay(act=act)))
        task = asyncio.ensure_future(self._carry_out(key, act, person))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._done(key))
        return True

    def stop(self, key: str, number: int) -> bool:
        """End the act of that number, and leave the device as it is; whether it went on."""
        card = self._cards[key]
        if number != card.number or card.under_way is None or card.under_way.stopping:
            return False
        self._put(replace(card, under_way=replace(card.under_way, stopping=True)))
        self._tasks[key].cancel()
        return True

    def begin(self) -> None:
        """Ask every device once, and listen once: what a page shows first is then not nothing."""
        for card in list(self._cards.values()):
            self.ask(card.key, Act.LOOK, card.number + 1, person="")
        self.listen()

    def listen(self) -> None:
        """Listen for devices near, once."""
        if self._radio.name and self._listening is None:
            self._put_radio(replace(self._radio, listens=True))
            self._listening = asyncio.ensure_future(self._listen(self._radio.name))

    async def close(self) -> None:
        """End everything; devices stay as their acts have left them."""
        tasks = [*self._tasks.values(), *([self._listening] if self._listening is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what a campaign does with them ---

    @asynccontextmanager
    async def lines(self, targets: Iterable[str]) -> AsyncGenerator[None]:
        """Hold the radios and lines to these devices: what people ask of them meanwhile waits, and is seen to wait."""
        async with AsyncExitStack() as stack:
            for line in sorted({adapter_of(target) or target for target in targets}):
                await stack.enter_async_context(self._locks.setdefault(line, asyncio.Lock()))
            yield

    def campaign_begins(self, target: str) -> None:
        """A campaign begins an attempt at this device."""
        card = self._cards[key_of(target)]
        under_way = UnderWay(act=Act.UPDATE, waits=False, by_campaign=True)
        self._put(replace(card, looked=None, plan=None, result=None, said=(), refused="", under_way=under_way))

    def campaign_tells(self, target: str, event: Event) -> None:
        """The campaign's update of this device tells something."""
        self._told(key_of(target), event)

    def campaign_ended(self, target: str) -> None:
        """The campaign's attempt at this device has ended, if there was one."""
        card = self._cards[key_of(target)]
        if card.under_way is not None and card.under_way.by_campaign:
            self._put(replace(card, under_way=None))

    # --- carried out ---

    async def _carry_out(self, key: str, act: Act, person: str) -> None:
        try:
            async with self._line(self._cards[key].target):
                match act:
                    case Act.LOOK:
                        await self._look(key)
                    case Act.PLAN:
                        await self._plan(key)
                    case Act.UPDATE:
                        await self._run(key, self._prepared(key, person))
                    case Act.LEAVE:
                        await self._run(key, self._prepared(key, person, only="leave"))
                    case _:
                        assert_never(act)
        except InputError as error:
            self._put(replace(self._cards[key], refused=str(error)))
        except KeyswitchError as error:
            self._unreached(key, error)

    def _done(self, key: str) -> None:
        task = self._tasks.pop(key)
        card = replace(self._cards[key], under_way=None)
        if not task.cancelled() and (error := task.exception()) is not None:
            card = replace(card, refused=f"a bug in keyswitch: {type(error).__name__}: {error}")
        self._put(card)

    @asynccontextmanager
    async def _line(self, target: str) -> AsyncGenerator[None]:
        """One radio does one thing at a time, in one process; other lines have nobody to share with.

        Raises:
            LockedError: another process uses the radio: a campaign, or another console.
        """
        async with self._locks.setdefault(adapter_of(target) or target, asyncio.Lock()):
            with own_adapters([target], who="the console"):
                yield

    async def _look(self, key: str) -> None:
        request = self._requests[key]
        self._begin_step(key, "ask whether it would take an update, changing nothing")
        looked = await look(open_endpoint(request.target, pair=request.pair, bonds=request.bonds), self._policy)
        card = self._cards[key]
        state = looked.verdict.state
        # A device that nobody has named is called what it calls itself; its target stands beside it.
        name = state.device if card.name == card.target and state is not None and state.device else card.name
        card = replace(card, name=name, looked=looked, looked_at_ms=self._now_ms(), trouble="", next_step="")
        self._put(card)

    async def _plan(self, key: str) -> None:
        prepared = prepare(self._requests[key])
        self._begin_step(key, "ask what a plan needs, changing nothing")
        plan, _ = await ask_for_plan(prepared)
        self._put(replace(self._cards[key], plan=plan, planned_at_ms=self._now_ms(), trouble="", next_step=""))

    def _prepared(self, key: str, person: str, only: str | None = None) -> Prepared:
        request = self._requests[key]
        note = ", ".join(filter(None, (request.note, f"{only or 'update'} asked for by {person}")))
        image = None if only is not None else request.image
        return prepare(replace(request, image=image, only=only, note=note, evidence=self.record_of(key)))

    async def _run(self, key: str, prepared: Prepared) -> None:
        # What was read or planned is of before, from now on.
        self._put(replace(self._cards[key], looked=None, plan=None, result=None, trouble="", next_step=""))
        await run(prepared, lambda event: self._told(key, event))
        await self._look(key)

    async def _listen(self, radio: str) -> None:
        try:
            async with self._line(radio):
                found = await scan(radio)
        except KeyswitchError as error:
            self._radio = replace(self._radio, trouble=str(error))
        else:
            self._radio = replace(self._radio, trouble="", listened_at_ms=self._now_ms())
            for near in found:
                self._hear(radio, near)
        finally:
            self._listening = None
            self._put_radio(replace(self._radio, listens=False))

    def _hear(self, radio: str, near: FoundDevice) -> None:
        meant = [card.key for card in self._cards.values() if _names(card.target, near)]
        if meant:
            key = meant[0]
        else:
            target = f"{radio}#{near.address}" if radio.startswith("hci:") else f"ble:{near.address}"
            key = key_of(target)
            if self._request is None or len(self._cards) >= MOST_CARDS:
                return
            self._requests[key] = replace(self._request, target=target)
            self._cards.setdefault(key, Card(key=key, target=target, name=near.name or near.address))
        self._put(replace(self._cards[key], heard=near, heard_at_ms=self._now_ms()))

    def _unreached(self, key: str, error: KeyswitchError) -> None:
        card = replace(self._cards[key], looked=None, looked_at_ms=self._now_ms(), trouble=str(error))
        known = error.next_step if isinstance(error, LinkLostError) else ""
        given = Given(radio=adapter_of(card.target) is not None)
        self._put(replace(card, next_step=known or unreached(given)))

    def _told(self, key: str, event: Event) -> None:
        match event:
            case StepBegun(says=says):
                self._begin_step(key, says)
            case StepDone(name=name, duration_ms=duration_ms):
                if duration_ms is not None:
                    self._say(key, f"{name.value}: {duration_ms / 1000:.1f} s")
            case StepFailed(name=name, why=why):
                self._say(key, f"{name.value}: {why}")
            case VerdictFound(verdict=verdict):
                self._say(key, f"gate: {verdict.line}")
            case Message(text=text):
                self._say(key, text)
            case Uploading(progress=progress):
                self._move(key, progress)
            case Ended(result=result):
                self._put(replace(self._cards[key], result=result, ended_at_ms=self._now_ms()))
            case _:
                assert_never(event)

    # --- kept ---

    def _say(self, key: str, line: str) -> None:
        card = self._cards[key]
        self._put(replace(card, said=(*card.said, line)[-MOST_SAID:]))

    def _begin_step(self, key: str, step: str) -> None:
        """What is done now, in words."""
        card = self._cards[key]
        if card.under_way is not None:
            self._put(replace(card, under_way=replace(card.under_way, waits=False, step=step, progress=None)))

    def _move(self, key: str, progress: UploadProgress) -> None:
        card = self._cards[key]
        if card.under_way is not None:
            self._put(replace(card, under_way=replace(card.under_way, progress=progress)))

    def _put(self, card: Card) -> None:
        self._cards[card.key] = card
        self.changes.note(card.key)

    def _put_radio(self, radio: Radio) -> None:
        self._radio = radio
        self.changes.note(RADIO)


def _names(target: str, near: FoundDevice) -> bool:
    """Whether this target means the device that was heard."""
    parsed = parse(target, anyone=True)
    if not isinstance(parsed, BleTarget):
        return False
    return parsed.address == near.address or (parsed.name is not None and parsed.name == near.name)
