from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.host.images import Made, make_image
from tests.host.smp_peer import DatagramLink, PeerAir, SmpPeer
from tests.policy.samples import small

from keyswitch.app.json_output import plan_json
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.packet_endpoint import PacketEndpoint
from keyswitch.host.connect.verdict import Gate, Verdict
from keyswitch.host.smp.queries import Params, SlotInfo
from keyswitch.host.update.job import Goal, Job, JobImage
from keyswitch.host.update.plan import Plan, PlannedDevice, PlannedLease, make_plan
from keyswitch.host.update.steps import StepName
from keyswitch.host.update.survey import declared, survey
from keyswitch.host.upload.throughput import Line, rate
from keyswitch.link.air.clock import run
from keyswitch.link.ports import GattRefused
from keyswitch.mcuboot.layout import Algorithm, BootMode
from keyswitch.policy.load import read_policy

OLD, NEW = make_image("1.0.0"), make_image("1.1.0")
PARAMS = Params(buf_size=2475, buf_count=4)
BLE = Line(kind="ble")


async def well() -> str | None:
    return None


def job(**settings: Any) -> Job:
    image = JobImage(data=NEW.data, hash=NEW.hash, version="1.1.0")
    way = ModeGroupStrategy("maintenance", Secret(b"s" * 32))
    return Job(**{"images": (image,), "way": way, "health": well, **settings})


def skipped(plan: Plan) -> set[StepName]:
    return {step.name for step in plan.steps if step.skipped}


def running(digest: bytes, version: str = "1.0.0") -> Verdict:
    view = SlotInfo(
        image=0,
        slot=0,
        version=version,
        hash=digest,
        bootable=True,
        pending=False,
        confirmed=True,
        active=True,
        permanent=False,
    )
    return Verdict(gate=Gate.OPEN, slots=(view,))


def test_a_whole_plan():
    plan = make_plan(job(), PlannedDevice(params=PARAMS), BLE)
    assert [step.name for step in plan.steps] == list(StepName)
    assert skipped(plan) == set()
    assert plan.image_bytes == 16_384
    assert plan.requests == 7
    assert 150_000 < plan.fast.bytes_per_second < 180_000
    assert plan.fast.limited_by == "air"
    assert 30_000 < plan.slow.bytes_per_second < 35_000
    assert plan.slow.limited_by == "flash"
    (upload,) = [step for step in plan.steps if step.name is StepName.UPLOAD]
    assert upload.expected_ms == pytest.approx(16_384_000 / plan.fast.bytes_per_second, abs=1)
    assert upload.slow_ms == pytest.approx(16_384_000 / plan.slow.bytes_per_second, abs=1)
    assert plan.expected_ms == sum(step.expected_ms for step in plan.steps)
    assert plan.slow_ms - plan.expected_ms == upload.slow_ms - upload.expected_ms
    assert any("assumed: interval 15 ms" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("device", "names"),
    [
        (PlannedDevice(verdict=running(OLD.hash)), {StepName.ENTER, StepName.RECONNECT, StepName.LEAVE, StepName.LEFT}),
        (PlannedDevice(state_write=False), {StepName.TEST}),
        (PlannedDevice(verdict=Verdict(gate=Gate.SHUT)), set()),
    ],
)
def test_steps_that_are_not_needed(device: PlannedDevice, names: set[StepName]):
    assert skipped(make_plan(job(), device, BLE)) == names


def test_an_image_that_runs_already_is_not_sent():
    plan = make_plan(job(), PlannedDevice(verdict=running(NEW.hash, "1.1.0")), BLE)
    assert plan.image_bytes == plan.requests == 0
    assert {StepName.UPLOAD, StepName.TEST, StepName.RESET, StepName.SWAP} <= skipped(plan)


@pytest.mark.parametrize(
    ("line", "params", "fast", "slow"),
    [
        (BLE, PARAMS, "air", "flash"),
        (BLE, Params(buf_size=384, buf_count=2), "buffers", "flash and buffers"),
        (Line(kind="serial", baud=115_200), PARAMS, "line", "line"),
        (Line(kind="serial", baud=1_000_000), PARAMS, "line", "flash"),
        (Line(kind="serial", baud=115_200), Params(buf_size=384, buf_count=1), "buffers", "flash and buffers"),
        (Line(kind="udp", max_packet=1472), PARAMS, "buffers", "flash"),
        (Line(kind="udp", max_packet=1472), Params(buf_size=2048, buf_count=2), "buffers", "flash and buffers"),
    ],
)
def test_the_bound_that_holds_at_either_end(line: Line, params: Params, fast: str, slow: str):
    plan = make_plan(job(), PlannedDevice(params=params), line)
    assert (plan.fast.limited_by, plan.slow.limited_by) == (fast, slow)
    assert plan.slow.bytes_per_second <= plan.fast.bytes_per_second
    assert plan.expected_ms > 0
    upload = next(step for step in plan.steps if step.name is StepName.UPLOAD)
    assert 0 < upload.expected_ms <= upload.slow_ms


