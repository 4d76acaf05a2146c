"""What a plan says of gateways and of time; the devices are not asked here."""

import asyncio
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.ended import ended

from keyswitch.app.plan import plan_unasked
from keyswitch.app.request import UpdateRequest
from keyswitch.app.update import prepare
from keyswitch.campaign import plan as planning
from keyswitch.campaign.engine import FLOWS_VERSION
from keyswitch.campaign.gateways import MISSED_SIGNS, SEEN_EACH_S, GatewayRecord, controllers
from keyswitch.campaign.load import check_requests
from keyswitch.campaign.model import Campaign, CampaignDevice
from keyswitch.campaign.plan import Asked, CampaignPlan, ask_all
from keyswitch.campaign.windows import Day, Window
from keyswitch.demo.workshop import Workshop
from keyswitch.errors import InputError
from keyswitch.exits import Exit

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
"""A Saturday."""

SEEN = GatewayRecord(name="north", version=FLOWS_VERSION, host="pi-3", silent_s=4.2, adapters=("hci0", "hci1"))
LATE_S = MISSED_SIGNS * SEEN_EACH_S


def asked_behind(monkeypatch: pytest.MonkeyPatch, url: str | None, *known: GatewayRecord) -> tuple[Asked, CampaignPlan]:
    def read(_url: str) -> dict[str, GatewayRecord]:
        return {each.name: each for each in known}

    monkeypatch.setattr(planning, "read_gateways", read)
    device = CampaignDevice(id="P", request=UpdateRequest(target="udp:h"), gateway="north")
    made = asyncio.run(ask_all(Campaign(name="t", digest="", devices=(device,), waves=(1,)), url))
    return made.asked[0], made


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (SEEN, "seen 4 s ago; its Bluetooth adapters then: hci0, hci1"),
        (replace(SEEN, silent_s=LATE_S), "seen 30 s ago; its Bluetooth adapters then: hci0, hci1"),
        (replace(SEEN, silent_s=LATE_S + 1, adapters=()), "silent for 31 s; its Bluetooth adapters then: none"),
        (replace(SEEN, adapters=None), "seen 4 s ago; its Bluetooth adapters then: not known"),
    ],
)
def test_a_gateway_is_told_by_its_last_sign_of_life(monkeypatch: pytest.MonkeyPatch, record: GatewayRecord, line: str):
    asked, made = asked_behind(monkeypatch, "postgresql:///x", record)
    assert (
        asked.line == f"not asked: its gateway could, but a plan gives gateways no work (gateway north on pi-3, {line})"
    )
    assert (made.refused, made.unreachable) == (0, 1), "of the device itself nothing is known"
    assert made.behind_gateways == 1
    plain = asked.as_json()
    adapters = None if record.adapters is None else list(record.adapters)
    assert (plain["gateway"], plain["gateway_seen_ms"], plain["gateway_adapters"]) == (
        "north",
        round(record.silent_s * 1000),
        adapters,
    )


def test_the_sum_says_how_many_were_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pump: Workshop, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(planning, "read_gateways", lambda _url: {"north": SEEN})
    file = tmp_path / "t.toml"
    text = f'[campaign]\nname = "t"\n[release]\nimage = "{pump.new}"\npolicy = "{pump.policy_file}"\n'
    file.write_text(text + '[[device]]\nid = "P"\ntarget = "udp:h"\ngateway = "north"\n')
    assert ended("campaign", "plan", str(file), "--database", "postgresql:///x") == Exit.UNKNOWN
    said = capsys.readouterr().out
    assert "wave 1  P  not asked: its gateway could, but a plan gives gateways no work (gateway north on pi-3" in said
    assert "0 of 1 would be updated now, 1 at once; 1 behind gateways not asked\n" in said
    assert "about" not in said, "of nothing no time is known"


def test_a_campaign_that_its_gateways_cannot_carry_out_is_refused_beforehand(monkeypatch: pytest.MonkeyPatch):
    asked, made = asked_behind(monkeypatch, None)
    assert asked.refused == "a campaign with gateways needs the database in which they are seen"
    assert (made.refused, made.unreachable, made.behind_gateways) == (1, 0, 0)
    asked, _ = asked_behind(monkeypatch, "postgresql:///x", replace(SEEN, name="south"))
    assert asked.refused == "gateway north was never seen in this database"
    asked, _ = asked_behind(monkeypatch, "postgresql:///x", replace(SEEN, version="1"))
    assert asked.refused == f"its keyswitch carries out version 1 of campaigns; this one has {FLOWS_VERSION}"
    assert asked.as_json()["gateway_seen_ms"] == 4200


def test_windows_bound_the_duration_where_the_work_does_not_fit(pump: Workshop):
    request = UpdateRequest(target="udp:h", image=pump.new, policy=pump.policy_file)
    plan = plan_unasked(prepare(request))
    devices = tuple(CampaignDevice(id=str(n), request=request) for n in range(2))
    lasts = timedelta(milliseconds=2 * plan.expected_ms)
    bare = Campaign(name="t", digest="", devices=devices, waves=(2,))

    def made(*windows: Window) -> CampaignPlan:
        asked = tuple(Asked(device=each.id, target="udp:h", wave=1, plan=plan) for each in devices)
        return CampaignPlan(campaign=replace(bare, windows=windows), asked=asked)

    window = Window(days=(Day.SATURDAY,), opens_min=12 * 60, closes_min=13 * 60, zone="UTC")
    closes = NOON + timedelta(hours=1)
    assert made().limited_by(NOON) == (plan.fast.limited_by,)
    assert made(window).limited_by(NOON) == (plan.fast.limited_by,)
    assert made(window).ends_at(closes - lasts) == closes, "it just fits"
    late = closes - lasts + timedelta(milliseconds=1)
    assert made(window).limited_by(late) == (plan.fast.limited_by, "windows")
    assert made(window).ends_at(late) == NOON + timedelta(days=7, milliseconds=1)
    before = NOON - timedelta(minutes=1)
    assert made(window).limited_by(before) == (plan.fast.limited_by, "windows")
    assert made(window).ends_at(before) == NOON + lasts


def test_what_a_gateway_proves_entry_with_is_not_needed_here(tmp_path: Path, pump: Workshop):
    shutil.copytree(pump.policy_file.parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "keys" / "pump7.hmac").unlink()
    request = UpdateRequest(target="udp:h", image=pump.new, policy=tmp_path / pump.policy_file.name)
    here, there = (CampaignDevice(id="P", request=request, gateway=gateway) for gateway in (None, "north"))
    with pytest.raises(InputError, match=r"device P: .*pump7\.hmac"):
        check_requests(Campaign(name="t", digest="", devices=(here,), waves=(1,)))
    checked = check_requests(Campaign(name="t", digest="", devices=(there,), waves=(1,)))
    assert len(checked.image_hashes) == 1
    missing = replace(there, request=replace(request, image=tmp_path / "none.bin"))
    with pytest.raises(InputError, match=r"device P: .*none\.bin"):
        check_requests(Campaign(name="t", digest="", devices=(missing,), waves=(1,)))


def test_controllers_are_those_that_linux_has(tmp_path: Path):
    assert controllers(tmp_path / "class" / "bluetooth") is None, "no Linux"
    assert controllers(tmp_path / "bluetooth") == (), "one without Bluetooth"
    for name in ("hci1", "hci0", "hci0:42"):
        (tmp_path / "bluetooth" / name).mkdir(parents=True)
    assert controllers(tmp_path / "bluetooth") == ("hci0", "hci1")
