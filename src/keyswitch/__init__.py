"""Keyswitch: firmware updates over Bluetooth LE only in maintenance mode, on purpose.

The public face: what `__all__` names here, and nothing else, is meant for other programs; docs/api.md says what is
stable. A name is imported when it is first used, so that importing the package costs nothing (PEP 562). Types of the
names stand in `__init__.pyi`.
"""

__version__ = "0.1.0"

_HOMES = {
    "Device": ("keyswitch.testing.device", "DeviceUnderTest"),
    "InputError": ("keyswitch.errors", "InputError"),
    "KeyswitchError": ("keyswitch.errors", "KeyswitchError"),
    "LinkLostError": ("keyswitch.errors", "LinkLostError"),
    "LocalError": ("keyswitch.errors", "LocalError"),
    "Outcome": ("keyswitch.host.update.job", "Outcome"),
    "PairingNumbers": ("keyswitch.link.ports", "PairingNumbers"),
    "RemoteError": ("keyswitch.errors", "RemoteError"),
    "SilenceError": ("keyswitch.errors", "SilenceError"),
    "UpdateRequest": ("keyswitch.app.request", "UpdateRequest"),
    "check_policy": ("keyswitch.prove.check", "check"),
    "load_policy": ("keyswitch.policy.load", "read_policy"),
    "running_device": ("keyswitch.testing.device", "running_device"),
    "scan": ("keyswitch.app.scan", "scan"),
    "status": ("keyswitch.app.status", "status"),
    "update": ("keyswitch.app.update", "update"),
}
"""Each public name: its module, and what it is called there."""

# Type checkers read the stub, whose names a test compares with these.
__all__ = ["__version__"]
__all__ += list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - it takes a moment in which Ctrl-C is Python's

    module, there = _HOMES[name]
    found: object = getattr(import_module(module), there)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
