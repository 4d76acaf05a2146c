"""`make test-firmware`: the C core against the Python gate. Ends with one line of what was compared."""

import gc
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

from tests.firmware import c_gate, equivalence, footprint, fuzzing, glue, mutants, pairs, toolchain
from tests.firmware.equivalence import Amount, Count, DifferenceError
from tests.firmware.glue import Age
from tests.firmware.odd_policies import odd_policies
from tests.firmware.toolchain import ALL, GCC, REPOSITORY, BuildFailedError, Compiler, run

from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy

WORKERS = (os.cpu_count() or 1) + 1
"""One more than there are processors: the devices' tests wait for some of their time."""
ON_THE_CORE = ("tests/integration", "tests/device", "tests/firmware/sequences.py")
"""Tests of the whole device, which run unchanged with the C core as its gate; and lives that Hypothesis draws."""
AT_ONCE = 4
"""Policies of one harness."""
GENERATED_AT_ONCE = 10
FIRST = 20_000
"""Number of the first policy by chance; the prover's own tests take others."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much of what has no end.

    Attributes:
        examples: under each policy that the repository shows.
        odd: under each odd policy: they are large.
        generated: policies by chance.
        door_states: of each of these in which the door is asked; None: all.
        requests: of bytes of a request's map by chance.
        by_chance: compilers whose cores are asked about policies by chance.
        fuzz_seconds, fuzz_inputs: the one or the other, and 0.
        guarded: builds of the glue whose traps run with the sanitizers, and at 32 bits, too.
        valgrind: it looks on as well.
        options: of the devices' tests.
    """

    examples: Amount
    odd: Amount
    generated: int
    door_states: int | None
    requests: int
    by_chance: tuple[Compiler, ...]
    fuzz_seconds: int
    fuzz_inputs: int
    guarded: Sequence[Age]
    valgrind: bool
    options: tuple[str, ...] = ()


_USUAL = Amount(states=pairs.MAX_STATES, pairs=4_000, lives=12, records=60, memories=8, units=60, permits=50, own=True)
_DEEP = Amount(
    states=pairs.MAX_STATES, pairs=250_000, lives=40, records=120, memories=40, units=120, permits=300, own=True
)
USUAL = Extent(
    examples=_USUAL,
    odd=replace(_USUAL, states=60, lives=6, own=False),
    generated=10,
    door_states=6,
    requests=30_000,
    by_chance=(GCC,),
    fuzz_seconds=60,
    fuzz_inputs=0,
    guarded=(glue.NETWORK_CORE,),  # its application is swapped as in a build of one image
    valgrind=False,
)
DEEP = Extent(
    examples=_DEEP,
    odd=replace(_DEEP, states=2_000),
    generated=200,
    door_states=None,
    requests=100_000,
    by_chance=ALL,
    fuzz_seconds=0,
    fuzz_inputs=10_000_000,
    guarded=glue.builds_of(glue.NEWEST_NCS),
    valgrind=True,
    options=("--hypothesis-profile=deep", "--timeout=3600"),
)

P = ParamSpec("P")
T = TypeVar("T")


def main(arguments: list[str]) -> int:
    began = time.monotonic()
    with TemporaryDirectory(prefix="keyswitch-firmware-") as name:
        try:
            line = _in_a_pool(Path(name), began, DEEP if "--deep" in arguments else USUAL)
            if "--deep" in arguments:
                _tell_mutants(mutants.whole(Path(name) / "mutants"), began)
        except (DifferenceError, BuildFailedError) as error:
            print(f"firmware: {error}", file=sys.stderr)  # noqa: T201 - the runner's own output
            return 1
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    took_s, cpu_s = time.monotonic() - began, used.ru_utime + used.ru_stime
    _say(f"{took_s:.0f} s, {cpu_s:.0f} CPU seconds, {WORKERS} at once")
    _say(line)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the runner's own output


