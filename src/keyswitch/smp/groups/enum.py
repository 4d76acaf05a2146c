"""Group 10, enum: which groups a device serves (Zephyr, `smp_group_10`)."""

from enum import IntEnum
from typing import Final

from keyswitch.smp.codes import Rc
from keyswitch.smp.group import Command, Group

ID: Final = 10


class Id(IntEnum):
    """Command ids."""

    COUNT = 0
    LIST = 1
    SINGLE = 2
    DETAILS = 3


class Err(IntEnum):
    """Group errors."""

    OK = 0
    UNKNOWN = 1
    TOO_MANY_GROUP_ENTRIES = 2
    INSUFFICIENT_HEAP_FOR_ENTRIES = 3
    INDEX_TOO_LARGE = 4


GROUP: Final = Group(
    id=ID,
    name="enum",
    label="enum mgmt",
    commands=(
        Command(group=ID, id=Id.COUNT, name="enum.count", reads=True),
        Command(group=ID, id=Id.LIST, name="enum.list", reads=True),
        Command(group=ID, id=Id.SINGLE, name="enum.single", reads=True),
        Command(group=ID, id=Id.DETAILS, name="enum.details", reads=True),
    ),
    errors=Err,
    v1={Err.TOO_MANY_GROUP_ENTRIES: Rc.EINVAL},
)
