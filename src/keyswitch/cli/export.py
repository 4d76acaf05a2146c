"""`keyswitch export`: a policy as what firmware is built from."""

from pathlib import Path

import click

from keyswitch.cli.output import echo
from keyswitch.exits import Exit
from keyswitch.export.limits import check_exportable
from keyswitch.export.settings import DEFAULT, NCS, RELEASES, release_of
from keyswitch.export.zephyr import ZephyrExport, check_directory, drift, export_zephyr, write_export
from keyswitch.policy.load import read_policy
from keyswitch.prove.check import check as prove
from keyswitch.schema.output import to_line
from keyswitch.text import counted


@click.group(context_settings={"max_content_width": 110})
def export() -> None:
    """Write a policy as what firmware is built from.

    \b
    Example:
      keyswitch export zephyr policy.toml -o keyswitch/
    """


@export.command()
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the files into this directory: a new one, an empty one, or one with an earlier export.",
)
@click.option("--check", "only_check", is_flag=True, help="Write nothing: say whether DIR holds what would be written.")
@click.option(
    "--zephyr",
    metavar="RELEASE",
    help=f"Write for this release of Zephyr: {', '.join(RELEASES)}.  [default: {DEFAULT}]",
)
@click.option("--ncs", metavar="RELEASE", help=f"Write for this release of the nRF Connect SDK: {', '.join(NCS)}.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def zephyr(policy: Path, output: Path, zephyr: str | None, ncs: str | None, *, only_check: bool, as_json: bool) -> Exit:
    """Write POLICY as tables and settings for the Zephyr module in firmware/.

    POLICY is proved first: one that is refuted is not exported. What the module does not enforce is said.

    Exit code 0: it is written (with --check: DIR is up to date), 1: POLICY is refuted, or DIR is not up to date,
    3: POLICY is not decided.

    \b
    Examples:
      keyswitch export zephyr policy.toml -o keyswitch/
      keyswitch export zephyr policy.toml -o keyswitch/ --ncs 2.9
      keyswitch export zephyr policy.toml -o keyswitch/ --check
    """
    release = release_of(zephyr, ncs)
    rules = read_policy(policy)
    check_exportable(rules)
    if not only_check:
        check_directory(output)
    proof = prove(rules)
    if not proof.holds:
        refuted = bool(proof.violations)
        word = (
            f"refuted ({counted(len(proof.violations), 'violation')})" if refuted else f"not decided: {proof.stopped}"
        )
        echo(f"{policy}: {word}: nothing is exported; keyswitch check {policy} says more", err=True)
        return Exit.NO if refuted else Exit.UNKNOWN
    made = export_zephyr(rules, proof, release)
    if only_check:
        return _say_drift(made, output, as_json=as_json)
    write_export(made, output)
    if as_json:
        echo(to_line(made.as_json()))
    else:
        _say(made, output)
    return Exit.YES


def _say(made: ZephyrExport, output: Path) -> None:
    echo(f"{output}: {', '.join(sorted(made.files))} for Zephyr {made.zephyr}")
    for each in made.unenforced:
        echo(f"not enforced by the module: {each.promise}: {each.why}")


def _say_drift(made: ZephyrExport, output: Path, *, as_json: bool) -> Exit:
    other = drift(made, output)
    if as_json:
        echo(to_line({**made.as_json(), "drift": list(other)}))
    elif other:
        echo(f"{output}: not what the policy gives: {', '.join(other)}; write it again without --check")
    else:
        echo(f"{output}: up to date")
    return Exit.NO if other else Exit.YES
