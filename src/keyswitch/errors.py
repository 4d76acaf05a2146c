"""One root for everything that can go wrong; the class says whose fault it is.

* `InputError`: the person's: a file, an argument or an option that cannot be used. Says where and what was expected.
* `LocalError`: ours: a call that the program's own rules forbid. A bug, or a caller who did not read the contract.
* `RemoteError`: the peer's: bytes or an order of events that the protocol forbids.
* `LinkLostError`: the link's: the way to the peer is gone or never was.

A *refusal* is none of these: it is a value with a reason (`keyswitch.reasons`), because being refused is normal here.
"""

from keyswitch.exits import Exit
from keyswitch.text import plain


class KeyswitchError(Exception):
    """The root. `exit_code` is what a command ends with when nobody handles the error.

    Its text is one harmless line, whatever was read, received or typed stands in it (`keyswitch.text.plain`).
    """

    exit_code: Exit = Exit.NO

    def __init__(self, line: str = "") -> None:
        super().__init__(plain(line))


class InputError(KeyswitchError):
    """A file, argument or option that cannot be used; nothing was changed.

    Args:
        where: what was read: a path, a path with a key (`policy.toml: modes.normal.allow[2]`), or an option.
        problem: what is wrong there, in one line.
        expected: what would be right, in one line; empty where the problem says it.
    """

    exit_code = Exit.USAGE

    def __init__(self, where: str, problem: str, expected: str = "") -> None:
        self.where = where
        self.problem = problem
        self.expected = expected
        super().__init__(f"{where}: {problem}" + (f" (expected {expected})" if expected else ""))


class LocalError(KeyswitchError):
    """A call that our own rules forbid: a bug on this side."""

    exit_code = Exit.FAULT


class RemoteError(KeyswitchError):
    """The peer sent what the protocol forbids. Says what, and where in the bytes if that is known."""

    exit_code = Exit.UNKNOWN


class LinkLostError(KeyswitchError):
    """The link to the peer is gone, or could not be made within its bound."""

    exit_code = Exit.UNREACHABLE
