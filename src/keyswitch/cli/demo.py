"""`keyswitch demo`: the whole story with a virtual device."""

from pathlib import Path

import click

from keyswitch.cli.interrupts import run_to_end
from keyswitch.exits import Exit


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--payload",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Play with your own firmware binary, which is signed with the demo's key.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line; the last one is the summary.")
@click.option("--quiet", is_flag=True, help="Print the summary alone, and what went wrong.")
def demo(payload: Path | None, as_json: bool, quiet: bool) -> Exit:
    """Tell the whole story with a virtual device: refused, entered, updated, confirmed, shut again, reverted.

    The device runs as a process of its own; this process is the operator. Both speak real Bluetooth LE protocol bytes
    over a modelled radio. Exit code 0 only if every step went as expected.

    \b
    Examples:
      keyswitch demo
      keyswitch demo --payload build/zephyr/zephyr.bin
      keyswitch demo --json | tail -1
    """
    from rich.console import Console

    from keyswitch.demo.play import play
    from keyswitch.demo.telling import teller
    from keyswitch.extras import need

    need("bumble", "the demo's radio")

    told = teller(Console(), as_json=as_json, quiet=quiet)
    summary = run_to_end(play(told, payload=payload))
    return Exit.YES if summary.ok else Exit.NO
