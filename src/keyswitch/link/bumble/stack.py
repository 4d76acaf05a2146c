"""Bumble as we use it: the host of a controller, the security manager, the signalling channels. ATT is ours.

Rules kept here:

* Packets on their way to and from ATT touch neither Bumble's parsers nor its log lines, which are formatted whether
  anybody reads them or not and cost more than half of the time.
* Bumble's warnings stay in the log: nothing is printed unless the program sets up logging.
* Everything of Bumble that is overridden or reached into is here and in `link.air`, and named in one test.
"""

import logging
from collections.abc import Callable
from typing import Any

from bumble import hci
from bumble.device import Device, DeviceConfiguration
from bumble.host import Host
from bumble.snoop import Snooper

from keyswitch.link.bumble.bonds import Bonds
from keyswitch.link.bumble.outflow import Outflow

ATT_CHANNEL = 4
"""Core spec Vol 3 Part A 2.1."""
_L2CAP_HEADER = 4
_ACL_PACKET = 0x02
_ACL_HEADER = 5
_HANDLE_MASK = 0x0FFF
_CONTINUATION = 1
_COMPLETED_PACKETS = b"\x04\x13"
"""Event packet, Number Of Completed Packets: Vol 4 Part E 7.7.19."""

AttSink = Callable[[int, bytes], None]

_logger = logging.getLogger(__name__)
logging.getLogger("bumble").addHandler(logging.NullHandler())


class QuietHost(Host):
    """Bumble's host with a short way for data.

    Attributes:
        att_sink: takes handle and PDU of everything that arrives on the ATT channel.
        outflow: data on its way out; there after `reset`.
    """

    att_sink: AttSink | None = None
    outflow: Outflow | None = None

    def __init__(self) -> None:
        super().__init__()
        self._partial: dict[int, bytearray] = {}

    async def reset(self, *args: Any, **kwargs: Any) -> None:
        """Reset the controller and learn its buffers."""
        self._partial.clear()
        self.outflow = None
        await super().reset(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType]  # its argument is not annotated
        queue = self.le_acl_packet_queue
        if queue is not None:
            self.outflow = Outflow(self._to_controller, length=queue.max_packet_size, buffers=queue.max_in_flight)

    # --- to the controller ---

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """A packet of Bumble's."""
        self._to_controller(bytes(packet))

    def send_acl_sdu(self, connection_handle: int, sdu: bytes) -> None:
        """An L2CAP frame, Bumble's (signalling, security manager) or ours."""
        if self.outflow is not None and connection_handle in self.connections:
            self.outflow.put(connection_handle, sdu)

    def send_att(self, handle: int, pdu: bytes) -> None:
        """An ATT PDU."""
        self.send_acl_sdu(handle, len(pdu).to_bytes(2, "little") + ATT_CHANNEL.to_bytes(2, "little") + pdu)

    def _to_controller(self, packet: bytes) -> None:
        if self.snooper:
            self.snooper.snoop(packet, Snooper.Direction.HOST_TO_CONTROLLER)
        if self.hci_sink:
            self.hci_sink.on_packet(packet)

    # --- from the controller ---

    def on_packet(self, packet: bytes) -> None:
        """A packet of the controller's."""
        if self.ready and packet[0] == _ACL_PACKET:
            self._snoop(packet)
            self._on_data(packet)
        elif self.ready and packet[:2] == _COMPLETED_PACKETS:
            self._snoop(packet)
            self._on_completed(packet)
        else:
            super().on_packet(packet)

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """What `on_packet` did not handle, parsed by Bumble."""
        self._snoop(bytes(packet))
        if isinstance(packet, hci.HCI_Event):
            self.on_hci_event_packet(packet)

    def on_command_processed(self, event: Any) -> None:
        """The controller has answered a command. If its caller was cancelled meanwhile, there is nobody to tell."""
        host: Any = super()
        pending = self.__dict__.get("pending_response")
        if pending is None or not pending.done():
            host.on_command_processed(event)

    def on_hci_disconnection_complete_event(self, event: hci.HCI_Disconnection_Complete_Event) -> None:
        """A connection is over: nothing of it stays behind."""
        super().on_hci_disconnection_complete_event(event)
        self._partial.pop(event.connection_handle, None)
        if self.outflow is not None:
            self.outflow.drop(event.connection_handle)

    def _snoop(self, packet: bytes) -> None:
        if self.snooper:
            self.snooper.snoop(packet, Snooper.Direction.CONTROLLER_TO_HOST)

    def _on_completed(self, packet: bytes) -> None:
        count = packet[3]
        if self.outflow is None or len(packet) < 4 + 4 * count:
            return
        for at in range(4, 4 + 4 * count, 4):
            handle = int.from_bytes(packet[at : at + 2], "little") & _HANDLE_MASK
            self.outflow.completed(handle, int.from_bytes(packet[at + 2 : at + 4], "little"))

    def _on_data(self, packet: bytes) -> None:
        """Put L2CAP frames together: Vol 3 Part A 7.2."""
        word = int.from_bytes(packet[1:3], "little")
        handle, flags = word & _HANDLE_MASK, word >> 12 & 3
        if handle not in self.connections:
            return
        data = packet[_ACL_HEADER:]
        if flags == _CONTINUATION:
            partial = self._partial.get(handle)
            if partial is None:
                return
            partial += data
            frame = bytes(partial)
        else:
            frame = data
            self._partial.pop(handle, None)
        if len(frame) < 2 or len(frame) < _L2CAP_HEADER + int.from_bytes(frame[:2], "little"):  # noqa: PLR2004 - the length field
            if flags != _CONTINUATION:
                self._partial[handle] = bytearray(data)
            return
        self._partial.pop(handle, None)
        if len(frame) == _L2CAP_HEADER + int.from_bytes(frame[:2], "little"):
            self._on_frame(handle, frame)

    def _on_frame(self, handle: int, frame: bytes) -> None:
        channel = int.from_bytes(frame[2:4], "little")
        payload = frame[_L2CAP_HEADER:]
        if channel == ATT_CHANNEL:
            if self.att_sink is not None:
                self.att_sink(handle, payload)
            return
        try:
            self.emit("l2cap_pdu", handle, channel, payload)
        except Exception:  # whatever Bumble's parsers make of what a peer sends
            _logger.debug("dropped a frame of %d bytes on channel %#06x", len(payload), channel, exc_info=True)


class QuietDevice(Device):
    """Bumble's device without its GATT, and with legacy advertising only: 31 bytes are all that we send."""

    @property
    def supports_le_extended_advertising(self) -> bool:
        """No: connections would be announced only with an advertising set."""
        return False


def make_device(name: str, address: str, host: QuietHost, bonds: Bonds) -> QuietDevice:
    """A device on this host, without a controller yet."""
    config = DeviceConfiguration(
        name=name,
        address=hci.Address(address, hci.Address.RANDOM_DEVICE_ADDRESS),
        gap_service_enabled=False,
        gatt_service_enabled=False,
    )
    config.irk = bonds.irk
    device = QuietDevice(config=config, host=host)
    device.keystore = bonds
    return device
