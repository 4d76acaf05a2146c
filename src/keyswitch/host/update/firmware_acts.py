"""How firmware is marked, started, proved and confirmed: the acts of those steps (`host.update.steps`).

After a reset nothing is believed before the device has shown that the reset took place (`host.update.reboot`).
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from keyswitch.errors import InputError, LinkLostError, Phrase, RemoteError, SilenceError
from keyswitch.host.access.strategy import AlreadyOpen
from keyswitch.host.connect.verdict import NEXT_STEP
from keyswitch.host.smp.queries import SlotInfo, read_slots, slots_of
from keyswitch.host.smp.reply import Refusal, Reply
from keyswitch.host.smp.slots import none_runs
from keyswitch.host.update.access_acts import verify
from keyswitch.host.update.context import LINK_ENDS_MS, UpdateContext, pauses
from keyswitch.host.update.job import BeforeReset, ConfirmBy, JobImage, Observed, Outcome, Stop
from keyswitch.host.update.reboot import has_rebooted, was_tried
from keyswitch.host.update.steps import BY_NAME, StepName
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image as image_group
from keyswitch.smp.groups import os as os_group
from keyswitch.smp.groups.image import Err

RESET_LOST_MS: Final = 10_000
"""A device that still answers as before after this long has not been reset: the request was lost."""

SERVICE_MS: Final = 30_000
"""How long an application may take after its start to show its SMP service, which it showed before."""

RESET_BUSY_MS: Final = 8_000
"""How long a device that is too busy for a reset is asked again; within the step's bound."""

THEIRS_MS: Final = 60_000
"""How long an application may take to confirm its own image, beside ours: its self-test after the start."""

WRITE_STATE_MS: Final = 10_000
"""Bound for the answer to a state write: trailers are written, and sectors may be erased for it."""

_POWER_CYCLE: Final = "power-cycle it: an image that was not confirmed does not start again"

_FORCE: Final = Phrase("wait until it is done and run the same command again, or say {force} to reset it all the same")

_UNCONFIRMED: Final = Phrase("confirm it ({only} confirm) before the next reset, which takes it back")

BY_VERSION: Final = "look which version the device itself says that it runs"
"""What a person can do where a device lists no hashes."""

_LOOK: Final = "look into what the health check says"

_BACK_ON_PURPOSE: Final = Phrase("install the old image again ({downgrade})")


async def test(context: UpdateContext) -> Stop | None:
    """Mark each image for a trial boot."""
    for image in context.job.marking_order:
        view = context.seen.listed(image)
        if view is not None and not view.active and not view.pending:
            stop = await _write_state(context, {"hash": view.hash or image.hash, "confirm": False})
            if stop is not None and stop.reason is Reason.IMAGE and image.hash not in context.seen.uploaded:
                # A hash in a list says what the file says of itself, not what lies in the flash.
                context.say(f"the copy in the slot is refused ({stop.detail}): it is uploaded again")
                context.seen = replace(context.seen, distrusted=context.seen.distrusted | {image.hash})
            elif stop is not None:
                return stop
    return None


async def reset(context: UpdateContext) -> Stop | None:
    """Ask for a reset and see the link end."""
    await context.lease.last(BY_NAME[StepName.SWAP].bound_ms, context.up().mode)
    seen = context.seen
    context.will_change("the reset")
    before = BeforeReset(boot_id=seen.boot_id, slots=seen.slots or ())
    context.seen = replace(context.seen, reset=before)
    context.ended_by_reset = False
    connection = context.up()
    try:
        reply = await _agreed_to_reset(context)
    except (LinkLostError, SilenceError):
        # The request or its answer was lost. What happened is seen when the device is back.
        await context.drop()
        return None
    if isinstance(reply, Refusal):
        context.seen = replace(context.seen, reset=None)
        stop = await context.refused(reply, reason=Reason.BUSY if reply.is_rc(Rc.EBUSY) else None, act="the reset")
        offered = stop is not None and reply.is_rc(Rc.EBUSY) and not context.job.force
        return replace(stop, next_step=_FORCE) if stop is not None and offered else stop
    context.seen = replace(context.seen, reset=replace(before, agreed=True))
    if connection.announced_end:
        context.ended_by_reset = await connection.wait_closed(LINK_ENDS_MS) is not None
    await context.drop()
    if context.seen.by_reset:
        context.endpoint.go_home()
    return None


