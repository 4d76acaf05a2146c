"""A directory with a report: written as a whole, and verified file by file.

    DIR/report.json  report.html  junit.xml  report.sarif   the report, in four forms
    DIR/manifest.json                                       SHA-256 of each of them, and what the audit was about
    DIR/evidence.jsonl, evidence.jsonl.head                 a closed chain whose record holds the manifest's SHA-256

Rules: nothing is left half written: the directory has its name only once all of it is there. A changed, missing or
added file is named. Whoever can write all of the files can make them anew; only a signature, or the head noted
elsewhere, tells that (`keyswitch.evidence.chain`).
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.errors import InputError
from keyswitch.evidence.chain import Head, Signer, State, Verifier
from keyswitch.files.documents import parse_json
from keyswitch.files.reading import FileKind, read_file_if_there
from keyswitch.files.writing import create_file, sync_directory, unwritable
from keyswitch.host.report.evidence_file import append, close, head_path, read_journal

MANIFEST: Final = "manifest.json"
EVIDENCE: Final = "evidence.jsonl"
KIND: Final = "keyswitch audit report"
_FORM: Final = 1
_MANIFEST_FILE: Final = FileKind(expected="the manifest of an audit report", max_size=1_000_000)
_ANY_FILE: Final = FileKind(expected="a file of an audit report", max_size=256 * 1024 * 1024)


def write_report(
    directory: Path,
    files: Mapping[str, bytes],
    about: Mapping[str, Any],
    *,
    at: str,
    clock: str,
    signer: Signer | None = None,
) -> Head:
    """Write a report as a new directory; returns the head of its evidence, to be noted elsewhere.

    Args:
        directory: where nothing is yet.
        files: content by name.
        about: what the audit was about: tool, policy, images, what was declared.
        at: when, in ISO 8601.
        clock: whose clock that is.
        signer: signs the evidence record.

    Raises:
        InputError: it is there already, or cannot be written; then nothing is left.
    """
    free(directory)
    unfinished = directory.with_name(f".{directory.name}.new")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for name, content in files.items():
            create_file(unfinished / name, content)
        manifest = {"kind": KIND, "form": _FORM, **about, "files": {name: _hash(data) for name, data in files.items()}}
        encoded = (json.dumps(manifest, indent=1) + "\n").encode()
        create_file(unfinished / MANIFEST, encoded)
        evidence = unfinished / EVIDENCE
        body = {"manifest": _hash(encoded), **about}
        append(evidence, at=at, clock=clock, kind="audit", body=body, signer=signer)
        last = close(evidence, at=at, clock=clock, signer=signer)
        unfinished.replace(directory)
        sync_directory(directory.parent)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise unwritable(str(directory), error) from error
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return Head(n=last.n, hash=last.hash)


def free(directory: Path) -> None:
    """See that a report can be written here.

    Raises:
        InputError: something is there.
    """
    if directory.exists() or directory.is_symlink():
        raise InputError(str(directory), "is there already", "a name that is free: no report is overwritten")
    above = directory.parent
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise InputError(str(directory), f"{above} is no directory", "a directory that can be made")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportChecked:
    """What a report directory is worth.

    Attributes:
        state: as of an evidence chain.
        findings: what is wrong, each with the file's name.
        head: of its evidence.
        files: how many files were compared.
    """

    state: State
    findings: tuple[str, ...]
    head: Head
    files: int


def is_report(directory: Path) -> bool:
    """Whether this is a directory with an audit's report."""
    return (directory / MANIFEST).is_file() or (directory / "report.json").is_file()


def verify_report(directory: Path, *, noted: Head | None = None, verifier: Verifier | None = None) -> ReportChecked:
    """Compare each file with the manifest, and the manifest with the evidence.

    Args:
        directory: with the report.
        noted: a head that was noted elsewhere.
        verifier: the evidence must be signed by this key.

    Raises:
        InputError: the evidence cannot be read.
    """
    findings: list[str] = []
    chain = read_journal(directory / EVIDENCE, noted=noted, verifier=verifier)
    findings += [f"{EVIDENCE}: line {finding.line}: {finding.what}" for finding in chain.findings]
    if chain.state is State.OPEN:
        findings.append(f"{EVIDENCE}: its end is missing")
    manifest = read_file_if_there(directory / MANIFEST, _MANIFEST_FILE)
    listed: dict[str, str] = {}
    if manifest is None:
        findings.append(f"{MANIFEST}: is missing")
    else:
        recorded = [record.body.get("manifest") for record in chain.records if record.kind == "audit"]
        if not recorded or recorded[-1] != _hash(manifest):
            findings.append(f"{MANIFEST}: is not the one that the evidence record holds")
        listed = _listed(manifest, str(directory / MANIFEST), findings)
    findings += _compare(directory, listed)
    state = State.CHANGED if findings else chain.state
    return ReportChecked(state=state, findings=tuple(findings), head=chain.head, files=len(listed))


def _listed(manifest: bytes, where: str, findings: list[str]) -> dict[str, str]:
    try:
        document: Any = parse_json(manifest, where, _MANIFEST_FILE.expected)
    except InputError as error:
        findings.append(f"{MANIFEST}: {error.problem}")
        return {}
    files: object = cast("dict[str, Any]", document).get("files") if isinstance(document, dict) else None
    if not isinstance(files, dict):
        findings.append(f"{MANIFEST}: names no files")
        return {}
    return {str(name): str(digest) for name, digest in cast("dict[str, object]", files).items()}


def _compare(directory: Path, listed: Mapping[str, str]) -> list[str]:
    findings: list[str] = []
    for name, digest in listed.items():
        if Path(name).name != name:
            findings.append(f"{MANIFEST}: {name!r} is no name of a file in this directory")
            continue
        content = read_file_if_there(directory / name, _ANY_FILE)
        if content is None:
            findings.append(f"{name}: is missing")
        elif _hash(content) != digest:
            findings.append(f"{name}: was changed")
    ours = {MANIFEST, EVIDENCE, head_path(directory / EVIDENCE).name, *listed}
    findings += [
        f"{each.name}: does not belong to the report" for each in sorted(directory.iterdir()) if each.name not in ours
    ]
    return findings


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
