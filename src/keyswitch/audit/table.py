"""What an audit covers, and what it does not: each cell of the fixed table, each situation, with its check or why not.

The fixed table is `policy.firmware_commands`: every command that can change firmware or lead to it, in every mode, over
every way to a device.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keyswitch.audit.catalogue import Check
from keyswitch.audit.verdict import Found, Verdict, worst
from keyswitch.audit.wire import key_name
from keyswitch.policy.firmware_commands import FIRMWARE_COMMANDS
from keyswitch.policy.model import Policy
from keyswitch.smp.commands import CommandKey
from keyswitch.terms import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of the table.

    Attributes:
        command: name of the command.
        mode: name of the mode.
        way: the transport.
        verdict: of what was tried there; None: nothing was.
        checks: ids of the checks that tried it.
        why: why nothing was tried.
    """

    command: str
    mode: str
    way: str
    verdict: Verdict | None
    checks: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageOf:
    """What an audit was made of.

    Attributes:
        policy: that was declared.
        ways: the transports that were given.
        not_run: why checks were not run, by id.
        checks: the whole catalogue.
    """

    policy: Policy
    ways: tuple[Transport, ...]
    not_run: Mapping[str, str]
    checks: Sequence[Check]

    def cells(self, found: Iterable[Found]) -> tuple[Cell, ...]:
        """The table as this audit has left it."""
        tried: dict[tuple[str, str, str], list[tuple[str, Verdict]]] = {}
        for each in found:
            for part in each.parts:
                if part.command:
                    tried.setdefault((part.command, part.mode, part.way), []).append((each.check, part.verdict))
        return tuple(
            self._cell(key, mode, way, tried.get((key_name(key), mode, way.value), []))
            for mode in self.policy.modes
            for key in sorted(FIRMWARE_COMMANDS)
            for way in Transport
        )

    def _cell(self, key: CommandKey, mode: str, way: Transport, tried: Sequence[tuple[str, Verdict]]) -> Cell:
        name = key_name(key)
        if not tried:
            return Cell(command=name, mode=mode, way=way.value, verdict=None, why=self._why_not(key, mode, way))
        ids = tuple(sorted({check for check, _ in tried}))
        return Cell(command=name, mode=mode, way=way.value, verdict=worst(verdict for _, verdict in tried), checks=ids)

    def _why_not(self, key: CommandKey, mode: str, way: Transport) -> str:
        if key in self.policy.modes[mode].allow:
            return SERVED
        if way not in self.policy.smp.transports:
            return "the policy does not serve this transport"
        if way not in self.ways:
            return "no target over this transport was given (--also)"
        covering = [check.id for check in self.checks if key in check.commands]
        reasons = [f"{check}: {self.not_run[check]}" for check in covering if check in self.not_run]
        return "; ".join(reasons) or f"nothing to try it with; see {', '.join(covering)}"


SERVED: Final = "the policy lets this mode serve it"


@dataclass(frozen=True, slots=True, kw_only=True)
class SituationRow:
    """One situation in which gates were seen to be open.

    Attributes:
        what: in words.
        checks: ids of the checks that bring it about.
        why: why none does, where none does.
    """

    what: str
    checks: tuple[str, ...] = ()
    why: str = ""


