"""The plugin as another project uses it: the example project, run by a pytest of its own."""

import re
from pathlib import Path

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
    pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider").assert_outcomes(passed=1)
