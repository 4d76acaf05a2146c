"""The device on the bench: brought into a mode, looked at, and put back. Checks work with this and nothing else.

Rules:

* Where the device is, it is asked, not remembered; an act that did not lead where it should is an error.
* A snapshot is taken in maintenance, because there the slots may be read; it is a flat table of named texts.
* A device that tells no mode is brought into each by whoever is there, and that person is believed.
* What a check needs and the device, the policy or the person does not give is `NotReachedError`, never a guess.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, assert_never

from keyswitch.audit.route import Act, Disconnect, Enter, Hold, Leave, PowerCycle, SetInput, Wait, route
from keyswitch.audit.target import NotReachedError, Target
from keyswitch.audit.wire import Visit
from keyswitch.errors import LinkLostError, RemoteError, SilenceError
from keyswitch.host.access import mode_group
from keyswitch.host.access.strategy import EntryGranted, EntryRefused, EntryStrategy
from keyswitch.host.connect.endpoint import CONNECT_MS, Connection
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.queries import ModeState, SlotInfo, mode_if_any, read_slots
from keyswitch.host.smp.reply import Answer, Refusal
from keyswitch.host.upload.frame_size import capacity_of
from keyswitch.host.upload.uploader import Uploaded, UploadRefused, UploadStalled, upload
from keyswitch.policy.enums import SessionRule
from keyswitch.reasons import Reason
from keyswitch.smp.commands import CommandKey, resolve
from keyswitch.smp.groups import fs, image, settings
from keyswitch.smp.header import Op
from keyswitch.terms import Transport

GONE_MS: Final = 5_000
"""Within this the device ends a connection that it said it would end."""

ASK_AGAIN_MS: Final = 1_000
"""Pause before a device that tells no mode is asked again whether it has come where a recipe leads."""

OWNER_SILENT_MS: Final = 11_000
"""A session whose owner has no connection that could end is taken up again after ten seconds of its silence."""

SETTING: Final = "app/ks-audit"
"""A name that no product uses; the auditor makes it, and deletes it at the end."""

SETTING_VALUE: Final = b"left here by an audit"

FILE: Final = "/lfs1/ks-audit"

READS_SETTING: Final = CommandKey(settings.ID, settings.Id.VALUE, Op.READ)
WRITES_SETTING: Final = CommandKey(settings.ID, settings.Id.VALUE, Op.WRITE)
READS_FILES: Final = CommandKey(fs.ID, fs.Id.STATUS, Op.READ)
READS_SLOTS: Final = CommandKey(image.ID, image.Id.STATE, Op.READ)

SLOTS: Final = "slot "
BOOT: Final = "boot"
SETTINGS: Final = "setting "
FILES: Final = "file "
EYE: Final = "inside: "
"""How the names in a snapshot begin, by what they were read with."""

_OF_SLOTS: Final = resolve("image")
_OF_BOOT: Final = resolve("os.reset")
_OF_SETTINGS: Final = resolve("settings") | resolve("basic")
_OF_FILES: Final = resolve("fs")

_TO_DECIDE: Final = (
    (_OF_SLOTS, "image.state:read in maintenance, and --next, an image for the slot that does not run"),
    (_OF_BOOT, "a boot id in the mode group's state"),
    (_OF_SETTINGS, "settings.value:read and :write in maintenance"),
    (_OF_FILES, "fs.status:read in maintenance"),
    (resolve("shell"), "an --observe program that sees what the shell can change"),
)
"""What would decide, by the commands that it decides."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the device showed at one moment in maintenance, by name.

    Attributes:
        values: the table.
        inside: commands that the eye of the target decides.
    """

    values: Mapping[str, str]
    inside: frozenset[CommandKey] = frozenset()

    def decides(self, key: CommandKey) -> bool:
        """Whether an effect of this command would show in such a snapshot."""
        names = tuple(self.values)
        if key in self.inside:
            return True
        if key in _OF_SLOTS:
            return sum(name.startswith(SLOTS) for name in names) > 1
        for commands, prefix in ((_OF_BOOT, BOOT), (_OF_SETTINGS, SETTINGS), (_OF_FILES, FILES)):
            if key in commands:
                return any(name.startswith(prefix) for name in names)
        return False

    def changes(self, after: "Snapshot") -> tuple[str, ...]:
        """What is different in `after`, in words."""
        names = [*self.values, *(name for name in after.values if name not in self.values)]
        return tuple(
            f"{name}: {self.values.get(name, 'nothing')} → {after.values.get(name, 'nothing')}"
            for name in names
            if self.values.get(name) != after.values.get(name)
        )


def would_decide(key: CommandKey) -> str:
    """What would have to be there so that an effect of this command could be seen."""
    return next((what for commands, what in _TO_DECIDE if key in commands), "an --observe program")


@dataclass(slots=True)
class Costs:
    """What an audit has cost so far. Attributes: in whole acts, and milliseconds of waiting."""

    entries: int = 0
    resets: int = 0
    attempts: int = 0
    waited_ms: int = 0
    by_hand: int = 0


@dataclass(slots=True)
class Bench:
    """The device, and who works on it.

    Attributes:
        target: what is audited.
        say: told what a person should read.
        costs: so far.
    """

    target: Target
    say: Callable[[str], None]
    costs: Costs = field(default_factory=Costs)
    read_only: bool = False
    """Whether nothing on the device may be changed, not even what is put back."""
    _written: set[str] = field(default_factory=set[str])
    _spoiled: bool = False
    _open: list[Visit] = field(default_factory=list[Visit])
    made: list[Visit] = field(default_factory=list[Visit])
    """Every connection since a story began."""
    firmware: SlotInfo | None = None
    """What ran when the slots were first looked at."""
    confirmed: bool = False
    """Whether the newer image was confirmed and stays, unless the one before is put back."""
    tells_mode: bool = True
    """Whether the device has a mode group; else somebody brings it into each mode."""
    _handles: dict[Transport, int] = field(default_factory=dict[Transport, int])
    _owner: Visit | None = None
    _brought: str | None = None
    _told: tuple[str, str] | None = None

    # --- connections ---

    @property
    def main(self) -> Transport:
        """The way by which maintenance is entered."""
        return next(iter(self.target.ways))

    async def visit(self, way: Transport | None = None, *, smp_shown: bool = False) -> Visit:
        """Connect as one more peer. A radio has one connection to a device: the one before is ended.

        Raises:
            LinkLostError: the device was not reached.
        """
        transport = way or self.main
        if self.target.ways[transport].radio:
            await self._end([visit for visit in self._open if visit.transport is transport])
        opened: Connection = await self.target.ways[transport].connect(smp_shown=smp_shown)
        visit = Visit(transport, opened)
        handle = self.learn_handle(visit)
        if handle is not None:
            visit.use_handle(handle)
        self._open.append(visit)
        self.made.append(visit)
        return visit

    def learn_handle(self, visit: Visit) -> int | None:
        """Where the SMP characteristic lies in this connection's table, or else in an earlier one; None: not known."""
        if (handle := visit.smp_handle) is not None:
            self._handles[visit.transport] = handle
        return self._handles.get(visit.transport)

    async def stranger(self) -> Visit:
        """Connect as another peer, while the one that is there stays.

        Raises:
            NotReachedError: the only way is a radio, which has one connection to a device.
        """
        others = [way for way, endpoint in self.target.ways.items() if not endpoint.radio or way is not self.main]
        if not others:
            raise NotReachedError("this needs another peer at the same time: give another way to the device (--also)")
        return await self.visit(others[0])

    async def hang_up(self) -> None:
        """End every connection."""
        await self._end(list(self._open))

    async def _end(self, visits: list[Visit]) -> None:
        for visit in visits:
            self._open.remove(visit)
            with suppress(LinkLostError):
                await visit.close()

    async def sleep(self, ms: int) -> None:
        """Let time pass.

        Raises:
            NotReachedError: that is longer than what is allowed.
        """
        self.allow_wait(ms)
        await self.pause(ms)

    def allow_wait(self, ms: int) -> None:
        """Ask whether `sleep` may take that long, before anything is begun that would have to be put right.

        Raises:
            NotReachedError: it may not.
        """
        if ms > self.target.max_wait_ms:
            needed, most = ms / 1000, self.target.max_wait_ms / 1000
            raise NotReachedError(f"this needs a wait of {needed:g} s, and --max-wait is {most:g} s")

    async def settle(self) -> None:
        """Leave the device alone until everything that was granted has happened."""
        await self.pause(self.target.settle_ms)

    async def pause(self, ms: int) -> None:
        """Let a short while pass, whatever the longest wait is."""
        self.costs.waited_ms += ms
        await asyncio.sleep(ms / 1000)

    # --- modes ---

    async def state(self) -> ModeState | None:
        """What the mode group tells, over a connection that is up; None from a device without one."""
        up = next((visit for visit in self._open if not visit.closed), None)
        try:
            return await mode_if_any((up or await self.visit()).mode)
        except (LinkLostError, SilenceError):
            await self.hang_up()
            return await mode_if_any((await self.visit()).mode)

    async def mode(self) -> str:
        """The device's mode now.

        Raises:
            NotReachedError: it does not tell.
        """
        state = await self.state()
        self.tells_mode = state is not None
        if state is not None:
            self._see_that_it_is_the_same(state)
            return state.mode
        if self._brought is None and self._recipe is not None:
            inside = await self._recipe.is_inside((await self._up()).connection)
            self._brought = self.maintenance if inside else self.target.policy.device.initial_mode
        if self._brought is None:
            await self._bring(self.target.policy.device.initial_mode)
        return self._brought or self.target.policy.device.initial_mode

    def _see_that_it_is_the_same(self, state: ModeState) -> None:
        told = (state.device, state.policy.hex())
        self._told = self._told or told
        if told != self._told:
            names = (
                f"{device or 'a device'} with policy {policy or '(none)'}" for device, policy in (self._told, told)
            )
            raise NotReachedError(f"the device has changed in the middle of the audit: {', then '.join(names)}")

    def forget_mode(self) -> None:
        """The device has restarted: in which mode it is then, nobody has said."""
        self._brought = None

    async def _bring(self, mode: str) -> None:
        """Have a device without a mode group brought into a mode.

        That it is there rests on whoever did it, or on what the recipe says that maintenance is known by.
        """
        recipe = self._recipe
        if recipe is not None and mode == self.maintenance:
            await self._enter_by(recipe)
        elif recipe is not None and self._brought == self.maintenance and self._is_initial(mode):
            await self._leave_by(recipe)
        else:
            await self.hang_up()
            self.costs.by_hand += 1
            await self.target.hand.bring(mode)
        self._brought = mode

    def _is_initial(self, mode: str) -> bool:
        return mode == self.target.policy.device.initial_mode

    # --- recipes ---

    @property
    def _recipe(self) -> EntryStrategy | None:
        """The way into a device that tells no mode; None where it is by hand, or by our mode group."""
        strategy = self.target.strategy
        return None if self.tells_mode or isinstance(getattr(strategy, "to", None), str) else strategy

    async def _up(self) -> Visit:
        return next((visit for visit in self._open if not visit.closed), None) or await self.visit()

    async def _enter_by(self, recipe: EntryStrategy) -> None:
        await self.hang_up()
        visit = await self.visit()
        self.costs.entries += 1
        granted = await recipe.enter(visit.connection, self.say)
        if isinstance(granted, EntryRefused):
            raise NotReachedError(f"{recipe.words}: {granted.detail}")
        endpoint = self.target.ways[self.main]
        if granted.identity is not None:
            endpoint.visit(granted.identity)
        if granted.restarts:
            if endpoint.radio:
                await visit.connection.wait_closed(GONE_MS)
            await self.hang_up()
            await self.settle()
        await self._see(recipe, inside=True, within_ms=granted.within_ms, smp_shown=granted.shows_smp)

    async def _leave_by(self, recipe: EntryStrategy) -> None:
        with suppress(LinkLostError, SilenceError):
            refused = await recipe.leave((await self._up()).connection)
            if refused is not None:
                raise NotReachedError(f"{recipe.words}: {refused.detail}")
        await self.hang_up()
        # A reset comes after its answer; what the device says until then is not believed.
        await self.settle()
        self.target.ways[self.main].go_home()
        await self._see(recipe, inside=False, within_ms=CONNECT_MS, smp_shown=False)

    async def _see(self, recipe: EntryStrategy, *, inside: bool, within_ms: int, smp_shown: bool) -> None:
        """Ask until what the recipe names shows that the device is inside, or is not.

        Raises:
            NotReachedError: it is not seen in time.
        """
        for _ in range(within_ms // ASK_AGAIN_MS + 1):
            try:
                up = next((visit for visit in self._open if not visit.closed), None)
                up = up or await self.visit(smp_shown=smp_shown and inside)
                if bool(await recipe.is_inside(up.connection)) is inside:
                    return
            except (LinkLostError, SilenceError):
                pass
            await self.hang_up()
            await self.pause(ASK_AGAIN_MS)
        where = "inside" if inside else "outside"
        raise NotReachedError(f"{recipe.words}: the device was not seen {where} within {within_ms / 1000:g} s")

    @property
    def maintenance(self) -> str:
        """The maintenance mode that is entered.

        Raises:
            NotReachedError: the policy has none.
        """
        to = getattr(self.target.strategy, "to", None)
        if isinstance(to, str):
            return to
        for each in self.target.policy.modes.values():
            if each.maintenance:
                return each.name
        raise NotReachedError("the policy has no maintenance mode")

    async def enter(self) -> Visit:
        """Bring the device into maintenance; returns a connection that may work there.

        Raises:
            NotReachedError: it did not let us in.
        """
        here = await self.mode()
        if here != self.maintenance:
            await self._go(here, self.maintenance)
        elif self._owned and (self._owner is None or self._owner.closed or self._owner not in self._open):
            await self._enter(Enter(self.maintenance))  # entering again takes our session up where it is
        if self._owned and self._owner is not None:
            return self._owner
        visit = next((each for each in self._open if not each.closed and each.smp is not None), None)
        return visit or await self.visit(smp_shown=True)

    @property
    def _owned(self) -> bool:
        """Whether the session is its owner's alone, and entered by command."""
        owned = self.target.policy.modes[self.maintenance].session is SessionRule.OWNER
        return owned and self.target.strategy is not None and self.tells_mode

    async def go(self, to: str) -> None:
        """Bring the device into a mode.

        Raises:
            NotReachedError: no way is known, somebody would have to do something, or it did not lead there.
        """
        here = await self.mode()
        if here != to:
            await self._go(here, to)

    async def _go(self, here: str, to: str) -> None:
        if not self.tells_mode:
            await self._bring(to)
            return
        acts = route(self.target.policy, here, to, by_command=self.target.strategy is not None)
        if acts is None:
            raise NotReachedError(f"the policy has no way from mode {here} to mode {to} that could be taken")
        for act in acts:
            await self._do(act)
        there = await self.mode()
        if there != to:
            raise NotReachedError(f"the device is in mode {there} after what should have led to mode {to}")

    async def _do(self, act: Act) -> None:
        match act:
            case SetInput(name=name, value=value):
                self.costs.by_hand += 1
                await self.target.hand.set_input(name, value)
            case Hold(ms=ms):
                self.costs.by_hand += 1
                await self.target.hand.hold_button(ms)
            case PowerCycle():
                await self.power_cycle()
            case Enter():
                await self._enter(act)
            case Leave():
                await self._leave()
            case Wait(ms=ms):
                await self.sleep(ms + 500)
            case Disconnect():
                await self.hang_up()
                await asyncio.sleep(0.5)
            case _:
                assert_never(act)

    async def power_cycle(self) -> None:
        """Take the power away and give it back; every connection is gone.

        Raises:
            NotReachedError: nobody did.
        """
        self.costs.by_hand += 1
        self.costs.resets += 1
        await self.target.hand.power_cycle()
        self.forget_mode()
        await self.hang_up()

    async def enter_from(self, visit: Visit) -> bool:
        """Bring the device into maintenance while this connection of the main way is up, and do nothing else.

        Returns:
            Whether the device said that it ends the connection; False as well where a hand brought it there.

        Raises:
            NotReachedError: it did not let us in.
        """
        acts = route(
            self.target.policy, await self.mode(), self.maintenance, by_command=self.target.strategy is not None
        )
        if acts is None:
            raise NotReachedError("the policy has no way into maintenance that could be taken")
        reconnect = False
        for act in acts:
            if isinstance(act, Enter):
                granted, _ = await self._granted(act, visit)
                self._owner = None if granted.reconnect else visit
                reconnect = granted.reconnect
            else:
                await self._do(act)
        return reconnect

    async def _enter(self, act: Enter) -> None:
        granted, visit = await self._granted(act)
        self._owner = await self._come_back(visit, granted)

    async def _granted(self, act: Enter, visit: Visit | None = None) -> tuple[EntryGranted, Visit]:
        """Enter, over this connection or a new one.

        Raises:
            NotReachedError: the device did not let us in.
        """
        granted, used = await self._prove(visit)
        if isinstance(granted, EntryRefused) and granted.reason is Reason.GUARD:
            for each in act.inputs:
                await self._do(each)
            granted, used = await self._prove(visit)
        if isinstance(granted, EntryRefused) and granted.reason is Reason.OWNER:
            await asyncio.sleep(OWNER_SILENT_MS / 1000)  # the owner was a connection of ours that has gone
            granted, used = await self._prove(visit)
        if isinstance(granted, EntryRefused):
            raise NotReachedError(f"maintenance was refused: {granted.detail}")
        self.target.ways[self.main].learn(token=granted.token, address=granted.address)
        return granted, used

    async def _prove(self, visit: Visit | None = None) -> tuple[EntryGranted | EntryRefused, Visit]:
        strategy = self.target.strategy
        assert strategy is not None  # noqa: S101 - no entry is planned without one
        if visit is None:
            await self.hang_up()
            visit = await self.visit()
        self.costs.entries += 1
        return await strategy.enter(visit.connection, self.say), visit

    async def _come_back(self, visit: Visit, granted: EntryGranted) -> Visit:
        """The connection that works in the session: the one that entered, or a new one.

        A new one, where the device ends that one, or where it shows firmware commands now that it did not show before.
        """
        if not granted.reconnect and await visit.open_smp():
            return visit
        if granted.reconnect:
            await visit.connection.wait_closed(GONE_MS)
        await self.hang_up()
        again = await self.visit(smp_shown=granted.shows_smp)
        if self._owned and self.target.strategy is not None:
            refused = await self.target.strategy.attach(again.connection, granted.token)
            if refused is not None:
                raise NotReachedError(f"the session could not be taken up again: {refused.detail}")
        return again

    async def _leave(self) -> None:
        await self.leave(await self.enter())

    async def leave(self, visit: Visit) -> None:
        """Leave maintenance over this connection.

        Raises:
            NotReachedError: the device refuses to be left.
        """
        if visit.mode is None or not self.tells_mode:
            await self._bring(self.target.policy.device.initial_mode)
            return
        with suppress(LinkLostError):
            refusal = await mode_group.leave(visit.mode)
            if refusal is not None:
                raise NotReachedError(f"leaving was refused: {refusal}")
        if self.target.ways[visit.transport].radio:
            await visit.connection.wait_closed(500)

    # --- looking ---

    async def snapshot(self, visit: Visit | None = None) -> Snapshot:
        """What the device shows in maintenance; it is brought there if it is elsewhere.

        Raises:
            NotReachedError: it could not be brought there.
        """
        inside = visit if visit is not None and not visit.closed else await self.enter()
        values: dict[str, str] = {}
        client = inside.smp
        if client is not None:
            for slot in await self._slots(client):
                values[f"{SLOTS}{slot.slot}"] = slot_words(slot)
            values |= await self._setting(client)
            values |= await self._files(client)
        state = await mode_if_any(inside.mode)
        if state is not None and state.boot_id:
            values[BOOT] = state.boot_id.hex()
        eye = self.target.eye
        if eye is not None:
            values |= {f"{EYE}{name}": text for name, text in (await eye.look()).items()}
        return Snapshot(values, eye.decides if eye is not None else frozenset())

    async def _slots(self, client: SmpClient) -> tuple[SlotInfo, ...]:
        if not self.allowed(READS_SLOTS):
            return ()
        slots = await read_slots(client)
        if isinstance(slots, Refusal):
            return ()
        self.firmware = self.firmware or next((slot for slot in slots if slot.active), None)
        return slots

    async def _setting(self, client: SmpClient) -> dict[str, str]:
        if not (self.allowed(READS_SETTING) and self.allowed(WRITES_SETTING)):
            return {}
        reply = await client.read(settings.ID, settings.Id.VALUE, {"name": SETTING})
        if isinstance(reply, Answer):
            value: object = reply.values.get("val")
            return {f"{SETTINGS}{SETTING}": value.hex() if isinstance(value, bytes) else repr(value)}
        return {f"{SETTINGS}{SETTING}": "not there"} if reply.group == settings.ID else {}

    async def _files(self, client: SmpClient) -> dict[str, str]:
        if not self.allowed(READS_FILES):
            return {}
        reply = await client.read(fs.ID, fs.Id.STATUS, {"name": FILE})
        if isinstance(reply, Answer):
            return {f"{FILES}{FILE}": f"{reply.values.get('len')} bytes"}
        return {f"{FILES}{FILE}": "not there"} if reply.group == fs.ID else {}

    def allowed(self, key: CommandKey) -> bool:
        """Whether the maintenance mode serves the command."""
        return key in self.target.policy.modes[self.maintenance].allow

    # --- putting things where checks need them ---

    async def prepare(self) -> Visit:
        """Enter, and put the newer image and the setting where an effect on them would show.

        Raises:
            NotReachedError: the device did not take them.
        """
        visit = await self.enter()
        if self.read_only:
            return visit
        await self.fill(visit)
        client = visit.smp
        if client is not None and self.allowed(WRITES_SETTING):
            self._written.add(SETTING)
            with suppress(SilenceError, RemoteError):
                await client.write(settings.ID, settings.Id.VALUE, {"name": SETTING, "val": SETTING_VALUE})
        return visit

    def note_upload(self, *, spoiled: bool = True) -> None:
        """The slot that does not run is about to be written: it is erased at the end.

        Args:
            spoiled: with something else than the whole newer image, even if it should be listed by that hash.
        """
        self._written.add(SLOTS)
        self._spoiled = spoiled

    async def fill(self, visit: Visit) -> None:
        """Put the newer image into the slot that does not run, unless it is there.

        Raises:
            NotReachedError: the device did not take it.
        """
        firmware, client = self.target.next, visit.smp
        if firmware is None or client is None or not self.allowed(READS_SLOTS):
            return
        slots = await self._slots(client)
        if not self._spoiled and any(slot.hash == firmware.hash and not slot.active for slot in slots):
            return
        self.note_upload(spoiled=False)
        match await upload(client, firmware.data, await capacity_of(client)):
            case UploadRefused(refusal=refusal):
                raise NotReachedError(f"the device did not take --next in maintenance: {refusal}")
            case UploadStalled(why=why):
                raise NotReachedError(f"--next was not uploaded in maintenance: {why}")
            case Uploaded():
                pass

    async def put_back(self) -> tuple[str, ...]:
        """Take away what the audit has left, and leave maintenance; what could not be put back, in words."""
        left: list[str] = []
        try:
            visit = await self.enter()
            client = visit.smp
            if client is not None:
                left += await self._take_away(client)
            await self.leave(visit)
        except (LinkLostError, SilenceError, RemoteError, NotReachedError) as error:
            left.append(str(error))
        if self.confirmed:
            left.append("--next runs and is confirmed; what ran before was not put back")
        await self.hang_up()
        return tuple(left)

    async def _take_away(self, client: SmpClient) -> list[str]:
        """Delete what was written; what the device does not let go of, in words."""
        left: list[str] = []
        if SETTING in self._written:
            reply = await client.write(settings.ID, settings.Id.DELETE, {"name": SETTING})
            # One that could not be written is not there either; the group itself says so.
            if isinstance(reply, Refusal) and reply.group != settings.ID:
                left.append(f"the setting {SETTING}: deleting it was refused ({reply})")
        # Where --next was confirmed, what ran before is the way back: it is left where it is.
        if (
            SLOTS in self._written
            and not self.confirmed
            and self.allowed(CommandKey(image.ID, image.Id.ERASE, Op.WRITE))
        ):
            reply = await client.write(image.ID, image.Id.ERASE, timeout_ms=30_000)
            if isinstance(reply, Refusal):
                left.append(f"the slot that does not run: erasing it was refused ({reply})")
        return left


def slot_words(slot: SlotInfo) -> str:
    """An image in a slot, as snapshots have it: everything that a state write could change."""
    flags = ("bootable", "pending", "confirmed", "active", "permanent")
    said = ", ".join(flag for flag in flags if getattr(slot, flag))
    return f"{slot.version} {slot.hash.hex()[:16]} ({said})"
