import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.devices import BY_TRAILER, SWAPS, device
from tests.mcuboot.surgery import Parts, take_apart

from keyswitch.errors import LocalError
from keyswitch.mcuboot import slots
from keyswitch.mcuboot import trailer as trailers
from keyswitch.mcuboot.image import ImageFault
from keyswitch.mcuboot.layout import Algorithm, area, max_image_size
from keyswitch.mcuboot.ops import TrailerField, Write, carry_out
from keyswitch.mcuboot.slots import ArmResult, SlotWriter
from keyswitch.mcuboot.tlvs import TlvType
from keyswitch.mcuboot.trailer import Magic, SwapType, TrailerFlag

OLD = images.signed("1.0.0", size=9000)
NEW = images.signed("1.2.3+4", size=6000, seed=1)


def test_versions_are_written_as_smp_writes_them():
    made = device(Algorithm.SWAP_MOVE, OLD)
    made.upload(NEW)
    assert [str(entry.version) for entry in made.listed()] == ["1.0.0", "1.2.3.4"]


@pytest.mark.parametrize("algorithm", BY_TRAILER)
def test_only_what_can_be_read_and_has_one_hash_is_listed(algorithm):
    parts = take_apart(NEW)
    for unlisted in (
        NEW[:300],
        b"\xff" * 40,
        Parts(parts.header, parts.payload, (), parts.entries[1:]).build(),
        Parts(parts.header, parts.payload, (), (parts.entries[0], *parts.entries)).build(),
        images.signed("1.2.3", key="ecdsa-p384"),
    ):
        made = device(algorithm, OLD)
        made.upload(unlisted)
        assert made.shown() == ["0 1.0.0 ac"]


def test_another_kind_of_hash_is_listed_where_the_build_expects_it():
    made = device(Algorithm.SWAP_MOVE, images.signed("1.2.3", key="ecdsa-p384"), keys=images.keys("ecdsa-p384"))
    assert (
        slots.list_images(made.flash, made.layout, hash_type=TlvType.SHA384)[0].hash
        == made.boot().images[0].running_hash
    )


def test_an_image_with_a_wrong_hash_is_listed_all_the_same_but_its_computed_hash_differs():
    made = device(Algorithm.SWAP_MOVE, OLD)
    bad = NEW[:700] + bytes([NEW[700] ^ 1]) + NEW[701:]
    made.upload(bad)
    listed = made.listed()[1]
    assert slots.computed_hash(made.flash, made.layout, made.secondary) != listed.hash
    made.upload(NEW)
    assert slots.computed_hash(made.flash, made.layout, made.secondary) == made.listed()[1].hash


@pytest.mark.parametrize("algorithm", BY_TRAILER)
def test_the_computed_hash_is_over_header_payload_and_protected_tlvs(algorithm):
    image = images.signed("1.0.0", "--security-counter", "3", size=3000)
    made = device(algorithm, OLD)
    made.upload(image)
    parts = take_apart(image)
    assert slots.computed_hash(made.flash, made.layout, made.secondary) == hashlib.sha256(parts.hashed()).digest()


def test_there_is_no_hash_of_nothing():
    made = device(Algorithm.SWAP_MOVE, OLD)
    assert isinstance(slots.computed_hash(made.flash, made.layout, made.secondary), ImageFault)


def test_computing_a_hash_that_has_several_names():
    parts = take_apart(NEW)
    made = device(Algorithm.SWAP_MOVE, OLD)
    made.upload(Parts(parts.header, parts.payload, (), (parts.entries[0], *parts.entries)).build())
    found = slots.computed_hash(made.flash, made.layout, made.secondary)
    assert isinstance(found, ImageFault)
    assert found.line == "hash: found 2, expected exactly one hash TLV"


# --- arming: boot_set_next, enumerated --------------------------------------------------------------------------------


def put_trailer(made, slot, magic: Magic, image_ok: TrailerFlag) -> None:
    ops = []
    if image_ok is not TrailerFlag.UNSET:
        ops.append(Write(slot, TrailerField.IMAGE_OK, b"\x01" if image_ok is TrailerFlag.SET else b"\x07"))
    if magic is not Magic.UNSET:
        value = trailers.magic_bytes(8) if magic is Magic.GOOD else b"\0" * 16
        ops.append(Write(slot, TrailerField.MAGIC, value))
    carry_out(made.flash, made.layout, ops)


