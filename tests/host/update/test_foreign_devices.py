"""Devices that nobody of us built: each behaviour with its outcome, its words, what to do, and its exit code."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.host.behaviours import (
    BEHAVIOURS,
    NET,
    NEW,
    NEW_NET,
    OLD,
    OTHER,
    PACKED,
    PAGE,
    UNPACKED_HASH,
    Behaviour,
    compressed,
    image_of,
    marked,
    on_trial,
    renewed,
    two_images,
)
from tests.host.foreign_peer import Body, ForeignPeer, Quirk
from tests.host.images import make_compressed, make_image, read_image
from tests.host.smp_peer import DatagramLink, Fate, Faults, PeerAir, PeerLink, SmpPeer
from tests.host.udp_peer import UdpPeerThread

from keyswitch.app.status import look
from keyswitch.cli.main import main
from keyswitch.errors import LinkLostError
from keyswitch.exits import Exit
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.recipe_loader import read_recipe
from keyswitch.host.access.recipe_strategy import RecipeStrategy
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.endpoint import Endpoint
from keyswitch.host.connect.packet_endpoint import PacketEndpoint
from keyswitch.host.connect.verdict import Gate
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.queries import IF_ANY_MS, SlotInfo, read_params
from keyswitch.host.smp.reply import Refusal
from keyswitch.host.smp.slots import marked_of, trial_of
from keyswitch.host.update.events import Event, Message, StepFailed
from keyswitch.host.update.job import BeforeReset, Job, JobImage, Observed, Outcome, Result
from keyswitch.host.update.plan import PlannedDevice, make_plan
from keyswitch.host.update.preflight import newer_that_runs
from keyswitch.host.update.run import update
from keyswitch.host.update.survey import survey
from keyswitch.host.upload.throughput import Line
from keyswitch.link.air.clock import run
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.smp.header import SmpVersion


def reach_of(peer: SmpPeer, line: str = "ble") -> Endpoint:
    if line == "ble":
        return BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7")

    async def opened() -> DatagramLink:
        return DatagramLink(peer)

    return PacketEndpoint("udp:pump", opened)


async def updated(peer: SmpPeer, job: Job, line: str = "ble") -> tuple[Result, list[Event]]:
    events: list[Event] = []
    result = await update(reach_of(peer, line), job, sink=events.append)
    return result, events


def said(events: list[Event]) -> tuple[str, ...]:
    return tuple(event.text for event in events if isinstance(event, Message))


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda each: each.device)
def test_each_behaviour_ends_as_the_page_says(behaviour: Behaviour):
    async def story() -> None:
        result, events = await updated(behaviour.peer(), behaviour.job(), behaviour.line)
        assert result.outcome is behaviour.outcome, result
        assert re.fullmatch(behaviour.detail, result.detail), result.detail
        assert result.next_step == behaviour.next_step
        assert said(events) == behaviour.says

    run(story())


def test_the_page_has_each_behaviour():
    page = PAGE.read_text(encoding="utf-8")
    assert renewed(page) == page, "run python -m tests.host.behaviours"


def test_no_quirk_is_left_out():
    used = {quirk for each in BEHAVIOURS for quirk in each.peer().quirks}
    assert used == set(Quirk)


# --- a slot that is not free ----------------------------------------------------------------------------------------


def row(slot: int, *flags: str, image: int = 0) -> SlotInfo:
    told = {flag: flag in flags for flag in ("bootable", "pending", "confirmed", "active", "permanent")}
    return SlotInfo(image=image, slot=slot, version=f"1.{image}.{slot}", hash=bytes([image, slot]), **told)


@pytest.mark.parametrize(
    ("rows", "number", "trial"),
    [
        ([], None, False),
        ([row(0, "active", "confirmed"), row(1)], None, False),
        ([row(0, "active"), row(1)], None, False),
        ([row(0), row(1, "confirmed")], None, False),
        ([row(0, "active"), row(1, "confirmed")], None, True),
        ([row(0, "confirmed"), row(1, "active")], 0, True),
        ([row(0, "active"), row(1, "confirmed")], 1, False),
        ([row(0, "active"), row(0, "active", "confirmed", image=1)], None, False),
        ([row(0, "active"), row(1, "active", "confirmed")], None, False),
    ],
)
def test_what_a_list_says_of_a_trial(rows: list[SlotInfo], number: int | None, *, trial: bool):
    assert (trial_of(rows, number) is not None) is trial


def test_what_a_list_says_of_a_mark():
    rows = [row(0, "active", "pending"), row(1, "pending", image=1)]
    assert marked_of(rows, 0) is None
    assert marked_of(rows, 1) == marked_of(rows) == rows[1]
    assert marked_of(None) is None


def test_a_trial_is_not_sent_over_and_stays():
    async def story() -> None:
        peer = on_trial(OLD)
        await updated(peer, Job(images=(image_of(NEW),)))
        assert peer.received_image_bytes == 0
        assert not peer.stays[0]
        assert (peer.pairs[0][0].data, peer.boots) == (OTHER.data, 0)

    run(story())


def test_ones_own_trial_is_not_in_the_way():
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.NO_FREE_SLOT)
        peer.on_trial(NEW)
        result, _ = await updated(peer, Job(images=(image_of(NEW),)))
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.received_image_bytes == 0

    run(story())


def test_somebody_elses_trial_does_not_end_with_a_refused_update():
    """One of ours in maintenance would go back to its old image if it were asked to leave."""

    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.NO_FREE_SLOT, Quirk.LISTS_WHAT_RUNS, gated=True, mode_group=True)
        peer.on_trial(OTHER)
        peer.mode, peer.confirmed = "maintenance", False
        result, _ = await updated(
            peer, Job(images=(image_of(NEW),), way=ModeGroupStrategy("maintenance", Secret(b"s")))
        )
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.NO_SLOT), result
        assert "the device was left in maintenance mode" in result.detail
        assert peer.mode == "maintenance"
        assert peer.log.count("19283/5/2") == 0

    run(story())


@pytest.mark.parametrize("quirk", [Quirk.NO_FREE_SLOT, Quirk.ENOMEM_FOR_NO_SLOT])
def test_a_device_without_a_free_slot_is_asked_for_one_no_longer_than_it_takes(quirk: Quirk):
    async def story() -> None:
        peer = marked(OLD, quirk)
        result, _ = await updated(peer, Job(images=(image_of(NEW),)))
        assert result.reason is Reason.NO_SLOT
        assert peer.log.count("1/1/2") <= 3  # the probe's one among them
        assert asyncio.get_running_loop().time() < 5

    run(story())


def test_a_status_says_what_the_next_update_will_meet():
    async def story() -> None:
        verdict = (await look(reach_of(on_trial(OLD)))).verdict
        assert (verdict.gate, verdict.reason) == (Gate.SHUT, Reason.NO_SLOT)
        assert verdict.line == "shut (no free slot: 1.0.5 runs on trial, and the other slot holds the way back)"
        assert verdict.next_step.startswith("confirm it (only confirm), or reset the device to go back to 1.0.0")
        verdict = (await look(reach_of(marked(OLD)))).verdict
        assert verdict.line == "open (but another image, 1.0.5, is marked: the next reset starts it)"
        assert verdict.next_step.startswith("reset the device, which starts the marked image")
        assert (await look(reach_of(ForeignPeer(OLD)))).verdict.next_step == ""

    run(story())


def test_a_command_says_it_and_ends_with_no(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: on_trial(OLD)) as served, pytest.raises(SystemExit) as raised:
        main(["status", served.target])
    assert raised.value.code == Exit.NO
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("gate: shut (no free slot: 1.0.5 runs on trial")
    assert lines[1].startswith("next: confirm it (--only confirm)")


def test_a_plan_refuses_what_the_update_would():
    async def story() -> None:
        device = await survey(reach_of(on_trial(OLD)))
        plan = make_plan(Job(images=(image_of(NEW),)), device, Line(kind="ble"))
        assert plan.refused.startswith("no free slot: 1.0.5 runs on trial")
        assert plan.next_step.startswith("confirm it (only confirm)")

    run(story())


# --- several images -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_image_0_is_marked_and_confirmed_last(*, turned: bool):
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.APPLICATION_MARKED_LAST, second=NET)
        images = two_images().images[:: -1 if turned else 1]
        bodies = noted_bodies(peer)
        result, _ = await updated(peer, Job(images=images))
        assert result.outcome is Outcome.CONFIRMED, result
        written = [(body["hash"], body["confirm"]) for body in bodies]
        assert written == [(made.hash, confirm) for confirm in (False, True) for made in (NEW_NET, NEW)]
        assert peer.boots == 1
        assert [read_image(slots[0].data) for slots in peer.pairs] == [("1.1.0", NEW.hash), ("2.1.0", NEW_NET.hash)]

    run(story())


def test_a_plan_says_in_which_order_images_are_marked():
    note = "the images are marked and confirmed from the highest number down: 1, 0"
    assert note in make_plan(two_images(), PlannedDevice(), Line(kind="ble")).notes
    assert note not in make_plan(Job(images=(image_of(NEW),)), PlannedDevice(), Line(kind="ble")).notes


def test_an_image_that_was_refused_was_not_taken():
    """Where the device lists what runs in its place, an image that is gone was refused."""

    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.REFUSES, second=NET)
        result, _ = await updated(peer, two_images())
        assert result.outcome is Outcome.NOT_STARTED, result
        assert "no list shows whether" not in result.detail

    run(story())


def test_beside_an_image_that_was_taken_one_that_did_not_start_is_told():
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.HIDES_IMAGE_1, Quirk.REFUSES, second=NET)
        result, _ = await updated(peer, two_images())
        assert result.outcome is Outcome.NOT_STARTED, result
        assert result.detail.endswith("and no list shows whether it runs")

    run(story())


@pytest.mark.parametrize(
    ("rebooted", "was", "now", "taken"),
    [
        (True, [row(1, "pending", image=1)], [row(0, "active")], True),
        (False, [row(1, "pending", image=1)], [row(0, "active")], False),
        (True, [row(1, image=1)], [row(0, "active")], False),
        (True, [row(1, "pending", image=1)], [row(0, "active"), row(0, "active", image=1)], False),
        (True, [row(1, "pending", image=1)], [row(1, image=1)], False),
        (True, [row(1, "pending")], [row(0, "active")], False),
        (True, [row(1, "pending", image=1)], None, False),
    ],
)
def test_what_was_taken(*, rebooted: bool, was: list[SlotInfo], now: list[SlotInfo] | None, taken: bool):
    image = JobImage(data=b"", hash=bytes([1, 1]), version="1.1.1", number=1)
    before = BeforeReset(boot_id=b"", slots=tuple(was))
    slots = None if now is None else tuple(now)
    seen = Observed(images=(image,), reset=before, rebooted=rebooted, slots=slots)
    assert seen.taken == ((image,) if taken else ())


# --- confirm and reset ----------------------------------------------------------------------------------------------


def test_a_hash_is_named_only_where_it_is_asked_for():
    async def story() -> None:
        for quirks, times in (((), 1), ((Quirk.CONFIRMS_BY_HASH,), 2)):
            peer = ForeignPeer(OLD, *quirks)
            bodies = noted_bodies(peer)
            result, _ = await updated(peer, Job(images=(image_of(NEW),)))
            assert result.outcome is Outcome.CONFIRMED, result
            confirmed = [body for body in bodies if body.get("confirm")]
            assert confirmed == [{"confirm": True}, {"confirm": True, "hash": NEW.hash}][:times]
            assert peer.stays == [True]

    run(story())


def noted_bodies(peer: ForeignPeer) -> list[Body]:
    """The bodies of the state writes that the device gets from now on."""
    bodies: list[Body] = []
    write = peer.do_1_0_2

    def noted(body: Body, connection: int) -> Body:
        bodies.append(body)
        return write(body, connection)

    peer.do_1_0_2 = noted
    return bodies


@pytest.mark.parametrize(("busy_ms", "outcome"), [(7_000, Outcome.CONFIRMED), (10_000, Outcome.REFUSED)])
def test_a_busy_device_is_waited_for_before_its_reset(busy_ms: int, outcome: Outcome):
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.BUSY_AT_RESET)
        peer.busy_ms = busy_ms
        result, _ = await updated(peer, Job(images=(image_of(NEW),)))
        assert result.outcome is outcome, result
        assert peer.boots == (outcome is Outcome.CONFIRMED)

    run(story())


def test_a_reset_that_is_forced_goes_as_a_request_with_a_bool():
    """Zephyr's decoder takes a bool alone; anything else counts as not said."""

    async def story() -> None:
        peer = ForeignPeer(OLD)
        asked: list[Body] = []

        def busy(_op: int, group: int, command: int, body: Body) -> Body | None:
            if (group, command) == (0, 5):
                asked.append(body)
                return {"rc": 10} if body.get("force") is not True else {"rc": 3}
            return None

        peer.veto = busy
        result, _ = await updated(peer, Job(images=(image_of(NEW),), force=True))
        assert (result.outcome, result.detail) == (Outcome.REFUSED, "the reset: EINVAL"), result
        assert asked == [{}, {"force": True}]

    run(story())


