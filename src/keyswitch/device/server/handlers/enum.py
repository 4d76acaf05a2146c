"""Group enum: which groups there are. It tells what is built in, whatever the mode lets through."""

from typing import Final, cast

from keyswitch.device.server.handlers import fields
from keyswitch.device.server.handlers.table import CommandRow, Payload, Table
from keyswitch.device.server.reply import Body, Call, GroupError, Reply, SmpError
from keyswitch.smp.codes import Rc
from keyswitch.smp.commands import GROUPS
from keyswitch.smp.groups import enum
from keyswitch.smp.header import Op

SERVED: Final = tuple(sorted(GROUPS))


def count(_device: object, _call: Call) -> Reply:
    """How many groups there are."""
    return {"count": len(SERVED)}


def listing(_device: object, _call: Call) -> Reply:
    """Their ids."""
    return {"groups": list(SERVED)}


def single(_device: object, call: Call) -> Reply:
    """One of them by its place; the last one says so."""
    index = fields.uint(call.body, "index") or 0
    if index >= len(SERVED):
        return GroupError(enum.Err.INDEX_TOO_LARGE)
    told: Body = {"group": SERVED[index]}
    return told | ({"end": True} if index == len(SERVED) - 1 else {})


def details(_device: object, call: Call) -> Reply:
    """Name and number of handlers, of all groups or of those asked for."""
    asked = call.body.get("groups")
    if asked is not None and not isinstance(asked, list):
        return SmpError(Rc.EINVAL)
    wanted = SERVED if asked is None else tuple(each for each in SERVED if each in cast("list[object]", asked))
    return {"groups": [_detail(group) for group in wanted]}


def _detail(group: int) -> Body:
    # Zephyr tells the size of the group's table, which has a place for each id up to the highest.
    handlers = max(command.id for command in GROUPS[group].commands) + 1
    return {"group": group, "name": GROUPS[group].label, "handlers": handlers}


HANDLERS: Final[Table] = {
    (enum.ID, enum.Id.COUNT, Op.READ): CommandRow(count, Payload.IGNORED),
    (enum.ID, enum.Id.LIST, Op.READ): CommandRow(listing, Payload.IGNORED),
    (enum.ID, enum.Id.SINGLE, Op.READ): CommandRow(single, Payload.MAP),
    (enum.ID, enum.Id.DETAILS, Op.READ): CommandRow(details, Payload.MAP),
}
