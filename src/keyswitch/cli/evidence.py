"""`keyswitch evidence`: what updates have left behind: shown, verified, drawn."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import click

from keyswitch.app.evidence_json import checked_json, record_json
from keyswitch.audit.json_output import report_checked_json
from keyswitch.audit.manifest import is_report, verify_report
from keyswitch.cli.event_words import event_words
from keyswitch.cli.output import echo, echo_document
from keyswitch.cli.picture import png
from keyswitch.errors import InputError
from keyswitch.evidence.chain import EARLIER, Checked, Head, Record, State, Verifier
from keyswitch.exits import Exit
from keyswitch.extras import need
from keyswitch.files.writing import write_output
from keyswitch.host.report.evidence_file import RUN_BEGUN, RUN_ENDED, read_journal
from keyswitch.schema.output import to_line
from keyswitch.text import counted

FILE = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")

_TOLD: Final = {"device_id": "device", "unit": "unit", "serial_number": "serial number", "note": "note:"}
"""What a run's first record tells of the unit, and the word for it."""

_HEAD: Final = re.compile("[0-9]{1,18}:[0-9a-fA-F]{64}")


@click.group(context_settings={"max_content_width": 110})
def evidence() -> None:
    """Read what `keyswitch update --evidence FILE` has recorded, or a device in the log of its state directory.

    \b
    Examples:
      keyswitch evidence show pump7.jsonl
      keyswitch evidence show pump-state
      keyswitch evidence verify pump7.jsonl --key service.ed25519.pub.pem
      keyswitch evidence chart pump7.jsonl -o run.svg
    """


@evidence.command()
@FILE
@JSON
def show(file: Path, as_json: bool) -> Exit:
    """List the records. A chain that was changed is shown as far as it can be read, and ends with exit code 1."""
    checked = _read(file)
    for record in checked.records:
        echo(to_line(record_json(record)) if as_json else _line(record))
    return _told(checked)


@evidence.command()
@FILE
@click.option(
    "--key",
    metavar="PEM",
    type=click.Path(path_type=Path),
    help="Check that this public key's owner has signed every record.",
)
@click.option(
    "--head",
    "noted",
    metavar="N:HASH",
    help="Check that the file holds this last record, noted elsewhere now or earlier.",
)
@JSON
def verify(file: Path, key: Path | None, noted: str | None, as_json: bool) -> Exit:
    """Check that no record was changed, moved, left out or cut off.

    \b
    verified    closed, and every record vouched for by --key or by the noted --head
    consistent  closed and without a fault, but whoever can write the file could have made it so
    open        without a fault, but its last record does not close it
    changed     something is wrong, and is named

    Exit code 0: verified or consistent. 1: changed. 2: a file cannot be used. 3: open.
    """
    from keyswitch.evidence.signing import EvidenceVerifier
    from keyswitch.policy.secrets import read_public_key

    verifier = EvidenceVerifier(read_public_key(key)) if key is not None else None
    if file.is_dir() and is_report(file):
        return _verify_report(file, _head(noted), verifier, as_json=as_json)
    checked = _read(file, noted=_head(noted), verifier=verifier)
    if as_json:
        echo(to_line(checked_json(checked, _never_ended(checked))))
        return _CODES[checked.state]
    _told(checked)
    for line in _checked_lines(checked, verifier, one_file=not file.is_dir()):
        echo(line)
    return _CODES[checked.state]


def _verify_report(directory: Path, noted: Head | None, verifier: Verifier | None, *, as_json: bool) -> Exit:
    """A directory of `keyswitch audit`: each of its files is compared."""
    checked = verify_report(directory, noted=noted, verifier=verifier)
    head = f"{checked.head.n}:{checked.head.hash}"
    if as_json:
        echo(to_line(report_checked_json(checked)))
        return _CODES[checked.state]
    for finding in checked.findings:
        echo(f"{directory}: {finding}", err=True)
    match checked.state:
        case State.CHANGED:
            echo("changed: this report is not as it was written; ask for it again from where it came")
        case State.VERIFIED:
            echo(f"verified: {checked.files} files are as the evidence record has them: head {head}")
        case State.CONSISTENT | State.OPEN:
            echo(f"consistent: {checked.files} files are as the evidence record has them: head {head}")
            echo("unsigned: whoever can write this directory can make all of it anew; compare --head, or --key")
    return _CODES[checked.state]


_CODES: Final = {State.VERIFIED: Exit.YES, State.CONSISTENT: Exit.YES, State.OPEN: Exit.UNKNOWN, State.CHANGED: Exit.NO}


def _checked_lines(checked: Checked, verifier: Verifier | None, *, one_file: bool) -> Iterator[str]:
    """What was found, one sentence a line: what is, and what to do."""
    head = f"{checked.head.n}:{checked.head.hash}"
    count = counted(len(checked.records), "record")
    match checked.state:
        case State.CHANGED:
            yield f"changed: {count} can be read, and something is wrong with the chain"
            yield "next: keep the file as it is, look who can write it, and begin another file"
            return
        case State.OPEN:
            yield f"open: {count} without a fault, and the last one does not close the chain: head {head}"
        case State.CONSISTENT:
            yield f"consistent: {count} without a fault, and the last one closes the chain: head {head}"
        case State.VERIFIED:
            by = f"signed by {verifier.key_id}" if verifier is not None else "held by the noted head"
            yield f"verified: {count}, all {by}, and the last one closes the chain: head {head}"
    if EARLIER in checked.forms:
        yield f"form: {_forms(checked)}"
    elif checked.state is State.OPEN:
        yield "end: its writer is at work or was killed, or records were cut off"
    if ended := _never_ended(checked):
        yield f"runs that never ended: {', '.join(map(str, ended))}"
    if checked.state is not State.VERIFIED and verifier is None:
        yield from _signature_lines(checked)
    yield from _age_lines(checked, head, one_file=one_file)


