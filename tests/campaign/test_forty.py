"""Forty devices over UDP in real time, with everything among them that a tray has: what is true is read from them.

How long anything takes here is the machine's affair: nothing is asserted of it. None of them is *busy* for that reason:
it is so as long as somebody else keeps its session or its upload, which the device ends by time, and a campaign tries
it again.
"""

import csv
import json
import secrets
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from tests.campaign.devices import CRASHES, DIES, Spec
from tests.campaign.test_campaigns import asked, check_records, outcomes
from tests.campaign.tray import Unit, running

from keyswitch.campaign.model import CampaignFiles
from keyswitch.demo.workshop import Workshop
from keyswitch.exits import Exit
from keyswitch.panel.client import ask

pytestmark = pytest.mark.campaign

COUNT = 40
PLACES = 8
WAVES = (2, 10, 28)


class Kind(Enum):
    """What is the matter with a device, and how its campaign has to end."""

    WELL = "confirmed"
    COMES_TO_REST = "confirmed, though it moves at first"
    HAS_IT = "confirmed, and nothing is written"
    MOVES = "waiting"
    CRASHES = "reverted"
    DIES = "failed"
    IS_ANOTHER = "refused: another unit of the same name"
    TAKES_ANOTHER_SECRET = "refused: its proof"  # noqa: S105 - no secret
    IS_AWAY = "unreachable"

    @property
    def outcome(self) -> str:
        """In the campaign's word."""
        return self.value.split(",")[0].split(":")[0]


KINDS = {
    1: Kind.HAS_IT,
    3: Kind.COMES_TO_REST,
    9: Kind.COMES_TO_REST,
    12: Kind.MOVES,
    13: Kind.DIES,
    14: Kind.CRASHES,
    17: Kind.COMES_TO_REST,
    20: Kind.IS_ANOTHER,
    21: Kind.TAKES_ANOTHER_SECRET,
    22: Kind.IS_AWAY,
    30: Kind.HAS_IT,
    31: Kind.DIES,
    33: Kind.CRASHES,
}
"""By the device's number; all others are well. The first that dies does so before the campaign is interrupted."""


def kind(number: int) -> Kind:
    return KINDS.get(number, Kind.WELL)


FILE = """
devices = "tray.csv"
[campaign]
name = "forty"
[release]
image = "{image}"
policy = "{policy}"
inventory = "inventory.csv"
[waves]
percent = [5, 25]
[run]
concurrency = {places}
[retry.waiting]
attempts = 4
wait_s = 2
"""


def write_units(directory: Path, pump: Workshop) -> list[Spec]:
    """Each device as a unit with a secret of its own, and the inventory of the tray."""
    specs: list[Spec] = []
    inventory = ["id,serial,secret"]
    for number in range(COUNT):
        name, what = f"P-{number}", kind(number)
        for owner in (name, f"{name}-others"):
            secret = directory / f"{owner}.hmac"
            secret.touch(mode=0o600)
            secret.write_text(secrets.token_hex(32))
        holds = f"{name}-others" if what is Kind.TAKES_ANOTHER_SECRET else name
        unit = directory / f"{name}.toml"
        id_ = "P-99" if what is Kind.IS_ANOTHER else name
        unit.write_text(f'[unit]\nid = "{id_}"\nsecret = "{holds}.hmac"\n')
        inventory.append(f"{name},SN {number},{name}.hmac")
        specs.append(
            Spec(
                state=str(directory / f"d{number}"),
                policy=str(pump.policy_file),
                image=str(pump.new if what is Kind.HAS_IT else pump.old),
                unit=str(unit),
                virtual_time=False,
                fate={Kind.CRASHES: CRASHES, Kind.DIES: DIES}.get(what, ""),
            )
        )
    (directory / "inventory.csv").write_text("\n".join(inventory) + "\n")
    return specs


