"""Changes each comparison, constant, and statement of the core, one at a time, and expects the comparison to notice.

    python -m tests.firmware.mutants [NUMBER] [FILE | FILE:FUNCTION ...]

All of them, or so many by chance, of all of the core, or of these files and functions. Prints who survives without a
reason and which reason nobody needs (then the exit code is 1), and how many of how many were noticed. A run of all
writes docs/core-mutants.md.

One that survives is a fault that nothing here would see: a question is missing, or the code says too much. Those that
no question can tell from the core are in `SAME`, with the reason.
"""

import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from tests.firmware import pairs, toolchain, vectors
from tests.firmware.equivalence import Batch
from tests.firmware.mutations import Mutant, mutants, read, schemata
from tests.firmware.odd_policies import odd_policies
from tests.firmware.stories import Story
from tests.firmware.toolchain import CORE, CRYPTO, FIRMWARE, HARNESS, BuildFailedError, Compiler, build_tables, run
from tests.firmware.wire import QUESTIONS, Wire

from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy

JUDGE: Final = Path(__file__).with_name("judge.c")
HEADERS: Final = sorted(CORE[0].parent.glob("*.h"))
QUICK: Final = Compiler(name="gcc, mutants", command=("gcc", "-O1", "-ftrivial-auto-var-init=pattern"))
"""What nobody has set is nonsense, and the same in each run."""
ALONE: Final = Compiler(name="gcc, one mutant", command=("gcc", "-O0", "-ftrivial-auto-var-init=pattern"))
SANITIZED: Final = {
    Compiler(
        name="gcc, mutants, address and undefined behaviour sanitizers",
        command=("gcc", "-O1", "-DSANITIZED", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    ): 1,
    Compiler(
        name="clang, mutants, memory sanitizer",
        command=("clang", "-O1", "-DSANITIZED", "-fsanitize=memory", "-fno-sanitize-recover=all"),
    ): 4,
}
"""And every so-manieth question for it."""
WORKERS: Final = 2
SIZE: Final = 10
SAMPLE: Final = "ks_proof.c"
_SHOWN: Final = ("pump", "key-switch", "chase", "contradiction", "reset-while-working", "weak-entry")
ALL_IN_IT: Final = "the core with everything"
OF_ONE: Final = "a core with what one policy uses"
WATCHED: Final = "the core under sanitizers"
PAGE: Final = toolchain.REPOSITORY / "docs" / "core-mutants.md"
PAGE_TEXT: Final = """# Faults planted in the gate's C core

Made by `make deep` (`python -m tests.firmware.mutants`): each comparison, constant, text and statement of
`firmware/src/core` is changed or left out, one at a time, and the core with that fault is asked what
`make test-firmware` asks. It is noticed if it answers other than the Python gate does, dies, or does not come to an
end. A fault that nobody notices needs a written reason why it is none (`tests/firmware/same.toml`). Without one the run
fails, and so it does for a reason that no fault needs.

**{made} faults: {noticed} noticed, {broken} do not compile, {same} are the same program once compiled,
{reasons} are the same for a reason that is written, 0 are left.**

Of those that were noticed, {of_one} were so only in a core that has no more than one policy uses, and {watched}
only under the address, undefined behaviour or memory sanitizer.

## What noticed them first

Most faults would be noticed by several kinds. A question that has noticed one fault is asked first about the next.

| Questions about | Faults |
|---|---|
{kinds}

## By file

| File | Faults | Noticed | Do not compile | Same program | Same for a reason |
|---|---|---|---|---|---|
{files}

## Why some are the same

| Reason | Faults |
|---|---|
{why}
"""
SECONDS: Final = 0.1
"""Of the processor, for one question: a mutant that takes longer does not come to an end."""


def _same() -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    for reason in tomllib.loads(Path(__file__).with_name("same.toml").read_text("utf-8"))["reason"]:
        for change in reason["changes"]:
            source, function, told = change.split(": ", 2)
            found[source, "" if function == "-" else function, told] = reason["why"]
    return found


SAME: Final = _same()
"""Why no question can tell a mutant from the core: by file, function and change."""


@dataclass(slots=True)
class Asked:
    """What is asked of a core: policies, and a batch about them."""

    policies: Sequence[Policy]
    batch: Batch

    order: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.order = Random(1).sample(range(len(self.batch.asked)), len(self.batch.asked))

    def share(self, of: int) -> "Asked":
        """Of all that is asked so many parts, one: for a core that takes longer."""
        some = Batch()
        for part in ("asked", "told", "about"):
            getattr(some, part).extend(getattr(self.batch, part)[at] for at in self.order[::of])
        return Asked(self.policies, some)

    def write(self, into: Path) -> Path:
        """As the judge reads it, in an order by chance: one of each kind comes soon."""
        with into.open("wb") as file:
            file.write(len(self.order).to_bytes(4, "little"))
            for asked, told in ((self.batch.asked[each], self.batch.told[each]) for each in self.order):
                file.write(len(asked).to_bytes(4, "little") + len(told).to_bytes(4, "little") + asked + told)
        return into

    def kind(self, place: int) -> str:
        """What the question is about that stands there in what was written."""
        at = self.order[place]
        return "stories" if isinstance(self.batch.about[at], Story) else QUESTIONS[self.batch.asked[at][0]]


@dataclass(slots=True)
class Build:
    """The core with mutants in it, and who judges them.

    Attributes:
        inside: numbers of the mutants that `judge` holds.
        broken: numbers of those that do not compile.
    """

    into: Path
    compiler: Compiler
    asked: Asked
    policy: Policy | None = None
    inside: set[int] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)
    objects: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    questions: Path = field(init=False)

    def __post_init__(self) -> None:
        self.into.mkdir(parents=True)
        self.questions = self.asked.write(self.into / "questions")
        known = "" if self.policy is None else toolchain.used(self.policy)
        (self.into / "ks_policy.h").write_text(toolchain._ROOMY + known)
        for source in (HARNESS, CRYPTO, JUDGE):
            self.others.append(self._compile(source, self.into / f"{source.stem}.o", "-Dmain=main_of_" + source.stem))
        self.others += build_tables(self.into, self.asked.policies, self.compiler)

    def _options(self, near: Path) -> tuple[str | Path, ...]:
        places = (near, self.into, FIRMWARE / "include", CORE[0].parent)
        return ("-std=c99", "-w", *(option for place in places for option in ("-I", place)))

    def _compile(self, source: Path, into: Path, *more: str | Path) -> Path:
        renamed = () if source == JUDGE else more
        run((*self.compiler.command, *self._options(self.into), *renamed, "-c", source, "-o", into))
        return into

    def hold(self, numbered: Mapping[int, Mutant]) -> None:
        """Build the core with all of these that stand in functions."""
        for header in HEADERS:
            self._write(header, numbered)
        with ThreadPoolExecutor(WORKERS) as pool:
            self.objects = list(pool.map(lambda source: self._hold(source, numbered), CORE))
        self.inside -= self.broken
        self.link(self.into / "judge", self.objects)
        if self.judge([0])[0] is not None:
            raise BuildFailedError(f"{self.into.name}: the core itself is not what Python says")

    def _write(self, source: Path, numbered: Mapping[int, Mutant]) -> Path:
        own = {n: each for n, each in numbered.items() if each.source == source and n not in self.broken}
        text, inside = schemata(source, own)
        self.inside |= inside
        (self.into / source.name).write_text(text)
        return self.into / source.name

    def _hold(self, source: Path, numbered: Mapping[int, Mutant]) -> Path:
        """This source with its mutants; those that do not compile are taken out."""
        built = self.into / f"{source.stem}.o"
        while True:
            written = self._write(source, numbered)
            command = (*self.compiler.command, *self._options(self.into), "-c", written, "-o", built)
            done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return built
            broken = {int(each) for each in re.findall(r"^mutant-(\d+):\d+:\d+: error", done.stderr, re.MULTILINE)}
            if not broken:
                raise BuildFailedError(done.stderr)
            self.broken |= broken

    def link(self, into: Path, objects: Sequence[Path]) -> Path:
        run((*self.compiler.command, *objects, *self.others, "-o", into))
        return into

    def judge(self, numbers: Sequence[int]) -> dict[int, str | None]:
        """What each of these mutants was noticed by, first; None: by nothing."""
        with ThreadPoolExecutor(WORKERS) as pool:
            parts = pool.map(
                lambda part: self._judge(self.into / "judge", part, numbers[part::WORKERS]), range(WORKERS)
            )
        return {number: kind for part in parts for number, kind in part.items()}

    def _judge(self, judge: Path, part: int, numbers: Sequence[int]) -> dict[int, str | None]:
        command = (judge, self.questions, self.into / f"order-{part}", str(SECONDS))
        told = subprocess.run(
            [*map(str, command)], input="\n".join(map(str, numbers)), capture_output=True, text=True, check=True
        ).stdout.split()
        if len(told) != 2 * len(numbers):
            raise BuildFailedError("the judge has not come to its end")
        return {
            int(number): None if place == "-" else self.asked.kind(int(place))
            for number, place in zip(told[::2], told[1::2], strict=True)
        }

    def alone(self, part: int, number: int, mutant: Mutant) -> str | None:
        """What this mutant, built by itself, was noticed by; None: by nothing.

        Raises:
            BuildFailedError: it does not compile.
        """
        place = self.into / f"alone-{number}"
        place.mkdir()
        objects = list(self.objects)
        for at, source in enumerate(CORE):
            if mutant.source not in {source, *HEADERS}:
                continue
            (place / source.name).write_bytes(source.read_bytes())
            (place / mutant.source.name).write_text(mutant.changed, "utf-8")
            objects[at] = place / f"{source.stem}.o"
            run((*ALONE.command, *self._options(place), "-c", place / source.name, "-o", objects[at]))
        found = self._judge(self.link(place / "judge", objects), part, [0])
        shutil.rmtree(place)
        return found[0]


