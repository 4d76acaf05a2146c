"""`keyswitch bonds`: which devices an hci: radio of ours is paired with, and forgetting one. Keys are never printed."""

from pathlib import Path

import click

from keyswitch.cli.fields import json_line
from keyswitch.cli.output import echo
from keyswitch.exits import Exit

FILE = click.Path(path_type=Path)


@click.group(context_settings={"max_content_width": 110})
def bonds() -> None:
    """List and remove the pairings in a file of `--bonds`.

    The pairings of this computer's own adapter (ble:) are its system's: on Linux `bluetoothctl devices Bonded` and
    `bluetoothctl remove ADDRESS`.

    \b
    Examples:
      keyswitch bonds list bonds.json
      keyswitch bonds remove bonds.json C0:FF:EE:00:00:07
    """


@bonds.command("list")
@click.argument("file", metavar="FILE", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def list_(file: Path, *, as_json: bool) -> Exit:
    """List the pairings in FILE, the oldest first, and what a link with their keys is worth.

    Also for the bonds.json in a device's state directory. Exit code 0: there are some, 1: there are none.
    """
    from keyswitch.app.bonds import bond_json, read_bonds

    found = read_bonds(file)
    for bond in found:
        told = bond_json(bond)
        echo(json_line(told) if as_json else f"{bond.peer:<20} {bond.security.word:<14} as {bond.own}")
    if not found and not as_json:
        echo("no pairings")
    return Exit.YES if found else Exit.NO


@bonds.command()
@click.argument("file", metavar="FILE", type=FILE)
@click.argument("address", metavar="ADDRESS")
def remove(file: Path, address: str) -> Exit:
    """Forget the pairing with ADDRESS. The device remembers its side: remove that there, or it refuses the next one.

    Exit code 0: it was removed, 1: there was none.
    """
    from keyswitch.app.bonds import remove_bond

    removed = remove_bond(file, address)
    echo(f"removed: {removed}" if removed else f"no pairing with {address} in {file}")
    if removed:
        echo("next: remove the bond on the device as well, then pair again (--pair)")
    return Exit.YES if removed else Exit.NO
