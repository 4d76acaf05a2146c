"""`keyswitch image`: look at a firmware file, and ask whether a device would run it, before a byte is sent."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from keyswitch.cli.output import echo
from keyswitch.errors import InputError
from keyswitch.exits import Exit
from keyswitch.mcuboot.accept import accept
from keyswitch.mcuboot.config import BootConfig
from keyswitch.mcuboot.describe import Description, describe, differences, flag_names, tlv_words
from keyswitch.mcuboot.files import NamedImage, open_file, open_images
from keyswitch.mcuboot.image import ImageFault, ImageVersion
from keyswitch.mcuboot.keys import read_keys
from keyswitch.mcuboot.verify import CheckResult, ImageCheck, Limits, verify

FILE = click.Path(path_type=Path)


@click.group(context_settings={"max_content_width": 110})
def image() -> None:
    """Look at MCUboot images: binary, Intel HEX, DFU package.

    \b
    Examples:
      keyswitch image show app.signed.bin
      keyswitch image verify app.signed.bin --key root-ec-p256.pub.pem
      keyswitch image verify dfu_application.zip --policy policy.toml
      keyswitch image diff old.signed.bin new.signed.bin
    """


def _open(files: ExitStack, path: Path) -> tuple[NamedImage, ...]:
    return open_images(str(path), files.enter_context(open_file(path)))


def _described(files: ExitStack, path: Path) -> tuple[Description, ...]:
    found: list[Description] = []
    for named in _open(files, path):
        description = describe(named)
        if isinstance(description, ImageFault):
            raise InputError(named.name, description.line)
        found.append(description)
    return tuple(found)


@image.command()
@click.argument("file", metavar="FILE", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(file: Path, *, as_json: bool) -> None:
    """Header, TLVs and padding of each image in FILE."""
    with ExitStack() as files:
        descriptions = _described(files, file)
        if as_json:
            echo(json.dumps({"file": str(file), "images": [entry.as_json() for entry in descriptions]}))
            return
        for number, description in enumerate(descriptions):
            if number:
                echo()
            _show(description)


def _show(description: Description) -> None:
    image_, padding = description.image, description.padding
    header = image_.header
    named = description.named
    number = (
        "" if named.image is None else f" (image {named.image}{'' if named.slot is None else f', slot {named.slot}'})"
    )
    rows = [
        ("file", f"{description.named.name}{number}"),
        ("version", str(image_.version)),
        ("hash", image_.hash.hex() or "none, or more than one"),
        ("flags", ", ".join(flag_names(header.flags)) or "none"),
        ("sizes", f"header {header.header_size}, payload {header.image_size}, all {image_.size} bytes"),
    ]
    if header.load_address:
        rows.append(("load address", f"{header.load_address:#x}"))
    _table(rows)
    echo(f"{'byte':>10}  {'TLV':<18} {'length':>6}  value")
    for tlv in image_.tlvs:
        mark = "protected " if tlv.protected else ""
        echo(f"{tlv.offset:>10}  {tlv.name:<18} {len(tlv.value):>6}  {mark}{tlv_words(tlv)}")
    if description.named.left_out:
        echo(f"not part of the image: {description.named.left_out}")
    if padding.arms:
        state = "confirmed" if padding.image_ok else "for a test"
        echo(f"trailer at the end, {state}: uploaded whole, this file would start by itself")
    elif padding.size:
        echo(f"{padding.size} bytes of padding behind the image")


def _table(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        echo(f"{name:<{width}}  {value}")


def _version(context: click.Context, parameter: click.Parameter, value: str | None) -> ImageVersion | None:
    del context, parameter
    if value is None:
        return None
    version = ImageVersion.read(value)
    if version is None:
        raise click.BadParameter(f"{value!r} is not a version like 1.2.3 or 1.2.3+4")
    return version


@image.command("verify")
@click.argument("file", metavar="FILE", type=FILE)
@click.option(
    "--key",
    "key_files",
    metavar="PEM",
    type=FILE,
    multiple=True,
    help="Check the signature with this public key; repeatable.",
)
@click.option(
    "--policy",
    "policy_file",
    metavar="POLICY",
    type=FILE,
    help="Check whether the device that this policy describes would start it.",
)
@click.option(
    "--running",
    metavar="VERSION",
    callback=_version,
    help="Check for a downgrade from this version, which the device runs now.",
)
@click.option("--hash-only", is_flag=True, help="Check the hash alone: finds damage, not forgery.")
@click.option("--decrypts", is_flag=True, help="Assume a bootloader that takes encrypted images.")
@click.option("--unpacks", is_flag=True, help="Assume a bootloader that takes compressed images.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify_(
    file: Path,
    *,
    key_files: tuple[Path, ...],
    policy_file: Path | None,
    running: ImageVersion | None,
    hash_only: bool,
    decrypts: bool,
    unpacks: bool,
    as_json: bool,
) -> int:
    """Would a bootloader run FILE? If not, which check refuses it.

    Exit code 0: yes. 1: no. 2: a file cannot be used. 3: it cannot be told here (an encrypted image).
    """
    if not key_files and policy_file is None and not hash_only:
        raise click.UsageError("nothing to check signatures with: give --key, --policy, or --hash-only")
    limits = Limits(decrypts=decrypts, unpacks=unpacks)
    config = None if policy_file is None else _config(policy_file)
    keys = read_keys(*key_files)
    with ExitStack() as files:
        verdicts: list[tuple[NamedImage, ImageCheck]] = []
        for named in _open(files, file):
            if config is not None:
                verdicts.append((named, accept(named, config, running=running)))
            else:
                verdicts.append((named, verify(named.source, keys, limits)))
    if as_json:
        echo(json.dumps(_verdicts_json(verdicts)))
    else:
        for named, verdict in verdicts:
            _print_verdict(named, verdict)
    if any(verdict.refusal for _, verdict in verdicts):
        return Exit.NO
    return Exit.YES if all(verdict.ok for _, verdict in verdicts) else Exit.UNKNOWN


def _config(path: Path) -> BootConfig:
    # The policy's loader is only needed for this option.
    from keyswitch.policy.bootloader import boot_config_of  # noqa: PLC0415
    from keyswitch.policy.load import read_policy  # noqa: PLC0415

    return boot_config_of(read_policy(path))


def _verdicts_json(verdicts: list[tuple[NamedImage, ImageCheck]]) -> dict[str, Any]:
    images = [_verdict_json(verdict) for _, verdict in verdicts]
    if len(images) == 1:
        return images[0]
    for (named, _), entry in zip(verdicts, images, strict=True):
        entry["name"], entry["image"] = named.name, named.image
    ok = all(entry["ok"] for entry in images)
    return {"ok": ok, "version": images[0]["version"], "hash": images[0]["hash"], "images": images}


def _verdict_json(verdict: ImageCheck) -> dict[str, Any]:
    found = verdict.image
    return {
        "ok": verdict.ok,
        "version": None if found is None else str(found.version),
        "hash": None if found is None else found.hash.hex(),
        "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in verdict.checks],
    }


def _print_verdict(named: NamedImage, verdict: ImageCheck) -> None:
    width = max(len(check.name) for check in verdict.checks)
    for check in verdict.checks:
        echo(f"{_mark(check):<7}  {check.name:<{width}}  {check.detail}")
    if verdict.refusal is not None:
        echo(f"{named.name}: no: {verdict.refusal.detail}")
    elif verdict.inconclusive:
        echo(f"{named.name}: cannot be told here")
    else:
        echo(f"{named.name}: yes")


def _mark(check: CheckResult) -> str:
    return "ok" if check.ok else "skipped" if check.skipped else "refused"


@image.command()
@click.argument("first", metavar="A", type=FILE)
@click.argument("second", metavar="B", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(first: Path, second: Path, *, as_json: bool) -> int:
    """What two images differ in: header, TLVs, payload. Exit code 0: nothing. 1: something."""
    with ExitStack() as files:
        ones, others = _described(files, first), _described(files, second)
        if len(ones) != len(others):
            raise InputError(str(second), f"{len(others)} images", f"{len(ones)}, as in {first}")
        found = [
            (one.named.name, difference)
            for one, other in zip(ones, others, strict=True)
            for difference in differences(one, other)
        ]
    if as_json:
        entries = [{"image": name, "what": entry.what, "a": entry.first, "b": entry.second} for name, entry in found]
        echo(json.dumps({"same": not found, "differences": entries}))
    else:
        for name, entry in found:
            where = f"{name}: " if len(ones) > 1 else ""
            echo(f"{where}{entry.what}: {entry.first} | {entry.second}")
        if not found:
            echo("the same")
    return Exit.NO if found else Exit.YES
