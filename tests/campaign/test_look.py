"""How far a device is, from what stands on the disk: its flow, the attempts that are kept, its chain of records."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest

from keyswitch.app.request import UpdateRequest
from keyswitch.campaign import look as module
from keyswitch.campaign.engine import FLOWS_VERSION, FlowRecord, FlowState
from keyswitch.campaign.events import Attempt, DeviceState
from keyswitch.campaign.look import look
from keyswitch.campaign.model import Campaign, CampaignDevice, CampaignFiles
from keyswitch.campaign.outcomes import Outcome
from keyswitch.host.report.evidence_file import INTERRUPTED, RUN_BEGUN, RUN_ENDED, append, close, last_record

NOT_BEGUN, UNDER_WAY, BROKEN_OFF, RETRY, ENDED = DeviceState
DONE, UNFINISHED, CANCELLED = FlowState.DONE, FlowState.UNFINISHED, FlowState.CANCELLED
WAITED = Attempt(outcome=Outcome.WAITING).to_plain()
STOPPED = Attempt(outcome=None).to_plain()

BEGUN = [(RUN_BEGUN, {})]
OVER = [*BEGUN, (RUN_ENDED, {"outcome": "refused"})]
CUT = [*BEGUN, (RUN_ENDED, {"outcome": INTERRUPTED})]

LIST_MODULES = """
import sys
from keyswitch.cli.main import main
try:
    main(["campaign", "status", sys.argv[1]])
except SystemExit as end:
    assert end.code == 3, end.code
