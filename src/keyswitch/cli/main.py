"""The `keyswitch` command: finds the subcommand, runs it, and turns every error into one line and an exit code.

* A subcommand's module is imported when it is run, never for `--help`: the summaries stand here.
* Nothing but `KeyswitchError`, click's own usage errors and Ctrl-C is expected. Anything else is a bug, says so in
  one line, and ends with `Exit.FAULT`: it is never an answer. `KEYSWITCH_DEBUG=1` shows the traceback.
"""

import atexit
import gc
import importlib
import io
import os
import sys
import traceback
from contextlib import suppress
from difflib import get_close_matches
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from keyswitch import __version__
from keyswitch.cli.fields import in_options
from keyswitch.cli.interrupts import Handler, ignore, interruptible, postponed
from keyswitch.errors import KeyswitchError, LinkLostError
from keyswitch.exits import Exit
from keyswitch.text import plain

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("keyswitch.cli.demo", "Tell the whole story with a virtual device; no hardware."),
    "check": ("keyswitch.cli.check", "Prove a policy, or show the shortest counterexample."),
    "explain": ("keyswitch.cli.explain", "Say why a mode serves a command or not, and how to reach one that does."),
    "diagram": ("keyswitch.cli.diagram", "Draw a policy's modes and the transitions between them."),
    "export": ("keyswitch.cli.export", "Write a policy as what firmware is built from: a Zephyr module's tables."),
    "init": ("keyswitch.cli.init", "Start a policy, with comments and keys."),
    "keys": ("keyswitch.cli.keys", "Make the keys that a policy names."),
    "unit": ("keyswitch.cli.unit", "Write what makes one device of a product this one, for the production line."),
    "permit": ("keyswitch.cli.permit", "Issue and read signed permissions to enter maintenance."),
    "image": ("keyswitch.cli.image", "Show, verify and compare signed images."),
    "device": ("keyswitch.cli.device", "Run a gated device from a policy file."),
    "scan": ("keyswitch.cli.scan", "List the devices near, with the service and mode that they advertise."),
    "status": ("keyswitch.cli.status", "Ask whether a device would take an update now; if not why, and what to do."),
    "update": ("keyswitch.cli.update", "Bring an image onto a device, prove that it runs, leave maintenance."),
    "smp": ("keyswitch.cli.smp", "Send one SMP request as it is written; its answer, and what the gate says."),
    "bonds": ("keyswitch.cli.bonds", "List and remove the pairings of a radio of ours."),
    "audit": ("keyswitch.cli.audit", "Attack a device's gate from outside, and report with evidence."),
    "campaign": ("keyswitch.cli.campaign", "Update many devices as a file says; resumable whatever is killed."),
    "console": ("keyswitch.cli.console", "Serve a page for the person at the machine."),
    "gateway": ("keyswitch.cli.gateway", "Update the devices near it that campaigns on a PostgreSQL give it."),
    "evidence": ("keyswitch.cli.evidence", "Show and verify what updates have recorded."),
    "panel": ("keyswitch.cli.panel", "Turn the knobs of a running device: inputs, button, power."),
}
"""Name: module (which holds a click command of that name) and summary."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which people meet them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and take its command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module_name, _ = COMMANDS[cmd_name]
        with postponed():
            importlib.import_module(module_name)
        command = getattr(sys.modules[module_name], cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - a wrong entry in COMMANDS; every entry is tested
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; one that is misspelt is answered with what may be meant."""
        name = args[0]
        close = [] if name in COMMANDS or name.startswith("-") else get_close_matches(name, COMMANDS, 2)
        if close and not ctx.resilient_parsing:
            raise click.UsageError(f"no such command: {name}. Did you mean {' or '.join(close)}?", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names, with summaries, without importing a command."""
        names = [CompletionItem(name, help=told) for name, (_, told) in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List names and summaries without importing a command."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, package_name="keyswitch", message="%(prog)s %(version)s")
def keyswitch() -> None:
    """Firmware updates over Bluetooth LE only in maintenance mode, on purpose.

    \b
    Examples:
      keyswitch demo
      keyswitch device policy.toml --state pump-state --image pump-1.0.0.signed.bin --ble virtual
      keyswitch panel pump-state set motion=true
    """


def run() -> NoReturn:
    """Run the command line as a process of its own, once `keyswitch.__main__` has begun it."""
    # Imported modules stay. To look through them for garbage again and again while they are imported, and once more at
    # the end, was a quarter of the time of a short command.
    gc.set_threshold(20_000, 10, 10)
    atexit.register(gc.freeze)
    signals = Handler()
    try:
        signals.take_over()
        main()
    except KeyboardInterrupt:  # the first one came before `main` could tell it, or while an error was being told
        _interrupted()
    finally:
        signals.asked = True  # none comes between the end of the command and this: it is no call
        ignore()


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with a documented exit code (`keyswitch.exits`).

    Args:
        arguments: instead of the process's own.
    """
    with interruptible():
        try:
            code = keyswitch.main(args=arguments, prog_name="keyswitch", standalone_mode=False)
            sys.exit(code if isinstance(code, int) else Exit.YES)
        except click.ClickException as error:
            said = io.StringIO()
            error.show(said)
            for line in said.getvalue().splitlines():
                click.echo(plain(line), err=True)
            sys.exit(Exit.USAGE)
        except (KeyboardInterrupt, click.Abort):
            _interrupted()
        except KeyswitchError as error:
            _say(in_options(error))
            if isinstance(error, LinkLostError) and error.next_step:
                _say(in_options(error.next_step), before="next")
            sys.exit(error.exit_code)
        except BrokenPipeError:
            # The reader of our output has gone (`keyswitch … | head`): nobody is left to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(Exit.NOBODY_READS)
        except Exception as error:  # noqa: BLE001 - the last place where a fault of ours can be kept from looking like an answer
            if isinstance(error.__cause__, KeyboardInterrupt):  # in `__set_name__` Python made a RuntimeError of it
                _interrupted()
            if os.environ.get("KEYSWITCH_DEBUG"):
                traceback.print_exc()
            _say(f"this is a bug in keyswitch: {type(error).__name__}: {error} (KEYSWITCH_DEBUG=1 shows where)")
            sys.exit(Exit.FAULT)


def _interrupted() -> NoReturn:
    _say("interrupted")
    sys.exit(Exit.INTERRUPTED)


def _say(line: str, *, before: str = "keyswitch") -> None:
    with suppress(OSError):  # nobody reads stderr: the exit code still says it
        print(f"{before}: {plain(line)}", file=sys.stderr)  # noqa: T201 - stderr is where errors go
