"""The Attribute Protocol's numbers and the few shapes that both ends share (Core spec Vol 3 Part F).

A UUID is a lower-case string of 36 characters everywhere above the wire; here it becomes 2 or 16 bytes, least
significant first.
"""

import struct
from enum import IntEnum

BASE_UUID_TAIL = "-0000-1000-8000-00805f9b34fb"
"""What a 16-bit UUID is short for: Vol 3 Part B 2.5.1."""

DEFAULT_MTU = 23
"""Vol 3 Part G 5.2.1."""
MAX_MTU = 515
"""Carries a value of 512 bytes, the longest there is (Vol 3 Part F 3.2.9); some stacks drop what is longer."""
PREFERRED_MTU = 498
"""A write or notification of 495 bytes fills two packets of 251 octets exactly: 495 + 3 of ATT + 4 of L2CAP."""
MAX_VALUE = 512
VALUE_OVERHEAD = 3
"""Opcode and handle before the value of a write or a notification."""

PRIMARY_SERVICE = 0x2800
SECONDARY_SERVICE = 0x2801
INCLUDE = 0x2802
CHARACTERISTIC = 0x2803
CCC = 0x2902

CCC_NOTIFY = 0x0001
CCC_INDICATE = 0x0002


class AttOpcode(IntEnum):
    """Opcodes: Vol 3 Part F 3.4.8."""

    ERROR_RSP = 0x01
    EXCHANGE_MTU_REQ = 0x02
    EXCHANGE_MTU_RSP = 0x03
    FIND_INFORMATION_REQ = 0x04
    FIND_INFORMATION_RSP = 0x05
    FIND_BY_TYPE_VALUE_REQ = 0x06
    FIND_BY_TYPE_VALUE_RSP = 0x07
    READ_BY_TYPE_REQ = 0x08
    READ_BY_TYPE_RSP = 0x09
    READ_REQ = 0x0A
    READ_RSP = 0x0B
    READ_BLOB_REQ = 0x0C
    READ_BLOB_RSP = 0x0D
    READ_MULTIPLE_REQ = 0x0E
    READ_MULTIPLE_RSP = 0x0F
    READ_BY_GROUP_TYPE_REQ = 0x10
    READ_BY_GROUP_TYPE_RSP = 0x11
    WRITE_REQ = 0x12
    WRITE_RSP = 0x13
    PREPARE_WRITE_REQ = 0x16
    EXECUTE_WRITE_REQ = 0x18
    NOTIFICATION = 0x1B
    INDICATION = 0x1D
    CONFIRMATION = 0x1E
    READ_MULTIPLE_VARIABLE_REQ = 0x20
    READ_MULTIPLE_VARIABLE_RSP = 0x21
    WRITE_CMD = 0x52
    SIGNED_WRITE_CMD = 0xD2


COMMAND_FLAG = 0x40
"""Set in opcodes that are not answered: Vol 3 Part F 3.3.1."""


class Error(IntEnum):
    """Error codes: Vol 3 Part F 3.4.1.1."""

    INVALID_HANDLE = 0x01
    READ_NOT_PERMITTED = 0x02
    WRITE_NOT_PERMITTED = 0x03
    INVALID_PDU = 0x04
    INSUFFICIENT_AUTHENTICATION = 0x05
    REQUEST_NOT_SUPPORTED = 0x06
    INVALID_OFFSET = 0x07
    INSUFFICIENT_AUTHORIZATION = 0x08
    ATTRIBUTE_NOT_FOUND = 0x0A
    INVALID_LENGTH = 0x0D
    INSUFFICIENT_ENCRYPTION = 0x0F
    UNSUPPORTED_GROUP_TYPE = 0x10
    DATABASE_OUT_OF_SYNC = 0x12
    VALUE_NOT_ALLOWED = 0x13

    @property
    def words(self) -> str:
        """For people."""
        return self.name.lower().replace("_", " ")


def error_words(code: int) -> str:
    """Any error code for people."""
    return _ERROR_WORDS.get(code, "unknown")


_ERROR_WORDS: dict[int, str] = {error.value: error.words for error in Error}


def uuid_bytes(uuid: str | int) -> bytes:
    """A UUID as it goes over the air: 2 bytes where it has a short form, else 16."""
    if isinstance(uuid, int):
        return struct.pack("<H", uuid)
    if uuid.startswith("0000") and uuid.endswith(BASE_UUID_TAIL):
        return bytes.fromhex(uuid[4:8])[::-1]
    return bytes.fromhex(uuid.replace("-", ""))[::-1]


def uuid_string(data: bytes) -> str:
    """The 36 characters of a UUID of 2, 4 or 16 bytes from the air. Other lengths are `ValueError`."""
    if len(data) in (2, 4):
        return f"{int.from_bytes(data, 'little'):08x}{BASE_UUID_TAIL}"
    if len(data) != 16:  # noqa: PLR2004 - Vol 3 Part B 2.5.1
        raise ValueError(f"a UUID of {len(data)} bytes")
    text = data[::-1].hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def short_uuid(number: int) -> str:
    """The 36 characters of a 16-bit UUID."""
    return f"{number:08x}{BASE_UUID_TAIL}"


def error_pdu(op: int, handle: int, error: int) -> bytes:
    """An ATT_ERROR_RSP: Vol 3 Part F 3.4.1.1."""
    return struct.pack("<BBHB", AttOpcode.ERROR_RSP, op, handle, error)
