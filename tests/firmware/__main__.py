"""`make test-firmware`: the C core against the Python gate. Ends with one line of what was compared."""

import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.firmware import equivalence, footprint, fuzzing, glue, toolchain
from tests.firmware.equivalence import Count, DifferenceError
from tests.firmware.odd_policies import odd_policies
from tests.firmware.toolchain import ALL, GCC, BuildFailedError, Compiler

from keyswitch.policy.load import read_policy

WORKERS = 2
GENERATED, AT_ONCE = 200, 10
FUZZ_SECONDS = 30
DEEP_SECONDS = 1_200
"""With `--deep`: some ten million inputs."""
ODD_STATES = 250
"""Of each odd policy: they are large."""
LIVES = 20
"""Of each policy, for each worker."""
FIRST = 20_000
"""Number of the first policy by chance; the prover's own tests take others."""


def main(arguments: list[str]) -> int:
    began = time.monotonic()
    seconds = DEEP_SECONDS if "--deep" in arguments else FUZZ_SECONDS
    with TemporaryDirectory(prefix="keyswitch-firmware-") as name:
        try:
            line = _run(Path(name), began, seconds)
        except (DifferenceError, BuildFailedError) as error:
            print(f"firmware: {error}", file=sys.stderr)  # noqa: T201 - the runner's own output
            return 1
    _say(line)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the runner's own output


def _run(into: Path, began: float, seconds: int) -> str:
    with ProcessPoolExecutor(WORKERS) as pool:
        built = {each: pool.submit(toolchain.build_core, into / f"core-{n}", each) for n, each in enumerate(ALL)}
        cores: dict[Compiler, list[Path]] = {compiler: each.result() for compiler, each in built.items()}
        # The core has one image: a policy of several is not exported.
        shown = [policy for policy in map(read_policy, toolchain.examples()) if not policy.bootloader.images]
        odd = odd_policies()
        parts: dict[str, list[Future[Count]]] = {
            "examples": [
                pool.submit(equivalence.compare_policies, into / f"shown-{n}", shown[n :: 3 * WORKERS], cores)
                for n in range(3 * WORKERS)
            ],
            "odd policies": [
                pool.submit(equivalence.compare_policies, into / f"odd-{n}", odd[n::WORKERS], cores, ODD_STATES)
                for n in range(WORKERS)
            ],
            "policies by chance": [
                pool.submit(
                    equivalence.compare_generated, into / f"by-chance-{n}", FIRST + 1000 * n, AT_ONCE, GCC, cores[GCC]
                )
                for n in range(GENERATED // AT_ONCE)
            ],
            "lives": [
                pool.submit(equivalence.compare_lives, into / f"lives-{n}", [*shown, *odd], LIVES, LIVES * n, cores)
                for n in range(WORKERS)
            ],
        }
        trapped = [
            *(pool.submit(glue.look_at, into / f"look-{age.name}", age) for age in glue.AGES),
            *(pool.submit(glue.run_age, into / f"age-{age.name}", age) for age in glue.AGES),
            *(
                pool.submit(glue.run_age, into / f"newest-{n}", glue.NEWEST_NCS, compiler)
                for n, compiler in enumerate((glue.SANITIZED, glue.SHORT))
            ),
            pool.submit(glue.plant, into / "faults"),
        ]
        fuzzed = pool.submit(fuzzing.fuzz, into / "fuzz", seconds)
        known = pool.submit(equivalence.compare_vectors, into / "vectors", cores)
        weighed = pool.submit(footprint.page)
        total = Count()
        for what, futures in parts.items():
            _report(what, futures, total, began)
        caught = glue.Trapped()
        for each in trapped:
            caught.add(each.result())
        _say(
            f"glue: {len(glue.AGES)} ages of Zephyr's interfaces, {caught.sources} sources compiled without a warning,"
            f" {caught.traps} traps passed, {caught.faults} planted faults noticed ({time.monotonic() - began:.0f} s)"
        )
        _say(weighed.result())
        if weighed.result() != footprint.PAGE.read_text("utf-8"):
            raise DifferenceError("docs/footprint.md is not what was measured: python -m tests.firmware.footprint")
        known_answers, requests = known.result()
        compared = f"equivalence: {total.total + requests} pairs, 0 differences"
        return f"{compared}; vectors: {known_answers}; fuzz: {fuzzed.result()} inputs, 0 findings"


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