print("\\n".join(sys.modules), file=sys.stderr)
"""


class Kept:
    """A store that has the flows and results of steps that it was given."""

    def __init__(self, flows: dict[str, FlowRecord], steps: list[Any]) -> None:
        self._flows, self._steps = flows, steps

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def flows(self, _campaign: str) -> dict[str, FlowRecord]:
        return self._flows

    def results_of_steps(self, _campaign: str, _flow: str) -> dict[str, tuple[Any, ...]]:
        return {"tray/P": tuple(self._steps)}


def flow(id_: str, state: FlowState, argument: Any = None, result: Any = None) -> FlowRecord:
    return FlowRecord(id=id_, state=state, version=FLOWS_VERSION, executor="", argument=argument, result=result)


def state_of(
    monkeypatch: pytest.MonkeyPatch,
    directory: Path,
    device: FlowState | None,
    kept: list[Any],
    records: list[tuple[str, Any]],
    *,
    running: bool,
    gateway: str | None = None,
    there: FlowState | None = None,
) -> DeviceState:
    request = UpdateRequest(target="udp:h")
    campaign = Campaign(
        name="tray", digest="", devices=(CampaignDevice(id="P", request=request, gateway=gateway),), waves=(1,)
    )
    files = CampaignFiles.of(directory / "tray.toml")
    files.evidence("P").parent.mkdir(parents=True)
    for kind, body in records:
        append(files.evidence("P"), at="now", kind=kind, body=body)
    if records:
        close(files.evidence("P"), at="2026-11-28T12:00:00.000+00:00", clock="c")
    whole = UNFINISHED if device is not CANCELLED else CANCELLED
    flows = {"tray": flow("tray", whole, campaign.to_plain())}
    if device is not None:
        flows["tray/P"] = flow("tray/P", device, result={"last": (kept or [STOPPED])[-1], "attempts": len(kept)})
    if there is not None:
        flows[f"tray/P/{len(kept) + 1}"] = flow("", there)
    monkeypatch.setattr(module, "open_store", lambda _database, **_: Kept(flows, kept))
    monkeypatch.setattr(module, "is_held", lambda _path: running)
    (status,) = look(campaign, files).devices
    assert status.attempts == len(kept)
    return status.state


@pytest.mark.parametrize(
    ("device", "kept", "records", "running", "nobody"),
    [
        (None, [], [], NOT_BEGUN, NOT_BEGUN),
        # Its wave has begun: without a record of its own it waits for a place.
        (UNFINISHED, [], [], NOT_BEGUN, NOT_BEGUN),
        (UNFINISHED, [], BEGUN, UNDER_WAY, BROKEN_OFF),
        (UNFINISHED, [], CUT, BROKEN_OFF, BROKEN_OFF),
        # It has ended, which is not kept yet, and not known to whoever resumes.
        (UNFINISHED, [], OVER, UNDER_WAY, BROKEN_OFF),
        (UNFINISHED, [WAITED], OVER, RETRY, RETRY),
        (UNFINISHED, [WAITED], [*OVER, *BEGUN], UNDER_WAY, BROKEN_OFF),
        (UNFINISHED, [WAITED], [*OVER, *CUT], BROKEN_OFF, BROKEN_OFF),
        (DONE, [WAITED], OVER, ENDED, ENDED),
        (DONE, [], [], NOT_BEGUN, NOT_BEGUN),
        (CANCELLED, [], [], NOT_BEGUN, NOT_BEGUN),
        (CANCELLED, [WAITED], OVER, ENDED, ENDED),
        (CANCELLED, [], BEGUN, BROKEN_OFF, BROKEN_OFF),
        (CANCELLED, [WAITED], [*OVER, *BEGUN], BROKEN_OFF, BROKEN_OFF),
    ],
)
def test_how_far_a_device_is(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    device: FlowState | None,
    kept: list[Any],
    records: list[tuple[str, Any]],
    running: DeviceState,
    nobody: DeviceState,
):
    for held, expected in ((True, running), (False, nobody)):
        directory = tmp_path / str(held)
        directory.mkdir()
        is_running = held and device is not CANCELLED  # whoever aborts a campaign holds no lock any more
        assert state_of(monkeypatch, directory, device, kept, records, running=is_running) is expected


@pytest.mark.parametrize(
    ("there", "kept", "state"),
    [
        (None, [], NOT_BEGUN),
        (UNFINISHED, [], UNDER_WAY),
        (UNFINISHED, [WAITED], UNDER_WAY),
        (CANCELLED, [], NOT_BEGUN),
        (None, [WAITED], RETRY),
    ],
)
def test_how_far_a_device_at_a_gateway_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: FlowState | None, kept: list[Any], state: DeviceState
):
    found = state_of(monkeypatch, tmp_path, UNFINISHED, kept, [], running=False, gateway="north", there=there)
    assert found is state


def test_the_last_record_of_a_kind_is_found_however_long_those_behind_it_are(tmp_path: Path):
    path = tmp_path / "e.jsonl"
    assert last_record(path, {RUN_BEGUN}) is None
    for number in range(3):
        append(path, at="now", kind=RUN_BEGUN, body={"n": number})
    append(path, at="now", kind="other", body={"text": "x" * 500_000})
    assert last_record(path, {RUN_BEGUN, RUN_ENDED}) == (RUN_BEGUN, {"n": 2})
    assert last_record(path, {RUN_ENDED}) is None
    with path.open("ab") as file:
        file.write(b'{"kind": "update begun", "bo')  # somebody writes
    assert last_record(path, {RUN_BEGUN}) == (RUN_BEGUN, {"n": 2})


def test_status_loads_no_engine_no_loop_no_radio_and_no_update(tmp_path: Path):
    """It is asked often, beside a campaign that is carried out: it must cost little."""
    file = tmp_path / "tray.toml"
    file.write_text('[campaign]\nname = "t"\n[release]\nimage = "x"\n[[device]]\nid = "P"\ntarget = "udp:h"\n')
    command = [sys.executable, "-c", LIST_MODULES, str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "wave 1  P  not begun\nt: not begun: 1 without an outcome\n"
    loaded = set(ran.stderr.split())
    assert "keyswitch.campaign.look" in loaded
    heavy = {"asyncio", "dbos", "sqlalchemy", "psycopg", "cbor2", "cryptography", "rich", "click.testing"}
    ours = {f"keyswitch.{name}" for name in ("link", "smp", "app.update", "host.update.run", "campaign.dbos_engine")}
    assert not loaded & (heavy | ours)
