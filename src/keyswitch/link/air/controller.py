"""A controller on the modelled air: Bumble's, with what the air needs; what hosts stumble over is repaired.

Rules kept here:

* Legacy advertising and scanning only; scan responses are delivered, advertising intervals have their units and their
  random delay, a cancelled connection attempt is answered.
* LL Privacy is not offered: it would promise Enhanced Connection Complete events.
* HCI Reset and `vanish` drop everything silently, as a controller does that loses power.
* Data packets are not parsed, and nothing is formatted for a log that nobody reads.
* A host that sends more data than the buffers it was told of, longer data than they hold, or parameters that the
  specification does not allow, is refused: no host makes another one's time long or this process's memory large.
"""

import asyncio
from typing import Any

from bumble import controller, hci, ll
from bumble.core import PhysicalTransport

from keyswitch.errors import RemoteError
from keyswitch.link.air.advertising import AirAdvertiser, Heard
from keyswitch.link.air.connection import AirConnection, AirEnd
from keyswitch.link.air.connection_events import Side
from keyswitch.link.air.link import AirLink, Member
from keyswitch.link.air.procedures import RSSI_DBM, Procedures, are_possible
from keyswitch.timing.rules import (
    INTERVAL_UNIT_US,
    MAX_DATA_LENGTH,
    SUPERVISION_UNIT_US,
    Phy,
    air_us,
)

_ACL_PACKET = 0x02
_ACL_HEADER_SIZE = 5
_ACL_FIRST_FLUSHABLE = 2
_HANDLE_MASK = 0x0FFF
_USE_ACCEPT_LIST = 1
_ACTIVE_SCAN = 1
_SCANNING_AND_INITIATING = 1 << 22 | 1 << 23
"""Passive and active, in LE_States (Vol 4 Part E 7.8.27): Bumble's controller does both and does not say so."""

_HOST_NUMBER_OF_COMPLETED_PACKETS = 3 << 10 | 0x35
"""Vol 4 Part E 7.3.40."""

_Success = hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)


