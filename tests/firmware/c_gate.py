"""The C core as the device's gate: with `--c-core` every step and decision of a test's device is the C core's.

The device goes on with what the C core has answered: state, effects, texts of refusals, made of its bytes alone. The
Python gate is asked the same, and has to say the same. What is Python's still: which transitions were taken, which
no device looks at, and what `Asked.passed_over` counts.
"""

import ctypes
import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.firmware.heard import Heard
from tests.firmware.toolchain import LIBRARY, build_core, build_library
from tests.firmware.wire import Wire, commands_bytes, decision_bytes

from keyswitch.device.server.components import Components
from keyswitch.errors import InputError
from keyswitch.export.limits import check_fits
from keyswitch.export.tables import policy_c
from keyswitch.gate import events as on
from keyswitch.gate.authorise import authorise
from keyswitch.gate.decision import Decision
from keyswitch.gate.events import Event
from keyswitch.gate.machine import Step, step
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy

MAX_FREE_TRIES = 100
"""Of the policy language."""
MAX_INPUTS, MAX_CONNECTIONS, MAX_IMAGES, MAX_HASH = 8, 32, 8, 64
"""Of the tests' build of the core."""


@dataclass(slots=True)
class Asked:
    """How often. Attributes: passed_over: what the tests' build has no room for, or what no firmware can be told."""

    steps: int = 0
    decisions: int = 0
    passed_over: int = 0


class CoreLibrary:
    """The core with one policy's tables, in this process."""

    def __init__(self, policy: Policy, built: Path) -> None:
        self.wire = Wire(policy, 0)
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
    """The parts of a device that ask both."""

    place: TemporaryDirectory[str] = field(default_factory=lambda: TemporaryDirectory(prefix="keyswitch-c-core-"))
    asked: Asked = field(default_factory=Asked)
    _of_policy: dict[int, tuple[Policy, CoreLibrary | None]] = field(default_factory=dict)
    _of_tables: dict[bytes, Path] = field(default_factory=dict)
    _core: list[Path] = field(default_factory=list)

    def parts(self) -> Components:
        """What stands in for `Components()`."""
        return replace(Components(), step=self.step, authorise=self.authorise)

    def step(self, policy: Policy, state: GateState, event: Event) -> Step:
        """The C core's step, which is the Python machine's too."""
        done = step(policy, state, event)
        library = self._library(policy)
        if library is None or not _can_be_told(policy, state, event, done):
            self.asked.passed_over += 1
            return done
        self.asked.steps += 1
        wire = library.wire
        heard, told = library.ask(wire.ask_step(state, event)), wire.told_step(done)
        assert heard == told, f"the C core differs: {state} {event}\n{told!r}\n{heard!r}"
        answered = replace(Heard(policy, heard).step(), ways=done.ways)
        assert answered == done
        return answered

    def authorise(self, policy: Policy, state: GateState, peer: Peer, command: tuple[int, int, int]) -> Decision:
        """The C core's decision, which is the Python door's too."""
        decision = authorise(policy, state, peer, command)
        library = self._library(policy)
        if library is None or not _fits(policy, state):
            self.asked.passed_over += 1
            return decision
        self.asked.decisions += 1
        heard = library.ask(library.wire.ask_door(state, peer, commands_bytes([command])))
        assert heard[:-1] == decision_bytes(decision), f"the C core differs: {state} {peer} {command}\n{heard!r}"
        return Heard(policy, heard).decision()

    def _library(self, policy: Policy) -> CoreLibrary | None:
        known = self._of_policy.get(id(policy))
        if known is None:
            known = self._of_policy[id(policy)] = (policy, self._load(policy))
        return known[1]

    def _load(self, policy: Policy) -> CoreLibrary | None:
        try:
            check_fits(policy)
        except InputError:
            return None
        if len(policy.inputs) > MAX_INPUTS or policy.entry.lockout.free_tries > MAX_FREE_TRIES:
            return None
        key = hashlib.sha256(policy_c(policy, "").encode()).digest()
        if key not in self._of_tables:
            place = Path(self.place.name) / str(len(self._of_tables))
            place.mkdir()
            self._core = self._core or build_core(Path(self.place.name) / "core", LIBRARY)
            self._of_tables[key] = build_library(place, policy, self._core)
        return CoreLibrary(policy, self._of_tables[key])


def _fits(policy: Policy, state: GateState) -> bool:
    """Whether the tests' build of the core has room for it; a device with another policy now is in no mode of it."""
    if state.mode not in policy.modes:
        return False
    images = None if state.session is None else state.session.images
    return len(state.connections) <= MAX_CONNECTIONS and len(images or ()) <= MAX_IMAGES


_LONGEST_MS: Final = 2**32 - 2


def _can_be_told(policy: Policy, state: GateState, event: Event, done: Step) -> bool:
    match event:
        case on.InputChanged():
            told = done.refused is None or (event.name in {each.name for each in policy.inputs} and state.down)
        case on.Booted():
            record = event.record
            hashes = all(len(each) <= MAX_HASH for each in event.running)
            told = hashes and (record is None or len(record.images or ()) <= MAX_IMAGES)
        case on.ButtonHeld():
            told = event.hold_ms <= _LONGEST_MS
        case on.EnterProved():
            told = len(event.images or ()) <= MAX_IMAGES
        case _:
            told = True
    fits = _fits(policy, state) and len(done.state.connections) <= MAX_CONNECTIONS
    return told and fits and _of_one_image(event) and not policy.bootloader.images and _of_one_image(done.state)


def _of_one_image(told: Event | GateState) -> bool:
    """Whether only the first image is spoken of: the core knows no other, and the exporter refuses several."""
    match told:
        case GateState(armed=armed, on_trial=on_trial):
            return not on_trial - {0} and not any(each.pair for each in armed)
        case on.Booted(running=running, record=record):
            expected = () if record is None else record.expected
            return len(running) <= 1 and not any(pair for pair, _ in expected)
        case _:
            return not getattr(told, "pair", 0)
