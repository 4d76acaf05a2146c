"""The lease of a maintenance session: when it ends, and how it is extended while there is still time.

Rules:

* A lease is extended before and within each act that takes long, once half of it is over; before one during which the
  device cannot be asked, if it would not last for it.
* An extension that brings less than a whole lease is the last one: it ends with the device's limit of all extensions.
* What a session brought before its lease ended is counted: a lease that brings nothing is not taken again for ever.
* Time is the event loop's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from keyswitch.errors import LinkLostError, RemoteError, SilenceError
from keyswitch.host.access import mode_group
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Refusal
from keyswitch.host.update.job import Outcome, Stop
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc

ENDED_MS: Final = 1_000
"""How much earlier than we count a lease may end: its answer was under way for a while."""

SHORT_SHARE: Final = 10
"""By which part of a lease its answer may be under way, and what it tells be less: more than that is another limit."""

LEAST_WORK_SHARE: Final = 20
"""A session that ended with its lease and brought less than this part of the images is not worth another one."""

AGAIN_MS: Final = 1_000
"""Pause before an extension that was not answered is asked for again."""

_T = TypeVar("_T")


class Lease:
    """The lease of one run's sessions.

    Args:
        say: told what a person should read.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.extensions = 0
        """How often it was extended, in the whole run."""
        self.in_vain = 0
        """How many leases in a row ended before they had brought anything on."""
        self._say = say
        self._ends_at: float | None = None
        self._full_ms: int | None = None
        self._extends = True
        self._done = 0

    @property
    def left_ms(self) -> int | None:
        """What is left of it as far as is known; negative once it is over, None without a lease."""
        if self._ends_at is None:
            return None
        return round((self._ends_at - asyncio.get_running_loop().time()) * 1000)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or will before it can be asked about."""
        left_ms = self.left_ms
        return left_ms is not None and left_ms <= ENDED_MS

    def note(self, lease_ms: int | None, *, inside: bool) -> None:
        """The device tells how long it stays inside, or that it is outside."""
        self._ends_at = None if lease_ms is None else asyncio.get_running_loop().time() + lease_ms / 1000
        if not inside:
            self._full_ms, self._extends = None, True
        elif lease_ms is not None:
            self._full_ms = max(lease_ms, self._full_ms or 0)

    def ended(self, done: int, size: int) -> Stop:
        """The device has left because its lease ended: what that means if nothing else helps.

        Args:
            done: bytes of the images that the device has had at most.
            size: of all images.
        """
        self.in_vain = 0 if done - self._done > size / LEAST_WORK_SHARE else self.in_vain + 1
        self._done = done
        lease = "" if self._full_ms is None else f" of {self._full_ms / 1000:g} s"
        further = "" if self._extends else ", and it extends it no further"
        return Stop(
            outcome=Outcome.REFUSED,
            detail=f"the device's lease{lease} ended before this was done{further}",
            reason=Reason.EXPIRED,
            next_step="raise lease_s or lease_max_s in the device's policy, or use a faster link",
        )

    async def extended(self, act: Awaitable[_T], client: Callable[[], SmpClient | None]) -> _T:
        """Wait for `act`, and extend the lease meanwhile.

        Args:
            act: what takes long.
            client: for the mode group of the connection that is up; None while there is none.
        """
        keeper = asyncio.ensure_future(self._keep(client))
        try:
            return await act
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    async def last(self, needed_ms: int, client: SmpClient | None) -> None:
        """Extend it if it would not last so long, before an act during which it cannot be extended.

        Raises:
            LinkLostError: the link is gone.
            SilenceError: the device does not answer.
            RemoteError: the device answers what the mode group does not say.
        """
        left_ms = self.left_ms
        if self._extends and left_ms is not None and left_ms < min(needed_ms, self._full_ms or needed_ms):
            await self._extend(client)

    async def _keep(self, client: Callable[[], SmpClient | None]) -> None:
        while self._extends and (left_ms := self.left_ms) is not None and self._full_ms is not None:
            early_ms = left_ms - self._full_ms // 2
            if early_ms > 0:
                await asyncio.sleep(early_ms / 1000)
                continue
            try:
                await self._extend(client())
            except SilenceError:
                await asyncio.sleep(AGAIN_MS / 1000)
            except (LinkLostError, RemoteError):
                return  # what is being done meets the same, and says so

    async def _extend(self, client: SmpClient | None) -> None:
        begun_ms = self.left_ms
        if client is None or begun_ms is None:
            self._extends = False
            return
        told = await mode_group.extend(client)
        if told is None or isinstance(told, Refusal):
            self._extends = False
            if told is not None and not told.is_rc(Rc.ENOTSUP):
                self._say(f"the device does not extend its lease ({told}): it ends in {max(0, begun_ms) // 1000} s")
            return
        self.extensions += 1
        self.note(told, inside=True)
        full_ms = self._full_ms or told
        if told < full_ms - full_ms // SHORT_SHARE:
            self._extends = False
            self._say(f"the device extends its lease no further: it ends in {told // 1000} s")
