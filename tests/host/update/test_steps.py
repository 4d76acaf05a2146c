from dataclasses import replace

import pytest

from keyswitch.host.connect.verdict import Gate, Verdict
from keyswitch.host.smp.queries import SlotInfo
from keyswitch.host.update.job import BeforeReset, Goal, JobImage, Observed, Outcome
from keyswitch.host.update.steps import BY_NAME, CHANGES, STEPS, WAY_OUT, WORK, StepName, first_missing

OLD, NEW = b"old" * 8, b"new" * 8
IMAGES = (JobImage(data=b"", hash=NEW, version="1.1.0"),)
BEFORE = BeforeReset(boot_id=b"a", slots=())


def view(number: int, digest: bytes, **flags: bool) -> SlotInfo:
    known = {"bootable": True, "pending": False, "confirmed": False, "active": False, "permanent": False}
    return SlotInfo(image=0, slot=number, version="1.0.0", hash=digest, **{**known, **flags})


RUNS_OLD = (view(0, OLD, active=True, confirmed=True),)
UPLOADED = (*RUNS_OLD, view(1, NEW))
MARKED = (*RUNS_OLD, view(1, NEW, pending=True))
ON_TRIAL = (view(0, NEW, active=True), view(1, OLD, confirmed=True))
STAYS = (view(0, NEW, active=True, confirmed=True), view(1, OLD))

NOTHING = Observed(images=IMAGES)
CONNECTED = replace(NOTHING, connected=True)
JUDGED = replace(CONNECTED, verdict=Verdict(gate=Gate.SHUT), gated=True, open=False, outside=True)
ENTERED = replace(JUDGED, open=True, outside=False)
BACK = replace(ENTERED, smp=True)


@pytest.mark.parametrize(
    ("seen", "missing"),
    [
        (NOTHING, StepName.FIND),
        (CONNECTED, StepName.VERDICT),
        (JUDGED, StepName.ENTER),
        (ENTERED, StepName.RECONNECT),
        (BACK, StepName.VERIFY),
        (replace(BACK, slots=RUNS_OLD), StepName.UPLOAD),
        (replace(BACK, slots=UPLOADED), StepName.TEST),
        (replace(BACK, slots=UPLOADED, by_reset=True), StepName.RESET),
        (replace(BACK, slots=MARKED), StepName.RESET),
        (replace(NOTHING, reset=BEFORE), StepName.SWAP),
        (replace(BACK, slots=MARKED, reset=BEFORE), StepName.SWAP),
        (replace(NOTHING, reset=BEFORE, rebooted=True), StepName.FIND),
        (replace(JUDGED, reset=BEFORE, rebooted=True), StepName.ENTER),
        (replace(BACK, slots=UPLOADED, reset=BEFORE, rebooted=True), StepName.PROVE),
        (replace(BACK, slots=RUNS_OLD, reset=BEFORE, rebooted=True), StepName.PROVE),
        (replace(BACK, slots=ON_TRIAL, reset=BEFORE, rebooted=True), StepName.CONFIRM),
        (replace(BACK, slots=ON_TRIAL), StepName.CONFIRM),
        (replace(BACK, slots=ON_TRIAL, health=True), StepName.HEALTH),
        (replace(BACK, slots=STAYS, health=True), StepName.HEALTH),
        (replace(BACK, reset=BEFORE, rebooted=True, settled=True, health=True), StepName.HEALTH),
        (replace(BACK, slots=ON_TRIAL, health=True, well=True), StepName.CONFIRM),
        (replace(BACK, slots=STAYS, health=True, well=True), None),
        (replace(BACK, slots=STAYS), None),
        (replace(BACK, slots=STAYS, reset=BEFORE), None),
    ],
)
def test_to_resume_is_to_find_the_first_step_whose_proof_does_not_hold(seen: Observed, missing: StepName | None):
    step = first_missing(WORK[Goal.FULL], seen)
    assert (step.name if step else None) == missing


@pytest.mark.parametrize(
    ("seen", "missing"),
    [
        (NOTHING, StepName.FIND),
        (replace(BACK, slots=STAYS), StepName.LEAVE),
        (replace(BACK, slots=STAYS, left=True), StepName.LEFT),
        (replace(BACK, left=True, open=False, outside=False), StepName.LEFT),
        (JUDGED, None),
        (replace(BACK, gated=False), None),
    ],
)
def test_the_way_out(seen: Observed, missing: StepName | None):
    step = first_missing(WAY_OUT, seen)
    assert (step.name if step else None) == missing


@pytest.mark.parametrize(
    ("goal", "seen", "missing"),
    [
        (Goal.UPLOAD, replace(BACK, slots=UPLOADED), None),
        (Goal.TEST, replace(BACK, slots=ON_TRIAL), None),
        (Goal.TEST, replace(BACK, slots=ON_TRIAL, health=True), StepName.HEALTH),
        (Goal.CONFIRM, replace(BACK, slots=ON_TRIAL, health=True), StepName.HEALTH),
        (Goal.CONFIRM, replace(BACK, slots=ON_TRIAL), StepName.CONFIRM),
        (Goal.CONFIRM, replace(BACK, slots=RUNS_OLD), StepName.PROVE),
        (Goal.CONFIRM, replace(BACK, images=(), slots=ON_TRIAL), StepName.CONFIRM),
        (Goal.CONFIRM, replace(BACK, images=(), slots=RUNS_OLD), None),
    ],
)
def test_goals_end_where_they_say(goal: Goal, seen: Observed, missing: StepName | None):
    step = first_missing(WORK[goal], seen)
    assert (step.name if step else None) == missing


def test_the_table_is_whole():
    assert [step.name for step in STEPS] == list(StepName)
    assert set(BY_NAME) == set(StepName)
    assert set(WORK[Goal.FULL]) >= CHANGES
    assert {step.outcome for step in STEPS} <= set(Outcome)


def test_several_images_are_done_when_all_are():
    two = (*IMAGES, JobImage(data=b"", hash=b"net" * 8, version="1.1.0", number=1))
    net = replace(view(1, b"net" * 8), image=1)
    assert first_missing(WORK[Goal.UPLOAD], replace(BACK, images=two, slots=UPLOADED)) is BY_NAME[StepName.UPLOAD]
    assert first_missing(WORK[Goal.UPLOAD], replace(BACK, images=two, slots=(*UPLOADED, net))) is None
