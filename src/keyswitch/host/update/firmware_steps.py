"""How firmware is uploaded, marked, started, proved and confirmed: the acts of those steps (`host.update.steps`).

After a reset nothing is believed before the device has shown that the reset took place (`host.update.reboot`).
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from keyswitch.errors import InputError, LinkLostError, RemoteError
from keyswitch.host.smp.client import SilenceError
from keyswitch.host.smp.queries import SlotInfo, read_bootloader_mode, read_room, read_slots, slots_of
from keyswitch.host.smp.reply import Refusal
from keyswitch.host.update.access_steps import verify
from keyswitch.host.update.context import LINK_ENDS_MS, UpdateContext, pauses
from keyswitch.host.update.direct_xip import cannot_run
from keyswitch.host.update.job import BeforeReset, ConfirmBy, JobImage, Outcome, Stop
from keyswitch.host.update.preflight import does_not_fit
from keyswitch.host.update.reboot import has_rebooted, was_tried
from keyswitch.host.update.steps import BY_NAME, StepName
from keyswitch.host.upload.frame_size import capacity_of
from keyswitch.host.upload.uploader import Uploaded, UploadRefused, UploadStalled, upload
from keyswitch.mcuboot.layout import BootMode
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image as image_group
from keyswitch.smp.groups import os as os_group
from keyswitch.smp.groups.image import Err

RESET_LOST_MS: Final = 10_000
"""A device that still answers as before after this long has not been reset: the request was lost."""

BUSY_MS: Final = 2_000
"""Pause before an upload that met another one is tried again."""

THEIRS_MS: Final = 60_000
"""How long an application may take to confirm its own image, beside ours: its self-test after the start."""

WRITE_STATE_MS: Final = 10_000
"""Bound for the answer to a state write: trailers are written, and sectors may be erased for it."""

_POWER_CYCLE: Final = "power-cycle it: an image that was not confirmed does not start again"

_LOOK: Final = "look into what the health check says"

_BACK_ON_PURPOSE: Final = "install the old image again (--downgrade)"

_OF_THE_IMAGE: Final[dict[int, Reason]] = {
    Err.CURRENT_VERSION_IS_NEWER: Reason.DOWNGRADE,
    Err.INVALID_IMAGE_HEADER: Reason.IMAGE,
    Err.INVALID_IMAGE_HEADER_MAGIC: Reason.IMAGE,
    Err.INVALID_IMAGE_VECTOR_TABLE: Reason.IMAGE,
    Err.INVALID_IMAGE_TOO_LARGE: Reason.SIZE,
}
"""What the image group's own errors say of the file."""


async def upload_missing(scene: UpdateContext) -> Stop | None:
    """Upload the first image that the device does not list, if it fits."""
    missing = tuple(image for image in scene.job.images if scene.seen.listed(image) is None)
    stop = await _linked_elsewhere(scene, missing) or does_not_fit(missing, await _room(scene))
    if stop is not None:
        return stop
    image = missing[0]
    capacity = await capacity_of(scene.smp(), scene.job.most_outstanding)
    scene.will_change("the upload began")

    async def is_there() -> bool:
        slots = await read_slots(scene.smp())
        return not isinstance(slots, Refusal) and any(view.hash == image.hash for view in slots)

    end = await upload(
        scene.smp(),
        image.data,
        capacity,
        number=image.number,
        bounds=scene.job.bounds,
        on_progress=partial(scene.on_progress, image),
        is_there=is_there,
        heal=scene.up().heal,
        sent=scene.sent[image.number],
    )
    match end:
        case Uploaded(match=False):
            return await _wrong_sum(scene, image)
        case Uploaded():
            scene.uploaded = end
            scene.whole.add(image.hash)
            scene.seen = replace(scene.seen, distrusted=scene.seen.distrusted - {image.hash})
            return await verify(scene)
        case UploadRefused(refusal=refusal):
            stop = await scene.refused(refusal, reason=why_no_upload(refusal))
            if not refusal.is_rc(Rc.EBUSY):
                return stop
            scene.put_off = stop
            await asyncio.sleep(BUSY_MS / 1000)
            return None
        case UploadStalled(silent=True):
            raise LinkLostError(f"the upload stands at byte {end.off}: {end.why}")
        case UploadStalled():
            return Stop(outcome=Outcome.FAILED, detail=f"the upload stands at byte {end.off}: {end.why}")


