"""Keyswitch: firmware updates over Bluetooth LE only in maintenance mode, on purpose."""

__version__ = "0.1.0"
