"""Group 8, fs: files (Zephyr, `smp_group_8`)."""

from enum import IntEnum
from typing import Final

from keyswitch.smp.codes import Rc
from keyswitch.smp.group import Command, Group

ID: Final = 8


class Id(IntEnum):
    """Command ids. `FILE` downloads on read and uploads on write."""

    FILE = 0
    STATUS = 1
    HASH = 2
    HASH_TYPES = 3
    CLOSE = 4


class Err(IntEnum):
    """Group errors."""

    OK = 0
    UNKNOWN = 1
    FILE_INVALID_NAME = 2
    FILE_NOT_FOUND = 3
    FILE_IS_DIRECTORY = 4
    FILE_OPEN_FAILED = 5
    FILE_SEEK_FAILED = 6
    FILE_READ_FAILED = 7
    FILE_TRUNCATE_FAILED = 8
    FILE_DELETE_FAILED = 9
    FILE_WRITE_FAILED = 10
    FILE_OFFSET_NOT_VALID = 11
    FILE_OFFSET_LARGER_THAN_FILE = 12
    CHECKSUM_HASH_NOT_FOUND = 13
    MOUNT_POINT_NOT_FOUND = 14
    READ_ONLY_FILESYSTEM = 15
    FILE_EMPTY = 16


GROUP: Final = Group(
    id=ID,
    name="fs",
    label="fs mgmt",
    commands=(
        Command(group=ID, id=Id.FILE, name="fs.file", reads=True, writes=True),
        Command(group=ID, id=Id.STATUS, name="fs.status", reads=True),
        Command(group=ID, id=Id.HASH, name="fs.hash", reads=True),
        Command(group=ID, id=Id.HASH_TYPES, name="fs.hash_types", reads=True),
        Command(group=ID, id=Id.CLOSE, name="fs.close", writes=True),
    ),
    errors=Err,
    v1={
        Err.FILE_INVALID_NAME: Rc.EINVAL,
        Err.CHECKSUM_HASH_NOT_FOUND: Rc.EINVAL,
        Err.FILE_NOT_FOUND: Rc.ENOENT,
        Err.MOUNT_POINT_NOT_FOUND: Rc.ENOENT,
    },
)
