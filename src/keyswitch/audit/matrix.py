"""The gate matrix: every attempt in every mode over every way, and proof of whether it had an effect.

One snapshot in maintenance, all attempts of one mode in a batch, one snapshot after. If the two differ, those that
only were refused are tried again without the others, and halved until each effect has its attempt.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from keyswitch.audit.bench import BOOT, SLOTS, Bench, Snapshot, would_decide
from keyswitch.audit.catalogue import Check, Matrix, Situation
from keyswitch.audit.story import PIECE
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.verdict import Part, Verdict
from keyswitch.audit.wire import Attempt, Outcome, Told, Visit, key_name
from keyswitch.errors import LinkLostError, RemoteError, SilenceError
from keyswitch.host.smp.queries import read_slots
from keyswitch.host.smp.reply import Refusal
from keyswitch.policy.model import Mode
from keyswitch.smp.commands import ALL_KEYS, resolve
from keyswitch.smp.groups.mode import POLICY_SIZE
from keyswitch.terms import Transport

_RESET: Final = resolve("os.reset")


@dataclass(frozen=True, slots=True)
class Place:
    """One attempt in one mode over one way.

    Attributes:
        attempt: what is tried.
        mode: name of the mode.
        transport: the way.
        control: over the mode service.
    """

    attempt: Attempt
    mode: str
    transport: Transport
    control: bool

    @property
    def way(self) -> str:
        """The way in words."""
        return f"{self.transport.value}, mode service" if self.control else self.transport.value


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it.

    Attributes:
        place: what was tried where.
        outcome: its answer.
        effects: what it changed.
        shared: what it and others of its check changed together, where that cannot be told apart.
    """

    place: Place
    outcome: Outcome
    effects: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of attempts that were made together.

    Attributes:
        tried: each of them.
        changes: what was different afterwards.
        before: the snapshot before.
    """

    tried: tuple[Tried, ...]
    changes: tuple[str, ...]
    before: Snapshot


class MatrixRun:
    """All matrix checks on one device.

    Args:
        bench: the device.
        checks: those that are wanted.
        progress: told what is being done.
    """

    def __init__(self, bench: Bench, checks: Sequence[Check], progress: Callable[[str], None]) -> None:
        self._bench = bench
        self._checks = {check.id: check for check in checks if isinstance(check.act, Matrix)}
        self._progress = progress
        self._strict = False

    async def run(self) -> dict[str, list[Part]]:
        """The parts of each check."""
        parts: dict[str, list[Part]] = {check: [] for check in self._checks}
        if not parts:
            return parts
        for mode in self._bench.target.policy.modes.values():
            self._progress(f"mode {mode.name}")
            try:
                found = await self._mode(mode)
            except (NotReachedError, LinkLostError, SilenceError, RemoteError) as error:
                await self._bench.hang_up()
                found = {
                    check: [
                        Part(verdict=Verdict.INCONCLUSIVE, what=f"mode {mode.name}", why=str(error), mode=mode.name)
                    ]
                    for check in parts
                }
            for check, more in found.items():
                parts[check] += _hidden(mode, more)
        return parts

    # --- one mode ---

    async def _mode(self, mode: Mode) -> dict[str, list[Part]]:
        places, situation = await self._places(mode)
        found: dict[str, list[Part]] = defaultdict(list)
        for check, part in self._without(mode, situation):
            found[check].append(part)
        if not places:
            return found
        batch = await self._batch(mode, places)
        tried = list(batch.tried)
        quiet = [each.place for each in tried if not self._is_fail(each)]
        if batch.changes:
            effects = await self._bisect(mode, quiet, batch.changes if len(quiet) == len(places) else None)
            tried = [replace(each, effects=effects.get(each.place, ())) for each in tried]
        confirmed = await self._confirm(mode, [each for each in tried if self._is_fail(each)])
        for each in tried:
            again = confirmed.get(each.place)
            found[each.place.attempt.check].append(self._part(each, again, batch.before))
        return found

    def _without(self, mode: Mode, situation: Situation) -> Iterator[tuple[str, Part]]:
        """What checks of this mode cannot try, because something is not there: that says nothing of the device."""
        for check in self._checks.values():
            if isinstance(check.act, Matrix) and check.commands - mode.allow:
                for words, needed in check.act.lacks(situation).items():
                    what, why = f"{words} in mode {mode.name}", f"not tried; to decide: {needed}"
                    yield check.id, Part(verdict=Verdict.INCONCLUSIVE, what=what, why=why, mode=mode.name)

    async def _places(self, mode: Mode) -> tuple[list[Place], Situation]:
        """What is to be tried in a mode; resets come last, since what follows them would meet another mode."""
        visit = await self._bench.prepare()
        state = await self._bench.state()
        self._strict = state is not None and state.policy == self._bench.target.policy.digest[:POLICY_SIZE]
        situation = await self._situation(visit, await self._bench.snapshot(visit))
        places: list[Place] = []
        for check in self._checks.values():
            assert isinstance(check.act, Matrix)  # noqa: S101 - only those were kept
            control = check.act.control_only
            attempts = [each for each in check.act.attempts(situation) if control or each.key not in mode.allow]
            for transport in self._bench.target.ways:
                if not control or transport is Transport.BLE:
                    places += [Place(each, mode.name, transport, control) for each in attempts]
        return sorted(places, key=lambda place: place.attempt.key in _RESET), situation

    async def _situation(self, visit: Visit, before: Snapshot) -> Situation:
        target = self._bench.target
        found = await read_slots(visit.smp) if visit.smp is not None else ()
        slots = () if isinstance(found, Refusal) else found
        return Situation(
            other_hash=next((slot.hash for slot in slots if not slot.active), b""),
            chunk=target.next.data[:PIECE] if target.next is not None else b"",
            size=len(target.next.data) if target.next is not None else 0,
            shows=frozenset(key for key in ALL_KEYS if before.decides(key)),
        )

    # --- batches ---

    async def _batch(self, mode: Mode, places: Sequence[Place]) -> Batch:
        bench = self._bench
        before = await bench.snapshot(await bench.prepare())
        if not mode.maintenance:
            await bench.go(mode.name)
        tried: list[Tried] = []
        visits: dict[Transport, Visit] = {}
        for place in places:
            tried.append(Tried(place, await self._try(place, visits)))
            if _is_loud(tried[-1].outcome) and place.attempt.key in _RESET:
                await self._after_reset(mode, visits)
        await bench.settle()
        if (
            not mode.maintenance
            and await bench.mode() != mode.name
            and not any(_is_loud(each.outcome) for each in tried)
        ):
            await bench.hang_up()
            raise NotReachedError(f"the device did not stay in mode {mode.name} while it was tried")
        if not mode.maintenance:
            await bench.hang_up()
        after = await bench.snapshot()
        return Batch(tuple(tried), before.changes(after), before)

    async def _try(self, place: Place, visits: dict[Transport, Visit]) -> Outcome:
        """One attempt, over a connection that is up."""
        visit = visits.get(place.transport)
        try:
            if visit is None or visit.closed:
                visit = visits[place.transport] = await self._visit(place)
        except (LinkLostError, SilenceError) as error:
            return Outcome(told=Told.LOST, words=f"not reached: {error}")
        self._bench.costs.attempts += 1
        return await visit.try_out(place.attempt, control=place.control)

    async def _visit(self, place: Place) -> Visit:
        """A connection for attempts; in maintenance the session's own, where it is of the same way."""
        if place.mode == self._bench.maintenance and place.transport is self._bench.main:
            return await self._bench.enter()
        return await self._bench.visit(place.transport)

    async def _after_reset(self, mode: Mode, visits: dict[Transport, Visit]) -> None:
        """A reset was let through: wait for it, and bring the device back where the next attempts are to be made."""
        self._bench.costs.resets += 1
        self._bench.forget_mode()
        await self._bench.settle()
        await self._bench.hang_up()
        visits.clear()
        with suppress(NotReachedError, LinkLostError):
            await self._bench.go(mode.name)

    async def _bisect(
        self, mode: Mode, places: Sequence[Place], changes: tuple[str, ...] | None
    ) -> dict[Place, tuple[str, ...]]:
        """Which of these attempts had which effect, though none was answered as if it had.

        Args:
            mode: where they were made.
            places: the attempts.
            changes: what they are known to have changed; None: not known yet.
        """
        if not places:
            return {}
        if changes is None:
            changes = (await self._batch(mode, places)).changes
        if not changes:
            return {}
        if len(places) == 1:
            return {places[0]: changes}
        self._progress(f"mode {mode.name}: looking which of {len(places)} attempts had an effect")
        half = len(places) // 2
        found = await self._bisect(mode, places[:half], None) | await self._bisect(mode, places[half:], None)
        # Together they did something that neither half does: each of them is named.
        return found or dict.fromkeys(places, changes)

    async def _confirm(self, mode: Mode, failed: Sequence[Tried]) -> dict[Place, Tried]:
        """Each check that failed, tried again alone: what its attempts did then."""
        again: dict[Place, Tried] = {}
        for check in dict.fromkeys(each.place.attempt.check for each in failed):
            self._progress(f"mode {mode.name}: {check} again, alone")
            of_check = [each for each in failed if each.place.attempt.check == check]
            for batch_of in _by_reset(of_check):
                try:
                    batch = await self._batch(mode, [each.place for each in batch_of])
                except (NotReachedError, LinkLostError, SilenceError, RemoteError):
                    await self._bench.hang_up()
                    continue
                for first, each in zip(batch_of, batch.tried, strict=True):
                    own = batch.changes if len(batch_of) == 1 or first.effects else ()
                    again[each.place] = replace(each, effects=own, shared=() if own else batch.changes)
        return again

    # --- verdicts ---

    def _is_fail(self, tried: Tried) -> bool:
        handled = tried.outcome.told is Told.HANDLED and self._strict
        return bool(tried.effects) or tried.outcome.told is Told.SERVED or handled

    def _part(self, tried: Tried, again: Tried | None, before: Snapshot) -> Part:
        verdict, why = self._verdict(tried, before)
        effects = tried.effects
        if verdict is Verdict.FAIL:
            if again is None or not self._is_fail(again):
                verdict, why = Verdict.UNCONFIRMED, f"once: {why}; not so when it was tried again alone"
            else:
                effects = effects or again.effects or again.shared
                after = "after the attempts of this check together" if again.shared else "then"
                why = f"{why}; {after}: {', '.join(effects)}" if effects else why
        place = tried.place
        return Part(
            verdict=verdict,
            what=f"{place.attempt.words} in mode {place.mode} over {place.way}",
            why=why,
            mode=place.mode,
            way=place.way,
            command=key_name(place.attempt.key),
            effects=effects,
            exchange=tried.outcome.exchange,
        )

    def _verdict(self, tried: Tried, before: Snapshot) -> tuple[Verdict, str]:
        outcome = tried.outcome
        if tried.effects:
            return Verdict.FAIL, f"{outcome.words}, and yet it had an effect"
        match outcome.told:
            case Told.SERVED:
                return Verdict.FAIL, f"the device says that it did it ({outcome.words})"
            case Told.HANDLED if self._strict:
                return Verdict.FAIL, f"the command itself answered, so that nothing had stopped it ({outcome.words})"
            case Told.HANDLED:
                return (
                    Verdict.INCONCLUSIVE,
                    f"{outcome.words}: the gate's word or the command's own cannot be told apart",
                )
            case Told.NO_WAY:
                return Verdict.NOT_APPLICABLE, outcome.words
            case Told.LOST:
                return Verdict.INCONCLUSIVE, f"{outcome.words}: whether it arrived is not known; try again"
            case Told.SILENT if not outcome.delivered:
                return (
                    Verdict.INCONCLUSIVE,
                    f"{outcome.words}: a lost packet looks the same; try again, or over another way",
                )
            case Told.SILENT | Told.REFUSED:
                return self._of_no_effect(tried.place.attempt, outcome, before)

    def _of_no_effect(self, attempt: Attempt, outcome: Outcome, before: Snapshot) -> tuple[Verdict, str]:
        """Nothing was different afterwards: proof, if a difference would have been seen."""
        known = attempt.key in ALL_KEYS
        if attempt.answer_only and outcome.told is Told.REFUSED:
            return Verdict.PASS, f"{outcome.words}: it gave nothing"
        if before.decides(attempt.key) if known else _shows_firmware(before):
            return Verdict.PASS, f"{outcome.words}, and nothing was different afterwards"
        needed = would_decide(attempt.key)
        return Verdict.INCONCLUSIVE, f"{outcome.words}, and an effect could not have been seen; to decide: {needed}"


