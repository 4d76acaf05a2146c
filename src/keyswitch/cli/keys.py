"""`keyswitch keys`: make the keys that a policy names."""

from pathlib import Path

import click

from keyswitch.cli.keygen import GeneratedKey, make_key
from keyswitch.cli.output import echo

FILE = click.Path(path_type=Path)


@click.group(context_settings={"max_content_width": 110})
def keys() -> None:
    """Make the keys that a policy names.

    \b
    Examples:
      keyswitch keys new keys/pump7.hmac --kind secret      shared by device and operator (challenge)
      keyswitch keys new keys/service.pem --kind permit     of who issues permits, or holds one
      keyswitch keys new keys/root.pem --kind image         signs firmware
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
    made = make_key(GeneratedKey(kind), file)
    echo(f"{made.private}: keep it secret")
    if made.public is not None:
        echo(f"{made.public}: give it away")
