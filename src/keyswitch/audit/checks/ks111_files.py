"""KS-111: no file is written outside maintenance."""

from typing import Final

from keyswitch.audit.bench import FILE
from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import fs
from keyswitch.smp.header import Op

ID: Final = "KS-111"
WRITE: Final = CommandKey(fs.ID, fs.Id.FILE, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """A small file of the auditor's own."""
    del situation
    return (attempt(ID, WRITE, f"write the file {FILE}", {"name": FILE, "off": 0, "len": 4, "data": b"ks!\n"}),)


CHECK: Final = Check(
    id=ID,
    title="no file is written outside maintenance",
    requirement="Outside maintenance no file is made or changed.",
    why="Files hold scripts, keys, web pages and images for other cores.",
    how=(
        "A file of four bytes, /lfs1/ks-audit, in each mode that does not list fs.file:write. SMP cannot "
        "delete it again."
    ),
    finding="Anybody in reach puts files onto the machine.",
    remedy=(
        "Build without group 8 in products, or refuse it in the command hook; MGMT_EVT_OP_FS_MGMT_FILE_ACCESS"
        " sees names."
    ),
    catches="files are not gated",
    impact=Impact.IRREVERSIBLE,
    act=Matrix(attempts=attempts),
    commands=frozenset({WRITE}),
)
