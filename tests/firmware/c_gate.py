"""The C core as the device's gate: with `--c-core` what a test's device does is what the C core has answered.

Its steps, the door's decisions, who may access the SMP characteristic, the lock-out and what a proof's MAC covers are
made of the core's bytes alone. The Python gate is asked the same, and has to say the same. What is Python's still:
which transitions were taken, which no device looks at, and what `Unasked` names.

A device in a process of its own, which a test starts, has this gate too (`c_core/sitecustomize.py`). All processes of
a run share one directory: there is what was built, and what each has asked.
"""

import ctypes
import hashlib
import hmac
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum, auto
from mmap import mmap
from pathlib import Path
from typing import Final

from tests.firmware import gate_memory
from tests.firmware.heard import Heard
from tests.firmware.toolchain import LIBRARY, REPOSITORY, build_core, build_library
from tests.firmware.wire import Wire, commands_bytes, decision_bytes

from keyswitch.device.server.components import Components
from keyswitch.errors import InputError
from keyswitch.export.limits import check_fits
from keyswitch.export.tables import policy_c
from keyswitch.gate import events as on
from keyswitch.gate import lockout
from keyswitch.gate.authorise import authorise
from keyswitch.gate.decision import Decision
from keyswitch.gate.events import Event
from keyswitch.gate.lockout import Lockout
from keyswitch.gate.machine import Step, initial, step
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState
from keyswitch.gate.visibility import may_access_smp
from keyswitch.policy.enums import InputType, ProofKind
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import INT_MAX, INT_MIN, LockoutSettings, Policy
from keyswitch.proof import challenge
from keyswitch.proof.challenge import Challenge

PLACE: Final = "KEYSWITCH_TESTS_C_CORE"
"""Environment variable: the directory of a run."""
STARTED: Final = Path(__file__).with_name("c_core")
"""On the `PYTHONPATH` of every process that a test starts."""

MAX_TRIES: Final = 0xFFFF
"""That the core's tables can let pass. A test that allows more of them never uses them up, or the two would differ."""
MAX_INPUTS, MAX_CONNECTIONS, MAX_IMAGES, MAX_HASH, MAX_PAIRS = 8, 32, 8, 64, 4
"""Of the tests' build of the core."""
_LONGEST_MS: Final = 2**32 - 2


class Asked(IntEnum):
    """What the core was asked, by the place of its count."""

    STEPS = 0
    DECISIONS = auto()
    ACCESSES = auto()
    LOCKOUTS = auto()
    MACS = auto()
    LIVES = auto()


class Unasked(StrEnum):
    """Why the core was not asked."""

    NO_SUCH_INPUT = "an input that the policy has not, or a value that is none of its: firmware has numbers for them"
    OTHER_POLICY = "a state of a mode that the policy has not"
    TABLES = "a policy that the core's tables do not hold"
    ROOM = "more than the tests' build has room for"


MOST_UNASKED: Final = {
    Unasked.NO_SUCH_INPUT: 1,
    Unasked.OTHER_POLICY: 0,
    Unasked.TABLES: 0,
    Unasked.ROOM: 0,
}
"""Of `tests/device` and `tests/integration`. A run with more fails: whoever raises one says here what it is about."""


