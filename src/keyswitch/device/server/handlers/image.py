"""Group image: what lies in the slots, and what is to run next.

State write follows Zephyr's table (img_mgmt_state.c), cell by cell. Differences, on purpose: what is to be armed is
hashed first, and refused if it is not what its own hash says; with late arming the mark is remembered, and listed as
pending, but not written. Where no trailer arms an image there is no state write, as in Zephyr's builds for direct-XIP
(the upload's end arms it); what runs is always listed as confirmed, since nothing takes it back.
"""

from enum import Enum
from typing import Any, Final

from keyswitch.device import events
from keyswitch.device.server.handlers import fields, upload
from keyswitch.device.server.handlers.table import CommandRow, Payload, Table
from keyswitch.device.server.handlers.views import FirmwareView
from keyswitch.device.server.reply import DONE, Body, Call, GroupError, Reply, SmpError
from keyswitch.gate.decision import Refused
from keyswitch.gate.events import ArmAsked, ConfirmAsked, UploadEnded
from keyswitch.mcuboot import slots
from keyswitch.mcuboot.image import ImageFault
from keyswitch.mcuboot.slots import ListedImage
from keyswitch.mcuboot.tlvs import HASH_SIZES
from keyswitch.policy.bootloader import listed_hash_of
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image
from keyswitch.smp.groups.image import Err
from keyswitch.smp.header import Op

FRUGAL_BELOW: Final = 384
"""Bytes of a buffer below which flags that are false are left out of the list, as firmware with small buffers is built
(`MCUMGR_GRP_IMG_FRUGAL_LIST`): two slots with all their flags need up to 290. 384 is Zephyr's default buffer."""

_CHANGED: Final = Refused(Reason.IMAGE, "its content is not what its hash says")


class Next(Enum):
    """What the bootloader would do next with an image pair."""

    KEEP = "keep"
    TEST = "test"
    PERM = "perm"
    REVERT = "revert"


class Act(Enum):
    """What a state write does."""

    ARM = "arm"
    CONFIRM = "confirm"
    NOTHING = "nothing"


PENDING: Final = GroupError(Err.IMAGE_ALREADY_PENDING)
ACTIVE: Final = GroupError(Err.IMAGE_SETTING_TEST_TO_ACTIVE_DENIED)

STATE_WRITES: Final[dict[Next, tuple[Act | GroupError, Act | GroupError, Act | GroupError, Act | GroupError]]] = {
    #             test running, confirm running, test other, confirm other
    Next.KEEP: (ACTIVE, Act.CONFIRM, Act.ARM, Act.ARM),
    Next.TEST: (ACTIVE, PENDING, Act.ARM, PENDING),
    Next.PERM: (ACTIVE, PENDING, PENDING, Act.ARM),
    Next.REVERT: (ACTIVE, Act.CONFIRM, PENDING, Act.NOTHING),
}
"""Zephyr's decisions, all sixteen. Arming what is armed already changes nothing."""


def listed(core: FirmwareView) -> tuple[ListedImage, ...]:
    """The slots as SMP lists them; what is remembered for the reset counts as pending."""
    found = slots.list_images(core.slots_shown, core.layout, core.active, hash_type=listed_hash_of(core.policy))
    if not core.layout.algorithm.armed_by_trailer:
        return found
    return tuple(_with_mark(core, each) for each in found)


def _with_mark(core: FirmwareView, each: ListedImage) -> ListedImage:
    arming = core.state.armed_of(each.slot.image)
    if arming is None or arming.written or each.active or each.hash != arming.image:
        return each
    return ListedImage(
        slot=each.slot,
        image=each.image,
        active=each.active,
        confirmed=each.confirmed,
        pending=True,
        permanent=arming.permanent,
    )


def next_boot(entries: tuple[ListedImage, ...], number: int) -> Next:
    """What the bootloader would do next with image `number`, from its flags."""
    for each in entries:
        if each.slot.image == number:
            if each.active and not each.confirmed:
                return Next.REVERT
            if each.pending:
                return Next.PERM if each.permanent else Next.TEST
    return Next.KEEP


def state_body(core: FirmwareView) -> Body:
    """The answer to a state read."""
    several = len(core.layout.pairs) > 1
    frugal = core.policy.smp.buf_size < FRUGAL_BELOW
    rows = [_entry(each, several=several, frugal=frugal) for each in listed(core)]
    return {"images": rows} if frugal else {"images": rows, "splitStatus": 0}


def _entry(each: ListedImage, *, several: bool, frugal: bool) -> Body:
    entry: Body = {"image": each.slot.image} if several else {}
    flags = {
        "bootable": each.bootable,
        "pending": each.pending,
        "confirmed": each.confirmed,
        "active": each.active,
        "permanent": each.permanent,
    }
    told = {name: value for name, value in flags.items() if value or not frugal}
    return entry | {"slot": each.slot.slot, "version": str(each.version), "hash": each.hash} | told


