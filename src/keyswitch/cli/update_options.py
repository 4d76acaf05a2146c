"""What the options of `keyswitch update` mean: files read and checked, a job made, before anything is opened."""

import asyncio
import getpass
import os
import platform
import secrets
import shlex
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from keyswitch import __version__
from keyswitch.cli.opening import open_reach
from keyswitch.errors import InputError
from keyswitch.evidence.chain import Signer
from keyswitch.host import account
from keyswitch.host.account import Account, Circumstances
from keyswitch.host.events import Event
from keyswitch.host.images import CheckedImage, read_images
from keyswitch.host.job import ConfirmBy, Goal, HealthCheck, Job
from keyswitch.host.journal import append, close
from keyswitch.host.ours import (
    KeyFiles,
    confirm_by,
    image_keys,
    image_limits,
    maintenance_mode,
    read_keys,
    trial_ms,
    way_into,
    why_reverted,
)
from keyswitch.host.reach import Reach
from keyswitch.host.recipe_file import read_recipe
from keyswitch.host.recipe_way import RecipeWay
from keyswitch.host.way import NoWay, Way
from keyswitch.mcuboot.verify import NO_LIMITS
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_private_key
from keyswitch.terms import Security

RANDOM_LETTERS: Final = 5
"""Of a name that is drawn for one run: FL_xxxxx, as Nordic's tools draw it."""

HEALTH_MS: Final = 90_000
"""Bound for a health command: while it runs the device is asked nothing, and the shipped policy ends a trial, and a
session that is idle, after 120 s."""

MAX_NOTE: Final = 1_000
"""Characters of a note, a unit or a serial number: a paragraph; whole records stay short enough to be read."""

STDERR: Final = 2
"""The descriptor that a health command writes to: stdout belongs to the run's own lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options, checked against each other.

    Attributes:
        target: as it was written.
        image: file to install, None with `--only confirm`.
        policy: the device's policy.
        images: what is in the file.
        job: what is to be done.
        reach: the way to the device; nothing is opened yet.
        recording: begins the record of the run; None if it is not recorded.
    """

    target: str
    image: Path | None
    policy: Policy | None
    images: tuple[CheckedImage, ...]
    job: Job
    reach: Reach
    recording: "Callable[[], Evidence] | None" = None

    @classmethod
    def of(cls, *, target: str, image: Path | None, **given: Any) -> Self:
        """Read the files that the options name.

        Raises:
            InputError: a file cannot be used, or options contradict each other.
        """
        goal = Goal(given["only"] or "full")
        if image is None and goal is not Goal.CONFIRM:
            raise InputError("IMAGE", "missing", "a signed image, or --only confirm")
        if given["health"] is not None and goal is Goal.UPLOAD:
            raise InputError("--health", "means nothing with --only upload: the image is not started", "one of the two")
        policy = read_policy(given["policy"]) if given["policy"] is not None else None
        _check_new_policy(policy, given)
        images = () if image is None else _images(image, policy, given)
        job = Job(
            images=tuple(checked.image for checked in images),
            goal=goal,
            way=_way(policy, given),
            confirm_by=_confirm_by(policy, given["confirm_by"]),
            health=_health(given["health"], _health_ms(policy, given["to"])),
            most_outstanding=given["window"],
            stay=given["stay"],
            downgrade=given["downgrade"],
            unchecked=given["unchecked"],
        )
        _check_security(target, policy, given)
        recording = _recording(target, policy, images, job, given)
        reach = open_reach(target, pair=given["pair"], passkey=given["passkey"], bonds=given["bonds"])
        return cls(target=target, image=image, policy=policy, images=images, job=job, reach=reach, recording=recording)


class Evidence:
    """Records one run: one record when it begins, one when it ends, and one that closes the chain."""

    def __init__(self, path: Path, circumstances: Circumstances, signer: Signer | None) -> None:
        self._path = path
        self._signer = signer
        self._account = Account()
        body = account.begun(circumstances)
        self._clock = platform.node() or "this computer"
        self._run = append(path, at=_now(), clock=self._clock, kind="update begun", body=body, signer=signer).n

    def add(self, event: Event) -> None:
        """Take note of what happens."""
        self._account.add(event)

    def end(self) -> None:
        """Write the record that the run ends with, however it ends, and close the chain."""
        body = account.ended(self._account, run=self._run)
        append(self._path, at=_now(), clock=self._clock, kind="update ended", body=body, signer=self._signer)
        close(self._path, at=_now(), clock=self._clock, signer=self._signer)


def _check_new_policy(policy: Policy | None, given: dict[str, Any]) -> None:
    """The image's firmware must be able to go on with the session that brings it."""
    path = given["new_policy"]
    if path is None:
        return
    if policy is None:
        raise InputError("--new-policy", "means nothing without the device's policy", "--policy FILE")
    why = why_reverted(policy, read_policy(path), given["to"] or maintenance_mode(policy))
    if why is not None and not given["unchecked"]:
        raise InputError(
            f"--new-policy {path}", f"{why}: the new firmware would revert this update", "the mode under its old name"
        )


