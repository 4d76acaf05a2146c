"""Group basic: wipe the storage, that is, the settings. Gated like the others."""

from typing import Final

from keyswitch.device.server.handlers.table import CommandRow, Payload, Table
from keyswitch.device.server.handlers.views import SettingsView
from keyswitch.device.server.reply import DONE, Call, Reply
from keyswitch.smp.groups import basic
from keyswitch.smp.header import Op


def erase_storage(core: SettingsView, _call: Call) -> Reply:
    """Forget every setting."""
    core.settings.clear()
    return DONE


HANDLERS: Final[Table] = {(basic.ID, basic.Id.ERASE_STORAGE, Op.WRITE): CommandRow(erase_storage, Payload.IGNORED)}