@pytest.mark.parametrize("algorithm", SWAPS)
@pytest.mark.parametrize("permanent", [False, True])
@pytest.mark.parametrize("image_ok", TrailerFlag)
@pytest.mark.parametrize("magic", Magic)
def test_arming_from_every_trailer(algorithm, permanent, image_ok, magic):
    made = device(algorithm, OLD)
    made.upload(NEW)
    put_trailer(made, made.secondary, magic, image_ok)
    came = made.arm(permanent=permanent)
    kind = trailers.read_swap_type(made.flash, made.layout)
    if magic is Magic.BAD:
        assert (came, kind) == (ArmResult.BAD_TRAILER, SwapType.NONE)
    elif magic is Magic.UNSET:
        # Leftovers of an arming that was cut off say nothing: they are erased first.
        assert (came, kind) == (ArmResult.DONE, SwapType.PERM if permanent else SwapType.TEST)
    elif image_ok is TrailerFlag.UNSET:
        assert came is (ArmResult.DONE if permanent else ArmResult.ALREADY)
        assert kind is (SwapType.PERM if permanent else SwapType.TEST)
    else:
        assert came is ArmResult.ALREADY
        assert kind is (SwapType.PERM if image_ok is TrailerFlag.SET else SwapType.NONE)


@pytest.mark.parametrize("image_ok", TrailerFlag)
@pytest.mark.parametrize("magic", Magic)
def test_confirming_from_every_trailer(image_ok, magic):
    made = device(Algorithm.SWAP_MOVE, OLD)
    put_trailer(made, made.primary, magic, image_ok)
    came = made.confirm()
    after = trailers.read_trailer(made.layout, area(made.flash, made.primary))
    if magic is Magic.BAD:
        assert came is ArmResult.BAD_TRAILER
    elif magic is Magic.GOOD and image_ok is TrailerFlag.UNSET:
        assert (came, after.image_ok) == (ArmResult.DONE, TrailerFlag.SET)
    else:
        assert (came, after.image_ok) == (ArmResult.ALREADY, image_ok)


@pytest.mark.parametrize("permanent", [False, True])
@pytest.mark.parametrize("algorithm", BY_TRAILER)
def test_disarming_takes_back_what_was_armed(algorithm, permanent):
    made = device(algorithm, OLD)
    made.boot()
    made.upload(NEW)
    made.arm(permanent=permanent)
    assert slots.disarm(made.flash, made.layout, 0, made.active) is SwapType.NONE
    assert made.version() == "1.0.0"


@pytest.mark.parametrize("algorithm", SWAPS)
def test_what_was_disarmed_is_still_there_where_the_trailer_has_its_own_sectors(algorithm):
    made = device(algorithm, OLD)
    made.upload(NEW)
    made.arm()
    slots.disarm(made.flash, made.layout, 0)
    assert made.shown() == ["0 1.0.0 ac", "1 1.2.3.4 "]
    assert made.arm() is ArmResult.DONE


@pytest.mark.parametrize("algorithm", [*SWAPS, Algorithm.DIRECT_XIP])
def test_a_trial_is_not_disarmed(algorithm):
    made = device(algorithm, OLD)
    made.boot()
    made.upload(NEW)
    made.arm()
    assert made.boot().trial
    before = made.flash.read(0, made.layout.geometry.size)
    left = slots.disarm(made.flash, made.layout, 0, made.active)
    assert left is (SwapType.NONE if algorithm is Algorithm.DIRECT_XIP else SwapType.REVERT)
    assert made.flash.read(0, made.layout.geometry.size) == before


@pytest.mark.parametrize("algorithm", BY_TRAILER)
def test_disarming_what_is_not_armed_changes_nothing(algorithm):
    made = device(algorithm, OLD)
    made.boot()
    made.upload(NEW)
    before = made.flash.read(0, made.layout.geometry.size)
    assert slots.disarm(made.flash, made.layout, 0, made.active) is SwapType.NONE
    assert made.flash.read(0, made.layout.geometry.size) == before


