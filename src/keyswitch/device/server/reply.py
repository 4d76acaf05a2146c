"""What a handler says: a body, an error of its group, an error of SMP's own, or a refusal; and how each is encoded.

version 1   {rc}, with the group's error translated, and `rsn` where there is a text
version 2   {err: {group, rc}} for the group's errors, {rc} for SMP's own
refusals    {rc, rsn} in both versions
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from keyswitch.device.server.core import Core
from keyswitch.gate.decision import Refused
from keyswitch.gate.peer import Peer
from keyswitch.smp import cbor
from keyswitch.smp.codes import Rc
from keyswitch.smp.commands import GROUPS
from keyswitch.smp.header import Header, SmpVersion


@dataclass(frozen=True, slots=True)
class GroupError:
    """An error of the request's own group. Attributes: text: `rsn` for a version 1 client."""

    code: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class SmpError:
    """An error that every group shares. Attributes: text: `rsn`, where it helps."""

    rc: Rc
    text: str = ""


Body = dict[str, Any]
Reply = Body | GroupError | SmpError | Refused

DONE: Final[Body] = {}
"""Success with nothing to say: an empty map, never `rc: 0`."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way to its handler, let through by the gate.

    Attributes:
        peer: who asks.
        body: the decoded payload; empty where the command takes none.
        now_ms: the device's time.
    """

    peer: Peer
    body: Body
    now_ms: int


Handler = Callable[[Core, Call], Reply]


def encode(request: Header, reply: Reply, max_packet: int) -> bytes:
    """The packet that answers `request`. An answer that does not fit `max_packet` bytes becomes EMSGSIZE."""
    payload = cbor.dumps_indefinite(reply if isinstance(reply, dict) else _error_body(request, reply))
    packet = request.answer(len(payload)) + payload
    if len(packet) > max_packet:
        return encode(request, SmpError(Rc.EMSGSIZE), max_packet)
    return packet


def ends_packet(request: Header, reply: Reply) -> bool:
    """Whether the answer is `{rc}`: then what follows in the same packet is not looked at."""
    return isinstance(reply, SmpError | Refused) or (isinstance(reply, GroupError) and request.version < SmpVersion.V2)


def _error_body(request: Header, reply: GroupError | SmpError | Refused) -> Body:
    if isinstance(reply, GroupError):
        if request.version >= SmpVersion.V2:
            return {"err": {"group": request.group, "rc": int(reply.code)}}
        rc = GROUPS[request.group].v1_code(reply.code)
    else:
        rc = reply.rc
    return {"rc": int(rc), "rsn": reply.text} if reply.text else {"rc": int(rc)}
