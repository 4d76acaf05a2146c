"""Services that a system kept from before: recognised by what the device says, with the cure for each system."""

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import MODE_SERVICE, SMP_SERVICE, PeerAir, PeerGattLink, SmpPeer
from tests.host.update.test_run import job

from keyswitch.app.status import Looked, look
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.verdict import Gate
from keyswitch.host.update.job import Outcome
from keyswitch.host.update.run import update
from keyswitch.link.air.clock import run
from keyswitch.link.ports import GattRefused
from keyswitch.reasons import Reason

ADDRESS = "C0:00:00:00:00:01"


class KeptAir(PeerAir):
    """The system shows the services that it kept: without the SMP service, or with one whose handles lead nowhere."""

    kept: frozenset[str] = frozenset({MODE_SERVICE})
    code: int | None = None
    ours = False

    async def connect(self, address: str, timeout_ms: int) -> PeerGattLink:
        link = await super().connect(address, timeout_ms)
        link.services = self.kept
        link.can_rediscover = self.ours
        subscribe, code = link.subscribe, self.code

        async def refused(service: str, characteristic: str, sink: object) -> None:
            if service == SMP_SERVICE:
                raise GattRefused(f"ATT error {code:#04x}", code)
            await subscribe(service, characteristic, sink)

        if code is not None:
            link.subscribe = refused
        return link


def looked(air: PeerAir) -> Looked:
    return run(look(BleEndpoint(air, target="ble:it", address=ADDRESS)))


def air(mode: str = "maintenance") -> KeptAir:
    peer = SmpPeer(make_image())
    peer.mode = mode
    return KeptAir(peer)


@pytest.mark.parametrize(
    ("system", "step"),
    [
        ("linux", f"bluetoothctl remove {ADDRESS}, which makes BlueZ forget"),
        ("darwin", "switch Bluetooth off and on"),
        ("win32", "remove the device in the system's"),
        ("plan9", "make the system forget the device"),
    ],
)
def test_a_device_that_is_open_and_whose_service_is_not_shown(system: str, step: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.platform", system)
    verdict = looked(air()).verdict
    assert (verdict.gate, verdict.reason, verdict.mode) == (Gate.UNKNOWN, None, "maintenance")
    assert verdict.detail.endswith("this computer's list of them is old")
    assert verdict.next_step.startswith(f"run the same command again; if it stays so: {step}")


@pytest.mark.parametrize(("code", "stale"), [(0x01, True), (0x0A, True), (0x12, True), (0x03, False), (0x05, False)])
def test_handles_that_lead_nowhere(code: int, *, stale: bool):
    kept = air()
    kept.kept, kept.code = frozenset({MODE_SERVICE, SMP_SERVICE}), code
    verdict = looked(kept).verdict
    assert ("this computer's list of the device's services is old" in verdict.detail) is stale
    assert (verdict.gate is Gate.UNKNOWN) is stale


def test_a_radio_of_ours_keeps_nothing_that_could_be_forgotten():
    kept = air()
    kept.ours = True
    assert "not its Database Hash" in looked(kept).verdict.next_step


def test_a_device_that_is_shut_shows_no_service_and_nothing_is_stale():
    verdict = looked(air("normal")).verdict
    assert (verdict.gate, verdict.reason) == (Gate.SHUT, Reason.WRONG_MODE)
    assert "old" not in verdict.detail


def test_an_update_says_the_same(monkeypatch: pytest.MonkeyPatch):
    """The device has entered, and the system goes on showing the services of before."""
    monkeypatch.setattr("sys.platform", "linux")

    async def story() -> None:
        kept = air("normal")
        result = await update(BleEndpoint(kept, target="ble:it", address=ADDRESS), job())
        assert result.outcome is Outcome.UNREACHABLE, result
        assert "list of them is old" in result.detail
        assert f"bluetoothctl remove {ADDRESS}, which makes BlueZ forget" in result.next_step, result
        assert kept.peers[0].mode == "normal", "it was left again: the mode service is all that it takes"

    run(story())
