"""The `keyswitch` command."""


def main() -> None:
    """Run the command line."""
