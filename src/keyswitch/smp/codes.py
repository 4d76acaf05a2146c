"""The codes that every group shares (Zephyr `mgmt_defines.h`, `enum mcumgr_err_t`)."""

from enum import IntEnum
from typing import Final


class Rc(IntEnum):
    """`rc` of an SMP-level error; the same number in both protocol versions."""

    EOK = 0
    EUNKNOWN = 1
    ENOMEM = 2
    EINVAL = 3
    ETIMEOUT = 4
    ENOENT = 5
    EBADSTATE = 6
    EMSGSIZE = 7
    ENOTSUP = 8
    ECORRUPT = 9
    EBUSY = 10
    EACCESSDENIED = 11
    UNSUPPORTED_TOO_OLD = 12
    UNSUPPORTED_TOO_NEW = 13
    EPERUSER = 256


def rc_name(rc: int) -> str:
    """The code's name, or its number where no specification names it: what a peer made up is still worth saying."""
    try:
        return Rc(rc).name
    except ValueError:
        return f"rc {rc}"


FIRST_USER_GROUP: Final = 64
"""Groups from here on belong to products."""
