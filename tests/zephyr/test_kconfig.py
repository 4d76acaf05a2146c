import pytest

from keyswitch.zephyr.kconfig import read_kconfig

TEXT = """
# a comment
CONFIG_A=y
# CONFIG_B is not set
CONFIG_C=0x20
CONFIG_D="with \\"quotes\\" and = sign"
SB_CONFIG_E=y
CONFIG_F=12
CONFIG_G=m
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / ".config"
    path.write_text(TEXT)
    return read_kconfig(path)


def test_values(config):
    assert [config.on(name) for name in "ABGE"] == [True, False, False, True]
    assert [config.number(name) for name in "CFAX"] == [32, 12, None, None]
    assert config.text("D") == 'with "quotes" and = sign'
    assert (config.text("B"), config.text("X")) == (None, None)


def test_lines_for_reports(config):
    assert [config.line(name) for name in "ABX"] == ["CONFIG_A=y", "# CONFIG_B is not set", "# CONFIG_X is not set"]
