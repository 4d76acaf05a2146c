"""A whole command, as the shell starts it."""

import pytest

from keyswitch.cli.main import main


def ended(*arguments: object) -> int:
    """The exit code with which `keyswitch ARGUMENTS` ends."""
    with pytest.raises(SystemExit) as raised:
        main([str(argument) for argument in arguments])
    assert isinstance(raised.value.code, int)
    return raised.value.code