async def _linked_elsewhere(scene: UpdateContext, images: tuple[JobImage, ...]) -> Stop | None:
    """Why one of these files would not run where an upload puts it: asked only for files that are linked for a slot."""
    if all(image.slot is None for image in images):
        return None
    told = await read_bootloader_mode(scene.smp())
    return cannot_run(images, scene.seen.slots, None if isinstance(told, Refusal) else BootMode.of(told))


async def _wrong_sum(scene: UpdateContext, image: JobImage) -> Stop | None:
    """The device has every byte and says that their SHA-256 is another: they are sent once more, and never marked."""
    scene.seen = replace(scene.seen, distrusted=scene.seen.distrusted | {image.hash})
    if image.hash not in scene.wrong_sums:
        scene.wrong_sums.add(image.hash)
        scene.say("the device says that the SHA-256 of what it received is wrong: the image is uploaded once more")
        return await verify(scene)
    return Stop(
        outcome=Outcome.FAILED,
        detail="the device says, twice, that the SHA-256 of what it received is wrong; the image was not marked",
        reason=Reason.IMAGE,
        next_step="try another link; if it stays so, look into the device's flash",
    )


async def _room(scene: UpdateContext) -> Mapping[int, int]:
    """The largest file of each image number; asked once in a run, and a device need not tell."""
    if scene.room is None:
        try:
            told = await read_room(scene.smp())
        except (SilenceError, RemoteError):
            told = {}
        scene.room = {} if isinstance(told, Refusal) else told
    return scene.room


def why_no_upload(refusal: Refusal) -> Reason | None:
    """What a refused upload means, where the device does not say so in our words."""
    if refusal.group == image_group.ID:
        return _OF_THE_IMAGE.get(refusal.code)
    if refusal.group is not None or refusal.is_rc(Rc.EACCESSDENIED):
        # What an application's hook says; it is asked only once a piece is at its place, so that no probe meets it.
        return Reason.VETO
    return Reason.BUSY if refusal.is_rc(Rc.EBUSY) else None


async def test(scene: UpdateContext) -> Stop | None:
    """Mark each image for a trial boot."""
    for image in scene.job.images:
        view = scene.seen.listed(image)
        if view is not None and not view.active and not view.pending:
            stop = await _write_state(scene, {"hash": image.hash, "confirm": False})
            if stop is not None and stop.reason is Reason.IMAGE and image.hash not in scene.whole:
                # A hash in a list says what the file says of itself, not what lies in the flash.
                scene.say(f"the copy in the slot is refused ({stop.detail}): it is uploaded again")
                scene.seen = replace(scene.seen, distrusted=scene.seen.distrusted | {image.hash})
            elif stop is not None:
                return stop
    return None


async def reset(scene: UpdateContext) -> Stop | None:
    """Ask for a reset and see the link end."""
    await scene.lease.last(BY_NAME[StepName.SWAP].bound_ms, scene.up().mode)
    seen = scene.seen
    scene.will_change("the reset")
    scene.seen = replace(scene.seen, reset=BeforeReset(boot_id=seen.boot_id, slots=seen.slots or ()))
    scene.ended_by_reset = False
    connection = scene.up()
    try:
        reply = await scene.smp().write(os_group.ID, os_group.Id.RESET)
    except LinkLostError:
        # The request or its answer was lost. What happened is seen when the device is back.
        await scene.drop()
        return None
    if isinstance(reply, Refusal):
        scene.seen = replace(scene.seen, reset=None)
        return await scene.refused(reply)
    if connection.announced_end:
        scene.ended_by_reset = await connection.wait_closed(LINK_ENDS_MS) is not None
    await scene.drop()
    if scene.seen.by_reset:
        scene.reach.go_home()
    return None