class Tally:
    """What the processes of a run have asked: a file for each, which is there even when the process is killed."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._pid = 0
        self._counts: memoryview[int] | None = None

    def asked(self, what: Asked) -> None:
        """Once more."""
        if self._counts is None or self._pid != os.getpid():  # a fork counts for itself
            self._pid = os.getpid()
            with (self._place / f"asked-{self._pid}").open("a+b") as file:
                file.truncate(8 * len(Asked))  # what a process of this number has counted before is kept
                self._counts = memoryview(mmap(file.fileno(), 0)).cast("Q")
        self._counts[what] += 1

    def unasked(self, why: Unasked) -> None:
        """The core was passed over in the test that runs now."""
        test = os.environ.get("PYTEST_CURRENT_TEST", "no test").partition("::")[0].removeprefix("tests/")
        with (self._place / f"unasked-{os.getpid()}").open("a", encoding="utf-8") as file:
            file.write(f"{why.name} {test}\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Of a whole run. Attributes: asked: how often; unasked: how often in which file, and why."""

    asked: Mapping[Asked, int]
    unasked: Mapping[tuple[Unasked, str], int]

    @classmethod
    def of(cls, place: Path) -> "Summary":
        """What the processes that shared this directory have asked."""
        files = [memoryview(path.read_bytes()).cast("Q") for path in place.glob("asked-*")]
        lines = [
            line.split(" ", 1) for path in place.glob("unasked-*") for line in path.read_text("utf-8").splitlines()
        ]
        return cls(
            asked={what: sum(counts[what] for counts in files) for what in Asked},
            unasked=Counter((Unasked[why], test) for why, test in lines),
        )

    def of_reason(self, why: Unasked) -> int:
        """How often."""
        return sum(count for (each, _), count in self.unasked.items() if each is why)

    def lines(self) -> list[str]:
        """For people: one of what was asked, and one for each reason why something was not."""
        passed, asked = sum(self.unasked.values()), sum(self.asked.values())
        each = ", ".join(f"{count} {what.name.lower()}" for what, count in self.asked.items())
        lines = [f"the C core answered {asked} times ({each}); passed over {passed} times"]
        for why in Unasked:
            tests = sorted((test, count) for (reason, test), count in self.unasked.items() if reason is why)
            if tests:
                where = ", ".join(f"{test} {count}" for test, count in tests)
                lines.append(f"  {self.of_reason(why)}: {why.value} ({where})")
        return lines

    def faults(self) -> list[str]:
        """What is more than it may be, or nothing at all."""
        faults = [
            f"{self.of_reason(why)} times not asked, at most {most}: {why.value}"
            for why, most in MOST_UNASKED.items()
            if self.of_reason(why) > most
        ]
        return faults if any(self.asked.values()) else [*faults, "the C core was not asked anything"]


class CoreLibrary:
    """The core with one policy's tables, in this process."""

    def __init__(self, policy: Policy, built: Path) -> None:
        self.wire = Wire(policy, 0, remembers=1)  # a device's states come once; tests look at what it keeps
        self._library = ctypes.CDLL(str(built))
        self._library.harness_ask.restype = ctypes.c_size_t
        self._library.harness_ask.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p))
        self._free = ctypes.CDLL(None).free
        self._free.argtypes = (ctypes.c_void_p,)

    def ask(self, question: bytes) -> bytes:
        """What the core answers."""
        told = ctypes.c_void_p()
        size = self._library.harness_ask(question, len(question), ctypes.byref(told))
        answer = ctypes.string_at(told, size)
        self._free(told)
        return answer