async def _agreed_to_reset(context: UpdateContext) -> Reply:
    """What the device says to a reset; one that is busy is asked again for a while, or told that it is meant.

    `force` is for the application's hook, which may reset all the same (Zephyr `os_mgmt_reset`).
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + RESET_BUSY_MS / 1000
    client = context.smp()
    for pause_ms in pauses():
        reply = await client.write(os_group.ID, os_group.Id.RESET)
        if not (isinstance(reply, Refusal) and reply.is_rc(Rc.EBUSY)):
            return reply
        if context.job.force:
            context.say(Phrase("the device says that it is busy, and is reset all the same ({force})"))
            return await client.write(os_group.ID, os_group.Id.RESET, {"force": True})
        if loop.time() >= until:
            return reply
        await asyncio.sleep(pause_ms / 1000)
    raise AssertionError("pauses never end")


async def swap(context: UpdateContext) -> Stop | None:
    """Wait until the device is back and has shown that it was reset."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    for pause_ms in pauses():
        try:
            if context.connection is None:
                await context.connect(smp_shown=False)
            rebooted = await _has_rebooted(context)
        except (LinkLostError, SilenceError):
            await context.drop()
            rebooted = None
            if await _is_elsewhere(context):
                continue
        if rebooted:
            context.session_lost = context.seen.outside is True
            context.seen = replace(context.seen, rebooted=True, slots=None)
            if context.seen.by_reset and context.session_lost:
                await _settle(context)
            elif _shows_nothing(context):
                await _await_service(context)
            return None
        if rebooted is False and loop.time() - since >= RESET_LOST_MS / 1000:
            if (stop := _nothing_would_show(context)) is not None:
                return stop
            context.seen = replace(context.seen, reset=None, slots=None)
            return None
        await asyncio.sleep(pause_ms / 1000)
    return None


async def _is_elsewhere(context: UpdateContext) -> bool:
    """Whether the device is back under another address: connected to then, and known by it.

    The proof is the new image: the only device of a name that was the device's alone, which runs what was just sent.
    """
    try:
        connection = await context.endpoint.connect_elsewhere()
    except (LinkLostError, RemoteError, InputError):
        return False
    if connection is None:
        return False
    address = connection.gatt.address if connection.gatt is not None else "another address"
    wanted = {each for image in context.job.images for each in image.hashes}
    slots: tuple[SlotInfo, ...] | Refusal | None = None
    with suppress(SilenceError, LinkLostError, RemoteError):
        slots = await read_slots(connection.smp) if connection.smp is not None else None
    if slots is None or isinstance(slots, Refusal) or not any(row.active and row.hash in wanted for row in slots):
        await connection.close()
        if address not in context.slots.strangers:
            context.slots.strangers.add(address)
            context.say(f"a device of that name is heard at {address}; nothing shows that it is the one")
        return False
    context.say(f"the device is back at another address, {address}: it alone has the name, and it runs the new image")
    context.endpoint.learn(address=address)
    context.adopt(connection)
    return True


def _shows_nothing(context: UpdateContext) -> bool:
    """The device is back and shows neither SMP nor a mode, and nothing was given to bring it into its update mode."""
    connection = context.connection
    silent = connection is not None and connection.smp is None and connection.mode is None
    return silent and isinstance(context.job.way, AlreadyOpen)


async def _await_service(context: UpdateContext) -> None:
    """Wait a while for the SMP service: an application may register it some time after its start, or never."""
    context.say("the device is back from the reset without its SMP service: it is waited for")
    await context.drop()
    with suppress(LinkLostError):
        await context.connect(smp_shown=True, timeout_ms=SERVICE_MS)


