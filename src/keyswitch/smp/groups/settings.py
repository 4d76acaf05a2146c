"""Group 3, settings: named values that survive a reset (Zephyr, `smp_group_3`)."""

from enum import IntEnum
from typing import Final

from keyswitch.smp.codes import Rc
from keyswitch.smp.group import Command, Group

ID: Final = 3


class Id(IntEnum):
    """Command ids. `STORAGE` loads on read and saves on write."""

    VALUE = 0
    DELETE = 1
    COMMIT = 2
    STORAGE = 3


class Err(IntEnum):
    """Group errors."""

    OK = 0
    UNKNOWN = 1
    KEY_TOO_LONG = 2
    KEY_NOT_FOUND = 3
    READ_NOT_SUPPORTED = 4
    ROOT_KEY_NOT_FOUND = 5
    WRITE_NOT_SUPPORTED = 6
    DELETE_NOT_SUPPORTED = 7
    SAVE_NOT_SUPPORTED = 8


GROUP: Final = Group(
    id=ID,
    name="settings",
    label="settings mgmt",
    commands=(
        Command(group=ID, id=Id.VALUE, name="settings.value", reads=True, writes=True),
        Command(group=ID, id=Id.DELETE, name="settings.delete", writes=True),
        Command(group=ID, id=Id.COMMIT, name="settings.commit", writes=True),
        Command(group=ID, id=Id.STORAGE, name="settings.storage", reads=True, writes=True),
    ),
    errors=Err,
    v1={Err.KEY_TOO_LONG: Rc.EINVAL, Err.KEY_NOT_FOUND: Rc.ENOENT, Err.READ_NOT_SUPPORTED: Rc.ENOENT},
)
