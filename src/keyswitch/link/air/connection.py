"""One connection on the air: the model between two controllers, woken by the loop when it has something to say."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from bumble import controller, hci, ll

from keyswitch.link.air.connection_events import (
    Acknowledged,
    Air,
    Arrived,
    Changed,
    Happening,
    Lost,
    Parameters,
    Pdu,
    Side,
)
from keyswitch.timing.rules import CONTROL_OCTETS, INSTANT_EVENTS

_ACL_START = 2
_ACL_CONTINUATION = 1
_ACL_FLAGS_SHIFT = 12
"""Vol 4 Part E 5.4.2: packet boundary flags stand above the 12 bits of the handle."""


class EndOwner(Protocol):
    """What a connection tells the controller at one of its ends."""

    def to_host(self, packet: bytes) -> None:
        """A data packet for the host."""
        ...

    def completed(self, handle: int, count: int) -> None:
        """So many of the host's packets have been acknowledged."""
        ...

    def changed(self, end: "AirEnd", parameters: Parameters, what: Any) -> None:
        """New parameters hold; `what` was handed to `AirConnection.change`."""
        ...

    def on_control(self, end: "AirEnd", packet: Any) -> None:
        """A control packet of the peer's."""
        ...

    def on_le_disconnected(self, connection: controller.Connection, reason: int) -> None:
        """The connection is over at this end."""
        ...


class AirEnd(controller.Connection):
    """What a controller knows of its end. Bumble's record, with the air behind it.

    Attributes:
        air: the connection.
        side: which end this is.
        owner: the controller whose end it is.
    """

    air: "AirConnection"
    side: Side
    owner: EndOwner

    def send_ll_control_pdu(self, packet: Any) -> None:
        """A control packet for the peer: through the air, before waiting data."""
        self.air.control(self.side, packet)


class AirConnection:
    """The model, its two ends, and the timer.

    Args:
        air: the model.
        now_us: the time on the air.
        ended: told once, when both ends are gone.
    """

    def __init__(self, air: Air, *, now_us: Callable[[], int], ended: "Callable[[AirConnection], None]") -> None:
        self.model = air
        self.ends: dict[Side, AirEnd] = {}
        self._now_us = now_us
        self._ended = ended
        self._timer: asyncio.TimerHandle | None = None

    # --- from the controllers ---

    def begin(self) -> None:
        """Both ends are there: start."""
        self._rearm()

    def send(self, side: Side, data: bytes, *, start: bool) -> None:
        """A host's packet."""
        self.model.send(side, data, start=start, now_us=self._now_us())
        self._rearm()

    def control(self, side: Side, what: Any, octets: int = CONTROL_OCTETS) -> None:
        """A control packet."""
        self.model.control(side, what, octets=octets, now_us=self._now_us())
        self._rearm()

    def change(self, changes: dict[str, Any], what: Any, events: int = INSTANT_EVENTS) -> None:
        """Parameters that change at an instant; both ends are told with `what`."""
        self.model.change(changes, what, now_us=self._now_us(), events=events)
        self._rearm()

    def leave(self, side: Side) -> None:
        """This end is gone; nothing more reaches it. The other is not told."""
        if self.ends.pop(side, None) is None:
            return
        self.model.mute(side, now_us=self._now_us())
        if self.ends:
            self._rearm()
        else:
            if self._timer:
                self._timer.cancel()
            self._ended(self)

    def silence(self) -> None:
        """From now on neither end hears the other: out of range."""
        self.model.silence(now_us=self._now_us())
        self._rearm()

    def break_off(self, reason: int) -> None:
        """Both ends find at once that the connection is over."""
        for end in list(self.ends.values()):
            end.owner.on_le_disconnected(end, reason)

    # --- from the model ---

    def _rearm(self) -> None:
        when_us = self.model.next_us() if self.ends else None
        if self._timer:
            if when_us is not None and self._timer.when() == when_us / 1_000_000:
                return
            self._timer.cancel()
            self._timer = None
        if when_us is not None:
            self._timer = asyncio.get_running_loop().call_at(when_us / 1_000_000, self._wake, when_us)

    def _wake(self, when_us: int) -> None:
        self._timer = None
        completed = {Side.CENTRAL: 0, Side.PERIPHERAL: 0}
        for happening in self.model.advance(max(when_us, self._now_us())):
            self._tell(happening, completed)
        for side, count in completed.items():
            if count and (end := self.ends.get(side)):
                end.owner.completed(end.handle, count)
        self._rearm()

    def _tell(self, happening: Happening, completed: dict[Side, int]) -> None:
        match happening:
            case Changed(parameters, what):
                for end in list(self.ends.values()):
                    end.owner.changed(end, parameters, what)
            case Lost(side):
                self._end(side, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
            case Arrived(side, pdu):
                self._arrived(side, pdu)
            case Acknowledged(side, pdu):
                if pdu.last:
                    completed[side] += 1
                elif isinstance(pdu.control, ll.TerminateInd):
                    self._end(side, hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)

    def _arrived(self, side: Side, pdu: Pdu) -> None:
        end = self.ends.get(side)
        if end is None:
            return
        if pdu.control is None:
            end.owner.to_host(_acl(end.handle, pdu.data, start=pdu.start))
        else:
            end.owner.on_control(end, pdu.control)

    def _end(self, side: Side, reason: int) -> None:
        end = self.ends.get(side)
        if end is not None:
            end.owner.on_le_disconnected(end, reason)


def _acl(handle: int, data: bytes, *, start: bool) -> bytes:
    flags = _ACL_START if start else _ACL_CONTINUATION
    word = handle | flags << _ACL_FLAGS_SHIFT
    return b"".join((b"\x02", word.to_bytes(2, "little"), len(data).to_bytes(2, "little"), data))
