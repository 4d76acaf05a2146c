"""What a report says of a campaign."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.pictures import check

from keyswitch.campaign.events import Attempt, CampaignState, CampaignStatus, DeviceState, DeviceStatus
from keyswitch.campaign.outcomes import Outcome
from keyswitch.campaign.report import PLOT_HEIGHT, ended_over_time, report
from keyswitch.errors import InputError

CONFIRMED, WAITING = Outcome.CONFIRMED, Outcome.WAITING


def device(id_: str, outcome: Outcome | None, ended_at: str = "", *, wave: int = 1, reason: str = "") -> DeviceStatus:
    last = Attempt(outcome=outcome, detail="=1+1", reason=reason or None, next_step="stop it", ended_at=ended_at)
    state = DeviceState.NOT_BEGUN if outcome is None else DeviceState.ENDED
    return DeviceStatus(
        id=id_, target="udp:h", wave=wave, state=state, attempts=1, last=None if outcome is None else last
    )


STATUS = CampaignStatus(
    name="tray",
    state=CampaignState.DONE,
    devices=(
        device("P-1", CONFIRMED, "2026-11-28T12:00:00.000+00:00"),
        device("P-2", CONFIRMED, "2026-11-28T12:00:50.000+00:00", wave=2),
        device("P-3", WAITING, "2026-11-28T12:01:40.000+00:00", wave=2, reason="guard"),
        device("P-4", None, wave=2),
    ),
)


def test_the_plot_has_a_line_for_each_outcome_that_rises_when_a_device_ends():
    drawn = ended_over_time(STATUS)
    check(drawn)
    confirmed, waiting = re.findall(r'class="(?:series|arrow-open)" d="([^"]*)"', drawn)
    left, bottom = map(int, re.match(r"M(\d+) (\d+)", confirmed).groups())  # type: ignore[union-attr]
    middle, right = left + 280, left + 560
    assert confirmed == (f"M{left} {bottom}H{left}V{bottom - PLOT_HEIGHT // 2}H{middle}V{bottom - PLOT_HEIGHT}H{right}")
    assert waiting == f"M{left} {bottom}H{right}V{bottom - PLOT_HEIGHT // 2}H{right}"
    for words in ("2 confirmed", "1 waiting", "2026-11-28 12:00:00 UTC", "12:01:40"):
        assert f">{words}<" in drawn


def test_without_times_there_is_no_plot():
    assert ended_over_time(CampaignStatus(name="tray", state=CampaignState.DONE, devices=())) == ""
    assert ended_over_time(CampaignStatus(name="t", state=CampaignState.DONE, devices=(device("P", CONFIRMED),))) == ""


def test_one_device_is_a_plot_as_well():
    one = CampaignStatus(
        name="tray", state=CampaignState.DONE, devices=(device("P", CONFIRMED, "2026-11-28T12:00:00.000+00:00"),)
    )
    check(ended_over_time(one))


def test_each_form_has_each_device():
    page = report(STATUS, Path("r.html")).decode()
    assert "<svg" in page
    assert "src=" not in page
    rows = list(csv.DictReader(io.StringIO(report(STATUS, Path("r.csv")).decode())))
    assert [row["device"] for row in rows] == ["P-1", "P-2", "P-3", "P-4"]
    assert rows[0]["detail"] == "'=1+1", "no formula for a spreadsheet"
    whole = json.loads(report(STATUS, Path("r.JSON")))
    assert [each["ended_at"] for each in whole["list"]][-2:] == ["2026-11-28T12:01:40.000+00:00", None]
    with pytest.raises(InputError, match=r"\.json, \.csv, \.html"):
        report(STATUS, Path("r.txt"))


def table(page: str, title: str) -> list[list[str]]:
    """The rows below a heading of the page."""
    body = page.split(f"<h2>{title}</h2>")[1].split("</table>", maxsplit=1)[0]
    return [re.findall("<td>(.*?)</td>", row) for row in body.split("<tr>")[2:]]


def test_every_refusal_is_listed_also_without_the_word_of_a_reason():
    refused = (
        device("P-1", WAITING, reason="guard"),
        device("P-2", Outcome.REFUSED),
        device("P-3", Outcome.BUSY),
        device("P-4", CONFIRMED),
        device("P-5", Outcome.UNREACHABLE),
        device("P-6", Outcome.FAILED, reason="image"),
    )
    page = report(CampaignStatus(name="t", state=CampaignState.DONE, devices=refused), Path("r.html")).decode()
    assert table(page, "Refused, with reasons") == [
        ["P-1", "guard", "=1+1", "stop it"],
        ["P-2", "no reason given", "=1+1", "stop it"],
        ["P-3", "no reason given", "=1+1", "stop it"],
        ["P-6", "image", "=1+1", "stop it"],
    ]


def test_whose_time_is_not_known_is_not_among_the_slowest():
    timed = device("P-1", CONFIRMED)
    assert timed.last is not None
    timed = replace(timed, last=replace(timed.last, duration_ms=1_500))
    devices = (device("P-2", Outcome.REFUSED), timed)
    status = CampaignStatus(name="t", state=CampaignState.DONE, devices=devices)
    assert table(report(status, Path("r.html")).decode(), "Slowest") == [["P-1", "1.5"]]
    rows = list(csv.DictReader(io.StringIO(report(status, Path("r.csv")).decode())))
    assert [row["duration_ms"] for row in rows] == ["", "1500"]


def test_a_campaign_whose_devices_are_not_known_yet_has_a_report():
    nobody = CampaignStatus(name="tray", state=CampaignState.NOT_BEGUN, devices=())
    (head,) = report(nobody, Path("r.csv")).decode().splitlines()
    assert head.split(",")[:4] == ["device", "target", "wave", "state"]
    assert json.loads(report(nobody, Path("r.json")))["list"] == []
    assert "not begun" in report(nobody, Path("r.html")).decode()


def test_a_wave_counts_those_that_have_ended_as_the_outcomes_do():
    again = replace(device("P-1", WAITING), state=DeviceState.RETRY)
    page = report(CampaignStatus(name="t", state=CampaignState.RUNNING, devices=(again,)), Path("r.html")).decode()
    assert "<tr><td>waiting</td><td>0</td></tr>" in page
    assert "<tr><td>1</td><td>1</td><td></td></tr>" in page