@pytest.mark.parametrize(("framing", "expected"), [("console", 8_300), ("raw", 11_398), ("cobs", 11_340)])
def test_each_framing_of_a_serial_line_has_its_own_share(framing: str, expected: int):
    # 115200 baud are 11520 bytes a second; raw frames of 2475 carry 2449 of the image, console lines of 127 carry 93.
    bound = rate(Line(kind="serial", framing=framing), frame=2475, outstanding=3, flash=None)
    assert bound.bytes_per_second == pytest.approx(expected, rel=0.01)


def slots(*views: tuple[bytes, bool, bool]) -> Verdict:
    """A verdict on slots, each with hash, whether it is active, and whether it is pending."""
    (base,) = running(OLD.hash).slots or ()
    listed = (
        replace(base, slot=number, hash=digest, active=active, pending=pending)
        for number, (digest, active, pending) in enumerate(views)
    )
    return Verdict(gate=Gate.OPEN, slots=tuple(listed))


@pytest.mark.parametrize(("pending", "names"), [(False, {StepName.UPLOAD}), (True, {StepName.UPLOAD, StepName.TEST})])
def test_an_image_that_lies_in_the_slot_is_not_sent_again(names: set[StepName], *, pending: bool):
    verdict = slots((OLD.hash, True, False), (NEW.hash, False, pending))
    plan = make_plan(job(), PlannedDevice(verdict=verdict, params=PARAMS), BLE)
    gone = {StepName.ENTER, StepName.RECONNECT, StepName.LEAVE, StepName.LEFT}
    assert skipped(plan) == gone | names
    assert (plan.image_bytes, plan.requests) == (0, 0)
    assert plan.expected_ms == plan.slow_ms


@pytest.mark.parametrize("size", [1, 30, 109])
def test_buffers_that_hold_no_upload_are_a_refusal(size: int):
    plan = make_plan(job(), PlannedDevice(params=Params(buf_size=size, buf_count=1)), BLE)
    assert plan.refused == f"the device says that its buffers have {size} bytes: no upload fits in"


@pytest.mark.parametrize(
    ("goal", "stay", "last"),
    [
        (Goal.FULL, False, StepName.LEFT),
        (Goal.FULL, True, StepName.CONFIRM),
        (Goal.UPLOAD, False, StepName.LEFT),
        (Goal.TEST, False, StepName.HEALTH),
    ],
)
def test_goals(goal: Goal, last: StepName, *, stay: bool):
    assert make_plan(job(goal=goal, stay=stay), PlannedDevice(), BLE).steps[-1].name is last


@pytest.mark.parametrize(
    ("device", "note"),
    [
        (PlannedDevice(), "the device's buffers are not known yet"),
        (PlannedDevice(bootloader=BootMode.SWAP_MOVE), "bootloader: swap move"),
        (PlannedDevice(bootloader=BootMode.OVERWRITE), "cannot go back"),
        (PlannedDevice(bootloader=BootMode.XIP), "no trial, and of two images the higher version runs, for good"),
        (PlannedDevice(bootloader=BootMode.FIRMWARE_LOADER), "there is no application but the firmware loader"),
        (PlannedDevice(verdict=running(OLD.hash, "1.2.0")), "a downgrade"),
        (PlannedDevice(verdict=running(OLD.hash, "1.10.0")), "a downgrade"),
    ],
)
def test_what_a_person_should_know(device: PlannedDevice, note: str):
    assert any(note in said for said in make_plan(job(), device, BLE).notes)


@pytest.mark.parametrize("bootloader", [None, *BootMode])
def test_who_has_no_trial_is_said_to_have_none(bootloader: BootMode | None):
    reverts = {None, BootMode.SWAP_SCRATCH, BootMode.SWAP_MOVE, BootMode.SWAP_OFFSET, BootMode.XIP_REVERT}
    notes = make_plan(job(), PlannedDevice(bootloader=bootloader), BLE).notes
    assert any("cannot go back" in note for note in notes) is (bootloader not in reverts)
    ours = [each for each in Algorithm if each.boot_mode is bootloader]
    assert all(each.has_trial is (bootloader in reverts) for each in ours)


def test_to_a_single_slot_nothing_can_be_sent():
    plan = make_plan(job(), PlannedDevice(bootloader=BootMode.SINGLE, verdict=running(OLD.hash, "1.0.0")), BLE)
    assert plan.refused == "this bootloader has a single slot, in which the image runs: nothing can be sent to it"
    assert plan.next_step.startswith("install it by the bootloader's serial recovery")


