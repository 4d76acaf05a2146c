"""The plugin as another project uses it: a project of its own, run by a pytest of its own."""

import pytest

pytest_plugins = ["pytester"]

PROJECT = """
import asyncio
import pytest
from keyswitch.host.client import Client
from keyswitch.host.reply import Answer, Refusal
from keyswitch.link.udp import UdpLink

def test_a_device_in_one_line(keyswitch_device):
    assert keyswitch_device.status()["mode"] == "normal"
    keyswitch_device.set(motion=True)
    assert keyswitch_device.status()["mode"] == "active"

@pytest.mark.keyswitch(udp=True)
def test_my_client_is_refused_and_told_why(keyswitch_device):
    async def ask(group, command):
        host, port = keyswitch_device.udp.rsplit(":", 1)
        link = await UdpLink.open(host, int(port))
        reply = await Client(link).write(group, command, {"off": 0})
        await link.close()
        return reply

    refused = asyncio.run(ask(1, 1))
    assert isinstance(refused, Refusal) and "wrong mode: normal" in str(refused)
    keyswitch_device.press(hold_s=5)
    assert keyswitch_device.status()["gate"] == "open"
    keyswitch_device.advance(901)
    assert keyswitch_device.status()["gate"] == "shut"
"""


def test_another_project_gets_a_device(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PROJECT)
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