def _nothing_would_show(context: UpdateContext) -> Stop | None:
    """The device has agreed to a reset and answers as before, and another one would show as little."""
    before = context.seen.reset
    slots = before.slots if before is not None and before.agreed else ()
    listed = ", ".join(f"{view.version} (slot {view.slot})" for view in slots)
    if none_runs(slots):
        detail = f"the device has agreed to the reset and still answers as its loader or recovery, which lists {listed}"
        next_step = "let it start its application (pin, button, power), then look what runs: keyswitch status"
        return Stop(outcome=Outcome.UNKNOWN, detail=detail, next_step=next_step)
    if slots and not any(view.hash for view in slots):
        detail = f"the device has agreed to the reset, and nothing shows it: it lists no hashes, but {listed}"
        return Stop(outcome=Outcome.UNKNOWN, detail=detail, next_step=BY_VERSION)
    return None


async def _settle(context: UpdateContext) -> None:
    """The application runs again, after a reset that alone was to start the new image: what it lists is the proof.

    An application that lists no images (it has a firmware loader for that) leaves what the loader listed before.
    """
    client = context.up().smp
    slots = await read_slots(client) if client is not None else None
    if slots is None or isinstance(slots, Refusal):
        context.seen = replace(context.seen, settled=True)
        context.say("the application lists no images: the proof is what was listed before the reset")
        return
    context.note_slots(slots)
    context.seen = replace(context.seen, settled=context.seen.all_active, slots=None)


async def prove(context: UpdateContext) -> Stop | None:
    """The slots were read after the reset, and something else runs: say what."""
    runs = _running(context.seen.slots) or "its loader or recovery"
    if context.job.images and not context.seen.rebooted:
        return Stop(outcome=Outcome.FAILED, detail=f"the device runs {runs}", next_step="run a full update")
    if context.session_lost and not context.tried_again:
        # The gate closed before the reset, which disarmed the image; or the device was reset once more.
        context.tried_again = True
        context.seen = replace(context.seen, reset=None, rebooted=False)
        context.say("the maintenance session did not survive the reset: once more")
        return None
    if context.ran or was_tried(context.seen):
        again = f"the device runs {runs} again"
        if context.thrown_out is not None:
            why = context.thrown_out
            return Stop(outcome=Outcome.REVERTED, detail=f"{why.detail}; {again}", next_step=why.next_step)
        return Stop(outcome=Outcome.REVERTED, detail=again, next_step="look into the new image's log: it did not stay")
    detail = f"the bootloader did not start the new image; the device runs {runs}"
    if any(context.seen.listed(image) is None for image in context.job.images):
        detail += "; the image lies in no slot any more: it was refused, unless it is a bootloader, which no list shows"
    if context.seen.taken:
        detail += f"; {taken_words(context.seen)}"
    held = ", and what holds the device there (pin, button)" if none_runs(context.seen.slots or ()) else ""
    return Stop(
        outcome=Outcome.NOT_STARTED,
        detail=detail,
        next_step=f"check signature and version of the image (keyswitch image verify){held}",
    )


def taken_words(seen: Observed) -> str:
    """What cannot be proved of images that no list shows; empty if there are none."""
    if not seen.taken:
        return ""
    names = ", ".join(f"image {image.number} ({image.version})" for image in seen.taken)
    return f"the reset took {names} out of the slot where it was marked, and no list shows whether it runs"


async def check_health(context: UpdateContext) -> Stop | None:
    """Run the health check on what runs. What it once found wrong stays wrong for this run."""
    context.ran = True
    if context.unwell is None and context.job.health is not None:
        context.unwell = await context.job.health()
    if context.unwell is None:
        context.seen = replace(context.seen, well=True)
        return None
    said = f"the health check says: {context.unwell}"
    if context.seen.settled:
        detail = f"{said}; the application that runs lists no images, so that nothing says whether it stays"
        return Stop(outcome=Outcome.FAILED, detail=detail, next_step=_BACK_ON_PURPOSE)
    stop = await verify(context)
    if context.seen.all_confirmed:
        detail = f"{said}; the image is confirmed already, by the bootloader or its own application, and stays"
        return Stop(outcome=Outcome.FAILED, detail=detail, next_step=_BACK_ON_PURPOSE)
    if stop is not None or not context.seen.all_active:
        return stop  # it has gone back already, or the gate was shut meanwhile
    return await _unwell(context, f"{said}; the image was not confirmed")


