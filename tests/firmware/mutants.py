"""Changes each comparison, constant, and statement of the core, one at a time, and expects the comparison to notice.

    python -m tests.firmware.mutants [NUMBER] [SECONDS s] [FILE.c ...]

So many by chance, for so long, of these files; prints who survives, and how many of how many were judged.

A mutant that does not compile does not count. One that survives is a fault that nothing here would see: a question is
missing, or the code says too much. Those that no question can tell from the core are in `SAME`, with the reason.
"""

import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from tests.firmware import lives, pairs, vectors
from tests.firmware.equivalence import ACTIONS, Batch
from tests.firmware.odd_policies import odd_policies
from tests.firmware.toolchain import (
    CORE,
    CRYPTO,
    FIRMWARE,
    HARNESS,
    Compiler,
    build_core,
    build_tables,
    examples,
)
from tests.firmware.wire import Wire

from keyswitch.policy.load import read_policy

COMPILER: Final = Compiler(name="gcc", command=("gcc", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover"))
"""A read behind the end of a table is noticed too."""
SECONDS: Final = 300
BATCHES: Final = {"few": 25, "every": 1}
"""Each so-manieth question: most mutants are noticed by few of them."""
AT_ONCE: Final = 40
_SHOWN: Final = ("pump", "key-switch", "chase", "contradiction", "reset-while-working", "weak-entry")

CHANGES: Final = (
    (r" == ", " != "),
    (r" != ", " == "),
    (r" < ", " <= "),
    (r" <= ", " < "),
    (r" > ", " >= "),
    (r" >= ", " > "),
    (r" && ", " || "),
    (r" \|\| ", " && "),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"(?<=[ (\[{])0u\b", "1u"),
    (r"(?<=[ (\[{])1u\b", "2u"),
    (r"(?<=\()!(?=[a-z(])", ""),
    (r"^#define \w+ (?:0x)?\d+(?=u?$)", "+1"),
    (r"^\t+[a-z_>.\-\[\]]+(?: [|&]?= [^;]*|\([^;]*\)|\+\+|--);$", ";"),
)
"""What is changed into what; the last two are a constant that is one more, and a statement that is left out."""

_NO_TEXT: Final = "this refusal says nothing beside its reason, so its argument is not looked at"
_ROOM: Final = "the exporter works out the room that a policy needs, and no step asks for more"
_NEVER_AGAIN: Final = "ids of peers are never used again: what is kept of one that has gone is not asked for"
_BOUND: Final = "at the limit both branches give the same"

SAME: Final[dict[tuple[str, str], str]] = {
    ("ks_guard.c", "if (id > 31u) {"): "no known command has the id 31, so no mode lists one",
    ("ks_guard.c", "if (binds(binding, index) && (asked > most)) {"): _BOUND,
    ("ks_door.c", "if (ks_is_maintenance(policy, mode) && (ks_security_of_mode(each) < least) &&"): _BOUND,
    ("ks_door.c", "return refuse(refusal, KS_WHY_FIRST_TRIAL, 0u);"): _NO_TEXT,
    ("ks_door.c", "return refuse(refusal, KS_WHY_NOBODY_ENTERED, 0u);"): _NO_TEXT,
    ("ks_door.c", "return refuse(refusal, KS_WHY_OWNER, 0u);"): _NO_TEXT,
    ("ks_door.c", "return refuse(refusal, KS_WHY_NOT_ON_THIS_SERVICE, 0u);"): _NO_TEXT,
    ("ks_door.c", "return refuse(refusal, KS_WHY_RESETTING, 0u);"): _NO_TEXT,
    ("ks_door.c", "ks_refuse(refusal, KS_NOT_REFUSED, 0u);"): _NO_TEXT,
    ("ks_advertisement.c", "if (lease_s > UINT16_MAX) {"): _BOUND,
    (
        "ks_advertisement.c",
        "uint8_t mode = (device->state.mode < BEACON_MANY) ? device->state.mode : (uint8_t)BEACON_MANY;",
    ): _BOUND,
    ("ks_lockout.c", "if (!place_of(proof, &place) || (lockout->until_ms[place] <= now_ms)) {"): _BOUND,
    ("ks_device.c", "return (due_ms > now_ms) ? (uint32_t)(due_ms - now_ms) : 0u;"): _BOUND,
    ("ks_device.c", "ks_nonces_forget(&device->nonces, event->peer.id);"): _NEVER_AGAIN,
    ("ks_device.c", "ks_sequences_forget(&device->sequences, event->peer.id);"): _NEVER_AGAIN,
    ("ks_device.c", "ks_state_init(policy, &device->state);"): "KS_BOOTED begins with it anyway",
    ("ks_change.c", "if (step->count >= (uint16_t)KS_MAX_EFFECTS) {"): _ROOM,
    ("ks_change.c", "step->overflow = true;"): _ROOM,
    ("ks_mode_group.c", "return ((size != 0u) && is_bytes(mac) && (mac->size == KS_MAC_SIZE) &&"): (
        "a message has more than one byte, and room for the longest"
    ),
    ("ks_transition.c", "uint32_t longest = 0u;"): "no hold is shorter than a millisecond",
}
"""File and line as they are: why no question can tell what survives there from the core."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change. Attributes: line: as it was; changed: as it is now."""

    source: Path
    number: int
    line: str
    changed: str


def mutants(source: Path) -> Iterator[Mutant]:
    """Every change of this file, outside of comments."""
    comment = False
    for number, line in enumerate(source.read_text().splitlines()):
        comment = comment or line.lstrip().startswith("/*")
        if comment:
            comment = "*/" not in line
            continue
        code = line.split("/*")[0].rstrip()
        for pattern, other in CHANGES:
            for found in re.finditer(pattern, code):
                if other == "+1":
                    changed = code[: found.end()] + code[found.end() :]
                    digits = re.search(r"(?:0x)?\d+$", found.group())
                    assert digits is not None
                    value = int(digits.group(), 0) + 1
                    changed = code[: found.start() + digits.start()] + str(value) + code[found.end() :]
                else:
                    changed = code[: found.start()] + other + code[found.end() :]
                yield Mutant(source, number, line, changed)


def questions(into: Path) -> tuple[Batch, list[Path]]:
    """A small batch that sees much, and the tables that it is about."""
    shown = [read_policy(path) for path in examples() if path.stem in _SHOWN or path.parent.name in _SHOWN]
    policies = [vectors.policy(), *shown, *odd_policies()]
    batch, chance = Batch(), Random(1)
    for number, policy in enumerate(policies):
        wire = Wire(policy, number)
        found = pairs.met(policy, 250)
        batch.steps(wire, pairs.some(found, 2_500, chance))
        batch.doors(wire, pairs.door_states(policy, found.states)[:12])
        batch.records(wire, chance, 40)
        batch.memories(wire, chance, 6)
        batch.edges(wire)
        batch.units(wire, chance, 20)
        if policy.entry.permit is not None:
            batch.permits(wire, chance, 60)
        for seed in range(12 if lives.usable(policy) else 0):
            life = lives.Life(wire, seed)
            life.live(ACTIONS)
            batch.asked.append(life.question())
            batch.told.append(life.answer())
    batch.requests(Wire(policies[0], 0), chance, 3_000)
    life, _, _ = vectors.exchanges(Wire(vectors.policy(), 0))
    batch.asked.append(life.question())
    batch.told.append(life.answer())
    for each in vectors.proofs():
        nonce, session, mac, message = (bytes.fromhex(each[key]) for key in ("nonce", "session", "mac", "message"))
        batch.asked.append(
            Wire(policies[0], 0).ask_proof(each["mode"], each["purpose"] == "attach", nonce, session, mac)
        )
        batch.told.append(len(message).to_bytes(2, "little") + message + b"\1")
    return batch, build_tables(into, policies, COMPILER)


def survives(mutant: Mutant, place: Path, objects: list[Path], tables: list[Path]) -> bool | None:
    """Whether nothing is noticed; None: it does not compile, or is the same program."""
    place.mkdir(exist_ok=True)
    lines = mutant.source.read_text().splitlines()
    lines[mutant.number] = mutant.changed
    changed = place / mutant.source.name
    changed.write_text("\n".join(lines) + "\n")
    core = objects[0].parent
    include = ("-I", FIRMWARE / "include", "-I", mutant.source.parent, "-I", core)
    built = place / "mutant.o"
    plain = (*COMPILER.command, "-std=c99", "-w", *include)
    if subprocess.run([*plain, "-c", changed, "-o", built], capture_output=True, check=False).returncode:
        return None
    others = [each for each in objects if each.stem != mutant.source.stem]
    harness = place / "harness"
    subprocess.run([*COMPILER.command, *others, built, *tables, core / "h.o", core / "c.o", "-o", harness], check=True)
    return all(_agrees(harness, core / each, place) for each in BATCHES)


def _agrees(harness: Path, batch: Path, place: Path) -> bool:
    """Whether the harness answers these questions as Python does."""
    answers = place / "answers"
    try:
        ran = subprocess.run(
            [harness, batch.with_suffix(".asked"), answers], capture_output=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    return ran.returncode == 0 and answers.read_bytes() == batch.with_suffix(".told").read_bytes()


def _write(batch: Batch, into: Path) -> None:
    for name, step in BATCHES.items():
        (into / name).with_suffix(".asked").write_bytes(b"".join(batch.asked[::step]))
        (into / name).with_suffix(".told").write_bytes(b"".join(batch.told[::step]))


def _judge(work: tuple[int, Mutant, Path, list[Path], list[Path]]) -> bool | None:
    number, mutant, into, objects, tables = work
    place = into / f"mutant-{number}"
    try:
        return survives(mutant, place, objects, tables)
    finally:
        shutil.rmtree(place)


def main(names: list[str]) -> int:
    with TemporaryDirectory(prefix="keyswitch-mutants-") as name:
        into = Path(name)
        objects = build_core(into / "core", COMPILER)
        batch, tables = questions(into)
        _write(batch, into / "core")
        include = ("-I", FIRMWARE / "include", "-I", CORE[0].parent, "-I", into / "core")
        for source, built in ((HARNESS, "h.o"), (CRYPTO, "c.o")):
            subprocess.run([*COMPILER.command, *include, "-c", source, "-o", into / "core" / built], check=True)
        files = [name for name in names if name.endswith(".c")]
        every = [each for source in CORE if not files or source.name in files for each in mutants(source)]
        possible = len(every)
        for number in (name for name in names if name.isdigit()):
            every = Random(1).sample(every, min(int(number), len(every)))
        unchanged = Mutant(CORE[0], 0, "", CORE[0].read_text().splitlines()[0])
        if not survives(unchanged, into / "unchanged", objects, tables):
            print("mutants: the core itself is not what Python says", file=sys.stderr)
            return 1
        until = time.monotonic() + next((int(name[:-1]) for name in names if re.fullmatch(r"\d+s", name)), 10**6)
        work = [(number, each, into, objects, tables) for number, each in enumerate(every)]
        judged, left = [], []
        known: Counter[str] = Counter()
        for start in range(0, len(work), AT_ONCE):
            if time.monotonic() > until:
                break
            with ProcessPoolExecutor(2) as pool:
                found = list(pool.map(_judge, work[start : start + AT_ONCE]))
            judged += found
            for each, alive in zip(every[start:], found, strict=False):
                reason = SAME.get((each.source.name, each.line.strip()))
                if alive and reason is not None:
                    known[reason] += 1
                elif alive:
                    left.append(each)
                    told = f"{each.source.name}:{each.number + 1}: {each.line.strip()}  ->  {each.changed.strip()}"
                    print(told, flush=True)
            print(f"# {len(judged)} judged", flush=True)
    built = sum(each is not None for each in judged)
    for reason, count in known.most_common():
        print(f"{count} survive: {reason}")
    noticed = built - known.total() - len(left)
    print(f"mutants: {len(judged)} of {possible} judged, {len(judged) - built} do not compile", end=", ")
    print(f"{noticed} noticed, {known.total()} survive for a reason that is written, {len(left)} survive")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