@dataclass(slots=True)
class CGate:
    """The parts of a device that ask both. Attributes: place: the run's directory."""

    place: Path
    tally: Tally = field(init=False)
    _of_policy: dict[int, tuple[Policy, CoreLibrary | Unasked]] = field(default_factory=dict)
    _of_lockout: dict[LockoutSettings, CoreLibrary] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tally = Tally(self.place)

    def stand_in(self) -> None:
        """From now on, in this process, for every device that names no part of its own."""
        Components.__init__.__kwdefaults__.update(
            step=self.step,
            authorise=self.authorise,
            may_access_smp=self.may_access_smp,
            lockout=self.restore_lockout,
            mac=self.verify_mac,
        )

    # --- the machine and the door ---

    def step(self, policy: Policy, state: GateState, event: Event) -> Step:
        """The C core's step, which is the Python machine's too."""
        done = step(policy, state, event)
        if isinstance(event, on.Booted):
            state = initial(policy)  # coming up forgets it; it may be of another policy
        library = self._library(policy)
        why = library if isinstance(library, Unasked) else _why_not(policy, state, event, done)
        if isinstance(library, Unasked) or why is not None:
            self.tally.unasked(why or Unasked.TABLES)
            return done
        self.tally.asked(Asked.STEPS)
        wire = library.wire
        heard, told = library.ask(wire.ask_step(state, event)), wire.told_step(done)
        assert heard == told, f"the C core differs: {state} {event}\n{told!r}\n{heard!r}"
        answered = replace(Heard(policy, heard).step(), ways=done.ways)
        assert answered == done
        return answered

    def authorise(self, policy: Policy, state: GateState, peer: Peer, command: tuple[int, int, int]) -> Decision:
        """The C core's decision, which is the Python door's too."""
        decision = authorise(policy, state, peer, command)
        heard = self._ask_door(policy, state, peer, [command], Asked.DECISIONS)
        if heard is None:
            return decision
        assert heard[:-1] == decision_bytes(decision), f"the C core differs: {state} {peer} {command}\n{heard!r}"
        return Heard(policy, heard).decision()

    def may_access_smp(self, policy: Policy, state: GateState, peer: Peer) -> bool:
        """What the C core says of the SMP characteristic, which Python says too."""
        may = may_access_smp(policy, state, peer)
        heard = self._ask_door(policy, state, peer, [], Asked.ACCESSES)
        if heard is None:
            return may
        assert heard == bytes([may]), f"the C core differs: {state} {peer} {heard!r}"
        return bool(heard[0])

    def _ask_door(
        self, policy: Policy, state: GateState, peer: Peer, commands: list[tuple[int, int, int]], what: Asked
    ) -> bytes | None:
        library = self._library(policy)
        why = library if isinstance(library, Unasked) else _no_room(policy, state)
        if isinstance(library, Unasked) or why is not None:
            self.tally.unasked(why or Unasked.TABLES)
            return None
        self.tally.asked(what)
        return library.ask(library.wire.ask_door(state, peer, commands_bytes(commands)))

    # --- proofs ---

    def restore_lockout(self, settings: LockoutSettings, stored: Mapping[str, int], now_ms: int) -> Lockout:
        """The lock-out after a reset, by the C core, which is Python's too."""
        expected = lockout.restore(settings, stored, now_ms)
        answered = self.ask_lockout(settings, [gate_memory.restored(expected.failures, now_ms)], now_ms, expected)
        return CLockout(failures=answered.failures, until_ms=answered.until_ms, gate=self)

    def ask_lockout(
        self, settings: LockoutSettings, operations: list[bytes], now_ms: int, expected: Lockout
    ) -> Lockout:
        """What the C core keeps after these operations, the last of them now, of the kinds that Python keeps."""
        self.tally.asked(Asked.LOCKOUTS)
        library = self._pump(settings)
        failures, waits_ms = gate_memory.heard(library.ask(gate_memory.question(library.wire, operations)))
        answered = Lockout(
            failures={kind: failures[kind] for kind in expected.failures},
            until_ms={kind: now_ms + waits_ms[kind] for kind in expected.until_ms},
        )
        assert answered == expected, f"the C core differs: {settings} {now_ms} {operations}"
        return answered

    def verify_mac(self, secret: bytes, asked: Challenge, mac: bytes) -> bool:
        """Whether the MAC is that of the C core's message: Python's verifier has to say the same."""
        right = challenge.verify(secret, asked, mac)
        self.tally.asked(Asked.MACS)
        library = self._pump(LockoutSettings())
        message = library.ask(library.wire.ask_message(asked))
        found = hmac.compare_digest(hmac.digest(secret, message, hashlib.sha256), mac)
        assert found == right, f"the C core differs: {asked} {message!r}"
        return found

    def _pump(self, settings: LockoutSettings) -> CoreLibrary:
        """For what no policy is needed but this part of it."""
        known = self._of_lockout.get(settings)
        if known is None:
            pump = read_policy(REPOSITORY / "examples" / "pump" / "policy.toml")
            library = self.load(replace(pump, entry=replace(pump.entry, lockout=settings)))
            assert not isinstance(library, Unasked)
            known = self._of_lockout[settings] = library
        return known

    # --- building ---

    def _library(self, policy: Policy) -> CoreLibrary | Unasked:
        known = self._of_policy.get(id(policy))
        if known is None:
            known = self._of_policy[id(policy)] = (policy, self.load(policy))
        return known[1]

    def load(self, policy: Policy) -> CoreLibrary | Unasked:
        """The core with this policy's tables, or why there can be none."""
        try:
            check_fits(policy)
        except InputError:
            return Unasked.TABLES
        if len(policy.inputs) > MAX_INPUTS:
            return Unasked.ROOM
        settings = policy.entry.lockout
        tries = min(settings.free_tries, MAX_TRIES)
        policy = replace(policy, entry=replace(policy.entry, lockout=replace(settings, free_tries=tries)))
        return CoreLibrary(policy, self._built(policy))

    def _built(self, policy: Policy) -> Path:
        """Built once in a run: under its own name first, as others may be building the same."""
        built = self.place / f"{hashlib.sha256(policy_c(policy, '').encode()).hexdigest()}.so"
        if not built.exists():
            build_library(self.place / f"{built.stem}-{os.getpid()}", policy, core_of(self.place)).replace(built)
        return built


