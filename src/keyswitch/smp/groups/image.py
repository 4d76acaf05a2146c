"""Group 1, image: what lies in the slots, uploads, and what is to run next (Zephyr, `smp_group_1`)."""

from enum import IntEnum
from typing import Final

from keyswitch.smp.codes import Rc
from keyswitch.smp.group import Command, Group

ID: Final = 1


class Id(IntEnum):
    """Command ids. 2 to 4 (file, core list, core load) are legacy ids without a server."""

    STATE = 0
    UPLOAD = 1
    ERASE = 5
    SLOTS = 6


class Err(IntEnum):
    """Group errors (Zephyr `img_mgmt.h`, `enum img_mgmt_err_code_t`)."""

    OK = 0
    UNKNOWN = 1
    FLASH_CONFIG_QUERY_FAIL = 2
    NO_IMAGE = 3
    NO_TLVS = 4
    INVALID_TLV = 5
    TLV_MULTIPLE_HASHES_FOUND = 6
    TLV_INVALID_SIZE = 7
    HASH_NOT_FOUND = 8
    NO_FREE_SLOT = 9
    FLASH_OPEN_FAILED = 10
    FLASH_READ_FAILED = 11
    FLASH_WRITE_FAILED = 12
    FLASH_ERASE_FAILED = 13
    INVALID_SLOT = 14
    NO_FREE_MEMORY = 15
    FLASH_CONTEXT_ALREADY_SET = 16
    FLASH_CONTEXT_NOT_SET = 17
    FLASH_AREA_DEVICE_NULL = 18
    INVALID_PAGE_OFFSET = 19
    INVALID_OFFSET = 20
    INVALID_LENGTH = 21
    INVALID_IMAGE_HEADER = 22
    INVALID_IMAGE_HEADER_MAGIC = 23
    INVALID_HASH = 24
    INVALID_FLASH_ADDRESS = 25
    VERSION_GET_FAILED = 26
    CURRENT_VERSION_IS_NEWER = 27
    IMAGE_ALREADY_PENDING = 28
    INVALID_IMAGE_VECTOR_TABLE = 29
    INVALID_IMAGE_TOO_LARGE = 30
    INVALID_IMAGE_DATA_OVERRUN = 31
    IMAGE_CONFIRMATION_DENIED = 32
    IMAGE_SETTING_TEST_TO_ACTIVE_DENIED = 33
    ACTIVE_SLOT_NOT_KNOWN = 34


_V1: Final = {
    Rc.ENOENT: (Err.NO_IMAGE, Err.NO_TLVS),
    Rc.EBADSTATE: (Err.NO_FREE_SLOT, Err.CURRENT_VERSION_IS_NEWER, Err.IMAGE_ALREADY_PENDING),
    Rc.ENOMEM: (Err.NO_FREE_MEMORY,),
    Rc.EINVAL: (
        Err.INVALID_SLOT,
        Err.INVALID_PAGE_OFFSET,
        Err.INVALID_OFFSET,
        Err.INVALID_LENGTH,
        Err.INVALID_IMAGE_HEADER,
        Err.INVALID_HASH,
        Err.INVALID_FLASH_ADDRESS,
    ),
}

GROUP: Final = Group(
    id=ID,
    name="image",
    label="img mgmt",
    commands=(
        Command(group=ID, id=Id.STATE, name="image.state", reads=True, writes=True),
        Command(group=ID, id=Id.UPLOAD, name="image.upload", writes=True),
        Command(group=ID, id=Id.ERASE, name="image.erase", writes=True),
        Command(group=ID, id=Id.SLOTS, name="image.slots", reads=True),
    ),
    errors=Err,
    v1={error: rc for rc, errors in _V1.items() for error in errors},
)