class Programs:
    """What an optimizing compiler makes of sources, in the core of each of these `ks_policy.h`."""

    def __init__(self, into: Path, settings: Sequence[str]) -> None:
        self.settings = settings
        self.into = into
        into.mkdir()
        self._of_core = cache(lambda at, source: self._machine_code(at, source, None))

    def same(self, mutant: Mutant) -> bool:
        """Whether the machine code of this mutant is the core's."""
        sources = [mutant.source] if mutant.source in CORE else [each for each in CORE if mutant.name in read(each)]
        return all(
            self._of_core(at, source) == self._machine_code(at, source, mutant)
            for at, source in product(range(len(self.settings)), sources)
        )

    def _machine_code(self, at: int, source: Path, mutant: Mutant | None) -> str:
        (self.into / "ks_policy.h").write_text(self.settings[at])
        for each in (source, *HEADERS):
            changed = mutant is not None and mutant.source == each
            (self.into / each.name).write_text(mutant.changed if changed else read(each), "utf-8")
        include = ("-I", self.into, "-I", FIRMWARE / "include")
        return run(("gcc", "-O2", "-std=c99", "-w", *include, "-S", self.into / source.name, "-o", "-"))


def questions(policies: Sequence[Policy], size: int) -> Asked:
    """So many of each kind that `make test-firmware` asks, in parts of `size`."""
    batch, chance = Batch(), Random(1)
    for number, policy in enumerate(policies):
        wire = Wire(policy, number)
        _ask_of_policy(batch, wire, size, chance)
        batch.memories(wire, chance, size)
        batch.units(wire, chance, 2 * size)
    wire = Wire(policies[0], 0)
    batch.known(wire)
    batch.requests(wire, chance, 300 * size)
    return Asked(policies, batch)