def _job(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """In a worker: looking through the millions of objects that are compared for garbage is a third of the time."""
    gc.disable()
    done = work(*args, **kwargs)
    gc.collect()
    return done


def _in_a_pool(into: Path, began: float, extent: Extent) -> str:
    with ProcessPoolExecutor(WORKERS) as pool:
        try:
            return _run(pool, into, began, extent)
        except (DifferenceError, BuildFailedError):
            pool.shutdown(cancel_futures=True)  # what is under way still writes into what is removed then
            raise


def _run(pool: ProcessPoolExecutor, into: Path, began: float, extent: Extent) -> str:
    def submit(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return pool.submit(_job, work, *args, **kwargs)

    # What takes long and needs nothing comes first, so that no worker is left alone with it at the end.
    place = into / "c-core"
    prepared = submit(c_gate.prepare, place)
    built = {each: submit(toolchain.build_core, into / f"core-{n}", each) for n, each in enumerate(ALL)}
    prepared.result()
    devices = [submit(_test, place, path, *extent.options) for path in ON_THE_CORE]
    fuzzed = submit(fuzzing.fuzz, into / "fuzz", seconds=extent.fuzz_seconds, inputs=extent.fuzz_inputs)
    cores: dict[Compiler, list[Path]] = {compiler: each.result() for compiler, each in built.items()}
    shown = [*map(read_policy, toolchain.examples())]
    parts: dict[str, list[Future[Count]]] = {
        "odd policies": [
            submit(equivalence.compare_policies, into / f"odd-{n}", each, cores, amount=extent.odd)
            for n, each in _groups(odd_policies())
        ],
        "examples": [
            submit(equivalence.compare_policies, into / f"shown-{n}", each, cores, amount=extent.examples)
            for n, each in _groups(shown)
        ],
        "policies by chance": [
            submit(
                equivalence.compare_generated,
                into / f"by-chance-{first}",
                first,
                GENERATED_AT_ONCE,
                {each: cores[each] for each in extent.by_chance},
                door_states=extent.door_states,
            )
            for first in range(FIRST, FIRST + 1000 * (extent.generated // GENERATED_AT_ONCE), 1000)
        ],
    }
    watched = [
        submit(equivalence.compare_under_valgrind, into / "valgrind", [*odd_policies()[-6:-3], *shown[-1:]])
        for _ in range(extent.valgrind)
    ]
    trapped = [
        *(submit(glue.look_at, into / f"look-{age.name}", age) for age in glue.AGES),
        *(submit(glue.run_traps, into / f"age-{age.name}", glue.builds_of(age)) for age in glue.AGES),
        *(
            submit(glue.run_traps, into / f"newest-{n}", extent.guarded, compiler)
            for n, compiler in enumerate((glue.SANITIZED, glue.SHORT))
        ),
        submit(glue.plant, into / "faults"),
    ]
    known = submit(equivalence.compare_vectors, into / "vectors", cores, requests=extent.requests)
    weighed = submit(footprint.page)
    sampled = submit(mutants.sample, into / "sample")  # of one file: it shows that this notices faults at all

    total = Count()
    passed = sum(each.result() for each in devices)
    asked = c_gate.Summary.of(place)
    _say(f"device: {passed} tests on the C core ({time.monotonic() - began:.0f} s)")
    for each in asked.lines():
        _say(each)
    if asked.faults():
        raise DifferenceError("; ".join(asked.faults()))
    for what, futures in parts.items():
        _report(what, futures, total, began)
    caught = glue.Trapped()
    for each in trapped:
        caught.add(each.result())
    _say(
        f"glue: {len(glue.AGES)} ages of Zephyr's interfaces, {caught.sources} sources compiled without a warning,"
        f" {caught.traps} traps passed, {caught.faults} planted faults noticed ({time.monotonic() - began:.0f} s)"
    )
    for each in watched:
        _say(f"valgrind: {each.result()} questions, 0 findings ({time.monotonic() - began:.0f} s)")
    _say(weighed.result())
    if weighed.result() != footprint.PAGE.read_text("utf-8"):
        raise DifferenceError("docs/footprint.md is not what was measured: python -m tests.firmware.footprint")
    _tell_mutants(sampled.result(), began)
    known_answers, requests = known.result()
    compared = f"equivalence: {total.total + requests} pairs, 0 differences"
    return f"{compared}; vectors: {known_answers}; fuzz: {fuzzed.result()} inputs, 0 findings"


def _groups(policies: Sequence[Policy]) -> Iterator[tuple[int, Sequence[Policy]]]:
    count = -(-len(policies) // AT_ONCE)
    return ((n, policies[n::count]) for n in range(count))


def _test(place: Path, path: str, *options: str) -> int:
    """Run these tests with the C core as every device's gate; how many passed."""
    command = (sys.executable, "-m", "pytest", "-q", "--c-core", *options, path)
    said = run(command, env=c_gate.environment(place), cwd=REPOSITORY)
    found = re.search(r"^(\d+) passed", said, re.MULTILINE)
    if found is None:
        raise BuildFailedError(f"{path}: {said}")
    return int(found[1])


def _tell_mutants(judged: mutants.Judged, began: float) -> None:
    _say(f"{judged.told()} ({time.monotonic() - began:.0f} s)")
    if found := mutants.faults(judged):
        raise DifferenceError("\n".join(found))


def _report(what: str, parts: list[Future[Count]], total: Count, began: float) -> None:
    count = Count()
    for each in parts:
        count.add(each.result())
    total.add(count)
    cut = f", {count.cut} of them not to their end" if count.cut else ""
    _say(
        f"{what}: {count.policies} policies{cut}; {count.steps} steps, {count.decisions} decisions, {count.lives} lives"
        f" and {count.records} records, the same"
        f" ({time.monotonic() - began:.0f} s)"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
