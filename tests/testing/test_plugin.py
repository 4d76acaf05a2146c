"""The plugin as another project uses it: the example project, run by a pytest of its own."""

import re
from pathlib import Path

import imgtool.main  # noqa: F401 - what a pytest in this process imports first goes with it, and cryptography comes once
import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "testing-a-client"


def test_the_example_project_passes(pytester: pytest.Pytester) -> None:
    for file in EXAMPLE.iterdir():
        if file.is_file():
            (pytester.path / file.name).write_text(file.read_text())
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3)


def test_the_page_shows_the_example_as_it_is() -> None:
    """Each block of Python in the page stands in the example, line by line."""
    page = (ROOT / "docs" / "testing.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    example = (EXAMPLE / "test_my_client.py").read_text()
    assert len(blocks) == 3
    for block in blocks:
        assert block in example


def test_the_plugin_costs_an_environment_nothing_until_it_is_used(pytester: pytest.Pytester) -> None:
    """Every pytest of the environment imports it: the device behind it must not come along."""
    pytester.makepyfile(
        """
        import sys

        def test_nothing_came_along():
            ours = {name for name in sys.modules if name.split(".")[0] == "keyswitch"}
            assert ours == {"keyswitch", "keyswitch.testing", "keyswitch.testing.plugin"}
            assert not {"bumble", "bleak", "cryptography", "cbor2", "click", "serial", "asyncio"} & set(sys.modules)
        """
    )
    others = ("-p", "no:randomly", "-p", "no:anyio", "-p", "no:cacheprovider")
    pytester.runpytest_subprocess(*others).assert_outcomes(passed=1)


WRONG = {
    'pytest.mark.keyswitch("my.toml")': "'my.toml' has no name (it takes policy, image, air, ble, udp, serial, scope)",
    'pytest.mark.keyswitch(polcy="my.toml")': "no argument 'polcy' (did you mean 'policy'?)",
    "pytest.mark.keyswitch(xyz=1)": "no argument 'xyz' (it takes policy, image, air, ble, udp, serial, scope)",
    "pytest.mark.keyswitch(udp=1337)": "udp is 1337 (expected True, or 'HOST:PORT')",
    'pytest.mark.keyswitch(serial="/dev/tty")': "serial is '/dev/tty' (expected True or False)",
    'pytest.mark.keyswitch(scope="package")': "scope is 'package' (expected one of function, class, module, session)",
    'pytest.mark.keyswitch(policy="my.toml")': "a policy of your own needs an image that it takes (add image='FILE')",
    'pytest.mark.keyswitch(policy="no.toml", image="x", udp=True)': "the device did not start: keyswitch: no.toml: ",
}


def test_a_wrong_argument_is_named_in_one_line(pytester: pytest.Pytester) -> None:
    tests = [
        f"@{mark}\ndef test_{number}(keyswitch_device):\n    raise AssertionError('it has run')\n"
        for number, mark in enumerate(WRONG)
    ]
    pytester.makepyfile("import pytest\n\n" + "\n".join(tests))
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    result.assert_outcomes(errors=len(WRONG))
    said = [line for line in result.outlines if line.startswith("pytest.mark.keyswitch: ")]
    assert len(said) == len(WRONG)
    for line, problem in zip(said, WRONG.values(), strict=True):
        assert line.startswith(f"pytest.mark.keyswitch: {problem}"), line
    assert "it has run" not in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_a_device_has_a_scope_and_no_radio_and_its_log_stands_beside_a_failure(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import time

        import pytest
        from keyswitch.errors import KeyswitchError

        pytestmark = pytest.mark.keyswitch(udp=True, scope="module")
        seen = []

        def told(device, text):
            while text not in "".join(device.log):
                time.sleep(0.01)  # from the device's process to this one

        def test_first(keyswitch_device):
            seen.append(keyswitch_device)
            assert keyswitch_device.ready["ble"] is None
            with pytest.raises(KeyswitchError, match="does not serve ble: ask for it with ble=True"):
                keyswitch_device.hci
            keyswitch_device.set(motion=True)
            told(keyswitch_device, '"mode": "active"')

        def test_the_same_as_the_first_left_it(keyswitch_device):
            assert seen == [keyswitch_device]
            assert keyswitch_device.status()["mode"] == "active"

        @pytest.mark.keyswitch(udp=True)
        def test_fails_with_one_of_its_own(keyswitch_device):
            assert keyswitch_device not in seen
            keyswitch_device.press(hold_s=5)
            told(keyswitch_device, '"mode": "maintenance"')
            raise AssertionError("as it should")

        def test_fails_with_the_shared_one(keyswitch_device):
            assert seen == [keyswitch_device]
            keyswitch_device.set(motion=False)
            while '"mode": "normal"' not in keyswitch_device.log[-1]:
                time.sleep(0.01)
            raise AssertionError("as it should")
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=2)
    own, shared = result.stdout.str().split("keyswitch device")[1:]
    assert '"event": "ready"' in own
    assert '"mode": "maintenance"' in own
    assert '"mode": "normal"' in shared
    assert '"event": "ready"' not in shared
    assert '"mode": "active"' not in shared, "what another test did"