def questions_of_one(policy: Policy, size: int) -> Asked:
    """What the core can be asked that has only what this policy uses."""
    batch = Batch()
    _ask_of_policy(batch, Wire(policy, 0), size, Random(1))
    return Asked([policy], batch)


def _ask_of_policy(batch: Batch, wire: Wire, size: int, chance: Random) -> None:
    found = pairs.met(wire.policy, 25 * size)
    batch.steps(wire, pairs.some(found, 250 * size, chance), found.pairs)
    batch.doors(wire, pairs.door_states(wire.policy, found.states)[: 2 * size])
    batch.records(wire, chance, 4 * size)
    batch.edges(wire)
    if wire.policy.entry.permit is not None:
        batch.permits(wire, chance, 6 * size)
    batch.lives(wire, range(2 * size))
    batch.stories(wire)


@dataclass(slots=True)
class Judged:
    """Numbers of mutants.

    Attributes:
        broken: those that do not compile.
        noticed: by what kind of question, first, and in which core.
        same: those that nothing has noticed of which a compiler makes the same machine code as of the core.
    """

    of: dict[int, Mutant]
    broken: set[int] = field(default_factory=set)
    noticed: dict[int, tuple[str, str]] = field(default_factory=dict)
    same: set[int] = field(default_factory=set)

    def note(self, found: Mapping[int, str | None], core: str) -> None:
        self.noticed |= {number: (kind, core) for number, kind in found.items() if kind is not None}

    @property
    def alive(self) -> set[int]:
        """Those that nothing has noticed."""
        return set(self.of) - self.broken - set(self.noticed)

    @property
    def reasons(self) -> dict[int, str]:
        """Why no question can tell these that are alive from the core."""
        return {each: SAME[self.of[each].key] for each in self.alive - self.same if self.of[each].key in SAME}

    @property
    def left(self) -> list[Mutant]:
        """Those that survive without a reason."""
        return [self.of[each] for each in sorted(self.alive - self.same - set(self.reasons))]

    @property
    def untrue(self) -> list[tuple[str, str, str]]:
        """Reasons for mutants that were noticed all the same, or are the same program anyway."""
        needed = {self.of[each].key for each in self.reasons}
        return [each.key for each in self.of.values() if each.key in SAME and each.key not in needed]

    def told(self) -> str:
        """How many of which."""
        return (
            f"mutants: {len(self.of)} judged: {len(self.noticed)} noticed, {len(self.broken)} do not compile,"
            f" {len(self.same)} compile to the same program, {len(self.reasons)} survive for a reason that is written,"
            f" {len(self.left)} survive without"
        )