async def confirm(context: UpdateContext) -> Stop | None:
    """Make what runs stay, or wait until the application has done so."""
    context.ran = True
    if context.job.confirm_by is ConfirmBy.OPERATOR:
        return await _confirm_each(context) or await _confirmed_by_theirs(context)
    return await _look_while(context, lambda: not context.seen.all_confirmed)


async def _look_while(context: UpdateContext, waiting: Callable[[], bool]) -> Stop | None:
    """Look again and again while an application has still to confirm; ends when something else runs, too."""
    for pause_ms in pauses():
        if not (context.seen.all_active and waiting()):
            return None
        await asyncio.sleep(pause_ms / 1000)
        if (stop := await verify(context)) is not None:
            return stop
    return None


async def _unwell(context: UpdateContext, said: str) -> Stop:
    """The new image must not stay. One of our devices goes back when its session ends; of others nobody knows it."""
    verdict = context.seen.verdict
    if verdict is not None and verdict.state is not None:
        back = "ends its trial, or when its lease does" if context.job.stay else "leaves"
        detail = f"{said}; the device goes back to its old image by itself, as it {back}"
        return Stop(outcome=Outcome.FAILED, detail=detail, next_step=_LOOK)
    before = _running(context.seen.slots)
    refused = await _start_again(context)
    after = _running(context.seen.slots)
    if after and after != before:
        detail = f"{said}; the device was reset and runs {after} again"
        return Stop(outcome=Outcome.FAILED, detail=detail, next_step=_LOOK)
    if context.connection is None:
        detail = f"{said}; the device was reset to bring the old image back, and not heard again"
        return Stop(outcome=Outcome.NEVER_CAME_BACK, detail=detail, next_step=_POWER_CYCLE)
    if after and not refused and context.seen.rebooted:
        detail = f"{said}; the device was reset and still runs {after}: its bootloader takes nothing back"
        return Stop(outcome=Outcome.FAILED, detail=detail, next_step=_BACK_ON_PURPOSE)
    what = refused or (f"the device still runs {after}" if after else "what it runs now could not be read")
    return Stop(outcome=Outcome.FAILED, detail=f"{said}; {what}", next_step=_POWER_CYCLE)


async def _start_again(context: UpdateContext) -> str:
    """Reset the device, wait until it is back, and read its slots; why it was not reset, if it refused."""
    context.seen = replace(context.seen, rebooted=False)
    try:
        async with asyncio.timeout(BY_NAME[StepName.SWAP].bound_ms / 1000):
            if (stop := await reset(context)) is not None:
                return f"it was not reset: {stop.detail}"
            await swap(context)
            await context.look()
            if context.up().smp is not None:
                await context.read_slots()
    except (LinkLostError, SilenceError, TimeoutError):
        await context.drop()
    context.seen = replace(context.seen, reset=None)
    return ""


def _running(slots: tuple[SlotInfo, ...] | None) -> str:
    """What runs, in words; empty if that is not known."""
    names = (f"{view.version} ({view.hash.hex()[:8] or 'no hash'})" for view in slots or () if view.active)
    return ", ".join(names)


async def _confirm_each(context: UpdateContext) -> Stop | None:
    """Confirm what runs. With several images each is named: without a hash the first one is meant."""
    images = [image for image in context.job.marking_order if image not in context.seen.taken]
    if not any(image.number for image in context.job.images):
        return await _write_state(context, {"confirm": True})
    for image in images:
        view = context.seen.listed(image)
        body = {"hash": (view.hash if view is not None else b"") or image.hash, "confirm": True}
        stop = await _write_state(context, body, of_another=image if image.number else None)
        if stop is not None:
            return stop
    return None


