"""A gated device for other projects' tests: `def test_my_client(keyswitch_device): ...`.

The device is a process of its own, as a person would run it, with keys and images made for it. What it is like is said
by a mark on the test:

    @pytest.mark.keyswitch(policy="my-policy.toml", image="my-1.0.0.signed.bin", air="interval_ms=15", udp=True)

Without one it is the example pump, running a small firmware, on a virtual radio. With `udp` or `serial` it has no radio
unless one is asked for (`ble=True`, or `air`), and nothing of a Bluetooth stack is imported.

Rule: every pytest of an environment imports this module, so it imports nothing but pytest; the rest comes with the
first device.
"""

import difflib
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pytest

if TYPE_CHECKING:
    from keyswitch.testing.device import DeviceUnderTest

MARK: Final = "keyswitch"
SECTION: Final = "keyswitch device"

SCOPES: Final = ("function", "class", "module", "session")
"""How long a device lives."""

_ARGUMENTS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "policy": (lambda value: isinstance(value, str | Path), "a path"),
    "image": (lambda value: isinstance(value, str | Path), "a path"),
    "air": (lambda value: isinstance(value, str), "a text like 'interval_ms=15,phy=2M'"),
    "ble": (lambda value: isinstance(value, bool), "True or False"),
    "udp": (lambda value: isinstance(value, bool | str), "True, or 'HOST:PORT'"),
    "serial": (lambda value: isinstance(value, bool), "True or False"),
    "scope": (lambda value: value in SCOPES, f"one of {', '.join(SCOPES)}"),
}
"""What the mark takes: whether a value fits, and what would."""

_DEVICES: Final = pytest.StashKey[dict[str, "DeviceUnderTest"]]()
"""The devices that live as long as a node, by what they are like."""
_USED: Final = pytest.StashKey[tuple["DeviceUnderTest", str | None]]()
"""A test's device, and the last line of its log before the test."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", f"{MARK}({', '.join(_ARGUMENTS)}): what `keyswitch_device` is like")


@pytest.fixture(scope="session")
def keyswitch_pump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example pump with keys and a first image, made once; each device gets a copy."""
    from keyswitch.testing.device import make_pump  # noqa: PLC0415 - the plugin is imported in every test run

    return make_pump(tmp_path_factory.mktemp("keyswitch") / "pump")


@pytest.fixture
def keyswitch_device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "DeviceUnderTest":
    """A running device; ended after the test, or after the last one of the scope that the mark names."""
    item: pytest.Item = request.node
    like = _like(item.get_closest_marker(MARK))
    node = _owner(item, like.pop("scope", "function"))
    devices = node.stash.setdefault(_DEVICES, {})
    key = repr(sorted(like.items()))
    before: str | None = None
    if key in devices:
        before = next(iter([*devices[key].log][-1:]), None)
    else:
        if "policy" not in like:
            like["pump"] = request.getfixturevalue("keyswitch_pump")
        devices[key] = _started(node, tmp_path_factory.mktemp("keyswitch-device") / "device", like)
    item.stash[_USED] = (devices[key], before)
    return devices[key]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the device's log beside a test that failed."""
    report = yield
    used = item.stash.get(_USED, None)
    if report.failed and used is not None:
        device, before = used
        report.sections.append((SECTION, _since([*device.log], before)))
    return report


def _since(log: Sequence[str], before: str | None) -> str:
    """What a device told during a test; all that is left of it where more was told than is kept."""
    first = next((at + 1 for at in reversed(range(len(log))) if log[at] is before), 0)
    return "".join(log[first:])


def _like(mark: pytest.Mark | None) -> dict[str, Any]:
    """The mark's arguments; a wrong one fails the test in one line."""
    if mark is None:
        return {}
    if mark.args:
        _refuse(f"{mark.args[0]!r} has no name")
    for name, value in mark.kwargs.items():
        if name not in _ARGUMENTS:
            near = difflib.get_close_matches(name, _ARGUMENTS, n=1)
            _refuse(f"no argument {name!r}", f"did you mean {near[0]!r}?" if near else "")
        fits, expected = _ARGUMENTS[name]
        if not fits(value):
            _refuse(f"{name} is {value!r}", f"expected {expected}")
    if "policy" in mark.kwargs and "image" not in mark.kwargs:
        _refuse("a policy of your own needs an image that it takes", "add image='FILE'")
    return dict(mark.kwargs)


def _refuse(problem: str, what_to_do: str = "") -> NoReturn:
    more = what_to_do or f"it takes {', '.join(_ARGUMENTS)}"
    pytest.fail(f"pytest.mark.{MARK}: {problem} ({more})", pytrace=False)


def _owner(item: pytest.Item, scope: str) -> pytest.Item | pytest.Collector:
    """The part of the run that the device lives for; a test outside of a class has its module's."""
    if scope == "function":
        return item
    kinds: dict[str, type[pytest.Collector]] = {"class": pytest.Class, "module": pytest.Module}
    found = item.getparent(kinds[scope]) if scope in kinds else item.session
    return found or item.getparent(pytest.Module) or item.session


def _started(node: pytest.Item | pytest.Collector, directory: Path, like: dict[str, Any]) -> "DeviceUnderTest":
    from keyswitch.errors import KeyswitchError  # noqa: PLC0415 - the plugin is imported in every test run
    from keyswitch.testing.device import running_device  # noqa: PLC0415 - no import until a test asks for a device

    with ExitStack() as stack:
        try:
            device = stack.enter_context(running_device(directory, **like))
        except KeyswitchError as error:
            pytest.fail(f"pytest.mark.{MARK}: {error}", pytrace=False)
        node.addfinalizer(stack.pop_all().close)
        return device
