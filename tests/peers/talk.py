"""Sequences of requests as data, and what a server makes of them; the same for a real server and for ours.

Rules:

* A step says what is sent, byte for byte but for the sequence number, and which answers a real server gave.
* What belongs to a step is found without waiting for silence: behind each step, and behind its first answer where one
  is expected (an emulated board hangs when it is sent too much at once), an echo is sent. Every answer that comes
  before the echo's is the step's: servers answer in order.
* An emulated board loses a line now and then. Where a stated answer, or the echo's, does not
  come from one, the same is sent once more and counted (`tests.rigs.lost`); what is missing then is missing.
* Of every answer, the header must be the request's with op, version and flags as the specification says; so a step
  states bodies only, and `version` where it is not the request's.
"""

import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from tests.rigs import lost
from tests.rigs.wire import Wire

from keyswitch.smp import cbor
from keyswitch.smp.framing import console
from keyswitch.smp.header import HEADER_SIZE, Header, Op

_BEHIND: Final = b"\xbfarfbehind\xff"
"""The answer to the echo behind a step: an indefinite map."""

Body = Mapping[str, object]
READ: Final = Op.READ
WRITE: Final = Op.WRITE
EMPTY: Final[Body] = {}

ANSWER_MS: Final = 5_000
"""How long the echo behind a step may take: an erase of a whole slot on an emulated board lies before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One packet that came back.

    Attributes:
        header: op, version, group, command.
        body: its map.
        stray: its sequence number, where that is not the request's: bytes behind a request are another one.
        payload: the map as it came; not compared.
    """

    header: tuple[int, int, int, int]
    body: Mapping[str, Any]
    stray: int | None = None
    payload: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request.

    Attributes:
        op: 0 to 7.
        group: SMP group.
        command: command id.
        payload: a map, bytes that may be no map, or nothing.
        version: the header's field: 0 is protocol version 1, and so on.
        flags: the header's second byte.
        reserved: the header's three highest bits.
        length: what the header says, where that is not the truth.
    """

    op: int
    group: int
    command: int
    payload: Body | bytes | None = None
    version: int = 1
    flags: int = 0
    reserved: int = 0
    length: int | None = None

    def encode(self, sequence: int) -> bytes:
        """The packet."""
        payload = self.payload
        data = b"" if payload is None else payload if isinstance(payload, bytes) else cbor.dumps(payload)
        header = Header(
            op=self.op,
            version=self.version,
            length=len(data) if self.length is None else self.length,
            group=self.group,
            sequence=sequence,
            command=self.command,
        ).encode()
        return bytes([header[0] | self.reserved << 5, self.flags]) + header[2:] + data


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something sent, and the bodies that a real server answers, in order.

    Attributes:
        asks: requests, put into one packet where there are several.
        answers: their bodies.
        exact: the first answer's payload, byte for byte, where that matters.
        cut_to: send only so many bytes of the packet.
        spoilt: whether its checksum is made wrong (console only).
        resets: whether the server restarts after its answer.
    """

    asks: tuple[Ask, ...]
    answers: tuple[Body, ...]
    exact: bytes | None = None
    cut_to: int | None = None
    spoilt: bool = False
    resets: bool = False


