"""`keyswitch evidence`: what updates have left behind: shown, verified, drawn."""

import json
from pathlib import Path
from typing import Any

import click

from keyswitch.errors import InputError
from keyswitch.evidence.chain import Checked, Head, Record
from keyswitch.exits import Exit
from keyswitch.host.journal import read_journal

FILE = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")


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
        click.echo(json.dumps(_json(record)) if as_json else _line(record))
    return _told(checked)


@evidence.command()
@FILE
@click.option("--key", metavar="PEM", type=click.Path(path_type=Path), help="Every record must be signed by this key.")
@click.option("--expect", metavar="N:HASH", help="The last record as it was noted elsewhere.")
@JSON
def verify(file: Path, key: Path | None, expect: str | None, as_json: bool) -> Exit:
    """Check that no record was changed, moved, left out or cut off."""
    from keyswitch.evidence.signing import EvidenceVerifier  # noqa: PLC0415 - cryptography, only where it is needed
    from keyswitch.policy.secrets import read_public_key  # noqa: PLC0415

    verifier = EvidenceVerifier(read_public_key(key)) if key is not None else None
    checked = read_journal(file, expected=_head(expect), verifier=verifier)
    if as_json:
        findings = [{"line": finding.line, "what": finding.what} for finding in checked.findings]
        head = {"n": checked.head.n, "hash": checked.head.hash}
        told: dict[str, Any] = {"ok": checked.ok, "records": len(checked.records), "signed": checked.signed}
        click.echo(json.dumps({**told, "head": head, "findings": findings}))
        return Exit.YES if checked.ok else Exit.NO
    code = _told(checked)
    if checked.ok:
        signed = f", all signed by {verifier.key_id}" if verifier else ""
        click.echo(f"whole: {len(checked.records)} records{signed}; last {checked.head.n}:{checked.head.hash}")
    return code


@evidence.command()
@FILE
@click.option("--record", "number", metavar="N", type=click.IntRange(1), help="Which run; the last one if not given.")
@click.option(
    "-o", "--output", metavar="SVG", type=click.Path(path_type=Path), help="Where to; standard output if not."
)
def chart(file: Path, number: int | None, output: Path | None) -> Exit:
    """Draw one run as a sequence chart."""
    from keyswitch.host.chart import chart as draw  # noqa: PLC0415 - imported for what is run

    checked = read_journal(file)
    ended = [record for record in checked.records if record.kind == "update ended"]
    wanted = [record for record in ended if number in {record.n, record.body.get("run")}] if number else ended
    if not wanted:
        raise InputError(str(file), f"no ended run{f' {number}' if number else ''}", "the number of a run in this file")
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
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != len(Head().hash):
        raise InputError("--expect", f"{text!r} is no head", "N:HASH as `evidence verify` prints it")
    return Head(n=int(number), hash=digest.lower())


def _told(checked: Checked) -> Exit:
    for finding in checked.findings:
        place = f"line {finding.line}" if finding.line else "the file"
        click.echo(f"{place}: {finding.what}", err=True)
    return Exit.YES if checked.ok else Exit.NO


def _json(record: Record) -> dict[str, Any]:
    return {"n": record.n, "at": record.at, "kind": record.kind, "signed_by": record.key or None, "body": record.body}


def _line(record: Record) -> str:
    body = record.body
    if record.kind == "update begun":
        images = ", ".join(f"{image['version']} ({image['hash'][:8]})" for image in body.get("images", ()))
        return f"{record.n:4}  {record.at}  begun by {body.get('who')}: {body.get('target')} <- {images or 'no image'}"
    detail = f": {body['detail']}" if body.get("detail") else ""
    return f"{record.n:4}  {record.at}  run {body.get('run')} ended: {body.get('outcome')}{detail}"


def _target(checked: Checked, ended: Record) -> str:
    begun = [record for record in checked.records if record.n == ended.body.get("run")]
    return str(begun[0].body.get("target")) if begun else "a run"
