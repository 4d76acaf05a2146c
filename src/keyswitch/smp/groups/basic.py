"""Group 63, Zephyr's own "basic" group: one command, which wipes the storage partition without asking."""

from enum import IntEnum
from typing import Final

from keyswitch.smp.codes import Rc
from keyswitch.smp.group import Command, Group

ID: Final = 63


class Id(IntEnum):
    """Command ids."""

    ERASE_STORAGE = 0


class Err(IntEnum):
    """Group errors."""

    OK = 0
    UNKNOWN = 1
    FLASH_OPEN_FAILED = 2
    FLASH_CONFIG_QUERY_FAIL = 3
    FLASH_ERASE_FAILED = 4


GROUP: Final = Group(
    id=ID,
    name="basic",
    label="basic mgmt",
    commands=(Command(group=ID, id=Id.ERASE_STORAGE, name="basic.erase_storage", writes=True),),
    errors=Err,
    # Zephyr translates 3 and 4 to 0, which tells a version 1 client that all went well; here they stay errors.
    v1={Err.FLASH_OPEN_FAILED: Rc.ENOENT},
)
