"""Recorded ATT traffic as a sequence chart (Mermaid): who said what, when, in the words of the specification."""

import struct
from typing import Any

from keyswitch.gatt.att import AttOpcode, error_words
from keyswitch.gatt.database import AttributeKind, Database
from keyswitch.gatt.services import SERVICE_CHANGED_UUID, device_table
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode
from keyswitch.testing.world import VirtualWorld

NAMES = {
    ble.CHARACTERISTIC_UUID: "SMP",
    mode.CONTROL_UUID: "mode control",
    mode.STATE_UUID: "mode state",
    SERVICE_CHANGED_UUID: "Service Changed",
}
_DISCOVERY = {AttOpcode.READ_BY_GROUP_TYPE_REQ, AttOpcode.FIND_INFORMATION_REQ, AttOpcode.FIND_BY_TYPE_VALUE_REQ}
_TABLE = Database(device_table("", smp=True))


def _name(handle: int) -> str:
    attribute = _TABLE.at(handle)
    if attribute is None or attribute.characteristic is None:
        return f"handle {handle:#06x}"
    uuid = attribute.characteristic.uuid
    known = NAMES.get(uuid) or {0x2B29: "Client Supported Features", 0x2B2A: "Database Hash"}.get(int(uuid[4:8], 16))
    return f"{known or 'handle ' + format(handle, '#06x')}{' CCC' if attribute.kind is AttributeKind.CCC else ''}"


class Recording:
    """Listens at the device's side of one connection."""

    def __init__(self, world: VirtualWorld) -> None:
        self.lines: list[str] = []
        self._world = world
        self._discovering = False
        host: Any = world.peripheral._radio.host
        sink, send = host.att_sink, host.send_att

        def heard(handle: int, pdu: bytes) -> None:
            self._central(pdu)
            sink(handle, pdu)

        def sent(handle: int, pdu: bytes) -> None:
            self._device(pdu)
            send(handle, pdu)

        host.att_sink, host.send_att = heard, sent

    def note(self, text: str) -> None:
        """Something that is not ATT."""
        self._flush()
        self.lines.append(f"    Note over C,D: {text}")

    def chart(self) -> str:
        """The chart."""
        self._flush()
        head = ["```mermaid", "sequenceDiagram", "    participant C as central", "    participant D as device"]
        return "\n".join([*head, *self.lines, "```"])

    def _flush(self) -> None:
        if self._discovering:
            self.lines.append("    C->>D: discovers services, characteristics, descriptors")
            self._discovering = False

    def _say(self, arrow: str, text: str) -> None:
        self._flush()
        self.lines.append(f"    {arrow}: {text}")

    def _central(self, pdu: bytes) -> None:
        op = pdu[0]
        if op in _DISCOVERY or (op == AttOpcode.READ_BY_TYPE_REQ and pdu[5:7] == b"\x03\x28"):
            self._discovering = True
        elif op == AttOpcode.EXCHANGE_MTU_REQ:
            self._say("C->>D", f"MTU {struct.unpack('<H', pdu[1:3])[0]}?")
        elif op == AttOpcode.CONFIRMATION:
            self._say("C->>D", "confirms")
        elif op in (AttOpcode.WRITE_REQ, AttOpcode.WRITE_CMD):
            what = _name(int.from_bytes(pdu[1:3], "little"))
            value = pdu[3:].hex() if len(pdu) <= 5 else "a frame"
            kind = "Write Request" if op == AttOpcode.WRITE_REQ else "Write Command"
            self._say("C->>D", f"{kind} {what}: {value}")
        else:
            self._say("C->>D", f"request {op:#04x} {_name(int.from_bytes(pdu[1:3], 'little'))}")

    def _device(self, pdu: bytes) -> None:
        op = pdu[0]
        if op == AttOpcode.ERROR_RSP and pdu[4] != 0x0A:
            self._say("D-->>C", f"error {pdu[4]:#04x}, {error_words(pdu[4])}")
        elif op == AttOpcode.INDICATION:
            first, last = struct.unpack("<HH", pdu[3:])
            self._say("D->>C", f"Service Changed {first:#06x} to {last:#06x}")
        elif op == AttOpcode.NOTIFICATION:
            what = _name(int.from_bytes(pdu[1:3], "little"))
            self._say("D->>C", f"notification {what}")
        elif op == AttOpcode.WRITE_RSP:
            self._say("D-->>C", "Write Response")
        elif op == AttOpcode.EXCHANGE_MTU_RSP:
            self._say("D-->>C", f"MTU {struct.unpack('<H', pdu[1:3])[0]}")
