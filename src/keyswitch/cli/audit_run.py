"""One audit: prepared from what was given, carried out, compared, controlled, written."""

import asyncio
import hashlib
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from keyswitch import __version__
from keyswitch.app.endpoints import open_endpoint
from keyswitch.app.recorder import read_signer
from keyswitch.app.update import recipe_way
from keyswitch.audit.catalogue import Check, Impact, Matrix
from keyswitch.audit.checks import BY_ID, CHECKS
from keyswitch.audit.expect import Accepted, compare, read_expectations
from keyswitch.audit.json_output import progress_json, replayed_json, said_json
from keyswitch.audit.manifest import free, write_report
from keyswitch.audit.report.document import Control, ImageUsed, Report, summary, to_json
from keyswitch.audit.run import Audited, Auditor, Permitted
from keyswitch.audit.table import CoverageOf
from keyswitch.audit.target import Firmware, Hand, NobodyThere, Target
from keyswitch.audit.verdict import Verdict
from keyswitch.cli.audit_captures import Captures
from keyswitch.cli.audit_hands import AskedPerson, PanelHand
from keyswitch.cli.audit_observe import observer
from keyswitch.cli.interrupts import run_to_end, undisturbed
from keyswitch.cli.output import echo
from keyswitch.cli.prompt import ask_passkey
from keyswitch.cli.update import variables_of
from keyswitch.errors import InputError
from keyswitch.evidence.chain import Signer
from keyswitch.exits import Exit
from keyswitch.host.access.policy_profile import KeyFiles, way_into
from keyswitch.host.access.strategy import EntryStrategy
from keyswitch.host.connect.endpoint import Connection, Endpoint
from keyswitch.host.smp.queries import mode_if_any
from keyswitch.host.update.images import CheckedImage, read_images
from keyswitch.link.targets import BleTarget, SerialTarget, UdpTarget, parse
from keyswitch.policy.bootloader import bypasses_of, keys_of, limits_of
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import OnEnter, Policy
from keyswitch.schema.output import to_line
from keyswitch.smp.groups.mode import POLICY_SIZE
from keyswitch.terms import Transport
from keyswitch.text import plain