class Watched:
    """A campaign that is carried out, beside its devices: brings those to rest that wait, and looks at its status."""

    def __init__(self, file: Path, units: list[Unit], concluded: dict[str, str]) -> None:
        self.file, self.units, self.concluded = file, units, concluded
        self.told: list[dict[str, Any]] = []
        self.looked = 0

    def run(self, act: str) -> Iterator[dict[str, Any]]:
        """What it tells, until it ends; whoever reads may end it."""
        command = [sys.executable, "-m", "tests.campaign.impatient", act, str(self.file), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as self.process:
            assert self.process.stdout is not None
            for line in self.process.stdout:
                event = json.loads(line)
                self.told.append(event)
                if event["event"] == "device_ended":
                    self.ended(event)
                yield event
            assert self.process.stderr is not None
            self.said = self.process.stderr.read()
        self.code = self.process.returncode

    def ended(self, event: dict[str, Any]) -> None:
        number = int(event["device"].partition("-")[2])
        if event["retry_in_ms"] is None:
            assert event["device"] not in self.concluded, "each device ends once"
            self.concluded[event["device"]] = event["outcome"]
        elif kind(number) is Kind.COMES_TO_REST:
            self.units[number].moves(is_true=False)
        if len(self.told) % 3 == 0:
            self.look()

    def look(self) -> list[dict[str, Any]]:
        """The status at this moment, which has to be possible; its devices."""
        self.looked += 1
        *devices, campaign = asked("status", self.file)[1]
        assert [each["device"] for each in devices] == [f"P-{n}" for n in range(COUNT)]
        states = Counter(each["state"] for each in devices)
        assert states["under way"] + states["broken off"] <= PLACES, states
        assert campaign["devices"] == COUNT
        assert sum(campaign["outcomes"].values()) == states["ended"]
        # An end is told before it is kept, and kept before the next device has the place.
        assert states["ended"] >= len(self.concluded) - PLACES
        for each in devices:
            if each["state"] == "ended" and each["device"] in self.concluded:
                assert each["outcome"] == self.concluded[each["device"]]
        begun = [wave for wave in (1, 2, 3) if any(e["wave"] == wave and e["state"] != "not begun" for e in devices)]
        assert all(each["state"] == "ended" for each in devices if begun and each["wave"] < max(begun))
        return devices


def check_device(number: int, unit: Unit, at_first: tuple[int, int], an_update: tuple[int, int]) -> None:
    """What the device itself has recorded and counted, and how it is left."""
    what = kind(number)
    swaps, confirmed, reverted = (len(unit.events(f"image-{it}")) for it in ("swapped", "confirmed", "reverted"))
    work = tuple(now - before for now, before in zip(unit.flash_work(), at_first, strict=True))
    status = None if what is Kind.DIES else ask(unit.state, {"do": "status"})
    match what:
        case Kind.WELL | Kind.COMES_TO_REST:
            assert (swaps, confirmed, reverted) == (1, 1, 0)
            assert an_update[0] <= work[0] < an_update[0] * 1.9, "what an interruption has discarded is sent once more"
        case Kind.CRASHES:
            assert (confirmed, reverted) == (0, swaps)
            assert 1 <= swaps <= 4, "each of the two runs tries once more where it saw nothing of it but its end"
        case Kind.DIES:
            assert (swaps, confirmed, reverted) == (1, 0, 0)
        case Kind.HAS_IT | Kind.MOVES | Kind.IS_ANOTHER | Kind.TAKES_ANOTHER_SECRET | Kind.IS_AWAY:
            assert (swaps, confirmed, reverted, work) == (0, 0, 0, (0, 0))
            assert what is Kind.HAS_IT or not unit.events("entered")
    assert len(unit.events("proof-wrong")) == (what is Kind.TAKES_ANOTHER_SECRET)
    if status is not None:
        assert status["mode"] == ("active" if what is Kind.MOVES else "normal"), "nobody is left in maintenance"
        assert status["running"]["version"] == ("1.1.0" if what.outcome == "confirmed" else "1.0.0")


def check_reports(file: Path, directory: Path) -> None:
    """Each form has each device once, with its outcome."""
    expected = {f"P-{n}": kind(n).outcome for n in range(COUNT)}
    assert asked("report", file, "-o", directory / "r.json")[0] == Exit.YES
    whole = json.loads((directory / "r.json").read_text())
    assert [each["device"] for each in whole["list"]] == list(expected)
    assert {each["device"]: each["outcome"] for each in whole["list"]} == expected
    assert {word: n for word, n in whole["outcomes"].items() if n} == Counter(expected.values())
    assert asked("report", file, "-o", directory / "r.csv")[0] == Exit.YES
    rows = list(csv.DictReader((directory / "r.csv").read_text().splitlines()))
    assert [(row["device"], row["outcome"]) for row in rows] == list(expected.items())
    assert asked("report", file, "-o", directory / "r.html")[0] == Exit.YES
    page = (directory / "r.html").read_text()
    table = page[page.index("<h2>Devices</h2>") :]
    assert [table.count(f"<td>{device}</td>") for device in expected] == [1] * COUNT


def test_forty_devices_of_every_kind_interrupted_in_the_middle(tmp_path: Path, pump: Workshop):
    specs = write_units(tmp_path, pump)
    file = tmp_path / "forty.toml"
    file.write_text(FILE.format(image=pump.new, policy=pump.policy_file, places=PLACES))
    with running(tmp_path, specs) as ready:
        targets = ["127.0.0.1:9" if kind(n) is Kind.IS_AWAY else each["udp"] for n, each in enumerate(ready)]
        lines = [f"P-{n},udp:{target}" for n, target in enumerate(targets)]
        (tmp_path / "tray.csv").write_text("\n".join(["id,target", *lines]) + "\n")
        units = [Unit(id=f"P-{n}", state=Path(spec.state), target=targets[n]) for n, spec in enumerate(specs)]
        at_first = [unit.flash_work() for unit in units]
        for number, unit in enumerate(units):
            if kind(number) in {Kind.COMES_TO_REST, Kind.MOVES}:
                unit.moves(is_true=True)

        first = Watched(file, units, {})
        dying = units[13]
        interrupted = False
        for _ in first.run("run"):
            if not interrupted and len(first.concluded) >= 18 and dying.events("image-swapped"):
                interrupted = True
                first.process.send_signal(signal.SIGINT)
        assert first.code == Exit.INTERRUPTED
        assert first.said == f"interrupted: resume with `keyswitch campaign resume {file}`\n"
        assert first.told[0] == {
            "schema_version": 2,
            "event": "campaign_begun",
            "name": "forty",
            "round": 1,
            "devices": COUNT,
            "waves": list(WAVES),
            "ended": dict.fromkeys(first.told[-1]["outcomes"], 0),
        }
        stands = first.look()
        assert stands[13]["state"] == "broken off"
        assert "under way" not in {each["state"] for each in stands}
        assert asked("run", file)[0] == Exit.USAGE

        second = Watched(file, units, dict(first.concluded))
        for _ in second.run("resume"):
            pass
        last = second.told[-1]
        assert sum(second.told[0]["ended"].values()) == len(first.concluded)
        assert (second.code, last["state"], last["devices"]) == (Exit.NO, "done", COUNT)
        assert outcomes(last) == Counter(kind(n).outcome for n in range(COUNT))
        assert second.concluded == {f"P-{n}": kind(n).outcome for n in range(COUNT)}
        assert first.looked + second.looked > 10
        details = {each["device"]: each["detail"] for each in second.look()}
        assert details["P-13"].startswith("it has not come back since an earlier attempt reset it")
        assert details["P-20"] == "refused: 'P-99' answers, not 'P-20': another unit with the same policy"
        assert details["P-31"].startswith("never came back: ")
        for number, unit in enumerate(units):
            check_device(number, unit, at_first[number], _difference(units[0].flash_work(), at_first[0]))
        check_records(file, units)
        check_reports(file, tmp_path)
        assert not list(CampaignFiles.of(file).directory.glob("*.log"))


def _difference(now: tuple[int, int], before: tuple[int, int]) -> tuple[int, int]:
    return now[0] - before[0], now[1] - before[1]
