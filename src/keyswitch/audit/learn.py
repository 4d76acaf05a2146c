"""A first sketch of what a device promises, from what it answers: a policy file for somebody who knows it to correct.

Rules:

* Only read requests are sent. What a device answers now is what it serves in the mode in which it is now; nothing is
  written for commands that change something, because whether those are refused is what an audit has to find out.
* Nothing is guessed: what was not seen stands in the file as a question.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from keyswitch.audit.wire import Attempt, Told, Visit, attempt, key_name
from keyswitch.host.smp.queries import ModeState, mode_if_any, read_params
from keyswitch.host.smp.reply import Refusal
from keyswitch.policy.enums import Visibility
from keyswitch.smp.commands import ALL_KEYS, CommandKey
from keyswitch.smp.groups import fs, mode, settings
from keyswitch.smp.header import Op
from keyswitch.terms import Transport
from keyswitch.text import plain

_BODIES: Final[dict[int, dict[str, object]]] = {
    settings.ID: {"name": "app/ks-audit"},
    fs.ID: {"name": "/lfs1/ks-audit", "off": 0},
}
_MODE: Final = re.compile("[a-z][a-z0-9_-]{0,31}")
"""What can be the name of a mode in a policy."""
READS: Final = tuple(sorted(key for key in ALL_KEYS if key.op == Op.READ and key.group != mode.ID))


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a device showed in one mode.

    Attributes:
        served: read commands that were carried out, or answered by the command itself.
        refused: read commands that were refused, with the words of the device.
        state: of the mode group; None from a device without one.
        buffers: size and number of its buffers; None: it does not tell.
        shows_smp: whether firmware commands could be sent at all.
    """

    served: frozenset[CommandKey]
    refused: dict[CommandKey, str]
    state: ModeState | None = None
    buffers: tuple[int, int] | None = None
    shows_smp: bool = True


async def look(visit: Visit) -> Looked:
    """Ask everything that can be asked without changing anything."""
    state = await mode_if_any(visit.mode)
    if visit.smp is None:
        return Looked(served=frozenset(), refused={}, state=state, shows_smp=False)
    params = await read_params(visit.smp)
    served: set[CommandKey] = set()
    refused: dict[CommandKey, str] = {}
    for key in READS:
        outcome = await visit.try_out(_question(key))
        if outcome.told in {Told.SERVED, Told.HANDLED}:
            served.add(key)
        else:
            refused[key] = outcome.words
    buffers = None if isinstance(params, Refusal) else (params.buf_size, params.buf_count)
    return Looked(served=frozenset(served), refused=refused, state=state, buffers=buffers)


def _question(key: CommandKey) -> Attempt:
    return attempt("--learn", key, key_name(key), _BODIES.get(key.group))


def sketch(target: str, transport: Transport, outside: Looked, inside: Looked | None, *, tool: str, at: str) -> str:
    """The text of a policy file.

    Args:
        target: as it was written.
        transport: by which it was looked at.
        outside: what it showed in the mode in which it was found.
        inside: what it showed in maintenance; None: nobody brought it there.
        tool: name and version of this program.
        at: when, in ISO 8601.
    """
    told, told_name = ("", "") if outside.state is None else (outside.state.mode, outside.state.device)
    initial = told if _MODE.fullmatch(told) and told != "maintenance" else "normal"
    size, count = outside.buffers or (inside.buffers if inside is not None and inside.buffers else (384, 4))
    lines = [
        f"# What {plain(target)} promises, as far as read requests tell. Written by {tool} on {at}.",
        "# A sketch: correct it to what the product shall do, then audit the device against it.",
        *_mode_group_words(outside),
        "schema = 1",
        "",
        "[device]",
        f"name = {_quoted(_name_of(told_name or target))}",
        f"initial_mode = {_quoted(initial)}",
        "bypasses = []                     # ways past the gate that no policy can close: debug port, recovery pin?",
        "",
        f"[modes.{initial}]",
        "# What was answered in the mode in which the device was found. Shall it be, in this mode? Are there others?",
        f"allow = {_allow(outside, ('mode',) if outside.state is not None else ())}",
        *(f"# refused: {key_name(key)}: {plain(words)}" for key, words in sorted(outside.refused.items())),
        "",
        "[modes.maintenance]",
        "maintenance = true                # the only kind of mode in which firmware may change",
        *_maintenance(inside),
        "# lease_s = 900                   # does it end by itself?",
        "",
        "# How is maintenance entered? Without a [[transitions]] here: with --ask, or --recipe.",
        "",
        "[smp]",
        f"transports = [{_quoted(transport.value)}]",
        f"buf_size = {size}",
        f"buf_count = {count}",
    ]
    if transport is Transport.BLE:
        hidden = not outside.shows_smp
        service = Visibility.RECONNECT if hidden else Visibility.ALWAYS
        seen = "hidden where it was found" if hidden else "shown where it was found"
        lines += ["", "[gate]", f"service = {_quoted(service.value)}  # {seen}; does it change under a connection?"]
    return "\n".join(lines) + "\n"


def _mode_group_words(outside: Looked) -> list[str]:
    if outside.state is None:
        return ["# The device has no mode group: a person (--ask) or a recipe (--recipe) brings it into each mode."]
    digest = outside.state.policy.hex() or "none"
    return [f"# It has a mode group, is in mode {outside.state.mode}, and tells the policy {digest}: use that one."]


def _maintenance(inside: Looked | None) -> list[str]:
    if inside is None:
        return ['allow = ["os", "image"]           # nobody brought it there: what shall be served inside?']
    return ["# What was answered there, and firmware commands.", f"allow = {_allow(inside, ('os', 'image'))}"]


def _allow(looked: Looked, more: Iterable[str]) -> str:
    groups = tuple(more)
    own = [name for key in sorted(looked.served) if (name := key_name(key)).split(".")[0] not in groups]
    return "[" + ", ".join(_quoted(each) for each in (*groups, *own)) + "]"


def _name_of(target: str) -> str:
    """A name that a policy can have: what people wrote, without what is no name."""
    return "".join(char for char in plain(target) if char.isalnum() or char in " .-_")[:20].strip() or "device"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