# --- old servers ----------------------------------------------------------------------------------------------------

OLDEST = (Quirk.DROPS_VERSION_2, Quirk.SILENT_IF_UNKNOWN, Quirk.SILENT_TO_MARKS)


@pytest.mark.parametrize(("quirks", "within_s"), [(OLDEST[:1], 30), (OLDEST[:2], 40), (OLDEST, 50)])
def test_an_old_recovery_is_updated_in_reasonable_time(quirks: tuple[Quirk, ...], within_s: int):
    async def story() -> None:
        peer = ForeignPeer(OLD, *quirks)
        result, _ = await updated(peer, Job(images=(image_of(NEW),)), "udp")
        assert result.outcome is Outcome.CONFIRMED, result
        assert (peer.boots, read_image(peer.pairs[0][0].data)) == (1, ("1.1.0", NEW.hash))
        assert peer.received_image_bytes < 1.1 * len(NEW.data)
        assert asyncio.get_running_loop().time() < within_s

    run(story())


@pytest.mark.parametrize("quirks", [OLDEST[:1], OLDEST[:2], OLDEST])
def test_a_plan_of_an_old_recovery_knows_that_it_takes_no_mark(quirks: tuple[Quirk, ...]):
    async def story() -> None:
        device = await survey(reach_of(ForeignPeer(OLD, *quirks), "udp"))
        assert device.verdict is not None
        assert device.verdict.gate is Gate.OPEN
        assert (device.state_write, device.bootloader, device.params, device.room) == (False, None, None, {})

    run(story())


