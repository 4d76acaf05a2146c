"""How many effects one step of the machine can ask for: the room that `struct ks_step` of the firmware module has."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from keyswitch.gate.change import timers
from keyswitch.gate.events import Timer
from keyswitch.policy.enums import Others, Visibility
from keyswitch.policy.model import Mode, OnConnect, OnInput, OnLeave, OnReset, Policy, Transition
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image, os
from keyswitch.smp.header import Op

_NOTHING_WAITS: Final = 2
"""Queue and half frames."""
_REVERT: Final = 6
"""What `ks_revert` adds to cleaning up: four timers, record, reset."""
_TRIAL: Final = 1
"""Its timer, started or stopped."""
_SHOWN: Final = 1
"""The GATT table follows the step, once."""
_ENDED: Final = 1
"""Connections to end, once for each event and once for each entry."""
_MARK: Final = 1
_BEGINS: Final = frozenset(
    CommandKey(group, each, Op.WRITE)
    for group, each in (
        (image.ID, image.Id.UPLOAD),
        (image.ID, image.Id.ERASE),
        (image.ID, image.Id.STATE),
        (os.ID, os.Id.RESET),
    )
)
"""Commands by which upload, arming and reset begin."""


def most_effects(policy: Policy) -> int:
    """An upper bound of the effects of one step: the longest way that the machine's rules leave open.

    An event enters a mode, or does something by itself in the mode that there is. Then the session may end, at most
    once, and each mode that an `input` transition leads into is entered at most once. A revert or a reset ends the way.
    """
    return _Room(policy).most()


@dataclass(frozen=True)
class _Room:
    """Ways through one policy. Attributes: known: the most of each rest of a way that was looked at already."""

    policy: Policy
    known: dict[tuple[str, int, bool], int] = field(default_factory=dict[tuple[str, int, bool], int])

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        return tuple(self.policy.modes.values())

    @cached_property
    def images(self) -> int:
        """Each is armed, disarmed and confirmed by an effect of its own."""
        return max(1, len(self.policy.bootloader.images))

    @cached_property
    def quiet(self) -> int:
        return int(any(mode.quiet_after_ms is not None for mode in self.modes))

    @cached_property
    def kept(self) -> int:
        """The mode is written down for the next reset."""
        return int(any(isinstance(way.trigger, OnReset) for way in self.policy.transitions))

    @cached_property
    def reconnects(self) -> bool:
        return self.policy.gate.service is Visibility.RECONNECT

    @cached_property
    def serves_outside(self) -> bool:
        """Upload, arming or reset can begin outside maintenance: what a sound policy never serves there."""
        return any(not mode.maintenance and mode.allow & _BEGINS for mode in self.modes)

    @cached_property
    def by_input(self) -> frozenset[str]:
        return frozenset(way.target for way in self.policy.transitions if isinstance(way.trigger, OnInput))

    def most(self) -> int:
        reset_due = 1 + self.images + _NOTHING_WAITS + 1
        return _SHOWN + max(reset_due, *map(self.begun_in, self.modes), *map(self.entered_by, self.policy.transitions))

    def begun_in(self, mode: Mode) -> int:
        """Coming up in this mode, with a session or without one; or what an event asks for in it, which is less."""
        started = {*timers(mode), *((Timer.LEASE, Timer.IDLE) if mode.maintenance else ())}
        begins = max(_MARK + self.quiet + _TRIAL, self.quiet + self.images + _TRIAL) + len(started) + 1 + self.kept + 1
        reverts = self.cleaned_up(mode) + _REVERT
        return max(begins + self.rest(mode), reverts, self.left_from(mode))

    def entered_by(self, way: Transition) -> int:
        target = self.policy.modes[way.target]
        others = isinstance(way.trigger, OnConnect) or (way.others is Others.DISCONNECT and not self.reconnects)
        return others * _ENDED + max(
            self.entered(self.policy.modes[name], target, ends=ends) + self.rest(target, ended=ends)
            for name in way.sources
            for ends in self.may_end(self.policy.modes[name])
        )

    def left_from(self, mode: Mode) -> int:
        """An event leaves it: the session in it ends, or there was none."""
        return max(
            self.entered(mode, target, ends=ends) + self.rest(target, ended=ends)
            for target in self.left_to(mode)
            for ends in self.may_end(mode)
        )

    def left_to(self, mode: Mode) -> Iterator[Mode]:
        yield self.policy.initial
        for way in self.policy.transitions:
            if isinstance(way.trigger, OnLeave) and mode.name in way.sources:
                yield self.policy.modes[way.target]

    @staticmethod
    def may_end(mode: Mode) -> tuple[bool, ...]:
        """Whether entering another mode from this one ends a session: there is none outside maintenance."""
        return (False, True) if mode.maintenance else (False,)

    def rest(self, mode: Mode, inputs: int | None = None, *, ended: bool = False) -> int:
        """The most that inputs make true from this mode on.

        Args:
            mode: the one that the device is in.
            inputs: how many modes may still be entered by `input`; None: all but this one.
            ended: a session has ended, so none begins any more.
        """
        most = len(self.by_input - {mode.name})
        left = most if inputs is None else inputs
        if (mode.name, left, ended) not in self.known:
            found = [0]
            if mode.maintenance and not ended:
                found.append(self.cleaned_up(mode) + _REVERT)
                for target in self.left_to(mode):
                    # As long as none was entered by `input`, all but this mode may be, and the target is entered now.
                    entered = left == most and target.name in self.by_input - {mode.name}
                    found.append(self.entered(mode, target, ends=True) + self.rest(target, left - entered, ended=True))
            for way in self.policy.transitions:
                target = self.policy.modes[way.target]
                if left and isinstance(way.trigger, OnInput) and mode.name in way.sources:
                    found += [
                        self.entered(mode, target, ends=ends) + self.rest(target, left - 1, ended=ended or ends)
                        for ends in self.may_end(mode)
                        if not (ends and ended) and not (target.maintenance and (ended or ends))
                    ]
            self.known[mode.name, left, ended] = max(found)
        return self.known[mode.name, left, ended]

    def entered(self, before: Mode, target: Mode, *, ends: bool) -> int:
        """`ks_enter_mode`; ends: a session of the mode before."""
        outside = self.cleaned_up(before) if target.maintenance and self.serves_outside else 0
        first = self.cleaned_up(before) if ends else _NOTHING_WAITS + outside
        stopped = len(timers(before).keys() - timers(target).keys())
        inhibits = int(set(before.inhibits) != set(target.inhibits))
        ends_links = _ENDED if target.maintenance and self.reconnects else 0
        return first + stopped + len(timers(target)) + inhibits + self.kept + 1 + ends_links

    def cleaned_up(self, mode: Mode) -> int:
        """`clean_up` in ks_change.c: what waits, upload, reset timer, trailers, foreign timers, trial, record."""
        foreign = len({Timer.LEASE, Timer.IDLE} - timers(mode).keys())
        return _NOTHING_WAITS + 1 + 1 + self.images + foreign + _TRIAL + 1
