"""How fast the prover explores, and how it grows with the policy: the pump, and generated policies of up to 60 modes.

python -m bench.prover      # exit code 1 if a mark is missed
"""

import sys
import time
from pathlib import Path

from bench.policies import generated
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy
from keyswitch.prove.check import check

PUMP = Path(__file__).parents[1] / "examples" / "pump" / "policy.toml"
SIZES = ((8, 24), (15, 60), (30, 120), (60, 240))
"""Modes and transitions."""
MARKS = {"Pump 7": 2.0, "Line 30": 30.0}
"""Seconds of CPU time that the check may take."""


def run() -> dict[str, object]:
    """Check each policy once; the marks are about CPU time, so that a busy machine does not miss them."""
    rows: list[dict[str, object]] = []
    missed: list[str] = []
    for policy in (read_policy(PUMP), *(generated(modes, ways) for modes, ways in SIZES)):
        row = measured(policy)
        rows.append(row)
        print(
            "{policy:>8}: {modes:3} modes {transitions:4} ways {states:7} states {seconds:6.2f} s".format(**row), end=""
        )
        print("  {states_per_second:6.0f} states/s {moves_per_second:7.0f} moves/s".format(**row))
        mark = MARKS.get(policy.device.name)
        if mark is not None and float(str(row["seconds"])) > mark:
            missed.append(f"{policy.device.name}: {row['seconds']} s, at most {mark} s")
        if not row["holds"]:
            missed.append(f"{policy.device.name} does not hold")
    return {"prover": rows, "missed": missed}


def measured(policy: Policy) -> dict[str, object]:
    """One policy."""
    began = time.process_time()
    verdict = check(policy)
    seconds = time.process_time() - began
    return {
        "policy": policy.device.name,
        "modes": len(policy.modes),
        "transitions": len(policy.transitions),
        "states": verdict.states,
        "moves": verdict.edges,
        "seconds": round(seconds, 3),
        "states_per_second": round(verdict.states / seconds),
        "moves_per_second": round(verdict.edges / seconds),
        "holds": verdict.holds,
    }


if __name__ == "__main__":
    sys.exit(1 if run()["missed"] else 0)
