"""`keyswitch unit`: what makes one device of a product this one."""

from pathlib import Path
from typing import Final

import click

from keyswitch.app.units import policy_of_unit
from keyswitch.cli.output import echo
from keyswitch.errors import InputError
from keyswitch.files.writing import create_file
from keyswitch.policy.secrets import read_issuers, read_secret
from keyswitch.policy.unit_data import SECRET_MODE, UnitData, from_bytes, read_unit_data, to_bytes, to_hex

FILE: Final = click.Path(path_type=Path)


@click.group(context_settings={"max_content_width": 110})
def unit() -> None:
    """Write what makes one device of a product this one: identity, entry secret, keys of who issues permits.

    \b
    Example:
      keyswitch unit make policy.toml --inventory units.csv --unit P-0007 --address 0xFE000 -o p-0007.hex
    """


@unit.command()
@click.argument("policy", metavar="POLICY", type=FILE)
@click.option("--inventory", metavar="FILE", type=FILE, help="Take the unit's id and secret from this file.")
@click.option("--unit", "wanted", metavar="ID", help="Take this unit of the inventory.")
@click.option(
    "--address",
    required=True,
    metavar="ADDRESS",
    help="Put it there: the first address of the partition keyswitch_unit, such as 0xFE000.",
)
@click.option("-o", "--output", required=True, metavar="FILE.hex", type=FILE, help="Write this Intel HEX file.")
def make(policy: Path, inventory: Path | None, wanted: str | None, address: str, output: Path) -> None:
    """Write the unit's data as Intel HEX for the production line.

    Secrets are in it: the file is readable by you alone, and nothing is overwritten. Program it beside the firmware;
    the tables that `keyswitch export` writes are the same for every unit and hold no secret.

    \b
    Example:
      keyswitch unit make policy.toml --inventory units.csv --unit P-0007 --address 0xFE000 -o p-0007.hex
    """
    if wanted is not None and inventory is None:
        raise InputError("--unit", "means nothing without an inventory", "--inventory FILE")
    rules, _ = policy_of_unit(policy, inventory, wanted)
    assert rules is not None  # noqa: S101 - a policy was given
    made = UnitData(
        id=rules.device.id,
        secret=None if rules.entry.challenge is None else read_secret(rules),
        issuers=() if rules.entry.permit is None else read_issuers(rules),
    )
    data = to_bytes(made)
    text = to_hex(data, _address(address))
    assert from_bytes(data) == made  # noqa: S101 - what is written is read
    create_file(output, text.encode(), mode=SECRET_MODE)
    echo(f"{output}: {_told(made)}; {len(data)} bytes at {_address(address):#x}; keep it secret")


@unit.command()
@click.argument("file", metavar="FILE", type=FILE)
def show(file: Path) -> None:
    """Say whose data FILE holds; no secret is shown.

    \b
    Example:
      keyswitch unit show p-0007.hex
    """
    echo(f"{file}: {_told(read_unit_data(file))}")


def _told(made: UnitData) -> str:
    count = len(made.issuers)
    keys = "no issuers" if not count else f"{count} issuer" + "s" * (count > 1)
    return f"unit {made.id!r}, {'no secret' if made.secret is None else 'a secret'}, {keys}"


def _address(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise InputError("--address", f"{text!r} is no address", "a number such as 0xFE000") from None
