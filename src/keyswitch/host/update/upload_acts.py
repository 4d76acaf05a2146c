"""How an image is uploaded, and what it means where that ends otherwise: the act of the step `upload`."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from keyswitch.errors import RemoteError, SilenceError
from keyswitch.host.smp.queries import SlotInfo, read_bootloader_mode, read_room, read_slots
from keyswitch.host.smp.reply import Refusal
from keyswitch.host.smp.slots import marked_of, trial_of
from keyswitch.host.update.access_acts import verify
from keyswitch.host.update.context import LINK_ENDS_MS, UpdateContext
from keyswitch.host.update.direct_xip import cannot_run
from keyswitch.host.update.job import JobImage, Outcome, Stop
from keyswitch.host.update.no_way_back import NO_WAY_BACK, ONE_SLOT, OTHER_WAY
from keyswitch.host.update.preflight import does_not_fit, no_free_slot
from keyswitch.host.upload.frame_size import capacity_of, says_too_large, smaller
from keyswitch.host.upload.uploader import Uploaded, UploadEnd, UploadRefused, UploadStalled, upload
from keyswitch.mcuboot.layout import BootMode
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image as image_group
from keyswitch.smp.groups import os as os_group
from keyswitch.smp.groups.image import Err

BOOT_MODE_LOADER: Final = 1
"""`boot_mode` of a reset that starts the firmware loader or the recovery (Zephyr `BOOT_MODE_TYPE_BOOTLOADER`)."""

LOADER_STARTS_MS: Final = 1_000
"""Pause after such a reset was granted, where the link does not end with it: the device still answers for a while."""

LOADER_TRIES: Final = 3
"""Resets into the loader in one run: a device that comes back as its application each time does not start it."""

BUSY_MS: Final = 2_000
"""Pause before an upload that met another one is tried again."""

_OF_THE_IMAGE: Final[dict[int, Reason]] = {
    Err.CURRENT_VERSION_IS_NEWER: Reason.DOWNGRADE,
    Err.INVALID_IMAGE_HEADER: Reason.IMAGE,
    Err.INVALID_IMAGE_HEADER_MAGIC: Reason.IMAGE,
    Err.INVALID_IMAGE_VECTOR_TABLE: Reason.IMAGE,
    Err.INVALID_IMAGE_TOO_LARGE: Reason.SIZE,
}
"""What the image group's own errors say of the file."""


async def upload_missing(context: UpdateContext) -> Stop | None:
    """Upload the images that the device does not list, one after the other, as long as each is listed then."""
    while missing := _missing(context):
        stop = await _upload_first(context, missing)
        if stop is not None or _missing(context) == missing:
            return stop
    return None


def _missing(context: UpdateContext) -> tuple[JobImage, ...]:
    return tuple(image for image in context.job.images if context.seen.listed(image) is None)


async def _upload_first(context: UpdateContext, missing: tuple[JobImage, ...]) -> Stop | None:
    """Upload the first of these, if all of them fit."""
    stop = await _linked_elsewhere(context, missing) or does_not_fit(missing, await _room(context))
    if stop is not None:
        return stop
    image, listed = missing[0], context.seen.slots
    match await _send(context, image):
        case Uploaded(match=False):
            return await _wrong_sum(context, image)
        case Uploaded() as end:
            context.uploaded = end
            distrusted, uploaded = context.seen.distrusted - {image.hash}, context.seen.uploaded | {image.hash}
            context.seen = replace(context.seen, distrusted=distrusted, uploaded=uploaded)
            return await verify(context)
        case UploadRefused(refusal=refusal, off=0) if says_no_slot(refusal, trial_or_mark=_in_the_way(listed, image)):
            return await _one_slot(context, no_free_slot(listed, image, str(refusal)))
        case UploadRefused(refusal=refusal):
            stop = await context.refused(refusal, reason=why_no_upload(refusal))
            if not refusal.is_rc(Rc.EBUSY):
                return stop
            context.put_off = stop
            await asyncio.sleep(BUSY_MS / 1000)
            return None
        case UploadStalled() as end:
            return _stands(context, image, end)


def _stands(context: UpdateContext, image: JobImage, end: UploadStalled) -> Stop:
    """An upload that does not get on. A silent device is connected to once more: if it stands there again, it is it.

    Raises:
        SilenceError: it was silent there for the first time.
    """
    where = f"the upload stands at byte {end.off}"
    if not end.silent:
        return Stop(outcome=Outcome.FAILED, detail=f"{where}: {end.why}", next_step=_of_its_flash(image))
    if context.upload_faults.stood_at.get(image.number) != end.off:
        context.upload_faults.stood_at[image.number] = end.off
        raise SilenceError(f"{where}: {end.why}")
    # It was found, asked for its gate, and told its slots in between.
    detail = f"{where} each time, of {len(image.data)}, and the device answers everything else"
    return Stop(outcome=Outcome.FAILED, detail=detail, next_step=_of_its_flash(image))


def _of_its_flash(image: JobImage) -> str:
    return f"look into the device's log: whether its slot holds {len(image.data):,} bytes, and its flash takes writes"