def _age_lines(checked: Checked, head: str, *, one_file: bool) -> Iterator[str]:
    if checked.noted is not None:
        yield f"age: record {checked.noted} is as it was noted; {checked.head.n - checked.noted} were added since"
        return
    yield f"age: an older state of the whole {'file' if one_file else 'log'} cannot be told from this one"
    if one_file:
        yield f"next: note {head} elsewhere after each run, and compare with --head"
    else:
        yield "next: keep a copy of these files elsewhere"


def _signature_lines(checked: Checked) -> Iterator[str]:
    if not (signed := _signed(checked)):
        yield "unsigned: whoever can write this file can rewrite it"
        return
    yield f"signatures: {signed} of {len(checked.records)} records are signed, and none was checked"
    yield "next: give --key PEM, the signer's public key"


def _signed(checked: Checked) -> int:
    """How many records carry a signature, checked or not."""
    return sum(bool(record.sig) for record in checked.records)


def _forms(checked: Checked) -> str:
    earlier = sum(record.form == EARLIER for record in checked.records)
    which = "all records have" if earlier == len(checked.records) else f"the first {earlier} records have"
    return f"{which} form {EARLIER}, which has the time and its clock in one text, and no record that closes the chain"


def _never_ended(checked: Checked) -> list[int]:
    """The runs whose second record is not there."""
    ended = [record.body.get("run") for record in checked.records if record.kind == RUN_ENDED]
    return [record.n for record in checked.records if record.kind == RUN_BEGUN and record.n not in ended]


def _read(file: Path, *, noted: Head | None = None, verifier: Verifier | None = None) -> Checked:
    """An evidence file, or the event log in a device's state directory."""
    if not file.is_dir():
        return read_journal(file, noted=noted, verifier=verifier)
    if noted is not None:
        raise InputError("--head", "is for one file", "FILE to be the evidence file that the head was noted of")
    from keyswitch.device.storage.event_log import read_log

    return read_log(file, verifier=verifier)


@evidence.command()
@FILE
@click.option("--record", "number", metavar="N", type=click.IntRange(1), help="Draw run N instead of the last one.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the picture to this file instead of standard output; its ending says as what: .svg or .png.",
)
def chart(file: Path, number: int | None, output: Path | None) -> Exit:
    """Draw one run: its steps as a sequence chart with the device's mode, and the rate of its upload over time."""
    from keyswitch.host.report.recorded_runs import drawn, ended_runs

    if output is not None:
        _check_kind(output)
    checked = read_journal(file)
    wanted = [run for run in ended_runs(checked.records) if number is None or run.is_number(number)]
    if not wanted:
        raise InputError(str(file), f"no ended run{f' {number}' if number else ''}", "the number of a run in this file")
    svg = drawn(wanted[-1], str(file))
    if output is None:
        echo_document(svg)
    else:
        write_output(output, png(svg) if output.suffix == ".png" else svg.encode())
    return _told(checked)


def _check_kind(output: Path) -> None:
    if output.suffix == ".png":
        need("cairosvg", str(output))
    elif output.suffix != ".svg":
        raise InputError(str(output), f'cannot draw "{output.suffix}"', ".svg or .png")


def _head(text: str | None) -> Head | None:
    if text is None:
        return None
    if not _HEAD.fullmatch(text):
        raise InputError("--head", f"{text!r} is not a head", "N:HASH as `evidence verify` prints it")
    number, _, digest = text.partition(":")
    return Head(n=int(number), hash=digest.lower())


def _told(checked: Checked) -> Exit:
    for finding in checked.findings:
        place = f"line {finding.line}" if finding.line else "the file"
        echo(f"{place}: {finding.what}", err=True)
    return Exit.YES if checked.ok else Exit.NO


def _line(record: Record) -> str:
    return f"{record.n:4}  {record.at}  {_words(record)}"


def _words(record: Record) -> str:
    body = record.body
    if record.kind == RUN_BEGUN:
        images: object = body.get("images")
        named = [_named(image) for image in cast("list[object]", images)] if isinstance(images, list) else []
        parts = [f"begun by {body.get('who')}: {body.get('target')} <- {', '.join(named) or 'no image'}"]
        parts += [f"{word} {body[key]}" for key, word in _TOLD.items() if body.get(key)]
        return "; ".join(parts)
    if record.kind == RUN_ENDED:
        detail = f": {body['detail']}" if body.get("detail") else ""
        return f"run {body.get('run')} ended: {body.get('outcome')}{detail}"
    if record.closes:
        return f"closed with {body.get('records')} records"
    if "up_ms" in body:
        return event_words(record.kind, body)
    return record.kind


def _named(image: object) -> str:
    if not isinstance(image, dict):
        return "no image of ours"
    fields = cast("dict[str, Any]", image)
    return f"{fields.get('version')} ({str(fields.get('hash'))[:8]})"
