"""States of boards, saved once for all tests."""

import asyncio

import pytest
from tests.rigs import images, qemu
from tests.rigs.images import Image
from tests.rigs.qemu import State


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
