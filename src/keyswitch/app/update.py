"""An update as the application sees it: a request of plain values is prepared, then run, shown and recorded.

    prepared = prepare(UpdateRequest(target="ble:Pump 7", image=Path("pump.bin"), policy=Path("policy.toml")))
    result = await run(prepared, sink)

Rules:

* `prepare` reads and checks every file before anything is opened: bad input changes nothing.
* Whatever happens after that has a result, which is told and recorded.
"""

import asyncio
import logging
import secrets
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final, TypeVar

from keyswitch import __version__
from keyswitch.app.endpoints import AskPasskey, open_endpoint
from keyswitch.app.health import health_bound_ms, health_command
from keyswitch.app.recorder import EvidenceRecorder, read_signer, this_person
from keyswitch.app.request import UpdateRequest
from keyswitch.app.units import policy_of_unit
from keyswitch.errors import Field, InputError, Phrase
from keyswitch.host.access.by_hand import OPENED_BY_HAND, by_hand
from keyswitch.host.access.policy_profile import (
    KeyFiles,
    confirm_by,
    maintenance_mode,
    way_into,
    why_reverted,
)
from keyswitch.host.access.recipe_loader import read_recipe
from keyswitch.host.access.recipe_strategy import RecipeStrategy
from keyswitch.host.access.strategy import AlreadyOpen, EntryStrategy
from keyswitch.host.connect.endpoint import Endpoint
from keyswitch.host.report.run_record import PolicyHeader, RunHeader
from keyswitch.host.update.events import Ended, Event, Message, StepBegun, StepDone, StepFailed, Uploading, VerdictFound
from keyswitch.host.update.images import LEFT_OUT, CheckedImage, read_images
from keyswitch.host.update.job import ConfirmBy, Goal, Job, Outcome, Result
from keyswitch.host.update.no_way_back import no_way_back
from keyswitch.host.update.run import update as carry_out
from keyswitch.host.upload.frame_size import LARGEST_FRAME, LEAST_FRAME
from keyswitch.link.ports import Adapter, PairingNumbers
from keyswitch.mcuboot.keys import VerifiedHash, read_keys
from keyswitch.mcuboot.verify import NO_LIMITS
from keyswitch.policy.bootloader import keys_of, limits_of
from keyswitch.policy.fingerprints import fingerprints
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy
from keyswitch.policy.units import Unit
from keyswitch.terms import Security

_log = logging.getLogger(__name__)
_Words = TypeVar("_Words", bound=StrEnum)

RANDOM_LETTERS: Final = 5
"""Of a name that is drawn for one run: FL_xxxxx, as Nordic's tools draw it."""

MAX_NOTE: Final = 1_000
"""Characters of a note, a unit or a serial number: a paragraph; whole records stay short enough to be read."""

MAX_IMAGE_NUMBER: Final = 255
"""One byte numbers the images of a device."""

MAX_WINDOW: Final = 255
"""Requests under way: SMP's sequence number has eight bits (`keyswitch.smp.header`), and no two may be the same."""

Sink = Callable[[Event], None]
"""Is told what happens, as it happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request whose files are read and whose values fit each other.

    Attributes:
        request: what was asked for.
        policy: the device's policy, None without one.
        images: what is in the file.
        job: what is to be done.
        endpoint: the way to the device; nothing is opened yet.
        recording: begins the record of the run; None if it is not recorded.
    """

    request: UpdateRequest
    policy: Policy | None
    images: tuple[CheckedImage, ...]
    job: Job
    endpoint: Endpoint
    recording: Callable[[], EvidenceRecorder] | None = None


