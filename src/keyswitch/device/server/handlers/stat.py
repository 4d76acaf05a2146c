"""Group stat: what the server has done since boot."""

from dataclasses import asdict
from typing import Final

from keyswitch.device.server.handlers import fields
from keyswitch.device.server.handlers.table import CommandRow, Payload, Table
from keyswitch.device.server.handlers.views import CountsView
from keyswitch.device.server.reply import Call, GroupError, Reply, SmpError
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import stat
from keyswitch.smp.header import Op

GROUP: Final = "smp_svr_stats"
MAX_NAME: Final = 32
"""Zephyr `MCUMGR_GRP_STAT_MAX_NAME_LEN`, with the zero behind it."""


def show(core: CountsView, call: Call) -> Reply:
    """The counters of one group."""
    name = fields.text(call.body, "name")
    if not name or len(name.encode()) >= MAX_NAME:
        return SmpError(Rc.EINVAL)
    if name != GROUP:
        return GroupError(stat.Err.INVALID_STAT_NAME)
    return {"name": GROUP, "fields": asdict(core.counts)}


def listing(_device: object, _call: Call) -> Reply:
    """The names of the groups."""
    return {"stat_list": [GROUP]}


HANDLERS: Final[Table] = {
    (stat.ID, stat.Id.SHOW, Op.READ): CommandRow(show, Payload.MAP),
    (stat.ID, stat.Id.LIST, Op.READ): CommandRow(listing, Payload.IGNORED),
}
