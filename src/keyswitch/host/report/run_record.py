"""What a run leaves behind: its events, gathered into the body of an evidence record. Pure."""

from dataclasses import dataclass, field
from typing import Any

from keyswitch.host.connect.verdict import Verdict
from keyswitch.host.report.rate_samples import RateSamples, Sample
from keyswitch.host.smp.queries import SlotInfo
from keyswitch.host.update.events import Ended, Event, Message, StepBegun, StepDone, StepFailed, Uploading, VerdictFound
from keyswitch.host.update.images import CheckedImage
from keyswitch.host.update.job import Job, Result
from keyswitch.policy.digest import POLICY_FORM
from keyswitch.policy.fingerprints import KeyFingerprints


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyHeader:
    """Which policy a run was carried out by.

    Attributes:
        file: its name.
        sha256: its digest (`keyswitch.policy.digest`), in hexadecimal.
        keys: fingerprints of the public keys that it names.
    """

    file: str
    sha256: str
    keys: KeyFingerprints


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """What a record says besides what happened.

    Attributes:
        who: the person, as the system knows them.
        tool: program and version.
        target: as it was written.
        policy: the policy, None without one.
        images: what was to be installed.
        job: what was to be done.
        device_id: identity that the policy gives its device, None without a policy.
        unit: which unit it is, as its owner calls it; given by the person, None if not.
        serial_number: of the unit, given by the person, None if not.
        note: whatever the person wants to have recorded, None if nothing.
    """

    who: str
    tool: str
    target: str
    policy: PolicyHeader | None
    images: tuple[CheckedImage, ...]
    job: Job
    device_id: str | None = None
    unit: str | None = None
    serial_number: str | None = None
    note: str | None = None


@dataclass(slots=True)
class RunRecorder:
    """Gathers the events of one run."""

    steps: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    verdicts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    said: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    uploading: RateSamples = field(default_factory=RateSamples)
    result: Result | None = None

    def add(self, event: Event) -> None:
        """Take one event; of the progress of the upload a bounded number of samples is kept."""
        match event:
            case StepDone():
                self._step(event.name.value, event.at_ms, event.duration_ms, "done")
            case StepFailed():
                self._step(event.name.value, event.at_ms, event.duration_ms, event.why)
            case VerdictFound():
                self.verdicts.append({"at_ms": event.at_ms, **_verdict(event.verdict)})
            case Message():
                self.said.append({"at_ms": event.at_ms, "text": event.text})
            case Ended():
                self.result = event.result
            case Uploading(progress=progress, at_ms=at_ms):
                self.uploading.add(Sample(at_ms=at_ms, off=progress.off, size=progress.size))
            case StepBegun():
                pass

    def _step(self, name: str, at_ms: int, duration_ms: int | None, outcome: str) -> None:
        self.steps.append({"step": name, "at_ms": at_ms, "duration_ms": duration_ms, "outcome": outcome})


def _verdict(verdict: Verdict) -> dict[str, Any]:
    state = verdict.state
    return {
        "gate": verdict.gate.value,
        "reason": verdict.reason.value if verdict.reason else None,
        "detail": verdict.detail,
        "mode": verdict.mode,
        "device_id": (state.device or None) if state else None,
        "policy": state.policy.hex() if state else None,
        "boot_id": state.boot_id.hex() if state else None,
    }


def begun(circumstances: RunHeader) -> dict[str, Any]:
    """The body of the record that a run begins with. A run without a second record was cut off."""
    job = circumstances.job
    policy = circumstances.policy
    return {
        "who": _storable(circumstances.who),
        "tool": circumstances.tool,
        "target": _storable(circumstances.target),
        "device_id": circumstances.device_id,
        "unit": _storable(circumstances.unit),
        "serial_number": _storable(circumstances.serial_number),
        "note": _storable(circumstances.note),
        "policy_form": None if policy is None else POLICY_FORM,
        "policy": None
        if policy is None
        else {
            "file": _storable(policy.file),
            "sha256": policy.sha256,
            "issuers": list(policy.keys.issuers),
            "image_key": policy.keys.image_key,
        },
        "goal": job.goal.value,
        "entry": job.way.words,
        "confirm_by": job.confirm_by.value,
        "downgrade": job.downgrade,
        "images": [
            {
                "file": _storable(checked.name),
                "image": checked.image.number,
                "version": checked.image.version,
                "hash": checked.image.hash.hex(),
                **({"unpacked_hash": checked.image.unpacked_hash.hex()} if checked.image.unpacked_hash else {}),
                "size": len(checked.image.data),
                "signature": checked.signature,
            }
            for checked in circumstances.images
        ],
    }


def _storable(text: str | None) -> str | None:
    """What came from the command line, as UTF-8 can hold it: bytes that are none are kept as their escapes."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def ended(account: RunRecorder, *, run: int) -> dict[str, Any]:
    """The body of the record that a run ends with.

    Args:
        account: of the run.
        run: number of the record that it began with.
    """
    result = account.result
    body: dict[str, Any] = {
        "run": run,
        "outcome": result.outcome.value if result else "interrupted",
        "steps": account.steps,
        "verdicts": account.verdicts,
        "said": account.said,
        "uploading": [{"at_ms": one.at_ms, "off": one.off, "size": one.size} for one in account.uploading.all()],
    }
    if result is None:
        return body
    return {
        **body,
        "detail": result.detail,
        "reason": result.reason.value if result.reason else None,
        "entered_by": result.entered_by,
        "device": result.device,
        "duration_ms": result.duration_ms,
        "resumed": result.resumed,
        "resent_bytes": result.resent_bytes,
        "upload": None
        if result.upload is None
        else {
            "size": result.upload.size,
            "resumed_at": result.upload.resumed_at,
            "bytes_per_second": result.upload.bytes_per_second,
        },
        "sent": None
        if result.sent is None
        else {
            "bytes": result.sent.bytes,
            "already_there": result.sent.already_there,
            "bytes_per_second": result.sent.bytes_per_second,
        },
        "extensions": result.extensions,
        "before": slots_of(result.before),
        "after": slots_of(result.after),
        "not_read_since": result.not_read_since or None,
    }


def slots_of(slots: tuple[SlotInfo, ...] | None) -> list[dict[str, Any]] | None:
    """Slots as JSON values, None where they were never read."""
    if slots is None:
        return None
    return [
        {
            "image": view.image,
            "slot": view.slot,
            "version": view.version,
            "hash": view.hash.hex(),
            "active": view.active,
            "confirmed": view.confirmed,
            "pending": view.pending,
            "permanent": view.permanent,
        }
        for view in slots
    ]