def prepare(
    request: UpdateRequest,
    *,
    ask_passkey: AskPasskey | None = None,
    numbers: PairingNumbers | None = None,
    radio: Callable[[], Adapter | None] | None = None,
    held: bool = True,
) -> Prepared:
    """Read the files that the request names, and check its values against each other. Nothing is opened.

    Args:
        request: what is asked for.
        ask_passkey: asks a person for the six digits that the device shows; None: pairing without digits.
        numbers: shows that person numbers, to be compared or typed on the device.
        radio: the radio to reach it over, closed at the end of the run, asked for when all else is right; None, or
            where it gives none: the target's own.
        held: what entry is proved with is here; False: who will update the device has it, and it is not read.

    Raises:
        InputError: a file cannot be used, or values contradict each other.
    """
    goal = _goal(request.only)
    _check_numbers(request)
    if request.image is None and goal not in {Goal.CONFIRM, Goal.LEAVE}:
        raise InputError(Field("image"), "missing", Phrase("a signed image, or {only} confirm"))
    if goal is Goal.LEAVE and (request.image is not None or request.stay):
        useless = Field("image") if request.image is not None else Field("stay")
        raise InputError(useless, Phrase("means nothing with {only} leave: nothing is installed"), "one of the two")
    if request.health is not None and goal is Goal.UPLOAD:
        problem = Phrase("means nothing with {only} upload: the image is not started")
        raise InputError(Field("health"), problem, "one of the two")
    policy, unit = policy_of_unit(request.policy, request.inventory, request.unit)
    _check_new_policy(policy, request)
    images = _images(policy, request)
    job = Job(
        images=tuple(checked.image for checked in images),
        goal=goal,
        way=_way(policy, request, held=held),
        confirm_by=_confirm_by(policy, request.confirm_by),
        health=None if request.health is None else health_command(request.health, health_bound_ms(policy, request.to)),
        most_outstanding=request.window,
        max_frame=request.frame,
        stay=request.stay,
        downgrade=request.downgrade,
        unchecked=request.unchecked,
        force=request.force,
        bootloader=None if policy is None else policy.bootloader.algorithm.boot_mode,
    )
    _check_security(policy, request)
    return Prepared(
        request=request,
        policy=policy,
        images=images,
        job=job,
        recording=_recording(policy, images, job, request, unit),
        endpoint=open_endpoint(
            request.target,
            pair=request.pair,
            passkey=request.passkey,
            bonds=request.bonds,
            capture=request.capture,
            ask_passkey=ask_passkey,
            numbers=numbers,
            radio=None if radio is None else radio(),
        ),
    )


async def run(prepared: Prepared, sink: Sink) -> Result:
    """Carry the update out; every event is told, and recorded where that was asked for.

    Cancelled, it ends the update, leaves the device as the run has left it, and raises `CancelledError`; the last event
    (`Ended`) holds what is true then, and so does the record.

    Raises:
        InputError: the record cannot be begun, and nothing was told; or the target names several devices, which was
            told as a result that is refused.
    """
    recorder = prepared.recording() if prepared.recording is not None else None
    guide = _Guide(prepared.policy)
    begun_at = asyncio.get_running_loop().time()

    def tell(event: Event) -> None:
        event = guide.heard(event)
        if recorder is not None:
            recorder.add(event)
        _note(event)
        sink(event)

    def fail(outcome: Outcome, detail: str) -> None:
        duration_ms = round((asyncio.get_running_loop().time() - begun_at) * 1000)
        result = Result(outcome=outcome, detail=detail, duration_ms=duration_ms, device=prepared.endpoint.known_by)
        tell(Ended(result=result, at_ms=duration_ms))

    for words in _said_first(prepared):
        tell(Message(text=words, at_ms=0))
    try:
        return guide.advised(await carry_out(prepared.endpoint, prepared.job, sink=tell))
    except InputError as error:
        fail(Outcome.REFUSED, str(error))
        raise
    except Exception as error:
        fail(Outcome.FAILED, f"a bug in keyswitch: {type(error).__name__}: {error}")
        raise
    finally:
        try:
            await prepared.endpoint.close()
        finally:
            if recorder is not None:
                recorder.end()


def _said_first(prepared: Prepared) -> Iterator[str]:
    """What a person should know before anything is sent: of the files, and of what the bootloader cannot do."""
    images, policy = prepared.job.images, prepared.policy
    yield from (f"{LEFT_OUT}: {image.left_out}" for image in images if image.left_out)
    if images and policy is not None:
        yield from no_way_back(policy.bootloader.algorithm.boot_mode)


