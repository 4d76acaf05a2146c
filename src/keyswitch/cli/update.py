"""`keyswitch update`: bring an image onto a device, prove that it runs, and leave maintenance mode again."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from keyswitch.cli.defaults import default_policy, with_target
from keyswitch.cli.diagnostics import diagnostics
from keyswitch.cli.interrupts import run_to_end
from keyswitch.cli.pairing import pairing_options
from keyswitch.errors import InputError
from keyswitch.exits import Exit


@click.command(context_settings={"max_content_width": 110})
@click.argument("target", metavar="[TARGET]", required=False)
@click.argument("image", metavar="[IMAGE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--policy",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Use this policy of the device: it says how to enter maintenance, and names the keys.",
)
@click.option(
    "--new-policy",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Refuse an update that would revert under this policy, which the image brings; else that is not known.",
)
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    help="Enter a device without our mode service as this recipe says: boot-mode, button, … or a file.",
)
@click.option("--set", "variables", metavar="NAME=VALUE", multiple=True, help="Set a variable of the recipe.")
@click.option(
    "--secret",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Read the entry secret from this file instead of the one that the policy names.",
)
@click.option("--permit", metavar="FILE", type=click.Path(path_type=Path), help="Enter with this signed permission.")
@click.option(
    "--holder",
    metavar="PEM",
    type=click.Path(path_type=Path),
    help="Prove with this private key that the permit is yours.",
)
@click.option("--to", metavar="MODE", help="Enter this maintenance mode; needed if the policy has several.")
@click.option(
    "--key",
    "keys",
    metavar="PEM",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Check the image's signature with this public key; repeatable.",
)
@click.option("--decrypts", is_flag=True, help="Send also an encrypted image: the device's bootloader takes them.")
@click.option("--unpacks", is_flag=True, help="Send also a compressed image: the device's bootloader takes them.")
@click.option(
    "--hash",
    type=click.Choice(["sha256", "sha384", "sha512", "pure"]),
    help="What the device's bootloader is built to verify; an Ed25519 key does not say it.",
)
@click.option(
    "--only",
    type=click.Choice(["upload", "test", "confirm", "leave"]),
    help="Stop after the upload or the trial boot; or only confirm what runs; or only leave maintenance.",
)
@click.option(
    "--confirm-by",
    type=click.Choice(["operator", "self"]),
    help="Who confirms the new image; self: wait until the application does.",
)
@click.option(
    "--health",
    metavar="COMMAND",
    help="Run this once the new image runs; confirm the image only if it ends with exit code 0.",
)
@click.option(
    "--image-number", type=click.IntRange(0, 255), metavar="N", help="Update image N of a device that has several."
)
@click.option("--window", type=click.IntRange(1, 255), metavar="N", help="Keep at most N requests outstanding.")
@click.option(
    "--frame", type=click.IntRange(110, 65_543), metavar="BYTES", help="Send frames of at most this many bytes."
)
@pairing_options
@click.option("--stay", is_flag=True, help="Do not leave maintenance mode at the end.")
@click.option("--downgrade", is_flag=True, help="Install the image even if the device runs a newer one.")
@click.option("--unchecked", is_flag=True, help="Send the image even if the bootloader would refuse it.")
@click.option("--force", is_flag=True, help="Reset the device even if it says that it is busy.")
@click.option("--dry-run", is_flag=True, help="Print the plan; ask the device, change nothing.")
@click.option(
    "--evidence",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Append a hash-chained record of this run to the file.",
)
@click.option(
    "--sign", metavar="PEM", type=click.Path(path_type=Path), help="Sign the record with this private Ed25519 key."
)
@click.option(
    "--inventory",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take the unit's id, serial number and secret from this file (TOML or CSV); --unit names it there.",
)
@click.option("--unit", metavar="TEXT", help="Record which unit this is, as its owner calls it.")
@click.option("--serial-number", metavar="TEXT", help="Record the unit's serial number.")
@click.option("--note", metavar="TEXT", help="Record this as well: an order, a reason.")
@diagnostics
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line; the last one is the result.")
@click.option("--quiet", is_flag=True, help="Print the result alone.")
def update(
    target: str | None,
    image: Path | None,
    *,
    policy: Path | None,
    recipe: str | None,
    variables: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    dry_run: bool,
    **options: Any,
) -> Exit:
    """Update the device at TARGET with IMAGE: enter maintenance, upload, test, prove, confirm, leave.

    Interrupted anywhere, the same command resumes from what the device really has. IMAGE is a signed MCUboot image
    (binary or Intel HEX) or a DFU package. `keyswitch status --help` lists the kinds of TARGET.

    \b
    Examples:
      keyswitch update "hci:tcp-client:127.0.0.1:6402#Pump 7" pump-1.1.0.signed.bin --policy policy.toml
      keyswitch update serial:/dev/ttyACM0 app.signed.bin --key root-ec-p256.pub.pem
      keyswitch update "ble:Pump 7" pump.zip --policy policy.toml --only upload
    """
    from keyswitch.app.request import UpdateRequest
    from keyswitch.app.update import prepare
    from keyswitch.cli.plan import plan
    from keyswitch.cli.progress import shown
    from keyswitch.cli.prompt import TerminalNumbers, ask_passkey
    from keyswitch.cli.run import run

    named, file = with_target(target, None if image is None else str(image))
    request = UpdateRequest(
        target=named or "",
        image=None if file is None else Path(file),
        policy=policy or (default_policy() if recipe is None else None),
        recipe=recipe,
        variables=variables_of(variables),
        **options,
    )
    prepared = prepare(request, ask_passkey=ask_passkey, numbers=TerminalNumbers())
    if dry_run:
        return run_to_end(plan(prepared, as_json=as_json))
    return run_to_end(run(prepared, shown(as_json=as_json, quiet=quiet)))


def variables_of(assignments: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The variables of a recipe, as `--set NAME=VALUE` gives them."""
    found: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise InputError("--set", f"{assignment!r}", "NAME=VALUE")
        found[name] = value
    return tuple(found.items())
