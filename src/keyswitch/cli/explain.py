"""`keyswitch explain`: why a mode serves a command or not, and the shortest steps to a mode that serves it."""

from pathlib import Path

import click

from keyswitch.cli.output import echo
from keyswitch.exits import Exit
from keyswitch.policy.load import read_policy
from keyswitch.prove.check import trace_words
from keyswitch.prove.explain import explain as asked
from keyswitch.prove.explain import explain_json
from keyswitch.schema.output import to_line


@click.command(context_settings={"max_content_width": 110})
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@click.option("--mode", required=True, metavar="MODE", help="Explain what this mode serves.")
@click.option(
    "--command",
    required=True,
    metavar="COMMAND",
    help="Explain this command, written as in an allow list: os.reset, image.state:read.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(policy: Path, mode: str, command: str, *, as_json: bool) -> Exit:
    """Say whether MODE serves COMMAND, why, and the shortest steps to a mode that serves it.

    Exit code 0: it is served, 1: it is refused.

    \b
    Example:
      keyswitch explain policy.toml --mode normal --command image.upload
    """
    found = asked(read_policy(policy), mode, command)
    if as_json:
        echo(to_line(explain_json(found)))
        return Exit.YES if found.allowed else Exit.NO
    echo(f"{command} in {mode}: {'served' if found.allowed else 'refused'}: {found.reason}")
    if found.path is None:
        echo("no transitions lead to a mode that serves it")
    elif found.path:
        echo("the shortest steps to a mode that serves it:")
        for number, line in enumerate(trace_words(found.path), 1):
            echo(f"  {number:2}. {line}")
    return Exit.YES if found.allowed else Exit.NO
