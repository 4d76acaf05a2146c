"""Group os: echo, reset, and what the device says about itself.

Differences to Zephyr, on purpose: `boot_mode` other than 0 is refused (this bootloader has no recovery that knows
modes), but for 1 where that starts the firmware loader, and the kernel's name is ours.
"""

import platform
from typing import Final

from keyswitch import __version__
from keyswitch.device.server.handlers import clock, fields
from keyswitch.device.server.handlers.table import CommandRow, Payload, Table
from keyswitch.device.server.handlers.views import ServerView
from keyswitch.device.server.reply import DONE, Body, Call, GroupError, Reply, SmpError
from keyswitch.gate.events import ResetAsked
from keyswitch.mcuboot.config import Downgrade, LoaderEntrance
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import os
from keyswitch.smp.header import Op

NAME: Final = "Keyswitch"
BOOT_MODE_LOADER: Final = 1
"""Zephyr `BOOT_MODE_TYPE_BOOTLOADER`: MCUboot's firmware loader (io.c `io_detect_boot_mode`)."""
_NO_BOOT_MODE: Final = SmpError(Rc.EINVAL, "boot_mode: there is no recovery mode in this bootloader")


def echo(_device: object, call: Call) -> Reply:
    """Say it again."""
    said = call.body.get("d", "")
    if not isinstance(said, str):
        return SmpError(Rc.EINVAL)
    return {"r": said}


def taskstat(core: ServerView, _call: Call) -> Reply:
    """The one task there is: requests executed are its context switches; stack sizes have no meaning here."""
    served = core.counts.served
    task: Body = {"prio": 0, "tid": 0, "state": 0, "stkuse": 0, "stksiz": 0, "cswcnt": served, "runtime": 0}
    return {"tasks": {"smp": {**task, "last_checkin": 0, "next_checkin": 0}}}


def memory(core: ServerView, _call: Call) -> Reply:
    """The packet buffers of one peer, which is what can run out."""
    count = core.policy.smp.buf_count
    return {
        "mpools": {
            "smp": {
                "blksiz": core.policy.smp.buf_size,
                "nblks": count,
                "nfree": count - min(count, core.queues.depth()),
                "min": core.counts.least_room,
            }
        }
    }


def params(core: ServerView, _call: Call) -> Reply:
    """Size of a whole packet with its header, and how many of them a peer may have waiting."""
    return {"buf_size": core.policy.smp.buf_size, "buf_count": core.policy.smp.buf_count}


def info(core: ServerView, call: Call) -> Reply:
    """Names and versions, in the fixed order of the letters, whatever the order asked for."""
    asked = fields.text(call.body, "format")
    known = {
        "s": NAME,
        "n": core.policy.device.name,
        "r": __version__,
        "v": __version__,
        "m": platform.machine() or "unknown",
        "p": "virtual",
        "i": "keyswitch/virtual",
        "o": NAME,
    }
    letters = asked or "s"
    if not set(letters) <= {*known, "a"}:
        return GroupError(os.Err.INVALID_FORMAT)
    return {"output": " ".join(word for letter, word in known.items() if letter in letters or "a" in letters)}


def bootloader(core: ServerView, call: Call) -> Reply:
    """MCUboot, and how it brings a new image into place."""
    query = fields.text(call.body, "query")
    if query is None:
        return {"bootloader": "MCUboot"}
    if query == "mode":
        told: Body = {"mode": int(core.layout.algorithm.boot_mode)}
        if core.policy.bootloader.downgrade is not Downgrade.ALLOWED:
            told["no-downgrade"] = True
        return told
    return GroupError(os.Err.QUERY_YIELDS_NO_ANSWER)


def reset(core: ServerView, call: Call) -> Reply:
    """Grant a reset, if the machine does; it takes place after its answer. `force` forces no guard."""
    boot_mode = call.body.get("boot_mode")
    to_loader = boot_mode == BOOT_MODE_LOADER and LoaderEntrance.BOOT_MODE in core.policy.bootloader.loader_entrance
    if type(boot_mode) is int and boot_mode != 0 and not to_loader:
        return _NO_BOOT_MODE
    refused = core.feed(ResetAsked(peer=call.peer), call.now_ms)
    if refused is None:
        core.loader_asked = to_loader
    return DONE if refused is None else refused


HANDLERS: Final[Table] = {
    (os.ID, os.Id.ECHO, Op.READ): CommandRow(echo, Payload.MAP),
    (os.ID, os.Id.ECHO, Op.WRITE): CommandRow(echo, Payload.MAP),
    (os.ID, os.Id.TASKSTAT, Op.READ): CommandRow(taskstat, Payload.IGNORED),
    (os.ID, os.Id.MEMORY, Op.READ): CommandRow(memory, Payload.IGNORED),
    (os.ID, os.Id.DATETIME, Op.READ): CommandRow(clock.read, Payload.IGNORED),
    (os.ID, os.Id.DATETIME, Op.WRITE): CommandRow(clock.write, Payload.MAP),
    (os.ID, os.Id.RESET, Op.WRITE): CommandRow(reset, Payload.LENIENT),
    (os.ID, os.Id.PARAMS, Op.READ): CommandRow(params, Payload.IGNORED),
    (os.ID, os.Id.INFO, Op.READ): CommandRow(info, Payload.MAP),
    (os.ID, os.Id.BOOTLOADER, Op.READ): CommandRow(bootloader, Payload.MAP),
}