def core_of(place: Path) -> list[Path]:
    """The core's objects of this run; `prepare` has built them."""
    return sorted((place / "core").glob("ks_*.o"))


def environment(place: Path) -> dict[str, str]:
    """For processes of a run in this directory: each Python that makes devices has them ask the core."""
    paths = (str(STARTED), str(REPOSITORY), os.environ.get("PYTHONPATH", ""))
    return {PLACE: str(place), "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def prepare(place: Path) -> None:
    """Build the core of a run in this directory."""
    build_core(place / "core", LIBRARY)


@dataclass(frozen=True, slots=True, kw_only=True)
class CLockout(Lockout):
    """A lock-out whose every wrong proof is counted by the C core. Attributes: gate: who asks it."""

    gate: CGate

    def wrong(self, settings: LockoutSettings, kind: ProofKind, now_ms: int) -> Lockout:
        """See `Lockout.wrong`."""
        if kind is ProofKind.BUTTON:
            return self
        expected = Lockout(failures=self.failures, until_ms=self.until_ms).wrong(settings, kind, now_ms)
        # Only this kind's wait is new: those of the others began before.
        changed = Lockout(failures=expected.failures, until_ms={kind: expected.until_ms[kind]})
        operations = [gate_memory.restored(self.failures, now_ms), gate_memory.wrong(kind, now_ms)]
        answered = self.gate.ask_lockout(settings, operations, now_ms, changed)
        return replace(self, failures=answered.failures, until_ms={**self.until_ms, **answered.until_ms})


# --- what the core cannot be told -----------------------------------------------------------------------------------


def _no_room(policy: Policy, state: GateState) -> Unasked | None:
    if state.mode not in policy.modes:
        return Unasked.OTHER_POLICY
    images = None if state.session is None else state.session.images
    too_many = len(state.connections) > MAX_CONNECTIONS or len(images or ()) > MAX_IMAGES
    return Unasked.ROOM if too_many else None


def _why_not(policy: Policy, state: GateState, event: Event, done: Step) -> Unasked | None:
    match event:
        case on.InputChanged() if not _has_input(policy, event):
            return Unasked.NO_SUCH_INPUT
        case on.Booted(running=running, record=record):
            fits = all(len(each) <= MAX_HASH for each in running)
            fits = fits and (record is None or len(record.images or ()) <= MAX_IMAGES)
            fits = fits and (record is None or all(pair < MAX_PAIRS for pair, _ in record.expected))
        case on.ButtonHeld():
            fits = event.hold_ms <= _LONGEST_MS
        case on.EnterProved():
            fits = len(event.images or ()) <= MAX_IMAGES
        case _:
            fits = True
    if not fits or len(done.state.connections) > MAX_CONNECTIONS:
        return Unasked.ROOM
    return _no_room(policy, state)


def _has_input(policy: Policy, event: on.InputChanged) -> bool:
    kind = next((each.type for each in policy.inputs if each.name == event.name), None)
    if event.value is None or isinstance(event.value, bool):
        return kind is InputType.BOOL or (kind is not None and event.value is None)
    return kind is InputType.INT and INT_MIN <= event.value <= INT_MAX