_CONFIRMING: Final = frozenset({"KS-601", "KS-602"})
_LOCKING: Final = frozenset({"KS-401", "KS-405", "KS-406", "KS-407"})
_SECONDS_A_BATCH: Final = 12
"""About what one mode takes over a usual radio: two entries, the attempts, and the time to settle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedAudit:
    """What was asked for, read and checked; nothing is opened yet.

    Attributes:
        targets: as they were written; the first is used for entering.
        target: the same for the auditor.
        checks: to run.
        permitted: what they may do.
        accepted: of the expectations file.
        images: that are used.
        controls: which controls are wanted.
        output: the report's directory; None: no report is written.
        signer: of the evidence record.
        declared: what is said before the audit.
        ways: makes the ways to the device, whose packets are taken down.
        asked: what else was asked for, so that a check can be tried again likewise.
    """

    targets: tuple[str, ...]
    target: Target
    checks: tuple[Check, ...]
    permitted: Permitted
    accepted: tuple[Accepted, ...]
    images: tuple[ImageUsed, ...]
    controls: str
    output: Path | None
    signer: Signer | None
    declared: tuple[str, ...]
    ways: Callable[[Captures], dict[Transport, Endpoint]]
    asked: Mapping[str, Any]

    @property
    def permitted_something(self) -> bool:
        """Whether a person has to say that the machine is safe."""
        dangerous = [check for check in self.checks if Permitted().forbids(check) is not None]
        return any(self.permitted.forbids(check) is None for check in dangerous)


def prepare(target: str, options: Mapping[str, Any]) -> PreparedAudit:
    """Read and check everything that was given.

    Raises:
        InputError: something of it cannot be used.
    """
    if options["output"] is not None:
        free(options["output"])
    policy = read_policy(options["policy"])
    checks = _chosen(options["only"], options["skip"])
    accepted = read_expectations(options["expect"]) if options["expect"] is not None else ()
    permitted = Permitted(irreversible=options["irreversible"], resets=options["resets"])
    firmware, good, images = _images(policy, options)
    targets = (target, *options["also"])
    ways = partial(_ways, policy, targets, options)
    audited = Target(
        name=target,
        policy=policy,
        ways=ways(Captures()),
        strategy=_strategy(policy, options),
        hand=_hand(options),
        next=firmware,
        good=good,
        eye=observer(options["observe"]) if options["observe"] is not None else None,
        max_wait_ms=round(options["max_wait"] * 1000),
    )
    return PreparedAudit(
        targets=targets,
        target=audited,
        checks=checks,
        permitted=permitted,
        accepted=accepted,
        images=images,
        controls=options["controls"],
        output=options["output"],
        signer=read_signer(options["sign"]),
        declared=_declared(audited, checks, permitted, accepted),
        ways=ways,
        asked=_asked(options),
    )


_AGAIN: Final = (
    *("panel", "ask", "max_wait", "observe", "secret", "permit", "holder", "recipe", "variables", "to", "pair"),
    "bonds",
)
"""What it takes to try a check again as it was tried. What a person has to say each time is not among it."""


def _asked(options: Mapping[str, Any]) -> dict[str, Any]:
    values = ((name, options[name]) for name in _AGAIN)
    told = {name: str(value) if isinstance(value, Path) else value for name, value in values}
    return {**told, "variables": list(options["variables"])}


def _chosen(only: Sequence[str], skip: Sequence[str]) -> tuple[Check, ...]:
    for option, names in (("--only", only), ("--skip", skip)):
        for name in names:
            if name not in BY_ID:
                raise InputError(option, f"there is no check {name!r}", "an id that `keyswitch audit --list` prints")
    chosen = tuple(check for check in CHECKS if (not only or check.id in only) and check.id not in skip)
    if not chosen:
        raise InputError("--only, --skip", "no check is left", "at least one")
    return chosen


def _images(
    policy: Policy, options: Mapping[str, Any]
) -> tuple[Firmware | None, Firmware | None, tuple[ImageUsed, ...]]:
    """The newer image, the good one, and what the report says of both."""
    firmware, used = _image(policy, "next", options["next_image"])
    good, also = _image(policy, "image", options["image"])
    if firmware is not None and good is not None and firmware.hash == good.hash:
        raise InputError("--image, --next", "both are the same image", "what runs now, and a newer one")
    return firmware, good, (*used, *also)


def _image(policy: Policy, role: str, path: Path | None) -> tuple[Firmware | None, tuple[ImageUsed, ...]]:
    if path is None:
        return None, ()
    found: tuple[CheckedImage, ...] = read_images(path, keys=keys_of(policy), limits=limits_of(policy))
    first = found[0].image
    if first.arms_itself:
        raise InputError(str(path), "the image brings its own trailer", "one that was signed without --pad")
    digest = hashlib.sha256(first.data).hexdigest()
    used = ImageUsed(role=role, file=str(path), version=first.version, hash=first.hash.hex(), sha256=digest)
    return Firmware(data=first.data, hash=first.hash, version=first.version), (used,)


def _ways(
    policy: Policy, targets: Sequence[str], options: Mapping[str, Any], captures: Captures
) -> dict[Transport, Endpoint]:
    ways: dict[Transport, Endpoint] = {}
    for text in targets:
        transport = transport_of(text)
        if transport in ways:
            raise InputError(text, f"a second way over {transport.value}", "one target for each transport")
        if transport not in policy.smp.transports:
            raise InputError(text, f"{policy.origin} does not serve {transport.value}", "smp.transports to list it")
        pair = options["pair"] and transport is Transport.BLE
        of_radio = {name: options[name] for name in ("passkey", "bonds")} if pair else {}
        # The keys of a pairing pass there: a report is handed on, and must not hold them.
        capture = None if pair else captures.path_for(text)
        ways[transport] = open_endpoint(text, pair=pair, ask_passkey=ask_passkey, capture=capture, **of_radio)
    return ways


def transport_of(text: str) -> Transport:
    """The transport that a target is reached by."""
    match parse(text):
        case BleTarget():
            return Transport.BLE
        case UdpTarget():
            return Transport.UDP
        case SerialTarget():
            return Transport.SERIAL


def _strategy(policy: Policy, options: Mapping[str, Any]) -> EntryStrategy | None:
    if options["recipe"] is not None:
        for name in ("secret", "permit", "holder", "to"):
            if options[name] is not None:
                raise InputError(f"--{name}", "means nothing with --recipe", "one way in")
        return recipe_way(options["recipe"], dict(variables_of(options["variables"])))
    if options["variables"]:
        raise InputError("--set", "means nothing without a recipe", "--recipe")
    entered = any(
        isinstance(way.trigger, OnEnter) and policy.modes[way.target].maintenance for way in policy.transitions
    )
    if not entered:
        return None
    keys = KeyFiles(secret=options["secret"], permit=options["permit"], holder=options["holder"])
    return way_into(policy, to=options["to"], keys=keys)


def _hand(options: Mapping[str, Any]) -> Hand:
    if options["panel"] is not None and options["ask"]:
        raise InputError("--ask", "means nothing with --panel", "one of the two")
    if options["panel"] is not None:
        return PanelHand(options["panel"])
    return AskedPerson() if options["ask"] else NobodyThere()


def _declared(
    target: Target, checks: Sequence[Check], permitted: Permitted, accepted: Sequence[Accepted]
) -> tuple[str, ...]:
    run = [check for check in checks if permitted.forbids(check) is None]
    modes = len(target.policy.modes) if any(isinstance(check.act, Matrix) for check in run) else 0
    stories = sum(not isinstance(check.act, Matrix) for check in run)
    minutes = (modes + 2 * stories) * _SECONDS_A_BATCH // 60 + 1
    lines = [
        f"plan: {len(run)} of {len(checks)} checks over {', '.join(way.value for way in target.ways)}",
        f"plan: about {modes + 1 + 2 * stories} entries into maintenance, {minutes} minutes",
        f"plan: {_uses_words(target, run)}",
        f"plan: no wait is longer than {target.max_wait_ms / 1000:g} s",
    ]
    if all(check.impact is Impact.READ_ONLY for check in run):
        lines.append("changes nothing: these checks only read")
    else:
        if target.next is not None:
            lines.append("may change: the slot that does not run gets --next, and is erased at the end")
        if any(check.id in _CONFIRMING for check in run):
            lines.append("may change for good: --next is confirmed; --image is put back where downgrades are allowed")
        lines.append("may change: a setting app/ks-audit, deleted at the end, where maintenance serves settings")
    lines += [f"not run: {check.id} ({permitted.forbids(check)})" for check in checks if permitted.forbids(check)]
    lines += [f"not tested, declared by the policy as a bypass: {each}" for each in bypasses_of(target.policy)]
    lines += [
        f"accepted until {each.expires} by {each.owner}: {each.check} {each.verdict.value} ({each.reason})"
        for each in accepted
    ]
    return tuple(plain(line) for line in lines)


def _uses_words(target: Target, checks: Sequence[Check]) -> str:
    """What the audit uses up at the device beside time."""
    resets = sum(check.resets for check in checks)
    locked = sum(check.id in _LOCKING for check in checks)
    permit = target.strategy is not None and ProofKind.PERMIT.value in target.strategy.words
    words = [f"{resets} checks reset the device or may reset it", f"{locked} wait for a lock-out to end"]
    return ", ".join([*words, *(["each entry uses the permit once"] if permit else [])])


# --- carrying it out ---


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOut:
    """An audit that has been carried out, as far as it went.

    Attributes:
        audited: what was found.
        begun: when, in ISO 8601.
        duration_ms: of it.
        interrupted: whether a signal ended it.
        facts: what the device told of itself before.
    """

    audited: Audited
    begun: str
    duration_ms: int
    interrupted: bool
    facts: Mapping[str, str]


def run(prepared: PreparedAudit, *, as_json: bool) -> Exit:
    """Carry the audit out and write its report; what was found until a signal ended it is written all the same."""
    show = Show(as_json=as_json)
    with Captures() as captures:
        done = run_to_end(carry_out(prepared, captures, show))
        report, interrupted = _report(prepared, done)
        with undisturbed():
            show.found(report)
            if prepared.output is not None:
                _write(prepared, report, captures.files())
                show.end(report, prepared.output)
    return Exit.INTERRUPTED if interrupted else exit_of(report)


async def carry_out(prepared: PreparedAudit, captures: Captures, show: "Show") -> CarriedOut:
    """The audit itself; cancelled, it ends in order."""
    begun, at = time.monotonic(), _now()
    target = replace(prepared.target, ways=prepared.ways(captures))
    facts: dict[str, str] = {}
    auditor = Auditor(target, prepared.checks, permitted=prepared.permitted, say=show.say, progress=show.progress)

    interrupted = False
    try:
        facts.update(await _look(target, show))
        await auditor.run()
    except asyncio.CancelledError:
        interrupted = True
        auditor.end("interrupted")
    finally:
        for endpoint in target.ways.values():
            await endpoint.close()
    took_ms = round((time.monotonic() - begun) * 1000)
    return CarriedOut(audited=auditor.audited, begun=at, duration_ms=took_ms, interrupted=interrupted, facts=facts)


async def _look(target: Target, show: "Show") -> dict[str, str]:
    """Connect once over each way, and see what is there: a device that is not reached is an error, no verdict.

    Raises:
        LinkLostError: one of them does not lead to a device.
    """
    facts: dict[str, str] = {}
    for transport, endpoint in target.ways.items():
        connection = await endpoint.connect()
        try:
            facts |= {f"{name} ({transport.value})": told for name, told in (await _told(connection)).items()}
        finally:
            await connection.close()
    digest = target.policy.digest[:POLICY_SIZE].hex()
    for name, told in facts.items():
        if name.startswith(_POLICY) and told != digest:
            show.say(f"the device tells another policy ({told}) than the one that is declared ({digest})")
    return facts


_POLICY: Final = "Policy told by the device"


async def _told(connection: Connection) -> dict[str, str]:
    """What the device tells over one way, without being asked for anything that it would have to gate."""
    state = await mode_if_any(connection.mode)
    told = {"Services found": ", ".join(sorted(connection.gatt.services))} if connection.gatt is not None else {}
    if state is None:
        return told | {"Mode group": "none"}
    return told | {"Mode at the beginning": state.mode, _POLICY: state.policy.hex() or "none"}


def _report(prepared: PreparedAudit, done: CarriedOut) -> tuple[Report, bool]:
    """The report, and whether a signal has ended the audit or its controls."""
    audited, interrupted = done.audited, done.interrupted
    failed = {found.check for found in audited.found if found.verdict is Verdict.FAIL}
    try:
        controls, why = _controls(prepared, failed, interrupted=interrupted)
    except KeyboardInterrupt:
        controls, why, interrupted = None, "controls: not run to their end (interrupted)", True
    not_chosen = {check.id: "not asked for" for check in CHECKS if check not in prepared.checks}
    forbidden = {
        check.id: not_run for check in prepared.checks if (not_run := prepared.permitted.forbids(check)) is not None
    }
    tested = CoverageOf(
        policy=prepared.target.policy,
        ways=tuple(prepared.target.ways),
        not_run=not_chosen | forbidden,
        checks=CHECKS,
    )
    report = Report(
        tool=f"keyswitch {__version__}",
        target=prepared.targets,
        policy=prepared.target.policy,
        images=prepared.images,
        declared=prepared.declared,
        begun=done.begun,
        ended=_now(),
        clock=f"the clock of {platform.node() or 'this computer'}",
        duration_ms=done.duration_ms,
        checks=prepared.checks,
        audited=audited,
        compared=compare(tuple(audited.found), prepared.accepted, datetime.now(UTC).date()),
        controls=controls,
        controls_why=why,
        cells=tested.cells(audited.found),
        facts=done.facts,
        asked=prepared.asked,
    )
    return report, interrupted


def _controls(
    prepared: PreparedAudit, failed: set[str], *, interrupted: bool
) -> tuple[dict[str, tuple[Control, ...]] | None, str]:
    """The controls that are wanted, and what is to be said of them."""
    if prepared.controls == "none":
        return None, "controls: not run (--controls none)"
    if interrupted:
        return None, "controls: not run (the audit was interrupted)"
    from keyswitch.cli import audit_controls

    policy = prepared.target.policy
    missing = audit_controls.not_controlled(prepared.checks)
    more = f"; {missing}" if missing else ""
    if prepared.controls == "cached":
        found, digest = audit_controls.cached_controls(policy, prepared.checks)
        return found, f"controls: from the cache where it had them, cache SHA-256 {digest}{more}"
    wanted = [check for check in prepared.checks if prepared.controls == "all" or check.id in failed]
    where = "run with this audit, in this process, in virtual time"
    return audit_controls.controls(policy, wanted), f"controls: {where}, for {len(wanted)} checks{more}"


def _write(prepared: PreparedAudit, report: Report, captures: Mapping[str, bytes]) -> None:
    assert prepared.output is not None  # noqa: S101 - the caller has looked
    from keyswitch.audit.report.html import to_html
    from keyswitch.audit.report.junit import to_junit
    from keyswitch.audit.report.sarif import to_sarif

    files = {
        "report.json": to_json(report),
        "report.html": to_html(report),
        "junit.xml": to_junit(report),
        "report.sarif": to_sarif(report),
        **captures,
    }
    about = {
        "tool": report.tool,
        "target": list(report.target),
        "policy": report.policy.digest.hex(),
        "images": [{"role": each.role, "hash": each.hash, "sha256": each.sha256} for each in report.images],
        "firmware": report.firmware_json,
        "seed": None,
        "clock": report.clock,
        "declared": list(report.declared),
        "controls": report.controls_why,
        "summary": summary(report),
    }
    write_report(prepared.output, files, about, at=_now(), clock=report.clock, signer=prepared.signer)


def exit_of(report: Report) -> Exit:
    """What the command ends with: 1 for an unexpected fail, 3 for anything else unexpected, else 0."""
    verdicts = {report.found(BY_ID[check]).verdict for check in report.compared.unexpected}
    if Verdict.FAIL in verdicts:
        return Exit.NO
    return Exit.UNKNOWN if verdicts else Exit.YES


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def run_again(prepared: PreparedAudit, then: str, *, as_json: bool) -> Exit:
    """Try one check again, and say what came of it then and now; a report only where one is asked for."""
    if prepared.output is not None:
        return run(prepared, as_json=as_json)
    show = Show(as_json=as_json)
    with Captures() as captures:
        done = run_to_end(carry_out(prepared, captures, show))
    (found,) = done.audited.found
    if as_json:
        echo(to_line(replayed_json(found, then, seconds=done.duration_ms / 1000)))
    else:
        echo(f"{found.check}  then: {then}")
        echo(f"{found.check}  now: {found.verdict.value}: {found.why}")
    if done.interrupted:
        return Exit.INTERRUPTED
    return {Verdict.FAIL: Exit.NO, Verdict.PASS: Exit.YES, Verdict.NOT_APPLICABLE: Exit.YES}.get(
        found.verdict, Exit.UNKNOWN
    )


class Show:
    """Progress and results, for people or as JSON lines."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        """Something that a person should read."""
        echo(to_line(said_json(text)) if self._json else text, err=not self._json)

    def progress(self, words: str, step: int, steps: int) -> None:
        """A step begins."""
        took = time.monotonic() - self._begun
        remaining = round(took / (step - 1) * (steps - step + 1)) if step > 1 else None
        if self._json:
            echo(to_line(progress_json(words, step, steps, remaining)))
            return
        left = "" if remaining is None else f", about {remaining} s left"
        echo(f"[{step}/{steps}] {words}{left}", err=True)

    def found(self, report: Report) -> None:
        """What was found, for people; it is shown even if the report cannot be written."""
        if self._json:
            return
        for found in report.audited.found:
            accepted = report.compared.accepted.get(found.check)
            more = f" (accepted until {accepted.expires})" if accepted is not None else ""
            echo(f"{found.check}  {found.verdict.value}{more}  {BY_ID[found.check].title}")
            if found.check in report.compared.unexpected:
                echo(f"        {found.why}")
        for entry in report.compared.gone:
            echo(f"{entry.where}: {entry.check} is not {entry.verdict.value} any more: take the entry out")
        for entry in report.compared.expired:
            echo(f"{entry.where}: accepted until {entry.expires}, which is over")
        wrong = [check.id for check in report.checks if any(not each.right for each in report.controls_of(check.id))]
        if wrong:
            echo(f"controls that are not as they have to be: {', '.join(wrong)}")
        echo(report.controls_why)
        if report.audited.left_behind:
            echo(f"not put back as it was: {'; '.join(report.audited.left_behind)}")

    def end(self, report: Report, output: Path) -> None:
        """Where the report is; the summary for scripts."""
        if self._json:
            echo(to_line(summary(report)))
            return
        echo(f"report: {output}; absence of findings is not proof")
