"""Each warning, by a policy that deserves it."""

import pytest
from tests.policy.samples import pump, pump_with, small

from keyswitch.policy.model import Policy
from keyswitch.prove.warnings import CHECKS, doubts

PERMIT = '[entry.permit]\nissuers = ["a.pem"]\nclock = "trusted"\n'

DESERVED: dict[str, tuple[Policy, str]] = {
    "entry-without-key": (
        small("[entry.sequence]\n", ('proofs = ["challenge"]', 'proofs = ["sequence"]')),
        "transitions[0]: ",
    ),
    "unsecured-session": (pump(), "modes.maintenance: "),
    "owner-by-address": (pump_with(('session = "anyone"', 'session = "owner"')), "modes.maintenance: .*over UDP"),
    "owner-by-line": (pump_with(('session = "anyone"', 'session = "owner"')), "modes.maintenance: .*over serial"),
    "always-visible": (pump_with(('"reconnect"', '"always"')), "gate.service: "),
    "early-arming": (pump_with(('arm = "late"', 'arm = "early"')), "update.arm: "),
    "blind-entry": (small("", ('"motion == false", ', "")), "transitions[0]: .*motion"),
    "assumed-input": (pump(), "inputs.motion: "),
    "unused-input": (small("", (', "battery >= 30"', "")), "inputs.battery: "),
    "no-button": (small(), "entry.lockout: "),
    "revealing-read": (small("", ('"os.echo"', '"fs.file:read"')), "modes.normal: fs.file:read"),
    "settable-clock": (small(PERMIT, ('"os.echo"', '"os.datetime"')), "modes.normal: os.datetime:write"),
    "unsigned-images": (small(), "bootloader.key: "),
    "no-way-back": (pump_with(('"swap-move"', '"overwrite-only"')), "bootloader.algorithm: "),
    "idle-before-deadline": (pump_with(("idle_s = 120", "idle_s = 100")), "modes.maintenance: idle_s"),
}


def test_every_warning_is_shown() -> None:
    assert DESERVED.keys() == CHECKS.keys()


@pytest.mark.parametrize("name", DESERVED)
def test_a_doubtful_policy_is_warned_about(name: str) -> None:
    policy, where = DESERVED[name]
    (found,) = [each for each in doubts(policy) if each.name == name]
    start, _, word = where.partition(".*")
    assert found.text.startswith(start)
    assert word in found.text


def test_a_policy_can_be_beyond_doubt() -> None:
    policy = pump_with(('security = "none"', 'security = "authenticated"'), (", initial = false", ""))
    assert doubts(policy) == ()


def test_an_owner_is_an_identity_where_there_are_connections() -> None:
    policy = pump_with(('session = "anyone"', 'session = "owner"'), ('"ble", "udp", "serial"', '"ble"'))
    assert not {"owner-by-address", "owner-by-line"} & {each.name for each in doubts(policy)}
