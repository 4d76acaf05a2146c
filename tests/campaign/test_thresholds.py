"""Where a campaign stops by itself, with real devices: at its number and its share, and not one below either.

The devices that fail are other units than those that are meant, which their outcome says within a second: *refused*.
"""

import json
import secrets
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.campaign.devices import Spec
from tests.campaign.test_campaigns import asked, outcomes
from tests.campaign.tray import Unit, running

from keyswitch.campaign.model import CampaignFiles
from keyswitch.demo.workshop import Workshop
from keyswitch.exits import Exit

pytestmark = pytest.mark.campaign

FILE = """
[campaign]
name = "limits"
[release]
image = "{image}"
policy = "{policy}"
inventory = "inventory.csv"
[run]
concurrency = {concurrency}
[[abort]]
outcomes = ["refused"]
least = {least}
percent = {percent}
"""

COUNT = 8
"""Devices that have the release: a campaign confirms one within a second, and changes nothing on it."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Devices that have the release, and files for campaigns of them."""

    pump: Workshop
    directory: Path
    units: list[Unit]

    def run(self, name: str, ends: str, *, least: int, percent: int, concurrency: int = 1) -> tuple[Any, ...]:
        """A campaign of devices that end so, in order: `r`efused or `c`onfirmed; what it ends with, and who was asked.

        Whether a device is the unit that is meant is the inventory's to say.
        """
        directory = self.directory / name
        directory.mkdir()
        rows = ["id,secret"]
        text = FILE.format(
            image=self.pump.new,
            policy=self.pump.policy_file,
            least=least,
            percent=percent,
            concurrency=concurrency,
        )
        for unit, end in zip(self.units, ends, strict=False):
            id_ = unit.id if end == "c" else f"other-{unit.id}"
            rows.append(f"{id_},{self.directory / 'unit.hmac'}")
            text += f'[[device]]\nid = "{id_}"\ntarget = "{unit.target}"\n'
        (directory / "inventory.csv").write_text("\n".join(rows) + "\n")
        file = directory / "limits.toml"
        file.write_text(text)
        heard = [len(unit.events("entered")) for unit in self.units]
        code, told = asked("run", file)
        assert code in {Exit.YES, Exit.NO}
        begun = [each["device"].removeprefix("other-") for each in told if each["event"] == "device_begun"]
        entered = [len(unit.events("entered")) - before for unit, before in zip(self.units, heard, strict=True)]
        for unit, end, entries in zip(self.units, ends, entered, strict=False):
            assert entries == (end == "c" and unit.id in begun), "as the device has it"
        stops = [each["detail"] for each in told if each["event"] == "stopping"]
        _, objects = asked("status", file)
        assert objects[-1]["outcomes"] == told[-1]["outcomes"]
        assert objects[-1]["detail"] == told[-1]["detail"] == (stops[0] if stops else "")
        conclusion = CampaignFiles.of(file).record.read_text().splitlines()[-2]
        assert json.loads(conclusion)["body"]["state"] == told[-1]["state"]
        return told[-1]["state"], len(begun), outcomes(told[-1]), stops


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, pump: Workshop) -> Generator[Bench]:
    directory = tmp_path_factory.mktemp("limits")
    secret = directory / "unit.hmac"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(32))
    specs: list[Spec] = []
    for number in range(COUNT):
        unit = directory / f"u{number}.toml"
        unit.write_text(f'[unit]\nid = "P-{number}"\nsecret = "unit.hmac"\n')
        state, policy = str(directory / f"d{number}"), str(pump.policy_file)
        specs.append(Spec(state=state, policy=policy, image=str(pump.new), unit=str(unit)))
    with running(directory, specs) as ready:
        units = [
            Unit(id=f"P-{n}", state=Path(spec.state), target=f"udp:{ready[n]['udp']}") for n, spec in enumerate(specs)
        ]
        yield Bench(pump=pump, directory=directory, units=units)


@pytest.mark.parametrize(
    ("name", "ends", "least", "percent", "state", "begun"),
    [
        # The number: three are refused, all of those that have ended.
        ("number-one-below", "rrrc", 4, 1, "done", 4),
        ("number-at", "rrrc", 3, 1, "aborted", 3),
        ("number-one-above", "rrrc", 2, 1, "aborted", 2),
        # The share: with the second refusal 2 of 5 have ended so.
        ("share-one-below", "crccrccc", 2, 41, "done", 8),
        ("share-at", "crccrccc", 2, 40, "aborted", 5),
        ("share-one-above", "crccrccc", 2, 39, "aborted", 5),
        # Both have to be reached: the share is at first, the number only when it is not any more.
        ("both", "rcrccrcc", 3, 51, "done", 8),
        ("both-at", "rcrccrcc", 3, 50, "aborted", 6),
        # The last device stops a campaign as well, though nothing is left to begin.
        ("last", "cccr", 1, 25, "aborted", 4),
        ("last-below", "cccr", 1, 26, "done", 4),
    ],
)
def test_exact_at_its_limit(bench: Bench, name: str, ends: str, least: int, percent: int, state: str, begun: int):
    ended = ends[:begun]
    found, count, counted, stops = bench.run(name, ends, least=least, percent=percent)
    assert (found, count) == (state, begun)
    refused, confirmed = ended.count("r"), ended.count("c")
    assert counted == {word: n for word, n in (("confirmed", confirmed), ("refused", refused)) if n}
    why = f"{refused} of {begun} ended refused: the file stops it at {least} and {percent} per cent"
    assert stops == ([why] if state == "aborted" else [])


def test_with_several_places_those_under_way_reach_their_end_and_no_other_begins(bench: Bench):
    found, count, counted, stops = bench.run("places", "rrcccccc", least=2, percent=1, concurrency=3)
    assert found == "aborted"
    assert 2 <= count <= 4, "three places, and at most one that was free before the second refusal"
    assert (sum(counted.values()), counted["refused"], len(stops)) == (count, 2, 1)
