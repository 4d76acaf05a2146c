"""The device under audit: the ways to it, what may be done to it, and what of it can be seen.

Rule: the auditor is an outsider. It has links, the declared policy, the operator's own means of entering, and somebody
(or something) at the device who turns what no radio may turn. Nothing else tells it anything.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from keyswitch.errors import KeyswitchError
from keyswitch.host.access.strategy import EntryStrategy
from keyswitch.host.connect.endpoint import Endpoint
from keyswitch.policy.model import Policy, Value
from keyswitch.smp.commands import CommandKey
from keyswitch.terms import Transport


class NotReachedError(KeyswitchError):
    """The device could not be brought where a check needs it; says why, and what would help."""


class Hand(Protocol):
    """Whoever is at the device: a person who is asked, or the panel of a device of ours."""

    async def set_input(self, name: str, value: Value) -> None:
        """Make an input read this value.

        Raises:
            NotReachedError: it was not done.
        """
        ...

    async def hold_button(self, hold_ms: int) -> None:
        """Hold the button.

        Raises:
            NotReachedError: it was not done.
        """
        ...

    async def power_cycle(self) -> None:
        """Take the power away and give it back.

        Raises:
            NotReachedError: it was not done.
        """
        ...

    async def bring(self, mode: str) -> None:
        """Bring a device that tells no mode into this one, by whatever means it has.

        Raises:
            NotReachedError: it was not done.
        """
        ...


class NobodyThere:
    """Nobody is at the device."""

    async def set_input(self, name: str, value: Value) -> None:
        """Not done."""
        raise NotReachedError(f"somebody has to make {name} {str(value).lower()} at the device: {_HELP}")

    async def hold_button(self, hold_ms: int) -> None:
        """Not done."""
        raise NotReachedError(f"somebody has to hold the button for {hold_ms / 1000:g} s: {_HELP}")

    async def power_cycle(self) -> None:
        """Not done."""
        raise NotReachedError(f"somebody has to take the power away and give it back: {_HELP}")

    async def bring(self, mode: str) -> None:
        """Not done."""
        raise NotReachedError(f"the device tells no mode: somebody has to bring it into mode {mode} (--ask)")


_HELP = "use --ask, or --panel DIR for a device of ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """What somebody who knows the device from inside lets the auditor see beside SMP.

    Attributes:
        look: values by name; they are compared before and after.
        decides: commands whose effect would show in these values.
    """

    look: Callable[[], Awaitable[Mapping[str, str]]]
    decides: frozenset[CommandKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """An image that the device takes.

    Attributes:
        data: the file.
        hash: what MCUboot and SMP call the image by.
        version: of it.
    """

    data: bytes
    hash: bytes
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is audited, and with what.

    Attributes:
        name: as people write it.
        policy: what the device is declared to obey.
        ways: an endpoint for each transport; each connection of it is another peer. The first is used for entering.
        strategy: how maintenance is entered; None: by hand alone.
        hand: who is at the device.
        next: a newer image than the one that runs, which the device takes; None: what needs one is not tried.
        good: the image that runs, or an older one that the device takes; None: what needs one is not tried.
        eye: more than SMP shows; None: nothing.
        max_wait_ms: longest wait for a lease, a lock-out or a time limit.
        settle_ms: how long after a batch the device is left alone before it is looked at; a reset is due within 250 ms.
    """

    name: str
    policy: Policy
    ways: Mapping[Transport, Endpoint]
    strategy: EntryStrategy | None = None
    hand: Hand = field(default_factory=NobodyThere)
    next: Firmware | None = None
    good: Firmware | None = None
    eye: Eye | None = None
    max_wait_ms: int = 60_000
    settle_ms: int = 2_500