async def _confirmed_by_theirs(context: UpdateContext) -> Stop | None:
    """Wait until the images that only their own applications confirm are confirmed."""
    loop = asyncio.get_running_loop()
    until = loop.time() + THEIRS_MS / 1000

    def left() -> frozenset[bytes]:
        return context.seen.unconfirmed & context.seen.theirs

    stop = await _look_while(context, lambda: bool(left()) and loop.time() < until)
    if stop is not None or not context.seen.all_active or not left():
        return stop
    numbers = ", ".join(str(image.number) for image in context.job.images if image.hashes & left())
    return Stop(
        outcome=Outcome.FAILED,
        detail=f"image {numbers} runs, and its own application, which alone may, has not confirmed it",
        next_step="it goes back at the next reset unless it is confirmed before: look into its log",
    )


async def _write_state(
    context: UpdateContext, body: Mapping[str, object], *, of_another: JobImage | None = None
) -> Stop | None:
    """Mark or confirm an image; `of_another` names one that is not the running program's own."""
    client, slots = context.smp(), context.seen.slots
    context.will_change("the image was to be confirmed" if body.get("confirm") else "the image was to be marked")
    try:
        reply = await client.write(image_group.ID, image_group.Id.STATE, body, timeout_ms=WRITE_STATE_MS)
    except SilenceError:
        if not client.old_server:
            raise
        reply = Refusal(code=Rc.ENOTSUP)
    running = _only_running(slots)
    if isinstance(reply, Refusal) and _wants_a_hash(reply) and "hash" not in body and running is not None:
        # Some servers know what to confirm by its hash alone.
        body = {**body, "hash": running}
        reply = await client.write(image_group.ID, image_group.Id.STATE, body, timeout_ms=WRITE_STATE_MS)
    if isinstance(reply, Refusal):
        if reply.is_rc(Rc.ENOTSUP) and "hash" in body:
            context.seen = replace(context.seen, by_reset=True)
            return await verify(context)
        if of_another is not None and (reply.group, reply.code) == (image_group.ID, Err.IMAGE_CONFIRMATION_DENIED):
            # Zephyr's default: a program confirms its own image alone (`ALLOW_CONFIRM_NON_ACTIVE_IMAGE_…`).
            context.say(
                f"image {of_another.number} is confirmed by its own application: the device takes it from no other"
            )
            context.seen = replace(context.seen, theirs=context.seen.theirs | of_another.hashes)
            return await verify(context)
        stop = await context.refused(reply, act="the confirmation" if body.get("confirm") else "the mark")
        step = _UNCONFIRMED if body.get("confirm") else _step_of_a_mark(reply)
        return stop if stop is None or stop.next_step else replace(stop, next_step=step)
    if "images" in reply.values:
        listed = slots_of(reply.values)
        context.note_slots(listed)
        if none_runs(listed) and not context.seen.all_pending:
            # A recovery that answers a mark with its list, and marks nothing.
            context.seen = replace(context.seen, by_reset=True)
        return None
    return await verify(context)


def _wants_a_hash(refusal: Refusal) -> bool:
    return refusal.is_rc(Rc.EINVAL) or (refusal.group, refusal.code) == (image_group.ID, Err.INVALID_HASH)


def _only_running(slots: tuple[SlotInfo, ...] | None) -> bytes | None:
    """The hash of what runs, where that is one image and its hash is told."""
    running = [view.hash for view in slots or () if view.active]
    return running[0] if len(running) == 1 and running[0] else None


def _step_of_a_mark(refusal: Refusal) -> str:
    """What a person can do where a mark was refused."""
    pending = (refusal.group, refusal.code) == (image_group.ID, Err.IMAGE_ALREADY_PENDING)
    return NEXT_STEP[Reason.NO_SLOT] if pending else ""


async def _has_rebooted(context: UpdateContext) -> bool | None:
    """Whether the device shows that it was reset; None if nothing can be told yet."""
    before = context.seen.reset
    if before is None:
        return True
    await context.look()
    slots = None
    if (
        not (context.seen.boot_id and before.boot_id)
        and context.connection is not None
        and context.connection.smp is not None
    ):
        slots = await read_slots(context.connection.smp)
    return has_rebooted(
        before,
        boot_id=context.seen.boot_id,
        slots=None if isinstance(slots, Refusal) else slots,
        hashes=frozenset[bytes]().union(*(image.hashes for image in context.job.images)),
        link_ended=context.ended_by_reset or context.seen.outside is True,
    )
