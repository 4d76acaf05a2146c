"""Group fs: an empty file system that nobody writes to; a door for whoever tries it, gated like the others."""

from typing import Final

from keyswitch.device.server.handlers import fields
from keyswitch.device.server.handlers.table import CommandRow, Payload, Table
from keyswitch.device.server.reply import DONE, Call, GroupError, Reply, SmpError
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import fs
from keyswitch.smp.header import Op

HASHES: Final = {"crc32": {"format": 0, "size": 4}, "sha256": {"format": 1, "size": 32}}


def no_file(_device: object, call: Call) -> Reply:
    """There is none of any name."""
    return _named(call, fs.Err.FILE_NOT_FOUND)


def read_only(_device: object, call: Call) -> Reply:
    """None is made either."""
    return _named(call, fs.Err.READ_ONLY_FILESYSTEM)


def _named(call: Call, error: fs.Err) -> Reply:
    name = fields.text(call.body, "name")
    return GroupError(error) if name else SmpError(Rc.EINVAL)


def hash_types(_device: object, _call: Call) -> Reply:
    """What a file could be hashed with."""
    return {"types": HASHES}


def close(_device: object, _call: Call) -> Reply:
    """Nothing is open."""
    return DONE


HANDLERS: Final[Table] = {
    (fs.ID, fs.Id.FILE, Op.READ): CommandRow(no_file, Payload.MAP),
    (fs.ID, fs.Id.FILE, Op.WRITE): CommandRow(read_only, Payload.MAP),
    (fs.ID, fs.Id.STATUS, Op.READ): CommandRow(no_file, Payload.MAP),
    (fs.ID, fs.Id.HASH, Op.READ): CommandRow(no_file, Payload.MAP),
    (fs.ID, fs.Id.HASH_TYPES, Op.READ): CommandRow(hash_types, Payload.IGNORED),
    (fs.ID, fs.Id.CLOSE, Op.WRITE): CommandRow(close, Payload.IGNORED),
}
