"""Each hole is found by the check that is named for it; the sound device passes everything."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.audit.audits import CHEAP, OWNED, PUMP, PUMP_FILE, SMALL, WIDE, audit, over, verdicts

from keyswitch.audit.checks import BY_ID, CHECKS
from keyswitch.audit.verdict import Verdict
from keyswitch.cli.audit_controls import controls
from keyswitch.device.storage.store import COUNTERS
from keyswitch.mcuboot.config import Downgrade
from keyswitch.mcuboot.flash import FlashWear
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.enums import Arm, ProofKind, UploadRest, Visibility
from keyswitch.policy.load import load
from keyswitch.policy.model import OnEnter, Policy, SequenceEntry
from keyswitch.policy.template import Choices, template
from keyswitch.terms import Transport
from keyswitch.testing.holes.device import DeviceInProcess
from keyswitch.testing.holes.table import HOLES, Hole

ALL = tuple(BY_ID)
UPGRADE_ONLY = replace(CHEAP, bootloader=replace(CHEAP.bootloader, downgrade=Downgrade.BY_VERSION))
RADIO = tuple(check.id for check in CHECKS if check.of_radio)
NO_RADIO = tuple(check.id for check in CHECKS if not check.of_radio)


def shown_by(policy: Policy, service: Visibility) -> Policy:
    return replace(policy, gate=replace(policy.gate, service=service))


def policy_for(hole: Hole) -> Policy:
    """A policy whose device can have the hole: the cheap one, or that with another strategy or bootloader."""
    candidates = [*(shown_by(CHEAP, service) for service in Visibility), UPGRADE_ONLY]
    return next(each for each in candidates if hole.can_be(each))


@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: hole.check)
def test_each_hole_is_found_by_the_check_that_is_named_for_it(hole: Hole) -> None:
    check = BY_ID[hole.check]
    (found,) = audit(policy_for(hole), [hole.check], hole.parts()).found
    assert found.verdict is Verdict.FAIL, f"{hole.name}: {found.verdict.value}, {found.why}"
    assert check.catches == hole.name
    assert found.findings[0].why


def test_each_check_has_a_hole_and_each_hole_a_check() -> None:
    assert sorted({hole.check for hole in HOLES}) == sorted(ALL)
    assert len({hole.name for hole in HOLES}) == len(HOLES)


def by_sequence(policy: Policy) -> Policy:
    """The policy with numbered steps instead of a secret."""
    ways = tuple(
        replace(way, trigger=OnEnter(proofs=(ProofKind.SEQUENCE,))) if isinstance(way.trigger, OnEnter) else way
        for way in policy.transitions
    )
    return replace(policy, transitions=ways, entry=replace(policy.entry, sequence=SequenceEntry()))


STRATEGIES = {
    "anyone's session": WIDE,
    "the owner's session": CHEAP,
    "numbered steps": by_sequence(over(OWNED, Transport.UDP)),
    "armed at once": replace(over(WIDE, Transport.UDP), update=replace(WIDE.update, arm=Arm.EARLY)),
    "serial, and the upload kept": replace(
        over(WIDE, Transport.SERIAL), gate=replace(WIDE.gate, upload=UploadRest.KEEP, service=Visibility.ALWAYS)
    ),
}


@pytest.mark.parametrize("policy", STRATEGIES.values(), ids=STRATEGIES)
def test_the_sound_device_passes_everything(policy: Policy) -> None:
    audited = audit(policy, NO_RADIO)
    found = {
        each.check: each.why for each in audited.found if each.verdict not in {Verdict.PASS, Verdict.NOT_APPLICABLE}
    }
    assert found == {}
    assert audited.left_behind == ()
    assert sum(each.verdict is Verdict.PASS for each in audited.found) >= len(NO_RADIO) - 5


@pytest.mark.parametrize("service", Visibility)
def test_the_sound_device_keeps_what_its_strategy_promises(service: Visibility) -> None:
    """Over the air, in virtual time; the session is its owner's, whose connection has to be the right one."""
    checks = [check for check in RADIO if ONCE.get(check, service) is service]
    keeps_its_promises(shown_by(CHEAP, service), checks)


@pytest.mark.deep
@pytest.mark.parametrize("service", Visibility)
def test_whose_session_it_is_makes_no_difference_to_what_is_shown(service: Visibility) -> None:
    for policy in (over(WIDE, Transport.BLE), CHEAP):
        keeps_its_promises(shown_by(policy, service), RADIO)


ONCE = {"KS-313": Visibility.RECONNECT, "KS-508": Visibility.ALWAYS}
"""Those that wait most: under one strategy here, under each in the deep test."""


def keeps_its_promises(policy: Policy, checks: Sequence[str]) -> None:
    audited = audit(policy, checks)
    fine = {Verdict.PASS, Verdict.NOT_APPLICABLE}
    assert {each.check: each.why for each in audited.found if each.verdict not in fine} == {}
    assert audited.left_behind == ()


