"""States of boards, saved once for all tests."""

import asyncio
from pathlib import Path

import pytest
from tests.rigs import qemu


@pytest.fixture(scope="session")
def microbit_saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(qemu.save(qemu.MICROBIT, tmp_path_factory.mktemp("m0") / "state"))


@pytest.fixture(scope="session")
def mps2_saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(qemu.save(qemu.MPS2, tmp_path_factory.mktemp("m3") / "state"))


@pytest.fixture(scope="session")
def mps2_recovery_saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(qemu.save(qemu.MPS2_RECOVERY, tmp_path_factory.mktemp("m3r") / "state"))
