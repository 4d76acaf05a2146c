"""Every point at which a controller or a gateway can die, on PostgreSQL: `make deep`."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from tests.campaign.killed import DEVICE, ON_TRIAL, POINTS, POINTS_FOR_GATEWAYS, POINTS_OF_A_GATEWAY
from tests.campaign.postgresql import Server, server
from tests.campaign.test_campaigns import (
    IDLE_MS,
    NEEDS_APPROVAL,
    asked,
    check_devices,
    check_records,
    no_secret_in,
    outcomes,
    started,
)
from tests.campaign.test_gateways import check_chains, gateway
from tests.campaign.tray import tray, write_campaign

from keyswitch.campaign.model import CampaignFiles
from keyswitch.demo.workshop import Workshop
from keyswitch.exits import Exit

pytestmark = [pytest.mark.campaign, pytest.mark.deep]

STATES = {"before the campaign begun": "not begun", "behind the campaign ended": "done"}
"""What `status` says behind the kill; `interrupted` everywhere else."""


@pytest.fixture(scope="module")
def postgresql() -> Generator[Server]:
    with server() as it:
        yield it


@pytest.mark.parametrize(
    ("point", "at_gateway"),
    [*((point, False) for point in POINTS), *((point, True) for point in POINTS_FOR_GATEWAYS)],
    ids=lambda value: value if isinstance(value, str) else "gateway" if value else "bench",
)
def test_a_controller_killed_anywhere(
    point: str, at_gateway: bool, tmp_path: Path, pump: Workshop, postgresql: Server, tell: Callable[[str], None]
):
    """What it had left for a gateway goes on meanwhile, and is found."""
    url = postgresql.url(f"{point} {at_gateway}".replace(" ", "_"))
    store = ("--database", url)
    with tray(pump, tmp_path, 3) as units, contextlib.ExitStack() as stack:
        approval = f"approval = {str(point in NEEDS_APPROVAL).lower()}"
        more = f"[waves]\ncounts = [1]\n{approval}\n"
        names = ["north"] if at_gateway else []
        file = write_campaign(tmp_path, pump, units, more, concurrency=1, health="true", gateways=names)
        for name in names:
            stack.enter_context(gateway(name, url, tmp_path / name))
        killed = [sys.executable, "-m", "tests.campaign.killed", point, "run", str(file), *store]
        ran = subprocess.run(killed, capture_output=True, check=False)
        assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()
        _, told = asked("status", file, *store)
        state = told[-1]["state"]
        assert state == STATES.get(point, "interrupted")
        if not at_gateway:
            for unit in units:
                unit.time_passes(IDLE_MS)
        if told[-1]["approval_of_wave"] is not None:
            assert asked("approve", file, *store)[0] == Exit.YES
        code, told = asked("run" if state == "not begun" else "resume", file, *store)
        assert (code, outcomes(told[-1])) == (Exit.YES, {"confirmed": 3})
        check_devices(units, on_trial=point in ON_TRIAL and not at_gateway)
        if at_gateway:
            check_chains(file, units, tmp_path, names)
        else:
            check_records(file, units)
        no_secret_in(CampaignFiles.of(file).directory, pump)
        tell("3 devices, each updated once")


@pytest.mark.parametrize("point", POINTS_OF_A_GATEWAY)
def test_a_gateway_killed_anywhere(
    point: str, tmp_path: Path, pump: Workshop, postgresql: Server, tell: Callable[[str], None]
):
    """The campaign waits for it; started again it takes up what it had."""
    url = postgresql.url(f"gateway {point}".replace(" ", "_"))
    with tray(pump, tmp_path, 3) as units, contextlib.ExitStack() as stack:
        more = "[waves]\ncounts = [1]\n"
        file = write_campaign(tmp_path, pump, units, more, concurrency=1, health="true", gateways=["north"])
        with gateway("north", url, tmp_path / "north", point=point, devices=DEVICE) as north:
            running = stack.enter_context(started(file, "--database", url))
            assert north.wait(120) == -signal.SIGKILL
        for unit in units:
            unit.time_passes(IDLE_MS)
        with gateway("north", url, tmp_path / "north"):
            out, said = running.communicate(timeout=280)
        assert outcomes(json.loads(out.splitlines()[-1])) == {"confirmed": 3}, said
        check_devices(units, on_trial=point in ON_TRIAL)
        check_chains(file, units, tmp_path, ["north"])
        no_secret_in(tmp_path / "north", pump)
        tell("3 devices, each updated once")
