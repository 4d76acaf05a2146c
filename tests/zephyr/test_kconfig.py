import pytest

from keyswitch.zephyr.kconfig import read_kconfig

TEXT = """
# a comment
CONFIG_A=y
# CONFIG_B is not set
CONFIG_C=0x20
CONFIG_D="with \\"quotes\\" and = sign"
CONFIG_E=y
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


def test_sysbuilds_own_symbols(tmp_path):
    path = tmp_path / ".config"
    path.write_text("SB_CONFIG_BOOTLOADER_MCUBOOT=y\n# SB_CONFIG_NETCORE is not set\n")
    config = read_kconfig(path)
    assert config.prefix == "SB_CONFIG_"
    assert config.on("BOOTLOADER_MCUBOOT")
    lines = [config.line(name) for name in ("BOOTLOADER_MCUBOOT", "NETCORE")]
    assert lines == ["SB_CONFIG_BOOTLOADER_MCUBOOT=y", "# SB_CONFIG_NETCORE is not set"]
