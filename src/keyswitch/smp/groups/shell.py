"""Group 9, shell: a command line (Zephyr, `smp_group_9`)."""

from enum import IntEnum
from typing import Final

from keyswitch.smp.codes import Rc
from keyswitch.smp.group import Command, Group

ID: Final = 9


class Id(IntEnum):
    """Command ids."""

    EXEC = 0


class Err(IntEnum):
    """Group errors."""

    OK = 0
    UNKNOWN = 1
    COMMAND_TOO_LONG = 2
    EMPTY_COMMAND = 3


GROUP: Final = Group(
    id=ID,
    name="shell",
    label="shell mgmt",
    commands=(Command(group=ID, id=Id.EXEC, name="shell.exec", writes=True),),
    errors=Err,
    v1={Err.COMMAND_TOO_LONG: Rc.EINVAL, Err.EMPTY_COMMAND: Rc.EINVAL},
)
