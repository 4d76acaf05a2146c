"""What the stories of several checks have in common: uploads begun, proofs made and not sent, and how it is told."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from keyswitch.audit.bench import Bench, Snapshot
from keyswitch.audit.catalogue import NEXT
from keyswitch.audit.route import value_for
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.verdict import Part, Verdict
from keyswitch.audit.wire import Attempt, Outcome, Told, Visit, WithheldError, attempt
from keyswitch.host.smp.queries import SlotInfo, read_slots
from keyswitch.host.smp.reply import Refusal
from keyswitch.host.upload.frame_size import capacity_of
from keyswitch.host.upload.uploader import Uploaded, UploadRefused, UploadStalled, upload
from keyswitch.policy.model import OnEnter, Transition
from keyswitch.proof import fields
from keyswitch.reasons import Reason
from keyswitch.smp import cbor
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image, mode, os
from keyswitch.smp.header import HEADER_SIZE, Op

PIECE: Final = 128
"""Bytes of a piece of an image: fits every usual buffer and two lines of a serial console, and holds the header."""

UPLOAD: Final = CommandKey(image.ID, image.Id.UPLOAD, Op.WRITE)
STATE: Final = CommandKey(image.ID, image.Id.STATE, Op.WRITE)
ERASE: Final = CommandKey(image.ID, image.Id.ERASE, Op.WRITE)
RESET: Final = CommandKey(os.ID, os.Id.RESET, Op.WRITE)
LEAVE: Final = CommandKey(mode.ID, mode.Id.LEAVE, Op.WRITE)
ENTER: Final = CommandKey(mode.ID, mode.Id.ENTER, Op.WRITE)

GONE_ON_MS: Final = 500
"""More than any machine needs from a time limit to what follows from it."""


def passed(what: str, why: str) -> Part:
    """It was tried, and nothing happened."""
    return Part(verdict=Verdict.PASS, what=what, why=why)


def failed(what: str, why: str, *, effects: Iterable[str] = (), exchange: Iterable[str] = ()) -> Part:
    """It had an effect."""
    return Part(verdict=Verdict.FAIL, what=what, why=why, effects=tuple(effects), exchange=tuple(exchange))


def undecided(what: str, why: str) -> Part:
    """It was tried, and nothing can be said."""
    return Part(verdict=Verdict.INCONCLUSIVE, what=what, why=why)


def not_for(what: str, why: str) -> Part:
    """This device has nothing of the kind."""
    return Part(verdict=Verdict.NOT_APPLICABLE, what=what, why=why)


def by_effect(what: str, before: Snapshot, after: Snapshot, exchange: Iterable[str] = ()) -> Part:
    """The verdict by what is different now."""
    changes = before.changes(after)
    if changes:
        return failed(what, f"it had an effect: {', '.join(changes)}", effects=changes, exchange=exchange)
    return passed(what, "nothing was different afterwards")


def shut(what: str, outcome: Outcome) -> Part:
    """The verdict on something whose answer is all that it gives outside maintenance: an upload's next piece, say."""
    match outcome.told:
        case Told.SERVED:
            return failed(what, f"the device took it ({outcome.words})", exchange=outcome.exchange)
        case Told.REFUSED | Told.HANDLED:
            return passed(what, outcome.words)
        case Told.NO_WAY:
            return not_for(what, outcome.words)
        case Told.SILENT if outcome.delivered:
            return passed(what, outcome.words)
        case Told.SILENT | Told.LOST:
            return undecided(what, f"{outcome.words}: try again")


def firmware(bench: Bench) -> tuple[bytes, bytes]:
    """The newer image, and its hash.

    Raises:
        NotReachedError: none was given.
    """
    if bench.target.next is None:
        raise NotReachedError(f"this needs {NEXT}")
    return bench.target.next.data, bench.target.next.hash


def piece(check: str, data: bytes, offset: int) -> Attempt:
    """One piece of an upload of `data`."""
    body: dict[str, object] = {"off": offset, "data": data[offset : offset + PIECE]}
    return attempt(check, UPLOAD, f"piece at offset {offset}", body | ({"len": len(data)} if offset == 0 else {}))


async def begin_upload(bench: Bench, check: str) -> Visit:
    """Enter, and send the first piece of the newer image; returns the connection.

    Raises:
        NotReachedError: the device did not take it.
    """
    data, _ = firmware(bench)
    visit = await bench.enter()
    bench.note_upload()
    outcome = await visit.try_out(piece(check, data, 0))
    if outcome.told is not Told.SERVED:
        raise NotReachedError(f"the first piece of --next was not taken in maintenance: {outcome.words}")
    return visit


