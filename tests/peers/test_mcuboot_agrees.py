"""The real MCUboot and ours, on the same flash: byte for byte the same, whichever of the two begins and which finishes.

The board is the emulated microbit, MCUboot with swap using offset, hashes only. There is no such board for swap using
move.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from tests.rigs import qemu
from tests.rigs.images import Image
from tests.rigs.qemu import Board, State
from tests.rigs.smp import Asker

from keyswitch.mcuboot import slots
from keyswitch.mcuboot.bootloader import BootConfig, boot
from keyswitch.mcuboot.flash import RamFlash
from keyswitch.mcuboot.keys import VerificationKeys
from keyswitch.mcuboot.layout import Algorithm, Layout
from keyswitch.mcuboot.power import Cut, CutFlash, Loss, Moment, PowerLossError

pytestmark = pytest.mark.peers

PRIMARY: Final = range(0x8000, 0x2_2000)
SECONDARY: Final = qemu.MICROBIT.second_slot
FLASH_SIZE: Final = 0x4_0000
SECTORS: Final = len(PRIMARY) // 1024
"""This MCUboot counts its status entries by the slot's real sectors (`CONFIG_BOOT_MAX_IMG_SECTORS_AUTO`)."""
LAYOUT: Final = Layout.for_slots(
    Algorithm.SWAP_OFFSET, len(PRIMARY), sector_size=1024, write_block=4, max_sectors=SECTORS
)
CONFIG: Final = BootConfig(layout=LAYOUT, keys=VerificationKeys())
PAIR: Final = LAYOUT.pairs[0]
STEPS_S: Final = (0.004, 0.002, 0.001)
"""How much later each time the real bootloader is stopped; a whole swap takes it some tens of milliseconds. The finer
ones are for when it was not once met in the middle."""
TRIES: Final = 40


async def flash_of(board: Board, *, go_on: bool = True) -> bytes:
    """All of a board's flash; the board stands still meanwhile."""
    await board.monitor.execute("stop")
    with TemporaryDirectory() as folder:
        path = Path(folder, "flash")
        # By the processor's view: QEMU's own view of this board's memory is empty.
        arguments: dict[str, Any] = {"val": 0, "size": FLASH_SIZE, "filename": str(path), "cpu-index": 0}
        await board.monitor.execute("memsave", **arguments)
        flash = path.read_bytes()  # noqa: ASYNC240 - a small file in memory
    if go_on:
        await board.monitor.execute("cont")
    return flash


def ours(flash: bytes) -> RamFlash:
    """Our flash with the board's two slots in it."""
    return RamFlash(LAYOUT.geometry, content=slots_in(flash))


def slots_in(flash: bytes) -> bytes:
    return flash[PRIMARY.start : PRIMARY.stop] + flash[SECONDARY.start : SECONDARY.stop]


def content(flash: RamFlash) -> bytes:
    return flash.read(0, LAYOUT.geometry.size)


def booted(flash: bytes) -> bytes:
    """Both slots after one boot of ours."""
    started = ours(flash)
    boot(started, CONFIG)
    return content(started)


def listed(flash: bytes) -> list[dict[str, Any]]:
    """Our image list of the board's slots, as SMP writes it."""
    return [
        {
            "slot": entry.slot.absolute,
            "version": str(entry.version),
            "hash": entry.hash,
            "bootable": entry.bootable,
            "pending": entry.pending,
            "confirmed": entry.confirmed,
            "active": entry.active,
            "permanent": entry.permanent,
        }
        for entry in slots.list_images(ours(flash), LAYOUT)
    ]


class Real:
    """A board, and what it did to its flash."""

    def __init__(self, board: Board, asker: Asker) -> None:
        self.board = board
        self.asker = asker

    async def look(self) -> bytes:
        """Its flash, whose list it and we read the same."""
        answer = await self.asker.read(1, 0)
        flash = await flash_of(self.board)
        assert listed(flash) == answer["images"]
        return flash

    async def set_state(self, **fields: object) -> bytes:
        await self.asker.write(1, 0, fields)
        return await self.look()

    async def reset(self) -> bytes:
        await self.asker.write(0, 5, {})
        await self.board.has_reset(self.asker.wire)
        return await self.look()


@asynccontextmanager
async def real(state: State) -> AsyncIterator[Real]:
    async with qemu.board(state) as board, board.wire() as wire:
        yield Real(board, Asker(wire, loses_lines=True))


def test_test_revert_test_confirm(microbit_loaded: State, microbit_image: Image) -> None:
    async def talk() -> None:
        async with real(microbit_loaded) as board:
            loaded = await board.look()
            armed = await board.set_state(hash=microbit_image.hash)
            ours_armed = ours(loaded)
            slots.arm(ours_armed, LAYOUT, PAIR.secondary, permanent=False)
            assert content(ours_armed) == slots_in(armed)

            trial = await board.reset()
            assert booted(armed) == slots_in(trial)
            reverted = await board.reset()
            assert booted(trial) == slots_in(reverted)

            armed = await board.set_state(hash=microbit_image.hash)
            trial = await board.reset()
            assert booted(armed) == slots_in(trial)
            confirmed = await board.set_state(confirm=True)
            ours_confirmed = ours(trial)
            slots.confirm(ours_confirmed, LAYOUT, PAIR.primary)
            assert content(ours_confirmed) == slots_in(confirmed)
            assert booted(confirmed) == slots_in(await board.reset())

    asyncio.run(talk())


