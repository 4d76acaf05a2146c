"""Devices as products build them today: their findings were written down by hand first, then compared."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from tests.audit.audits import CHEAP, SMALL, WIDE, audit, blind, over, verdicts, with_maintenance
from tests.audit.test_matrix import answer

from keyswitch.audit.checks import BY_ID
from keyswitch.audit.run import Audited
from keyswitch.audit.target import NotReachedError, Target
from keyswitch.device.server.components import Components
from keyswitch.gate.events import ButtonHeld, InputChanged
from keyswitch.gate.peer import Service
from keyswitch.host.access.recipe_loader import load
from keyswitch.host.access.recipe_strategy import RecipeStrategy
from keyswitch.policy.enums import Visibility
from keyswitch.smp.groups import mode
from keyswitch.smp.header import Header
from keyswitch.terms import Transport
from keyswitch.testing.holes.device import DeviceInProcess
from keyswitch.testing.holes.profiles import ON_AIR, PROFILES
from keyswitch.testing.holes.table import open_for

SMALL_WIDE = with_maintenance(SMALL, allow=WIDE.modes["maintenance"].allow)
RADIO = ("KS-501", "KS-502", "KS-504", "KS-506", "KS-508")
SERVED_OVER = {
    "GATT authorization only": CHEAP,
    "unregister only, with the window at boot": replace(CHEAP, gate=replace(CHEAP.gate, service=Visibility.RECONNECT)),
    "advertising only": over(replace(CHEAP, gate=replace(CHEAP.gate, service=Visibility.RECONNECT)), Transport.BLE),
}
"""The transports of a profile whose gate is one of Bluetooth LE; the others show the same over any."""
MATRIX = tuple(check for check in BY_ID if check < "KS-200")

FINDINGS = {
    "hook on upload chunks only": {
        *("KS-104", "KS-105", "KS-106", "KS-107", "KS-108", "KS-109", "KS-110", "KS-111", "KS-112", "KS-113"),
        *("KS-114", "KS-117", "KS-301", "KS-302", "KS-312"),
    },
    "access hook of the image group only": {
        *("KS-108", "KS-109", "KS-110", "KS-111", "KS-112", "KS-113", "KS-114", "KS-117", "KS-301"),
    },
    "GATT authorization only": {
        *("KS-101", "KS-102", "KS-103", "KS-104", "KS-105", "KS-106", "KS-107", "KS-108", "KS-109", "KS-110"),
        *("KS-111", "KS-112", "KS-113", "KS-114", "KS-117", "KS-302", "KS-312"),
    },
    # Leaving does nothing: what is sent behind a leave is served, and nothing ends by itself.
    "unlocked until reboot": {"KS-301", "KS-304", "KS-308"},
    # Over UDP everything is open. Over the air the handle is gone with the service, but for the window at boot. What
    # waits behind a leave over the air is dropped with the queue.
    "unregister only, with the window at boot": {
        *("KS-101", "KS-102", "KS-103", "KS-104", "KS-105", "KS-106", "KS-107", "KS-108", "KS-109", "KS-110"),
        *("KS-111", "KS-112", "KS-113", "KS-114", "KS-117", "KS-302", "KS-312"),
    },
    # Whoever connects finds the service, in every mode: the table does not follow, an upload goes on, nothing is asked.
    "advertising only": {
        *("KS-101", "KS-102", "KS-103", "KS-104", "KS-105", "KS-106", "KS-107", "KS-108", "KS-109", "KS-110"),
        *("KS-111", "KS-112", "KS-113", "KS-114", "KS-117", "KS-302", "KS-303", "KS-304", "KS-312", "KS-501", "KS-508"),
    },
}
"""What each profile leaves open. A check that is not here passes, does not apply, or cannot tell."""


STORIES = ("KS-301", "KS-302", "KS-303", "KS-304", "KS-308", "KS-312", "KS-402")
QUICK = ("KS-106", "KS-312", "KS-501")
"""Of a device with a radio; all of them take many seconds."""


def findings(name: str, checks: Iterable[str]) -> set[str]:
    found = verdicts(audit(SERVED_OVER.get(name, over(CHEAP, Transport.UDP)), checks, PROFILES[name]()))
    return {check for check, verdict in found.items() if verdict == "fail"}


@pytest.mark.parametrize("name", sorted(FINDINGS.keys() - ON_AIR))
def test_the_findings_of_a_profile(name: str) -> None:
    assert findings(name, [*MATRIX, *STORIES]) == FINDINGS[name]


OVER_THE_AIR = {
    "unregister only, with the window at boot": {"KS-312"},
    "advertising only": {"KS-106", "KS-312", "KS-501"},
}
"""Of `QUICK`, on a device that has nothing but its radio."""


@pytest.mark.parametrize("name", sorted(ON_AIR))
def test_the_findings_of_a_profile_over_the_air_alone(name: str) -> None:
    found = verdicts(audit(over(SERVED_OVER[name], Transport.BLE), QUICK, PROFILES[name]()))
    assert {check for check, verdict in found.items() if verdict == "fail"} == OVER_THE_AIR[name]
    assert set(found.values()) <= {"pass", "fail", "not applicable"}


@pytest.mark.deep
@pytest.mark.parametrize("name", sorted(ON_AIR))
def test_all_findings_of_a_profile_of_a_radio(name: str) -> None:
    assert findings(name, [*MATRIX, *STORIES, *RADIO]) == FINDINGS[name]


def test_the_profiles_of_a_radio_have_one() -> None:
    """Else their checks would be made on a wire, where no service is hidden."""
    assert SERVED_OVER.keys() > ON_AIR
    assert PROFILES.keys() > ON_AIR


def test_every_profile_has_its_findings() -> None:
    assert PROFILES.keys() == FINDINGS.keys()


# --- without a mode group ---


class Person:
    """Somebody who knows the product, and brings it into each mode."""

    def __init__(self) -> None:
        self.device: DeviceInProcess | None = None

    async def bring(self, to: str) -> None:
        assert self.device is not None
        runtime = self.device.runtime
        if runtime.status()["mode"] == "pairing":
            await asyncio.sleep(61)
        runtime.happen(InputChanged(name="motion", value=True))  # out of whatever mode it was in
        await runtime.settled()
        if to != "active":
            runtime.happen(InputChanged(name="motion", value=False))
            await runtime.settled()
        hold_ms = {"pairing": 2_000, "maintenance": 5_000}.get(to)
        if hold_ms is not None:
            runtime.happen(ButtonHeld(hold_ms=hold_ms))
            await runtime.settled()
        assert runtime.status()["mode"] == to

    async def set_input(self, name: str, value: object) -> None:
        raise AssertionError("nobody asks for that")

    hold_button = power_cycle = set_input


def without_mode_group(person: Person) -> Callable[[DeviceInProcess], None]:
    def at(device: DeviceInProcess) -> None:
        person.device = device
        for wire in device.wires.values():
            send = wire.send

            async def changed(peer_id: int, door: Service, packet: bytes, send=send) -> None:
                header = Header.decode(packet)
                unknown = answer(header, {"rc": 8})
                hidden = header.group == mode.ID and header.command != mode.Id.LEAVE
                await send(peer_id, door, unknown if hidden else packet)

            wire.send = changed

    return at


def as_a_stranger(person: Person) -> Callable[[Target], Target]:
    return lambda target: replace(blind(target), strategy=None, hand=person)


def run(checks: tuple[str, ...], parts: Components | None = None) -> dict[str, str]:
    person = Person()
    return verdicts(
        audit(over(WIDE, Transport.UDP), checks, parts, of=as_a_stranger(person), at=without_mode_group(person))
    )


def test_a_device_without_a_mode_group_is_brought_by_a_person() -> None:
    found = run(("KS-101", "KS-106", "KS-110", "KS-113", "KS-201", "KS-303", "KS-309"))
    assert found == {
        **dict.fromkeys(["KS-101", "KS-106", "KS-110", "KS-113", "KS-201", "KS-303"], "pass"),
        "KS-309": "inconclusive",  # who believes a person about the mode cannot judge by the mode
    }


def test_an_ungated_server_is_open_and_nothing_is_said_that_is_not_so() -> None:
    """As Zephyr's sample is: every command of every group, in every mode."""
    found = run(
        ("KS-101", "KS-106", "KS-110", "KS-112", "KS-113", "KS-115", "KS-118"), PROFILES["GATT authorization only"]()
    )
    assert {check for check, verdict in found.items() if verdict == "fail"} == {
        "KS-101",
        "KS-106",
        "KS-110",
        "KS-112",
        "KS-113",
    }
    assert found["KS-118"] == "inconclusive"  # without a boot id, a reset could not be seen
    assert found["KS-115"] == "pass"  # a reserved operation is unknown to this server