def slow(delay_ms: int, versions: set[int]) -> Faults:
    """Answers take so long where the request is of one of these versions."""
    late = Fate(delay_ms=delay_ms)
    return Faults(lambda way, _n, packet: late if way == "request" and packet[0] >> 3 in versions else None)


@pytest.mark.parametrize(
    ("quirks", "faults", "old"),
    [
        ((), Faults(), False),
        ((), slow(400, {0, 1}), False),
        ((), slow(400, {1}), False),
        ((), Faults(lambda way, n, _p: Fate(drop=way == "request" and n in {1, 3})), False),
        (OLDEST[:1], Faults(), True),
        (OLDEST[:1], slow(400, {0}), True),
        (OLDEST[:1], Faults(lambda way, n, _p: Fate(drop=way == "request" and n == 2)), True),
    ],
)
def test_a_server_is_old_if_it_answers_in_version_1_alone(quirks: tuple[Quirk, ...], faults: Faults, *, old: bool):
    async def story() -> None:
        link = DatagramLink(ForeignPeer(OLD, *quirks), faults)

        async def opened() -> DatagramLink:
            return link

        connection = await PacketEndpoint("udp:pump", opened).connect()
        assert connection.smp is not None
        assert connection.smp.old_server is old
        assert connection.smp.version == (SmpVersion.V1 if old else SmpVersion.V2)
        assert (connection.mode is None) is old

    run(story())


