"""Completion as the page says: what the shell is given, and what it is answered."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "completion.md"


def keyswitch(**environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", "from keyswitch.cli.main import main; main()"],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def completed(*words: str) -> list[str]:
    answer = keyswitch(
        _KEYSWITCH_COMPLETE="zsh_complete", COMP_WORDS=" ".join(("keyswitch", *words)), COMP_CWORD=str(len(words))
    )
    return answer.splitlines()[1::3]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_of_the_page_is_given_its_script(shell: str) -> None:
    (variable,) = set(re.findall(r"(_\w+_COMPLETE)=", PAGE.read_text()))
    assert f"{variable}={shell}_source" in PAGE.read_text()
    assert f"_KEYSWITCH_COMPLETE={shell}_complete" in keyswitch(**{variable: f"{shell}_source"})


def test_commands_options_and_choices_are_completed() -> None:
    assert completed("im") == ["image"]
    assert "--evidence" in completed("update", "--e")
    assert completed("keys", "new", "x", "--kind", "se") == ["secret"]


def test_a_command_is_completed_without_importing_the_others() -> None:
    """A shell waits for this answer: the summaries stand beside the names."""
    listing = "from keyswitch.cli.main import main\ntry: main()\nexcept SystemExit: pass\n"
    listing += (
        "import sys; print(*(name for name in sys.modules if name.startswith('keyswitch.cli.')), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", listing],
        env={**os.environ, "_KEYSWITCH_COMPLETE": "zsh_complete", "COMP_WORDS": "keyswitch ", "COMP_CWORD": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    needed = ("main", "fields", "interrupts")  # errors name options; Ctrl-C ends it as it ends a command
    assert set(ran.stderr.split()) == {f"keyswitch.cli.{name}" for name in needed}
    assert "Tell the whole story with a virtual device; no hardware." in ran.stdout