def judge(
    into: Path, policies: Sequence[Policy], size: int, numbered: dict[int, Mutant], *, everywhere: bool = True
) -> Judged:
    """Each of these mutants, by questions about these policies; what survives, also on other builds of the core."""
    judged, whole = Judged(numbered), Build(into / "whole", QUICK, questions(policies, size))
    whole.hold(numbered)
    judged.note(whole.judge(sorted(whole.inside)), ALL_IN_IT)
    judged.broken = set(whole.broken)
    rest = [number for number in numbered if number not in whole.inside | whole.broken]
    _say(f"in functions: {len(judged.alive) - len(rest)} of {len(whole.inside)} left")
    with ThreadPoolExecutor(WORKERS) as pool:
        for broken, found in pool.map(lambda part: _alone(whole, part, rest[part::WORKERS], numbered), range(WORKERS)):
            judged.broken |= broken
            judged.note(found, ALL_IN_IT)
    _say(f"and outside of them: {len(judged.alive)} of {len(numbered)} left")
    settings = [(whole.into / "ks_policy.h").read_text()]
    for build in _others(into, whole.asked, size) if everywhere and judged.alive else ():
        left = {number: numbered[number] for number in judged.alive}
        build.hold(left)
        judged.note(build.judge(sorted(build.inside)), OF_ONE if build.policy else WATCHED)
        _say(f"{build.into.name}: {len(judged.alive)} left")
        settings.append((build.into / "ks_policy.h").read_text())
    programs = Programs(into / "same", list(dict.fromkeys(settings)))
    judged.same = {each for each in judged.alive if programs.same(numbered[each])}
    return judged


def _say(how_far: str) -> None:
    print(f"# {how_far}", file=sys.stderr, flush=True)


def _alone(
    build: Build, part: int, numbers: Sequence[int], numbered: Mapping[int, Mutant]
) -> tuple[set[int], dict[int, str | None]]:
    broken, found = set[int](), dict[int, str | None]()
    for number in numbers:
        try:
            found[number] = build.alone(part, number, numbered[number])
        except BuildFailedError:
            broken.add(number)
    return broken, found


def _others(into: Path, asked: Asked, size: int) -> Iterator[Build]:
    """The core without what a policy does not use, until each thing was left out once; and with sanitizers."""
    seen = set[str]()
    for number, policy in enumerate(asked.policies):
        use = set(toolchain.used(policy).splitlines())
        if not use <= seen:
            yield Build(into / f"own-{number}", QUICK, questions_of_one(policy, size), policy)
        seen |= use
    for number, (compiler, share) in enumerate(SANITIZED.items()):
        yield Build(into / f"sanitized-{number}", compiler, asked.share(share))


@cache
def _every() -> tuple[Mutant, ...]:
    return tuple(each for source in (*CORE, *HEADERS) for each in mutants(source))


