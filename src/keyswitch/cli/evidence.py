"""`keyswitch evidence`: what updates have left behind: shown, verified, drawn."""

import json
import re
from pathlib import Path
from typing import Any, Final, cast

import click

from keyswitch.cli.output import echo, echo_document
from keyswitch.errors import InputError
from keyswitch.evidence.chain import Checked, Head, Record
from keyswitch.exits import Exit
from keyswitch.files.writing import write_output
from keyswitch.host.journal import head_path, read_journal

FILE = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")

_HEAD: Final = re.compile("[0-9]{1,18}:[0-9a-fA-F]{64}")


@click.group(context_settings={"max_content_width": 110})
def evidence() -> None:
    """Read what `keyswitch update --evidence FILE` has recorded.

    \b
    Examples:
      keyswitch evidence show pump7.jsonl
      keyswitch evidence verify pump7.jsonl --key service.ed25519.pub.pem
      keyswitch evidence chart pump7.jsonl -o run.svg
    """


@evidence.command()
@FILE
@JSON
def show(file: Path, as_json: bool) -> Exit:
    """List the records. A chain that is not whole is shown as far as it can be read, and ends with exit code 1."""
    checked = read_journal(file)
    for record in checked.records:
        echo(json.dumps(_json(record)) if as_json else _line(record))
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
    checked = read_journal(file, expected=_head(expect), verifier=verifier)
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
        echo(json.dumps({**told, "head": head, "findings": findings}))
        return _code(checked)
    _told(checked)
    if checked.ok:
        signed = f", all signed by {verifier.key_id}" if verifier else ""
        word = "whole" if checked.end_checked else "not cut within, but its end was not checked"
        echo(f"{word}: {len(checked.records)} records{signed}; last {checked.head.n}:{checked.head.hash}")
        if not checked.end_checked:
            echo(f"{head_path(file)} is missing: give --expect N:HASH as it was noted elsewhere", err=True)
    return _code(checked)


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
    """Draw one run: its steps as a sequence chart with the device's mode, and the rate of its upload over time."""
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
    title = f"{wanted[-1].at}: {_target(checked, wanted[-1])}"
    svg = draw(wanted[-1].body, title=title, begun=_begun(checked, wanted[-1]))
    if output is None:
        echo_document(svg)
    else:
        write_output(output, svg.encode())
    return _told(checked)


def _begun(checked: Checked, ended: Record) -> dict[str, Any] | None:
    """The body of the record that a run began with."""
    begun = [record for record in checked.records if record.n == ended.body.get("run")]
    return dict(begun[0].body) if begun else None


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
        echo(f"{place}: {finding.what}", err=True)
    return Exit.YES if checked.ok else Exit.NO


def _json(record: Record) -> dict[str, Any]:
    return {"n": record.n, "at": record.at, "kind": record.kind, "signed_by": record.key or None, "body": record.body}


def _line(record: Record) -> str:
    return f"{record.n:4}  {record.at}  {_words(record)}"


def _words(record: Record) -> str:
    body = record.body
    if record.kind == "update begun":
        images: object = body.get("images")
        named = [_named(image) for image in cast("list[object]", images)] if isinstance(images, list) else []
        return f"begun by {body.get('who')}: {body.get('target')} <- {', '.join(named) or 'no image'}"
    if record.kind == "update ended":
        detail = f": {body['detail']}" if body.get("detail") else ""
        return f"run {body.get('run')} ended: {body.get('outcome')}{detail}"
    return record.kind


def _named(image: object) -> str:
    if not isinstance(image, dict):
        return "no image of ours"
    fields = cast("dict[str, Any]", image)
    return f"{fields.get('version')} ({str(fields.get('hash'))[:8]})"


def _target(checked: Checked, ended: Record) -> str:
    begun = [record for record in checked.records if record.n == ended.body.get("run")]
    return str(begun[0].body.get("target")) if begun else "a run"
