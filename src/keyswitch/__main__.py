"""The command `keyswitch`, and `python -m keyswitch`: hears Ctrl-C and SIGTERM before it imports what it consists of.

Rules:

* Until the command line is looked at, nothing has begun that would have to end in order: a signal ends the process at
  once, with one line. It is no exception: while modules are imported, one gets lost (in a weak reference's callback)
  or becomes another one (in `__set_name__`, before Python 3.12).
* Importing this module changes nothing.
"""

import os  # there already: Python has started with it

INTERRUPTED = 130
"""`keyswitch.exits.Exit.INTERRUPTED`, which a signal may find half imported."""


def run() -> None:
    """Run the command line as a process of its own: what the script `keyswitch` starts."""
    try:
        import signal  # noqa: PLC0415 - here Ctrl-C is caught

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _end)
    except KeyboardInterrupt:
        _end()
    from keyswitch.cli.main import run as run_command  # noqa: PLC0415 - the signals are in hand by now

    run_command()


def _end(*_: object) -> None:
    try:
        os.write(2, b"keyswitch: interrupted\n")
    finally:  # also where nobody reads stderr
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    run()
