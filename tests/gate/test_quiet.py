"""The quiet time: what a mode inhibits stays inhibited after the last command that can change firmware."""

import pytest
from tests.gate.drive import IMAGE, NONE, ONE, Gate, ble
from tests.policy.samples import pump, pump_with, small

from keyswitch.errors import InputError
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.events import Timer
from keyswitch.gate.record import SessionRecord, entry_of
from keyswitch.gate.state import Quiet
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import Policy

QUIET_MS = 30_000
MOTION = frozenset({"motion"})


def quiet_pump(*changes: tuple[str, str]) -> Policy:
    return pump_with(('inhibits = ["motion"]', 'inhibits = ["motion"]\nquiet_after_s = 30'), *changes)


def inside(policy: Policy) -> Gate:
    gate = Gate(policy)
    gate.happens(on.EnterProved(peer=ble(), to="maintenance", proof=ProofKind.CHALLENGE))
    return gate


def inhibits(gate: Gate) -> list[frozenset[str]]:
    return [each.names for each in gate.last.effects if isinstance(each, do.Inhibit)]


FIRMWARE = {
    "a command that may fail": on.FirmwareCommand(peer=ble()),
    "upload": on.UploadStarted(peer=ble()),
    "arm": on.ArmAsked(peer=ble(), image=IMAGE, permanent=False),
    "reset": on.ResetAsked(peer=ble()),
    "confirm": on.ConfirmAsked(peer=ble()),
}

ENDS = {
    "leave": on.LeaveAsked(peer=ble()),
    "lease": on.Expired(timer=Timer.LEASE),
    "idle": on.Expired(timer=Timer.IDLE),
    "guard": on.InputChanged(name="motion", value=None),
}


@pytest.mark.parametrize("event", FIRMWARE)
def test_each_such_command_begins_it_anew(event: str) -> None:
    gate = inside(quiet_pump())
    for _ in range(2):
        gate.happens(FIRMWARE[event])
        assert gate.timers()["quiet"] == QUIET_MS
    assert gate.state.quiet == Quiet(names=MOTION, ms=QUIET_MS)


def test_other_commands_begin_none() -> None:
    gate = inside(quiet_pump())
    gate.happens(on.CommandServed(peer=ble()), on.LeaveAsked(peer=ble()))
    assert gate.state.quiet is None
    assert inhibits(gate) == [frozenset()]


@pytest.mark.parametrize("end", ENDS)
def test_however_the_mode_ends_it_stays_inhibited_until_the_time_is_over(end: str) -> None:
    gate = inside(quiet_pump())
    gate.happens(on.UploadStarted(peer=ble()), ENDS[end])
    assert gate.state.mode != "maintenance"
    assert inhibits(gate) == []  # as it was
    assert do.StopTimer(timer=Timer.QUIET) not in gate.last.effects
    gate.happens(on.Expired(timer=Timer.QUIET))
    assert inhibits(gate) == [frozenset()]
    assert gate.state.quiet is None


def test_within_the_mode_its_end_changes_nothing() -> None:
    gate = inside(quiet_pump())
    gate.happens(on.UploadStarted(peer=ble()), on.Expired(timer=Timer.QUIET))
    assert inhibits(gate) == []
    gate.happens(on.LeaveAsked(peer=ble()))
    assert inhibits(gate) == [frozenset()]


@pytest.mark.parametrize("ending", [False, True])
def test_the_devices_own_reset_begins_it_anew(*, ending: bool) -> None:
    policy = quiet_pump()
    record = SessionRecord(
        policy=policy.digest,
        mode="maintenance",
        proof=ProofKind.CHALLENGE,
        entry=entry_of(policy.transitions[4]),
        expected=((0, IMAGE),),
        ending=ending,
        lease_ms=1,
        lease_max_ms=1,
        idle_ms=1,
    )
    gate = Gate(policy, on.Booted(record=record, running=(IMAGE,), on_trial=NONE if ending else ONE))
    assert (gate.state.mode == "normal") is ending
    assert gate.timers()["quiet"] == QUIET_MS
    assert inhibits(gate) == [MOTION]


def test_a_power_cut_ends_it() -> None:
    gate = inside(quiet_pump())
    gate.happens(on.UploadStarted(peer=ble()), on.Booted(running=(IMAGE,)))
    assert (gate.state.quiet, inhibits(gate)) == (None, [frozenset()])


TWO = """
[modes.service]
maintenance = true
allow = ["os", "image", "mode"]
inhibits = ["dosing"]
quiet_after_s = 5
lease_s = 60
[[transitions]]
from = ["normal"]
to = "service"
on = "button"
hold_s = 2
"""


def test_of_two_modes_nothing_is_let_go_too_early() -> None:
    policy = small(TWO, ("lease_s = 60", 'lease_s = 60\ninhibits = ["motion"]\nquiet_after_s = 30'))
    gate = inside(policy)
    gate.happens(on.UploadStarted(peer=ble()), on.LeaveAsked(peer=ble()), on.ButtonHeld(hold_ms=2_000))
    assert gate.state.mode == "service"
    assert inhibits(gate) == [frozenset({"motion", "dosing"})]
    gate.happens(on.FirmwareCommand(peer=ble()))
    assert gate.timers() == {"quiet": QUIET_MS}
    gate.happens(on.LeaveAsked(peer=ble()), on.Expired(timer=Timer.QUIET))
    assert inhibits(gate) == [frozenset()]


def test_a_policy_without_one_is_what_it_was() -> None:
    gate = inside(pump())
    gate.happens(on.FirmwareCommand(peer=ble()))
    assert (gate.last.effects, gate.last.refused, gate.state.quiet) == ((), None, None)
    gate.happens(on.LeaveAsked(peer=ble()))
    assert inhibits(gate) == [frozenset()]


@pytest.mark.parametrize("missing", ['inhibits = ["motion"]', "maintenance = true "])
def test_it_needs_something_to_inhibit_and_firmware_to_change(missing: str) -> None:
    with pytest.raises(InputError, match=r"modes.maintenance.quiet_after_s: means nothing here"):
        quiet_pump((missing, ""))