def all_mutants(names: Collection[str] = ()) -> dict[int, Mutant]:
    """By their number: of the whole core, or of these files (`ks_boot.c`) and functions (`ks_boot.c:fits`)."""
    every = dict(enumerate(_every(), 1))
    wanted = {number: {each.source.name, f"{each.source.name}:{each.function}"} for number, each in every.items()}
    if unknown := set(names) - set().union(*wanted.values()):
        raise ValueError(f"the core has no {', '.join(sorted(unknown))}")
    return {number: each for number, each in every.items() if not names or wanted[number] & set(names)}


def whole(into: Path, numbered: dict[int, Mutant] | None = None) -> Judged:
    """These mutants, asked everything; all of them: docs/core-mutants.md is written if nothing is left."""
    shown = [read_policy(path) for path in toolchain.examples() if path.stem in _SHOWN or path.parent.name in _SHOWN]
    policies = [vectors.policy(), *shown, *odd_policies()]
    judged = judge(into, policies, SIZE, all_mutants() if numbered is None else numbered)
    if numbered is None and not faults(judged):
        PAGE.write_text(page(judged), "utf-8")
    return judged


def sample(into: Path) -> Judged:
    """Those of one file, asked little, of one build."""
    return judge(into, [vectors.policy()], 2, all_mutants([SAMPLE]), everywhere=False)


def faults(judged: Judged) -> list[str]:
    """A line for each mutant that survives without a reason, and for each reason that is not true (any more)."""
    there = {each.key for each in _every()}
    return [
        *(f"line {each.line} survives: {_shown(each.key)}" for each in judged.left),
        *(f"same.toml: noticed all the same: {_shown(each)}" for each in judged.untrue),
        *(f"same.toml: the core has no such line: {_shown(each)}" for each in SAME if each not in there),
    ]


def _shown(key: tuple[str, str, str]) -> str:
    """As `same.toml` has it."""
    source, function, told = key
    return f"{source}: {function or '-'}: {told}"


def page(judged: Judged) -> str:
    """docs/core-mutants.md after a run of all."""
    by_kind, by_core = (Counter(each[at] for each in judged.noticed.values()) for at in (0, 1))
    sources = dict.fromkeys(each.source.name for each in judged.of.values())
    rows = [
        [sum(judged.of[each].source.name == name for each in numbers) for numbers in _columns(judged)]
        for name in sources
    ]
    return PAGE_TEXT.format(
        made=len(judged.of),
        noticed=len(judged.noticed),
        broken=len(judged.broken),
        same=len(judged.same),
        reasons=len(judged.reasons),
        of_one=by_core[OF_ONE],
        watched=by_core[WATCHED],
        kinds="\n".join(f"| {kind} | {count} |" for kind, count in by_kind.most_common()),
        files="\n".join(
            f"| `{name}` | {' | '.join(map(str, row))} |" for name, row in zip(sources, rows, strict=True) if row[0]
        ),
        why="\n".join(
            f"| {reason} | {count} |"
            for reason, count in sorted(Counter(judged.reasons.values()).items(), key=lambda each: (-each[1], each[0]))
        ),
    )


def _columns(judged: Judged) -> tuple[Collection[int], ...]:
    return judged.of, judged.noticed, judged.broken, judged.same, judged.reasons


def main(arguments: list[str]) -> int:
    began = time.monotonic()
    names = [each for each in arguments if not each.isdigit()]
    try:
        numbered = all_mutants(names)
    except ValueError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    for count in (int(each) for each in arguments if each.isdigit()):
        chosen = Random(1).sample(sorted(numbered), min(count, len(numbered)))
        numbered = {number: numbered[number] for number in sorted(chosen)}
    with TemporaryDirectory(prefix="keyswitch-mutants-") as name:
        try:
            judged = whole(Path(name), numbered if arguments else None)
        except BuildFailedError as error:
            print(f"mutants: {error}", file=sys.stderr)
            return 1
    found = faults(judged)
    for line in found:
        print(line)
    for reason, count in Counter(judged.reasons.values()).most_common():
        print(f"{count} survive: {reason}")
    for kind, count in Counter(kind for kind, _ in judged.noticed.values()).most_common():
        print(f"{count} noticed first by: {kind}")
    print(f"{judged.told()} ({time.monotonic() - began:.0f} s)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
