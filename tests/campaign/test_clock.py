"""Somebody sets the clock back by an hour while a campaign waits: real processes, the clock alone is not real."""

import json
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.campaign.clock import SetClock
from tests.campaign.test_campaigns import asked, check_records, command, outcomes, updated_once, wait_for
from tests.campaign.tray import tray, write_campaign

from keyswitch.campaign.flows import LOOK_AT_CLOCK_S
from keyswitch.demo.workshop import Workshop
from keyswitch.exits import Exit

pytestmark = pytest.mark.campaign

HOUR = timedelta(hours=1)
EVENING = datetime(2027, 3, 3, 22, 59, tzinfo=UTC)
SLACK_S = 60
"""More than a busy machine takes to start Python, and far less than an hour."""


@contextmanager
def running(verb: str, file: Path, clock: SetClock) -> Generator["subprocess.Popen[str]"]:
    words = command(verb, file, "--json")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=clock.environment) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_wait_for_another_attempt_is_no_longer_when_the_clock_was_set_back(tmp_path: Path, pump: Workshop):
    """Once while it runs; and once it was killed meanwhile, and its wait is found in the store."""
    wait_s = 6
    clock = SetClock(tmp_path)
    clock.set_to(EVENING)
    retry = f"[retry.waiting]\nattempts = 9\nwait_s = {wait_s}\nfactor = 1\n"
    with tray(pump, tmp_path, 1, moving=[0]) as units:
        file = write_campaign(tmp_path, pump, units, retry)
        with running("run", file, clock) as process:
            assert wait_for(process, "device_ended")["outcome"] == "waiting"
            began = time.monotonic()
            clock.set_to(clock.now() - HOUR)
            assert wait_for(process, "device_begun")["attempt"] == 2
            assert wait_s - 1 < time.monotonic() - began < wait_s + SLACK_S
            assert wait_for(process, "device_ended")["retry_in_ms"] == wait_s * 1000
            time.sleep(1)  # that it waits is in the store
        clock.set_to(clock.now() - HOUR)
        units[0].moves(is_true=False)
        began = time.monotonic()
        with running("resume", file, clock) as process:
            assert wait_for(process, "device_begun")["attempt"] == 3
            assert time.monotonic() - began < wait_s + SLACK_S
            out, _ = process.communicate(timeout=60)
        assert outcomes(json.loads(out.splitlines()[-1])) == {"confirmed": 1}
        assert updated_once(units[0])
        check_records(file, units)


def test_a_window_follows_the_clock_that_was_set_back(tmp_path: Path, pump: Workshop):
    """It closes again behind the first attempt, because it is an hour earlier; and opens when the clock says so."""
    clock = SetClock(tmp_path)
    clock.set_to(EVENING)
    window = '[[windows]]\nopens = "22:00"\ncloses = "23:30"\nzone = "UTC"\n'
    with tray(pump, tmp_path, 1, moving=[0]) as units:
        file = write_campaign(tmp_path, pump, units, "[retry.waiting]\nattempts = 2\nwait_s = 2\n" + window)
        with running("run", file, clock) as process:
            assert wait_for(process, "device_ended")["outcome"] == "waiting"
            units[0].moves(is_true=False)
            opens = EVENING.replace(hour=22, minute=0)
            clock.set_to(opens - timedelta(seconds=10))
            assert wait_for(process, "window_awaited")["opens_at"] == "2027-03-03T22:00:00.000+00:00"
            wait_for(process, "device_begun")
            assert opens <= clock.now() < opens + timedelta(seconds=SLACK_S)
            assert wait_for(process, "device_ended")["ended_at"] > opens.isoformat()
            process.wait(60)
        assert updated_once(units[0])


def test_a_deadline_follows_the_clock_that_was_set_back(tmp_path: Path, pump: Workshop):
    """It is over an hour later; then the clock is set ahead, which is noticed at the next look at it."""
    clock = SetClock(tmp_path)
    clock.set_to(EVENING)
    deadline = EVENING + timedelta(seconds=30)
    retry = "[retry.waiting]\nattempts = 99\nwait_s = 2\nfactor = 1\n"
    with tray(pump, tmp_path, 1, moving=[0]) as units:
        file = write_campaign(tmp_path, pump, units, retry, deadline=deadline)
        with running("run", file, clock) as process:
            assert wait_for(process, "device_ended")["outcome"] == "waiting"
            assert clock.now() < deadline, "this machine is too busy for this test"
            clock.set_to(clock.now() - HOUR)
            time.sleep(31)
            assert asked("status", file)[1][-1]["state"] == "running", "its deadline is an hour away"
            clock.set_to(deadline + timedelta(seconds=1))
            began = time.monotonic()
            assert wait_for(process, "stopping")["detail"] == f"its deadline, {deadline.isoformat()}, is over"
            assert time.monotonic() - began < LOOK_AT_CLOCK_S + SLACK_S
            assert process.wait(60) == Exit.NO
        assert asked("status", file)[1][-1]["state"] == "aborted"
        assert not units[0].events("entered")
