"""What a terminal shows of a campaign that is carried out."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from keyswitch.app.request import UpdateRequest
from keyswitch.campaign.events import (
    ApprovalAwaited,
    Attempt,
    CampaignBegun,
    DeviceBegun,
    DeviceEnded,
    DeviceTold,
    Event,
    LabelScanned,
    Pausing,
    Stopping,
    WaveApproved,
    WindowAwaited,
)
from keyswitch.campaign.model import Campaign, CampaignDevice
from keyswitch.campaign.outcomes import Outcome
from keyswitch.cli.campaign_view import MOST_ROWS, CampaignTable, lines
from keyswitch.host.update.events import StepBegun, StepFailed, Uploading
from keyswitch.host.update.steps import StepName
from keyswitch.host.upload.uploader import UploadProgress

UPLOAD = Uploading(progress=UploadProgress(off=10, size=100, bytes_per_second=12_340, remaining_ms=6_001), at_ms=1)
CONFIRMED = DeviceEnded(
    device="0",
    attempt=1,
    ended=Attempt(outcome=Outcome.CONFIRMED, detail="confirmed", duration_ms=2500),
    retry_in_ms=None,
)
WAITING = DeviceEnded(
    device="1",
    attempt=1,
    ended=Attempt(outcome=Outcome.WAITING, detail="it moves", next_step="stop it"),
    retry_in_ms=60_000,
)


def begun(count: int = 3, **ended: Outcome) -> CampaignBegun:
    devices = tuple(CampaignDevice(id=str(n), request=UpdateRequest(target=f"udp:h:{n + 1}")) for n in range(count))
    campaign = Campaign(name="tray", digest="", devices=devices, waves=(1, count - 1))
    return CampaignBegun(campaign=campaign, ended={id_[1:]: outcome for id_, outcome in ended.items()})


def table(count: int = 3) -> CampaignTable:
    shown = CampaignTable(now_ms=lambda: 1_000)
    shown.hear(begun(count))
    return shown


def drawn(shown: CampaignTable, width: int = 120, height: int = 24) -> list[str]:
    console = Console(width=width, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115 - nothing is written
    console.print(shown.render(height))
    console.file.close()
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_table_has_state_reason_rate_and_time_left_of_those_under_way():
    shown = table()
    assert drawn(shown) == ["0 of 3 have ended; wave 1 of 2"]
    shown.hear(DeviceBegun(device="0", attempt=1))
    shown.hear(
        DeviceTold(
            device="0", event=StepFailed(name=StepName.FIND, at_ms=0, duration_ms=1, why="silent", refused=False)
        )
    )
    shown.hear(DeviceTold(device="0", event=StepBegun(name=StepName.UPLOAD, says="sending the image", at_ms=0)))
    shown.hear(DeviceTold(device="0", event=UPLOAD))
    head, row, foot = drawn(shown)
    assert head.split() == ["device", "state", "reason", "rate", "remaining"]
    assert row.split() == ["0", "sending", "the", "image", "silent", "12.3", "kB/s", "7", "s"]
    assert foot == "0 of 3 have ended; wave 1 of 2"
    shown.hear(CONFIRMED)
    shown.hear(DeviceBegun(device="1", attempt=1))
    shown.hear(WAITING)
    _, row, foot = drawn(shown)
    assert row.split() == ["1", "waiting", "it", "moves", "again", "in", "60", "s"]
    assert foot == "1 of 3 have ended: 1 confirmed; wave 2 of 2"


@pytest.mark.parametrize(("count", "more"), [(MOST_ROWS, ""), (MOST_ROWS + 1, "; 1 more under way")])
def test_a_table_has_room_for_so_many(count: int, more: str):
    shown = table(count)
    for number in range(count):
        shown.hear(DeviceBegun(device=str(number), attempt=1))
    drawing = drawn(shown)
    assert len(drawing) == MOST_ROWS + 2
    assert drawing[-1] == f"0 of {count} have ended; wave 2 of 2{more}"


def test_those_under_way_come_before_those_that_are_tried_again_and_what_has_no_room_is_counted():
    now_ms = 0
    shown = CampaignTable(now_ms=lambda: now_ms)
    shown.hear(begun(MOST_ROWS + 4))
    for number in range(MOST_ROWS + 3):
        shown.hear(DeviceBegun(device=str(number), attempt=1))
    for number in range(MOST_ROWS + 1):
        waits = replace(WAITING, device=str(number), retry_in_ms=60_000 - number)
        shown.hear(waits)
    drawing = drawn(shown)
    assert [line.split()[0] for line in drawing[1:4]] == [str(MOST_ROWS + 1), str(MOST_ROWS + 2), str(MOST_ROWS)]
    assert drawing[-1].endswith("; 3 more to be tried again")
    shown.hear(DeviceBegun(device=str(MOST_ROWS), attempt=2))
    assert [line.split()[:2] for line in drawn(shown)[2:4]] == [
        [str(MOST_ROWS + 2), "begins"],
        [str(MOST_ROWS), "attempt"],
    ]
    for now_ms, left in ((0, "again in 60 s"), (59_980, "again in 1 s"), (59_981, "again: waits for a place")):
        row = next(line for line in drawn(shown) if line.startswith("19 "))
        assert row.endswith(left), now_ms


@pytest.mark.parametrize(("height", "rows"), [(24, 20), (23, 20), (22, 19), (4, 1), (3, 1)])
def test_forty_devices_fit_a_terminal_and_none_is_left_out_of_the_count(height: int, rows: int):
    shown = table(40)
    for number in range(40):
        shown.hear(DeviceBegun(device=str(number), attempt=1))
        says = "wait for the swap and reconnect, which takes as long as it takes, and longer on a busy machine"
        shown.hear(DeviceTold(device=str(number), event=StepBegun(name=StepName.SWAP, says=says, at_ms=0)))
        shown.hear(DeviceTold(device=str(number), event=UPLOAD))
    drawing = drawn(shown, 80, height)
    assert len(drawing) == rows + 2
    assert max(map(len, drawing)) <= 80
    assert [line.split()[0] for line in drawing[1:-1]] == [str(number) for number in range(rows)]
    assert all(line.endswith("7 s") for line in drawing[1:-1])
    assert drawing[-1] == f"0 of 40 have ended; wave 2 of 2; {40 - rows} more under way"


def test_who_had_ended_before_is_counted_and_of_a_scan_those_that_were_found():
    shown = CampaignTable(now_ms=lambda: 0)
    assert drawn(shown) == []
    shown.hear(begun(3, _0=Outcome.CONFIRMED, _1=Outcome.FAILED))
    assert drawn(shown) == ["2 of 3 have ended: 1 confirmed, 1 failed; wave 2 of 2"]


def test_what_a_device_says_cannot_move_the_cursor():
    shown = table()
    shown.hear(
        DeviceTold(
            device="0", event=StepFailed(name=StepName.FIND, at_ms=0, duration_ms=1, why="\x1b[2J", refused=False)
        )
    )
    assert "\x1b" not in "".join(drawn(shown))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (begun(3), []),
        (begun(3, _0=Outcome.CONFIRMED), ["1 of 3 devices had ended before"]),
        (DeviceBegun(device="0", attempt=1), ["0: begins"]),
        (DeviceBegun(device="0", attempt=2), ["0: attempt 2"]),
        (CONFIRMED, ["0: confirmed (confirmed, 2.5 s)"]),
        (WAITING, ["1: waiting (it moves); again in 60 s", "1: next: stop it"]),
        (Stopping(why="enough"), ["stopping: enough"]),
        (Pausing(why="for tonight"), ["pausing: for tonight"]),
        (
            ApprovalAwaited(wave=2, devices=5),
            ["wave 2 (5 devices) waits: approve it with `keyswitch campaign approve tray.toml`"],
        ),
        (LabelScanned(label="SN 1", device="0", again=False), ["0: scanned"]),
        (LabelScanned(label="SN 1", device="0", again=True), ["0: scanned before"]),
        (LabelScanned(label="x", device=None, again=False), ["x: no device of this campaign has this label"]),
        (WindowAwaited(opens_at="noon"), ["no window is open: the next one opens at noon"]),
        (WaveApproved(wave=2, who="a@b", at=""), ["wave 2: approved by a@b"]),
        (DeviceTold(device="0", event=UPLOAD), []),
    ],
)
def test_each_event_in_lines(event: Event, said: list[str]):
    assert lines(event, Path("tray.toml")) == said
