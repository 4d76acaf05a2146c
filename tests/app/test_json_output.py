"""Every shape that goes out, held as it is: whoever changes one changes this table and the schema's version."""

import json
from typing import Any, get_args, is_typeddict

import pytest
from tests.shapes import faults

from keyswitch.app import json_output
from keyswitch.app.status import Looked
from keyswitch.host.access.strategy import AlreadyOpen, OtherPolicy
from keyswitch.host.connect.scan import FoundDevice, Shows
from keyswitch.host.connect.verdict import Gate, Verdict
from keyswitch.host.smp.queries import SlotInfo
from keyswitch.host.update.events import Ended, Event, Message, StepBegun, StepDone, StepFailed, Uploading, VerdictFound
from keyswitch.host.update.job import Job, Outcome, Result, SentBytes
from keyswitch.host.update.plan import PlannedDevice, make_plan
from keyswitch.host.update.steps import StepName
from keyswitch.host.upload.throughput import Line
from keyswitch.host.upload.uploader import UploadProgress
from keyswitch.reasons import FalseGuard, Reason

VERDICT = "gate reason detail guard next_step mode image_group"

SHAPES = {
    "StatusJson": f"{VERDICT} slots other_device other_revision link_security policy_form",
    "ScanJson": "address name shows mode_index mode_if_policy token rssi_dbm",
    "StepBegunJson": "event step says at_ms",
    "StepDoneJson": "event step at_ms duration_ms",
    "StepMissedJson": "event step at_ms duration_ms detail",
    "VerdictJson": f"{VERDICT} event at_ms",
    "ProgressJson": "event at_ms off size upload_bytes_per_second remaining_ms",
    "SaidJson": "event at_ms text",
    "ResultJson": "event outcome detail reason next_step duration_ms upload_bytes_per_second sent_bytes "
    "already_there_bytes resumed before after not_read_since extensions",
    "PlannedStepJson": "step says proof expected_ms slow_ms skipped",
    "PlanJson": "event steps image_bytes requests bound_bytes_per_second limited_by expected_ms slow_bytes_per_second "
    "slow_limited_by slow_ms extensions slow_extensions slots_checked refused next_step notes unreachable",
}
VERSION_OF_SHAPES = 2

SLOT = SlotInfo(
    image=0,
    slot=0,
    version="1.0.0",
    hash=b"h",
    bootable=True,
    pending=False,
    confirmed=True,
    active=True,
    permanent=False,
)
UNKNOWN = Verdict(gate=Gate.UNKNOWN)
SHUT = Verdict(
    gate=Gate.SHUT,
    reason=Reason.GUARD,
    detail="motion must be false",
    guard=FalseGuard.parse("motion must be false"),
    next_step="make it so",
    mode="normal",
    image_group=True,
    slots=(SLOT,),
)
STEP = StepName.FIND
ENDED = Result(
    outcome=Outcome.CONFIRMED,
    reason=Reason.GUARD,
    sent=SentBytes(bytes=7, already_there=1, bytes_per_second=9),
    before=(SLOT,),
    after=(SLOT,),
)

TOLD: list[tuple[str, str, Event]] = [
    ("StepBegunJson", "step_begun", StepBegun(name=STEP, says="look", at_ms=1)),
    ("StepDoneJson", "step_done", StepDone(name=STEP, at_ms=1, duration_ms=2)),
    ("StepDoneJson", "step_done", StepDone(name=STEP, at_ms=1, duration_ms=None)),
    ("StepMissedJson", "step_missed", StepFailed(name=STEP, at_ms=1, duration_ms=2, why="gone", refused=False)),
    ("VerdictJson", "verdict", VerdictFound(verdict=UNKNOWN, at_ms=1)),
    ("VerdictJson", "verdict", VerdictFound(verdict=SHUT, at_ms=1)),
    (
        "ProgressJson",
        "progress",
        Uploading(progress=UploadProgress(off=1, size=2, bytes_per_second=3, remaining_ms=None), at_ms=1),
    ),
    ("SaidJson", "said", Message(text="press the button", at_ms=1)),
    ("ResultJson", "result", Ended(result=ENDED, at_ms=1)),
    ("ResultJson", "result", Ended(result=Result(outcome=Outcome.REFUSED), at_ms=1)),
]


def check(shape: str, values: Any) -> None:
    assert values.keys() == set(SHAPES[shape].split())
    assert faults(values, getattr(json_output, shape)) == []
    assert json.loads(json_output.to_line(values)) == {"schema_version": VERSION_OF_SHAPES, **values}


def test_every_shape_stands_in_the_table():
    found = {name for name, each in vars(json_output).items() if is_typeddict(each) and name.endswith("Json")}
    assert found == set(SHAPES)
    assert json_output.SCHEMA_VERSION == VERSION_OF_SHAPES


@pytest.mark.parametrize(("shape", "name", "event"), TOLD)
def test_events_of_an_update(shape: str, name: str, event: Event):
    told = json_output.event_json(event)
    assert told["event"] == name
    check(shape, told)


def test_every_event_is_tried():
    assert {type(event) for *_, event in TOLD} == set(get_args(Event))


@pytest.mark.parametrize("verdict", [UNKNOWN, SHUT], ids=["unknown", "shut"])
@pytest.mark.parametrize("same", [None, True, False])
def test_status(verdict: Verdict, same: bool | None):
    other = None if same is None else OtherPolicy(detail="pump-8", next_step="", same_device=same)
    told = json_output.status_json(Looked(verdict=verdict, other=other))
    check("StatusJson", told)
    assert (told["other_revision"], told["other_device"]) == {
        None: (None, None),
        True: ("pump-8", None),
        False: (None, "pump-8"),
    }[same]


@pytest.mark.parametrize("known", [True, False])
def test_scan(known: bool):
    near = FoundDevice(
        address="C0:00:00:00:00:01",
        name="Pump 7",
        rssi_dbm=-40 if known else None,
        shows=Shows.MODE_SERVICE,
        mode_index=0 if known else None,
        token=b"\1" if known else b"",
    )
    check("ScanJson", json_output.scan_json(near))


@pytest.mark.parametrize("verdict", [None, SHUT])
def test_plan(verdict: Verdict | None):
    job = Job(images=(), way=AlreadyOpen())
    told = json_output.plan_json(make_plan(job, PlannedDevice(verdict=verdict), Line(kind="ble")))
    check("PlanJson", told)
    assert told["unreachable"] is None
    assert {step["step"] for step in told["steps"]} >= {"find", "upload"}
