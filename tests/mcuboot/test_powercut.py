"""A sample of `python -m bench.powercut`, and the proof that it sees planted faults."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from bench.boots import SCENARIOS, SHAPES, Scenario, make_world, searches
from bench.powercut import Search, search

from keyswitch.errors import LocalError
from keyswitch.mcuboot.flash import Flash, Geometry
from keyswitch.mcuboot.layout import Algorithm, Layout
from keyswitch.mcuboot.ops import SYNC, Copy, Erase, Op, Sync, TrailerField, Write, WriteHeader, carry_out
from keyswitch.mcuboot.power import Cut, CutFlash, Loss, Moment, PowerLossError
from keyswitch.mcuboot.slots import SlotWriter

SAMPLE = 8
EVERYTHING = [(algorithm, scenario) for algorithm, _, scenario in searches(Algorithm, SHAPES[:1])]


CUTTABLE = tuple(dict.fromkeys(algorithm for algorithm, _ in EVERYTHING))
"""The algorithms with which something is written to flash that runs; a single slot is written by a debugger alone."""


def test_every_algorithm_that_can_be_updated_is_cut():
    assert set(CUTTABLE) == {*Algorithm} - {Algorithm.SINGLE_SLOT}


def scenario(name: str, algorithm: Algorithm) -> Scenario:
    return next(entry for entry in SCENARIOS if entry.name == name and algorithm in entry.algorithms)


@pytest.mark.parametrize(
    ("algorithm", "tried"), EVERYTHING, ids=[f"{algorithm}-{tried.name}" for algorithm, tried in EVERYTHING]
)
def test_after_a_cut_the_right_image_runs(algorithm, tried):
    found = Search(make_world(algorithm, SHAPES[0]), tried, limit=SAMPLE).run()
    assert found.failures == []
    assert found.contents
    assert found.cut_points > found.contents


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize("algorithm", CUTTABLE)
def test_after_any_number_of_cuts_the_right_image_runs(algorithm, shape, tell):
    cut_points = 0
    for _, _, tried in searches([algorithm], [shape]):
        found = search(algorithm, shape, tried.name)
        assert found.failures == []
        cut_points += found.cut_points
    tell(f"{cut_points:,} cut points")


# --- planted faults ---------------------------------------------------------------------------------------------------


def status_before_copy(plan: Iterable[Op]) -> Iterator[Op]:
    """Two writes in the wrong order: the entry that says that a sector was copied comes before the copy."""
    held: list[Op] = []
    for op in plan:
        if isinstance(op, Erase | Copy):
            held.append(op)
            continue
        if isinstance(op, Write) and op.field is TrailerField.STATUS:
            yield op
            yield SYNC
        elif not isinstance(op, Sync):
            yield from held
            held = []
            yield op
            continue
        else:
            yield op
            continue
        yield from held
        held = []
    yield from held


def secondary_forgotten_first(plan: Iterable[Op]) -> Iterator[Op]:
    """Two writes in the wrong order: the secondary's trailer is erased before the primary's says what is being done."""
    whole = list(plan)
    magic = next((at for at, op in enumerate(whole) if isinstance(op, Write) and op.field is TrailerField.MAGIC), None)
    if magic is not None and isinstance(whole[magic + 2], Erase):
        erasing = whole[magic + 2 : magic + 4]
        del whole[magic + 2 : magic + 4]
        whole[:0] = erasing
    return iter(whole)


def no_copy_done(plan: Iterable[Op]) -> Iterator[Op]:
    """A missing flag: the end of the swap is not written down."""
    return (op for op in plan if not (isinstance(op, Write) and op.field is TrailerField.COPY_DONE))


def no_image_ok(plan: Iterable[Op]) -> Iterator[Op]:
    """A missing flag: what was made permanent is not marked so."""
    return (op for op in plan if not (isinstance(op, Write) and op.field is TrailerField.IMAGE_OK))


def sector_too_high(plan: Iterable[Op]) -> Iterator[Op]:
    """Off by one: the exchange reads the sector above."""
    for op in plan:
        if isinstance(op, Copy) and op.source.slot != op.target.slot and op.target.slot == 1:
            yield replace(op, source_sector=op.source_sector - 1 if op.source_sector else 1)
        else:
            yield op


def one_sector_less(plan: Iterable[Op]) -> Iterator[Op]:
    """Off by one: the last sector is not exchanged."""
    whole = list(plan)
    last = max((op.target_sector for op in whole if isinstance(op, Copy)), default=-1)
    return (op for op in whole if not (isinstance(op, Copy) and op.target_sector == last))


def never_sync(plan: Iterable[Op]) -> Iterator[Op]:
    """A lost sync: nothing is made durable before the next step."""
    return (op for op in plan if not isinstance(op, Sync))


def no_sync_before_status(plan: Iterable[Op]) -> Iterator[Op]:
    """A lost sync: the entry may be durable before the copy that it speaks of."""
    held: Op | None = None
    for op in plan:
        if held is not None and not (isinstance(op, Write) and op.field is TrailerField.STATUS):
            yield held
        held = op if isinstance(op, Sync) else None
        if held is None:
            yield op
    if held is not None:
        yield held


def status_not_written(plan: Iterable[Op]) -> Iterator[Op]:
    """A missing entry: a step that was done is done again."""
    return (op for op in plan if not (isinstance(op, Write) and op.field is TrailerField.STATUS))


def old_trailer_kept(plan: Iterable[Op]) -> Iterator[Op]:
    """The secondary's trailer is not erased when the swap begins: it is asked for again and again."""
    written = False
    for op in plan:
        if isinstance(op, Write) and op.field is TrailerField.MAGIC:
            written = True
        if isinstance(op, Erase) and written and op.slot.slot == 1:
            written = False
            continue
        yield op


