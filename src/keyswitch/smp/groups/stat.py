"""Group 2, stat: counters by name (Zephyr, `smp_group_2`)."""

from enum import IntEnum
from typing import Final

from keyswitch.smp.codes import Rc
from keyswitch.smp.group import Command, Group

ID: Final = 2


class Id(IntEnum):
    """Command ids."""

    SHOW = 0
    LIST = 1


class Err(IntEnum):
    """Group errors."""

    OK = 0
    UNKNOWN = 1
    INVALID_GROUP = 2
    INVALID_STAT_NAME = 3
    INVALID_STAT_SIZE = 4
    WALK_ABORTED = 5


GROUP: Final = Group(
    id=ID,
    name="stat",
    label="stat mgmt",
    commands=(
        Command(group=ID, id=Id.SHOW, name="stat.show", reads=True),
        Command(group=ID, id=Id.LIST, name="stat.list", reads=True),
    ),
    errors=Err,
    v1={Err.INVALID_GROUP: Rc.ENOENT, Err.INVALID_STAT_NAME: Rc.ENOENT, Err.INVALID_STAT_SIZE: Rc.EINVAL},
)
