"""`keyswitch evidence`: what updates have left behind: shown, verified, drawn."""

import json
import re
from pathlib import Path
from typing import Any, Final, cast

import click

from keyswitch.cli.event_words import event_words
from keyswitch.errors import InputError
from keyswitch.evidence.chain import Checked, Head, Record, Verifier
from keyswitch.exits import Exit
from keyswitch.host.journal import head_path, read_journal

FILE = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")

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
    """List the records. A chain that is not whole is shown as far as it can be read, and ends with exit code 1."""
    checked = _read(file)
    for record in checked.records:
        click.echo(json.dumps(_json(record)) if as_json else _line(record))
    return _told(checked)


@evidence.command()
@FILE
@click.option("--key", metavar="PEM", type=click.Path(path_type=Path), help="Every record must be signed by this key.")
@click.option("--expect", metavar="N:HASH", help="The last record as it was noted elsewhere.")
@JSON
def verify(file: Path, key: Path | None, expect: str | None, as_json: bool) -> Exit:
    """Check that no record was changed, moved, left out or cut off.

    Exit code 0: none was. 1: something is wrong, and is named. 2: a file cannot be used. 3: nothing is wrong, but the
    end was not checked, because there is neither FILE.head nor --expect.
    """
    from keyswitch.evidence.signing import EvidenceVerifier  # noqa: PLC0415 - cryptography, only where it is needed
    from keyswitch.policy.secrets import read_public_key  # noqa: PLC0415

    verifier = EvidenceVerifier(read_public_key(key)) if key is not None else None
    checked = _read(file, expected=_head(expect), verifier=verifier)
    if as_json:
        findings = [{"line": finding.line, "what": finding.what} for finding in checked.findings]
        head = {"n": checked.head.n, "hash": checked.head.hash}
        whole = checked.ok and checked.end_checked
        told: dict[str, Any] = {
            "ok": whole,
            "end_checked": checked.end_checked,
            "records": len(checked.records),
            "signed": checked.signed,
        }
        click.echo(json.dumps({**told, "head": head, "findings": findings}))
        return _code(checked)
    _told(checked)
    if checked.ok:
        signed = f", all signed by {verifier.key_id}" if verifier else ""
        word = "whole" if checked.end_checked else "not cut within, but its end was not checked"
        click.echo(f"{word}: {len(checked.records)} records{signed}; last {checked.head.n}:{checked.head.hash}")
        if not checked.end_checked:
            click.echo(f"{head_path(file)} is missing: give --expect N:HASH as it was noted elsewhere", err=True)
    return _code(checked)


def _read(file: Path, *, expected: Head | None = None, verifier: Verifier | None = None) -> Checked:
    """An evidence file, or the event log in a device's state directory."""
    if not file.is_dir():
        return read_journal(file, expected=expected, verifier=verifier)
    if expected is not None:
        raise InputError("--expect", "is for one file", "FILE to be the evidence file that the head was noted of")
    from keyswitch.device.event_log import read_log  # noqa: PLC0415 - imported for what is run

    return read_log(file, verifier=verifier)


def _code(checked: Checked) -> Exit:
    if not checked.ok:
        return Exit.NO
    return Exit.YES if checked.end_checked else Exit.UNKNOWN


@evidence.command()
@FILE
@click.option("--record", "number", metavar="N", type=click.IntRange(1), help="Which run; the last one if not given.")
@click.option(
    "-o", "--output", metavar="SVG", type=click.Path(path_type=Path), help="Where to; standard output if not."
)
def chart(file: Path, number: int | None, output: Path | None) -> Exit:
    """Draw one run as a sequence chart."""
    from keyswitch.host.chart import chart as draw  # noqa: PLC0415 - imported for what is run
    from keyswitch.host.chart import fault  # noqa: PLC0415

    checked = read_journal(file)
    ended = [record for record in checked.records if record.kind == "update ended"]
    wanted = [record for record in ended if number in (record.n, record.body.get("run"))] if number else ended
    if not wanted:
        raise InputError(str(file), f"no ended run{f' {number}' if number else ''}", "the number of a run in this file")
    what = fault(wanted[-1].body)
    if what:
        raise InputError(f"{file}: record {wanted[-1].n}", what, "a record that `keyswitch update` wrote")
    svg = draw(wanted[-1].body, title=f"{wanted[-1].at}: {_target(checked, wanted[-1])}")
    if output is None:
        click.echo(svg, nl=False)
    else:
        try:
            output.write_text(svg, encoding="utf-8")
        except OSError as error:
            raise InputError(str(output), error.strerror or "cannot be written", "a file to write") from error
    return _told(checked)


def _head(text: str | None) -> Head | None:
    if text is None:
        return None
    if not _HEAD.fullmatch(text):
        raise InputError("--expect", f"{text!r} is no head", "N:HASH as `evidence verify` prints it")
    number, _, digest = text.partition(":")
    return Head(n=int(number), hash=digest.lower())


def _told(checked: Checked) -> Exit:
    for finding in checked.findings:
        place = f"line {finding.line}" if finding.line else "the file"
        click.echo(f"{place}: {finding.what}", err=True)
    return Exit.YES if checked.ok else Exit.NO


def _json(record: Record) -> dict[str, Any]:
    return {"n": record.n, "at": record.at, "kind": record.kind, "signed_by": record.key or None, "body": record.body}


def _line(record: Record) -> str:
    """One line, whatever the record says: what cannot be printed is not."""
    return "".join(each if each.isprintable() else "?" for each in f"{record.n:4}  {record.at}  {_words(record)}")


def _words(record: Record) -> str:
    body = record.body
    if record.kind == "update begun":
        images: object = body.get("images")
        named = [_named(image) for image in cast("list[object]", images)] if isinstance(images, list) else []
        return f"begun by {body.get('who')}: {body.get('target')} <- {', '.join(named) or 'no image'}"
    if record.kind == "update ended":
        detail = f": {body['detail']}" if body.get("detail") else ""
        return f"run {body.get('run')} ended: {body.get('outcome')}{detail}"
    if "up_ms" in body:
        return event_words(record.kind, body)
    return record.kind


def _named(image: object) -> str:
    if not isinstance(image, dict):
        return "no image of ours"
    fields = cast("dict[str, Any]", image)
    return f"{fields.get('version')} ({str(fields.get('hash'))[:8]})"


def _target(checked: Checked, ended: Record) -> str:
    begun = [record for record in checked.records if record.n == ended.body.get("run")]
    return str(begun[0].body.get("target")) if begun else "a run"
