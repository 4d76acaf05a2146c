"""Entry recipes: how devices that are not ours are brought into their update mode, as data; read from files elsewhere.

A recipe says nothing about how an update goes: that is found out from the device once it is inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from keyswitch.smp.group import Command

WITHIN_MS: Final = 30_000
"""How long a device may take to come back: a bootloader, a check of the image, advertising."""


class Again(StrEnum):
    """How the device is known after it has restarted."""

    SAME = "same"
    NAME = "name"
    NEXT_ADDRESS = "next address"
    """The address of before plus one: what Nordic's buttonless bootloader does without a bond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmpStep:
    """Send a command. `restarts`: the device restarts after its answer."""

    command: Command
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    restarts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingStep:
    """Write a setting. `save`: also store all settings, so that it survives the restart."""

    name: str
    value: str
    save: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GattStep:
    """Write to a characteristic, with response; with `expect`, wait for a notification or indication that begins so."""

    service: str
    characteristic: str
    data: bytes
    expect: bytes = b""
    within_ms: int = WITHIN_MS
    restarts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptStep:
    """Ask a person to do something, and wait for the device to change."""

    text: str
    within_ms: int = WITHIN_MS


RecipeStep = SmpStep | SettingStep | GattStep | PromptStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way into an update mode and out of it.

    Attributes:
        name: of the recipe.
        about: one line, for people.
        variables: words that values may name in braces.
        enter: the steps in.
        leave: the steps out; none where the device leaves by itself with the update's reset.
        again: how the device is known afterwards.
        again_name: its name then, with `Again.NAME`.
        shows_smp: whether it advertises the SMP service then.
        within_ms: how long it may take.
        serves: commands that are answered inside.
        refuses: commands that are unknown inside.
    """

    name: str
    about: str
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    enter: tuple[RecipeStep, ...] = ()
    leave: tuple[RecipeStep, ...] = ()
    again: Again = Again.SAME
    again_name: str = ""
    shows_smp: bool = True
    within_ms: int = WITHIN_MS
    serves: tuple[Command, ...] = ()
    refuses: tuple[Command, ...] = ()
