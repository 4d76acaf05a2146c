"""The commands of the documentation, run as they stand there, and what they print held against what the page shows.

A fenced block with the language `console` holds commands, each behind `$ `, and below a command, if the page shows it,
what it prints; a line `…` stands for any number of lines. `# exit code N` behind a command is the code it ends with, if
not 0; `&` starts a device, which is waited for. The blocks of a page run in order, in a directory of their own.
Comments steer that:

* `<!-- not run: WHY -->` before a block: it cannot run here.
* `<!-- run in: PAGE -->` before a block: that page runs the same commands; a device is not started twice for them.
* `<!-- with: the files of the tutorial -->` anywhere: the directory has the policy and the images of the tutorial.

`python -m tests.docs.consoles [PAGE …]` runs pages. Where a page shows something else than its commands print now, all
that it shows is written anew: what a page shows comes from one run (`OneRun`).
"""

import contextlib
import getpass
import io
import os
import platform
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from unittest import mock

from imgtool.main import imgtool

from keyswitch.cli.main import main

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), ROOT / "changes" / "README.md"]

ELLIPSIS: Final = "…"
WITH_FILES: Final = "<!-- with: the files of the tutorial -->"
PORTS: Final = ("6402", "1337", "1338")
"""The ports that pages use; a run takes free ones in their place."""
SIGN: Final = (
    "imgtool sign -k pump/keys/image.pem --header-size 0x200 --pad-header --align 4 --slot-size 0x70000"
    " --version {version} firmware.bin pump-{version}.bin"
)
PROGRAMS: Final = {"keyswitch": main, "imgtool": lambda words: imgtool(words, prog_name="imgtool")}
"""What is called in this process, where no shell is needed: starting Python anew costs more than most commands."""
READY_S: Final = 30
WIDTH: Final = 110
INTO: Final = re.compile(r" > (\S+)$")
SHELL: Final = re.compile(r"[|<>&;$`*~]")


@dataclass(kw_only=True)
class Command:
    """One command of a page.

    Attributes:
        written: the command line, its continuation lines included, without `$ `.
        code: the exit code that the page tells.
        shown: the lines of output that the page shows; empty: it shows none.
        line: number of its first line in the page, from 0.
        height: lines of the command in the page, without its output.
    """

    written: str
    code: int
    shown: list[str]
    line: int
    height: int

    @property
    def runs_on(self) -> bool:
        """Whether it is started and left running."""
        return self.written.endswith(" &")


@dataclass(kw_only=True)
class Block:
    """One `console` block.

    Attributes:
        commands: in order.
        not_run: why it cannot run here, if it cannot.
        run_in: the page that runs the same commands, if another one does.
    """

    commands: list[Command]
    not_run: str | None
    run_in: str | None

    @property
    def runs_here(self) -> bool:
        """Whether its page runs it."""
        return self.not_run is None and self.run_in is None


@dataclass
class Fence:
    """One fenced block. Attributes: language; start: number of its first line inside; lines: those inside."""

    language: str
    start: int
    lines: list[str] = field(default_factory=list)


def fences(text: str) -> list[Fence]:
    """Every fenced block of a page."""
    found: list[Fence] = []
    open_: Fence | None = None
    for number, line in enumerate(text.splitlines()):
        if line.startswith("```"):
            if open_ is None:
                open_ = Fence(line[3:].strip(), number + 1)
            else:
                found.append(open_)
                open_ = None
        elif open_ is not None:
            open_.lines.append(line)
    assert open_ is None, f"a fence is never closed: line {open_.start}"
    return found


