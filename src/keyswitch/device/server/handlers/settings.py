"""Group settings: values under one root, `app`, in memory only: a door for whoever tries it, gated like the others.

Zephyr finds a handler by the first part of a name and knows nothing under other roots; so does this one.
"""

from typing import Final

from keyswitch.device.server.handlers import fields
from keyswitch.device.server.handlers.table import CommandRow, Payload, Table
from keyswitch.device.server.handlers.views import SettingsView
from keyswitch.device.server.reply import DONE, Body, Call, GroupError, Reply, SmpError
from keyswitch.errors import RemoteError
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import settings
from keyswitch.smp.groups.settings import Err
from keyswitch.smp.header import Op

ROOT: Final = "app/"
MAX_NAME: Final = 32
"""Zephyr `MCUMGR_GRP_SETTINGS_NAME_LEN`."""
MAX_VALUE: Final = 64
"""Zephyr `MCUMGR_GRP_SETTINGS_VALUE_LEN`."""
MAX_VALUES: Final = 64
"""Values kept at once: memory is bounded whatever is written."""


def _name(body: Body) -> str | GroupError:
    name = fields.text(body, "name")
    if not name:
        raise RemoteError("settings: no name")
    if len(name.encode()) > MAX_NAME:
        return GroupError(Err.KEY_TOO_LONG)
    return name if name.startswith(ROOT) else GroupError(Err.ROOT_KEY_NOT_FOUND)


def read(core: SettingsView, call: Call) -> Reply:
    """One value."""
    name = _name(call.body)
    if isinstance(name, GroupError):
        return name
    value = core.settings.get(name)
    if value is None:
        return GroupError(Err.KEY_NOT_FOUND)
    limit = fields.uint(call.body, "max_size")
    return {"val": value} if limit is None or len(value) <= limit else {"val": value[:limit], "max_size": limit}


def write(core: SettingsView, call: Call) -> Reply:
    """Set one value."""
    name = _name(call.body)
    value = fields.data(call.body, "val")
    if isinstance(name, GroupError):
        return name
    if value is None or len(value) > MAX_VALUE:
        return SmpError(Rc.EINVAL)
    if name not in core.settings and len(core.settings) >= MAX_VALUES:
        return SmpError(Rc.ENOMEM)
    core.settings[name] = value
    return DONE


def delete(core: SettingsView, call: Call) -> Reply:
    """Forget one value. A root that nobody serves is a name that is not there."""
    name = _name(call.body)
    if isinstance(name, GroupError):
        return GroupError(Err.KEY_NOT_FOUND) if name.code == Err.ROOT_KEY_NOT_FOUND else name
    return DONE if core.settings.pop(name, None) is not None else GroupError(Err.KEY_NOT_FOUND)


def nothing(_device: object, _call: Call) -> Reply:
    """Commit, load and save: values are in effect at once, and kept in memory only."""
    return DONE


HANDLERS: Final[Table] = {
    (settings.ID, settings.Id.VALUE, Op.READ): CommandRow(read, Payload.MAP),
    (settings.ID, settings.Id.VALUE, Op.WRITE): CommandRow(write, Payload.MAP),
    (settings.ID, settings.Id.DELETE, Op.WRITE): CommandRow(delete, Payload.MAP),
    (settings.ID, settings.Id.COMMIT, Op.WRITE): CommandRow(nothing, Payload.IGNORED),
    (settings.ID, settings.Id.STORAGE, Op.READ): CommandRow(nothing, Payload.IGNORED),
    (settings.ID, settings.Id.STORAGE, Op.WRITE): CommandRow(nothing, Payload.IGNORED),
}
