"""How my client behaves with a device that takes updates in maintenance mode only."""

import time
from collections.abc import Iterator

import pytest
from my_client import ACCESS_DENIED, MyClient, RefusedError

FIRMWARE = bytes(range(256)) * 32

pytestmark = pytest.mark.keyswitch(udp=True)


@pytest.fixture
def client(keyswitch_device) -> Iterator[MyClient]:
    made = MyClient(keyswitch_device.udp)
    yield made
    made.close()


def test_outside_maintenance_it_says_why_not(keyswitch_device, client):
    with pytest.raises(RefusedError) as refused:
        client.update(keyswitch_device.sign(FIRMWARE, "1.1.0").read_bytes())
    assert refused.value.code == ACCESS_DENIED
    assert refused.value.reason == "wrong mode: normal"

    keyswitch_device.set(motion=True)
    assert keyswitch_device.status()["mode"] == "active"
    with pytest.raises(RefusedError, match="wrong mode: active"):
        client.images()


def test_in_maintenance_it_updates(keyswitch_device, client):
    keyswitch_device.press(hold_s=5)  # a person at the device
    client.update(keyswitch_device.sign(FIRMWARE, "1.1.0").read_bytes())
    for _ in range(100):  # the device resets, swaps and comes back
        if (keyswitch_device.status()["running"] or {}).get("version") == "1.1.0":
            break
        time.sleep(0.05)
    assert [image["version"] for image in client.images()] == ["1.1.0", "1.0.0"]

    keyswitch_device.advance(1_000)  # nobody confirms it
    assert keyswitch_device.status()["running"]["version"] == "1.0.0"
    assert keyswitch_device.status()["gate"] == "shut"


def test_the_gate_closes_under_its_upload(keyswitch_device, client):
    keyswitch_device.press(hold_s=5)
    ask, asked = client.ask, []

    def interrupted(*request, **named):
        asked.append(request)
        if len(asked) == 4:
            keyswitch_device.advance(901)  # the lease is over
        return ask(*request, **named)

    client.ask = interrupted
    with pytest.raises(RefusedError, match="wrong mode"):
        client.update(keyswitch_device.sign(FIRMWARE, "1.1.0").read_bytes())
    keyswitch_device.power_cycle()
    assert keyswitch_device.status()["running"]["version"] == "1.0.0"
