"""KS-303: an upload does not continue outside maintenance, nor in the next session."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import PIECE, begin_upload, failed, firmware, go_outside, passed, piece, shut
from keyswitch.audit.verdict import Part
from keyswitch.host.connect.probe import PROBE_OFFSET
from keyswitch.host.smp.reply import Answer
from keyswitch.smp.groups import image

ID: Final = "KS-303"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Begin an upload, leave, send further pieces; enter again, and ask where it stands."""
    data, _ = firmware(bench)
    visit = await begin_upload(bench, ID)
    await bench.leave(visit)
    await go_outside(bench)
    outside = await bench.visit()
    parts = [
        shut(f"piece at offset {offset} after maintenance was left", await outside.try_out(piece(ID, data, offset)))
        for offset in (PIECE, 2 * PIECE, 0)
    ]
    await bench.hang_up()
    inside = await bench.enter()
    assert inside.smp is not None  # noqa: S101 - a connection that works in maintenance
    reply = await inside.smp.write(image.ID, image.Id.UPLOAD, {"off": PROBE_OFFSET, "data": b""})
    what = "the upload, asked for in the next session"
    wanted = reply.values.get("off") if isinstance(reply, Answer) else 0
    if wanted:
        return (*parts, failed(what, f"it goes on at offset {wanted}", effects=[f"offset {wanted} is wanted"]))
    return (*parts, passed(what, "no session of it is left"))


CHECK: Final = Check(
    id=ID,
    title="an upload does not continue outside maintenance, nor in the next session",
    requirement="Leaving ends the upload: nothing of its session is left.",
    why=(
        "Zephyr keeps the upload's session whatever the mode is: a service that is hidden and shown again "
        "goes on where it was."
    ),
    how=(
        "The first piece in maintenance; after leaving, pieces at each offset; after entering again, the "
        "offset that is wanted."
    ),
    finding="Two visits that were each allowed a little add up to an update that nobody allowed.",
    remedy="img_mgmt_reset_upload() when maintenance ends.",
    catches="leaving keeps the upload",
    impact=Impact.REVERSIBLE,
    act=Story(play=play, needs_mode=False),
)
