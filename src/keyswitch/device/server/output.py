"""What the server hands back: answers to send, and effects that need a radio, a process or a clock.

Order is meaning: answers are sent in the order given, and the effects are carried out in the order given, after the
answers were handed to their links. `flash_us` is what the flash work would have taken: wait that long before either.
"""

from dataclasses import dataclass
from typing import Final

from keyswitch.device.events import DeviceEvent
from keyswitch.gate.decision import Refused
from keyswitch.gate.effects import (
    DropReassembly,
    EndConnections,
    Inhibit,
    ModeChanged,
    ResetNow,
    ShowService,
)
from keyswitch.gate.peer import Service

RuntimeEffect = DropReassembly | EndConnections | Inhibit | ModeChanged | ResetNow | ShowService
"""The effects of the gate that the server leaves to the runtime. All others it has carried out itself."""


@dataclass(frozen=True, slots=True)
class OutgoingAnswer:
    """One packet to send.

    Attributes:
        peer: id of the peer; if it has gone, the answer is dropped.
        packet: header and payload.
        door: the service to answer through, which is the one that the request came through.
    """

    peer: int
    packet: bytes
    door: Service = Service.SMP


@dataclass(frozen=True, slots=True)
class Output:
    """What one call led to.

    Attributes:
        answers: to send, in order.
        effects: to carry out, in order, after the answers were handed to their links. `EndConnections.after_answer`
            waits, within a bound, until they were delivered.
        flash_us: what the flash work of this call takes on the device's flash, in microseconds.
        refused: why the machine refused the event of this call (`Server.event`), so that a panel can say it.
        events: what happened, in order, to be recorded before the answers go out.
    """

    answers: tuple[OutgoingAnswer, ...] = ()
    effects: tuple[RuntimeEffect, ...] = ()
    flash_us: int = 0
    refused: Refused | None = None
    events: tuple[DeviceEvent, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to do; a refusal is not, and events are recorded already."""
        return bool(self.answers or self.effects or self.flash_us)


NOTHING: Final = Output()
