"""`python -m keyswitch` is the `keyswitch` command."""

from keyswitch.cli.main import run

if __name__ == "__main__":
    run()
