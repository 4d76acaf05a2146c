"""Everything of Bumble that we override or reach into, by name. An upgrade that breaks it fails here, with the reason.

Bumble has no notion of a private surface and changes with every release. It is pinned; this is the list to go through.
"""

import importlib.metadata
import inspect

import pytest
from bumble import controller, core, device, hci, host, keys, link, ll, pairing, smp, snoop
from bumble.transport import common, open_transport

OVERRIDDEN = {
    (controller.Controller, "on_packet"): "the host's packets: data without parsing",
    (controller.Controller, "on_hci_packet"): "without formatting a log line for each packet",
    (controller.Controller, "send_hci_packet"): "likewise",
    (controller.Controller, "on_le_disconnected"): "the end of a connection on the air",
    (controller.Controller, "on_le_long_term_key_reply"): "different keys end both sides at once",
    (controller.Controller, "on_le_encryption_change"): "packets carry a MIC from then on",
    (controller.Controller, "on_hci_reset_command"): "does nothing in Bumble",
    (controller.Controller, "on_hci_disconnect_command"): "through the air, acknowledged",
    (controller.Controller, "on_hci_le_create_connection_cancel_command"): "never ends the attempt in Bumble",
    (controller.Controller, "on_hci_le_connection_update_command"): "at its instant",
    (controller.Controller, "on_hci_le_read_phy_command"): "always 1M in Bumble",
    (controller.Controller, "on_hci_le_set_scan_enable_command"): "duplicates",
    (controller.Controller, "on_hci_le_clear_filter_accept_list_command"): "ignored in Bumble",
    (controller.Controller, "on_hci_le_add_device_to_filter_accept_list_command"): "ignored in Bumble",
    (controller.Controller, "on_hci_le_remove_device_from_filter_accept_list_command"): "ignored in Bumble",
    (controller.Connection, "send_ll_control_pdu"): "control packets go through the air",
    (controller.LegacyAdvertiser, "_on_timer_fired"): "units of the interval, random delay",
    (controller.LegacyAdvertiser, "send_advertising_data"): "scan responses",
    (link.LocalLink, "add_controller"): "our own list of members",
    (link.LocalLink, "remove_controller"): "vanish without a word",
    (host.Host, "reset"): "our own queue towards the controller",
    (host.Host, "send_hci_packet"): "without formatting a log line for each packet",
    (host.Host, "send_acl_sdu"): "our own queue towards the controller",
    (host.Host, "on_packet"): "data and completions without parsing",
    (host.Host, "on_hci_packet"): "without formatting a log line for each packet",
    (host.Host, "on_hci_disconnection_complete_event"): "our queue forgets the connection",
    (device.Device, "supports_le_extended_advertising"): "legacy advertising only",
    (keys.KeyStore, "get"): "our store",
    (keys.KeyStore, "get_all"): "our store",
    (keys.KeyStore, "update"): "our store",
    (keys.KeyStore, "delete"): "our store",
    (pairing.PairingDelegate, "accept"): "whether pairing is wanted",
    (pairing.PairingDelegate, "display_number"): "the passkey for the panel",
    (pairing.PairingDelegate, "get_number"): "the passkey that a person read",
}

CALLED = {
    (controller.Controller, "on_hci_command_packet"): ["self", "command"],
    (controller.Controller, "on_ll_control_pdu"): ["self", "sender_address", "packet"],
    (controller.Controller, "allocate_connection_handle"): ["self"],
    (controller.Controller, "_send_hci_command_status"): ["self", "status", "op_code"],
    (controller.Controller, "set_packet_sink"): ["self", "sink"],
    (host.Host, "set_packet_source"): ["self", "source"],
    (host.Host, "set_packet_sink"): ["self", "sink"],
    (host.Host, "on_hci_event_packet"): ["self", "event"],
    (host.Host, "send_sync_command"): ["self", "command", "response_timeout"],
    (host.Host, "send_async_command"): ["self", "command", "check_status", "response_timeout"],
    (device.Device, "power_on"): ["self"],
    (device.Device, "refresh_resolving_list"): ["self"],
    (device.Connection, "pair"): ["self"],
    (device.Connection, "encrypt"): ["self", "enable"],
    (snoop.Snooper, "snoop"): ["self", "hci_packet", "direction"],
    (hci.Address, "to_string"): ["self", "with_type_qualifier"],
}

