"""What one frame has to pass before its handler sees it: each check is a value, and the first failure decides.

The order is Zephyr's (`smp.c`), with the gate behind the look-up:

`is_whole`        fewer payload bytes than announced         9  ECORRUPT
`is_request`      op is neither read nor write               8  ENOTSUP
`is_spoken`       version 2 or 3                             13 UNSUPPORTED_TOO_NEW
`is_known`        no such group, command, or direction       8  ENOTSUP
`is_let_through`  the gate refuses                           11 EACCESSDENIED, or 10 EBUSY, with its reason
"""

from collections.abc import Callable
from typing import Final

from keyswitch.gate.decision import Decision, Refused
from keyswitch.gate.peer import Peer
from keyswitch.smp.codes import Rc
from keyswitch.smp.commands import ALL_KEYS
from keyswitch.smp.header import HEADER_SIZE, Header, Op, SmpVersion

Door = Callable[[Peer, tuple[int, int, int]], Decision]
"""The gate as it stands at this moment: asked for a peer and a command (group, id, op)."""

Check = Callable[[Door, Peer, Header, bytes], Rc | Refused | None]
"""Why a frame is not executed: an error of SMP's own, or the gate's refusal; None: this check has nothing against it.

The bytes are the packet from this frame's header on.
"""

_OPS: Final = frozenset({Op.READ.value, Op.WRITE.value})


def is_whole(_door: Door, _peer: Peer, request: Header, packet: bytes) -> Rc | None:
    """The header's length is a lower bound."""
    return Rc.ECORRUPT if len(packet) - HEADER_SIZE < request.length else None


def is_request(_door: Door, _peer: Peer, request: Header, _packet: bytes) -> Rc | None:
    """Six of the eight ops ask for nothing."""
    return None if request.op in _OPS else Rc.ENOTSUP


def is_spoken(_door: Door, _peer: Peer, request: Header, _packet: bytes) -> Rc | None:
    """Versions 1 and 2 of the protocol, which the header numbers 0 and 1."""
    return Rc.UNSUPPORTED_TOO_NEW if request.version > SmpVersion.V2 else None


def is_known(_door: Door, _peer: Peer, request: Header, _packet: bytes) -> Rc | None:
    """Unknown in every mode, before the gate is asked."""
    return None if (request.group, request.command, request.op) in ALL_KEYS else Rc.ENOTSUP


def is_let_through(door: Door, peer: Peer, request: Header, _packet: bytes) -> Refused | None:
    """The gate, for exactly the command that is going to be executed. The payload has no say in it."""
    decision = door(peer, (request.group, request.command, request.op))
    return decision if isinstance(decision, Refused) else None


CHECKS: Final[tuple[Check, ...]] = (is_whole, is_request, is_spoken, is_known, is_let_through)
"""All of them, in order."""
