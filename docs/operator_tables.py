"""Writes what is generated in operator.md, from the code's own tables.

Run it after a change of a step, an outcome, a reason, a recipe or an option; a test compares the page with them.
"""

from pathlib import Path

import click

from keyswitch.cli.fields import in_options
from keyswitch.cli.update import update
from keyswitch.host.access.recipe_loader import read_recipe, shipped
from keyswitch.host.connect.verdict import NEXT_STEP
from keyswitch.host.update.job import Outcome
from keyswitch.host.update.steps import STEPS

PAGE = Path(__file__).parent / "operator.md"

OUTCOMES = {
    Outcome.CONFIRMED: "the new image runs and stays; the device is out of maintenance",
    Outcome.STAGED: "`--only upload`: the image lies in its slot; the result says so if it is marked as well",
    Outcome.ON_TRIAL: "`--only test`: the image runs until somebody confirms, or it reverts",
    Outcome.ALREADY_RUNNING: "nothing had to be done",
    Outcome.LEFT: "`--only leave`: the device says that it is outside maintenance; nothing else was asked for",
    Outcome.REFUSED: "the device said no; the reason is told",
    Outcome.FAILED: "a step did not lead where it should, or the health check said no; what is left to do is told",
    Outcome.NOT_STARTED: "the bootloader did not start the image; the old one runs",
    Outcome.REVERTED: "the image ran, or was tried, and the old one runs again",
    Outcome.UNREACHABLE: "the device was not heard, or the link was lost too often",
    Outcome.NEVER_CAME_BACK: "it was reset and not heard again",
    Outcome.UNKNOWN: "the device answers what no gate answers, or nothing shows what runs since its reset",
    Outcome.STILL_IN_MAINTENANCE: "whatever else happened: it could not be proved that the device has left",
    Outcome.INTERRUPTED: "Ctrl-C or SIGTERM; the device stays as the run has left it; the same command resumes",
}


def steps() -> str:
    """The steps of an update."""
    lines = ["| Step | What is done | What proves it |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {step.name.value} | {step.says} | {step.proof} |" for step in STEPS)])


def outcomes() -> str:
    """How an update ends."""
    lines = ["| Outcome | Exit code | Meaning |", "|---|---|---|"]
    rows = (f"| {outcome.value} | {outcome.exit_code.value} | {OUTCOMES[outcome]} |" for outcome in Outcome)
    return "\n".join([*lines, *rows])


def reasons() -> str:
    """Why a gate is shut, and what a person can do."""
    lines = ["| Reason | Next step |", "|---|---|"]
    return "\n".join([*lines, *(f"| {reason.value} | {in_options(words)} |" for reason, words in NEXT_STEP.items())])


def recipes() -> str:
    """The shipped recipes."""
    lines = ["| Recipe | |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {read_recipe(name).about} |" for name in sorted(shipped()))])


def options() -> str:
    """Every option of `keyswitch update`."""
    lines = ["| Option | |", "|---|---|"]
    for parameter in update.params:
        if isinstance(parameter, click.Option):
            value = "" if parameter.is_flag else f" {parameter.make_metavar(click.Context(update))}"
            told = f"`{'`, `'.join(parameter.opts)}{value}`".replace("|", "\\|")
            lines.append(f"| {told} | {parameter.help} |")
    return "\n".join(lines)


TABLES = {"steps": steps, "outcomes": outcomes, "reasons": reasons, "recipes": recipes, "options": options}


def renewed(text: str) -> str:
    """The page with its tables as they are now."""
    for name, table in TABLES.items():
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{table()}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
