"""Lives that Hypothesis draws, with time, power cuts, frames, proofs and records; one that differs is made short.

`python -m tests.firmware` runs this file; alone: pytest --c-core tests/firmware/sequences.py
"""

import os
from functools import cache
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.firmware.c_gate import PLACE, Asked, CGate, CoreLibrary
from tests.firmware.lives import Life, usable
from tests.firmware.odd_policies import odd_policies
from tests.firmware.toolchain import REPOSITORY

from keyswitch.policy.load import read_policy

MAX_ACTIONS = 30
POLICIES = (
    *(read_policy(REPOSITORY / "examples" / name / "policy.toml") for name in ("pump", "key-switch")),
    *(policy for policy in odd_policies() if usable(policy)),
)


@cache
def gate() -> CGate:
    """Of this run; made when it has begun."""
    return CGate(Path(os.environ[PLACE]))


@cache
def library(policy: int) -> CoreLibrary:
    """The core with this policy's tables."""
    found = gate().load(POLICIES[policy])
    assert isinstance(found, CoreLibrary)
    return found


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example])
@given(
    policy=st.integers(0, len(POLICIES) - 1),
    seed=st.integers(0, 2**32 - 1),
    chance=st.randoms(use_true_random=False),
    actions=st.integers(0, MAX_ACTIONS),
)
def test_a_life_is_the_same_in_both(policy: int, seed: int, chance: Random, actions: int) -> None:
    core = library(policy)
    life = Life(core.wire, seed, chance)
    life.live(actions)
    gate().tally.asked(Asked.LIVES)
    heard = core.ask(life.question())
    assert heard == life.answer(), life.difference(heard)