# --- writing ----------------------------------------------------------------------------------------------------------


@given(pieces=st.lists(st.integers(0, 900), max_size=20), algorithm=st.sampled_from(BY_TRAILER))
def test_an_upload_in_any_pieces_is_the_file(pieces, algorithm):
    made = device(algorithm, OLD)
    writer = SlotWriter(made.flash, made.layout, made.secondary, max_image_size(made.layout))
    at = 0
    for size in [*pieces, len(NEW)]:
        writer.write(NEW[at : at + size])
        at = min(len(NEW), at + size)
        assert writer.received == at
    writer.finish()
    assert writer.received == len(NEW)
    assert slots.image_area(made.flash, made.layout, made.secondary).read(0, len(NEW)) == NEW


@pytest.mark.parametrize("algorithm", BY_TRAILER)
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_an_upload_goes_to_the_limit_and_no_further(algorithm, beyond):
    made = device(algorithm, OLD)
    limit = max_image_size(made.layout)
    writer = SlotWriter(made.flash, made.layout, made.secondary, limit)
    writer.write(b"\x55" * (limit - 1))
    if beyond > 0:
        with pytest.raises(LocalError, match="that fit"):
            writer.write(b"\x55" * (1 + beyond))
    else:
        writer.write(b"\x55" * (1 + beyond))
        writer.finish()
    whole = area(made.flash, made.secondary)
    tail = whole.read(whole.size - made.layout.trailer_size, made.layout.trailer_size)
    assert whole.is_erased(tail)


@pytest.mark.parametrize("algorithm", BY_TRAILER)
def test_a_new_upload_takes_back_the_arming_of_the_old_one(algorithm):
    made = device(algorithm, OLD)
    made.boot()
    made.upload(NEW)
    made.arm(permanent=True)
    SlotWriter(made.flash, made.layout, made.other(), 100)
    assert made.version() == "1.0.0"


def test_with_offset_an_old_header_in_sector_0_does_not_outlive_an_upload():
    made = device(Algorithm.SWAP_OFFSET, OLD)
    made.upload(NEW)
    made.arm()
    made.boot()
    made.confirm()
    assert area(made.flash, made.secondary).read(0, 4) == OLD[:4]
    made.upload(images.signed("2.0.0", seed=5))
    assert area(made.flash, made.secondary).read(0, 4) == b"\xff" * 4
    made.arm()
    assert made.version() == "2.0.0"


@pytest.mark.parametrize("algorithm", BY_TRAILER)
def test_erasing_a_slot(algorithm):
    made = device(algorithm, OLD)
    made.boot()
    made.upload(NEW)
    made.arm()
    slots.erase(made.flash, made.layout, made.other())
    whole = area(made.flash, made.other())
    assert whole.is_erased(whole.read(0, whole.size))
    assert made.version() == "1.0.0"


def test_slots_by_number():
    layout = device(Algorithm.SWAP_MOVE, images_=2).layout
    assert slots.slot_of(layout, 3) == layout.pairs[1].secondary
    assert slots.slot_of(layout, 4) is None
    assert slots.slot_of(layout, -1) is None
    assert slots.other_slot(layout, 1, (0, 1)) == layout.pairs[1].primary
    assert slots.running_slot(layout, 1, (0, 1)) == layout.pairs[1].secondary
    assert slots.other_slot(layout, 1) == layout.pairs[1].secondary


def test_sectors_are_erased_ahead_one_at_a_time_and_only_those_that_are_needed():
    made = device(Algorithm.SWAP_MOVE, OLD)
    writer = SlotWriter(made.flash, made.layout, made.secondary, max_image_size(made.layout))
    before = made.flash.wear.sectors_erased
    assert writer.erase_ahead(5000)
    assert not writer.erase_ahead(5000), "a whole sector lies erased"
    writer.write(NEW[:100])
    assert writer.erase_ahead(5000)
    assert not writer.erase_ahead(5000), "two sectors are all that it needs"
    writer.write(NEW[100:5000])
    writer.finish()
    assert made.flash.wear.sectors_erased == before + 2
