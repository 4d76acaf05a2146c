"""Eight devices on one modelled air, two adapters of the campaign's process, two devices at once over each.

Everybody hears everybody: all devices advertise on the one air, so that names and addresses alone tell them apart. What
is true is read from the devices, and from the adapters' controllers.
"""

import json
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

from keyswitch.campaign.radios import own_adapters
from keyswitch.demo.workshop import Workshop
from keyswitch.exits import Exit
from keyswitch.panel.client import ask

pytestmark = pytest.mark.campaign

FILE = """
[campaign]
name = "air"
[release]
image = "{image}"
policy = "{policy}"
inventory = "inventory.csv"
[run]
concurrency = 4
per_adapter = 2
[retry.waiting]
attempts = 9
wait_s = 1
factor = 1
"""


class Kind(Enum):
    """What is the matter with a device, and how its campaign has to end."""

    WELL = "confirmed"
    COMES_TO_REST = "confirmed, though it moves at first"
    HAS_IT = "confirmed, and nothing is written"
    CRASHES = "reverted"
    DIES = "failed"
    IS_ANOTHER = "refused: another unit of the same name"
    HAS_A_NAMESAKE = "refused: a second device of the same name"

    @property
    def outcome(self) -> str:
        """In the campaign's word."""
        return self.value.split(",")[0].split(":")[0]


KINDS = (
    Kind.WELL,
    Kind.COMES_TO_REST,
    Kind.CRASHES,
    Kind.DIES,
    Kind.HAS_IT,
    Kind.IS_ANOTHER,
    Kind.HAS_A_NAMESAKE,
    Kind.WELL,
)
"""By number: the even ones are reached over one adapter, the odd ones over the other."""

NAMESAKE = len(KINDS)
"""Number of a device that is of no campaign, and has the name of another one."""

DYING = KINDS.index(Kind.DIES)
OUTCOMES = {f"P-{number}": kind.outcome for number, kind in enumerate(KINDS)}


def write_units(directory: Path, pump: Workshop) -> list[Spec]:
    """Devices of one policy, which differ in name and identity; on the air in real time."""
    specs: list[Spec] = []
    for number, kind in enumerate((*KINDS, None)):
        name = KINDS.index(Kind.HAS_A_NAMESAKE) if number == NAMESAKE else number
        policy = pump.policy_file.parent / f"policy-{number}.toml"
        policy.write_text(pump.policy_file.read_text().replace('name = "Pump 7"', f'name = "Tray {name}"'))
        unit = directory / f"u{number}.toml"
        unit.write_text(f'[unit]\nid = "{"P-99" if kind is Kind.IS_ANOTHER else f"P-{number}"}"\n')
        specs.append(
            Spec(
                state=str(directory / f"d{number}"),
                policy=str(policy),
                image=str(pump.new if kind is Kind.HAS_IT else pump.old),
                unit=str(unit),
                ble="air",
                virtual_time=False,
                fate={Kind.CRASHES: CRASHES, Kind.DIES: DIES}.get(kind, "") if kind is not None else "",
            )
        )
    return specs


def write_campaign(directory: Path, pump: Workshop, adapters: list[str], addresses: list[str]) -> Path:
    """Two are named by their addresses, the others by their names."""
    ids = [f"P-{number}" for number in range(len(KINDS))]
    (directory / "inventory.csv").write_text("\n".join(["id,secret", *(f"{id_}," for id_ in ids)]) + "\n")
    text = FILE.format(image=pump.new, policy=pump.policy_file)
    for number, id_ in enumerate(ids):
        device = addresses[number] if number in {0, 1} else f"Tray {number}"
        text += f'[[device]]\nid = "{id_}"\ntarget = "hci:{adapters[number % 2]}#{device}"\n'
    file = directory / "air.toml"
    file.write_text(text)
    return file


