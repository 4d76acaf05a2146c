"""Ways into maintenance mode and out of it, as the update sees them; recipes and our own mode group are two of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from keyswitch.errors import Phrase
from keyswitch.host.access import mode_group
from keyswitch.host.access.credentials import Credential
from keyswitch.host.connect.endpoint import CONNECT_MS, Connection, DeviceIdentity
from keyswitch.host.connect.verdict import NEXT_STEP, Gate, Verdict
from keyswitch.host.smp.reply import Refusal
from keyswitch.policy.digest import FILE_FORM
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryGranted:
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
    identity: DeviceIdentity | None = None
    reconnect: bool = False
    restarts: bool = False
    shows_smp: bool = True
    within_ms: int = CONNECT_MS
    lease_ms: int | None = None
    by: str = ""
    told: bool = False
    prompt: str = ""


OTHER_DEVICE_STEP: Final = Phrase("check target and {policy}: they name two devices")
"""What a person can do where another device answers than the one that is meant."""

OTHER_UNIT_STEP: Final = Phrase("check target and unit ({inventory}, {unit}): they name two devices of one product")
"""What a person can do where another unit answers than the one that is meant."""

OLDER_FORM: Final = "same policy, older form: the device tells it by the bytes of this file"
"""What is said of a device whose program is of before policies were told by their rules."""


def tells_older_form(expected: mode_group.Expected | None, verdict: Verdict) -> bool:
    """Whether the device obeys the very file that is meant, and tells so as programs of before do."""
    return expected is not None and verdict.state is not None and expected.form_of(verdict.state.policy) == FILE_FORM


OTHER_REVISION_STEP: Final = Phrase("give the revision of the policy that the device has ({policy})")
"""What a person can do where the device that is meant obeys another revision of its policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPolicy:
    """The device does not obey the policy file that is meant.

    Attributes:
        detail: what it says of itself.
        next_step: what a person can do.
        same_device: whether it calls itself by the id in the file: the same device, another revision.
    """

    detail: str
    next_step: str
    same_device: bool


def other_policy(expected: mode_group.Expected | None, verdict: Verdict) -> OtherPolicy | None:
    """That the device obeys another policy than the one that is meant; None if it does not, or nothing can be told.

    A device that is open and says nothing of a policy is another one. One that is shut may be ours, out of our sight.
    One that obeys the policy and calls itself otherwise is another unit of the same product. Where the policies differ,
    what it calls itself only makes the words fit.
    """
    if expected is None:
        return None
    if verdict.state is None:
        if verdict.gate is not Gate.OPEN:
            return None
        detail = f"the device takes firmware and tells of no policy, {expected.device!r} has one"
        return OtherPolicy(detail=detail, next_step=NO_MODE_GROUP_STEP, same_device=False)
    form = expected.form_of(verdict.state.policy)
    if form is not None:
        if not verdict.state.device and form != FILE_FORM and verdict.gate is Gate.OPEN:
            # Shut, it has to name itself before it is entered; the file of before is that of one unit.
            detail = f"the device obeys the policy, and does not tell whether it is {expected.device!r}"
            return OtherPolicy(detail=detail, next_step=OTHER_UNIT_STEP, same_device=False)
        if verdict.state.device in {"", expected.device}:
            return None
        detail = f"{verdict.state.device!r} answers, not {expected.device!r}: another unit with the same policy"
        return OtherPolicy(detail=detail, next_step=OTHER_UNIT_STEP, same_device=False)
    has = f"the device has the policy {verdict.state.policy.hex() or '(none)'}, the file is {expected.policy.hex()}"
    match verdict.state.device:
        case expected.device:
            detail = f"{expected.device!r} answers, with another revision of its policy: {has}"
            return OtherPolicy(detail=detail, next_step=OTHER_REVISION_STEP, same_device=True)
        case "":
            detail = f"another policy than that of {expected.device!r}: {has}"
            step = Phrase(f"{OTHER_DEVICE_STEP.template}, or two revisions of one policy")
            return OtherPolicy(detail=detail, next_step=step, same_device=False)
        case device:
            detail = f"{device!r} answers, not {expected.device!r}: {has}"
            return OtherPolicy(detail=detail, next_step=OTHER_DEVICE_STEP, same_device=False)


NO_MODE_GROUP: Final = "the device has no mode group: it obeys no policy"

NO_MODE_GROUP_STEP: Final = Phrase(
    "check the target; a device that obeys no policy is updated with {recipe} and {keys}"
)
"""What a person can do who has given a policy for such a device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRefused:
    """The way did not lead in."""

    detail: str
    reason: Reason | None = None
    next_step: str = ""


class EntryStrategy(Protocol):
    """How maintenance mode is entered and left."""

    @property
    def words(self) -> str:
        """What is done, for the plan."""
        ...

    @property
    def field(self) -> str:
        """The field of a request that gave it, for advice; empty if none did."""
        ...

    @property
    def expected(self) -> mode_group.Expected | None:
        """The device that this way leads into; None if it leads into any."""
        ...

    async def enter(self, connection: Connection, say: Callable[[str], None]) -> EntryGranted | EntryRefused:
        """Enter; `say` tells a person what to do."""
        ...

    async def attach(self, connection: Connection, token: bytes) -> EntryRefused | None:
        """Prove on a new connection that the session with this token is ours; None if the device agreed."""
        ...

    async def is_inside(self, connection: Connection) -> bool | None:
        """Whether a device without a mode group is in maintenance; None if this way cannot tell, or need not."""
        ...

    async def leave(self, connection: Connection) -> EntryRefused | None:
        """Leave; None if the device agreed. Proving that it has left is the caller's business."""
        ...


