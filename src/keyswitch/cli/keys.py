"""`keyswitch keys`: make the keys that a policy names."""

from pathlib import Path
from typing import Final

import click

from keyswitch.cli.keygen import GeneratedKey, Made, make_key
from keyswitch.cli.output import echo
from keyswitch.errors import InputError
from keyswitch.policy.fingerprints import missing_key_files
from keyswitch.policy.load import read_policy

FILE = click.Path(path_type=Path)


@click.group(context_settings={"max_content_width": 110})
def keys() -> None:
    """Make the keys that a policy names.

    \b
    Examples:
      keyswitch keys new keys/pump7.hmac --kind secret      shared by device and operator (challenge)
      keyswitch keys new keys/service.pem --kind permit     of who issues permits, or holds one
      keyswitch keys new keys/root.pem --kind image         signs firmware
      keyswitch keys make policy.toml                       all that a policy names and that are not there
    """


@keys.command()
@click.argument("file", metavar="FILE", type=FILE)
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in GeneratedKey]),
    default=GeneratedKey.PERMIT.value,
    show_default=True,
    help="Make a key for this purpose.",
)
def new(file: Path, kind: str) -> None:
    """Write a new key to FILE, readable by you alone; the public part of a pair goes beside it as ….pub.pem.

    Nothing is ever overwritten.

    \b
    Example:
      keyswitch keys new keys/service.pem
    """
    _say(make_key(GeneratedKey(kind), file))


def _say(made: Made) -> None:
    echo(f"{made.private}: keep it secret")
    if made.public is not None:
        echo(f"{made.public}: give it away")


@keys.command()
@click.argument("policy", metavar="POLICY", type=FILE)
def make(policy: Path) -> None:
    """Make every key that POLICY names and that is not there yet; what is there stays.

    The private part of a pair goes beside its public part: keys/root.pem beside keys/root.pub.pem.

    \b
    Example:
      keyswitch keys make examples/pump/policy.toml
    """
    missing = missing_key_files(read_policy(policy))
    wanted = [(_KIND_OF[where.partition("[")[0]], _private(where, path)) for where, path in missing]
    for kind, path in wanted:
        _say(make_key(kind, path))
    if not wanted:
        echo(f"{policy}: every key that it names is there")


_KIND_OF: Final = {
    "entry.challenge.secret": GeneratedKey.SECRET,
    "entry.permit.issuers": GeneratedKey.PERMIT,
    "bootloader.key": GeneratedKey.IMAGE,
}


def _private(where: str, path: Path) -> Path:
    """Where the part that is kept secret goes, of the key whose named file is `path`."""
    if _KIND_OF[where.partition("[")[0]] is GeneratedKey.SECRET:
        return path
    stem = path.name.removesuffix(".pub.pem")
    if stem == path.name:
        raise InputError(f"{where}: {path}", "not there, and its private part has no name", "a name ending in .pub.pem")
    return path.with_name(f"{stem}.pem")