def step(
    op: int,
    group: int,
    command: int,
    payload: Body | bytes | None = None,
    answer: Body | None = None,
    *,
    resets: bool = False,
    version: int = 1,
) -> Step:
    """The ordinary step: one request, one answer; `answer` None means that nothing comes back."""
    ask = Ask(op=op, group=group, command=command, payload=payload, version=version)
    return Step(asks=(ask,), answers=() if answer is None else (answer,), resets=resets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A named sequence of steps on a server that has just started.

    Attributes:
        number: in the list of sequences, 1 to 60; from 101 what was added later.
        name: what it shows, in words.
        steps: in order.
    """

    number: int
    name: str
    steps: tuple[Step, ...] = field(default=())


class Partner(Protocol):
    """A server in conversation."""

    @property
    def wire(self) -> Wire:
        """The way to it."""
        ...

    @property
    def loses_lines(self) -> bool:
        """Whether silence may be a line that was lost on the way: true for emulated boards alone."""
        ...

    async def has_reset(self) -> None:
        """Wait until it has restarted, as it just said it would, and answers."""
        ...


async def play(talk: Talk, partner: Partner) -> list[list[Answer]]:
    """Say every step of `talk`; what came back, step by step."""
    heard: list[list[Answer]] = []
    sequence = 0
    for one in talk.steps:
        heard.append(await _say(one, partner, sequence))
        sequence = (sequence + 2) % 256
        if one.resets:
            await partner.has_reset()
    return heard


async def _say(one: Step, partner: Partner, sequence: int) -> list[Answer]:
    wire = partner.wire
    packet = b"".join(ask.encode(sequence) for ask in one.asks)[: one.cut_to]

    async def say() -> None:
        await (wire.send_bytes(_with_wrong_checksum(packet)) if one.spoilt else wire.send(packet))

    async def say_behind() -> None:
        await wire.send(Ask(op=WRITE, group=0, command=0, payload={"d": "behind"}).encode(behind))

    behind = sequence + 1
    answers = [await _asked(say, partner, f"{one}") or b""] if one.answers else []
    if not one.answers:
        await say()
    came = await _asked(say_behind, partner, f"the echo behind {one}")
    while came is not None and not (Header.decode(came).sequence == behind and came.endswith(_BEHIND)):
        answers.append(came)
        came = await wire.receive(ANSWER_MS)
    assert came is not None, f"the echo behind {one} was not answered"
    return [_answer(packet, sequence) for packet in answers if packet]


async def _asked(say: Callable[[], Awaitable[None]], partner: Partner, what: str) -> bytes | None:
    """What comes back first; said once more, and counted, where an emulated board may have lost it."""
    await say()
    came = await partner.wire.receive(ANSWER_MS)
    if came is None and partner.loses_lines:
        lost.LOST.append(what)
        await say()
        came = await partner.wire.receive(ANSWER_MS)
    return came


def _answer(packet: bytes, sequence: int) -> Answer:
    header, payload = Header.decode(packet), packet[HEADER_SIZE:]
    assert packet[1] == 0, f"flags in an answer: {packet.hex()}"
    assert header.length == len(payload), f"a wrong length in an answer: {packet.hex()}"
    assert header.op in (Op.READ_RESPONSE, Op.WRITE_RESPONSE)
    key = (header.op, header.version, header.group, header.command)
    stray = None if header.sequence == sequence else header.sequence
    return Answer(header=key, body=cbor.loads_map(payload), stray=stray, payload=payload)


def expected(one: Step) -> list[Answer]:
    """The answers that a real server gives to a step."""
    answers: list[Answer] = []
    for ask, body in zip(one.asks, one.answers, strict=False):
        op = Op.READ_RESPONSE if ask.op == READ else Op.WRITE_RESPONSE
        answers.append(Answer(header=(op, min(ask.version, 1), ask.group, ask.command), body=body))
    return answers


def _with_wrong_checksum(packet: bytes) -> bytes:
    """The console lines of `packet` with one bit of the checksum turned over."""
    lines = console.pieces(packet)
    coded = binascii.a2b_base64(lines[-1][2:])
    wrong = coded[:-1] + bytes([coded[-1] ^ 1])
    return b"".join(lines[:-1]) + lines[-1][:2] + binascii.b2a_base64(wrong, newline=False) + b"\n"


def difference(talk: Talk, heard: Sequence[Sequence[Answer]]) -> str | None:
    """Where `heard` first is not what a real server answers, in words; None if it is all the same."""
    for index, (one, answers) in enumerate(zip(talk.steps, heard, strict=True), start=1):
        wanted = expected(one)
        if one.exact is not None and [answer.payload for answer in answers] != [one.exact]:
            return f"{talk.number} {talk.name}, step {index}: not {one.exact.hex()} byte for byte"
        if list(answers) != wanted:
            return f"{talk.number} {talk.name}, step {index}:\n  {_said(answers)}\n  instead of\n  {_said(wanted)}"
    return None


def _said(answers: Sequence[Answer]) -> str:
    return "; ".join(f"{answer.header} {answer.body!r}" for answer in answers) or "silence"