async def slots(visit: Visit) -> tuple[SlotInfo, ...]:
    """What lies in the slots.

    Raises:
        NotReachedError: the device does not tell.
    """
    found = await read_slots(visit.smp) if visit.smp is not None else ()
    if isinstance(found, Refusal) or not found:
        raise NotReachedError("the device does not list its images in maintenance")
    return found


async def running(visit: Visit) -> bytes:
    """Hash of the image that runs."""
    return next((slot.hash for slot in await slots(visit) if slot.active), b"")


async def mark(bench: Bench, wanted: bytes) -> Visit:
    """Put the newer image into the other slot and mark it for a trial; returns the connection.

    Raises:
        NotReachedError: the device did not do it.
    """
    visit = await bench.enter()
    await bench.fill(visit)
    assert visit.smp is not None  # noqa: S101 - `fill` has worked with it
    reply = await visit.smp.write(image.ID, image.Id.STATE, {"hash": wanted, "confirm": False})
    if isinstance(reply, Refusal):
        raise NotReachedError(f"--next was not marked for a trial in maintenance: {reply}")
    return visit


async def reset_in_maintenance(bench: Bench, visit: Visit) -> Visit:
    """The session's own reset; returns a connection afterwards, in whatever mode the device is then.

    Raises:
        NotReachedError: it was refused.
    """
    assert visit.smp is not None  # noqa: S101 - a connection that works in maintenance
    reply = await visit.smp.write(os.ID, os.Id.RESET)
    if isinstance(reply, Refusal):
        raise NotReachedError(f"a reset was refused in maintenance: {reply}")
    bench.costs.resets += 1
    bench.forget_mode()
    await bench.settle()
    await bench.hang_up()
    return await bench.visit()


async def recover(bench: Bench) -> None:
    """Bring a device to rest that was lost in the middle of a story: no trial runs, and maintenance is left.

    Raises:
        NotReachedError: it could not be brought there.
    """
    visit = await bench.enter()
    found = await read_slots(visit.smp) if visit.smp is not None else ()
    if not isinstance(found, Refusal) and any(slot.active and not slot.confirmed for slot in found):
        await reset_in_maintenance(bench, visit)
    await go_outside(bench)


async def send_back(bench: Bench, old: bytes) -> None:
    """Bring the image back that ran before, where an unconfirmed one runs: by a reset, which reverts it."""
    visit = await bench.enter()
    if await running(visit) != old:
        await reset_in_maintenance(bench, visit)
    await bench.hang_up()


async def never_runs(bench: Bench, what: str, data: bytes, wanted: bytes) -> Part:
    """Upload what must not run, mark it, reset, and look what runs; a trial of it is sent back.

    Args:
        bench: the device.
        what: the file in words.
        data: the file.
        wanted: hash by which the device would list it.

    Raises:
        NotReachedError: the device could not be brought where this is tried.
    """
    visit = await bench.enter()
    assert visit.smp is not None  # noqa: S101 - a connection that works in maintenance
    whole = data == _given(bench, wanted)
    if not whole or not any(slot.hash == wanted and not slot.active for slot in await slots(visit)):
        bench.note_upload(spoiled=not whole)
        end = await upload(visit.smp, data, await capacity_of(visit.smp))
        match end:
            case UploadRefused(refusal=refusal):
                return passed(what, f"not taken: {refusal}")
            case UploadStalled(why=why):
                return undecided(what, f"{why}: try again")
            case Uploaded():
                pass
    old = await running(visit)
    reply = await visit.smp.write(image.ID, image.Id.STATE, {"hash": wanted, "confirm": False})
    if isinstance(reply, Refusal):
        marked = [slot for slot in await slots(visit) if slot.pending]
        if marked:
            return failed(what, "refused, and marked all the same", effects=[f"slot {marked[0].slot} is pending"])
        return passed(what, f"taken, and not marked: {reply}")
    await reset_in_maintenance(bench, visit)
    runs = await running(await bench.enter())
    if runs == old:
        return passed(what, "marked, and not run: the bootloader refused it")
    await send_back(bench, old)
    return failed(what, "it runs", effects=[f"the image that runs is {runs.hex()[:16]}"])


def _given(bench: Bench, wanted: bytes) -> bytes:
    """The file of that hash which was given; empty where none was."""
    given = (bench.target.next, bench.target.good)
    return next((each.data for each in given if each is not None and each.hash == wanted), b"")


