"""Cut the power at every flash operation of every act, and at every operation of every recovery.

From each content that a cut can leave, the bootloader is run to its end: what runs then is judged. The same run shows
what a second cut could leave, and so on; contents that were seen before are not tried again, so that the search ends
when every content that any number of cuts can leave has been tried.

Run it with `python -m bench.powercut`; the last line is `N cut points, F failures`.
"""

import argparse
import json
import sys
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b

from bench import deep
from bench.boots import BOOT, SCENARIOS, SHAPES, Bench, Outcome, Scenario, Shape, World, make_keys, make_world, searches
from keyswitch.mcuboot import slots
from keyswitch.mcuboot import trailer as trailers
from keyswitch.mcuboot.bootloader import BootReport
from keyswitch.mcuboot.flash import Flash, RamFlash
from keyswitch.mcuboot.layout import Algorithm, area
from keyswitch.mcuboot.ops import CarryOut, carry_out
from keyswitch.mcuboot.power import Leftovers, WatchedFlash
from keyswitch.mcuboot.trailer import SwapType

DEPTHS = {Algorithm.OVERWRITE_ONLY: 2}
"""How many cuts in a row are tried, where it is not any number. Each copy that is begun again may leave one more sector
of the primary half written, so that there is no end to the contents; nothing looks at them until the copy is whole."""
MAX_STATES = 200_000
"""More contents than any act can leave: a search that gets there is broken."""


@dataclass
class Findings:
    """What one search found."""

    name: str
    cut_points: int = 0
    contents: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


class _Waiting:
    """Contents that cuts left and that have not been tried; what a whole act leaves is no cut and is left out."""

    def __init__(self, findings: Findings, max_depth: int) -> None:
        self._findings = findings
        self._max_depth = max_depth
        self._seen: set[bytes] = set()
        self._new: dict[bytes, bytes] = {}
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._depth = 0

    def note(self, leftovers: Leftovers) -> None:
        """Remember what a cut at this operation can leave."""
        for content in leftovers.all():
            self._findings.cut_points += 1
            digest = blake2b(content, digest_size=16).digest()
            if digest not in self._seen:
                self._seen.add(digest)
                self._new[digest] = content

    def whole(self, content: bytes) -> None:
        """An act has ended; this is what it left."""
        digest = blake2b(content, digest_size=16).digest()
        self._seen.add(digest)
        self._new.pop(digest, None)
        self._queue()

    def take(self) -> bytes | None:
        """A content to try next, those of fewer cuts first; None if there is none."""
        self._queue()
        if not self._waiting:
            return None
        content, self._depth = self._waiting.popleft()
        return content

    def _queue(self) -> None:
        if self._depth < self._max_depth:
            self._waiting += [(content, self._depth + 1) for content in self._new.values()]
        self._new.clear()


