"""Each warning, by a policy that deserves it."""

import pytest
from tests.policy.samples import pump, pump_with, small

from keyswitch.gate.visibility import asks_at_each_access, never_hidden
from keyswitch.policy.enums import Visibility
from keyswitch.policy.model import Policy
from keyswitch.prove.lint import CHECKS, lint

PERMIT = '[entry.permit]\nissuers = ["a.pem"]\nclock = "trusted"\n'
OWN_WAY = """
[[transitions]]
from = ["normal"]
to = "maintenance"
on = "{on}"
when = ["motion == false"]
{more}
"""
PAIRING = """
[modes.pairing]
allow = ["mode"]
security = "encrypted"
[[transitions]]
from = ["normal"]
to = "pairing"
on = "enter"
security = "{security}"
"""
BUTTON_OF = "[[transitions]]\nfrom = ['normal']\nto = 'maintenance'\non = 'button'\nhold_s = {hold}\n"
SLOW = "[smp]\ntransports = [{transports}]\nbuf_size = 128\nbuf_count = 2\n[bootloader]\nkey = 'k.pem'\n"

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
    "unsigned-images": (small(), "bootloader.key: "),
    "images-apart": (small("[[bootloader.images]]\n[[bootloader.images]]\n"), "bootloader.images: "),
    "no-way-back": (pump_with(('"swap-move"', '"overwrite-only"')), "bootloader.algorithm: "),
    "header-last": (pump_with(('"swap-move"', '"direct-xip-no-revert"')), "bootloader.algorithm: .*header last"),
    "idle-before-deadline": (
        pump_with(("idle_s = 120", "idle_s = 119.999")),
        "modes.maintenance: .*idle_s = 119.999 is shorter than update.trial_deadline_s = 120",
    ),
    "lease-before-deadline": (
        pump_with(("trial_deadline_s = 120", "trial_deadline_s = 900.001"), ("idle_s = 120", "idle_s = 1000")),
        "modes.maintenance: .*= 900 is shorter than update.trial_deadline_s = 900.001: the lease ends first unless it",
    ),
    "weaker-way": (
        small(PERMIT + OWN_WAY.format(on="enter", more='proofs = ["permit"]')),
        'transitions[0] .*than transitions[1]: it takes proof "challenge", not "permit"',
    ),
    "weaker-than-mode": (small(PAIRING.format(security="none")), 'transitions[1]: .*"none" into "pairing"'),
    "short-hold": (small(BUTTON_OF.format(hold=0.999)), "transitions[1]: .*hold_s = 0.999"),
    "long-lockout": (
        small("[entry.lockout]\nfree_tries = 0\nfirst_s = 86400\nmax_s = 2592000\n"),
        "entry.lockout: one wrong proof of anybody's .*for 86400 s",
    ),
    "always-true": (small("", ("battery >= 30", "battery <= 2147483647")), 'transitions[0]: "battery <= 2147483647"'),
    "unknown-rate": (
        small(SLOW.format(transports='"ble", "udp"'), ("lease_s = 60", "lease_s = 67.463")),
        "modes.maintenance: .*at least 67.464 s; how long it takes over udp is not known",
    ),
}
DESERVED["guessed-bootloader"] = (small("[bootloader]\nguessed = true\n"), "bootloader: the numbers are a board's")
DESERVED["mcuboot-fault"] = (
    small('[bootloader]\ndowngrade = "version"\nmcuboot = "2.2.0"\n'),
    "bootloader.algorithm: MCUboot v2.2.0, revert with downgrade prevention",
)


def test_every_warning_is_shown() -> None:
    assert DESERVED.keys() == CHECKS.keys()


@pytest.mark.parametrize("name", DESERVED)
def test_a_doubtful_policy_is_warned_about(name: str) -> None:
    policy, where = DESERVED[name]
    (found,) = [each for each in lint(policy) if each.name == name]
    start, _, word = where.partition(".*")
    assert found.text.startswith(start)
    assert word in found.text


def test_a_policy_can_be_beyond_doubt() -> None:
    policy = pump_with(('security = "none"', 'security = "authenticated"'), (", initial = false", ""))
    assert lint(policy) == ()


