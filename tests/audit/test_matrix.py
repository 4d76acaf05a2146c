"""What the matrix makes of devices that lie, are silent, lose packets, or show too little."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.audit.audits import OWNED, PUMP, WIDE, audit, blind, over, verdicts

from keyswitch.audit.checks import BY_ID, CHECKS
from keyswitch.audit.run import Audited, Auditor, Permitted
from keyswitch.audit.target import NobodyThere
from keyswitch.audit.verdict import Verdict
from keyswitch.cli.audit_controls import LIMIT_S, target_in_process
from keyswitch.device.server.components import Components
from keyswitch.gate.peer import Peer, Service
from keyswitch.link.air import clock
from keyswitch.smp import cbor
from keyswitch.smp.groups import image, mode
from keyswitch.smp.header import HEADER_SIZE, Header
from keyswitch.terms import Transport
from keyswitch.testing.holes.device import DeviceInProcess
from keyswitch.testing.holes.hole import unless
from keyswitch.testing.holes.table import HOLES

BLE, UDP = over(WIDE, Transport.BLE), over(WIDE, Transport.UDP)
GATE = tuple(check.id for check in CHECKS if check.id < "KS-114")


def hole(check: str) -> Components:
    return next(hole.parts() for hole in HOLES if hole.check == check)


def answering(change: Callable[[Header, bytes], bytes | None]) -> Callable[[DeviceInProcess], None]:
    """A device whose answers are changed on their way; None: they do not arrive."""

    def at(device: DeviceInProcess) -> None:
        for wire in device.wires.values():
            send = wire.send

            async def changed(peer_id: int, door: Service, packet: bytes, send=send) -> None:
                other = change(Header.decode(packet), packet)
                if other is not None:
                    await send(peer_id, door, other)

            wire.send = changed

    return at


def answer(header: Header, body: dict[str, object]) -> bytes:
    payload = cbor.dumps(body)
    return replace(header, length=len(payload)).encode() + payload


def refuses_erasing(header: Header, packet: bytes) -> bytes:
    erase = (header.group, header.command) == (image.ID, image.Id.ERASE)
    return answer(header, {"rc": 11, "rsn": "wrong mode: normal"}) if erase else packet


def test_an_effect_behind_a_refusal_is_found_and_its_attempt_named() -> None:
    """It says no, and does it: among a hundred refusals, halving finds the one that was a lie."""
    audited = audit(BLE, GATE, hole("KS-106"), of=blind, at=answering(refuses_erasing))
    assert verdicts(audited)["KS-106"] == "fail"
    (finding, *_) = next(found for found in audited.found if found.check == "KS-106").findings
    assert finding.what.startswith("erase the other slot in mode ")
    assert finding.effects[0].startswith("slot 1: 2.0.0")
    assert "and yet it had an effect" in finding.why
    assert {check for check, verdict in verdicts(audited).items() if verdict == "fail"} == {"KS-106"}


def test_a_refusal_without_words_is_as_good() -> None:
    """Zephyr's hooks cannot send a text."""

    def bare(header: Header, packet: bytes) -> bytes:
        body = cbor.loads_map(packet[HEADER_SIZE:])
        return answer(header, {"rc": body["rc"]}) if "rsn" in body and header.group != mode.ID else packet

    assert set(verdicts(audit(BLE, GATE, at=answering(bare))).values()) == {"pass"}


def silent_for(group: int) -> Callable[[Header, bytes], bytes | None]:
    return lambda header, packet: None if header.group == group and header.command != image.Id.STATE else packet


@pytest.mark.parametrize(("policy", "verdict"), [(BLE, "pass"), (UDP, "inconclusive")])
def test_silence_is_proof_only_where_nothing_can_be_lost(policy, verdict: str) -> None:
    """A question behind the silent request is answered: over a line that keeps its order it did arrive."""

    def no_refusals(header: Header, packet: bytes) -> bytes | None:
        body = cbor.loads_map(packet[HEADER_SIZE:])
        erase = (header.group, header.command) == (image.ID, image.Id.ERASE)
        return None if erase and "rc" in body else packet

    assert verdicts(audit(policy, ["KS-106"], at=answering(no_refusals))) == {"KS-106": verdict}


