"""`keyswitch init`: a commented policy and its keys, to start from."""

import json
import os
import sys
from pathlib import Path

import click

from keyswitch.cli.keygen import GeneratedKey, make_key, write_new
from keyswitch.cli.output import echo
from keyswitch.errors import InputError, LocalError
from keyswitch.mcuboot.keys import VERIFIED_HASHES, KeyKind, VerifiedHash, read_keys
from keyswitch.policy.enums import ProofKind, Visibility
from keyswitch.policy.grammar import DEVICE
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import BootloaderSettings
from keyswitch.policy.schema import SCHEMA_FILE, schema_document
from keyswitch.policy.template import Choices, template
from keyswitch.policy.units import UNIT
from keyswitch.prove.check import check
from keyswitch.schema.value_types import NAME
from keyswitch.terms import Transport
from keyswitch.zephyr.boards import BOARDS
from keyswitch.zephyr.build import bootloader_of, read_build

_PROOFS = [ProofKind.CHALLENGE.value, ProofKind.PERMIT.value, ProofKind.SEQUENCE.value]
_IMAGE_KEY = "keys/image.pub.pem"
_NAME_BYTES = 29
"""A scan response holds 31, two of them length and type (Core spec Vol 3 Part C 11)."""
_KEYS = {
    ProofKind.CHALLENGE: ("device.hmac", GeneratedKey.SECRET),
    ProofKind.PERMIT: ("issuer.pem", GeneratedKey.PERMIT),
}


@click.command(context_settings={"max_content_width": 110})
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", metavar="TEXT", help="Let the device advertise this name.")
@click.option(
    "--proof",
    "proofs",
    multiple=True,
    type=click.Choice(_PROOFS),
    help="Let whoever enters prove that they may like this; repeatable.",
)
@click.option("--button/--no-button", default=None, help="Let a button open maintenance as well.")
@click.option(
    "--safety-input", metavar="NAME", help='Require that this input is false during maintenance; "" for none.'
)
@click.option(
    "--service", type=click.Choice([each.value for each in Visibility]), help="Show the SMP service like this."
)
@click.option(
    "--transport",
    "transports",
    multiple=True,
    type=click.Choice([each.value for each in Transport]),
    help="Serve SMP over this transport; repeatable.",
)
@click.option(
    "--image-key",
    metavar="PEM",
    type=click.Path(path_type=Path),
    help="Require that images are signed with this existing key, instead of making one.",
)
@click.option(
    "--build",
    metavar="BUILD_DIR",
    type=click.Path(path_type=Path),
    help="Take slots, hash and algorithm from this build of the product (`west build`).",
)
@click.option(
    "--board",
    type=click.Choice(sorted(BOARDS)),
    help="Take this board's usual slots, hash and algorithm, as a guess that `keyswitch check` names.",
)
@click.option("--unit", metavar="ID", help="Write DIR/unit.toml as well, for the unit of this identity.")
@click.option("--yes", is_flag=True, help="Ask nothing; take the defaults for what is not given.")
def init(
    directory: Path,
    name: str | None,
    proofs: tuple[str, ...],
    button: bool | None,
    safety_input: str | None,
    service: str | None,
    transports: tuple[str, ...],
    image_key: Path | None,
    build: Path | None,
    board: str | None,
    unit: str | None,
    yes: bool,
) -> None:
    """Write DIR/policy.toml with comments, its schema, and the keys it names; the result passes `keyswitch check`.

    Asks for what is not given, unless --yes is. Nothing is overwritten.

    \b
    Examples:
      keyswitch init pump
      keyswitch init pump --yes --name "Pump 7" --proof permit --transport ble --transport serial
      keyswitch init pump --yes --image-key keys/root.pub.pem --unit P-0007
      keyswitch init pump --yes --build build --image-key keys/root.pub.pem
    """
    quiet = yes or not sys.stdin.isatty()
    place = directory / "policy.toml"
    if place.exists():
        raise InputError(str(place), "is there already", "a directory without a policy: nothing is overwritten")
    unit_file = None if unit is None else _unit_file(unit)
    bootloader, sources = _bootloader(build, board)
    image_kind = _image_key(image_key, None if bootloader is None else bootloader.hash)
    choices = Choices(
        name=_name(name or _asked(quiet, "The device's name", _default_name(directory))),
        proofs=tuple(ProofKind(each) for each in proofs or (_one_of(quiet, "Entry is proved by", _PROOFS),)),
        button=button if button is not None else quiet or click.confirm("A button opens maintenance too", default=True),
        safety_input=_input(safety_input, quiet=quiet),
        service=_service(service, quiet=quiet),
        transports=tuple(Transport(each) for each in dict.fromkeys(transports)) or (Transport.BLE,),
        image_key=_IMAGE_KEY if image_key is None else os.path.relpath(image_key.resolve(), directory.resolve()),
        bootloader=bootloader,
        bootloader_source=sources,
    )
    write_new(place, template(choices).encode(), secret=False)
    echo(f"{place}: the policy")
    schema = directory / SCHEMA_FILE
    if not schema.exists():
        write_new(schema, schema_document(), secret=False)
        echo(f"{schema}: for editors, which complete and check the policy by it")
    for kind in choices.proofs:
        if kind in _KEYS:
            _make(directory, *_KEYS[kind])
    if image_key is None:
        _make(directory, "image.pem", image_kind)
    if unit_file is not None:
        write_new(directory / "unit.toml", unit_file.encode(), secret=False)
        echo(f"{directory / 'unit.toml'}: the unit, for --unit of `keyswitch device`")
    if not check(read_policy(place)).holds:
        raise LocalError(f"{place}: the policy that was written is refuted; this is a fault of Keyswitch")
    echo(f"the policy is proved; next: keyswitch check {place}, keyswitch diagram {place} -o modes.svg")


