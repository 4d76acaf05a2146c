"""Every command in every page is run, does what the page says, and prints what the page shows."""

import re
from pathlib import Path

import pytest
from tests.docs.consoles import PAGES, OneRun, blocks, fences, fits, outside_fences, renewed, run_page

PROGRAMS = ("keyswitch", "imgtool", "make", "pip", "pipx", "pytest", "docker", "python", "python3", "git", "head")
COMMAND = re.compile(rf"\s*(?:\$ |(?:{'|'.join(PROGRAMS)}) (?!\|))")
IN_A_RECIPE = re.compile(r"^\s*(?:- |- run: |run: |RUN )((?:keyswitch|pytest|pip|python3?)(?: .*)?)$", re.MULTILINE)

NOT_RUN = 16
"""Blocks that cannot run here; each says why. A new one is a decision, and raises this number."""

CONSOLES = [page for page in PAGES if any(block.runs_here for block in blocks(page.read_text("utf-8")))]


@pytest.mark.parametrize("page", CONSOLES, ids=lambda page: page.stem)
def test_every_command_does_what_the_page_says(page: Path, tmp_path: Path) -> None:
    ran, one_run = 0, OneRun()
    for command, code, said in run_page(page, tmp_path):
        everything = "\n".join(said)
        assert code == command.code, f"{page.name}: {command.written}\n{everything}"
        assert "Traceback" not in everything
        if command.shown:
            assert fits(command.shown, said), f"run python -m tests.docs.consoles {page.name}\n{everything}"
            assert one_run.fits(command.shown, said), f"{page.name}: of two runs: {command.shown}"
        ran += 1
    assert ran


def test_what_cannot_run_says_why_and_is_counted() -> None:
    reasons = [block.not_run for page in PAGES for block in blocks(page.read_text("utf-8")) if block.not_run]
    assert len(reasons) == NOT_RUN


def test_what_another_page_runs_is_run_there() -> None:
    for page in PAGES:
        for block in blocks(page.read_text("utf-8")):
            if block.run_in is not None:
                other = (page.parent / block.run_in).read_text("utf-8")
                there = [
                    (each.written, each.code, each.shown)
                    for found in blocks(other)
                    if found.runs_here
                    for each in found.commands
                ]
                for command in block.commands:
                    assert (command.written, command.code, command.shown) in there, f"{page.name}: {command.written}"


def test_no_command_hides_outside_a_console_block() -> None:
    """What looks like a command to a reader is one to the test."""
    hidden = [
        f"{page.name}: {line}" for page in PAGES for line in _plain_code(page.read_text("utf-8")) if COMMAND.match(line)
    ]
    assert not hidden


def _plain_code(text: str) -> list[str]:
    plain = [fence for fence in fences(text) if fence.language in {"", "sh", "shell", "bash", "text"}]
    indented = [line for line in outside_fences(text) if line.startswith("    ")]
    return [line for fence in plain for line in fence.lines] + indented


def test_a_recipe_runs_what_the_page_has_run() -> None:
    """A container's or a CI's file holds no command that stands nowhere else in the page."""
    found = 0
    for page in PAGES:
        text = page.read_text("utf-8")
        known = {command.written for block in blocks(text) for command in block.commands}
        for fence in fences(text):
            if fence.language in {"yaml", "dockerfile"}:
                commands = IN_A_RECIPE.findall("\n".join(fence.lines))
                found += len(commands)
                assert set(commands) <= known, f"{page.name}: {set(commands) - known}"
    assert found >= 5


@pytest.mark.parametrize(
    ("shown", "said", "fit"),
    [
        (["a 1", "b"], ["a 22", "b"], True),
        (["a 1"], ["a 22", "b"], False),
        (["a", "…"], ["a"], True),
        (["a", "…", "d"], ["a", "b", "c", "d"], True),
        (["a", "…", "c"], ["a", "b", "c", "d"], False),
        (["…", "1.1.0 runs"], ["x", "1.1.0 runs"], True),
        (["1.1.0 runs"], ["1.0.0 runs"], False),
        (["hash 0123456789abcdef, 3.5 s"], ["hash fedcba9876543210, 12 s"], True),
        (["yes"], [], False),
        (["yes"], ["160 of 168 states explored so far, 75 a second", "yes"], True),
    ],
)
def test_what_is_shown_fits_what_was_said(shown: list[str], said: list[str], *, fit: bool) -> None:
    assert fits(shown, said) is fit


def test_what_is_shown_comes_from_one_run() -> None:
    def one_run(*blocks: tuple[str, str]) -> bool:
        seen = OneRun()
        return all(seen.fits(["…", shown], ["first", said]) for shown, said in blocks)

    first, second, third = "hash 01234567", "hash 89abcdef", "hash 76543210"
    assert one_run((first, second), (second, third), (f"{first}89", f"{second}01"))
    assert not one_run((first, second), (first, third)), "what is shown twice is two"
    assert not one_run((first, second), (third, second)), "what is one is shown as two"


def test_a_page_that_is_renewed_leaves_out_what_it_left_out() -> None:
    shown = ["…", "1.0 s find done", "1.1 s gate shut (old words)", "…", "2.0 s confirm done", "confirmed"]
    said = [
        "0.1 s find goes on",
        "0.9 s find done",
        "1.2 s gate shut (new words)",
        "next: wait",
        "x",
        "3.0 s confirm done",
    ]
    said += ["confirmed", "slot 1"]
    kept = ["…", "0.9 s find done", "1.2 s gate shut (new words)", "…", "3.0 s confirm done", "confirmed", "slot 1"]
    assert renewed(shown, said) == kept
    assert fits(kept, said)
    assert renewed(["?"], said) == said
    assert renewed(["…"], said) == ["…"]