@dataclass
class Search:
    """Every content that cuts in one act, and in the recoveries from them, can leave."""

    world: World
    scenario: Scenario
    do: CarryOut = carry_out
    writer: type[slots.SlotWriter] = slots.SlotWriter
    limit: int = MAX_STATES
    patience: int = MAX_STATES

    def run(self) -> Findings:
        """Search until nothing new comes, or `limit` contents were tried, or `patience` failures were found."""
        started = time.perf_counter()
        layout = self.world.layout
        findings = Findings(f"{layout.algorithm}: {self.scenario.name}")
        flash = RamFlash(layout.geometry)
        slots.install(flash, layout, layout.pairs[0].primary, self.world.old)
        if layout.algorithm is Algorithm.FIRMWARE_LOADER:
            slots.install(flash, layout, layout.pairs[0].secondary, self.world.loader)
        bench = Bench(self.world, flash)
        for act in self.scenario.prepare:
            act(bench)
        start = flash.read(0, layout.geometry.size)
        waiting = _Waiting(findings, DEPTHS.get(layout.algorithm, MAX_STATES))
        if self.scenario.act is BOOT:
            self._judge(findings, start, frozenset({self.scenario.whole}), "not cut", waiting)
        else:
            watched = WatchedFlash(layout.geometry, start, waiting.note)
            self.scenario.act(Bench(self.world, watched, self.do, bench.active, bench.header, self.writer))
            waiting.whole(watched.content)
            self._judge(findings, watched.content, frozenset({self.scenario.whole}), "not cut", waiting)
        while (
            len(findings.failures) < self.patience
            and findings.contents < self.limit
            and (content := waiting.take()) is not None
        ):
            findings.contents += 1
            self._judge(findings, content, self.scenario.cut, "cut", waiting)
        findings.seconds = time.perf_counter() - started
        return findings

    def _judge(
        self, findings: Findings, content: bytes, allowed: frozenset[Outcome], how: str, waiting: "_Waiting"
    ) -> None:
        flash = WatchedFlash(self.world.layout.geometry, content, waiting.note)
        try:
            report = Bench(self.world, flash, self.do).boot()
            waiting.whole(flash.content)
            problem = self._problem(report, flash, allowed)
            outcome = (str(report.images[0].running_version), report.trial)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            findings.failures.append(f"{findings.name}, {how}: {error!r}")
            return
        findings.outcomes[outcome] = findings.outcomes.get(outcome, 0) + 1
        if problem:
            findings.failures.append(f"{findings.name}, {how}: {problem}; {' | '.join(report.images[0].why)}")

    def _problem(self, report: BootReport, flash: Flash, allowed: frozenset[Outcome]) -> str | None:
        """What is wrong with what runs, None if nothing is."""
        if not report.runs:
            return "nothing runs"
        outcome = (str(report.images[0].running_version), report.trial)
        if outcome not in allowed:
            return f"runs {outcome}, allowed {sorted(allowed)}"
        layout = self.world.layout
        running = self.world.image(outcome[0])
        place = area(flash, slots.running_slot(layout, 0, report.active))
        if place.read(0, len(running)) != running:
            return "what runs is not what was signed"
        return self._later(report, flash)

    def _later(self, report: BootReport, flash: Flash) -> str | None:
        """What is wrong with the next boot: a trial goes back, anything else stays."""
        layout = self.world.layout
        before = str(report.images[0].running_version)
        after = Bench(self.world, RamFlash(layout.geometry, content=flash.read(0, layout.geometry.size))).boot()
        now = str(after.images[0].running_version)
        if report.trial:
            return None if after.reverted and now != before else f"the trial of {before} was not given up: {now}"
        if now != before or after.trial:
            return f"the next boot runs {now} after {before}"
        if not layout.algorithm.in_place and trailers.read_swap_type(flash, layout) is not SwapType.NONE:
            return f"{trailers.read_swap_type(flash, layout).name} is left in the trailers"
        return None


def search(algorithm: Algorithm, shape: Shape, scenario: str) -> Findings:
    """One search, by name, so that it can be done by another process."""
    found = next(entry for entry in SCENARIOS if entry.name == scenario and algorithm in entry.algorithms)
    return Search(make_world(algorithm, shape), found).run()


def keep(result: dict[str, int]) -> None:
    """Note the result beside those of the deep tests."""
    kept = json.loads(deep.SOURCE.read_text()) if deep.SOURCE.exists() else {}
    kept["powercut"] = {"date": datetime.now(UTC).date().isoformat(), **result}
    deep.SOURCE.parent.mkdir(exist_ok=True)
    deep.SOURCE.write_text(json.dumps(kept, indent=1) + "\n")


def main() -> int:
    """Try everything; 0 if nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--algorithm", action="append", choices=[str(one) for one in Algorithm])
    parser.add_argument("--keep", action="store_true", help="note the result in build/deep.json")
    options = parser.parse_args()
    began = time.monotonic()
    algorithms = [Algorithm(name) for name in options.algorithm or Algorithm]
    cut_points, failures = 0, []
    make_keys()  # before there are several processes, so that all sign with the same one
    with ProcessPoolExecutor(options.jobs) as pool:
        waiting = [
            (shape, pool.submit(search, algorithm, shape, scenario.name))
            for algorithm, shape, scenario in searches(algorithms, SHAPES)
        ]
        for shape, future in waiting:
            found = future.result()
            outcomes = ", ".join(
                f"{version}{' on trial' if trial else ''} {count}"
                for (version, trial), count in sorted(found.outcomes.items())
            )
            print(
                f"{found.name} ({shape.name}): {found.cut_points} cut points, {found.contents} contents, "
                f"{outcomes}, {found.seconds:.1f} s",
                flush=True,
            )
            cut_points += found.cut_points
            failures += [f"{line} ({shape.name})" for line in found.failures]
    for line in failures[:50]:
        print(line)
    print(f"{cut_points} cut points, {len(failures)} failures")
    if options.keep:
        keep({"cut_points": cut_points, "failures": len(failures), "seconds": round(time.monotonic() - began)})
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
