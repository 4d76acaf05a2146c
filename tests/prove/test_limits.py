"""Time limits that are too short for what they limit: said with numbers, exact to the millisecond."""

import math
from dataclasses import replace

import pytest
from tests.policy.samples import pump, pump_with, small

from keyswitch.gate.session import RESET_DELAY_MS
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.model import Policy
from keyswitch.prove.limits import reset_and_swap_ms, seconds, too_short, upload_ms
from keyswitch.terms import Transport
from keyswitch.timing.bound import fastest_upload

SECTORS = (458_752 // 4_096) - 2
"""Of a full slot: the trailer's, and the one to move up into, are not moved."""
NEEDED_MS = RESET_DELAY_MS + math.ceil(SECTORS * 3 * (85_000 + 1_024 * 41) / 1000)
STEPS = [(-1, True), (0, False), (1, False)]


def keys(policy: Policy) -> list[str]:
    return [each.key for each in too_short(policy)]


def limited(policy: Policy, **limits: int | None) -> Policy:
    """The policy with other limits in maintenance (ms)."""
    mode = replace(policy.modes["maintenance"], **limits)
    return replace(policy, modes={**policy.modes, "maintenance": mode})


def test_what_a_reset_and_its_swap_need() -> None:
    assert reset_and_swap_ms(pump())[0] == NEEDED_MS == 42_155


@pytest.mark.parametrize(("step", "short"), STEPS)
def test_a_lease_holds_a_reset_and_its_swap(step: int, short: bool) -> None:
    policy = limited(pump(), lease_ms=NEEDED_MS + step, lease_max_ms=3_600_000)
    assert keys(policy) == ["modes.maintenance.lease_s"] * short


@pytest.mark.parametrize(("step", "short"), STEPS)
def test_a_trial_holds_a_reset_and_its_swap(step: int, short: bool) -> None:
    policy = replace(pump(), update=replace(pump().update, trial_deadline_ms=NEEDED_MS + step))
    assert keys(policy) == ["update.trial_deadline_s"] * short


@pytest.mark.parametrize(("step", "short"), STEPS)
def test_idle_time_holds_the_wait_for_a_reset(step: int, short: bool) -> None:
    assert keys(limited(pump(), idle_ms=RESET_DELAY_MS + step)) == ["modes.maintenance.idle_s"] * short


@pytest.mark.parametrize(("step", "short"), STEPS)
def test_the_longest_lease_holds_an_upload_where_bluetooth_is_all_there_is(step: int, short: bool) -> None:
    policy = pump_with(('["ble", "udp", "serial"]', '["ble"]'), ("buf_size = 2475", "buf_size = 128"))
    policy = replace(policy, bootloader=replace(policy.bootloader, slot_size=2_097_152, sector_size=65_536))
    needed_ms = upload_ms(policy)[0]
    rate = fastest_upload(buf_size=128, buf_count=4).bytes_per_second
    assert needed_ms == math.ceil(2_097_152 * 1000 / rate)
    policy = limited(policy, lease_ms=needed_ms + step, lease_max_ms=needed_ms + step)
    assert keys(policy) == ["modes.maintenance.lease_max_s"] * short
    for other in (Transport.UDP, Transport.SERIAL):
        more = replace(policy, smp=replace(policy.smp, transports=(Transport.BLE, other)))
        assert keys(more) == [], "nobody knows how fast it is"
    assert keys(replace(policy, smp=replace(policy.smp, transports=(Transport.UDP,)))) == []


def test_it_is_said_with_numbers_and_with_what_to_do() -> None:
    (found,) = too_short(limited(pump(), lease_ms=1))
    assert found.text == (
        "modes.maintenance.lease_s = 0.001 is too short for a reset and its swap: at least 42.155 s. "
        "Make it 42.155 or more"
    )
    assert "110 sectors, each erased (85000 us) and written (1024 x 41 us) 3 times" in found.reckoned


def test_a_mode_in_which_no_update_can_go_on_may_be_as_short_as_it_likes() -> None:
    policy = limited(small("", ('"os", "image"', '"shell"')), lease_ms=1, lease_max_ms=1)
    assert keys(policy) == []


def test_where_nothing_is_on_trial_its_deadline_limits_nothing() -> None:
    policy = replace(pump(), update=replace(pump().update, trial_deadline_ms=1))
    never = replace(policy, bootloader=replace(policy.bootloader, algorithm=Algorithm.OVERWRITE_ONLY))
    assert keys(policy) == ["update.trial_deadline_s"]
    assert keys(never) == []


@pytest.mark.parametrize(("ms", "text"), [(0, "0"), (1, "0.001"), (900_000, "900"), (42_150, "42.15"), (10, "0.01")])
def test_seconds_are_exact(ms: int, text: str) -> None:
    assert seconds(ms) == text