def outside_fences(text: str) -> list[str]:
    """The lines that stand in no fenced block."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            kept.append(line)
    return kept


def blocks(text: str) -> list[Block]:
    """The `console` blocks of a page."""
    lines = text.splitlines()
    found: list[Block] = []
    for fence in fences(text):
        if fence.language == "console":
            above = [line for line in lines[: fence.start - 1] if line.strip()][-1:]
            marks = dict(re.findall(r"<!-- (not run|run in): (.+) -->", "".join(above)))
            found.append(Block(commands=_commands(fence), not_run=marks.get("not run"), run_in=marks.get("run in")))
    return found


def _commands(fence: Fence) -> list[Command]:
    found: list[Command] = []
    number = 0
    while number < len(fence.lines):
        line = fence.lines[number]
        if line.startswith("$ "):
            height = 1
            while fence.lines[number + height - 1].endswith("\\"):
                height += 1
            written = "\n".join(fence.lines[number : number + height])[2:]
            told = re.search(r" +# exit code (\d+)$", written)
            without = re.sub(r" +# .*$", "", written)
            found.append(
                Command(
                    written=without,
                    code=int(told[1]) if told else 0,
                    shown=[],
                    line=fence.start + number,
                    height=height,
                )
            )
            number += height
        else:
            assert found, f"line {fence.start + number + 1}: output before any command"
            found[-1].shown.append(line)
            number += 1
    return found


class Place:
    """A directory in which the commands of one page run; devices that they start end with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = {port: str(_free_port()) for port in PORTS}
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "COLUMNS": str(WIDTH),
            "NO_COLOR": "1",
        }
        self._devices: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for device in self._devices:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(device.pid, signal.SIGTERM)
            device.wait(10)

    def prepare(self) -> None:
        """Put the tutorial's files here: policy, keys, two signed images and what they were made of."""
        code, said = self._called(["keyswitch", "init", "pump", "--yes", "--name", "My pump"])
        assert code == 0, said
        (self.directory / "firmware.bin").write_bytes(os.urandom(40_000))
        for version in ("1.0.0", "1.1.0"):
            code, said = self._called(SIGN.format(version=version).split())
            assert code == 0, said

    def run(self, command: Command) -> tuple[int, list[str]]:
        """Run one command; its exit code and what it printed, on both streams."""
        line = command.written
        for written, free in self.ports.items():
            line = re.sub(rf"\b{written}\b", free, line)
        if command.runs_on:
            return 0, self._started(line.removesuffix(" &"))
        into = INTO.search(line)
        alone = INTO.sub("", line)
        words = shlex.split(alone.replace("\\\n", ""))
        if words[0] in PROGRAMS and not SHELL.search(alone):
            code, said = self._called(words)
            if into is not None:
                (self.directory / into[1]).write_text(said, "utf-8")
                said = ""
        else:
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=200,
            )
            code, said = done.returncode, done.stdout
        for written, free in self.ports.items():
            said = said.replace(free, written)
        return code, [line.rstrip() for line in said.splitlines()]

    def _called(self, words: list[str]) -> tuple[int, str]:
        said = io.StringIO()
        code: object = 0
        with (
            contextlib.chdir(self.directory),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            mock.patch.dict(os.environ, self._environment),
            mock.patch.object(sys, "stdin", io.StringIO()),
        ):
            try:
                PROGRAMS[words[0]](words[1:])
            except SystemExit as ended:
                code = ended.code
        assert isinstance(code, int), code
        return code, said.getvalue()

    def _started(self, line: str) -> list[str]:
        words = shlex.split(line.replace("\\\n", ""))
        panel = self.directory / words[words.index("--state") + 1] / "panel.sock"
        told = self.directory / "device.out"
        with told.open("wb") as out:
            device = subprocess.Popen(
                ["bash", "-c", f"exec {line}"],
                cwd=self.directory,
                env=self._environment,
                process_group=0,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._devices.append(device)
        deadline = time.monotonic() + READY_S
        while not panel.exists():
            assert device.poll() is None, told.read_text()
            assert time.monotonic() < deadline, "the device is not ready"
            time.sleep(0.05)
        return told.read_text().splitlines()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SETTLED: Final = (
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.+]+"), "TIME"),
    (re.compile(r"\b(?:[0-9A-F]{2}:){5}[0-9A-F]{2}\b"), "ADDRESS"),
    (re.compile(r"\(ended by [^)]*\)"), "(ended)"),
    (re.compile(r"begun by \S+@\S+:"), "begun by WHO:"),
    (re.compile(r"clock of \S+"), "clock of WHERE"),
    (re.compile(r"\b[0-9a-f]{8,}\b"), "HASH"),
    (re.compile(r"(?<![\d.])\d[\d,]*(?:\.\d+)?(?![\d.]*\.\d)(?!\.\d)"), "N"),
    (re.compile(r" +"), " "),
)


PROGRESS: Final = re.compile(r"\d states explored so far")
"""What a command says only where the computer is slow."""


def settled(line: str) -> str:
    """A line without what differs from run to run: times, hashes, addresses, numbers that are no version."""
    for pattern, word in SETTLED:
        line = pattern.sub(word, line)
    return line.strip()


def fits(shown: list[str], said: list[str]) -> bool:
    """Whether what a page shows is what a command said, but for numbers, and for what `…` leaves out."""
    pattern = [ELLIPSIS if line.strip() == ELLIPSIS else settled(line) for line in shown if line.strip()]
    found = [settled(line) for line in said if line.strip() and not PROGRESS.search(line)]
    reached = {0}
    for wanted in pattern:
        if wanted == ELLIPSIS:
            reached = set(range(min(reached), len(found) + 1)) if reached else set()
        else:
            reached = {place + 1 for place in reached if place < len(found) and found[place] == wanted}
    return len(found) in reached


