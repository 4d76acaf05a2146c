"""One connection on the air, exchange by exchange: packets and times in, arrivals and times out.

The rules (Core spec Vol 6 Part B 4.5, and what phones and hosts do):

* At each anchor point the central sends, the peripheral answers T_IFS later, and so on. Air time follows from PHY and
  length.
* The event ends when both have sent an empty packet, when the next exchange would not end T_IFS before the next anchor
  point, after `pdus_per_event` exchanges, or after two packets in a row with a wrong CRC.
* Sequence numbers are the real ones: what was not acknowledged is sent again, and a repetition is not delivered twice.
* A host sees what arrived with the end of the event in which it arrived; its answer goes into the next event. Inside an
  event that is open, what a host hands over goes out only `host_us` later. So that hosts which really compute can keep
  to this, they are told `host_us` before the event's end: that is the time they have.
* A side that hears nothing for the supervision timeout says that the connection is lost.
* A change of interval, PHY or data length takes effect at its instant, for both sides at once.

The model is lazy: it is asked to `advance` to a time, and has by then played every exchange that begins in the next
`host_us` of an open event, and none of an event that is not open yet.
Nobody calls it while nothing is to be sent: an event of two empty packets changes nothing.
"""

import random
from collections import deque
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Final

from keyswitch.frozen import quickly_made
from keyswitch.timing.rules import (
    CRC_ERRORS_END_EVENT,
    INSTANT_EVENTS,
    MAX_DATA_LENGTH,
    MIN_DATA_LENGTH,
    Phy,
    air_us,
    exchange_us,
)


class Side(IntEnum):
    """Which end of the connection."""

    CENTRAL = 0
    PERIPHERAL = 1

    @property
    def other(self) -> "Side":
        """The one at the other end."""
        return _OTHER[self]


_OTHER: Final = (Side.PERIPHERAL, Side.CENTRAL)
"""Asked at every packet: to look a member up by its value costs more than all else that is done for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What holds on a connection between two instants. Times in microseconds, lengths in octets."""

    interval_us: int
    latency: int = 0
    supervision_us: int
    phy: Phy = Phy.LE_1M
    data_length: int = MIN_DATA_LENGTH
    encrypted: bool = False


@quickly_made
@dataclass(frozen=True, slots=True)
class Pdu:
    """What one packet carries. `last` marks the packet with which a host's buffer has gone out.

    Attributes:
        octets: length on the air.
        data: what the peer's host gets; empty for control packets.
        start: whether this is the first packet of an L2CAP frame.
        last: whether the sender's buffer is free once this is acknowledged.
        control: what a control packet says, opaque here; None in data packets.
    """

    octets: int
    data: bytes = b""
    start: bool = True
    last: bool = False
    control: Any = None


EMPTY = Pdu(0)
_LONGEST = Pdu(MAX_DATA_LENGTH)


@quickly_made
@dataclass(frozen=True, slots=True)
class Arrived:
    """`side` sees this packet."""

    side: Side
    pdu: Pdu


@quickly_made
@dataclass(frozen=True, slots=True)
class Acknowledged:
    """`side` learns that the peer's link layer has taken this packet of its own."""

    side: Side
    pdu: Pdu


@dataclass(frozen=True, slots=True)
class Lost:
    """`side` has heard nothing for the supervision timeout."""

    side: Side


@dataclass(frozen=True, slots=True)
class Changed:
    """The instant has come: these parameters hold now. `what` is handed back as it was given to `change`."""

    parameters: Parameters
    what: Any


Happening = Arrived | Acknowledged | Lost | Changed


@dataclass(slots=True)
class _End:
    """One end: what it wants to send, and its sequence numbers (Vol 6 Part B 4.5.9)."""

    last_heard_us: int
    queue: deque[Pdu] = field(default_factory=deque[Pdu])
    queued_octets: int = 0
    control: deque[Pdu] = field(default_factory=deque[Pdu])
    in_flight: Pdu | None = None
    sequence: int = 0
    expected: int = 0
    crc_errors: int = 0
    mute: bool = False

    def pick(self) -> Pdu:
        """The packet to send now: the one in flight again, else control before data, else an empty one."""
        if self.in_flight is None:
            if self.control:
                self.in_flight = self.control.popleft()
            elif self.queue:
                self.in_flight = self.queue.popleft()
                self.queued_octets -= self.in_flight.octets
            else:
                self.in_flight = EMPTY
        return self.in_flight

    def pick_if_acknowledged(self, expected_by_peer: int) -> Pdu:
        """What `pick` will be once a packet has come that expects this sequence number."""
        if self.in_flight is not None and expected_by_peer == self.sequence:
            return self.in_flight
        waiting = self.control or self.queue
        return waiting[0] if waiting else EMPTY

    @property
    def busy(self) -> bool:
        """Whether something is to be sent or repeated."""
        return bool(self.queue or self.control or (self.in_flight is not None and self.in_flight is not EMPTY))