def _hidden(mode: Mode, parts: list[Part]) -> list[Part]:
    """The same parts; where none of a mode could be tried, because no service was shown, that is no verdict."""
    if not parts or any(part.verdict is not Verdict.NOT_APPLICABLE for part in parts):
        return parts
    needed = "another way (--also), or a client that has kept the handles"
    why = f"no way to try it: {parts[0].why}, and hiding is no gate; to decide: {needed}"
    told = Part(verdict=Verdict.INCONCLUSIVE, what=f"mode {mode.name}", why=why, mode=mode.name)
    return [*parts, told]


def _shows_firmware(snapshot: Snapshot) -> bool:
    """Whether a change of firmware, or a reset, would show."""
    return BOOT in snapshot.values and sum(name.startswith(SLOTS) for name in snapshot.values) > 1


def _is_loud(outcome: Outcome) -> bool:
    """Whether the answer itself says that something was let through."""
    return outcome.told in {Told.SERVED, Told.HANDLED}


def _by_reset(tried: Sequence[Tried]) -> list[list[Tried]]:
    """Each reset on its own: what follows one meets another mode."""
    others = [each for each in tried if each.place.attempt.key not in _RESET]
    resets = [[each] for each in tried if each.place.attempt.key in _RESET]
    return [others, *resets] if others else resets