def _image_key(given: Path | None, build: VerifiedHash | None) -> GeneratedKey:
    """The kind of key to make, one that goes with what the bootloader verifies.

    Raises:
        InputError: the key that is given cannot be read, or does not go with it.
    """
    if given is not None:
        keys = read_keys(given)
        if build is not None and build not in keys.verified_hashes:
            problem = f"does not go with {build.words}, which the bootloader verifies"
            raise InputError(str(given), problem, "its own key")
    return GeneratedKey.IMAGE if build in {None, *VERIFIED_HASHES[KeyKind.ECDSA_P256]} else GeneratedKey.IMAGE_ED25519


def _bootloader(build: Path | None, board: str | None) -> tuple[BootloaderSettings | None, tuple[str, ...]]:
    """What is known of the bootloader, and where it stands."""
    if build is not None and board is not None:
        raise click.UsageError("--board is a guess, and --build knows: give one of them")
    if build is not None:
        found = read_build(build)
        built = bootloader_of(found)
        sources = [f"Read from {found.mcuboot.path} and {found.slots.source}."]
        if built.key_file is not None:
            sources.append(f"Its key is {built.key_file}; `key` below is its public half.")
        if built.external:
            sources.append("The secondary slot lies on another chip.")
        return built.settings, tuple(sources)
    if board is not None:
        usual = BOARDS[board]
        return usual.bootloader, (f"Usual for {board}:", *usual.sources)
    return None, ()


def _unit_file(unit: str) -> str:
    (key,) = (key for key in UNIT.keys if key.name == "id")
    quoted = json.dumps(key.kind.read(unit, "--unit"), ensure_ascii=False)
    return f"""\
# Who this unit is; the policy is the same for all of its product.
[unit]
id = {quoted}
# serial = "..."                  # for records
# secret = "keys/..."             # its own entry secret, instead of the one that the policy names
"""


def _make(directory: Path, file: str, kind: GeneratedKey) -> None:
    made = make_key(kind, directory / "keys" / file)
    echo(f"{made.private}: keep it secret")
    if made.public is not None:
        echo(f"{made.public}: give it away")


def _default_name(directory: Path) -> str:
    """The directory's name, as much of it as can be advertised."""
    name = "".join(each for each in directory.resolve().name if each.isascii() and each.isprintable())
    return name[:_NAME_BYTES] or "Device"


def _name(text: str) -> str:
    (key,) = (key for key in DEVICE.keys if key.name == "name")
    return str(key.kind.read(text, "--name"))


def _input(given: str | None, *, quiet: bool) -> str:
    text = (
        _asked(quiet, 'Input that must be false for maintenance ("-" for none)', "motion") if given is None else given
    )
    return "" if text in {"", "-"} else str(NAME.read(text, "--safety-input"))


def _service(given: str | None, *, quiet: bool) -> Visibility:
    if given is None and not quiet:
        for each in Visibility:
            echo(f"  {each.value:<10} {each.sentence}")
    return Visibility(given or _one_of(quiet, "The SMP service is shown", [each.value for each in Visibility]))


def _asked(quiet: bool, question: str, default: str) -> str:
    return default if quiet else str(click.prompt(question, default=default))


def _one_of(quiet: bool, question: str, words: list[str]) -> str:
    return words[0] if quiet else str(click.prompt(question, type=click.Choice(words), default=words[0]))
