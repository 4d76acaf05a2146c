"""Procedures of an established connection: parameters, PHY, data length, version, each at its instant."""

from dataclasses import dataclass
from typing import Any

from bumble import controller, hci

from keyswitch.link.air.connection import AirEnd
from keyswitch.link.air.connection_events import Parameters, Side
from keyswitch.link.air.link import AirLink
from keyswitch.timing.rules import (
    INTERVAL_UNIT_US,
    MAX_DATA_LENGTH,
    MAX_INTERVAL_US,
    MAX_LATENCY,
    MAX_SUPERVISION_US,
    MIN_DATA_LENGTH,
    MIN_INTERVAL_US,
    MIN_SUPERVISION_US,
    PROCEDURE_EVENTS,
    SUPERVISION_UNIT_US,
    Phy,
    air_us,
)

RSSI_DBM = -50
MAX_PROCEDURES = 16
"""That may wait on one connection; both hosts together never have more than a few."""


@dataclass(slots=True)
class _ConnectionUpdate:
    """What both hosts are told when the new parameters hold."""


@dataclass(slots=True)
class _PhyUpdate:
    asked_by: Side | None


@dataclass(slots=True)
class _LengthUpdate:
    """What both hosts are told when the data length has changed."""


@dataclass(slots=True)
class _VersionRequest:
    """LL_VERSION_IND that wants an answer."""


@dataclass(slots=True)
class _VersionResponse:
    version: int
    company: int
    subversion: int