def test_a_newer_version_is_no_downgrade():
    notes = make_plan(job(), PlannedDevice(verdict=running(OLD.hash, "1.0.9")), BLE).notes
    assert not any("downgrade" in note for note in notes)


def test_a_downgrade_would_be_refused_and_is_planned_when_it_is_meant():
    device = PlannedDevice(verdict=running(OLD.hash, "1.2.0"))
    plan = make_plan(job(), device, BLE)
    assert plan.refused == "1.1.0 is older than 1.2.0, which the device runs"
    assert plan.next_step.startswith("install a newer version, or say downgrade")
    meant = make_plan(job(downgrade=True), device, BLE)
    assert (meant.refused, meant.next_step) == ("", "")


def test_of_a_package_each_image_is_compared_with_its_own():
    net = JobImage(data=NEW.data, hash=b"n" * 32, version="1.0.0", number=1)
    plan = make_plan(job(images=(*job().images, net)), PlannedDevice(verdict=running(OLD.hash, "1.0.9")), BLE)
    assert not any("downgrade" in note for note in plan.notes)
    assert not plan.refused


def test_as_json():
    told = plan_json(make_plan(job(), PlannedDevice(params=PARAMS, state_write=False), BLE))
    assert told["event"] == "plan"
    assert told["image_bytes"] == 16_384
    assert [step["step"] for step in told["steps"] if step["skipped"]] == ["test"]
    assert (told["limited_by"], told["slow_limited_by"]) == ("air", "flash")
    assert told["bound_bytes_per_second"] > told["slow_bytes_per_second"]
    assert told["expected_ms"] < told["slow_ms"]


UDP = Line(kind="udp", max_packet=1472)


@pytest.mark.parametrize(
    ("lease", "note", "refused"),
    [
        (PlannedLease(ms=900_000, max_ms=3_600_000), "", ""),
        (PlannedLease(ms=10_000, max_ms=600_000), "needs 1 extension of the lease of 10 s", ""),
        (PlannedLease(ms=4_000, max_ms=600_000), "needs 3 extensions of the lease of 4 s", ""),
        (
            PlannedLease(ms=4_000, max_ms=9_000),
            "",
            "it cannot be done within lease_max_s (9 s): it takes at least 16 s",
        ),
        (PlannedLease(ms=9_000, max_ms=9_000), "", "it cannot be done within lease_s (9 s): it takes at least 16 s"),
        (
            PlannedLease(ms=9_000, max_ms=9_000, keeps=True),
            "takes longer than lease_s (9 s): what was sent is kept",
            "",
        ),
    ],
)
def test_the_plan_compares_what_it_takes_with_the_lease(lease: PlannedLease, note: str, refused: str):
    verdict = slots((OLD.hash, True, False), (NEW.hash, False, False))  # nothing to send: 16 s of everything else
    plan = make_plan(job(), PlannedDevice(verdict=verdict, params=PARAMS, lease=lease), UDP)
    leases = [said for said in plan.notes if "lease" in said]
    assert [said[: len(note)] for said in leases] == ([note] if note else [])
    assert plan.refused == refused


def test_extensions_are_counted_for_either_flash():
    big = JobImage(data=NEW.data * 20, hash=NEW.hash, version="1.1.0")
    plan = make_plan(
        job(images=(big,)), PlannedDevice(params=PARAMS, lease=PlannedLease(ms=12_000, max_ms=60_000)), BLE
    )
    assert (plan.extensions, plan.slow_extensions) == (1, 2)
    assert "needs 1 to 2 extensions of the lease of 12 s" in plan.notes
    assert plan_json(plan)["extensions"] == 1


@pytest.mark.parametrize(("ms", "needed"), [(9_999, 1), (10_000, 0), (10_001, 0)])
def test_a_lease_that_lasts_to_the_millisecond_needs_no_extension(ms: int, needed: int):
    assert PlannedLease(ms=ms, max_ms=60_000).extensions(10_000) == needed


def test_where_the_slots_cannot_be_read_the_plan_says_not_checked():
    plan = make_plan(job(), PlannedDevice(params=PARAMS), BLE)
    assert not plan.slots_checked
    assert any(note.startswith("not checked: ") for note in plan.notes)
    plan = make_plan(job(), PlannedDevice(verdict=running(OLD.hash)), BLE)
    assert plan.slots_checked
    assert not any("not checked" in note for note in plan.notes)


class ListingPeer(SmpPeer):
    """A device of ours that lists its slots, and their size, in every mode."""

    def judge(self, key: tuple[int, int, int], body: dict[str, Any], door: str, peer: int) -> dict[str, Any] | None:
        if key in {(1, 0, 0), (1, 6, 0)} and not self.open and door == "smp":
            return self.do_1_0_0(body, peer) if key[1] == 0 else self.do_1_6_0(body, peer)
        return super().judge(key, body, door, peer)