def test_a_refusal_alone_is_inconclusive_and_says_what_would_decide() -> None:
    narrow = over(PUMP, Transport.UDP)
    audited = audit(narrow, ["KS-106", "KS-110", "KS-111", "KS-112", "KS-113"], of=blind)
    assert verdicts(audited) == {"KS-106": "pass"} | dict.fromkeys(
        ["KS-110", "KS-111", "KS-112", "KS-113"], "inconclusive"
    )
    assert all("to decide: " in found.why for found in audited.found if found.check != "KS-106")
    bare = audit(narrow, ["KS-106"], of=lambda target: replace(target, eye=None, next=None))
    assert "to decide: image.state:read in maintenance, and --next" in bare.found[0].why


def test_what_does_not_come_back_is_unconfirmed() -> None:
    """Open once: the first erase passes."""
    left = [1]

    def once(_peer: Peer, request: Header, _packet: bytes) -> bool:
        erase = (request.group, request.command) == (image.ID, image.Id.ERASE)
        if erase and left:
            left.pop()
            return True
        return False

    (found,) = audit(UDP, ["KS-106"], unless(once)).found
    assert found.verdict is Verdict.UNCONFIRMED
    assert "not so when it was tried again alone" in found.why


def test_lost_packets_make_no_wrong_verdict() -> None:
    """At 5 %: the same verdict as without, or none."""
    for seed, parts, right in ((1, None, "pass"), (2, None, "pass"), (3, hole("KS-106"), "fail")):
        dice = random.Random(seed)
        audited = audit(UDP, ["KS-106", "KS-107"], parts, of=blind, lost=lambda dice=dice: dice.random() < 0.05)
        assert verdicts(audited)["KS-106"] in {right, "inconclusive", *(["unconfirmed"] if right == "fail" else [])}


def test_repeated_audits_say_the_same() -> None:
    checks = ("KS-101", "KS-108", "KS-303", "KS-405")
    first = audit(UDP, checks, hole("KS-303"))
    assert [audit(UDP, checks, hole("KS-303")).found for _ in range(2)] == [first.found] * 2


REPEATED = ("KS-101", "KS-106", "KS-108", "KS-117", "KS-203", "KS-303", "KS-306", "KS-308", "KS-401", "KS-405")


def may_be(right: str) -> set[str]:
    """What a check may say where packets are lost or late: what is so, or that it is not known."""
    return {right, "inconclusive", *(["unconfirmed"] if right == "fail" else [])}


@pytest.mark.parametrize("delay_s", [0.3, 1.0])
def test_a_slow_device_gets_no_wrong_verdict(delay_s: float) -> None:
    """At 0.3 s each way answers come in time; at one second after the auditor has stopped waiting for them."""
    checks = ("KS-101", "KS-106", "KS-303")
    for parts, right in ((None, "pass"), (hole("KS-106"), "fail")):
        found = verdicts(audit(UDP, checks, parts, of=blind, delay_s=delay_s))
        assert found["KS-106"] in may_be(right)
        assert found["KS-101"] in may_be("pass")
        assert found["KS-303"] in may_be("pass")
        assert delay_s > 0.5 or "inconclusive" not in found.values()


@pytest.mark.deep
def test_ten_audits_say_the_same() -> None:
    first = audit(UDP, REPEATED, hole("KS-303"))
    assert [audit(UDP, REPEATED, hole("KS-303")).found for _ in range(9)] == [first.found] * 9


@pytest.mark.deep
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("planted", [None, "KS-101", "KS-106", "KS-303", "KS-306"])
def test_at_five_percent_no_verdict_is_wrong(planted: str | None) -> None:
    right = verdicts(audit(UDP, REPEATED, None if planted is None else hole(planted), of=blind))
    for seed in range(20):
        dice = random.Random(seed)
        parts = None if planted is None else hole(planted)
        found = verdicts(audit(UDP, REPEATED, parts, of=blind, lost=lambda dice=dice: dice.random() < 0.05))
        wrong = {check: verdict for check, verdict in found.items() if verdict not in may_be(right[check])}
        assert wrong == {}, (seed, right)


