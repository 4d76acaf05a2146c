"""A device that does not come up is seen by its end, whatever the machine is doing meanwhile."""

import asyncio
from pathlib import Path

import pytest

from keyswitch.demo.child import DeviceProcess, DeviceProcessError


def test_a_device_that_ends_instead_says_why(tmp_path: Path):
    missing = tmp_path / "none.toml"
    with pytest.raises(DeviceProcessError, match=r"none\.toml"):
        asyncio.run(DeviceProcess.start(policy=missing, state=tmp_path / "state", image=tmp_path / "x", air=""))
