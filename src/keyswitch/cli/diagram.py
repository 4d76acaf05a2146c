"""`keyswitch diagram`: a policy as a picture."""

from pathlib import Path

import click

from keyswitch.cli.output import echo
from keyswitch.cli.picture import png
from keyswitch.errors import InputError
from keyswitch.extras import need
from keyswitch.files.writing import write_output
from keyswitch.policy.load import read_policy
from keyswitch.prove.chart import chart
from keyswitch.prove.mermaid import mermaid
from keyswitch.prove.svg import svg
from keyswitch.text import counted

_KINDS = ".svg, .mmd or .png"


@click.command(context_settings={"max_content_width": 110})
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"Write the diagram to this file; its ending says as what: {_KINDS}.",
)
def diagram(policy: Path, output: Path) -> None:
    """Draw the modes of POLICY, the transitions between them with proofs and guards, and what each mode allows.

    \b
    Examples:
      keyswitch diagram policy.toml -o modes.svg
      keyswitch diagram policy.toml -o modes.mmd      (Mermaid)
    """
    drawn = chart(read_policy(policy))
    match output.suffix:
        case ".svg":
            data = svg(drawn).encode()
        case ".mmd":
            data = mermaid(drawn).encode()
        case ".png":
            need("cairosvg", str(output))
            data = png(svg(drawn))
        case _:
            raise InputError(str(output), f'cannot draw "{output.suffix}"', _KINDS)
    write_output(output, data)
    echo(f"{output}: {counted(len(drawn.columns), 'mode')}, {counted(len(drawn.rows), 'transition')}")