class Air:
    """The model of one connection.

    Args:
        parameters: at the start.
        anchor_us: the first anchor point.
        host_us, loss, pdus_per_event: see `AirSettings`.
        chance: where losses are drawn from; untouched while `loss` is 0.
    """

    def __init__(
        self,
        *,
        parameters: Parameters,
        anchor_us: int,
        host_us: int,
        loss: float,
        pdus_per_event: int | None,
        chance: random.Random,
    ) -> None:
        self.parameters = parameters
        self.event_counter = 0
        self._anchor_us = anchor_us
        self._cursor_us = anchor_us
        self._open = True
        self._exchanges = 0
        self._host_us = host_us
        self._loss = loss
        self._limit = pdus_per_event
        self._chance = chance
        self._ends = (_End(anchor_us), _End(anchor_us))
        self._of_this_event: list[Happening] = []
        self._due: deque[tuple[int, Happening]] = deque()
        self._changes: list[tuple[int, dict[str, Any], Any]] = []
        self._lost = [False, False]

    # --- what the ends do ---

    def send(self, side: Side, data: bytes, *, start: bool, now_us: int) -> None:
        """Queue what a host handed over, cut to the data length. Its last packet is marked `last`."""
        self._play(now_us)
        length = self.parameters.data_length
        end = self._ends[side]
        end.queued_octets += len(data)
        pieces = [data[at : at + length] for at in range(0, len(data), length)] or [b""]
        for index, piece in enumerate(pieces):
            last = index == len(pieces) - 1
            end.queue.append(Pdu(len(piece), piece, start=start and index == 0, last=last))

    def control(self, side: Side, what: Any, *, octets: int, now_us: int) -> None:
        """Queue a control packet: before all data that has not gone out yet."""
        self._play(now_us)
        self._ends[side].control.append(Pdu(octets, control=what))

    def change(self, changes: dict[str, Any], what: Any, *, now_us: int, events: int = INSTANT_EVENTS) -> None:
        """Set fields of the parameters at an instant `events` events from the next one."""
        self._play(now_us)
        self._settle(now_us)
        self._changes.append((self.event_counter + 1 + events, changes, what))
        self._changes.sort(key=lambda change: change[0])

    @property
    def waiting_procedures(self) -> int:
        """Control packets and changes that were asked for and have not happened yet."""
        return len(self._changes) + sum(len(end.control) for end in self._ends)

    def encrypt(self) -> None:
        """From now on packets carry a MIC."""
        self.parameters = replace(self.parameters, encrypted=True)

    def mute(self, side: Side, *, now_us: int) -> None:
        """From now on nothing of this side is heard by the other: it is gone without a word."""
        self._play(now_us)
        self._settle(now_us)
        self._ends[side].mute = True
        for end in self._ends:
            end.queue.clear()
            end.control.clear()
            end.queued_octets = 0
            end.in_flight = None

    def silence(self, *, now_us: int) -> None:
        """From now on nothing arrives at either end: out of range."""
        self._play(now_us)
        self._settle(now_us)
        self._loss = 1.0

    # --- what comes of it ---

    def advance(self, now_us: int) -> list[Happening]:
        """All that is seen by hosts up to `now_us`, in order."""
        self._play(now_us)
        seen: list[Happening] = []
        while self._due and self._due[0][0] <= now_us:
            seen.append(self._due.popleft()[1])
        seen.extend(Lost(side) for side in Side if self._is_lost(side, now_us))
        return seen

    def next_us(self) -> int | None:
        """When to `advance` next, if nobody sends anything before; None: not at all."""
        times = [self._due[0][0]] if self._due else []
        if self._open:
            if self._of_this_event or self._busy:
                times.append(self._cursor_us if not self._exchanges else self._look_us())
        elif self._busy:
            times.append(self._anchor_us + self.parameters.interval_us)
        if self._changes:
            ahead = max(0, self._changes[0][0] - self.event_counter)
            times.append(self._anchor_us + ahead * self.parameters.interval_us)
        times.extend(self._deadline_us(side) for side in Side if self._may_lose(side))
        return min(times, default=None)

    # --- events ---

    @property
    def _busy(self) -> bool:
        return self._ends[0].busy or self._ends[1].busy

    def _look_us(self) -> int:
        """When to look again at an open event: not before its end can be known. Losses may end it at any time."""
        rest_us = 0 if self._loss else max(self._least_us(end) for end in self._ends)
        latest_us = self._anchor_us + self.parameters.interval_us - self._took_us(_LONGEST, EMPTY)
        return min(self._cursor_us + rest_us, max(latest_us, self._cursor_us)) - self._host_us

    def _least_us(self, end: _End) -> int:
        per_octet_us = air_us(self.parameters.phy, 1) - air_us(self.parameters.phy, 0)
        return len(end.queue) * self._took_us(EMPTY, EMPTY) + end.queued_octets * per_octet_us

    def _play(self, now_us: int) -> None:
        while True:
            if self._open:
                if self._cursor_us > now_us + (self._host_us if self._exchanges else 0):
                    return
                self._exchange()
            elif not self._next_event(now_us):
                return

    def _next_event(self, now_us: int) -> bool:
        """Open the next event that matters, if it begins by `now_us`. Events of empty packets alone are passed over."""
        if not self._busy:
            self._settle(now_us)
            if not self._changes or self._changes[0][0] > self.event_counter + 1:
                return False
        at_us = self._anchor_us + self.parameters.interval_us
        if at_us > now_us:
            return False
        self._begin(at_us)
        return True

    def _settle(self, now_us: int) -> None:
        """Pass over idle events that are over by `now_us`, as far as the next instant."""
        if self._open or self._busy:
            return
        passed = (now_us - self._anchor_us) // self.parameters.interval_us
        if self._changes:
            passed = min(passed, self._changes[0][0] - 1 - self.event_counter)
        if passed > 0:
            self.event_counter += passed
            self._anchor_us += passed * self.parameters.interval_us
            self._hear_idle(self._anchor_us)

    def _hear_idle(self, at_us: int) -> None:
        if self._loss >= 1:
            return
        for side in Side:
            if not self._ends[side.other].mute:
                self._ends[side].last_heard_us = at_us

    def _begin(self, at_us: int) -> None:
        self.event_counter += 1
        self._anchor_us = self._cursor_us = at_us
        self._open = True
        self._exchanges = 0
        for end in self._ends:
            end.crc_errors = 0
        while self._changes and self._changes[0][0] <= self.event_counter:
            _, changes, what = self._changes.pop(0)
            self.parameters = replace(self.parameters, **changes)
            self._due.append((at_us, Changed(self.parameters, what)))

    def _exchange(self) -> None:
        central, peripheral = self._ends
        if central.mute or peripheral.mute:
            self._end_event()
            return
        packet = central.pick()
        expected = self._took_us(packet, peripheral.pick_if_acknowledged(central.expected))
        if self._exchanges and self._cursor_us + expected > self._anchor_us + self.parameters.interval_us:
            self._end_event()
            return
        self._exchanges += 1
        self._transfer(Side.CENTRAL, packet)
        answer = peripheral.pick()
        self._transfer(Side.PERIPHERAL, answer)
        self._cursor_us += self._took_us(packet, answer)
        if (
            (packet is EMPTY and answer is EMPTY)
            or self._exchanges == self._limit
            or max(central.crc_errors, peripheral.crc_errors) >= CRC_ERRORS_END_EVENT
        ):
            self._end_event()

    def _took_us(self, packet: Pdu, answer: Pdu) -> int:
        return exchange_us(self.parameters.phy, packet.octets, answer.octets, encrypted=self.parameters.encrypted)

    def _transfer(self, sender: Side, packet: Pdu) -> None:
        here, there = self._ends[sender], self._ends[sender.other]
        if self._loss and self._fails(packet):
            there.crc_errors += 1  # it heard the access address, so it answers, and asks for this packet again
            return
        there.crc_errors = 0
        there.last_heard_us = self._cursor_us
        if here.sequence == there.expected:
            there.expected ^= 1
            if packet is not EMPTY:
                self._of_this_event.append(Arrived(sender.other, packet))
        if there.in_flight is not None and here.expected != there.sequence:
            if there.in_flight is not EMPTY:
                self._of_this_event.append(Acknowledged(sender.other, there.in_flight))
            there.sequence ^= 1
            there.in_flight = None

    def _fails(self, packet: Pdu) -> bool:
        # An empty packet is a twentieth as long as a full one: only an air that carries nothing loses it.
        return self._loss >= 1 or (packet is not EMPTY and self._chance.random() < self._loss)

    def _end_event(self) -> None:
        self._open = False
        seen_us = max(self._anchor_us, self._cursor_us - self._host_us)
        self._due.extend((seen_us, happening) for happening in self._of_this_event)
        self._of_this_event.clear()

    # --- supervision ---

    def _may_lose(self, side: Side) -> bool:
        if self._lost[side] or self._ends[side].mute:
            return False
        return self._ends[side.other].mute or self._loss >= 1 or (self._loss > 0 and self._busy)

    def _deadline_us(self, side: Side) -> int:
        return self._ends[side].last_heard_us + self.parameters.supervision_us

    def _is_lost(self, side: Side, now_us: int) -> bool:
        if not self._may_lose(side) or now_us < self._deadline_us(side):
            return False
        self._lost[side] = True
        return True
