"""How the device's events read: in its output, in the panel's log and in the event log."""

import json
from collections.abc import Mapping
from typing import Any, Final

_AROUND: Final = frozenset({"event", "at_ms", "boot", "up_ms", "clock"})


def event_words(name: str, event: Mapping[str, Any]) -> str:
    """One event on one line: its name, and what it holds besides its time."""
    if name == "suppressed":
        return f"and {event.get('count'):,} more {event.get('of')} in the last {_seconds(event.get('over_ms'))}"
    said = [f"{key} {_plain(value)}" for key, value in event.items() if key not in _AROUND and value not in (None, "")]
    return f"{name} {', '.join(said)}".rstrip()


def _seconds(ms: Any) -> str:
    return f"{ms / 1000:,.0f} s" if isinstance(ms, int) else "time"


def _plain(value: Any) -> str:
    """A peer as `ble peer 3 (encrypted)`, anything else as JSON has it, text without quotes."""
    if isinstance(value, dict) and value.keys() == {"peer", "transport", "security"}:
        return f"{value['transport']} peer {value['peer']} ({value['security']})"
    return value if isinstance(value, str) else json.dumps(value)