SITUATIONS: Final[tuple[SituationRow, ...]] = (
    SituationRow(
        what="every command that changes firmware, in every mode that does not allow it",
        checks=tuple(f"KS-{number}" for number in range(101, 114)),
    ),
    SituationRow(
        what="both protocol versions, reserved operations, reserved versions", checks=("KS-114", "KS-115", "KS-116")
    ),
    SituationRow(what="commands that only read, in modes that do not list them", checks=("KS-117",)),
    SituationRow(what="unknown and bridged groups", checks=("KS-118",)),
    SituationRow(what="firmware commands by the mode service", checks=("KS-119",)),
    SituationRow(what="a reset with force, or into the bootloader", checks=("KS-108", "KS-109")),
    SituationRow(what="an erase of each slot, an erase of the storage", checks=("KS-106", "KS-107", "KS-113")),
    SituationRow(what="shell, files, settings", checks=("KS-110", "KS-111", "KS-112")),
    SituationRow(what="requests queued across a mode change", checks=("KS-301",)),
    SituationRow(what="leave and another command in one write", checks=("KS-302",)),
    SituationRow(
        what="a half-sent frame across a mode change, and across a reconnect",
        checks=("KS-313",),
    ),
    SituationRow(what="an upload begun in maintenance and continued outside, at each offset", checks=("KS-303",)),
    SituationRow(what="the lease ends in the middle of an upload", checks=("KS-304",)),
    SituationRow(what="a condition turns false in the middle of an upload", checks=("KS-305",)),
    SituationRow(what="a second peer in the middle of a session", checks=("KS-310",)),
    SituationRow(what="a session inherited by another peer, after a disconnect", checks=("KS-310",)),
    SituationRow(
        what="another peer's upload in the middle of one",
        why="no policy promises anything of it; KS-310 tries whether others are kept out of an owner's session",
    ),
    SituationRow(what="padded images", checks=("KS-201",)),
    SituationRow(what="a pending image, and maintenance left, then the power taken away", checks=("KS-306",)),
    SituationRow(what="a pending image, and the power taken away", checks=("KS-307",)),
    SituationRow(what="a pending image, and maintenance ended by its time limit", checks=("KS-311",)),
    SituationRow(what="a trial, and maintenance left; a revert without a confirmation", checks=("KS-203",)),
    SituationRow(what="a reset granted, and then left", checks=("KS-308",)),
    SituationRow(what="maintenance after a power cycle", checks=("KS-309",)),
    SituationRow(what="commands in the moment after a start", checks=("KS-312",)),
    SituationRow(what="maintenance that ends by itself", checks=("KS-304",)),
    SituationRow(what="no proof, a wrong, truncated or foreign one", checks=("KS-401", "KS-403")),
    SituationRow(what="a replayed proof, and one that comes late", checks=("KS-402", "KS-404")),
    SituationRow(
        what="proofs guessed, the lock-out after a reconnect and after a restart", checks=("KS-405", "KS-406", "KS-407")
    ),
    SituationRow(what="entering while a condition is not true", checks=("KS-408",)),
    SituationRow(
        what="expired and foreign permits", why="this needs permits of an issuer that the policy does not name"
    ),
    SituationRow(what="a lock-out for each kind of proof", why="the auditor has one kind of proof"),
    SituationRow(what="images whose content was changed", checks=("KS-202",)),
    SituationRow(what="truncated images, and such without a signature", checks=("KS-204",)),
    SituationRow(what="images that another key has signed", checks=("KS-205",)),
    SituationRow(what="downgraded images", checks=("KS-602",)),
    SituationRow(what="confirming after the swap", checks=("KS-601",)),
    SituationRow(what="clients that never subscribed", checks=("KS-508",)),
    SituationRow(what="change-unaware clients", checks=("KS-505",)),
    SituationRow(
        what="stale handles, where the link can write to them and nothing else lies there",
        checks=tuple(f"KS-{number}" for number in range(101, 119)),
    ),
    SituationRow(what="a stale handle that belongs to another service now", checks=("KS-506",)),
    SituationRow(what="the service in the table, in each mode, as the strategy promises", checks=("KS-501",)),
    SituationRow(what="the reconnect that the strategy promises, or the connection that stays", checks=("KS-502",)),
    SituationRow(what="Service Changed", checks=("KS-503",)),
    SituationRow(what="the Database Hash", checks=("KS-504",)),
    SituationRow(what="authorization by ATT, before, in and after a session", checks=("KS-507",)),
    SituationRow(
        what="Service Changed that is owed to a bonded client",
        why="the bond that it needs stays in the device, and cannot be taken back from outside",
    ),
    SituationRow(
        what="Just Works pairing where authentication is asked for",
        why="the bond that it makes stays in the device, and cannot be taken back from outside",
    ),
)
"""The situations in which gates have been seen to be open (and a few more)."""