def test_an_owner_is_an_identity_where_there_are_connections() -> None:
    policy = pump_with(('session = "anyone"', 'session = "owner"'), ('"ble", "udp", "serial"', '"ble"'))
    assert not {"owner-by-address", "owner-by-line"} & {each.name for each in lint(policy)}


def names(policy: Policy) -> set[str]:
    return {each.name for each in lint(policy)}


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("idle-before-deadline", pump()),
        ("lease-before-deadline", pump_with(("trial_deadline_s = 120", "trial_deadline_s = 900"))),
        ("weaker-way", pump()),
        ("weaker-way", small(PERMIT + BUTTON_OF.format(hold=5), ('["challenge"]', '["permit"]'))),
        ("weaker-than-mode", small(PAIRING.format(security="encrypted"))),
        ("short-hold", small(BUTTON_OF.format(hold=1))),
        ("short-hold", small(BUTTON_OF.format(hold=1.001))),
        ("long-lockout", small("[entry.lockout]\nfree_tries = 0\nfirst_s = 86399.999\nmax_s = 2592000\n")),
        ("always-true", small("", ("battery >= 30", "battery < 2147483647"))),
        ("always-true", small("", ("battery >= 30", "battery > -2147483648"))),
        ("unknown-rate", small(SLOW.format(transports='"ble", "udp"'), ("lease_s = 60", "lease_s = 67.464"))),
        ("unknown-rate", small(SLOW.format(transports='"ble"'))),
        ("unknown-rate", small(SLOW.format(transports='"udp"'))),
        ("images-apart", small("[update]\nsimultaneous = false\n" + "[[bootloader.images]]\n" * 2)),
        ("no-button", small(OWN_WAY.format(on="input", more=""))),
    ],
)
def test_no_policy_is_warned_about_what_is_not_so(name: str, policy: Policy) -> None:
    assert name not in names(policy)


def test_a_copied_image_is_named_as_one_that_stays() -> None:
    policy = small("[[bootloader.images]]\n[[bootloader.images]]\ncopied = true\n")
    told = [each.text for each in lint(policy) if each.name == "no-way-back"]
    assert told == [
        "bootloader.images[1].copied: image 1 has no trial and no way back, and what runs of it cannot be read"
    ]


@pytest.mark.parametrize("service", list(Visibility))
def test_a_service_that_is_never_hidden_is_named(service: Visibility) -> None:
    policy = pump_with(('service = "reconnect"', f'service = "{service.value}"'))
    told = [each.text for each in lint(policy) if each.name == "always-visible"]
    assert bool(told) == never_hidden(policy)
    assert all(f'"{service.value}"' in text for text in told)
    assert any("refuses" in text for text in told) == asks_at_each_access(policy)


def test_nobody_is_warned_of_a_clock_that_nothing_believes() -> None:
    """Permits are judged by the device's own clock; the one that `os.datetime` sets is another (`handlers.clock`)."""
    assert not any("clock" in each.text for each in lint(small(PERMIT, ('"os.echo"', '"os.datetime"'))))


@pytest.mark.parametrize(
    ("one", "other", "side"),
    [
        ('proofs = ["challenge"]\nsecurity = "encrypted"', 'proofs = ["permit"]', "proof"),
        ('proofs = ["challenge"]\nsecurity = "encrypted"', 'proofs = ["permit"]', "security"),
        ('proofs = ["permit"]', 'proofs = ["permit"]\nsecurity = "encrypted"', "security"),
        ('proofs = ["permit", "challenge"]', 'proofs = ["permit"]', "proof"),
    ],
)
def test_an_entry_is_as_weak_as_its_weakest_side(one: str, other: str, side: str) -> None:
    policy = small(PERMIT + OWN_WAY.format(on="enter", more=other), ('proofs = ["challenge"]', one))
    found = [each.text for each in lint(policy) if each.name == "weaker-way"]
    assert any(f'takes {side} "' in each for each in found)


@pytest.mark.parametrize("tries", [0, 3])
def test_a_long_lockout_says_how_little_it_takes(tries: int) -> None:
    policy = small(f"[entry.lockout]\nfree_tries = {tries}\nfirst_s = 100000\nmax_s = 2592000\n")
    (found,) = [each.text for each in lint(policy) if each.name == "long-lockout"]
    assert ("one wrong proof of" if tries == 0 else "4 wrong proofs of") in found