# --- a recipe ---

RECIPE = b"""
schema = 1
about = "somebody holds the button"
[[enter]]
prompt = "hold the button"
[inside]
serves = ["image.slots"]
[[leave]]
smp = "mode.leave"
"""
"""Into a pump whose mode group is not told: its maintenance is known by a command that it serves there alone."""


class ButtonAlone(Person):
    """Holds the button when the recipe says so, and does nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def say(self, text: str) -> None:
        assert self.device is not None
        self.asked.append(text)
        self.device.runtime.happen(InputChanged(name="motion", value=False))
        self.device.runtime.happen(ButtonHeld(hold_ms=5_000))

    async def bring(self, to: str) -> None:
        raise NotReachedError(f"nobody brings it into {to}")


def by_recipe(checks: tuple[str, ...], parts: Components | None = None) -> tuple[Audited, ButtonAlone]:
    person = ButtonAlone()

    def of(target: Target) -> Target:
        way = RecipeStrategy(load(RECIPE, name="the button"), random="x")
        return replace(blind(target), strategy=way, hand=person)

    return audit(
        over(SMALL_WIDE, Transport.UDP), checks, parts, of=of, at=without_mode_group(person), say=person.say
    ), person


def test_a_recipe_is_the_way_into_a_device_that_is_not_ours() -> None:
    """In by what the recipe asks for, out by its own steps; a mode that it does not lead to needs somebody."""
    audited, person = by_recipe(("KS-101", "KS-106", "KS-303"))
    assert {part.mode: part.verdict.value for part in audited.found[1].parts} == {
        "normal": "pass",
        "active": "inconclusive",
    }
    assert verdicts(audited)["KS-303"] == "pass"
    assert set(person.asked) == {"hold the button"}
    assert audited.left_behind == ()


def test_a_hole_is_found_by_a_recipe_as_well() -> None:
    audited, _ = by_recipe(("KS-106", "KS-303"), open_for("image.erase"))
    assert verdicts(audited) == {"KS-106": "fail", "KS-303": "pass"}


def test_what_is_served_everywhere_shows_no_maintenance_and_gives_no_verdict() -> None:
    audited, _ = by_recipe(("KS-106",), PROFILES["hook on upload chunks only"]())
    assert verdicts(audited) == {"KS-106": "inconclusive"}
    assert "did not take --next in maintenance: wrong mode: normal" in audited.found[0].why


def test_a_recipe_that_does_not_lead_inside_is_no_verdict() -> None:
    person = ButtonAlone()

    def of(target: Target) -> Target:
        elsewhere = RECIPE.replace(b"image.slots", b"stat.list").replace(b"prompt", b"within_s = 5\nprompt")
        return replace(blind(target), strategy=RecipeStrategy(load(elsewhere, name="e"), random="x"), hand=person)

    audited = audit(over(SMALL_WIDE, Transport.UDP), ["KS-106"], of=of, at=without_mode_group(person), say=person.say)
    assert verdicts(audited) == {"KS-106": "inconclusive"}
    assert "nothing happened within 5 s" in audited.found[0].why