async def _send(context: UpdateContext, image: JobImage) -> UploadEnd:
    """Upload it in frames that arrive."""
    capacity = await capacity_of(context.smp(), context.job.most_outstanding, max_frame=context.job.max_frame)
    context.will_change("the upload began")

    async def is_there() -> bool:
        slots = await read_slots(context.smp())
        return not isinstance(slots, Refusal) and any(view.hash in image.hashes for view in slots)

    while True:
        end = await upload(
            context.smp(),
            image.data,
            capacity,
            number=image.number,
            bounds=context.job.bounds,
            on_progress=partial(context.on_progress, image),
            is_there=is_there,
            heal=context.up().heal,
            sent=context.sent[image.number],
        )
        less = smaller(capacity)
        if not _first_was_too_large(end) or less is None:
            return end
        capacity = less  # a device without an echo, or with another one, tells it at the first piece alone


async def _linked_elsewhere(context: UpdateContext, images: tuple[JobImage, ...]) -> Stop | None:
    """Why one of these files would not run where an upload puts it: asked only for files that are linked for a slot."""
    if all(image.slot is None for image in images):
        return None
    told = await read_bootloader_mode(context.smp())
    return cannot_run(images, context.seen.slots, None if isinstance(told, Refusal) else BootMode.of(told))


async def _one_slot(context: UpdateContext, stop: Stop) -> Stop | None:
    """There is no slot for the image: perhaps the bootloader is built so. Then a firmware loader is started."""
    told = await read_bootloader_mode(context.smp())
    bootloader = None if isinstance(told, Refusal) else BootMode.of(told)
    if bootloader is BootMode.SINGLE:
        return replace(stop, detail=ONE_SLOT, next_step=OTHER_WAY)
    if bootloader is not BootMode.FIRMWARE_LOADER or context.loader_started >= LOADER_TRIES:
        return stop
    context.loader_started += 1
    context.say(f"the application has no slot to write to: its firmware loader is started. {NO_WAY_BACK[bootloader]}")
    connection = context.up()
    reply = await context.smp().write(os_group.ID, os_group.Id.RESET, {"boot_mode": BOOT_MODE_LOADER})
    if isinstance(reply, Refusal):
        return await context.refused(reply, act="the reset into the firmware loader")
    if connection.announced_end:
        await connection.wait_closed(LINK_ENDS_MS)
    else:
        await asyncio.sleep(LOADER_STARTS_MS / 1000)
    await context.drop()
    return None


async def _wrong_sum(context: UpdateContext, image: JobImage) -> Stop | None:
    """The device has every byte and says that their SHA-256 is another: they are sent once more, and never marked."""
    context.seen = replace(context.seen, distrusted=context.seen.distrusted | {image.hash})
    if image.hash not in context.upload_faults.wrong_sums:
        context.upload_faults.wrong_sums.add(image.hash)
        context.say("the device says that the SHA-256 of what it received is wrong: the image is uploaded once more")
        return await verify(context)
    return Stop(
        outcome=Outcome.FAILED,
        detail="the device says, twice, that the SHA-256 of what it received is wrong; the image was not marked",
        reason=Reason.IMAGE,
        next_step="try another link; if it stays so, look into the device's flash",
    )


async def _room(context: UpdateContext) -> Mapping[int, int]:
    """The largest file of each image number; asked once in a run, and a device need not tell."""
    if context.room is None:
        try:
            told = await read_room(context.smp())
        except (SilenceError, RemoteError):
            told = {}
        context.room = {} if isinstance(told, Refusal) else told
    return context.room


def _first_was_too_large(end: UploadEnd) -> bool:
    return isinstance(end, UploadRefused) and end.off == 0 and says_too_large(end.refusal)


def _in_the_way(slots: tuple[SlotInfo, ...] | None, image: JobImage) -> bool:
    return trial_of(slots, image.number) is not None or marked_of(slots, image.number) is not None


def says_no_slot(refusal: Refusal, *, trial_or_mark: bool) -> bool:
    """Whether the first piece was refused because there is no slot for the image.

    Args:
        refusal: what the device said.
        trial_or_mark: whether the list tells why there would be none.
    """
    if (refusal.group, refusal.code) == (image_group.ID, Err.NO_FREE_SLOT) or refusal.is_rc(Rc.ENOMEM):
        return True  # rc 2 to a lone piece, twice: servers of 2018 to 2022 have no other word for it
    # In version 1 the code stands for other things, too (`keyswitch.smp.groups.image`).
    return trial_or_mark and refusal.is_rc(Rc.EBADSTATE)


def why_no_upload(refusal: Refusal) -> Reason | None:
    """What a refused upload means, where the device does not say so in our words."""
    if refusal.group == image_group.ID:
        return _OF_THE_IMAGE.get(refusal.code)
    if refusal.group is not None or refusal.is_rc(Rc.EACCESSDENIED):
        # What an application's hook says; it is asked only once a piece is at its place, so that no probe meets it.
        return Reason.VETO
    return Reason.BUSY if refusal.is_rc(Rc.EBUSY) else None