def test_a_device_that_changes_in_the_middle_is_no_verdict() -> None:
    """Somebody installs another product's firmware, or puts another unit in its place."""

    told: list[Header] = []

    def another_policy(header: Header, packet: bytes) -> bytes:
        if (header.group, header.command) != (mode.ID, mode.Id.STATE):
            return packet
        told.append(header)
        body = cbor.loads_map(packet[HEADER_SIZE:])
        return answer(header, {**body, "policy": bytes(8)}) if len(told) > 12 else packet

    audited = audit(UDP, ["KS-106", "KS-303"], at=answering(another_policy))
    assert set(verdicts(audited).values()) == {"inconclusive"}
    assert "the device has changed in the middle of the audit: " in audited.found[1].why


def test_a_mode_that_nobody_can_reach_is_inconclusive_and_says_who_is_needed() -> None:
    audited = audit(UDP, ["KS-106"], of=lambda target: replace(target, hand=NobodyThere()))
    (found,) = audited.found
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "somebody has to make motion true at the device" in found.why
    assert {part.mode for part in found.parts if part.verdict is Verdict.PASS} == {"normal"}


def test_what_is_not_allowed_is_not_run_and_says_how() -> None:
    audited = audit(UDP, ["KS-106", "KS-108", "KS-113"], permitted=Permitted())
    told = {found.check: found.why for found in audited.found}
    assert "--resets" in told["KS-108"]
    assert "--irreversible" in told["KS-113"]
    assert verdicts(audited) == {"KS-106": "pass", "KS-108": "inconclusive", "KS-113": "inconclusive"}
    assert Permitted(irreversible=True, resets=True).forbids(BY_ID["KS-113"]) is None


def test_a_stranger_finds_the_owners_session_shut_in_the_matrix_too() -> None:
    assert verdicts(audit(over(OWNED, Transport.BLE), ["KS-106", "KS-119"])) == {"KS-106": "pass", "KS-119": "pass"}


def test_an_audit_that_is_interrupted_tells_what_it_found_and_puts_back() -> None:
    told: list[Audited] = []

    async def story() -> None:
        async with DeviceInProcess(UDP) as device:
            auditor = Auditor(
                target_in_process(device),
                [BY_ID["KS-106"], BY_ID["KS-304"], BY_ID["KS-402"]],
                permitted=Permitted(),
                say=lambda _text: None,
                progress=lambda _words, _step, _steps: None,
            )
            told.append(auditor.audited)
            task = asyncio.ensure_future(auditor.run())
            await asyncio.sleep(60)  # in the middle of a lease that is waited for
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert device.runtime.status()["mode"] == "normal"
            assert device.runtime.server.core.settings == {}

    clock.run(story(), limit_s=LIMIT_S)
    (audited,) = told
    assert verdicts(audited) == {"KS-106": "pass", "KS-304": "inconclusive", "KS-402": "inconclusive"}
    assert audited.found[1].why == "not run: the audit ended before (interrupted)"
    assert audited.left_behind == ()


def test_checks_that_only_read_write_nothing() -> None:
    seen: list[tuple[DeviceInProcess, int]] = []
    audited = audit(UDP, ["KS-117"], at=lambda device: seen.append((device, device.flash.wear.sectors_erased)))
    assert verdicts(audited) == {"KS-117": "pass"}
    ((device, erased),) = seen
    assert device.runtime.server.core.settings == {}
    assert device.flash.wear.sectors_erased == erased


def test_an_effect_behind_an_error_of_the_commands_own_group_is_found_too() -> None:
    """On a device that obeys no policy of ours such an error may be the gate's own word: the effect tells."""

    def odd(header: Header, packet: bytes) -> bytes:
        erase = (header.group, header.command) == (image.ID, image.Id.ERASE)
        body = cbor.loads_map(packet[HEADER_SIZE:])
        if header.group == mode.ID and "policy" in body:
            return answer(header, {**body, "policy": bytes(8)})
        return answer(header, {"err": {"group": 1, "rc": 32}}) if erase else packet

    (found,) = audit(UDP, ["KS-106"], hole("KS-106"), of=blind, at=answering(odd)).found
    assert found.verdict is Verdict.FAIL
    assert found.findings[0].effects
    (sound,) = audit(UDP, ["KS-106"], of=blind, at=answering(odd)).found
    assert (sound.verdict, "cannot be told apart" in sound.why) == (Verdict.INCONCLUSIVE, True)
