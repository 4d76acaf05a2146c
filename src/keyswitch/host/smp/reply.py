"""What a device answered, as a value: the result asked for, or a refusal. Every shape that servers are known to send.

    {…}                            a result; an empty map is one too
    {rc: 0, …}                     a result of an older server
    {rc: N}, {rc: N, rsn: text}    refused with a code that all groups share, in both protocol versions
    {err: {group: G, rc: N}}       refused with a code of group G, which need not be the group that was asked
    {err: {…}, off: N}             the same with result keys beside it (Zephyr does this to uploads)

Rules:

* A code is looked for first, before any result key: `{rc: 11}` is no upload answer without an offset.
* Unknown groups, codes and keys are tolerated: a number that nobody named is told as a number.
* What is none of these is the device's fault: `RemoteError`.
* Words of a device are made harmless where they come in (`plain`): they are shown to people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from keyswitch.errors import RemoteError
from keyswitch.reasons import Reason, detail_words, format_reason
from keyswitch.smp.codes import Rc, rc_name
from keyswitch.smp.commands import GROUPS
from keyswitch.text import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The command was carried out.

    Attributes:
        values: what it told; keys that we do not know among them.
        version: protocol version of the answer's header, 0 or 1.
    """

    values: Mapping[str, Any]
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The command was not carried out.

    Attributes:
        code: the number of the code.
        group: whose code it is; None for the codes that all groups share (`keyswitch.smp.codes.Rc`).
        text: what the device said about it in words (`rsn`), empty if nothing.
        beside: result keys that stood beside the code.
        version: protocol version of the answer's header, 0 or 1.
    """

    code: int
    group: int | None = None
    text: str = ""
    beside: Mapping[str, Any] = field(default_factory=dict[str, Any])
    version: int = 1

    def is_rc(self, rc: Rc) -> bool:
        """Whether this is that shared code."""
        return self.group is None and self.code == rc

    @property
    def name(self) -> str:
        """The code's name, with its group where it has one; a number where nobody named it."""
        if self.group is None:
            return rc_name(self.code)
        known = GROUPS.get(self.group)
        if known is None:
            return f"group {self.group} code {self.code}"
        try:
            return f"{known.name} {known.errors(self.code).name}"
        except ValueError:
            return f"{known.name} code {self.code}"

    @property
    def reason(self) -> Reason | None:
        """The reason in `rsn`, if the device speaks our words (`keyswitch.reasons`)."""
        return reason_of(self.text)

    def __str__(self) -> str:
        """For people: the reason in words, where the device gives one of ours; else the code and what it says."""
        reason = self.reason
        if reason is not None:
            return format_reason(reason, detail_words(reason, split_reason(self.text)[1]))
        text = self.text or (_UNKNOWN_COMMAND if self.is_rc(Rc.ENOTSUP) else "")
        return f"{self.name}: {text}" if text else self.name


_UNKNOWN_COMMAND: Final = "the device does not have this command"
"""What a server means that answers so to a group or command (SMP specification, management error codes)."""

Reply = Answer | Refusal


def reason_of(said: str) -> Reason | None:
    """The reason that a device's words begin with, None if they are not ours (`keyswitch.reasons.format_reason`)."""
    word = said.partition(":")[0].strip()
    return Reason(word) if word in set(Reason) else None


def split_reason(said: str) -> tuple[Reason | None, str]:
    """A device's words as the reason that they begin with, and what stands behind it; None and all of it if none."""
    reason = reason_of(said)
    return (None, said) if reason is None else (reason, said.partition(":")[2].strip())


def classify(values: Mapping[str, Any], *, version: int = 1) -> Reply:
    """What the map of an answer means.

    Raises:
        RemoteError: `rc` or `err` is there but is not what the protocol says.
    """
    beside = {key: value for key, value in values.items() if key not in {"rc", "err", "rsn"}}
    text = values.get("rsn")
    said = plain(text) if isinstance(text, str) else ""
    if "err" in values:
        group, code = _group_error(values["err"])
        if code:
            return Refusal(code=code, group=group, text=said, beside=beside, version=version)
    code = _number(values.get("rc", 0), "rc")
    if code:
        return Refusal(code=code, text=said, beside=beside, version=version)
    if "rc" in values or "err" in values:
        return Answer(values=beside, version=version)
    return Answer(values=values, version=version)


def _group_error(item: object) -> tuple[int, int]:
    if not isinstance(item, dict):
        raise RemoteError(f"the answer's err is not a map but {item!r}")
    fields = cast("dict[object, object]", item)
    return _number(fields.get("group"), "err.group"), _number(fields.get("rc"), "err.rc")


def _number(item: object, key: str) -> int:
    if isinstance(item, bool) or not isinstance(item, int):
        raise RemoteError(f"the answer's {key} is not a number but {item!r}")
    return item