def _check_security(target: str, policy: Policy | None, given: dict[str, Any]) -> None:
    """A mode that cannot be used over this link must not be entered: it could not be left either.

    The computer's own adapter pairs by its system, when the device asks for it.
    """
    if policy is None or given["pair"] or not target.startswith("hci:"):
        return
    mode = policy.modes[given["to"] or maintenance_mode(policy)]
    if mode.security > Security.NONE:
        where = f"{policy.origin}: modes.{mode.name}.security"
        raise InputError(where, f"the device asks for a link that is {mode.security.word}", "--pair")


def _recording(
    target: str, policy: Policy | None, images: tuple[CheckedImage, ...], job: Job, given: dict[str, Any]
) -> Callable[[], Evidence] | None:
    path, key = given["evidence"], given["sign"]
    told = {name: given[name] for name in ("unit", "serial_number", "note")}
    for name, value in {"sign": key, **told}.items():
        option = f"--{name.replace('_', '-')}"
        if value is not None and path is None:
            raise InputError(option, "means nothing without evidence", "--evidence FILE")
        if isinstance(value, str) and len(value) > MAX_NOTE:
            raise InputError(option, f"{len(value):,} characters", f"at most {MAX_NOTE:,}")
    if path is None:
        return None
    circumstances = Circumstances(
        who=f"{_user()}@{platform.node()}",
        tool=f"keyswitch {__version__}",
        target=target,
        policy=None if policy is None else (policy.origin, policy.digest.hex()),
        images=images,
        job=job,
        device_id=None if policy is None else policy.device.id,
        **told,
    )
    signer = _signer(key)
    return lambda: Evidence(path, circumstances, signer)


def _user() -> str:
    """The person's account; its number where it has no name, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no such account; the same from Python 3.13 on; no accounts at all
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def _signer(key: Path | None) -> Signer | None:
    if key is None:
        return None
    from keyswitch.evidence.signing import EvidenceSigner  # noqa: PLC0415 - cryptography, only where it is needed

    return EvidenceSigner(read_private_key(key))


def _now() -> str:
    """UTC by this computer's clock; whether that clock is right is not ours to say."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _images(image: Path, policy: Policy | None, given: dict[str, Any]) -> tuple[CheckedImage, ...]:
    keys = read_keys(*given["keys"])
    if not keys and policy is not None:
        keys = image_keys(policy)
    limits = image_limits(policy) if policy is not None else NO_LIMITS
    return read_images(image, keys=keys, limits=limits, number=given["image_number"], overrule=given["unchecked"])


def _way(policy: Policy | None, given: dict[str, Any]) -> Way:
    if given["recipe"] is not None:
        if policy is not None:
            raise InputError("--recipe", "a policy is given as well", "one of --policy and --recipe")
        random = "".join(secrets.choice(string.ascii_lowercase) for _ in range(RANDOM_LETTERS))
        return RecipeWay(read_recipe(given["recipe"]), random=random, given=_variables(given["variables"]))
    keys = KeyFiles(secret=given["secret"], permit=given["permit"], holder=given["holder"])
    if policy is not None:
        return way_into(policy, to=given["to"], keys=keys)
    for name in ("to", "secret", "permit", "holder"):
        if given[name] is not None:
            raise InputError(f"--{name}", "means nothing without a policy", "--policy FILE")
    return NoWay()


def _variables(assignments: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise InputError("--set", f"{assignment!r}", "NAME=VALUE")
        found[name] = value
    return found


def _confirm_by(policy: Policy | None, word: str | None) -> ConfirmBy:
    if word is not None:
        return ConfirmBy(word)
    return confirm_by(policy) if policy is not None else ConfirmBy.OPERATOR


def _health_ms(policy: Policy | None, to: str | None) -> int:
    limit_ms = trial_ms(policy, to or maintenance_mode(policy)) if policy is not None else None
    return HEALTH_MS if limit_ms is None else min(HEALTH_MS, limit_ms)


def _health(command: str | None, bound_ms: int) -> HealthCheck | None:
    if command is None:
        return None
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError("--health", f"{command!r}: {error}", "a command as a shell reads it") from error
    if not words:
        raise InputError("--health", "an empty command", "a command to run")

    async def check() -> str | None:
        try:
            process = await asyncio.create_subprocess_exec(*words, stdout=STDERR)
        except OSError as error:
            return f"{words[0]}: {error.strerror or error}"
        try:
            async with asyncio.timeout(bound_ms / 1000):
                code = await process.wait()
        except TimeoutError:
            return f"{words[0]} took longer than {bound_ms / 1000:g} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return f"{words[0]} ended with {code}" if code else None

    return check
