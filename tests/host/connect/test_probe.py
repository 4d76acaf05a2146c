from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import SMP_SERVICE, DatagramLink, PeerAir, PeerGattLink, SmpPeer

from keyswitch.app.status import look
from keyswitch.errors import LinkLostError, RemoteError
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.packet_endpoint import PacketEndpoint
from keyswitch.host.connect.probe import probe_gate
from keyswitch.host.connect.verdict import NEXT_STEP, Gate, Verdict
from keyswitch.host.update.job import Job, JobImage, Outcome
from keyswitch.host.update.run import update
from keyswitch.link.air.clock import run
from keyswitch.link.ports import GattRefused, PairingError, PairingFailure
from keyswitch.reasons import Reason

OLD, NEW = make_image("1.0.0"), make_image("1.1.0")


def judged(peer: SmpPeer) -> Verdict:
    return run(look(BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7"))).verdict


def refuses(group: int, command: int, said: dict[str, Any]) -> Any:
    return lambda _op, g, c, _body: said if (g, c) == (group, command) else None


def test_in_maintenance_it_is_open():
    peer = SmpPeer(OLD)
    peer.mode = "maintenance"
    told = judged(peer)
    assert (told.gate, told.reason, told.mode, told.image_group) == (Gate.OPEN, None, "maintenance", True)
    assert told.line == "open"
    assert told.slots is not None
    assert "1/1/2" not in peer.log


def test_in_normal_mode_it_is_shut_and_says_what_to_do():
    told = judged(SmpPeer(OLD))
    assert (told.gate, told.reason, told.detail, told.mode) == (Gate.SHUT, Reason.WRONG_MODE, "normal", "normal")
    assert told.next_step == NEXT_STEP[Reason.WRONG_MODE]
    assert told.line == "shut (wrong mode: normal)"


@pytest.mark.parametrize("reason", [Reason.GUARD, Reason.LOCKED_OUT, Reason.OWNER, Reason.SECURITY])
def test_the_devices_own_reason_is_told(reason: Reason):
    peer = SmpPeer(OLD)
    peer.veto = refuses(
        19283, 0, {"mode": "normal", "gate": False, "boot_id": b"12345678", "reason": f"{reason.value}: which one"}
    )
    told = judged(peer)
    assert (told.gate, told.reason, told.detail) == (Gate.SHUT, reason, "which one")


@pytest.mark.parametrize(
    ("group", "command", "said", "mode"),
    [
        (19283, 0, {"mode": 5, "gate": True}, None),
        (1, 0, {"images": 5}, "maintenance"),
        (1, 0, {"images": [{"slot": "x"}]}, "maintenance"),
    ],
)
def test_a_device_that_breaks_the_protocol_is_unknown(group: int, command: int, said: dict[str, Any], mode: str | None):
    peer = SmpPeer(OLD)
    peer.mode = "maintenance"
    peer.veto = refuses(group, command, said)
    told = judged(peer)
    assert (told.gate, told.reason, told.mode) == (Gate.UNKNOWN, None, mode)
    assert told.next_step == "tell the device's maker that it breaks the protocol"


def test_a_devices_words_do_nothing_to_a_terminal():
    peer = SmpPeer(OLD)
    peer.veto = refuses(19283, 0, {"mode": "\x1b[31mx\nfoo", "gate": False, "reason": "guard: \x1b[2J\u202ex\r"})
    told = judged(peer)
    assert (told.mode, told.reason, told.detail) == ("\\x1b[31mx\\nfoo", Reason.GUARD, "\\x1b[2J\\u202ex\\r")
    assert told.line.isprintable()


def test_without_any_service():
    told = judged(SmpPeer(OLD, mode_group=False))
    assert (told.gate, told.reason, told.mode, told.image_group) == (Gate.SHUT, Reason.NO_SERVICE, None, None)


@pytest.mark.parametrize(
    ("said", "gate", "reason", "image_group"),
    [
        ({"rc": 8}, Gate.SHUT, Reason.NO_IMAGE_GROUP, False),
        ({"rc": 11}, Gate.SHUT, Reason.VETO, None),
        ({"rc": 11, "rsn": "guard: motion"}, Gate.SHUT, Reason.GUARD, None),
        ({"rc": 10}, Gate.SHUT, Reason.BUSY, None),
        ({"err": {"group": 1000, "rc": 3}}, Gate.SHUT, Reason.VETO, None),
        ({"rc": 300}, Gate.UNKNOWN, None, None),
        ({"rc": 1}, Gate.UNKNOWN, None, None),
    ],
)
def test_devices_without_a_mode_group(said: dict[str, Any], gate: Gate, reason: Reason | None, image_group: object):
    peer = SmpPeer(OLD, gated=False, mode_group=False)
    peer.veto = refuses(1, 0, said)
    told = judged(peer)
    assert (told.gate, told.reason, told.image_group) == (gate, reason, image_group)


@pytest.mark.parametrize(
    ("said", "gate", "reason"),
    [
        (None, Gate.OPEN, None),
        ({"off": 0}, Gate.OPEN, None),
        ({"rc": 11}, Gate.SHUT, Reason.VETO),
        ({"err": {"group": 1, "rc": 25}, "off": 5}, Gate.SHUT, Reason.VETO),
        ({"rc": 3}, Gate.UNKNOWN, None),
    ],
)
def test_a_veto_before_the_offset_check_is_found_without_writing(
    said: dict[str, Any] | None, gate: Gate, reason: Reason | None
):
    peer = SmpPeer(OLD, gated=False, mode_group=False)
    peer.do_1_5_2({}, 0)
    before = [slot.data for slot in peer.slots]
    peer.veto = refuses(1, 1, said) if said else None
    told = judged(peer)
    assert (told.gate, told.reason) == (gate, reason)
    assert [slot.data for slot in peer.slots] == before
    assert peer.session is None
    assert peer.received_image_bytes == 0


class HookedPeer(SmpPeer):
    """As Zephyr with a hook for chunks: a wrong offset is answered before the hook is asked, which refuses."""

    def do_1_1_2(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        wanted = len(self.session.data) if self.session else 0
        return {"off": wanted} if body["off"] != wanted else {"rc": 11}


def test_a_veto_behind_the_offset_check_is_found_by_the_upload_alone_and_the_verdict_says_so():
    peer = HookedPeer(OLD, gated=False, mode_group=False)
    told = judged(peer)
    assert told.line == "open (by a probe alone: a hook for uploads may still refuse)"
    job = Job(images=(JobImage(data=NEW.data, hash=NEW.hash, version="1.1.0"),))
    result = run(update(BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7"), job))
    assert result.outcome is Outcome.REFUSED, result
    assert peer.slots[1].data == b""


def test_a_silent_device_gets_a_diagnosis():
    peer = SmpPeer(OLD, gated=False, mode_group=False)
    peer.silent = True
    told = judged(peer)
    assert (told.gate, told.reason) == (Gate.UNKNOWN, Reason.SILENCE)
    assert told.detail == "no answer to image.state within 2500 ms, though the subscription is in order"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (GattRefused("insufficient authentication", 0x05), Reason.SECURITY),
        (GattRefused("insufficient encryption", 0x0F), Reason.SECURITY),
        (GattRefused("invalid handle", 0x01), Reason.SILENCE),
        (RemoteError("no such characteristic"), Reason.SILENCE),
    ],
)
def test_a_request_that_must_be_answered_says_why_it_was_silent(error: RemoteError, reason: Reason):
    async def story() -> Verdict:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        connection = await BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7").connect()
        peer.silent = True

        async def refused() -> None:
            raise error

        connection.heal = refused
        return await probe_gate(connection)

    told = run(story())
    assert (told.gate, told.reason, told.detail) == (Gate.SHUT, reason, str(error))


def not_authorized(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on devices refuse the subscription to their SMP service, as Zephyr's authorization callback can."""
    subscribe = PeerGattLink.subscribe

    async def refuse(self: PeerGattLink, service: str, characteristic: str, sink: Any) -> None:
        if service == SMP_SERVICE:
            raise GattRefused("ATT error 0x08", 0x08)
        await subscribe(self, service, characteristic, sink)

    monkeypatch.setattr(PeerGattLink, "subscribe", refuse)


@pytest.mark.parametrize("mode", ["normal", "maintenance", None])
def test_a_refused_authorization_is_told_and_proves_no_gate(mode: str | None, monkeypatch: pytest.MonkeyPatch):
    """A device that says of its gate that it is shut is believed; else the refusal is all that there is."""
    not_authorized(monkeypatch)
    peer = SmpPeer(OLD, service="always", gated=mode is not None, mode_group=mode is not None)
    peer.mode = mode or "normal"
    told = judged(peer)
    assert told.gate is Gate.SHUT
    if mode == "normal":
        assert told.line == "shut (wrong mode: normal)"
    else:
        assert told.line == "shut (upload vetoed: ATT error 0x08; nothing else says that a gate refuses)"
        assert told.next_step == NEXT_STEP[Reason.VETO]


def test_a_silent_device_that_refuses_the_subscription_too_says_so():
    async def story() -> Verdict:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        connection = await BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7").connect()
        peer.silent = True

        async def refused() -> None:
            raise GattRefused("ATT error 0x08", 0x08)

        connection.heal = refused
        return await probe_gate(connection)

    told = run(story())
    assert (told.gate, told.reason) == (Gate.SHUT, Reason.VETO)


@pytest.mark.parametrize(
    ("method", "error", "gate", "reason"),
    [
        ("pair", PairingError(PairingFailure.OTHER, "confirm value failed"), Gate.SHUT, Reason.SECURITY),
        ("subscribe", GattRefused("insufficient encryption", 0x0F), Gate.SHUT, Reason.SECURITY),
        ("subscribe", GattRefused("invalid handle", 0x01), Gate.UNKNOWN, None),
        ("read", RemoteError("another version of the state"), Gate.UNKNOWN, None),
    ],
)
def test_a_connection_that_does_not_get_ready_has_a_verdict_too(
    method: str, error: RemoteError, gate: Gate, reason: Reason | None, monkeypatch: pytest.MonkeyPatch
):
    async def fail(_self: PeerGattLink, *_arguments: object) -> None:
        raise error

    monkeypatch.setattr(PeerGattLink, method, fail)
    peer = SmpPeer(OLD)
    told = run(look(BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7", pair=True))).verdict
    assert (told.gate, told.reason, told.detail) == (gate, reason, str(error))
    assert ("passkey" in told.next_step) == (method == "pair")
    assert told.next_step
    assert not peer.links


def test_over_a_socket_a_silent_device_is_not_reached():
    async def story() -> None:
        peer = SmpPeer(OLD)
        peer.silent = True

        async def open_link() -> DatagramLink:
            return DatagramLink(peer)

        with pytest.raises(LinkLostError, match=r"udp:192\.0\.2\.1: nobody answered within 10000 ms"):
            await look(PacketEndpoint("udp:192.0.2.1", open_link))

    run(story())


@pytest.mark.parametrize("mode", ["normal", "maintenance"])
def test_looking_changes_nothing(mode: str):
    peer = SmpPeer(OLD, service="always")
    peer.mode = mode
    before = ([slot.data for slot in peer.slots], peer.mode, peer.boots, peer.session)
    judged(peer)
    assert ([slot.data for slot in peer.slots], peer.mode, peer.boots, peer.session) == before


@pytest.mark.parametrize(("refusals", "mode", "asked"), [(1, "maintenance", 2), (2, None, 2), (0, "maintenance", 1)])
def test_a_question_that_was_refused_as_the_mode_changed_is_asked_again(refusals: int, mode: str | None, asked: int):
    """What waits while the mode changes is refused unexecuted: that is no word about whether there is a mode group."""
    peer, reads = SmpPeer(OLD), list[int]()
    peer.mode = "maintenance"

    def veto(op: int, group: int, command: int, _body: dict[str, Any]) -> dict[str, Any] | None:
        if (op, group, command) != (0, 19283, 0):
            return None
        reads.append(1)
        return {"rc": 11, "rsn": "wrong mode: active"} if len(reads) <= refusals else None

    peer.veto = veto
    assert judged(peer).mode == mode
    assert len(reads) == asked


def test_a_device_without_a_mode_group_is_asked_once():
    async def story() -> None:
        asked: list[bytes] = []

        class Heard(DatagramLink):
            async def send(self, packet: bytes) -> None:
                asked.append(packet[4:6])
                await super().send(packet)

        async def open_link() -> DatagramLink:
            return Heard(SmpPeer(OLD, mode_group=False))

        await look(PacketEndpoint("udp:192.0.2.1", open_link))
        assert asked.count(b"\x4b\x53") == 1

    run(story())
