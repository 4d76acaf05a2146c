"""States of boards, saved once for all tests."""

import asyncio
from collections.abc import Generator

import pytest
from tests import told
from tests.rigs import images, qemu
from tests.rigs.images import Image
from tests.rigs.lost import LOST
from tests.rigs.qemu import State


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Say at the end of the run what emulated boards lost."""
    before = len(LOST)
    try:
        return (yield)
    finally:
        if len(LOST) > before:
            item.user_properties.append((told.KEY, f"{len(LOST) - before} lost by an emulated board, asked again"))


@pytest.fixture(scope="session")
def microbit_saved() -> State:
    return asyncio.run(qemu.save(qemu.MICROBIT))


@pytest.fixture(scope="session")
def microbit_image() -> Image:
    """An update for the board: it boots and answers."""
    return images.make(qemu.MICROBIT, "1.1.0")


@pytest.fixture(scope="session")
def microbit_loaded(microbit_image: Image) -> State:
    """The board with that update in its second slot, unmarked."""
    return asyncio.run(qemu.save(qemu.MICROBIT, second=microbit_image.data))


@pytest.fixture(scope="session")
def mps2_saved() -> State:
    return asyncio.run(qemu.save(qemu.MPS2))


@pytest.fixture(scope="session")
def mps2_recovery_saved() -> State:
    return asyncio.run(qemu.save(qemu.MPS2_RECOVERY))
