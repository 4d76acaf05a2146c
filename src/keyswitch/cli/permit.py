"""`keyswitch permit`: issue a signed permission to enter maintenance, and read one."""

import secrets
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from keyswitch.app.permit_json import permit_json
from keyswitch.cli.keygen import write_new
from keyswitch.cli.output import echo
from keyswitch.errors import InputError, LocalError
from keyswitch.exits import Exit
from keyswitch.files.reading import read_file
from keyswitch.mcuboot.files import open_file, open_images
from keyswitch.mcuboot.image import ImageFault, parse_image
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import OnEnter, Policy
from keyswitch.policy.secrets import read_issuers, read_private_key, read_public_key
from keyswitch.proof.permit import (
    HASH_SIZES,
    ID_SIZE,
    PERMIT_FILE,
    Permit,
    PermitFault,
    is_issued_by,
    key_id,
    public_key,
    read,
)
from keyswitch.proof.permit import (
    issue as signed,
)
from keyswitch.schema.output import to_line
from keyswitch.schema.value_types import suggestion

FILE = click.Path(path_type=Path)
_DAY_S: Final = 86_400


@click.group(context_settings={"max_content_width": 110})
def permit() -> None:
    """Permits: signed permissions to enter maintenance, for one holder.

    \b
    Examples:
      keyswitch permit issue --issuer keys/service.pem --holder ann.pub.pem --policy policy.toml -o ann.permit
      keyswitch permit show ann.permit
    """


@permit.command(name="issue")
@click.option(
    "--issuer", required=True, type=FILE, metavar="KEY", help="Sign the permit with this private key (Ed25519, PEM)."
)
@click.option(
    "--holder", required=True, type=FILE, metavar="KEY", help="Let only the owner of this public key use the permit."
)
@click.option("--policy", type=FILE, metavar="FILE", help="Take the device and the mode from this policy.")
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="ID",
    help="Let the permit open the device of this identity; repeatable.",
)
@click.option("--mode", metavar="MODE", help="Permit to enter this maintenance mode.")
@click.option(
    "--days",
    type=click.IntRange(1, 3660),
    default=1,
    show_default=True,
    metavar="N",
    help="Let the permit be valid for N days from now.",
)
@click.option(
    "--uses",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    metavar="N",
    help="Let a device that has no clock take the permit N times.",
)
@click.option(
    "--image", "images", multiple=True, metavar="FILE|HASH", help="Permit to install this image alone; repeatable."
)
@click.option("--name", default="", metavar="TEXT", help="Name the issuer, for people who read the permit.")
@click.option("-o", "--output", required=True, type=FILE, metavar="FILE", help="Write the permit to this file.")
def issue_permit(
    issuer: Path,
    holder: Path,
    policy: Path | None,
    devices: tuple[str, ...],
    mode: str | None,
    days: int,
    uses: int,
    images: tuple[str, ...],
    name: str,
    output: Path,
) -> None:
    """Sign a permission for the holder of a key to enter maintenance.

    It is worth nothing to anybody else: entry also takes the holder's signature over the device's nonce.

    \b
    Example:
      keyswitch permit issue --issuer keys/service.pem --holder ann.pub.pem --policy policy.toml \\
        --days 2 --image app-1.1.0.signed.bin -o ann.permit
    """
    rules = None if policy is None else read_policy(policy)
    now_s = int(time.time())
    made = Permit(
        id=secrets.token_bytes(ID_SIZE),
        issuer=name,
        devices=_devices(rules, devices),
        mode=_mode(rules, mode),
        holder=read_public_key(holder),
        not_before_s=now_s,
        expires_s=now_s + days * _DAY_S,
        uses=uses,
        images=frozenset(_image(each) for each in images) if images else None,
    )
    key = read_private_key(issuer)
    if rules is not None:
        _taken_by(rules, made.mode, key)
    try:
        data = signed(made, key)
    except LocalError as error:
        raise InputError("permit", str(error), "fewer or shorter names") from error
    write_new(output, data, secret=False)
    _say(made)
    echo(f"{output}: {len(data)} bytes")


