"""`keyswitch image`: look at a firmware file, and ask whether a device would run it, before a byte is sent."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click

from keyswitch.app.image_json import diff_json, image_file_json, verify_json
from keyswitch.cli.output import echo
from keyswitch.errors import InputError
from keyswitch.exits import Exit
from keyswitch.mcuboot.accept import accept
from keyswitch.mcuboot.config import BootConfig
from keyswitch.mcuboot.describe import Description, describe, differences, flag_names, tlv_words
from keyswitch.mcuboot.files import NamedImage, open_file, open_images
from keyswitch.mcuboot.image import ImageFault, ImageVersion
from keyswitch.mcuboot.keys import VerifiedHash, read_keys
from keyswitch.mcuboot.verify import CheckResult, ImageCheck, Limits, verify
from keyswitch.schema.output import to_line

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
            echo(to_line(image_file_json(str(file), descriptions)))
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
@click.option(
    "--hash",
    "built_for",
    type=click.Choice([build.value for build in VerifiedHash]),
    help="What the bootloader is built to verify; needed for Ed25519, where the key does not say it.",
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
    built_for: str | None,
    hash_only: bool,
    decrypts: bool,
    unpacks: bool,
    as_json: bool,
) -> int:
    """Would a bootloader run FILE? If not, which check refuses it.

    Exit code 0: yes. 1: no. 2: a file cannot be used. 3: it cannot be told here (an encrypted image, or an Ed25519 key
    and no --hash).
    """
    if not key_files and policy_file is None and not hash_only:
        raise click.UsageError("nothing to check signatures with: give --key, --policy, or --hash-only")
    build = None if built_for is None else VerifiedHash(built_for)
    limits = Limits(decrypts=decrypts, unpacks=unpacks, hash=build)
    config = None if policy_file is None else _config(policy_file, build)
    keys = read_keys(*key_files)
    with ExitStack() as files:
        verdicts: list[tuple[NamedImage, ImageCheck]] = []
        for named in _open(files, file):
            if config is not None:
                verdicts.append((named, accept(named, config, running=running)))
            else:
                verdicts.append((named, verify(named.source, keys, limits)))
    if as_json:
        echo(to_line(verify_json(verdicts)))
    else:
        for named, verdict in verdicts:
            _print_verdict(named, verdict)
    if any(verdict.refusal for _, verdict in verdicts):
        return Exit.NO
    return Exit.YES if all(verdict.ok for _, verdict in verdicts) else Exit.UNKNOWN


def _config(path: Path, build: VerifiedHash | None) -> BootConfig:
    # The policy's loader is only needed for this option.
    from keyswitch.policy.bootloader import boot_config_of
    from keyswitch.policy.load import read_policy

    config = boot_config_of(read_policy(path))
    return config if build is None else replace(config, hash=build)


def _print_verdict(named: NamedImage, verdict: ImageCheck) -> None:
    width = max(len(check.name) for check in verdict.checks)
    for check in verdict.checks:
        words = check.detail if check.fault is None else check.fault.found_and_expected
        echo(f"{_mark(check):<7}  {check.name:<{width}}  {words}")
    if verdict.refusal is not None:
        echo(f"{named.name}: no: {verdict.refusal.detail}")
    elif verdict.inconclusive:
        echo(f"{named.name}: {verdict.condition or 'cannot be told here'}")
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
        echo(to_line(diff_json(found)))
    else:
        for name, entry in found:
            where = f"{name}: " if len(ones) > 1 else ""
            echo(f"{where}{entry.what}: {entry.first} | {entry.second}")
        if not found:
            echo("the same")
    return Exit.NO if found else Exit.YES