def test_a_permanent_swap(microbit_loaded: State, microbit_image: Image) -> None:
    async def talk() -> None:
        async with real(microbit_loaded) as board:
            loaded = await board.look()
            armed = await board.set_state(hash=microbit_image.hash, confirm=True)
            ours_armed = ours(loaded)
            slots.arm(ours_armed, LAYOUT, PAIR.secondary, permanent=True)
            assert content(ours_armed) == slots_in(armed)
            swapped = await board.reset()
            assert booted(armed) == slots_in(swapped)
            assert booted(swapped) == slots_in(await board.reset())

    asyncio.run(talk())


def test_an_image_with_one_wrong_bit_runs_on_neither(microbit_image: Image) -> None:
    bad = bytearray(microbit_image.data)
    bad[5000] ^= 1

    async def talk() -> None:
        state = await qemu.save(qemu.MICROBIT, second=bytes(bad))
        async with real(state) as board:
            armed = await board.set_state(hash=microbit_image.hash)
            after = await board.reset()
            assert [image["version"] for image in listed(after)] == ["0.0.0"]
            # Ours erases all of the slot, this MCUboot what makes it an image: afterwards both hold none.
            assert booted(armed)[: len(PRIMARY)] == slots_in(after)[: len(PRIMARY)]
            assert [str(image.version) for image in slots.list_images(ours(after), LAYOUT)] == ["0.0.0"]

    asyncio.run(talk())


@asynccontextmanager
async def powered_up(flash: bytes) -> AsyncIterator[Board]:
    """A board with this flash, that has just got its power back and has not begun to boot."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "flash")
        path.write_bytes(flash)  # noqa: ASYNC240 - a small file in memory
        async with qemu._running(qemu.MICROBIT, ["-device", f"loader,file={path},addr=0,force-raw=on"]) as board:
            yield board


def whole(flash: bytes, both_slots: bytes) -> bytes:
    """The board's flash with other slots in it."""
    changed = bytearray(flash)
    changed[PRIMARY.start : PRIMARY.stop] = both_slots[: len(PRIMARY)]
    changed[SECONDARY.start : SECONDARY.stop] = both_slots[len(PRIMARY) :]
    return bytes(changed)


async def armed_and_trial(state: State, image: Image) -> tuple[bytes, bytes]:
    """The board's flash before an upgrade, and before the revert after it."""
    async with real(state) as board:
        return await board.set_state(hash=image.hash), await board.reset()


def cuts(flash: bytes) -> list[Cut]:
    """Cuts in one boot of ours: its first operations, and some of the later ones."""
    operations = 0
    while True:
        cut = CutFlash(LAYOUT.geometry, slots_in(flash), Cut(operations, Moment.BEFORE, Loss.NOTHING))
        try:
            boot(cut, CONFIG)
        except PowerLossError:
            operations += 1 if operations < 12 else 37
            continue
        break
    numbers = [*range(0, 12, 2), *range(12, operations, 74)]
    return [Cut(number, Moment.FRONT if number % 4 else Moment.AFTER, Loss.UNSYNCED) for number in numbers]


@pytest.mark.parametrize("act", ["upgrade", "revert"])
def test_what_we_began_the_real_one_finishes(microbit_loaded: State, microbit_image: Image, act: str) -> None:
    async def talk() -> None:
        armed, trial = await armed_and_trial(microbit_loaded, microbit_image)
        before = armed if act == "upgrade" else trial
        tried = cuts(before)
        assert len(tried) > 8
        for cut in tried:
            began = CutFlash(LAYOUT.geometry, slots_in(before), cut)
            with pytest.raises(PowerLossError):
                boot(began, CONFIG)
            cut_off = whole(before, began.left)
            async with powered_up(cut_off) as board, board.wire() as wire:
                await board.monitor.execute("cont")
                await board.up(wire)
                finished = await flash_of(board)
            assert booted(cut_off) == slots_in(finished), cut

    asyncio.run(talk())


@pytest.mark.parametrize("act", ["upgrade", "revert"])
def test_what_the_real_one_began_we_finish(microbit_loaded: State, microbit_image: Image, act: str) -> None:
    async def talk() -> None:
        armed, trial = await armed_and_trial(microbit_loaded, microbit_image)
        before = armed if act == "upgrade" else trial
        in_the_middle = 0
        for step_s in STEPS_S:
            for number in range(1, TRIES):
                async with powered_up(before) as board, board.wire() as wire:
                    await board.monitor.execute("cont")
                    # Wherever it is by then, that is where the power goes.
                    await asyncio.sleep(step_s * number)
                    cut_off = await flash_of(board)
                    await board.up(wire)
                    finished = await flash_of(board)
                if slots_in(cut_off) == slots_in(finished):
                    break
                assert booted(cut_off) == slots_in(finished)
                in_the_middle += slots_in(cut_off) != slots_in(before)
            if in_the_middle:
                break
        assert in_the_middle

    asyncio.run(talk())
