"""The reference of the commands is what the commands say."""

from tests.docs.cli_reference import PAGE, commands, page

from keyswitch.cli.main import COMMANDS


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python -m tests.docs.cli_reference"


def test_every_command_and_option_is_there() -> None:
    text = PAGE.read_text("utf-8")
    found = list(commands())
    assert len(found) > len(COMMANDS)
    for name, command in found:
        assert f"# {name}\n" in text
        for parameter in command.params:
            assert parameter.param_type_name != "option" or parameter.opts[-1] in text
