"""What runs by default, and with how many examples.

* Tests marked `peers`, `bluez` or `deep` need something outside the tree or a lot of time: they are deselected unless
  their option is given.
* In CI a skipped test is a failed run: what does not run there is not known to work.
* Hypothesis draws the same examples in every run; with `--deep` more and fresh ones, and says how to repeat a failure.
"""

import gc
import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from tests import told
from tests.planted import table
from tests.planted.fault import standing_in

from keyswitch.demo import workshop
from keyswitch.demo.workshop import Workshop

OPTIONS = {
    "peers": "run the tests that need the real servers and clients of `make test-peers`",
    "bluez": "run the tests that need the Linux Bluetooth rig of `make bluez`",
    "campaign": "run the campaigns of `make test-campaign`",
    "console": "run the tests that need a browser, of `make test-console`",
    "install": "run the tests that install the built wheel, after `make dist`",
    "deep": "run the large tests too, and Hypothesis with its large profile",
}

gc.disable()
"""Collection makes objects that stay; looking through them for garbage, again and again, is a tenth of its time."""

os.environ["KEYSWITCH_CONFIG"] = ""
"""The settings of whoever runs the tests are not the tests'."""
for _name in ("KEYSWITCH_TARGET", "KEYSWITCH_POLICY"):
    os.environ.pop(_name, None)

settings.register_profile("default", derandomize=True, deadline=None)
settings.register_profile(
    "deep", max_examples=5_000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("keyswitch")
    group.addoption("--planted", metavar="FAULT", help="run with one rule taken out: a row of tests/planted")
    group.addoption("--c-core", action="store_true", help="every device with the firmware's C core as its gate")
    for name, text in OPTIONS.items():
        group.addoption(f"--{name}", action="store_true", default=False, help=text)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(told)
    if config.getoption("--hypothesis-profile", default=None) is None:
        settings.load_profile("deep" if config.getoption("--deep") else "default")
    if config.getoption("--c-core"):
        from tests.firmware import c_core_run  # noqa: PLC0415 - it needs a compiler, which other runs do not

        c_core_run.begin(config)
    fault = config.getoption("--planted")
    if fault is not None:
        standing = standing_in(table.FAULTS[fault].parts)
        standing.__enter__()
        config.add_cleanup(lambda: standing.__exit__(None, None, None))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unasked = [name for name in OPTIONS if not config.getoption(f"--{name}")]
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        (left_out if any(item.get_closest_marker(name) for name in unasked) else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_collection_finish() -> None:
    gc.freeze()
    # The prover's worlds stay as well: looked through after every 700 objects, they were a tenth of its time.
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if os.environ.get("CI") and skipped and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{len(skipped)} skipped, first {skipped[0].nodeid}: in CI every test runs", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say what was counted; see `tests.told`."""
    return lambda text: record_property(told.KEY, text)


@pytest.fixture(scope="session")
def pump(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The pump's policy, keys and images, as the demo makes them, with a small firmware."""
    directory = tmp_path_factory.mktemp("pump")
    payload = directory / "payload.bin"
    payload.write_bytes(bytes(range(256)) * 64)
    return workshop.make(directory, payload)