async def confirm_next(bench: Bench) -> Visit:
    """Update to the newer image and confirm it, in maintenance; returns the connection.

    Raises:
        NotReachedError: the device did not do it.
    """
    _, wanted = firmware(bench)
    visit = await bench.enter()
    if await running(visit) == wanted:
        return visit
    await reset_in_maintenance(bench, await mark(bench, wanted))
    visit = await bench.enter()
    if await running(visit) != wanted:
        raise NotReachedError("--next does not run after its trial was asked for")
    assert visit.smp is not None  # noqa: S101 - `running` has worked with it
    reply = await visit.smp.write(image.ID, image.Id.STATE, {"hash": wanted, "confirm": True})
    if isinstance(reply, Refusal):
        raise NotReachedError(f"--next was not confirmed in maintenance: {reply}")
    bench.confirmed = True
    return visit


async def install_good(bench: Bench) -> bool:
    """Bring --image back to where --next was confirmed; whether it runs now, confirmed."""
    good = bench.target.good
    if good is None:
        return False
    visit = await bench.enter()
    if await running(visit) != good.hash:
        assert visit.smp is not None  # noqa: S101 - a connection that works in maintenance
        if not any(slot.hash == good.hash for slot in await slots(visit)):
            bench.note_upload()
            await upload(visit.smp, good.data, await capacity_of(visit.smp))
        await visit.smp.write(image.ID, image.Id.STATE, {"hash": good.hash, "confirm": False})
        await reset_in_maintenance(bench, visit)
        visit = await bench.enter()
    if await running(visit) != good.hash:
        return False
    assert visit.smp is not None  # noqa: S101 - a connection that works in maintenance
    reply = await visit.smp.write(image.ID, image.Id.STATE, {"hash": good.hash, "confirm": True})
    return not isinstance(reply, Refusal)


# --- proofs ---


async def proof_not_sent(bench: Bench) -> tuple[Visit, dict[str, Any]]:
    """Ask for a challenge and answer it, but keep the answer: the connection, and the body of the request.

    Raises:
        NotReachedError: maintenance is not entered by a proof over this way.
    """
    if bench.target.strategy is None:
        raise NotReachedError("maintenance is not entered by a proof")
    await bench.hang_up()
    visit = await bench.visit()
    link = visit.link(control=True)
    if link is None:
        raise NotReachedError("the device has no mode group")
    link.withhold = ENTER
    try:
        refused = await bench.target.strategy.enter(visit.connection, bench.say)
    except WithheldError:
        return visit, cbor.loads_map(link.withheld[HEADER_SIZE:])
    finally:
        link.withhold = None
    raise NotReachedError(f"the device gave no challenge: {refused}")


def answers_a_nonce(body: dict[str, Any]) -> bool:
    """Whether this proof is one that is made for a nonce."""
    return bool(body.get(fields.MAC) or body.get(fields.SIGNATURE))


async def send_proof(visit: Visit, check: str, words: str, body: dict[str, Any]) -> Outcome:
    """Send an `enter` with this body, as it is."""
    return await visit.try_out(attempt(check, ENTER, words, body), control=True)


_BEFORE_PROOFS: Final = frozenset({Reason.GUARD, Reason.BUSY, Reason.OWNER, Reason.SECURITY})
"""Refusals that say nothing of the proof: a right one would have got them, too."""


async def proofs_open(bench: Bench) -> None:
    """See that a right proof opens now, and leave again: a wrong one that is refused then was refused for itself.

    Raises:
        NotReachedError: it does not.
    """
    await bench.enter()
    await go_outside(bench)


async def meet_conditions(bench: Bench) -> None:
    """Make every input what entering asks for, as far as somebody is there who can."""
    way = entry(bench)
    for name in dict.fromkeys(guard.input for guard in way.when):
        value = value_for(bench.target.policy, [guard for guard in way.when if guard.input == name])
        if value is not None:
            with suppress(NotReachedError):
                await bench.target.hand.set_input(name, value)


async def not_entered(bench: Bench, what: str, outcome: Outcome) -> Part:
    """The verdict on a proof that must not open: by the mode in which the device is then."""
    await bench.pause(GONE_ON_MS)
    here = await bench.mode()
    if bench.target.policy.modes[here].maintenance:
        return failed(what, f"it opened: the device is in mode {here}", exchange=outcome.exchange)
    if "session" in outcome.gave:
        return failed(what, "it opened: the device gave a session", exchange=outcome.exchange)
    if outcome.reason in _BEFORE_PROOFS:
        return undecided(what, f"{outcome.words}: that comes before any proof; see that the conditions of entry hold")
    if outcome.delivered:
        return passed(what, f"{outcome.words}, and the device stays in mode {here}")
    return undecided(what, f"{outcome.words}: whether it arrived is not known; try again")


