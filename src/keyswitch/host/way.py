"""Ways into maintenance mode and out of it, as the update sees them; recipes and our own mode group are two of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from keyswitch.host import entry
from keyswitch.host.reach import CONNECT_MS, Connection, Identity
from keyswitch.host.reply import Refusal
from keyswitch.host.verdict import NEXT_STEP, Gate, Verdict
from keyswitch.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """The device is in maintenance mode, or on its way there.

    Attributes:
        token: correlation token to look for.
        address: to look for, where it changes.
        identity: to look for instead of all that was known, where the device becomes another.
        reconnect: whether the device ends this connection.
        restarts: whether it restarts, so that a new connection is needed even where the line does not end.
        shows_smp: whether it then advertises the SMP service.
        within_ms: how long it may take to come back.
        lease_ms: how long the mode lasts, None if without end or unknown.
        by: how entry was proved, for the evidence.
        told: whether the device has said itself that it is inside; else that is to be seen.
        prompt: what a person was asked to do for it; empty if nothing.
    """

    token: bytes = b""
    address: str | None = None
    identity: Identity | None = None
    reconnect: bool = False
    restarts: bool = False
    shows_smp: bool = True
    within_ms: int = CONNECT_MS
    lease_ms: int | None = None
    by: str = ""
    told: bool = False
    prompt: str = ""


OTHER_DEVICE_STEP: Final = "check target and --policy: they name two devices"
"""What a person can do where another device answers than the one that is meant."""


def other_policy(expected: entry.Expected | None, told: Verdict) -> str | None:
    """That the device obeys another policy than the one that is meant; None if it does not, or nothing can be told.

    A device that is open and says nothing of a policy is another one. One that is shut may be ours, out of our sight.
    """
    if expected is None or (told.state is not None and told.state.policy == expected.policy):
        return None
    if told.state is not None:
        has = f"has the policy {told.state.policy.hex() or '(none)'}"
    elif told.gate is Gate.OPEN:
        has = "takes firmware and tells of no policy"
    else:
        return None
    return f"the device {has}, not that of {expected.device!r} ({expected.policy.hex()})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoEntry:
    """The way did not lead in."""

    detail: str
    reason: Reason | None = None
    next_step: str = ""


class Way(Protocol):
    """How maintenance mode is entered and left."""

    @property
    def words(self) -> str:
        """What is done, for the plan."""
        ...

    @property
    def expected(self) -> entry.Expected | None:
        """The device that this way leads into; None if it leads into any."""
        ...

    async def enter(self, connection: Connection, say: Callable[[str], None]) -> Inside | NoEntry:
        """Enter; `say` tells a person what to do."""
        ...

    async def attach(self, connection: Connection, token: bytes) -> NoEntry | None:
        """Prove on a new connection that the session with this token is ours; None if the device agreed."""
        ...

    async def is_inside(self, connection: Connection) -> bool | None:
        """Whether a device without a mode group is in maintenance; None if this way cannot tell, or need not."""
        ...

    async def leave(self, connection: Connection) -> NoEntry | None:
        """Leave; None if the device agreed. Proving that it has left is the caller's business."""
        ...


class ModeGroupWay:
    """The way into our own devices.

    Args:
        to: name of the maintenance mode.
        credentials: what to prove entry with; the first that the device takes.
        expected: the device that is meant; another one is refused. None: whichever answers.
    """

    def __init__(self, to: str, *credentials: entry.Credential, expected: entry.Expected | None = None) -> None:
        self.to = to
        self.expected = expected
        self._credentials = credentials

    @property
    def words(self) -> str:
        """What is done, for the plan."""
        return f"enter {self.to} by {' or '.join(one.kind for one in self._credentials)}"

    async def enter(self, connection: Connection, say: Callable[[str], None]) -> Inside | NoEntry:
        """Enter with the credential."""
        del say
        if connection.mode is None:
            return NoEntry(detail="the device has no mode group", next_step="use a --recipe for this kind of device")
        told = await entry.enter(connection.mode, self.to, self._credentials, expected=self.expected)
        match told:
            case entry.Entered():
                return Inside(
                    token=told.session,
                    address=told.address,
                    reconnect=told.reconnect,
                    lease_ms=told.lease_ms,
                    by=told.by,
                    told=True,
                )
            case _:
                return refused(told)

    async def attach(self, connection: Connection, token: bytes) -> NoEntry | None:
        """Prove with the credential that the session is ours."""
        if connection.mode is None:
            return None
        told = await entry.attach(connection.mode, self.to, token, self._credentials, expected=self.expected)
        return None if told is None else refused(told)

    async def is_inside(self, connection: Connection) -> bool | None:
        """None: the mode group tells."""
        del connection
        return None

    async def leave(self, connection: Connection) -> NoEntry | None:
        """Ask the device to leave."""
        return await leave_by_group(connection)


class NoWay:
    """No way in is known: only a device whose gate is open already can be updated. Out goes by the mode group."""

    words = "nothing: the gate must be open already"
    expected = None

    async def enter(self, connection: Connection, say: Callable[[str], None]) -> Inside | NoEntry:
        """Refuse, with what a person can do."""
        del connection, say
        return NoEntry(detail="no way to enter was given", next_step=NEXT_STEP[Reason.WRONG_MODE])

    async def attach(self, connection: Connection, token: bytes) -> NoEntry | None:
        """Refuse: there is nothing to prove a session with."""
        del connection, token
        return NoEntry(detail="the session is another's", reason=Reason.OWNER, next_step=NEXT_STEP[Reason.OWNER])

    async def is_inside(self, connection: Connection) -> bool | None:
        """None: the mode group tells."""
        del connection
        return None

    async def leave(self, connection: Connection) -> NoEntry | None:
        """Ask the device to leave, if it has a mode group."""
        return await leave_by_group(connection)


async def leave_by_group(connection: Connection) -> NoEntry | None:
    """Leave by the mode group; None if the device agreed or has none."""
    if connection.mode is None:
        return None
    refusal = await entry.leave(connection.mode)
    return None if refusal is None else refused(refusal)


def refused(told: Refusal | entry.CannotProve | entry.OtherDevice) -> NoEntry:
    """A refusal, with what to do about it."""
    if isinstance(told, entry.CannotProve):
        wanted = " or ".join(told.wanted) or "nothing that can be sent"
        detail = f"the device takes {wanted} as proof, not {' or '.join(told.have) or 'nothing'}"
        return NoEntry(detail=detail, reason=Reason.PROOF, next_step=NEXT_STEP[Reason.PROOF])
    if isinstance(told, entry.OtherDevice):
        detail = f"{told.answered!r} answers, not {told.expected!r}"
        return NoEntry(detail=detail, reason=Reason.PROOF, next_step=OTHER_DEVICE_STEP)
    reason = told.reason
    return NoEntry(detail=str(told), reason=reason, next_step=NEXT_STEP[reason] if reason else "")
