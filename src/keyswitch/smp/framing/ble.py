"""SMP in GATT values: a packet is cut into values of at most ATT MTU - 3 bytes, without a header of their own.

Our receiver takes any cut and several packets in one value. Zephyr's wants the whole SMP header in the first value and
nothing behind the packet's end, so a sender that keeps to `pieces` is understood by both.
"""

from typing import Final

from keyswitch.smp.framing.raw import StreamReceiver

SERVICE_UUID: Final = "8d53dc1d-1db7-4cd3-868b-8a527460aa84"
"""The SMP service (Zephyr `smp_bt.c`)."""
CHARACTERISTIC_UUID: Final = "da2e7828-fbce-4e01-ae9e-261174997c48"
"""Its one characteristic: write without response, notify."""

MAX_VALUE: Final = 512
"""Largest attribute value in bytes (Core spec Vol 3 Part F 3.2.9)."""

BleReceiver = StreamReceiver
"""One for each connection and characteristic."""


def pieces(packet: bytes, max_value: int) -> list[bytes]:
    """The values that carry `packet`, in order.

    Args:
        packet: one SMP packet.
        max_value: largest value in bytes: min(ATT MTU - 3, `MAX_VALUE`).
    """
    if len(packet) <= max_value:
        return [packet]
    return [packet[start : start + max_value] for start in range(0, len(packet), max_value)]
