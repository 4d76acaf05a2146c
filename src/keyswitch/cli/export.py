"""`keyswitch export`: a policy as what firmware is built from."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from keyswitch.cli.output import echo
from keyswitch.exits import Exit
from keyswitch.export.built import BuiltPromise, PromiseState, check_build
from keyswitch.export.limits import check_exportable, check_release
from keyswitch.export.settings import DEFAULT, NCS, RELEASES, release_of
from keyswitch.export.zephyr import ZephyrExport, check_directory, drift, export_zephyr, write_export
from keyswitch.policy.load import read_policy
from keyswitch.prove.check import check as prove
from keyswitch.schema.output import to_line
from keyswitch.text import counted, plain
from keyswitch.zephyr.build import read_build_files


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
@click.option(
    "--build",
    "build",
    metavar="BUILD_DIR",
    type=click.Path(path_type=Path),
    help="Also say whether what `west build` made in BUILD_DIR keeps each promise of POLICY.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def zephyr(
    policy: Path,
    output: Path,
    zephyr: str | None,
    ncs: str | None,
    build: Path | None,
    *,
    only_check: bool,
    as_json: bool,
) -> Exit:
    """Write POLICY as tables and settings for the Zephyr module in firmware/.

    POLICY is proved first: one that is refuted is not exported. What the module does not enforce is said.

    With --build each promise is held, lost or not visible in what was really built: the .config of application, MCUboot
    and sysbuild, and partitions.yml or zephyr.dts. Kconfig drops what it cannot set.

    Exit code 0: it is written (with --check: DIR is up to date), and the build holds every promise. 1: POLICY is
    refuted, DIR is not up to date, or the build has lost a promise. 3: POLICY is not decided, or the build does not
    show whether it holds a promise.

    \b
    Examples:
      keyswitch export zephyr policy.toml -o keyswitch/
      keyswitch export zephyr policy.toml -o keyswitch/ --ncs 2.9
      keyswitch export zephyr policy.toml -o keyswitch/ --check
      keyswitch export zephyr policy.toml -o keyswitch/ --check --build build/
    """
    release = release_of(zephyr, ncs)
    rules = read_policy(policy)
    check_exportable(rules)
    check_release(rules, release)
    built = None if build is None else check_build(rules, release, read_build_files(build))
    check_directory(output)
    proof = prove(rules)
    if not proof.holds:
        refuted = bool(proof.violations)
        word = (
            f"refuted ({counted(len(proof.violations), 'violation')})" if refuted else f"not decided: {proof.stopped}"
        )
        echo(f"{policy}: {word}: nothing is exported; keyswitch check {policy} says more", err=True)
        return Exit.NO if refuted else Exit.UNKNOWN
    words = ("keyswitch", "export", "zephyr", policy.name, "--zephyr", release.zephyr, "-o", "DIR")
    command = plain(shlex.join(words))
    made = export_zephyr(rules, proof, release, command)
    if only_check:
        found = _say_drift(made, output, built, as_json=as_json)
    else:
        write_export(made, output)
        found = Exit.YES
        if as_json:
            echo(to_line(made.as_json(built)))
        else:
            _say(made, output)
    if build is None or built is None:
        return found
    if not as_json:
        _say_built(build, built)
    return found if found is not Exit.YES else _exit_of(built)


def _say(made: ZephyrExport, output: Path) -> None:
    echo(f"{output}: {', '.join(sorted(made.files))} for Zephyr {made.zephyr}")
    for each in made.unenforced:
        echo(f"not enforced by the module: {each.promise}: {each.why}")


def _say_built(build: Path, built: Sequence[BuiltPromise]) -> None:
    counts = Counter(each.state for each in built)
    echo(f"{build}: " + ", ".join(f"{counts[state]} promises {state.value}" for state in PromiseState))
    for state in (PromiseState.LOST, PromiseState.NOT_VISIBLE):
        for each in built:
            if each.state is state:
                where = f": {each.line} ({each.file})" if each.line else f" ({each.file})" if each.file else ""
                echo(f"{state.value}: {each.name}: {each.promise}{where}; {each.advice}")


def _exit_of(built: Sequence[BuiltPromise]) -> Exit:
    states = {each.state for each in built}
    if PromiseState.LOST in states:
        return Exit.NO
    return Exit.UNKNOWN if PromiseState.NOT_VISIBLE in states else Exit.YES


def _say_drift(made: ZephyrExport, output: Path, built: Sequence[BuiltPromise] | None, *, as_json: bool) -> Exit:
    other = drift(made, output)
    if as_json:
        echo(to_line({**made.as_json(built), "drift": list(other)}))
    elif other:
        echo(f"{output}: not what the policy gives: {', '.join(other)}; write it again without --check")
    else:
        echo(f"{output}: up to date")
    return Exit.NO if other else Exit.YES
