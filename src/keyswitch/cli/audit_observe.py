"""`keyswitch audit --observe COMMAND`: a program of the maker's that sees more of the device than SMP shows.

It prints one JSON object: `{"decides": ["shell.exec"], "values": {"reboots": "3"}}`. It is run around each batch;
an effect of a command that it decides has to show in its values.
"""

import asyncio
import shlex
from collections.abc import Mapping
from typing import Any, Final, cast

from keyswitch.audit.target import Eye, NotReachedError
from keyswitch.cli.interrupts import run_to_end
from keyswitch.errors import InputError
from keyswitch.files.documents import parse_json
from keyswitch.smp.commands import CommandKey, resolve

WITHIN_S: Final = 60
"""For one look: a debugger that attaches and reads a few pages takes seconds."""

_EXPECTED: Final = 'a program that prints {"decides": ["shell.exec"], "values": {"name": "text"}}'


def observer(command: str) -> Eye:
    """The program as an eye of the auditor; it is run once, to see what it decides.

    Raises:
        InputError: it cannot be run, or prints something else.
    """
    words = shlex.split(command)
    if not words:
        raise InputError("--observe", "is empty", _EXPECTED)
    try:
        document = run_to_end(_look(words))
    except NotReachedError as error:
        raise InputError(f"--observe {command}", str(error), _EXPECTED) from error

    async def look() -> Mapping[str, str]:
        return _values(await _look(words))

    return Eye(look=look, decides=_decides(document, command))


async def _look(words: list[str]) -> dict[str, Any]:
    """What the program prints now.

    Raises:
        NotReachedError: it did not end in time, or not well, or printed something else.
    """
    try:
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    except OSError as error:
        raise NotReachedError(f"cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(WITHIN_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise NotReachedError(f"did not end within {WITHIN_S} s") from None
    if process.returncode:
        raise NotReachedError(f"ended with exit code {process.returncode}")
    try:
        document: Any = parse_json(output, "its output", _EXPECTED)
    except InputError as error:
        raise NotReachedError(f"printed something else: {error.problem}") from error
    if not isinstance(document, dict):
        raise NotReachedError("printed something else than an object")
    read = cast("dict[str, Any]", document)
    _values(read)
    return read


def _values(document: Mapping[str, Any]) -> dict[str, str]:
    values: object = document.get("values")
    if not isinstance(values, dict):
        raise NotReachedError("printed no table of values")
    return {str(name): str(value) for name, value in cast("dict[str, object]", values).items()}


def _decides(document: Mapping[str, Any], command: str) -> frozenset[CommandKey]:
    patterns: object = document.get("decides")
    found: set[CommandKey] = set()
    for pattern in cast("list[object]", patterns) if isinstance(patterns, list) else []:
        keys = resolve(str(pattern))
        if not keys:
            raise InputError(
                f"--observe {command}", f"{pattern!r} names no command", "as in a policy: shell.exec, fs:write"
            )
        found |= keys
    if not found:
        raise InputError(f"--observe {command}", "it says of no command that it decides it", _EXPECTED)
    return frozenset(found)