async def swap(scene: UpdateContext) -> Stop | None:
    """Wait until the device is back and has shown that it was reset."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    for pause_ms in pauses():
        try:
            if scene.connection is None:
                await scene.connect(smp_shown=False)
            rebooted = await _has_rebooted(scene)
        except LinkLostError:
            await scene.drop()
            rebooted = None
            if await _is_elsewhere(scene):
                continue
        if rebooted:
            scene.session_lost = scene.seen.outside is True
            scene.seen = replace(scene.seen, rebooted=True, slots=None)
            if scene.seen.by_reset and scene.session_lost:
                await _settle(scene)
            return None
        if rebooted is False and loop.time() - since >= RESET_LOST_MS / 1000:
            scene.seen = replace(scene.seen, reset=None, slots=None)
            return None
        await asyncio.sleep(pause_ms / 1000)
    return None


async def _is_elsewhere(scene: UpdateContext) -> bool:
    """Whether the device is back under another address: connected to then, and known by it.

    The proof is the new image: the only device of a name that was the device's alone, which runs what was just sent.
    """
    try:
        connection = await scene.reach.connect_elsewhere()
    except (LinkLostError, RemoteError, InputError):
        return False
    if connection is None:
        return False
    address = connection.gatt.address if connection.gatt is not None else "another address"
    wanted = {image.hash for image in scene.job.images}
    slots: tuple[SlotInfo, ...] | Refusal | None = None
    with suppress(SilenceError, LinkLostError, RemoteError):
        slots = await read_slots(connection.smp) if connection.smp is not None else None
    if slots is None or isinstance(slots, Refusal) or not any(row.active and row.hash in wanted for row in slots):
        await connection.close()
        if address not in scene.slots.strangers:
            scene.slots.strangers.add(address)
            scene.say(f"a device of that name is heard at {address}; nothing shows that it is the one")
        return False
    scene.say(f"the device is back at another address, {address}: it alone has the name, and it runs the new image")
    scene.reach.learn(address=address)
    scene.adopt(connection)
    return True


async def _settle(scene: UpdateContext) -> None:
    """The application runs again, after a reset that alone was to start the new image: what it lists is the proof.

    An application that lists no images (it has a firmware loader for that) leaves what the loader listed before.
    """
    client = scene.up().smp
    slots = await read_slots(client) if client is not None else None
    if slots is None or isinstance(slots, Refusal):
        scene.seen = replace(scene.seen, settled=True)
        scene.say("the application lists no images: the proof is what was listed before the reset")
        return
    scene.note_slots(slots)
    scene.seen = replace(scene.seen, settled=scene.seen.all_active, slots=None)


async def prove(scene: UpdateContext) -> Stop | None:
    """The slots were read after the reset, and something else runs: say what."""
    runs = _running(scene.seen.slots)
    if scene.job.images and not scene.seen.rebooted:
        return Stop(outcome=Outcome.FAILED, detail=f"the device runs {runs}", next_step="run a full update")
    if scene.session_lost and not scene.tried_again:
        # The gate closed before the reset, which disarmed the image; or the device was reset once more.
        scene.tried_again = True
        scene.seen = replace(scene.seen, reset=None, rebooted=False)
        scene.say("the maintenance session did not survive the reset: once more")
        return None
    if scene.ran or was_tried(scene.seen):
        again = f"the device runs {runs} again"
        if scene.thrown_out is not None:
            why = scene.thrown_out
            return Stop(outcome=Outcome.REVERTED, detail=f"{why.detail}; {again}", next_step=why.next_step)
        return Stop(outcome=Outcome.REVERTED, detail=again, next_step="look into the new image's log: it did not stay")
    return Stop(
        outcome=Outcome.NOT_STARTED,
        detail=f"the bootloader did not start the new image; the device runs {runs}",
        next_step="check signature and version of the image (keyswitch image verify)",
    )


async def check_health(scene: UpdateContext) -> Stop | None:
    """Run the health check on what runs. What it once found wrong stays wrong for this run."""
    scene.ran = True
    if scene.unwell is None and scene.job.health is not None:
        scene.unwell = await scene.job.health()
    if scene.unwell is None:
        scene.seen = replace(scene.seen, well=True)
        return None
    said = f"the health check says: {scene.unwell}"
    if scene.seen.settled:
        detail = f"{said}; the application that runs lists no images, so that nothing says whether it stays"
        return Stop(outcome=Outcome.FAILED, detail=detail, next_step=_BACK_ON_PURPOSE)
    stop = await verify(scene)
    if scene.seen.all_confirmed:
        detail = f"{said}; the image is confirmed already, by the bootloader or its own application, and stays"
        return Stop(outcome=Outcome.FAILED, detail=detail, next_step=_BACK_ON_PURPOSE)
    if stop is not None or not scene.seen.all_active:
        return stop  # it has gone back already, or the gate was shut meanwhile
    return await _unwell(scene, f"{said}; the image was not confirmed")


async def confirm(scene: UpdateContext) -> Stop | None:
    """Make what runs stay, or wait until the application has done so."""
    scene.ran = True
    if scene.job.confirm_by is ConfirmBy.OPERATOR:
        return await _confirm_each(scene) or await _confirmed_by_theirs(scene)
    return await _look_while(scene, lambda: not scene.seen.all_confirmed)


async def _look_while(scene: UpdateContext, waiting: Callable[[], bool]) -> Stop | None:
    """Look again and again while an application has still to confirm; ends when something else runs, too."""
    for pause_ms in pauses():
        if not (scene.seen.all_active and waiting()):
            return None
        await asyncio.sleep(pause_ms / 1000)
        if (stop := await verify(scene)) is not None:
            return stop
    return None


async def _unwell(scene: UpdateContext, said: str) -> Stop:
    """The new image must not stay. One of our devices goes back when its session ends; of others nobody knows it."""
    verdict = scene.seen.verdict
    if verdict is not None and verdict.state is not None:
        back = "ends its trial, or when its lease does" if scene.job.stay else "leaves"
        detail = f"{said}; the device goes back to its old image by itself, as it {back}"
        return Stop(outcome=Outcome.FAILED, detail=detail, next_step=_LOOK)
    before = _running(scene.seen.slots)
    refused = await _start_again(scene)
    after = _running(scene.seen.slots)
    if after and after != before:
        detail = f"{said}; the device was reset and runs {after} again"
        return Stop(outcome=Outcome.FAILED, detail=detail, next_step=_LOOK)
    if scene.connection is None:
        detail = f"{said}; the device was reset to bring the old image back, and not heard again"
        return Stop(outcome=Outcome.NEVER_CAME_BACK, detail=detail, next_step=_POWER_CYCLE)
    if after and not refused and scene.seen.rebooted:
        detail = f"{said}; the device was reset and still runs {after}: its bootloader takes nothing back"
        return Stop(outcome=Outcome.FAILED, detail=detail, next_step=_BACK_ON_PURPOSE)
    what = refused or (f"the device still runs {after}" if after else "what it runs now could not be read")
    return Stop(outcome=Outcome.FAILED, detail=f"{said}; {what}", next_step=_POWER_CYCLE)


async def _start_again(scene: UpdateContext) -> str:
    """Reset the device, wait until it is back, and read its slots; why it was not reset, if it refused."""
    scene.seen = replace(scene.seen, rebooted=False)
    try:
        async with asyncio.timeout(BY_NAME[StepName.SWAP].bound_ms / 1000):
            if (stop := await reset(scene)) is not None:
                return f"it refused the reset: {stop.detail}"
            await swap(scene)
            await scene.look()
            if scene.up().smp is not None:
                await scene.read_slots()
    except (LinkLostError, TimeoutError):
        await scene.drop()
    scene.seen = replace(scene.seen, reset=None)
    return ""


def _running(slots: tuple[SlotInfo, ...] | None) -> str:
    """What runs, in words; empty if that is not known."""
    return ", ".join(f"{view.version} ({view.hash.hex()[:8]})" for view in slots or () if view.active)


async def _confirm_each(scene: UpdateContext) -> Stop | None:
    """Confirm what runs. With several images each is named: without a hash the first one is meant."""
    images = scene.job.images
    if not any(image.number for image in images):
        return await _write_state(scene, {"confirm": True})
    for image in images:
        body = {"hash": image.hash, "confirm": True}
        stop = await _write_state(scene, body, of_another=image if image.number else None)
        if stop is not None:
            return stop
    return None


async def _confirmed_by_theirs(scene: UpdateContext) -> Stop | None:
    """Wait until the images that only their own applications confirm are confirmed."""
    loop = asyncio.get_running_loop()
    until = loop.time() + THEIRS_MS / 1000

    def left() -> frozenset[bytes]:
        return scene.seen.unconfirmed & scene.seen.theirs

    stop = await _look_while(scene, lambda: bool(left()) and loop.time() < until)
    if stop is not None or not scene.seen.all_active or not left():
        return stop
    numbers = ", ".join(str(image.number) for image in scene.job.images if image.hash in left())
    return Stop(
        outcome=Outcome.FAILED,
        detail=f"image {numbers} runs, and its own application, which alone may, has not confirmed it",
        next_step="it goes back at the next reset unless it is confirmed before: look into its log",
    )


async def _write_state(
    scene: UpdateContext, body: Mapping[str, object], *, of_another: JobImage | None = None
) -> Stop | None:
    """Mark or confirm an image; `of_another` names one that is not the running program's own."""
    client = scene.smp()
    scene.will_change("the image was to be confirmed" if body.get("confirm") else "the image was to be marked")
    reply = await client.write(image_group.ID, image_group.Id.STATE, body, timeout_ms=WRITE_STATE_MS)
    if isinstance(reply, Refusal):
        if reply.is_rc(Rc.ENOTSUP) and "hash" in body:
            scene.seen = replace(scene.seen, by_reset=True)
            return await verify(scene)
        if of_another is not None and (reply.group, reply.code) == (image_group.ID, Err.IMAGE_CONFIRMATION_DENIED):
            # Zephyr's default: a program confirms its own image alone (`ALLOW_CONFIRM_NON_ACTIVE_IMAGE_…`).
            scene.say(
                f"image {of_another.number} is confirmed by its own application: the device takes it from no other"
            )
            scene.seen = replace(scene.seen, theirs=scene.seen.theirs | {of_another.hash})
            return await verify(scene)
        return await scene.refused(reply)
    if "images" in reply.values:
        scene.note_slots(slots_of(reply.values))
        return None
    return await verify(scene)


async def _has_rebooted(scene: UpdateContext) -> bool | None:
    """Whether the device shows that it was reset; None if nothing can be told yet."""
    before = scene.seen.reset
    if before is None:
        return True
    await scene.look()
    slots = None
    if (
        not (scene.seen.boot_id and before.boot_id)
        and scene.connection is not None
        and scene.connection.smp is not None
    ):
        slots = await read_slots(scene.connection.smp)
    return has_rebooted(
        before,
        boot_id=scene.seen.boot_id,
        slots=None if isinstance(slots, Refusal) else slots,
        hashes=frozenset(image.hash for image in scene.job.images),
        link_ended=scene.ended_by_reset or scene.seen.outside is True,
    )
