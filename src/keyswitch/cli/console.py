"""`keyswitch console`: a page for the person at the machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyswitch.cli.defaults import default_policy
from keyswitch.cli.diagnostics import logging_options
from keyswitch.cli.interrupts import run_to_end
from keyswitch.cli.output import echo

if TYPE_CHECKING:
    from keyswitch.console.server import Serving

LISTEN = "127.0.0.1:8443"


@click.command(context_settings={"max_content_width": 110})
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@click.option("--near", metavar="RADIO", help="Also show the devices that this radio hears: ble: or hci:TRANSPORT.")
@click.option("--campaign", metavar="FILE", type=click.Path(path_type=Path), help="Show and steer this campaign.")
@click.option("--image", metavar="FILE", type=click.Path(path_type=Path), help="Install this signed image.")
@click.option(
    "--policy",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Use this policy of the devices: it says how to enter maintenance, and names the keys.",
)
@click.option(
    "--secret",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Read the entry secret from this file instead of the one that the policy names.",
)
@click.option(
    "--records",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("keyswitch-records"),
    show_default=True,
    help="Keep the record of each device in this directory.",
)
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    default=LISTEN,
    show_default=True,
    help="Serve the page here; any address but this computer's own needs a certificate, and asks for a token.",
)
@click.option("--host", "hosts", metavar="NAME", multiple=True, help="Be reached by this name, too; repeatable.")
@click.option("--certificate", metavar="PEM", type=click.Path(path_type=Path), help="Serve with this certificate.")
@click.option(
    "--certificate-key", metavar="PEM", type=click.Path(path_type=Path), help="The certificate's private key."
)
@logging_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the address.")
def console(targets: tuple[str, ...], *, listen: str, as_json: bool, **options: Any) -> None:
    """Serve a page that shows the devices at TARGETs, and updates one when a person holds its button.

    `keyswitch status --help` lists the kinds of TARGET. Ctrl-C ends the page; an update that is under way ends with it,
    and the next one resumes from what the device has.

    \b
    Examples:
      keyswitch console "ble:Pump 7" --image pump-1.1.0.signed.bin --policy policy.toml
      keyswitch console --campaign pumps.toml
      keyswitch console --near ble: --image pump-1.1.0.signed.bin --policy policy.toml
      keyswitch console udp:192.0.2.7 --listen 192.0.2.1:8443 --certificate bench.pem --certificate-key bench.key.pem
    """
    from keyswitch.extras import need

    for library in ("starlette", "jinja2", "uvicorn"):
        need(library, "console")
    run_to_end(_serve(targets, listen, as_json=as_json, **options))


async def _serve(
    targets: tuple[str, ...],
    listen: str,
    *,
    near: str | None,
    campaign: Path | None,
    image: Path | None,
    policy: Path | None,
    secret: Path | None,
    records: Path,
    hosts: tuple[str, ...],
    certificate: Path | None,
    certificate_key: Path | None,
    as_json: bool,
) -> None:
    from keyswitch.app.request import UpdateRequest
    from keyswitch.console.addresses import ListenAddress
    from keyswitch.console.open_bench import open_bench
    from keyswitch.console.server import ServerOptions, check_options, serve

    where = ListenAddress.parse(listen)
    options = ServerOptions(listen=where, names=hosts, certificate=certificate, certificate_key=certificate_key)
    check_options(options)  # before the directory of the records is made
    request = UpdateRequest(target="", image=image, policy=policy or default_policy(), secret=secret)
    opened = open_bench(targets, near=near, request=request, records=records, campaign=campaign)

    def ready(serving: "Serving") -> None:
        _tell(serving, as_json=as_json)
        opened.bench.begin()

    await serve(opened.bench, options, policy=opened.policy, desk=opened.desk, ready=ready)


def _tell(serving: "Serving", *, as_json: bool) -> None:
    from keyswitch.console.json_output import console_json
    from keyswitch.schema.output import to_line

    if as_json:
        echo(to_line(console_json(serving)))
        return
    tokens = serving.tokens
    echo(f"console: {serving.url} (Ctrl-C ends it)")
    if tokens is not None:
        echo(f"token to operate: {tokens.operate}")
        echo(f"token to look:    {tokens.look}")
