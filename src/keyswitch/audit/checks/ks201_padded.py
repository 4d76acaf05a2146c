"""KS-201: a file cannot bring its own trailer."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import GONE_ON_MS, failed, firmware, passed, slots, undecided
from keyswitch.audit.verdict import Part
from keyswitch.host.upload.frame_size import capacity_of
from keyswitch.host.upload.uploader import Uploaded, UploadRefused, upload
from keyswitch.mcuboot.layout import DEFAULT_MAX_ALIGN
from keyswitch.mcuboot.trailer import magic_bytes

ID: Final = "KS-201"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Upload an image that is padded to the slot's end, with a trailer there."""
    data, digest = firmware(bench)
    visit = await bench.enter()
    assert visit.smp is not None  # noqa: S101 - a connection that works in maintenance
    magic = magic_bytes(DEFAULT_MAX_ALIGN)
    size = bench.target.policy.bootloader.slot_size
    padded = data + b"\xff" * (size - len(data) - len(magic)) + magic
    what = f"an upload of {size} bytes, with a trailer at its end"
    bench.note_upload()
    end = await upload(visit.smp, padded, await capacity_of(visit.smp))
    match end:
        case UploadRefused(refusal=refusal):
            armed = [slot for slot in await slots(visit) if slot.pending]
            told = passed(what, f"refused: {refusal}, and nothing is pending")
        case Uploaded():
            armed = [slot for slot in await slots(visit) if slot.pending or (slot.hash == digest and slot.permanent)]
            told = passed(what, "taken whole, and nothing is pending")
        case _:
            return (undecided(what, f"{end.why}: try again"),)
    await bench.pause(GONE_ON_MS)
    if armed:
        words = f"slot {armed[0].slot} is pending, and nobody has marked it"
        return (failed(what, words, effects=[words]),)
    return (told,)


CHECK: Final = Check(
    id=ID,
    title="a file cannot bring its own trailer",
    requirement="No upload reaches the trailer: nothing becomes pending without a state write.",
    why=(
        "MCUboot reads the trailer and does not ask who wrote it: an image signed with --pad starts by itself"
        " at the next power-up."
    ),
    how="In maintenance, --next padded to the slot's end with a trailer's magic there; then the list of images.",
    finding="Whoever may upload may also make the device start what was uploaded, past every check of the state write.",
    remedy=(
        "Bound len by what the bootloader can swap (img_mgmt upload check callback), or refuse files that end"
        " in a trailer."
    ),
    catches="an upload may reach the trailer",
    impact=Impact.REVERSIBLE,
    act=Story(play=play, needs_mode=False),
)
