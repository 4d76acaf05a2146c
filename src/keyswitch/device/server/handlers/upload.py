"""Group image, upload: bytes into the slot that does not run.

The checks of the first packet come in Zephyr's order (img_mgmt.c `img_mgmt_upload`). Differences, on purpose: the
session has one owner, and nobody else's packet or mistake touches it; `len` is bounded by what the bootloader can take,
so that no upload reaches the trailer; the first packet may not hold more than `len` either. Where an image starts
because it lies there, its header is kept back, and the upload's end asks the machine to arm it: what is refused is
never an image.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from keyswitch.device import events
from keyswitch.device.server.core import KeptHeader, UploadSession
from keyswitch.device.server.handlers import fields
from keyswitch.device.server.handlers.views import FirmwareView
from keyswitch.device.server.reply import Body, Call, GroupError, Reply
from keyswitch.gate.decision import Refused
from keyswitch.gate.events import ArmAsked, UploadEnded, UploadStarted
from keyswitch.mcuboot import slots
from keyswitch.mcuboot.image import HASH_CHUNK, HEADER, HEADER_SIZE, ImageFault, ImageVersion
from keyswitch.mcuboot.layout import Slot, area
from keyswitch.mcuboot.tlvs import IMAGE_MAGIC
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups.image import Err

SHA_SIZE: Final = 32
_BUSY: Final = Refused(Reason.BUSY, "another peer is uploading", Rc.EBUSY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The request's fields."""

    image: int
    length: int | None
    offset: int | None
    sha: bytes
    data: bytes
    upgrade: bool


def upload(core: FirmwareView, call: Call) -> Reply:
    """Take one packet of an upload; the answer says which offset is wanted next."""
    body = call.body
    chunk = Chunk(
        image=fields.uint(body, "image") or 0,
        length=fields.uint(body, "len"),
        offset=fields.uint(body, "off"),
        sha=fields.data(body, "sha") or b"",
        data=fields.data(body, "data") or b"",
        upgrade=fields.flag(body, "upgrade"),
    )
    if is_anothers(core, call):
        return _BUSY
    if chunk.offset is None:
        reply: Reply = GroupError(Err.INVALID_OFFSET, "header malformed")
    elif chunk.offset == 0:
        reply = _first(core, call, chunk)
    else:
        reply = _next(core, call, chunk)
    if isinstance(reply, GroupError):
        drop(core, call.now_ms)
    return reply


def is_anothers(core: FirmwareView, call: Call) -> bool:
    """Whether the slot belongs to another peer's upload now."""
    upload = core.state.upload
    return upload is not None and upload.owner not in {None, call.peer.id}


def drop(core: FirmwareView, now_ms: int) -> None:
    """Give the upload session up."""
    if core.upload is not None:
        core.upload = None
        core.feed(UploadEnded(), now_ms)


def own(core: FirmwareView, call: Call, pair: int) -> Refused | None:
    """Make the upload into this image pair's slot this peer's, or say why not."""
    return core.feed(UploadStarted(peer=call.peer, pair=pair), call.now_ms)


def _first(core: FirmwareView, call: Call, chunk: Chunk) -> Reply:
    error = _malformed(chunk)
    if error is not None:
        return error
    running = core.upload
    if running is not None and running.sha and running.sha == chunk.sha:
        return own(core, call, running.slot.image) or {"off": running.writer.received}
    slot = _free_slot(core, chunk)
    if isinstance(slot, GroupError):
        return slot
    error = _unfit(core, chunk, slot)
    if error is not None:
        return error
    refused = own(core, call, slot.image)
    if refused is not None:
        return refused
    assert chunk.length is not None  # noqa: S101  `_malformed` refuses a first packet without it
    limit = core.parts.max_image_size(core.layout, slot.image)
    core.upload = UploadSession(
        slot=slot,
        length=chunk.length,
        sha=chunk.sha,
        writer=core.parts.writer(core.flash, core.layout, slot, limit),
    )
    core.note(events.UploadBegan(image=slot.image, slot=slot.slot, size=chunk.length, by=events.by(call.peer)))
    return _put(core, call, core.upload, chunk.data)


def _malformed(chunk: Chunk) -> GroupError | None:
    """What the first packet's own fields make impossible, in Zephyr's order."""
    if len(chunk.data) < HEADER_SIZE:
        return GroupError(Err.INVALID_IMAGE_HEADER, "header malformed")
    if chunk.length is None:
        return GroupError(Err.INVALID_LENGTH, "header malformed")
    if int.from_bytes(chunk.data[:4], "little") != IMAGE_MAGIC:
        return GroupError(Err.INVALID_IMAGE_HEADER_MAGIC, "magic mismatch")
    if len(chunk.sha) > SHA_SIZE:
        return GroupError(Err.INVALID_HASH)
    return None