def test_what_an_old_server_is_silent_about_is_asked_once():
    async def story() -> None:
        link = DatagramLink(ForeignPeer(OLD, *OLDEST))
        client = SmpClient(link, version=SmpVersion.V1)
        client.old_server = True
        for _ in range(3):
            told = await read_params(client)
            assert isinstance(told, Refusal)
            assert told.is_rc(Rc.ENOTSUP)
        assert len(link.sent) == 1
        assert asyncio.get_running_loop().time() == pytest.approx(IF_ANY_MS / 1000)

    run(story())


def test_a_lost_link_is_not_taken_for_an_old_servers_silence():
    async def story() -> None:
        link = PeerLink(ForeignPeer(OLD, *OLDEST))
        client = SmpClient(link, version=SmpVersion.V1)
        client.old_server = True
        asyncio.get_running_loop().call_later(0.1, link.lost, "gone")
        with pytest.raises(LinkLostError, match="gone"):
            await read_params(client)
        assert client.unanswered == set()

    run(story())


def test_a_recovery_whose_application_is_not_heard_on_the_line_is_not_said_to_go_back():
    async def story() -> None:
        peer = ForeignPeer(OLD, *OLDEST)
        boot = peer.boot

        def boots(*, keep: bool = False) -> None:
            boot(keep=keep)
            peer.silent = True

        peer.boot = boots
        result, _ = await updated(peer, Job(images=(image_of(NEW),)), "udp")
        assert result.outcome is Outcome.NEVER_CAME_BACK, result
        assert result.next_step.startswith("look at the device itself: its application may not speak on this line")

    run(story())