def state_read(core: FirmwareView, _call: Call) -> Reply:
    """List the slots."""
    return state_body(core)


def state_write(core: FirmwareView, call: Call) -> Reply:
    """Mark an image for the next boot, or confirm the running one; success lists the slots."""
    if not core.layout.algorithm.armed_by_trailer:
        return SmpError(Rc.ENOTSUP)
    wanted = fields.data(call.body, "hash") or b""
    confirm = fields.flag(call.body, "confirm")
    if (not wanted and not confirm) or len(wanted) not in {0, HASH_SIZES[listed_hash_of(core.policy)]}:
        return GroupError(Err.INVALID_HASH)
    entries = listed(core)
    target = next((each for each in entries if (each.hash == wanted if wanted else each.active)), None)
    if target is None:
        return GroupError(Err.HASH_NOT_FOUND)
    cells = STATE_WRITES[next_boot(entries, target.slot.image)]
    act = cells[(0 if target.active else 2) + confirm]
    if isinstance(act, GroupError):
        return act
    error: Reply | None = None
    if act is Act.CONFIRM:
        error = _confirm(core, call, target)
    elif act is Act.ARM:
        error = _arm(core, call, target, permanent=confirm)
    return state_body(core) if error is None else error


def _confirm(core: FirmwareView, call: Call, target: ListedImage) -> Reply | None:
    refused = core.feed(ConfirmAsked(peer=call.peer, pair=target.slot.image), call.now_ms)
    if refused is None and next_boot(listed(core), target.slot.image) is Next.REVERT:
        return GroupError(Err.INVALID_IMAGE_VECTOR_TABLE)  # the trailer's magic is neither good nor erased
    return refused


def _arm(core: FirmwareView, call: Call, target: ListedImage, *, permanent: bool) -> Reply | None:
    if target.pending:
        return None
    computed = core.parts.computed_hash(core.flash, core.layout, target.slot)
    if isinstance(computed, ImageFault) or computed != target.hash:
        return _CHANGED
    pair = target.slot.image
    refused = core.feed(ArmAsked(peer=call.peer, image=computed, permanent=permanent, pair=pair), call.now_ms)
    if refused is not None:
        return refused
    if core.state.armed_of(pair) is None:
        return GroupError(Err.INVALID_IMAGE_HEADER_MAGIC)
    return None


def erase(core: FirmwareView, call: Call) -> Reply:
    """Erase a slot that is not in use; what was to be uploaded or started from it is forgotten."""
    number = fields.uint(call.body, "slot")
    slot = slots.upload_slot(core.layout, 0, core.active) if number is None else slots.slot_of(core.layout, number)
    if slot is None and number is not None:
        return GroupError(Err.FLASH_OPEN_FAILED)
    if slot is None or slot != slots.upload_slot(core.layout, slot.image, core.active) or core.state.trial:
        return GroupError(Err.NO_FREE_SLOT)
    if (refused := upload.own(core, call, slot.image)) is not None:
        return refused
    core.upload = None
    slots.erase(core.flash, core.layout, slot)
    core.note(events.SlotErased(image=slot.image, slot=slot.slot, by=events.by(call.peer)))
    core.feed(UploadEnded(), call.now_ms)
    return DONE


def slot_info(core: FirmwareView, _call: Call) -> Reply:
    """Where uploads may go, and how large they may be."""
    images: list[dict[str, Any]] = []
    for number, pair in enumerate(core.layout.pairs):
        free = slots.upload_slot(core.layout, number, core.active)
        told: list[dict[str, Any]] = []
        one = not core.layout.algorithm.updates_itself  # a loader's own slot is nobody's to update
        for slot in (pair.primary,) if one else (pair.primary, pair.secondary):
            mark = {"upload_image_id": number} if slot == free else {}
            told.append({"slot": slot.slot, "size": slot.size} | mark)
        images.append(
            {"image": number, "slots": told, "max_image_size": core.parts.max_image_size(core.layout, number)}
        )
    return {"images": images}


HANDLERS: Final[Table] = {
    (image.ID, image.Id.STATE, Op.READ): CommandRow(state_read, Payload.IGNORED),
    (image.ID, image.Id.STATE, Op.WRITE): CommandRow(state_write, Payload.MAP),
    (image.ID, image.Id.UPLOAD, Op.WRITE): CommandRow(upload.upload, Payload.MAP),
    (image.ID, image.Id.ERASE, Op.WRITE): CommandRow(erase, Payload.MAP),
    (image.ID, image.Id.SLOTS, Op.READ): CommandRow(slot_info, Payload.IGNORED),
}
