"""Policies for tests: the pump as it ships, and small ones made from TOML text."""

import functools
import textwrap
from pathlib import Path

from keyswitch.policy.load import load, read_policy
from keyswitch.policy.model import Policy

ROOT = Path(__file__).resolve().parents[2]
PUMP_FILE = ROOT / "examples" / "pump" / "policy.toml"


@functools.cache
def pump() -> Policy:
    return read_policy(PUMP_FILE)


@functools.cache
def pump_with(*changes: tuple[str, str]) -> Policy:
    """The pump's policy with pieces of its text replaced; each piece must be there."""
    text = PUMP_FILE.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return load(text.encode(), origin="pump")


SMALL = """
schema = 1
[device]
name = "Small"
initial_mode = "normal"
[inputs]
motion = { type = "bool", safety = true, initial = false }
battery = { type = "int", initial = 80 }
[modes.normal]
allow = ["os.echo", "mode"]
[modes.maintenance]
maintenance = true
allow = ["os", "image", "mode"]
lease_s = 60
[entry.challenge]
secret = "secret.hmac"
[[transitions]]
from = ["normal"]
to = "maintenance"
on = "enter"
proofs = ["challenge"]
when = ["motion == false", "battery >= 30"]
"""


@functools.cache
def small(more: str = "", *changes: tuple[str, str]) -> Policy:
    """`SMALL` with pieces replaced and `more` behind it."""
    text = SMALL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return load((text + textwrap.dedent(more)).encode(), origin="small")