# --- frames ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quirks", [(), (Quirk.NO_ECHO,)])
def test_without_reassembly_an_upload_goes_in_single_writes_as_fast_as_buffers_allow(quirks: tuple[Quirk, ...]):
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.NO_REASSEMBLY, *quirks)
        result, _ = await updated(peer, Job(images=(image_of(NEW),)))
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.log.count("1/1/2") == pytest.approx(len(NEW.data) / 215, rel=0.1)
        assert result.upload is not None
        assert result.upload.bytes_per_second > 10_000
        assert result.resent_bytes < (5_000 if quirks else 1)  # larger first pieces, one of each size

    run(story())


def test_a_frame_that_was_asked_for_is_not_exceeded():
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.NO_REASSEMBLY, Quirk.NO_ECHO)
        lengths: list[int] = []
        faults = Faults(lambda way, _n, packet: lengths.append(len(packet)) if way == "request" else None)
        endpoint = BleEndpoint(PeerAir(peer, faults=faults), target="ble:Pump 7", name="Pump 7")
        result = await update(endpoint, Job(images=(image_of(NEW),), max_frame=200))
        assert result.outcome is Outcome.CONFIRMED, result
        assert max(lengths) == 200

    run(story())


def test_a_device_that_finds_every_frame_too_large_is_refused_in_the_end():
    async def story() -> None:
        peer = ForeignPeer(OLD)
        peer.veto = lambda _op, group, command, body: {"rc": 7} if (group, command) == (1, 1) and body["data"] else None
        result, _ = await updated(peer, Job(images=(image_of(NEW),)))
        assert (result.outcome, result.detail) == (Outcome.REFUSED, "EMSGSIZE"), result

    run(story())


# --- lists that tell little -----------------------------------------------------------------------------------------


def test_rows_without_an_image_are_known_by_their_hash_and_each_image_is_sent_once():
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.NO_IMAGE_KEYS, second=NET)
        result, _ = await updated(peer, two_images())
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.received_image_bytes == len(NEW.data) + len(NEW_NET.data)
        assert peer.stays == [True, True]

    run(story())


def test_an_image_that_is_listed_under_another_number_is_another():
    image = image_of(NEW_NET, number=1)
    view = replace(row(1, "active"), hash=NEW_NET.hash)
    assert Observed(images=(image,), slots=(view,)).listed(image) is None
    assert Observed(images=(image,), slots=(replace(view, image_told=False),)).listed(image) is not None