class Procedures(controller.Controller):
    """The part of a controller that serves its connections.

    Attributes:
        air: where it is.
    """

    air: AirLink

    def end_of(self, handle: int) -> AirEnd | None:
        """Its end of the connection with this handle."""
        for end in self.le_connections.values():
            if end.handle == handle and isinstance(end, AirEnd):
                return end
        return None

    def on_control(self, end: AirEnd, packet: Any) -> None:
        """A control packet of the peer's."""
        match packet:
            case _VersionRequest():
                answer = _VersionResponse(self.lmp_version, self.manufacturer_company_identifier, self.lmp_subversion)
                end.air.control(end.side, answer)
            case _VersionResponse(version, company, subversion):
                self.send_hci_packet(
                    hci.HCI_Read_Remote_Version_Information_Complete_Event(
                        status=hci.HCI_ErrorCode.SUCCESS,
                        connection_handle=end.handle,
                        version=version,
                        manufacturer_name=company,
                        subversion=subversion,
                    )
                )
            case _:
                self.on_ll_control_pdu(end.peer_address, packet)

    def changed(self, end: AirEnd, parameters: Parameters, what: Any) -> None:
        """New parameters hold from this instant."""
        match what:
            case _ConnectionUpdate():
                self.send_hci_packet(
                    hci.HCI_LE_Connection_Update_Complete_Event(
                        status=hci.HCI_ErrorCode.SUCCESS,
                        connection_handle=end.handle,
                        connection_interval=parameters.interval_us // INTERVAL_UNIT_US,
                        peripheral_latency=parameters.latency,
                        supervision_timeout=parameters.supervision_us // SUPERVISION_UNIT_US,
                    )
                )
            case _PhyUpdate():
                phy = hci.Phy(parameters.phy.value)
                self.send_hci_packet(
                    hci.HCI_LE_PHY_Update_Complete_Event(
                        status=hci.HCI_ErrorCode.SUCCESS, connection_handle=end.handle, tx_phy=phy, rx_phy=phy
                    )
                )
            case _LengthUpdate():
                time_us = air_us(Phy.LE_1M, parameters.data_length)
                self.send_hci_packet(
                    hci.HCI_LE_Data_Length_Change_Event(
                        connection_handle=end.handle,
                        max_tx_octets=parameters.data_length,
                        max_tx_time=time_us,
                        max_rx_octets=parameters.data_length,
                        max_rx_time=time_us,
                    )
                )
            case _:
                pass

    def on_hci_le_connection_update_command(self, command: Any) -> None:
        """Vol 4 Part E 7.8.18. A peripheral's wish is granted as it is."""
        if not are_possible(command):
            self._send_hci_command_status(hci.HCI_ErrorCode.INVALID_COMMAND_PARAMETERS_ERROR, command.op_code)
            return
        end = self._pending(command.connection_handle, command.op_code)
        if end is not None:
            changes = {
                "interval_us": self.air.settings.interval_us or command.connection_interval_min * INTERVAL_UNIT_US,
                "latency": command.max_latency,
                "supervision_us": command.supervision_timeout * SUPERVISION_UNIT_US,
            }
            end.air.change(changes, _ConnectionUpdate())

    def on_hci_le_set_phy_command(self, command: Any) -> None:
        """Vol 4 Part E 7.8.49. The fastest that is asked for in both directions."""
        end = self._pending(command.connection_handle, command.op_code)
        if end is not None:
            wants_2m = command.tx_phys & command.rx_phys & hci.PhyBit.LE_2M
            phy = self.air.settings.phy or (Phy.LE_2M if wants_2m else Phy.LE_1M)
            end.air.change({"phy": phy}, _PhyUpdate(end.side))

    def on_hci_le_read_phy_command(self, command: Any) -> Any:
        """Vol 4 Part E 7.8.47."""
        end = self.end_of(command.connection_handle)
        phy = hci.Phy((end.air.model.parameters.phy if end else Phy.LE_1M).value)
        return hci.HCI_LE_Read_PHY_ReturnParameters(
            status=_status(end), connection_handle=command.connection_handle, tx_phy=phy, rx_phy=phy
        )

    def on_hci_le_set_data_length_command(self, command: Any) -> Any:
        """Vol 4 Part E 7.8.33."""
        end = self.end_of(command.connection_handle)
        if not MIN_DATA_LENGTH <= command.tx_octets <= MAX_DATA_LENGTH:
            return hci.HCI_StatusAndConnectionHandleReturnParameters(
                status=hci.HCI_ErrorCode.INVALID_COMMAND_PARAMETERS_ERROR, connection_handle=command.connection_handle
            )
        if end is not None and end.air.model.waiting_procedures >= MAX_PROCEDURES:
            return hci.HCI_StatusAndConnectionHandleReturnParameters(
                status=hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR, connection_handle=command.connection_handle
            )
        if end is not None:
            octets = self.air.settings.data_length or min(command.tx_octets, MAX_DATA_LENGTH)
            end.air.change({"data_length": octets}, _LengthUpdate(), events=PROCEDURE_EVENTS)
        return hci.HCI_StatusAndConnectionHandleReturnParameters(
            status=_status(end), connection_handle=command.connection_handle
        )

    def on_hci_read_rssi_command(self, command: Any) -> Any:
        """Vol 4 Part E 7.5.4."""
        status = _status(self.end_of(command.handle))
        return hci.HCI_Read_RSSI_ReturnParameters(status=status, handle=command.handle, rssi=RSSI_DBM)

    def on_hci_read_remote_version_information_command(self, command: Any) -> None:
        """Vol 4 Part E 7.1.23."""
        end = self._pending(command.connection_handle, command.op_code)
        if end is not None:
            end.air.control(end.side, _VersionRequest())

    def _pending(self, handle: int, op_code: int) -> AirEnd | None:
        end = self.end_of(handle)
        status = hci.HCI_COMMAND_STATUS_PENDING if end else hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
        if end is not None and end.air.model.waiting_procedures >= MAX_PROCEDURES:
            status, end = hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR, None
        self._send_hci_command_status(status, op_code)
        return end


def are_possible(wanted: Any) -> bool:
    """Whether a connection can have these parameters (Vol 4 Part E 7.8.12 and 7.8.18): fields of either command."""
    least: int = wanted.connection_interval_min
    most: int = wanted.connection_interval_max
    latency: int = wanted.max_latency
    supervision_us: int = wanted.supervision_timeout * SUPERVISION_UNIT_US
    return (
        MIN_INTERVAL_US <= least * INTERVAL_UNIT_US <= most * INTERVAL_UNIT_US <= MAX_INTERVAL_US
        and latency <= MAX_LATENCY
        and MIN_SUPERVISION_US <= supervision_us <= MAX_SUPERVISION_US
        and supervision_us > (1 + latency) * most * INTERVAL_UNIT_US * 2
    )


def _status(end: AirEnd | None) -> hci.HCI_ErrorCode:
    return hci.HCI_ErrorCode.SUCCESS if end else hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
