"""How fast the prover explores, and how it grows: with modes and ways (up to 60 and 240), and with inputs.

python -m bench.prover      # exit code 1 if a mark is missed
"""

import sys
import time
import tracemalloc
from pathlib import Path

from bench.policies import generated
from keyswitch.policy.load import load, read_policy
from keyswitch.policy.model import Policy
from keyswitch.prove.check import check

PUMP = Path(__file__).parents[1] / "examples" / "pump" / "policy.toml"
SIZES = ((8, 24), (15, 60), (30, 120), (60, 240))
"""Modes and transitions."""
BOOLS, NUMBERS = 8, 4
"""Inputs besides the pump's own, in one policy each: all asked by one entry; each asked for three constants."""
CONSTANTS = (5, 15, 25)
MARKS = {"Pump 7": 0.1, "Line 30": 1.0, "Bools": 5.0, "Numbers": 5.0}
"""Seconds of CPU time that the check may take, without the interpreter's start."""
MEMORY_MARK_MB = 200
"""What the check of one policy may hold at most, beyond what the interpreter held before it."""


def many_bools() -> Policy:
    """The pump, with so many more bools that must all be false for an entry by command."""
    names = [f"b{place}" for place in range(BOOLS)]
    told = PUMP.read_text().replace('name = "Pump 7"', 'name = "Bools"')
    told = told.replace(
        "[inputs]\n", "[inputs]\n" + "".join(f'{n} = {{ type = "bool", initial = false }}\n' for n in names)
    )
    guards = "".join(f', "{name} == false"' for name in names)
    return load(told.replace('"battery_percent >= 30"', f'"battery_percent >= 30"{guards}').encode(), origin="bools")


def many_numbers() -> Policy:
    """The pump, with so many more numbers, each of which leads away at any of three values."""
    names = [f"i{place}" for place in range(NUMBERS)]
    told = PUMP.read_text().replace('name = "Pump 7"', 'name = "Numbers"')
    told = told.replace("[inputs]\n", "[inputs]\n" + "".join(f'{n} = {{ type = "int", initial = 0 }}\n' for n in names))
    for name in names:
        for value in CONSTANTS:
            told += f'[[transitions]]\nfrom = ["normal"]\nto = "pairing"\non = "input"\nwhen = ["{name} == {value}"]\n'
    return load(told.encode(), origin="numbers")


def run() -> dict[str, object]:
    """Check each policy once; the marks are about CPU time, so that a busy machine does not miss them."""
    rows: list[dict[str, object]] = []
    missed: list[str] = []
    for policy in (read_policy(PUMP), many_bools(), many_numbers(), *(generated(*size) for size in SIZES)):
        row = measured(policy)
        rows.append(row)
        print(
            "{policy:>8}: {modes:3} modes {transitions:4} ways {states:7} states {seconds:6.2f} s".format(**row), end=""
        )
        print("  {peak_mb:6.1f} MB {states_per_second:6.0f} states/s {moves_per_second:7.0f} moves/s".format(**row))
        mark = MARKS.get(policy.device.name)
        if mark is not None and float(str(row["seconds"])) > mark:
            missed.append(f"{policy.device.name}: {row['seconds']} s, at most {mark} s")
        if mark is not None and float(str(row["peak_mb"])) > MEMORY_MARK_MB:
            missed.append(f"{policy.device.name}: {row['peak_mb']} MB, at most {MEMORY_MARK_MB} MB")
        if not row["holds"]:
            missed.append(f"{policy.device.name} does not hold")
    return {"prover": rows, "missed": missed}


def measured(policy: Policy) -> dict[str, object]:
    """One policy, twice: for the time, and, slower, for the memory."""
    began = time.process_time()
    verdict = check(policy)
    seconds = time.process_time() - began
    tracemalloc.start()
    check(policy)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "policy": policy.device.name,
        "modes": len(policy.modes),
        "transitions": len(policy.transitions),
        "states": verdict.states,
        "moves": verdict.edges,
        "seconds": round(seconds, 3),
        "peak_mb": round(peak / 1_000_000, 1),
        "states_per_second": round(verdict.states / seconds),
        "moves_per_second": round(verdict.edges / seconds),
        "holds": verdict.holds,
    }


if __name__ == "__main__":
    sys.exit(1 if run()["missed"] else 0)