@pytest.mark.parametrize(("versions", "older"), [(["1.2.0"], True), (["1.0.0"], False), (["1.0.0", "2.0.0"], False)])
def test_a_downgrade_is_not_read_from_rows_that_may_be_another_images(versions: list[str], *, older: bool):
    slots = tuple(replace(row(0, "active"), version=version, image_told=False) for version in versions)
    assert (newer_that_runs(image_of(NEW), slots) is not None) is older


@pytest.mark.parametrize("line", ["ble", "udp"])
def test_without_hashes_one_reset_is_enough_and_versions_are_shown(line: str):
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.NO_HASHES)
        result, _ = await updated(peer, Job(images=(image_of(NEW),)), line)
        assert (result.outcome, result.outcome.exit_code) == (Outcome.UNKNOWN, Exit.UNKNOWN), result
        assert peer.boots == 1
        assert peer.stays == [True]
        assert result.after is not None
        assert [(view.version, view.hash) for view in result.after] == [("1.1.0", b""), ("1.0.0", b"")]

    run(story())


def test_without_hashes_an_equal_version_is_not_taken_for_the_image():
    async def story() -> None:
        other = make_image(NEW.version, fill=7)
        peer = ForeignPeer(other, Quirk.NO_HASHES)
        result, _ = await updated(peer, Job(images=(image_of(NEW),)))
        assert result.outcome is Outcome.UNKNOWN, result
        assert peer.received_image_bytes == len(NEW.data)
        assert read_image(peer.pairs[0][0].data) == ("1.1.0", NEW.hash)

    run(story())


def test_a_recovery_that_starts_again_is_reset_once():
    async def story() -> None:
        for quirks in ((), (Quirk.NO_HASHES,)):
            peer = ForeignPeer(OLD, Quirk.DROPS_VERSION_2, *quirks)
            peer.pin_held = True
            result, _ = await updated(peer, Job(images=(image_of(NEW),)), "udp")
            assert result.outcome is Outcome.UNKNOWN, result
            assert peer.boots == 1
            assert read_image(peer.pairs[0][0].data) == ("1.1.0", NEW.hash)

    run(story())


# --- a new application that shows nothing ---------------------------------------------------------------------------


def test_slots_of_before_the_reset_are_not_shown_as_those_after_it():
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.HIDES_SMP)
        result, _ = await updated(peer, Job(images=(image_of(NEW),)))
        assert result.outcome is Outcome.UNKNOWN, result
        assert result.before is not None
        assert (result.after, result.not_read_since) == (None, "the reset")
        assert (peer.boots, peer.stays) == (1, [True])

    run(story())


@pytest.mark.parametrize("pressed", [True, False])
def test_a_person_who_brings_it_into_its_update_mode_again_makes_it_seen(*, pressed: bool):
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.HIDES_SMP)

        def press(event: Event) -> None:
            if pressed and isinstance(event, Message) and "button" in event.text:
                peer.hidden = False
                peer.end_links("button")

        way = RecipeStrategy(read_recipe("button"), random="abcde")
        result = await update(reach_of(peer), Job(images=(image_of(NEW),), way=way), sink=press)
        if pressed:
            assert result.outcome is not Outcome.UNKNOWN, result
            assert [view.version for view in result.after or () if view.active] == ["1.1.0"]
        else:
            assert result.outcome is Outcome.UNKNOWN, result
            assert "is back without showing its slots" in result.detail
            assert result.next_step.startswith("put it into its update mode")

    run(story(), limit_s=3600)


def test_a_device_with_a_mode_group_that_refuses_after_the_reset_is_refused():
    """One of ours tells where it is: nothing is unseen there."""

    async def story() -> None:
        peer = SmpPeer(OLD)
        boot = peer.boot

        def boots(*, keep: bool = False) -> None:
            boot(keep=False)
            peer.guard = "motion == false"

        peer.boot = boots
        way = ModeGroupStrategy("maintenance", Secret(b"s" * 32))
        result, _ = await updated(peer, Job(images=(image_of(NEW),), way=way))
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.GUARD), result

    run(story())