class _Guide:
    """Adds to a refusal what somebody at the device can do, as the policy has it."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy
        self._mode: str | None = None

    def heard(self, event: Event) -> Event:
        """The event, as it is told."""
        match event:
            case VerdictFound(verdict=verdict):
                self._mode = verdict.mode or self._mode
            case Ended(result=result):
                return replace(event, result=self.advised(result))
            case _:
                pass
        return event

    def advised(self, result: Result) -> Result:
        """The result, with the way in by hand behind its next step."""
        policy, mode = self._policy, self._mode
        opens = result.outcome is Outcome.REFUSED and result.reason in OPENED_BY_HAND
        hand = by_hand(policy, mode) if opens and policy is not None and mode is not None else ""
        if not hand:
            return result
        return replace(result, next_step="; or by hand: ".join(each for each in (result.next_step, hand) if each))


async def update(
    request: UpdateRequest,
    sink: Sink | None = None,
    *,
    ask_passkey: AskPasskey | None = None,
    numbers: PairingNumbers | None = None,
) -> Result:
    """`prepare` and `run` in one; a refusal or a failure is a result (`Result.outcome`), not an exception.

    Args:
        request: what is asked for.
        sink: is told what happens, as it happens; None: nobody is.
        ask_passkey: asks a person for the six digits that the device shows; None: pairing without digits.
        numbers: shows that person numbers, to be compared or typed on the device.

    Raises:
        InputError: a file cannot be used, values contradict each other, or the target names several devices.
    """
    return await run(prepare(request, ask_passkey=ask_passkey, numbers=numbers), sink or (lambda _event: None))


def _note(event: Event) -> None:
    """Log what happens, but for each piece of an upload."""
    match event:
        case StepBegun():
            _log.info("%s: %s", event.name.value, event.says)
        case StepDone():
            _log.info("%s: done", event.name.value)
        case StepFailed():
            _log.info("%s: not done: %s", event.name.value, event.why)
        case VerdictFound():
            _log.info("gate: %s", event.verdict.line)
        case Message():
            _log.info("%s", event.text)
        case Ended():
            _log.info("%s", event.result.line)
        case Uploading():
            pass


def _chosen(words: type[_Words], field: str, word: str) -> _Words:
    """The member of an enum that a field of the request names."""
    for each in words:
        if each.value == word:
            return each
    raise InputError(Field(field), f"{word!r}", f"one of {', '.join(each.value for each in words)}")


def _goal(word: str | None) -> Goal:
    return Goal.FULL if word is None else _chosen(Goal, "only", word)


def _check_numbers(request: UpdateRequest) -> None:
    numbers = (
        ("image_number", 0, MAX_IMAGE_NUMBER),
        ("window", 1, MAX_WINDOW),
        ("frame", LEAST_FRAME, LARGEST_FRAME),
    )
    for name, least, most in numbers:
        value: int | None = getattr(request, name)
        if value is not None and not least <= value <= most:
            raise InputError(Field(name), f"{value}", f"{least} to {most}")


def _check_new_policy(policy: Policy | None, request: UpdateRequest) -> None:
    """The image's firmware must be able to go on with the session that brings it."""
    path = request.new_policy
    if path is None:
        return
    if policy is None:
        wanted = Phrase("{policy} FILE")
        raise InputError(Field("new_policy"), "means nothing without the device's policy", wanted)
    why = why_reverted(policy, read_policy(path), request.to or maintenance_mode(policy))
    if why is not None and not request.unchecked:
        problem = f"{why}: the new firmware would revert this update"
        raise InputError(Field("new_policy", str(path)), problem, "the mode under its old name")


def _check_security(policy: Policy | None, request: UpdateRequest) -> None:
    """A mode that cannot be used over this link must not be entered: it could not be left either.

    The computer's own adapter pairs by its system, when the device asks for it.
    """
    if policy is None or request.pair or not request.target.startswith("hci:"):
        return
    mode = policy.modes[request.to or maintenance_mode(policy)]
    if mode.security > Security.NONE:
        where = f"{policy.origin}: modes.{mode.name}.security"
        raise InputError(where, f"the device asks for a link that is {mode.security.word}", Phrase("{pair}"))


def _policy_header(policy: Policy) -> PolicyHeader:
    return PolicyHeader(file=policy.origin, sha256=policy.digest.hex(), keys=fingerprints(policy))