async def go_outside(bench: Bench) -> None:
    """Bring the device into its initial mode, with nobody connected."""
    await bench.go(bench.target.policy.device.initial_mode)
    await bench.hang_up()


def entry(bench: Bench) -> Transition:
    """The way by which maintenance is entered by command.

    Raises:
        NotReachedError: there is none.
    """
    for way in bench.target.policy.transitions:
        if isinstance(way.trigger, OnEnter) and way.target == bench.maintenance:
            return way
    raise NotReachedError("maintenance is not entered by a command")


def wrong(body: dict[str, Any]) -> dict[str, Any]:
    """The same proof with one bit changed; a step of a sequence with another number."""
    for name in (fields.MAC, fields.SIGNATURE):
        value = body.get(name)
        if isinstance(value, bytes):
            return {**body, name: bytes([value[0] ^ 1]) + value[1:]}
    return {**body, fields.STEP: 99}


LONG_ENOUGH_MS: Final = 10_000
"""A lock-out in which somebody can take the power away, and a radio can connect again."""


async def lock_out(bench: Bench, check: str) -> int:
    """Send wrong proofs until the device has to wait for a while; how long, in milliseconds.

    Raises:
        NotReachedError: no proof can be made here, or --max-wait does not allow it.
    """
    settings = bench.target.policy.entry.lockout
    if not (settings.first_ms and settings.max_ms):
        raise NotReachedError("the policy has no lock-out")
    waits_ms = [min(settings.first_ms, settings.max_ms)]
    while waits_ms[-1] < min(LONG_ENOUGH_MS, settings.max_ms):
        waits_ms.append(min(2 * waits_ms[-1], settings.max_ms))
    bench.allow_wait(waits_ms[-1] + GONE_ON_MS)
    for number in range(settings.free_tries):
        await _wrong_proof(bench, check, number + 1)
    for number, before_ms in enumerate([0, *waits_ms[:-1]], settings.free_tries + 1):
        if before_ms:
            await bench.sleep(before_ms + GONE_ON_MS)
        await _wrong_proof(bench, check, number)
    return waits_ms[-1]


async def _wrong_proof(bench: Bench, check: str, number: int) -> None:
    visit, body = await proof_not_sent(bench)
    outcome = await send_proof(visit, check, f"wrong proof {number}", wrong(body))
    if not outcome.delivered:
        raise NotReachedError(f"wrong proof {number}: {outcome.words}: whether it was counted is not known; try again")


async def still_locked_out(bench: Bench, words: str, outcome: Outcome, *, began_s: float, waits_ms: int) -> Part:
    """The verdict on a right proof in a lock-out: what came when its time was over says nothing.

    Args:
        bench: the device.
        words: what was tried.
        outcome: of the right proof.
        began_s: when the wait began at the latest, by the event loop's clock.
        waits_ms: how long it lasts.
    """
    took_ms = (asyncio.get_running_loop().time() - began_s) * 1000
    part = await not_entered(bench, words, outcome)
    if part.verdict is Verdict.FAIL and took_ms >= waits_ms:
        return undecided(
            words, f"it was sent {took_ms / 1000:.1f} s after a lock-out of {waits_ms / 1000:g} s had begun"
        )
    return part


async def right_proof_in_lock_out(bench: Bench, check: str, words: str, *, began_s: float, waits_ms: int) -> Part:
    """Send a right proof while the device has to wait, judge it, and wait until proofs are heard again.

    Args:
        bench: the device.
        check: id of the check.
        words: what is tried.
        began_s: when the wait began at the latest, by the event loop's clock.
        waits_ms: how long it lasts.
    """
    visit, body = await proof_not_sent(bench)
    outcome = await send_proof(visit, check, words, body)
    part = await still_locked_out(bench, words, outcome, began_s=began_s, waits_ms=waits_ms)
    await wait_lock_out(bench, waits_ms)
    return part


async def wait_lock_out(bench: Bench, waits_ms: int | None = None) -> None:
    """Wait until proofs are heard again, and give a right one, so that the count begins anew."""
    settings = bench.target.policy.entry.lockout
    await bench.hang_up()
    await bench.sleep(min(settings.max_ms, 4 * settings.first_ms if waits_ms is None else waits_ms) + GONE_ON_MS)
    await bench.enter()
    await go_outside(bench)
