"""`python -m keyswitch` is the `keyswitch` command."""

from keyswitch.cli.main import main

if __name__ == "__main__":
    main()