FAULTS = {
    status_before_copy: "upgrade on trial",
    secondary_forgotten_first: "upgrade on trial",
    no_copy_done: "upgrade on trial",
    no_image_ok: "revert",
    sector_too_high: "upgrade on trial",
    one_sector_less: "upgrade on trial",
    never_sync: "upgrade on trial",
    no_sync_before_status: "upgrade on trial",
    status_not_written: "upgrade on trial",
    old_trailer_kept: "upgrade for good",
}


@pytest.mark.parametrize("algorithm", [Algorithm.SWAP_MOVE, Algorithm.SWAP_OFFSET])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_caught(algorithm, fault):
    def spoiled(flash: Flash, layout: Layout, plan: Iterable[Op]) -> None:
        carry_out(flash, layout, fault(plan))

    tried = scenario(FAULTS[fault], algorithm)
    found = Search(make_world(algorithm, SHAPES[0]), tried, do=spoiled, patience=1).run()
    assert found.failures


def header_not_whole(plan: Iterable[Op]) -> Iterator[Op]:
    """A missing block: the image's first one, with its magic, is not written."""
    return (op for op in plan if not (isinstance(op, WriteHeader) and op.offset == 0))


def header_left(plan: Iterable[Op]) -> Iterator[Op]:
    """A missing erasure: what is taken back keeps its header."""
    return (op for op in plan if not (isinstance(op, Erase) and op.sector == 0))


class HeaderAtOnce(SlotWriter):
    """The header is written where it comes, as by a server that knows no arming: the last byte starts the image."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._kept_size = 0


IN_PLACE_FAULTS = [
    (header_not_whole, SlotWriter, "arm for good", Algorithm.DIRECT_XIP_NO_REVERT),
    (header_left, SlotWriter, "disarm", Algorithm.DIRECT_XIP_NO_REVERT),
    (iter, HeaderAtOnce, "upload", Algorithm.DIRECT_XIP_NO_REVERT),
    (header_not_whole, SlotWriter, "the loader makes it an image", Algorithm.FIRMWARE_LOADER),
    (header_left, SlotWriter, "the loader takes it back", Algorithm.FIRMWARE_LOADER),
    (iter, HeaderAtOnce, "upload by the loader", Algorithm.FIRMWARE_LOADER),
]


@pytest.mark.parametrize(("fault", "writer", "name", "algorithm"), IN_PLACE_FAULTS)
def test_a_planted_fault_is_caught_where_an_image_starts_because_it_lies_there(fault, writer, name, algorithm):
    def spoiled(flash: Flash, layout: Layout, plan: Iterable[Op]) -> None:
        carry_out(flash, layout, fault(plan))

    tried = scenario(name, algorithm)
    assert Search(make_world(algorithm, SHAPES[0]), tried, do=spoiled, writer=writer, patience=1).run().failures


# --- the double itself ------------------------------------------------------------------------------------------------

GEOMETRY = Geometry(size=0x800, sector_size=0x200, write_block=8)


@pytest.mark.parametrize(
    ("moment", "loss", "left"),
    [
        (Moment.BEFORE, Loss.NOTHING, b"syncedAA" + b"pendingB" + b"\xff" * 8),
        (Moment.FRONT, Loss.NOTHING, b"syncedAA" + b"pendingB" + b"cut-\xff\xff\xff\xff"),
        (Moment.BACK, Loss.NOTHING, b"syncedAA" + b"pendingB" + b"\xff\xff\xff\xffhere"),
        (Moment.AFTER, Loss.NOTHING, b"syncedAA" + b"pendingB" + b"cut-here"),
        (Moment.BEFORE, Loss.UNSYNCED, b"syncedAA" + b"\xff" * 16),
        (Moment.FRONT, Loss.UNSYNCED, b"syncedAA" + b"\xff" * 8 + b"cut-\xff\xff\xff\xff"),
        (Moment.BACK, Loss.UNSYNCED, b"syncedAA" + b"\xff" * 8 + b"\xff\xff\xff\xffhere"),
        (Moment.AFTER, Loss.UNSYNCED, b"syncedAA" + b"\xff" * 8 + b"cut-here"),
    ],
)
def test_what_a_cut_leaves(moment, loss, left):
    flash = CutFlash(GEOMETRY, b"\xff" * 0x800, Cut(2, moment, loss))
    flash.write(0, b"syncedAA")
    flash.sync()
    flash.write(8, b"pendingB")
    with pytest.raises(PowerLossError, match=f"power lost {moment.value} flash operation 2"):
        flash.write(16, b"cut-here")
    with pytest.raises(PowerLossError):
        flash.erase(0, 0x200)
    assert flash.left[:24] == left


def test_an_erasure_cut_in_the_middle():
    flash = CutFlash(GEOMETRY, b"\x55" * 0x800, Cut(0, Moment.FRONT, Loss.NOTHING))
    with pytest.raises(PowerLossError):
        flash.erase(0x200, 0x200)
    assert flash.left == b"\x55" * 0x200 + b"\xff" * 0x100 + b"\x55" * 0x500


def test_a_flash_that_kept_its_power_left_nothing_behind():
    flash = CutFlash(GEOMETRY, b"\xff" * 0x800, Cut(5, Moment.AFTER, Loss.NOTHING))
    flash.write(0, b"12345678")
    with pytest.raises(LocalError, match="there were 1 operations"):
        _ = flash.left