# --- compressed and encrypted images --------------------------------------------------------------------------------


def test_a_compressed_image_that_runs_is_known_by_what_it_unpacked_to():
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.LISTS_UNPACKED)
        for outcome in (Outcome.CONFIRMED, Outcome.ALREADY_RUNNING):
            result, _ = await updated(peer, compressed())
            assert result.outcome is outcome, result
        assert peer.received_image_bytes == len(PACKED.data)
        assert peer.boots == 1

    run(story())


def test_a_compressed_second_image_is_marked_and_confirmed_by_what_is_listed():
    async def story() -> None:
        packed, unpacked = make_compressed(NEW_NET)
        peer = ForeignPeer(OLD, Quirk.LISTS_UNPACKED, second=NET)
        bodies = noted_bodies(peer)
        result, _ = await updated(peer, Job(images=(image_of(packed, number=1, unpacked_hash=unpacked),)))
        assert result.outcome is Outcome.CONFIRMED, result
        assert [body["hash"] for body in bodies] == [unpacked, unpacked]

    run(story())


def test_a_compressed_file_needs_its_option_and_is_updated_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path, record = tmp_path / "packed.bin", tmp_path / "record.jsonl"
    path.write_bytes(PACKED.data)
    with UdpPeerThread(lambda: ForeignPeer(OLD, Quirk.LISTS_UNPACKED, reset_ms=20, boot_ms=20)) as served:
        with pytest.raises(SystemExit) as raised:
            main(["update", served.target, str(path)])
        assert raised.value.code == Exit.USAGE
        assert "a compressed image, which this bootloader cannot unpack" in capsys.readouterr().err
        with pytest.raises(SystemExit) as raised:
            main(["update", served.target, str(path), "--unpacks", "--quiet", "--evidence", str(record)])
        assert raised.value.code == Exit.YES
    assert capsys.readouterr().out == "confirmed\n"
    assert f'"unpacked_hash":"{UNPACKED_HASH.hex()}"' in record.read_text().replace(" ", "")


# --- devices that do not get on -------------------------------------------------------------------------------------


def test_a_device_that_is_silent_at_one_byte_is_given_up_in_minutes():
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.SILENT_AT_THE_END)
        result, events = await updated(peer, Job(images=(image_of(NEW),)))
        assert result.outcome is Outcome.FAILED, result
        assert asyncio.get_running_loop().time() < 180
        first, second = (event.why for event in events if isinstance(event, StepFailed))
        assert re.search(r"no answer, asked \d+ times, and the device answers everything else$", first)
        assert second == result.detail

    run(story())


def test_a_device_that_was_silent_once_goes_on():
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.SILENT_AT_THE_END)
        asyncio.get_running_loop().call_later(100, setattr, peer, "end", 1 << 20)
        result, _ = await updated(peer, Job(images=(image_of(NEW),)))
        assert result.outcome is Outcome.CONFIRMED, result

    run(story())


def test_a_device_that_is_silent_altogether_is_unreachable():
    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.SILENT_AT_THE_END)
        silence = peer.do_1_1_2

        def silent(body: Body, connection: int) -> Body | None:
            answer = silence(body, connection)
            peer.silent = peer.silent or answer is None
            return answer

        peer.do_1_1_2 = silent
        result, _ = await updated(peer, Job(images=(image_of(NEW),)))
        assert result.outcome is Outcome.UNREACHABLE, result
        assert "everything else" not in result.detail

    run(story())


def test_a_loader_that_starts_again_is_called_that():
    """Over Bluetooth LE the reset shows itself by the end of the link: the application was not started."""

    async def story() -> None:
        peer = ForeignPeer(OLD, Quirk.REFUSES)
        peer.recovers = peer.pin_held = True
        result, _ = await updated(peer, Job(images=(image_of(NEW),)))
        assert result.outcome is Outcome.NOT_STARTED, result
        assert "the device runs its loader or recovery" in result.detail

    run(story())
