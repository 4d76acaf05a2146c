"""An audit from its first look to its last: plan, gate matrix, stories, confirmation, putting back."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from keyswitch.audit.bench import Bench, Costs
from keyswitch.audit.catalogue import Check, Impact, Matrix, Story
from keyswitch.audit.matrix import MatrixRun
from keyswitch.audit.story import recover
from keyswitch.audit.target import NotReachedError, Target
from keyswitch.audit.verdict import Found, Part, Verdict, together
from keyswitch.errors import LinkLostError, RemoteError, SilenceError
from keyswitch.host.smp.queries import SlotInfo

MAX_PACKETS: Final = 40
"""Of a story that are kept with its finding: the last ones, which led to it."""
_LEFT_BY: Final = "{check} was broken off, and what it left could not be put right: "
_NOT_ALONE: Final = "not so when it was tried again alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """What the person has allowed beyond what can be put back.

    Attributes:
        irreversible: checks that a device with an open gate does not come back from.
        resets: checks that may reset such a device outside maintenance.
    """

    irreversible: bool = False
    resets: bool = False

    def forbids(self, check: Check) -> str | None:
        """Why a check may not run; None if it may."""
        if check.impact is Impact.IRREVERSIBLE and not self.irreversible:
            return "not run: what an open gate would lose stays lost; allow it with --irreversible"
        if check.resets and not self.resets:
            return "not run: an open gate would reset the device outside maintenance; allow it with --resets"
        return None


@dataclass(slots=True)
class Audited:
    """An audit, as far as it has come.

    Attributes:
        found: by check, in the order of the catalogue.
        costs: of it.
        left_behind: what could not be put back.
        firmware: what ran when the device was first looked at, as its list of images has it; None: it was not seen.
        ended: why it ended before its end; empty if it did not.
    """

    found: list[Found] = field(default_factory=list[Found])
    costs: Costs = field(default_factory=Costs)
    left_behind: tuple[str, ...] = ()
    ended: str = ""
    firmware: SlotInfo | None = None


class Auditor:
    """One audit. `run` may be cancelled at any moment; `audited` holds what was found until then.

    Args:
        target: the device.
        checks: those to run.
        permitted: what they may do.
        say: told what a person should read.
        progress: told the check, its number, and of how many.
    """

    def __init__(
        self,
        target: Target,
        checks: Sequence[Check],
        *,
        permitted: Permitted,
        say: Callable[[str], None],
        progress: Callable[[str, int, int], None],
    ) -> None:
        self.audited = Audited()
        self._bench = Bench(target, say, self.audited.costs)
        self._checks = tuple(checks)
        self._permitted = permitted
        self._progress = progress
        self._unsettled = ""
        """What is said before the reason of a check that cannot be played because of one before; empty: all is well."""

    async def run(self) -> Audited:
        """Carry it out, and put back what was changed."""
        try:
            await self._run()
        except asyncio.CancelledError:
            self.audited.ended = "interrupted"
            raise
        except BaseException as error:
            self.audited.ended = str(error) or type(error).__name__
            raise
        finally:
            self._complete()
            self.audited.firmware = self._bench.firmware
            self.audited.left_behind = ("putting back was broken off: look at the device",)
            self.audited.left_behind = await self._bench.put_back()
        return self.audited

    def end(self, why: str) -> None:
        """Say of a run that was broken off, or never begun, why: whatever was not tried has no verdict."""
        self.audited.ended = self.audited.ended or why
        self._complete()

    def _complete(self) -> None:
        """Each check has its place, the ones that were not reached too, in the order of the catalogue."""
        done = {found.check for found in self.audited.found}
        why = f"not run: the audit ended before ({self.audited.ended})"
        self.audited.found += [_not_run(check, why) for check in self._checks if check.id not in done]
        order = [check.id for check in self._checks]
        self.audited.found.sort(key=lambda found: order.index(found.check))

    async def _run(self) -> None:
        allowed = [check for check in self._checks if self._permitted.forbids(check) is None]
        for check in self._checks:
            if (why := self._permitted.forbids(check)) is not None:
                self.audited.found.append(_not_run(check, why))
        of_matrix = [check for check in allowed if isinstance(check.act, Matrix)]
        stories = [check for check in allowed if isinstance(check.act, Story)]
        steps = len(self._bench.target.policy.modes) * bool(of_matrix) + len(stories)
        step = 0

        def next_step(words: str) -> None:
            nonlocal step
            step = min(step + 1, steps)
            self._progress(words, step, steps)

        self._bench.read_only = all(check.impact is Impact.READ_ONLY for check in allowed)
        parts = await MatrixRun(self._bench, of_matrix, next_step).run()
        self.audited.found += [together(check, of_check) for check, of_check in parts.items()]
        for check in stories:
            next_step(f"{check.id} {check.title}")
            self.audited.found.append(await self._story(check))

    async def _story(self, check: Check) -> Found:
        first = together(check.id, await self._play(check))
        if first.verdict is not Verdict.FAIL:
            return first
        again = together(check.id, await self._play(check))
        if again.verdict is Verdict.FAIL:
            return again
        parts = tuple(
            Part(
                verdict=Verdict.UNCONFIRMED,
                what=part.what,
                why=f"once: {part.why}; {_NOT_ALONE} ({again.why})",
                effects=part.effects,
                exchange=part.exchange,
            )
            for part in first.findings
        )
        return together(check.id, parts)

    def _with_packets(self, part: Part) -> Part:
        """A finding with the last packets of its story, where it does not say which they were."""
        if part.verdict is not Verdict.FAIL or part.exchange:
            return part
        kept = [line for visit in self._bench.made for line in visit.kept]
        return replace(part, exchange=tuple(kept[-MAX_PACKETS:]))

    async def _play(self, check: Check) -> tuple[Part, ...]:
        assert isinstance(check.act, Story)  # noqa: S101 - the caller has looked
        self._bench.made.clear()
        try:
            if self._unsettled:
                await recover(self._bench)
                self._unsettled = ""
            await self._bench.mode()
            self._bench.made.clear()
            if check.act.needs_mode and not self._bench.tells_mode:
                return (_undecided(check, "the device tells no mode, and this check judges by it"),)
            return tuple(self._with_packets(part) for part in await check.act.play(self._bench))
        except NotReachedError as error:
            if self._bench.made and not self._unsettled:
                # It had begun: what it has marked must not be there in the next story. A device that cannot be brought
                # to rest was so before; the next story says what it means for it.
                with suppress(NotReachedError, LinkLostError, SilenceError, RemoteError):
                    await recover(self._bench)
            return (_undecided(check, f"{self._unsettled}{error}"),)
        except (LinkLostError, SilenceError, RemoteError) as error:
            why, self._unsettled = f"{self._unsettled}the device was lost: {error}", _LEFT_BY.format(check=check.id)
            return (_undecided(check, why),)
        finally:
            with suppress(LinkLostError):
                await self._bench.hang_up()


def _undecided(check: Check, why: str) -> Part:
    return Part(verdict=Verdict.INCONCLUSIVE, what=check.title, why=why)


def _not_run(check: Check, why: str) -> Found:
    return Found(check=check.id, verdict=Verdict.INCONCLUSIVE, why=why, parts=(_undecided(check, why),))
