"""`keyswitch panel`: turn the knobs of a running device."""

from pathlib import Path
from typing import Any

import click

from keyswitch.cli.event_words import event_words
from keyswitch.cli.output import echo
from keyswitch.panel.client import ask
from keyswitch.schema.output import to_line


@click.group(context_settings={"max_content_width": 110})
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.pass_context
def panel(context: click.Context, directory: Path) -> None:
    """Turn the knobs of the device that runs with `--state DIR`.

    \b
    Examples:
      keyswitch panel pump-state status
      keyswitch panel pump-state set motion=true
      keyswitch panel pump-state press button --hold 5s
      keyswitch panel pump-state power-cycle
    """
    context.obj = directory


@panel.command("set")
@click.argument("assignments", metavar="NAME=VALUE", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def set_inputs(directory: Path, assignments: tuple[str, ...], as_json: bool) -> None:
    """Set inputs that the policy names, as sensors would: `motion=true battery_percent=80`."""
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise click.BadParameter(f"{assignment!r} is not NAME=VALUE", param_hint="NAME=VALUE")
        answer = ask(directory, {"do": "set", "name": name, "value": value})
        _print(answer, f"{name} = {value}; {_mode(answer)}", as_json=as_json)


@panel.command("power-cycle")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def power_cycle(directory: Path, as_json: bool) -> None:
    """Take the power away and give it back: RAM is gone without clean-up, the bootloader decides anew."""
    answer = ask(directory, {"do": "power-cycle"})
    _print(answer, f"booted {_image(answer['running'])}; {_mode(answer)}", as_json=as_json)


@panel.command()
@click.argument("what", metavar="button", type=click.Choice(["button"]))
@click.option(
    "--hold",
    default="0s",
    show_default=True,
    metavar="TIME",
    help="Hold the button for this long, such as 5s or 500ms.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def press(directory: Path, what: str, hold: str, as_json: bool) -> None:
    """Press the button."""
    answer = ask(directory, {"do": "press", "hold_ms": _milliseconds(hold)})
    _print(answer, f"{what} held for {hold}; {_mode(answer)}", as_json=as_json)


@panel.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def confirm(directory: Path, as_json: bool) -> None:
    """Let the application say that the running image is good."""
    answer = ask(directory, {"do": "confirm"})
    _print(answer, f"running {_image(answer['running'])}{_flags(_active(answer['slots']))}", as_json=as_json)


@panel.command()
@click.argument("duration", metavar="TIME")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def advance(directory: Path, duration: str, as_json: bool) -> None:
    """Let TIME (900s, 500ms) pass at once, on a device that runs with `--virtual-time`."""
    answer = ask(directory, {"do": "advance", "ms": _milliseconds(duration)})
    _print(answer, f"{duration} later: {_mode(answer)}, gate {answer['gate']}", as_json=as_json)


@panel.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def log(directory: Path, as_json: bool) -> None:
    """What happened at the device, oldest first."""
    answer = ask(directory, {"do": "log"})
    if answer["left_out"]:
        echo(f"{answer['left_out']} older events are left out", err=True)
    for event in answer["log"]:
        at_ms, name = event["at_ms"], event["event"]
        echo(to_line(event) if as_json else f"{at_ms / 1000:12.3f} {event_words(name, event)}")


@panel.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def status(directory: Path, as_json: bool) -> None:
    """Mode, gate, lease, what runs and what the slots hold."""
    answer = ask(directory, {"do": "status"})
    lease = "" if answer["lease_ms"] is None else f", {answer['lease_ms'] / 1000:.0f} s left"
    text = [f"{_mode(answer)}, gate {answer['gate']}{lease}", f"running {_image(answer['running'])}"]
    if answer["passkey"]:
        text.append(f"passkey {answer['passkey']}")
    text += [f"slot {slot['slot']}: {_image(slot)}{_flags(slot)}" for slot in answer["slots"]]
    _print(answer, *text, as_json=as_json)


def _milliseconds(text: str) -> int:
    """`5s`, `0.5s` or `500ms` as milliseconds."""
    number, factor = (text[:-2], 1) if text.endswith("ms") else (text.removesuffix("s"), 1000)
    try:
        return round(float(number) * factor)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is not a time", param_hint="TIME such as 5s or 500ms") from None


def _mode(answer: dict[str, Any]) -> str:
    return "nothing runs" if answer["mode"] is None else f"mode {answer['mode']}"


def _image(image: dict[str, Any] | None) -> str:
    return f"{image['version']} {image['hash'][:16]}…" if image else "nothing"


def _active(slots: list[dict[str, Any]]) -> dict[str, Any]:
    """The slot that `running` is about: of the first image, the one that it runs from."""
    unknown: dict[str, Any] = {}
    return next((slot for slot in slots if slot["image"] == 0 and slot["active"]), unknown)


def _flags(slot: dict[str, Any]) -> str:
    names = [name for name in ("active", "confirmed", "pending", "permanent") if slot.get(name)]
    return f" ({', '.join(names)})" if names else ""


def _print(answer: dict[str, Any], *lines: str, as_json: bool) -> None:
    for line in [to_line(answer)] if as_json else lines:
        echo(line)