def _free_slot(core: FirmwareView, chunk: Chunk) -> Slot | GroupError:
    """The slot that does not run; none while it holds what a trial would go back to."""
    pairs = len(core.layout.pairs)
    image = chunk.image if pairs > 1 else 0
    if image >= pairs or core.state.trial:
        return GroupError(Err.NO_FREE_SLOT, "no slot")
    free = slots.upload_slot(core.layout, image, core.active)
    return GroupError(Err.NO_FREE_SLOT, "no slot") if free is None else free


def _unfit(core: FirmwareView, chunk: Chunk, slot: Slot) -> GroupError | None:
    length = chunk.length or 0
    if length > core.parts.max_image_size(core.layout, slot.image):
        return GroupError(Err.INVALID_IMAGE_TOO_LARGE, "img too large")
    if chunk.upgrade:
        running = slots.read_image(core.flash, core.layout, slots.running_slot(core.layout, slot.image, core.active))
        if isinstance(running, ImageFault) or slot.image in core.layout.copied:  # nobody can read what runs of that
            return GroupError(Err.VERSION_GET_FAILED)
        new = ImageVersion(*HEADER.unpack(chunk.data[:HEADER_SIZE])[6:10])
        if running.version.without_build >= new.without_build:
            return GroupError(Err.CURRENT_VERSION_IS_NEWER, "downgrade")
    if len(chunk.data) > length:
        return GroupError(Err.INVALID_IMAGE_DATA_OVERRUN)
    return None


def _next(core: FirmwareView, call: Call, chunk: Chunk) -> Reply:
    running = core.upload
    if running is None:
        return {"off": 0}
    wanted = running.writer.received
    if chunk.offset != wanted:
        return {"off": wanted}
    if wanted + len(chunk.data) > running.length:
        return GroupError(Err.INVALID_IMAGE_DATA_OVERRUN)
    upload = core.state.upload
    if upload is not None and upload.owner is None:
        refused = own(core, call, running.slot.image)
        if refused is not None:
            return refused
    return _put(core, call, running, chunk.data)


def _put(core: FirmwareView, call: Call, running: UploadSession, data: bytes) -> Reply:
    running.writer.write(data)
    received = running.writer.received
    if received < running.length:
        return {"off": received}
    running.writer.finish()
    told: Body = {"off": received}
    computed = b""
    if len(running.sha) == SHA_SIZE:
        computed = _file_hash(core, running)
        told["match"] = computed == running.sha
    core.note(
        events.UploadDone(
            image=running.slot.image,
            slot=running.slot.slot,
            size=received,
            sha256=computed.hex(),
            match=told.get("match"),
            by=events.by(call.peer),
        )
    )
    drop(core, call.now_ms)
    return _to_be_started(core, call, running) or told


def _to_be_started(core: FirmwareView, call: Call, done: UploadSession) -> Refused | None:
    """Where what lies there starts: have the machine arm it, now or at the session's reset; why it refuses."""
    if core.layout.algorithm.armed_by_trailer:
        return None
    pair = done.slot.image
    core.kept[pair] = KeptHeader(slot=done.slot, header=done.writer.header)
    computed = core.parts.computed_hash(core.slots_shown, core.layout, done.slot)
    found = slots.read_image(core.slots_shown, core.layout, done.slot)
    if isinstance(computed, ImageFault) or isinstance(found, ImageFault) or computed != found.hash:
        del core.kept[pair]  # the bootloader would erase it
        return None
    refused = core.feed(ArmAsked(peer=call.peer, image=computed, permanent=False, pair=pair), call.now_ms)
    if refused is not None:
        core.kept.pop(pair, None)
    return refused


def _file_hash(core: FirmwareView, done: UploadSession) -> bytes:
    """SHA-256 over what lies in the slot now, as long as the file was."""
    start = core.layout.upload_offset(done.slot)
    source = area(slots.HeaderShown(core.flash, done.slot, done.writer.header), done.slot)
    digest = hashlib.sha256()
    for at in range(0, done.length, HASH_CHUNK):
        digest.update(source.read(start + at, min(HASH_CHUNK, done.length - at)))
    return digest.digest()