@permit.command()
@click.argument("file", metavar="FILE", type=FILE)
@click.option("--issuer", type=FILE, metavar="KEY", help="Check that this public key's owner has signed it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(file: Path, issuer: Path | None, *, as_json: bool) -> Exit:
    """Say what the permit in FILE permits, and whether ISSUER signed it.

    Exit code 0: readable, and signed by ISSUER if one was given; 1: signed by somebody else.

    \b
    Example:
      keyswitch permit show ann.permit --issuer keys/service.pub.pem
    """
    data = read_file(file, PERMIT_FILE)
    found = read(data)
    if isinstance(found, PermitFault):
        raise InputError(str(file), "no permit", "a file written by `keyswitch permit issue`")
    signed_by = None if issuer is None else is_issued_by(data, read_public_key(issuer))
    if as_json:
        echo(to_line(permit_json(found, signed=signed_by)))
    else:
        _say(found)
        if signed_by is not None:
            echo(f"signed by {issuer}: {'yes' if signed_by else 'NO'}")
    return Exit.NO if signed_by is False else Exit.YES


def _devices(rules: Policy | None, devices: tuple[str, ...]) -> tuple[str, ...]:
    if devices:
        if "" in devices:
            raise InputError("--device", "empty", "the identity of a device")
        return devices
    if rules is None:
        raise InputError("--device", "missing", "the identity of a device, or --policy")
    return (rules.device.id,)


def _mode(rules: Policy | None, mode: str | None) -> str:
    if rules is None:
        if mode is None:
            raise InputError("--mode", "missing", "a maintenance mode, or --policy")
        if not mode:
            raise InputError("--mode", "empty", "a maintenance mode")
        return mode
    known = [each.name for each in rules.modes.values() if each.maintenance]
    if mode is None and len(known) == 1:
        return known[0]
    if mode is None or mode not in known:
        near = "" if mode is None else suggestion(mode, known)
        raise InputError("--mode", "missing" if mode is None else f'"{mode}"', f"one of {', '.join(known)}{near}")
    return mode


def _taken_by(rules: Policy, mode: str, key: bytes) -> None:
    """Refuse to sign what no device with this policy would ever take."""
    ways = [way for way in rules.transitions if way.target == mode and isinstance(way.trigger, OnEnter)]
    if not any(ProofKind.PERMIT in way.trigger.proofs for way in ways if isinstance(way.trigger, OnEnter)):
        problem = f"no transition into {mode} takes a permit"
        raise InputError(f"{rules.origin}: transitions", problem, f'proofs = ["{ProofKind.PERMIT}"] in one of them')
    if public_key(key) not in read_issuers(rules):
        problem = f"the policy does not name the issuer, key {key_id(public_key(key)).hex()}"
        raise InputError(f"{rules.origin}: entry.permit.issuers", problem, "its public key there, or another --issuer")


def _image(text: str) -> bytes:
    path = Path(text)
    try:
        there = path.exists()
    except OSError:  # a name that is too long for a file
        there = False
    if not there:
        try:
            digest = bytes.fromhex(text)
        except ValueError:
            digest = b""
        if len(digest) in HASH_SIZES:
            return digest
        raise InputError(f"--image {text}", "neither a file nor an image hash", "a signed image, or its hash in hex")
    with ExitStack() as files:
        (first, *others) = open_images(str(path), files.enter_context(open_file(path)))
        if others:
            raise InputError(str(path), "several images", "one image; repeat --image for several")
        parsed = parse_image(first.source)
        if isinstance(parsed, ImageFault):
            raise InputError(str(path), parsed.line)
        return parsed.hash


def _when(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # beyond the year 9999, which no calendar here has
        return f"{seconds} s after 1970"


def _say(found: Permit) -> None:
    images = "any" if found.images is None else ", ".join(sorted(each.hex()[:16] + "…" for each in found.images))
    for name, value in (
        ("permit", found.id.hex()),
        ("issuer", found.issuer or "-"),
        ("devices", ", ".join(found.devices)),
        ("mode", found.mode),
        ("holder", f"key {key_id(found.holder).hex()}"),
        ("valid", f"{_when(found.not_before_s)} to {_when(found.expires_s)}"),
        ("uses", "-" if found.uses is None else f"{found.uses} (where the device's clock is not trusted)"),
        ("images", images),
    ):
        echo(f"{name:8} {value}")