class ModeGroupStrategy:
    """The way into our own devices.

    Args:
        to: name of the maintenance mode.
        credentials: what to prove entry with; the first that the device takes.
        expected: the device that is meant; another one is refused. None: whichever answers.
    """

    field = "policy"

    def __init__(self, to: str, *credentials: Credential, expected: mode_group.Expected | None = None) -> None:
        self.to = to
        self.expected = expected
        self._credentials = credentials

    @property
    def words(self) -> str:
        """What is done, for the plan."""
        by = " or ".join(one.kind for one in self._credentials)
        return f"enter {self.to} by {by or 'what whoever updates it has'}"

    async def enter(self, connection: Connection, say: Callable[[str], None]) -> EntryGranted | EntryRefused:
        """Enter with the credential."""
        del say
        if connection.mode is None:
            return EntryRefused(detail=NO_MODE_GROUP, next_step=NO_MODE_GROUP_STEP)
        reply = await mode_group.enter(connection.mode, self.to, self._credentials, expected=self.expected)
        match reply:
            case mode_group.EntryReply():
                return EntryGranted(
                    token=reply.session,
                    address=reply.address,
                    reconnect=reply.reconnect,
                    lease_ms=reply.lease_ms,
                    by=reply.by,
                    told=True,
                )
            case _:
                return refused(reply)

    async def attach(self, connection: Connection, token: bytes) -> EntryRefused | None:
        """Prove with the credential that the session is ours."""
        if connection.mode is None:
            return None
        reply = await mode_group.attach(connection.mode, self.to, token, self._credentials, expected=self.expected)
        return None if reply is None else refused(reply)

    async def is_inside(self, connection: Connection) -> bool | None:
        """None: the mode group tells."""
        del connection
        return None

    async def leave(self, connection: Connection) -> EntryRefused | None:
        """Ask the device to leave."""
        return await leave_by_group(connection)


class AlreadyOpen:
    """No way in is known: only a device whose gate is open already can be updated. Out goes by the mode group."""

    words = "nothing: the gate must be open already"
    field = ""
    expected = None

    async def enter(self, connection: Connection, say: Callable[[str], None]) -> EntryGranted | EntryRefused:
        """Refuse, with what a person can do."""
        del connection, say
        return EntryRefused(detail="no way to enter was given", next_step=NEXT_STEP[Reason.WRONG_MODE])

    async def attach(self, connection: Connection, token: bytes) -> EntryRefused | None:
        """Refuse: there is nothing to prove a session with."""
        del connection, token
        return EntryRefused(detail="the session is another's", reason=Reason.OWNER, next_step=NEXT_STEP[Reason.OWNER])

    async def is_inside(self, connection: Connection) -> bool | None:
        """None: the mode group tells."""
        del connection
        return None

    async def leave(self, connection: Connection) -> EntryRefused | None:
        """Ask the device to leave, if it has a mode group."""
        return await leave_by_group(connection)


async def leave_by_group(connection: Connection) -> EntryRefused | None:
    """Leave by the mode group; None if the device agreed or has none."""
    if connection.mode is None:
        return None
    refusal = await mode_group.leave(connection.mode)
    return None if refusal is None or refusal.is_rc(Rc.ENOTSUP) else refused(refusal)


def refused(refusal: Refusal | mode_group.CannotProve | mode_group.OtherDevice) -> EntryRefused:
    """A refusal, with what to do about it."""
    if isinstance(refusal, mode_group.CannotProve):
        wanted = " or ".join(refusal.wanted) or "nothing that can be sent"
        detail = f"the device takes {wanted} as proof, not {' or '.join(refusal.have) or 'nothing'}"
        return EntryRefused(detail=detail, reason=Reason.PROOF, next_step=NEXT_STEP[Reason.PROOF])
    if isinstance(refusal, mode_group.OtherDevice):
        detail = f"{refusal.answered!r} answers, not {refusal.expected!r}"
        return EntryRefused(detail=detail, reason=Reason.PROOF, next_step=OTHER_DEVICE_STEP)
    if refusal.is_rc(Rc.ENOTSUP):
        return EntryRefused(detail=NO_MODE_GROUP, next_step=NO_MODE_GROUP_STEP)
    reason = refusal.reason
    return EntryRefused(detail=str(refusal), reason=reason, next_step=NEXT_STEP[reason] if reason else "")