@pytest.mark.parametrize(
    ("runs", "lies", "slot_size", "refused", "not_needed"),
    [
        ("1.2.0", None, None, "1.1.0 is older than 1.2.0", set()),
        ("1.1.0", None, None, "", {"upload", "test", "reset", "swap", "confirm"}),
        ("1.0.0", NEW, None, "", {"upload"}),
        ("1.0.0", None, 16 * 1024, "1.1.0 has 16,384 bytes, the device takes 12,288", set()),
    ],
)
def test_outside_maintenance_the_slots_are_read_where_the_device_lists_them(
    runs: str, lies: Made | None, slot_size: int | None, refused: str, not_needed: set[str]
):
    async def story() -> None:
        peer = ListingPeer(NEW if runs == "1.1.0" else make_image(runs), service="always", slot_size=slot_size)
        peer.slots[1].data = lies.data if lies is not None else b""
        device = await survey(BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7"))
        plan = make_plan(job(), device, BLE)
        assert plan.slots_checked
        assert plan.refused.startswith(refused)
        assert bool(plan.refused) is bool(refused)
        assert {name.value for name in skipped(plan)} == not_needed

    run(story())


def test_a_device_with_which_no_connection_could_be_made_ready_has_a_plan_too():
    async def story() -> None:
        class Unpaired(PeerAir):
            async def connect(self, address: str, timeout_ms: int) -> Any:
                raise GattRefused("insufficient authentication", 0x05)

        endpoint = BleEndpoint(Unpaired(SmpPeer(OLD)), target="ble:Pump 7", name="Pump 7")
        device = await survey(endpoint, read_policy(Path("examples/pump/policy.toml")), to="maintenance")
        assert device.verdict is not None
        assert device.lease == PlannedLease(ms=900_000, max_ms=3_600_000)
        assert "security" in make_plan(job(), device, BLE).refused

    run(story())


def test_a_survey_changes_nothing():
    async def story() -> None:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        before = ([slot.data for slot in peer.slots], peer.confirmed, peer.boots)
        device = await survey(BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7"))
        assert device.params == PARAMS
        assert (device.bootloader, device.state_write) == (BootMode.SWAP_MOVE, True)
        assert ([slot.data for slot in peer.slots], peer.confirmed, peer.boots) == before
        assert not peer.slots[1].pending

    run(story())


class RecoveryPeer(SmpPeer):
    """As MCUboot's serial recovery with one image: a state write without a hash is one of its only image."""

    def do_1_0_2(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        if not isinstance(body.get("confirm", False), bool):
            return {"rc": 3}
        if "hash" in body:
            return super().do_1_0_2(body, peer)
        self.slots[1].pending = True
        return self.do_1_0_0({}, peer)


def test_a_survey_marks_no_image_where_the_hash_may_be_left_out():
    async def story() -> None:
        peer = RecoveryPeer(OLD, gated=False, mode_group=False)
        peer.slots[1].data = NEW.data
        device = await survey(BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7"))
        assert device.state_write is True
        assert not peer.slots[1].pending

    run(story())


def test_a_device_that_is_started_by_its_reset_is_noticed():
    async def story() -> None:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        peer.veto = lambda op, group, command, _body: (
            {"rc": 8} if (op, group, command) in {(2, 1, 0), (0, 0, 8)} else None
        )

        async def open_link() -> DatagramLink:
            return DatagramLink(peer)

        device = await survey(PacketEndpoint("serial:/dev/ttyACM0", open_link))
        assert (device.bootloader, device.state_write) == (None, False)

    run(story())


def test_behind_a_shut_gate_the_policy_tells():
    async def story() -> None:
        device = await survey(
            BleEndpoint(PeerAir(SmpPeer(OLD)), target="ble:Pump 7", name="Pump 7"),
            read_policy(Path("examples/pump/policy.toml")),
        )
        assert device.params == PARAMS
        assert (device.bootloader, device.state_write) == (BootMode.SWAP_MOVE, None), "by the policy"

    run(story())


def test_the_plan_names_the_faults_of_the_products_bootloader():
    policy = small('[bootloader]\ndowngrade = "version"\nmcuboot = "2.2.0"\n')
    (note,) = [note for note in make_plan(job(), declared(policy), BLE).notes if note.startswith("a known fault: ")]
    assert note.startswith("a known fault: MCUboot v2.2.0, revert with downgrade prevention: a power cut right after")
    assert not any("a known fault" in note for note in make_plan(job(), declared(small()), BLE).notes)
