"""`keyswitch gateway`: updates the devices near it that campaigns on a PostgreSQL give it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyswitch.cli.fields import json_line
from keyswitch.cli.interrupts import run_to_end
from keyswitch.cli.output import echo
from keyswitch.exits import Exit

if TYPE_CHECKING:
    from keyswitch.campaign.events import Event


@click.command(context_settings={"max_content_width": 110})
@click.argument("name", metavar="NAME")
@click.option(
    "--database",
    metavar="URL",
    envvar="KEYSWITCH_DATABASE",
    required=True,
    help="Take attempts from the campaigns in this PostgreSQL (postgresql://HOST/NAME).",
)
@click.option(
    "--directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Find the campaigns' files in this directory, and keep the devices' records there; else in the current one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def gateway(name: str, database: str, directory: Path, *, as_json: bool) -> Exit:
    """Update the devices that campaigns give to gateway NAME, until it is interrupted.

    Started again it takes up what it had under way. A path in a campaign's directory is the same one in DIR.

    \b
    Example:
      keyswitch gateway ward-3 --database postgresql://office/pumps --directory /srv/pumps
    """
    from keyswitch.campaign.gateways import Gateway
    from keyswitch.campaign.json_output import event_json
    from keyswitch.campaign.postgresql import check_url
    from keyswitch.cli.campaign_view import lines
    from keyswitch.extras import need

    need("dbos", "gateway")
    check_url(database)

    def tell(event: "Event") -> None:
        told = event_json(event)
        if as_json and told is not None:
            echo(json_line(told))
        for line in () if as_json else lines(event, Path()):
            echo(line)

    def ready() -> None:
        echo(json_line({"event": "gateway_ready", "name": name}) if as_json else f"gateway {name}: ready")

    it = Gateway(name, database, directory, tell)
    run_to_end(it.serve(ready), on_signal=it.end)
    return Exit.INTERRUPTED
