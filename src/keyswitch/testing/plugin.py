"""A gated device for other projects' tests: `def test_my_client(keyswitch_device): ...`.

The device is a process of its own, as a person would run it, with keys and images made for it. What it is like is said
by a mark on the test:

    @pytest.mark.keyswitch(policy="my-policy.toml", image="my-1.0.0.signed.bin", air="interval_ms=15", udp=True)

Without one it is the example pump, running a small firmware, on a virtual radio.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from keyswitch.testing.device import DeviceUnderTest

MARK = "keyswitch"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", f"{MARK}(policy, image, air, udp, serial): what `keyswitch_device` is like")


@pytest.fixture(scope="session")
def keyswitch_pump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example pump with keys and a first image, made once; each device gets a copy."""
    from keyswitch.testing.device import make_pump  # noqa: PLC0415 - the plugin is imported in every test run

    return make_pump(tmp_path_factory.mktemp("keyswitch") / "pump")


@pytest.fixture
def keyswitch_device(request: pytest.FixtureRequest, tmp_path: Path) -> "Iterator[DeviceUnderTest]":
    """A running device; ended after the test."""
    from keyswitch.testing.device import running_device  # noqa: PLC0415 - the plugin is imported in every test run

    mark: pytest.Mark | None = request.node.get_closest_marker(MARK)
    like: dict[str, Any] = dict(mark.kwargs) if mark is not None else {}
    if "policy" not in like:
        like["pump"] = request.getfixturevalue("keyswitch_pump")
    with running_device(tmp_path / "keyswitch", **like) as device:
        yield device
