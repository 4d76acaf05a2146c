"""KS-304: maintenance ends by itself."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import GONE_ON_MS, PIECE, begin_upload, failed, firmware, not_for, passed, piece, shut
from keyswitch.audit.verdict import Part

ID: Final = "KS-304"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Begin an upload, do nothing until the lease or the idle time is over, and go on."""
    mode = bench.target.policy.modes[bench.maintenance]
    limits = [limit for limit in (mode.lease_ms, mode.idle_ms) if limit is not None]
    what = "maintenance that nobody uses, with an upload begun"
    if not limits:
        return (not_for(what, "the policy gives maintenance no lease and no idle time"),)
    limit_ms = min(limits) + GONE_ON_MS
    bench.allow_wait(limit_ms)
    data, _ = firmware(bench)
    await begin_upload(bench, ID)
    await bench.sleep(limit_ms)
    await bench.hang_up()
    here = await bench.mode()
    if bench.target.policy.modes[here].maintenance:
        return (failed(what, f"still there {GONE_ON_MS} ms after its time", effects=[f"the mode is {here}"]),)
    outside = await bench.visit()
    return (
        passed(what, f"ended by itself: the mode is {here}"),
        shut("the next piece of the upload", await outside.try_out(piece(ID, data, PIECE))),
    )


CHECK: Final = Check(
    id=ID,
    title="maintenance ends by itself",
    requirement="A lease or an idle time ends maintenance, and the upload with it.",
    why="A technician goes away; the machine must not stay open.",
    how="An upload is begun and left alone until the shorter of lease and idle time is over, if --max-wait allows it.",
    finding="Maintenance that was entered once stays until somebody thinks of it.",
    remedy="Start a timer on entering, and leave by the same path as on request.",
    catches="no time limit ends maintenance",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