ATTRIBUTES = {
    controller.Controller: [
        "le_features",
        "le_acl_data_packet_length",
        "total_num_le_acl_data_packets",
        "supported_max_tx_octets",
        "supported_max_rx_octets",
        "pending_le_connection",
        "le_scan_enable",
        "le_scan_type",
        "filter_duplicates",
        "hci_sink",
        "lmp_version",
        "manufacturer_company_identifier",
    ],
    device.Device: ["connect_own_address_type", "keystore", "host"],
    smp.ErrorCode: ["PASSKEY_ENTRY_FAILED", "CONFIRM_VALUE_FAILED", "PAIRING_NOT_SUPPORTED", "REPEATED_ATTEMPTS"],
}

EVENTS = {
    device.Connection.EVENT_DISCONNECTION: "disconnection",
    device.Connection.EVENT_PAIRING_START: "pairing_start",
    device.Connection.EVENT_PAIRING: "pairing",
    device.Connection.EVENT_PAIRING_FAILURE: "pairing_failure",
    device.Connection.EVENT_CONNECTION_ENCRYPTION_CHANGE: "connection_encryption_change",
    device.Device.EVENT_CONNECTION: "connection",
    device.Device.EVENT_CONNECTION_FAILURE: "connection_failure",
    device.Device.EVENT_FLUSH: "flush",
}


def test_the_version_is_the_one_that_this_list_was_made_for():
    assert importlib.metadata.version("bumble") == "0.0.236"


def test_what_we_override_is_there():
    gone = [(owner, name, why) for (owner, name), why in OVERRIDDEN.items() if name not in vars(owner)]
    assert gone == []


def test_what_we_call_takes_what_we_give():
    for (owner, name), given in CALLED.items():
        parameters = list(inspect.signature(getattr(owner, name)).parameters)
        assert parameters[: len(given)] == given, (owner, name)


@pytest.mark.parametrize("owner", ATTRIBUTES, ids=lambda owner: owner.__name__)
def test_what_we_read_and_set_is_there(owner):
    assert [name for name in ATTRIBUTES[owner] if not hasattr(owner, name)] == []


def test_events_have_their_names():
    assert all(event == name for event, name in EVENTS.items())
    for name in ("l2cap_pdu", "advertising_report"):
        assert f"emit('{name}'" in inspect.getsource(host.Host).replace("\n", "").replace(" ", "")


def test_commands_that_bumble_lacks_are_looked_for_by_name():
    """The controller finds a handler by the command's name: that is how ours are found."""
    source = inspect.getsource(controller.Controller.on_hci_command_packet)
    assert "f'on_{command.name.lower()}'" in source
    for name in ("LE_SET_PHY", "LE_SET_DATA_LENGTH", "READ_RSSI", "READ_REMOTE_VERSION_INFORMATION"):
        assert hasattr(hci, f"HCI_{name}_COMMAND")
        assert not hasattr(controller.Controller, f"on_hci_{name.lower()}_command"), (
            f"Bumble has {name} now: look at ours"
        )


def test_packets_look_as_we_take_them_apart():
    packet = bytes(hci.HCI_Number_Of_Completed_Packets_Event(connection_handles=[7], num_completed_packets=[3]))
    assert packet == b"\x04\x13\x05\x01\x07\x00\x03\x00"
    assert bytes(hci.HCI_AclDataPacket(7, 1, 0, 2, b"xy")) == b"\x02\x07\x10\x02\x00xy"


def test_the_rest_that_we_lean_on():
    assert issubclass(common.TransportLostError, core.BaseBumbleError)
    assert callable(open_transport)
    assert ll.TerminateInd(0x13).error_code == 0x13
    assert {"rand", "ediv", "ltk"} <= set(inspect.signature(ll.EncReq).parameters)
    assert "def on_connection_lost" not in inspect.getsource(host)
    flags = pairing.PairingDelegate.IoCapability
    assert {flags.NO_OUTPUT_NO_INPUT, flags.DISPLAY_OUTPUT_ONLY, flags.KEYBOARD_INPUT_ONLY}
    assert keys.PairingKeys.from_dict({"ltk": {"value": "00", "authenticated": True}}).ltk.authenticated