def _recording(
    policy: Policy | None, images: tuple[CheckedImage, ...], job: Job, request: UpdateRequest, unit: Unit | None
) -> Callable[[], EvidenceRecorder] | None:
    for name in ("sign", "unit", "serial_number", "note"):
        value = getattr(request, name)
        chooses = name == "unit" and unit is not None
        if value is not None and request.evidence is None and not chooses:
            raise InputError(Field(name), "means nothing without evidence", Phrase("{evidence} FILE"))
        if isinstance(value, str) and len(value) > MAX_NOTE:
            raise InputError(Field(name), f"{len(value):,} characters", f"at most {MAX_NOTE:,}")
    if unit is not None and unit.serial and request.serial_number not in {None, unit.serial}:
        problem = f"{request.serial_number!r}, and unit {unit.id} of the inventory has {unit.serial!r}"
        raise InputError(Field("serial_number"), problem, "the same of both: this may be another device")
    if request.evidence is None:
        return None
    circumstances = RunHeader(
        who=this_person(),
        tool=f"keyswitch {__version__}",
        target=request.target,
        policy=None if policy is None else _policy_header(policy),
        images=images,
        job=job,
        device_id=None if policy is None else policy.device.id,
        unit=request.unit if unit is None else unit.id,
        serial_number=request.serial_number or (None if unit is None else unit.serial),
        note=request.note,
    )
    return partial(EvidenceRecorder, request.evidence, circumstances, read_signer(request.sign))


def _images(policy: Policy | None, request: UpdateRequest) -> tuple[CheckedImage, ...]:
    if request.image is None:
        return ()
    keys = read_keys(*request.keys)
    if not keys and policy is not None:
        keys = keys_of(policy)
    limits = limits_of(policy) if policy is not None else NO_LIMITS
    build = limits.hash if request.hash is None else _chosen(VerifiedHash, "hash", request.hash)
    overruled = partial(replace, decrypts=request.decrypts, unpacks=request.unpacks, hash=build)
    numbers = range(len(policy.bootloader.images)) if policy is not None else ()
    images = read_images(
        request.image,
        keys=keys,
        limits=overruled(limits),
        others={number: overruled(limits_of(policy, number)) for number in numbers if policy is not None},
        number=request.image_number,
        overrule=request.unchecked,
    )
    if policy is not None and policy.bootloader.images:
        _check_image_numbers(policy, str(request.image), images)
    return images


def _check_image_numbers(policy: Policy, file: str, images: tuple[CheckedImage, ...]) -> None:
    """Raises: InputError: the device has no such image, or does not take them all in one update."""
    there = ", ".join(str(number) for number in range(len(policy.bootloader.images)))
    numbers = sorted({each.image.number for each in images})
    strange = [number for number in numbers if number >= len(policy.bootloader.images)]
    if strange:
        raise InputError(file, f"image {strange[0]}, and {policy.origin} has {there}", f"images {there}")
    if len(numbers) > 1 and not policy.update.simultaneous:
        told = " and ".join(str(number) for number in numbers)
        problem = f"images {told}, and {policy.origin} has them updated one after the other (update.simultaneous)"
        raise InputError(file, problem, Phrase(f"{{image_number}} {numbers[-1]}, then the others"))


def recipe_way(recipe: str, variables: Mapping[str, str]) -> RecipeStrategy:
    """The way that a recipe describes, for one run.

    Args:
        recipe: name of a shipped one, or a file.
        variables: that the person sets.

    Raises:
        InputError: there is none, it is not valid, or a variable is set that it does not have.
    """
    random = "".join(secrets.choice(string.ascii_lowercase) for _ in range(RANDOM_LETTERS))
    return RecipeStrategy(read_recipe(recipe), random=random, given=variables)


def _way(policy: Policy | None, request: UpdateRequest, *, held: bool) -> EntryStrategy:
    if request.recipe is not None:
        if policy is not None:
            raise InputError(Field("recipe"), "a policy is given as well", Phrase("one of {policy} and {recipe}"))
        return recipe_way(request.recipe, dict(request.variables))
    keys = KeyFiles(secret=request.secret, permit=request.permit, holder=request.holder)
    if policy is not None:
        return way_into(policy, to=request.to, keys=keys, held=held)
    for name in ("to", "secret", "permit", "holder"):
        if getattr(request, name) is not None:
            raise InputError(Field(name), "means nothing without a policy", Phrase("{policy} FILE"))
    return AlreadyOpen()


def _confirm_by(policy: Policy | None, word: str | None) -> ConfirmBy:
    if word is not None:
        return _chosen(ConfirmBy, "confirm_by", word)
    return confirm_by(policy) if policy is not None else ConfirmBy.OPERATOR
