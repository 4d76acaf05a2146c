"""Group 0, os: echo, reset and what the device says about itself (Zephyr, `smp_group_0`)."""

from enum import IntEnum
from typing import Final

from keyswitch.smp.codes import Rc
from keyswitch.smp.group import Command, Group

ID: Final = 0


class Id(IntEnum):
    """Command ids. 1, console echo control, has no server."""

    ECHO = 0
    TASKSTAT = 2
    MEMORY = 3
    DATETIME = 4
    RESET = 5
    PARAMS = 6
    INFO = 7
    BOOTLOADER = 8


class Err(IntEnum):
    """Group errors."""

    OK = 0
    UNKNOWN = 1
    INVALID_FORMAT = 2
    QUERY_YIELDS_NO_ANSWER = 3
    RTC_NOT_SET = 4
    RTC_COMMAND_FAILED = 5
    QUERY_RESPONSE_VALUE_NOT_VALID = 6


GROUP: Final = Group(
    id=ID,
    name="os",
    label="os mgmt",
    commands=(
        Command(group=ID, id=Id.ECHO, name="os.echo", reads=True, writes=True),
        Command(group=ID, id=Id.TASKSTAT, name="os.taskstat", reads=True),
        Command(group=ID, id=Id.MEMORY, name="os.memory", reads=True),
        Command(group=ID, id=Id.DATETIME, name="os.datetime", reads=True, writes=True),
        Command(group=ID, id=Id.RESET, name="os.reset", writes=True),
        Command(group=ID, id=Id.PARAMS, name="os.params", reads=True),
        Command(group=ID, id=Id.INFO, name="os.info", reads=True),
        Command(group=ID, id=Id.BOOTLOADER, name="os.bootloader", reads=True),
    ),
    errors=Err,
    v1={Err.INVALID_FORMAT: Rc.EINVAL, Err.QUERY_YIELDS_NO_ANSWER: Rc.ENOENT, Err.RTC_NOT_SET: Rc.ENOENT},
)