def test_where_downgrades_are_refused_the_newer_image_stays_and_that_is_said() -> None:
    audited = audit(UPGRADE_ONLY, ["KS-601", "KS-602"])
    assert verdicts(audited) == {"KS-601": "pass", "KS-602": "pass"}
    assert audited.left_behind == ("--next runs and is confirmed; what ran before was not put back",)


def test_a_check_that_has_nothing_to_send_says_nothing_of_the_device() -> None:
    """Without an image to send, and with nothing in the other slot: a pass, or "not applicable", would be a lie."""
    checks = ("KS-101", "KS-103", "KS-104", "KS-105")
    audited = audit(over(SMALL, Transport.UDP), checks, of=lambda target: replace(target, next=None))
    assert verdicts(audited) == dict.fromkeys(checks, "inconclusive")
    assert all("to decide: an image" in found.why for found in audited.found)


@pytest.mark.parametrize("check", ["KS-304", "KS-311", "KS-405", "KS-406", "KS-407"])
def test_a_story_that_may_not_wait_long_enough_is_not_begun(check: str) -> None:
    """What it would leave behind, an armed image or a lock-out, would be there in the next."""
    before: list[tuple[DeviceInProcess, FlashWear]] = []
    kept: list[str] = []

    def watch(device: DeviceInProcess) -> None:
        before.append((device, replace(device.flash.wear)))
        write = device.store.write
        device.store.write = lambda name, document: (kept.append(name), write(name, document))[1]

    policy = over(SMALL, Transport.UDP)
    (found,) = audit(policy, [check], of=lambda target: replace(target, max_wait_ms=4_000), at=watch).found
    assert (found.verdict, "--max-wait" in found.why) == (Verdict.INCONCLUSIVE, True), found.why
    ((device, wear),) = before
    assert (device.flash.wear, COUNTERS in kept) == (wear, False)


@pytest.mark.parametrize("algorithm", [each for each in Algorithm if not each.has_trial and each.armed_by_trailer])
def test_an_update_is_not_expected_to_go_back_where_the_bootloader_has_no_trial(algorithm: Algorithm) -> None:
    policy = over(replace(PUMP, bootloader=replace(PUMP.bootloader, algorithm=algorithm)), Transport.UDP)
    (found,) = audit(policy, ["KS-203"]).found
    assert (found.verdict, algorithm.value in found.why) == (Verdict.NOT_APPLICABLE, True)


@pytest.mark.parametrize("hole", [hole for hole in HOLES if hole.check > "KS-400" and hole.check < "KS-500"])
def test_a_proof_is_judged_only_where_a_right_one_would_open(hole: Hole) -> None:
    """A device whose inputs nobody has told refuses every entry for them, wrong proofs and right ones."""
    text = template(Choices(name="Gated", proofs=(ProofKind.CHALLENGE,), transports=(Transport.UDP,)))
    (found,) = audit(load(text.encode(), directory=PUMP_FILE.parent), [hole.check], hole.parts()).found
    assert found.verdict is Verdict.FAIL, found.why


def test_the_controls_are_right_for_the_example() -> None:
    """As `keyswitch audit` runs them: from the declared policy, narrow as it is."""
    checks = [BY_ID[check] for check in ("KS-104", "KS-111", "KS-302", "KS-310", "KS-402")]
    found = controls(over(PUMP, Transport.BLE), checks)
    assert all(control.right for both in found.values() for control in both)
    assert [control.device for control in found["KS-310"]][1].endswith("(a device of this policy cannot have it)")
    assert {control.verdict for control in found["KS-104"]} == {Verdict.PASS, Verdict.FAIL}


@pytest.mark.deep
@pytest.mark.timeout(3_600)
def test_every_check_against_every_hole() -> None:
    """No check takes a device with another hole for something that it cannot explain: each verdict has a reason."""
    for hole in HOLES:
        audited = audit(policy_for(hole), RADIO if hole.on_air else NO_RADIO, hole.parts())
        by_check = {found.check: found for found in audited.found}
        assert by_check[hole.check].verdict is Verdict.FAIL, f"{hole.name}: {verdicts(audited)}"
        assert all(found.why for found in audited.found)


@pytest.mark.deep
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("service", list(Visibility))
def test_the_sound_device_passes_under_every_strategy_and_transport(transport: Transport, service: Visibility) -> None:
    policy = over(replace(OWNED, gate=replace(OWNED.gate, service=service)), transport)
    for each in (policy, by_sequence(policy)):
        fine = {Verdict.PASS, Verdict.NOT_APPLICABLE}
        told = {found.check: found.why for found in audit(each, NO_RADIO).found if found.verdict not in fine}
        alone = {"KS-310"} if transport is Transport.BLE else set()  # a radio is one peer
        assert told.keys() == alone, told