class AirController(Procedures):
    """The controller. Its host side is a Bumble packet source and sink.

    Args:
        name: for error messages.
        air: where it is.
        public_address: must be its own on this air.
    """

    le_acl_data_packet_length = MAX_DATA_LENGTH
    total_num_le_acl_data_packets = 96
    supported_max_tx_octets = MAX_DATA_LENGTH
    supported_max_tx_time = air_us(Phy.LE_1M, MAX_DATA_LENGTH)
    supported_max_rx_octets = MAX_DATA_LENGTH
    supported_max_rx_time = air_us(Phy.LE_1M, MAX_DATA_LENGTH)
    le_features = Procedures.le_features & ~(
        hci.LeFeatureMask.LL_PRIVACY
        | hci.LeFeatureMask.EXTENDED_SCANNER_FILTER_POLICIES
        | hci.LeFeatureMask.LE_CODED_PHY
        | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    )

    le_states = (int.from_bytes(Procedures.le_states, "little") | _SCANNING_AND_INITIATING).to_bytes(8, "little")

    def __init__(self, name: str, air: AirLink, public_address: str) -> None:
        self.air = air
        self._accept_list: set[hci.Address] = set()
        self._reported: set[tuple[hci.Address, bytes]] = set()
        self._buffered: dict[int, int] = {}
        super().__init__(name, link=air, public_address=public_address)  # pyright: ignore[reportUnknownMemberType]  # not all annotated
        self.le_legacy_advertiser = self._new_advertiser()

    def _new_advertiser(self) -> AirAdvertiser:
        return AirAdvertiser(self, self.air.chance, lambda heard: self.air.broadcast(self, heard))

    # --- packets to and from the host ---

    def on_packet(self, packet: bytes) -> None:
        """A packet from the host."""
        if packet[0] == _ACL_PACKET:
            self._on_acl(packet)
        else:
            self.on_hci_packet(hci.HCI_Packet.from_bytes(packet))

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """A parsed packet from the host; everything but commands and data is ignored."""
        if isinstance(packet, hci.HCI_Command):
            self.on_hci_command_packet(packet)
        elif isinstance(packet, hci.HCI_AclDataPacket):
            self._on_acl(bytes(packet))

    def on_hci_command(self, command: hci.HCI_Command) -> Any:
        """A command that nothing here serves, answered as the specification asks for, and silently.

        Bumble's controller writes two lines for each, and leaves a host without an answer that it waits for (Vol 4 Part
        E 4.5: an unknown command is answered with 0x01). One command has no answer at all: Zephyr's host sends
        Host_Number_Of_Completed_Packets for each packet (7.3.40). The buffers that a host tells of are not counted.
        """
        if command.op_code == _HOST_NUMBER_OF_COMPLETED_PACKETS:
            return None
        if isinstance(command, hci.HCI_SyncCommand):
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR)
        unknown = hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR
        self.send_hci_packet(
            hci.HCI_Command_Status_Event(status=unknown, num_hci_command_packets=1, command_opcode=command.op_code)
        )
        return None

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """A packet to the host."""
        self.to_host(bytes(packet))

    def to_host(self, packet: bytes) -> None:
        """Bytes to the host, in order, never from within a call of the host's."""
        if self.hci_sink:
            asyncio.get_running_loop().call_soon(self.hci_sink.on_packet, packet)

    def completed(self, handle: int, count: int) -> None:
        """The peer's link layer has taken `count` of the host's packets."""
        self._buffered[handle] = self._buffered.get(handle, 0) - count
        self.to_host(
            b"\x04\x13\x05\x01" + handle.to_bytes(2, "little") + count.to_bytes(2, "little")
        )  # Vol 4 Part E 7.7.19

    def _on_acl(self, packet: bytes) -> None:
        word = int.from_bytes(packet[1:3], "little")
        end = self.end_of(word & _HANDLE_MASK)
        if end is not None:
            self._take_buffer(end.handle, len(packet) - _ACL_HEADER_SIZE)
            flags = word >> 12 & 3
            end.air.send(end.side, packet[5:], start=flags in (0, _ACL_FIRST_FLUSHABLE))

    def _take_buffer(self, handle: int, size: int) -> None:
        """Vol 4 Part E 4.1.1: a host may not send more than there are buffers, nor more in one than it holds."""
        if size > self.le_acl_data_packet_length:
            raise RemoteError(f"a data packet of {size} bytes; at most {self.le_acl_data_packet_length}")
        if sum(self._buffered.values()) >= self.total_num_le_acl_data_packets:
            raise RemoteError(f"more than {self.total_num_le_acl_data_packets} data packets at once")
        self._buffered[handle] = self._buffered.get(handle, 0) + 1

    # --- advertising, scanning, connecting ---

    @property
    def listening(self) -> bool:
        """Whether advertisements matter to this controller."""
        return self.le_scan_enable or self.pending_le_connection is not None

    def hear(self, heard: Heard, sender: Member) -> None:
        """An advertising event of `sender`."""
        if self.le_scan_enable:
            kinds = hci.HCI_LE_Advertising_Report_Event.EventType
            self._report(heard.address, kinds.ADV_IND if heard.connectable else kinds.ADV_NONCONN_IND, heard.data)
            if self.le_scan_type == _ACTIVE_SCAN and heard.scan_response is not None:
                self._report(heard.address, kinds.SCAN_RSP, heard.scan_response)
        pending: Any = self.pending_le_connection
        if pending is None or not heard.connectable or not self._wanted(pending, heard.address):
            return
        if heard.address in self.le_connections:
            return  # one connection between two devices: Vol 6 Part B 1.1.1
        self.pending_le_connection = None
        public = pending.own_address_type == hci.OwnAddressType.PUBLIC
        self.air.connect(
            self,
            sender,
            central_address=self.public_address if public else self.random_address,
            peripheral_address=heard.address,
            interval=pending.connection_interval_min,
            supervision=pending.supervision_timeout,
            latency=pending.max_latency,
        )

    def _wanted(self, pending: Any, address: hci.Address) -> bool:
        if pending.initiator_filter_policy == _USE_ACCEPT_LIST:
            return address in self._accept_list
        return bool(pending.peer_address == address)

    def _report(self, address: hci.Address, kind: int, data: bytes) -> None:
        if self.filter_duplicates:
            if (address, data) in self._reported:
                return
            self._reported.add((address, data))
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=kind, address_type=address.address_type, address=address, data=data, rssi=RSSI_DBM
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def open(self, air: AirConnection, *, self_address: hci.Address, peer_address: hci.Address) -> None:
        """This controller's end of a new connection: the first to be opened is the central's."""
        side = Side.PERIPHERAL if air.ends else Side.CENTRAL
        end = AirEnd(
            controller=self,
            handle=self.allocate_connection_handle(),
            role=hci.Role.PERIPHERAL if air.ends else hci.Role.CENTRAL,
            self_address=self_address,
            peer_address=peer_address,
            link=self.air,
            transport=PhysicalTransport.LE,
            link_type=hci.HCI_Connection_Complete_Event.LinkType.ACL,
        )
        end.air, end.side, end.owner = air, side, self
        air.ends[side] = end
        self.le_connections[peer_address] = end
        if side is Side.PERIPHERAL:
            self.le_legacy_advertiser.stop()
        parameters = air.model.parameters
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.SUCCESS,
                connection_handle=end.handle,
                role=end.role,
                peer_address_type=peer_address.address_type,
                peer_address=peer_address,
                connection_interval=parameters.interval_us // INTERVAL_UNIT_US,
                peripheral_latency=parameters.latency,
                supervision_timeout=parameters.supervision_us // SUPERVISION_UNIT_US,
                central_clock_accuracy=0,
            )
        )

    # --- what comes over the air ---

    def on_le_disconnected(self, connection: controller.Connection, reason: int) -> None:
        """This end is over."""
        self._buffered.pop(connection.handle, None)
        if self.le_connections.get(connection.peer_address) is connection:
            super().on_le_disconnected(connection, reason)
        if isinstance(connection, AirEnd):
            connection.air.leave(connection.side)

    def on_le_long_term_key_reply(self, connection: Any, request: ll.EncReq, long_term_key: bytes | None) -> None:
        """The host's key: other than the peer's, nothing can be decrypted and both ends notice."""
        if long_term_key is not None and long_term_key != request.ltk:
            connection.air.break_off(hci.HCI_ErrorCode.CONNECTION_TERMINATED_DUE_TO_MIC_FAILURE_ERROR)
        else:
            super().on_le_long_term_key_reply(connection, request, long_term_key)

    def on_le_encryption_change(self, connection: Any, status: int) -> None:
        """Encryption has begun, or was refused."""
        if status == hci.HCI_ErrorCode.SUCCESS:
            connection.air.model.encrypt()
        super().on_le_encryption_change(connection, status)

    def vanish(self) -> None:
        """Lose power: everything ends, nobody is told."""
        for end in list(self.le_connections.values()):
            if isinstance(end, AirEnd):
                end.air.leave(end.side)
        self.le_connections.clear()
        self._buffered.clear()
        self.le_legacy_advertiser.stop()
        self.le_legacy_advertiser = self._new_advertiser()
        self.le_scan_enable = False
        self.pending_le_connection = None
        self._accept_list.clear()

    # --- commands ---

    def on_hci_reset_command(self, _command: Any) -> hci.HCI_StatusReturnParameters:
        """Vol 4 Part E 7.3.2."""
        self.vanish()
        return _Success

    def on_hci_le_create_connection_command(self, command: Any) -> None:
        """Vol 4 Part E 7.8.12."""
        if not are_possible(command):
            self._send_hci_command_status(hci.HCI_ErrorCode.INVALID_COMMAND_PARAMETERS_ERROR, command.op_code)
            return
        super().on_hci_le_create_connection_command(command)

    def on_hci_le_extended_create_connection_command(self, command: Any) -> None:
        """Not offered: this air has legacy advertising alone."""
        self._send_hci_command_status(hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR, command.op_code)

    def on_hci_disconnect_command(self, command: Any) -> None:
        """Vol 4 Part E 7.1.6. The connection is over when the peer has acknowledged it."""
        end = self.end_of(command.connection_handle)
        if end is None:
            self._send_hci_command_status(hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, command.op_code)
            return
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        end.send_ll_control_pdu(ll.TerminateInd(command.reason))

    def on_hci_le_set_scan_enable_command(self, command: Any) -> hci.HCI_StatusReturnParameters:
        """Vol 4 Part E 7.8.11."""
        self._reported.clear()
        self.le_scan_enable = bool(command.le_scan_enable)
        self.filter_duplicates = bool(command.filter_duplicates)
        return _Success

    def on_hci_le_create_connection_cancel_command(self, _command: Any) -> hci.HCI_StatusReturnParameters:
        """Vol 4 Part E 7.8.13: the attempt ends with a Connection Complete that says so."""
        pending: Any = self.pending_le_connection
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.pending_le_connection = None
        asyncio.get_running_loop().call_soon(
            self.send_hci_packet,
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=pending.peer_address.address_type,
                peer_address=pending.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            ),
        )
        return _Success

    def on_hci_le_clear_filter_accept_list_command(self, _command: Any) -> hci.HCI_StatusReturnParameters:
        """Vol 4 Part E 7.8.15."""
        self._accept_list.clear()
        return _Success

    def on_hci_le_add_device_to_filter_accept_list_command(self, command: Any) -> hci.HCI_StatusReturnParameters:
        """Vol 4 Part E 7.8.16."""
        self._accept_list.add(command.address)
        return _Success

    def on_hci_le_remove_device_from_filter_accept_list_command(self, command: Any) -> hci.HCI_StatusReturnParameters:
        """Vol 4 Part E 7.8.17."""
        self._accept_list.discard(command.address)
        return _Success