def tell(file: Path) -> Iterator[dict[str, Any]]:
    """What the campaign tells; it ends with some that were not confirmed."""
    command = [sys.executable, "-m", "tests.campaign.impatient", "run", str(file), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield from map(json.loads, process.stdout)
    assert process.returncode == Exit.NO


def check_device(kind: Kind | None, unit: Unit, at_first: tuple[int, int]) -> None:
    """What the device itself has recorded, and how it is left; None: it is of no campaign."""
    swaps, confirmed, reverted = (len(unit.events(f"image-{it}")) for it in ("swapped", "confirmed", "reverted"))
    match kind:
        case Kind.WELL | Kind.COMES_TO_REST:
            assert (swaps, confirmed, reverted) == (1, 1, 0)
            assert len(unit.events("upload-done")) == 1
        case Kind.CRASHES:
            assert (confirmed, reverted) == (0, swaps)
            assert swaps in {1, 2}, "an operator that saw nothing of it but its end tries once more"
        case Kind.DIES:
            assert (swaps, confirmed, reverted) == (1, 0, 0)
            return
        case Kind.HAS_IT | Kind.IS_ANOTHER | Kind.HAS_A_NAMESAKE | None:
            assert (swaps, confirmed, reverted, unit.flash_work()) == (0, 0, 0, at_first)
            assert kind is Kind.HAS_IT or not unit.events("entered")
    status = ask(unit.state, {"do": "status"})
    assert status["mode"] == "normal", "nobody is left in maintenance"
    is_new = kind is not None and kind.outcome == "confirmed"
    assert status["running"]["version"] == ("1.1.0" if is_new else "1.0.0")


def check_adapter(lives: list[dict[str, Any]], *, shared_to_the_end: bool) -> None:
    """One controller for all devices, one scan for whoever listens, two links at once, and none cut by its end."""
    events = Counter(each["event"] for each in lives)
    assert events["attached"] == events["gone"]
    # It is closed when nobody uses it. The device that dies is waited for until all others have ended.
    assert events["attached"] == 1 or not shared_to_the_end
    assert max(each["links"] for each in lives) == 2
    attached = False
    for each in lives:
        assert attached is (each["event"] != "attached"), "never two controllers for one adapter"
        attached = each["event"] != "gone"
        assert attached or (each["links"], each["scans"]) == (0, False), "nothing is cut off by its end"


def test_eight_devices_on_two_radios(tmp_path: Path, pump: Workshop):
    specs = write_units(tmp_path, pump)
    with running(tmp_path, specs, adapters=3) as ready:
        _, *adapters = ready[0]["hubs"]  # the first one is the devices' own
        file = write_campaign(tmp_path, pump, adapters, [each["address"] for each in ready])
        units = [Unit(id=f"P-{number}", state=Path(spec.state), target="") for number, spec in enumerate(specs)]
        at_first = [unit.flash_work() for unit in units]
        moving = units[KINDS.index(Kind.COMES_TO_REST)]
        moving.moves(is_true=True)
        told: list[dict[str, Any]] = []
        locked = ""
        under_way: set[str] = set()
        for event in tell(file):
            told.append(event)
            match event["event"], event.get("device"):
                case "device_begun", device:
                    under_way.add(device)
                    assert Counter(int(id_[2:]) % 2 for id_ in under_way).most_common(1)[0][1] <= 2
                case "device_ended", device:
                    under_way.discard(device)
                    if device == moving.id and event["outcome"] == "waiting":
                        moving.moves(is_true=False)
                    if not locked:
                        with pytest.raises(Exception, match="another process uses") as refused:
                            own_adapters([f"hci:{adapters[0]}#x"]).__enter__()
                        locked = str(refused.value)
        assert locked.endswith(", campaign air) (expected its end)")
        assert outcomes(told[-1]) == Counter(OUTCOMES.values())
        *devices, _ = asked("status", file)[1]
        assert {each["device"]: each["outcome"] for each in devices} == OUTCOMES
        details = {each["device"]: each["detail"] for each in devices}
        assert "'P-99' answers, not 'P-5': another unit with the same policy" in details["P-5"]
        assert "#Tray 6: 2 devices have this name: " in details["P-6"]
        for kind, unit, before in zip((*KINDS, None), units, at_first, strict=True):
            check_device(kind, unit, before)
        check_records(file, units[: len(KINDS)])
        lives = [json.loads(line) for line in (tmp_path / "devices.adapters").read_text().splitlines()]
        for number, adapter in enumerate(adapters):
            own = [each for each in lives if each["adapter"] == adapter]
            check_adapter(own, shared_to_the_end=number == DYING % 2)