def _key(line: str) -> tuple[str, ...]:
    return tuple(word for word in settled(line).split() if word not in {"N", "s", "HASH"})[:2]


def renewed(shown: list[str], said: list[str]) -> list[str]:
    """What a page shows of what a command says now: lines that it left out before, it still leaves out if it can."""
    found: list[str] = []
    place, leaving_out = 0, False
    for line in shown:
        if line.strip() == ELLIPSIS:
            leaving_out = True
            continue
        there = next((n for n in range(place, len(said)) if _key(said[n]) == _key(line)), None)
        if there is not None:
            found += [ELLIPSIS, said[there]] if leaving_out else said[place : there + 1]
            place, leaving_out = there + 1, False
    found += [ELLIPSIS] if leaving_out else said[place:]
    return found if fits(found, said) else said


HASH: Final = re.compile(r"\b[0-9a-f]{8,}\b")
"""A hash or the beginning of one."""


class OneRun:
    """Whether what a page shows can be of one run: what are two hashes there are two in any run, and one is one.

    Args:
        length: hexadecimal digits by which two are told apart; no hash is shown shorter.
    """

    def __init__(self, length: int = 8) -> None:
        self._length = length
        self._meant: dict[str, str] = {}

    def fits(self, shown: list[str], said: list[str]) -> bool:
        """See one more block: what the page shows, and what was said. They `fits` each other line by line."""
        left = [line for line in said if line.strip()]
        for line in (each for each in shown if each.strip() and each.strip() != ELLIPSIS):
            place = next(n for n, each in enumerate(left) if settled(each) == settled(line))
            for here, there in zip(HASH.findall(line), HASH.findall(left[place]), strict=True):
                meant = there[: self._length]
                if self._meant.setdefault(here[: self._length], meant) != meant:
                    return False
            left = left[place + 1 :]
        return len(set(self._meant.values())) == len(self._meant)


def run_page(page: Path, directory: Path) -> Iterator[tuple[Command, int, list[str]]]:
    """Run the commands of a page; each with its exit code and what it said."""
    text = page.read_text(encoding="utf-8")
    with Place(directory) as place:
        if WITH_FILES in text:
            place.prepare()
        for block in blocks(text):
            if block.runs_here:
                for command in block.commands:
                    yield command, *place.run(command)


def renew(page: Path) -> None:
    """Write what the commands of a page print now into it, where it shows something else."""
    text = page.read_text(encoding="utf-8").splitlines()
    changes: list[tuple[int, int, list[str]]] = []
    right, one_run = True, OneRun()
    here = f"{getpass.getuser()}@{platform.node()}"
    with tempfile.TemporaryDirectory() as directory:
        for command, code, said in run_page(page, Path(directory)):
            if code != command.code:
                fault = f"{page.name}:{command.line + 1}: exit code {code}"
                sys.stderr.write("\n  ".join([fault, *said]) + "\n")
            if command.shown:
                right = right and fits(command.shown, said) and one_run.fits(command.shown, said)
                first = command.line + command.height
                lines = [line.replace(here, "ann@bench").replace(f"clock of {platform.node()}", "clock of bench")
                         for line in said if not PROGRESS.search(line)]  # fmt: skip
                changes.append((first, first + len(command.shown), renewed(command.shown, lines)))
    if not right:
        _write(page, text, changes)


def take_over(page: Path) -> None:
    """Show in a page what the pages that run its commands show."""
    text = page.read_text(encoding="utf-8")
    changes: list[tuple[int, int, list[str]]] = []
    for block in blocks(text):
        if block.run_in is not None:
            other = blocks((page.parent / block.run_in).read_text(encoding="utf-8"))
            there = {
                each.written: each.shown for found in other if found.runs_here for each in reversed(found.commands)
            }
            for command in block.commands:
                first = command.line + command.height
                changes.append((first, first + len(command.shown), there.get(command.written, command.shown)))
    _write(page, text.splitlines(), changes)


def _write(page: Path, lines: list[str], changes: list[tuple[int, int, list[str]]]) -> None:
    for first, last, instead in reversed(changes):
        lines[first:last] = instead
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    chosen = [Path(name) for name in sys.argv[1:]] or PAGES
    for each in chosen:
        renew(each)
    for each in chosen:
        take_over(each)
