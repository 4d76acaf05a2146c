"""One frame, from bytes to answer: the order of checks, and the one door in front of every handler.

The first failure decides:

    fewer than 8 bytes                       no answer
    what `keyswitch.device.server.checks` refuses   its code, and the gate's with its reason
    the payload is not what it takes         3  EINVAL
    the handler's own word

The header's length is a lower bound: the payload is decoded from all that follows. What is behind the announced length
is the next request of the same packet, unless this one was answered `{rc}`.
"""

from dataclasses import replace
from typing import Final

from keyswitch.device import events
from keyswitch.device.server.core import Core
from keyswitch.device.server.handlers import basic, enum, fs, image, mode, os, settings, shell, stat
from keyswitch.device.server.handlers.table import Payload, Table
from keyswitch.device.server.output import OutgoingAnswer
from keyswitch.device.server.queue import Waiting
from keyswitch.device.server.reply import Body, Call, Reply, SmpError, encode, ends_packet
from keyswitch.errors import RemoteError
from keyswitch.gate.authorise import ASKING
from keyswitch.gate.decision import Refused
from keyswitch.gate.events import CommandServed, FirmwareCommand
from keyswitch.gate.peer import Peer
from keyswitch.policy.firmware_commands import FIRMWARE_COMMANDS
from keyswitch.smp import cbor
from keyswitch.smp.codes import Rc
from keyswitch.smp.commands import command_name
from keyswitch.smp.groups import mode as mode_group
from keyswitch.smp.header import HEADER_SIZE, Header

HANDLERS: Final[Table] = {
    **os.HANDLERS,
    **image.HANDLERS,
    **stat.HANDLERS,
    **settings.HANDLERS,
    **fs.HANDLERS,
    **shell.HANDLERS,
    **enum.HANDLERS,
    **basic.HANDLERS,
    **mode.HANDLERS,
}
"""The handler of every known command (`keyswitch.smp.commands.ALL_KEYS`), in every direction that it has."""

NOMEM: Final = SmpError(Rc.ENOMEM)
TOO_LARGE: Final = SmpError(Rc.EMSGSIZE)
_INVALID: Final = SmpError(Rc.EINVAL)


def execute(core: Core, peer: Peer, waiting: Waiting, now_ms: int) -> bool:
    """Execute the next frame of a packet; whether the packet is finished.

    `waiting.position` moves to the frame behind it.
    """
    packet, position = waiting.packet, waiting.position
    rest = packet if position == 0 else packet[position:]
    if len(rest) < HEADER_SIZE:
        return True
    request = Header.decode(rest)
    if peer.door is not waiting.door:
        peer = replace(peer, door=waiting.door)
    reply = _reply(core, peer, request, rest, now_ms)
    core.answer(OutgoingAnswer(peer.id, encode(request, reply, core.policy.smp.buf_size), waiting.door))
    behind = position + HEADER_SIZE + request.length
    finished = len(packet) - behind < HEADER_SIZE or ends_packet(request, reply)
    waiting.position = len(packet) if finished else behind
    return finished


def _reply(core: Core, peer: Peer, request: Header, packet: bytes, now_ms: int) -> Reply:
    for check in core.parts.checks:
        failure = check(core.decide, peer, request, packet)
        if failure is not None:
            if not isinstance(failure, Refused):
                return SmpError(failure)
            core.counts.refused += 1
            _note_refused(core, peer, request, failure)
            return failure
    row = HANDLERS[request.group, request.command, request.op]
    session = core.state.session
    if session is not None and session.owner == peer.id:
        core.owner_heard_ms = now_ms
    # The machine hears of each piece of an upload only where a quiet time can begin with it.
    quiet = core.policy.modes[core.state.mode].quiet_after_ms is not None
    if quiet and (request.group, request.command, request.op) in FIRMWARE_COMMANDS:
        core.feed(FirmwareCommand(peer=peer), now_ms)
    try:
        reply = row.handler(core, Call(peer, _body(row.payload, packet), now_ms))
    except RemoteError:
        reply = _INVALID
    core.counts.served += 1
    if isinstance(reply, Refused):
        _note_refused(core, peer, request, reply)
    # What was refused or malformed, or failed, is no use: else any stranger's nonsense would keep maintenance open.
    if isinstance(reply, dict) and (request.group != mode_group.ID or request.command not in ASKING):
        core.feed(CommandServed(peer=peer), now_ms)
    return reply


def _note_refused(core: Core, peer: Peer, request: Header, why: Refused) -> None:
    if core.happened and isinstance(core.happened[-1], events.ProofWrong | events.LockedOut):
        return  # this is what it was refused for, and it says more
    core.note(
        events.CommandRefused(
            command=command_name(request.group, request.command),
            reason=why.reason,
            detail=why.detail,
            mode=core.state.mode,
            by=events.by(peer),
        )
    )


def _body(payload: Payload, packet: bytes) -> Body:
    """The request's map, as far as its command looks at it."""
    if payload is Payload.IGNORED:
        return {}
    data = packet[HEADER_SIZE:]
    try:
        return cbor.loads_request(data)
    except RemoteError:
        if payload is Payload.LENIENT:
            return {}
        raise


def refuse(core: Core, peer: int, waiting: Waiting, reply: SmpError | Refused) -> bool:
    """Answer the next request of a packet that is not going to be executed; whether it holds one.

    The answer is `{rc}`, which ends a packet wherever it is given; so a packet costs one answer, however many requests
    its sender has put into it.
    """
    header = waiting.packet[waiting.position : waiting.position + HEADER_SIZE]
    if len(header) < HEADER_SIZE:
        return False
    request = Header.decode(header)
    if isinstance(reply, Refused) and peer in core.peers:
        _note_refused(core, core.peers[peer], request, reply)
    core.answer(OutgoingAnswer(peer, encode(request, reply, core.policy.smp.buf_size), waiting.door))
    return True


def refuse_dropped(core: Core) -> None:
    """Answer what the machine had dropped."""
    while core.dropped:
        drop(core, *core.dropped.pop(0))


def drop(core: Core, peer: int, waiting: Waiting) -> None:
    """Answer one packet that waited when the mode changed: with the mode that it would not be executed in."""
    core.counts.dropped += refuse(core, peer, waiting, core.why_dropped)
