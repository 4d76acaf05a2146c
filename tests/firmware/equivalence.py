"""The C core and the Python gate, asked the same questions: same state, same effects, same refusal, same decision."""

import json
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import cbor2
from tests.firmware import cbor_maps, lives, pairs, permits, stories, toolchain, vectors
from tests.firmware.gate_memory import GateMemory
from tests.firmware.lives import Life
from tests.firmware.toolchain import OWN, Compiler, build_tables, link_harness
from tests.firmware.wire import Wire, commands_bytes, decision_bytes
from tests.prove import by_chance

from keyswitch.gate import record_bytes
from keyswitch.gate.authorise import authorise
from keyswitch.gate.events import Event
from keyswitch.gate.machine import Step, step
from keyswitch.gate.record import SessionRecord
from keyswitch.gate.state import GateState
from keyswitch.gate.visibility import may_access_smp
from keyswitch.policy import unit_data
from keyswitch.policy.model import ImagePair, Policy
from keyswitch.policy.unit_data import UnitData

MOST_IMAGES = 8
"""`KS_MAX_IMAGES` of the tests' build."""
MOST_PAIRS = 4
"""`KS_POLICY_PAIRS` of the tests' build, and the most that a policy has."""
VALGRIND_STATES, VALGRIND_STEPS = 100, 1_000
"""Of each policy, where every instruction takes some thirty times as long."""
OPERATIONS = 200
"""On lock-out, nonces and sequences, one after the other."""
ACTIONS = 60
"""Of each life."""


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much is asked under each policy.

    Attributes:
        states: that the prover goes through; what lies beyond is counted as cut.
        pairs: beyond what the prover meets.
        lives, records, memories, units: by chance.
        permits: under a policy that takes them, each with several that are spoilt.
        own: all that can be asked of a core without what the policy does not use is asked of such a one, too.
    """

    states: int
    pairs: int
    lives: int
    records: int
    memories: int
    units: int
    permits: int
    own: bool


class DifferenceError(Exception):
    """The two say different things. The text says about what."""


@dataclass(slots=True)
class Count:
    """What was compared.

    Attributes:
        steps: what an event does in a state; those within lives too.
        decisions: of the door.
        lives: whole ones.
        records: bytes of session records and permits, read by both.
        cut: policies of which the prover did not see everything.
    """

    steps: int = 0
    decisions: int = 0
    lives: int = 0
    records: int = 0
    policies: int = 0
    cut: int = 0

    @property
    def total(self) -> int:
        return self.steps + self.decisions + self.records

    def add(self, other: "Count") -> None:
        self.steps += other.steps
        self.decisions += other.decisions
        self.lives += other.lives
        self.records += other.records
        self.policies += other.policies
        self.cut += other.cut


class Batch:
    """Questions to one harness, with the answers that Python expects."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.told: list[bytes] = []
        self.about: list[Any] = []

    @classmethod
    def joined(cls, batches: Iterable["Batch"]) -> "Batch":
        """All of them, one after the other."""
        joined = cls()
        for each in batches:
            joined.asked += each.asked
            joined.told += each.told
            joined.about += each.about
        return joined

    def steps(self, wire: Wire, told: Iterable[tuple[GateState, Event]], known: Mapping[Any, Step]) -> int:
        """Ask for these steps, some of which the prover has made; how many."""
        before = len(self.asked)
        for state, event in told:
            self.asked.append(wire.ask_step(state, event))
            self.told.append(wire.told_step(known.get((state, event)) or step(wire.policy, state, event)))
            self.about.append((wire.policy.origin, state, event))
        return len(self.asked) - before

    def doors(self, wire: Wire, states: Iterable[GateState]) -> int:
        """Ask the door in these states for every peer and command; how many decisions."""
        commands, count = commands_bytes(pairs.COMMANDS), 0
        for state in states:
            for peer in pairs.door_peers():
                self.asked.append(wire.ask_door(state, peer, commands))
                decisions = [authorise(wire.policy, state, peer, command) for command in pairs.COMMANDS]
                access = may_access_smp(wire.policy, state, peer)
                self.told.append(b"".join([*map(decision_bytes, decisions), bytes([access])]))
                self.about.append((wire.policy.origin, state, peer))
                count += len(decisions) + 1
        return count

    def records(self, wire: Wire, chance: Random, count: int) -> int:
        """Ask what these bytes say: records, spoilt ones, and sets of images at their limits."""
        hashes = [bytes([each]) * 32 for each in range(MOST_IMAGES + 1)]
        for held in (0, 1, MOST_IMAGES - 1, MOST_IMAGES, MOST_IMAGES + 1):
            found = replace(lives.foreign_record(wire.policy, chance), images=frozenset(hashes[:held]))
            self.record(wire, record_bytes.to_bytes(found))
        twice = record_bytes.to_bytes(replace(found, images=frozenset({b"\xa1" * 32, b"\xa2" * 32})))[:-4]
        self.record(wire, with_crc(twice.replace(b"\xa1" * 32, b"\xa2" * 32)))
        self.record(wire, with_crc(twice.replace(b"\xa1" * 32, b"\xa3" * 32)))
        edges = [*_records_at_edges(found)]
        for data in edges:
            self.record(wire, data)
        for _ in range(count):
            found = lives.foreign_record(wire.policy, chance)
            data = record_bytes.to_bytes(found)
            self.record(wire, data)
            for _ in range(4):
                self.record(wire, spoilt(data, chance))
            self.record(wire, with_crc(spoilt(data[:-4], chance)))
        # Of more image pairs than the policy has, and one that is there twice or out of order.
        found = replace(found, expected=tuple((pair, hashes[pair]) for pair in range(MOST_PAIRS + 1)))
        for most in range(1, MOST_PAIRS + 2):
            data = record_bytes.to_bytes(replace(found, expected=found.expected[:most]))
            self.record(wire, data)
            for pair in range(MOST_PAIRS):
                place = len(data) - 4 - (1 + 1 + 32)  # the number of the last pair
                self.record(wire, with_crc(data[:place] + bytes([pair]) + data[place + 1 : -4]))
        return 6 * count + 7 + len(edges) + (MOST_PAIRS + 1) * (MOST_PAIRS + 1)

    def record(self, wire: Wire, data: bytes) -> None:
        """Ask what these bytes say."""
        found = record_bytes.from_bytes(data)
        if found is not None and found.images is not None and len(found.images) > MOST_IMAGES:
            found = None
        if found is not None and any(pair >= len(wire.policy.bootloader.pairs) for pair, _ in found.expected):
            found = None
        self.asked.append(wire.ask_record(data))
        self.told.append(b"\0" if found is None else b"\1" + wire.told_record(found))
        self.about.append((wire.policy.origin, data))

    def lives(self, wire: Wire, seeds: range) -> int:
        """Ask for these lives; how many there are under this policy."""
        if not lives.usable(wire.policy):
            return 0
        for seed in seeds:
            life = Life(wire, seed)
            life.live(ACTIONS)
            self.asked.append(life.question())
            self.told.append(life.answer())
            self.about.append(life)
        return len(seeds)

    def stories(self, wire: Wire) -> tuple[int, int]:
        """Ask for the lives that are not drawn by chance; how many there are under this policy, and their actions."""
        if not lives.usable(wire.policy):
            return 0, 0
        told = list(stories.stories(wire))
        for each in told:
            self.asked.append(each.question())
            self.told.append(each.answer())
            self.about.append(each)
        return len(told), sum(len(each.actions) for each in told)

    def memories(self, wire: Wire, chance: Random, count: int) -> int:
        """Ask lock-out, nonces and sequences by themselves; how many operations."""
        asked = 0
        for _ in range(count):
            memory = GateMemory(wire, chance)
            memory.happens(OPERATIONS)
            self.asked.append(memory.question())
            self.told.append(memory.answer())
            self.about.append((wire.policy.origin, memory.seen))
            asked += len(memory.asked)
        return asked

    def permits(self, wire: Wire, chance: Random, count: int) -> int:
        """Ask about permits, right ones and spoilt ones; how many."""
        before = len(self.asked)
        for question, told in permits.questions(wire, chance, count):
            self.asked.append(question)
            self.told.append(told)
            self.about.append((wire.policy.origin, question))
        return len(self.asked) - before

    def edges(self, wire: Wire) -> None:
        """Ask for what no Python device meets; the harness itself judges that."""
        self.asked.append(wire.ask_edges())
        self.told.append(b"")
        self.about.append(wire.policy.origin)

    def units(self, wire: Wire, chance: Random, count: int) -> int:
        """Ask whose data these bytes are: right ones, spoilt ones, and spoilt ones with their CRC; how many."""
        before = len(self.asked)
        for _ in range(count):
            unit = UnitData(
                id=chance.choice(("u", "unit 4711 ünit", "x" * 64)),
                secret=chance.choice((None, chance.randbytes(32))),
                issuers=tuple(chance.randbytes(32) for _ in range(chance.choice((0, 1, 2, 16)))),
            )
            data = unit_data.to_bytes(unit)
            head = spoilt(data[:12], chance) + data[12:-4]
            told = (data, data + b"\xff", spoilt(data, chance), with_crc(spoilt(data[:-4], chance)), with_crc(head))
            self._units(wire, told)
        self._units(wire, _units_at_edges())
        return len(self.asked) - before

    def _units(self, wire: Wire, told: Iterable[bytes]) -> None:
        for each in told:
            found = unit_data.from_bytes(each)
            self.asked.append(b"\x09" + wire.number + len(each).to_bytes(2, "little") + each)
            self.told.append(b"\0" if found is None else b"\1" + _told_unit(found))
            self.about.append(each)

    def requests(self, wire: Wire, chance: Random, count: int) -> int:
        """Ask how these bytes are read as a request's map, and how a number is written; how many."""
        numbers = [0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1]
        asked = 0
        for data in (*cbor_maps.edges(), *cbor_maps.by_chance(chance, count)):
            number = chance.choice(numbers)
            written = cbor2.dumps(number)
            self.asked.append(wire.ask_cbor(data, number))
            self.told.append(cbor_maps.told(data) + bytes([len(written)]) + written)
            self.about.append(data)
            asked += 1
        return asked

    def known(self, wire: Wire) -> int:
        """Ask for the known answers of the docs; how many."""
        known = json.loads(vectors.FILE.read_text("utf-8"))
        life, _, _ = vectors.exchanges(wire)
        self.asked.append(life.question())
        self.told.append(life.answer())
        self.about.append(life)
        for each in known["proofs"]:
            nonce, session, mac, message = (bytes.fromhex(each[key]) for key in ("nonce", "session", "mac", "message"))
            self.asked.append(wire.ask_proof(each["mode"], each["purpose"] == "attach", nonce, session, mac))
            self.told.append(len(message).to_bytes(2, "little") + message + b"\1")
            self.about.append(each)
        for each in known["records"]:
            self.record(wire, bytes.fromhex(each["bytes"]))
        for each in known["permits"]:
            question, told = permits.ask_known(wire, each)
            self.asked.append(question)
            self.told.append(told)
            self.about.append(each)
        return sum(len(known[kind]) for kind in ("exchanges", "shown", "proofs", "records", "permits"))

    def compare(self, harness: Path, under: Sequence[str] = ()) -> None:
        """Raises: DifferenceError: the core said something else."""
        heard = toolchain.ask(harness, b"".join(self.asked), under)
        told = b"".join(self.told)
        if heard == told:
            return
        at = 0
        for about, each in zip(self.about, self.told, strict=True):
            if heard[at : at + len(each)] != each:
                if isinstance(about, Life):
                    raise DifferenceError(about.difference(heard[at:]))
                got = heard[at : at + len(each) + 40]
                raise DifferenceError(f"{about}\n  Python: {each!r}\n  core:   {got!r}")
            at += len(each)
        raise DifferenceError("the core has said more than it was asked")


def compare_policies(
    into: Path,
    policies: Sequence[Policy],
    cores: Mapping[Compiler, Sequence[Path]],
    amount: Amount,
) -> Count:
    """These policies, every state that the prover meets, every event; lives, records, proofs: on each compiler's core.

    Cores without what a policy does not use are shared by all who compare in the directory above `into`.
    """
    count = Count(policies=len(policies))
    everywhere, roomy = [Batch() for _ in policies], Batch()
    for number, (policy, batch) in enumerate(zip(policies, everywhere, strict=True)):
        wire, found, chance = Wire(policy, number), pairs.met(policy, amount.states), Random(number)
        count.cut += found.cut
        count.steps += batch.steps(wire, pairs.everything(found, amount.pairs), found.pairs)
        count.decisions += batch.doors(wire, pairs.door_states(policy, found.states))
        batch.edges(wire)
        if not lives.usable(policy):
            continue
        asked = batch.lives(wire, range(amount.lives))
        told, actions = batch.stories(wire)
        count.lives += asked + told
        count.steps += asked * ACTIONS + actions
        count.records += batch.records(wire, chance, amount.records)
        count.steps += roomy.memories(wire, chance, amount.memories)
        count.records += roomy.units(wire, chance, amount.units)
        if policy.entry.permit is not None:
            count.records += roomy.permits(wire, chance, amount.permits)
    tables = _compare(into, Batch.joined((*everywhere, roomy)), policies, cores)
    for number, (policy, batch) in enumerate(zip(policies, everywhere, strict=True) if amount.own else ()):
        linked = into / f"own-{number}"
        linked.mkdir()
        core = toolchain.own_core(into.parent, policy)
        batch.compare(link_harness(linked, core, tables[OWN.data], OWN))
    shutil.rmtree(into)
    return count


def _compare(
    into: Path, batch: Batch, policies: Sequence[Policy], cores: Mapping[Compiler, Sequence[Path]]
) -> dict[str, list[Path]]:
    """Put all of it to each core; the tables that were built for that, by `Compiler.data`."""
    tables: dict[str, list[Path]] = {}
    for number, (compiler, core) in enumerate(cores.items()):
        place = into / str(number)
        place.mkdir(parents=True)
        if compiler.data not in tables:
            tables[compiler.data] = build_tables(into / compiler.data, policies, compiler)
        batch.compare(link_harness(place, core, tables[compiler.data], compiler))
    return tables


def compare_generated(
    into: Path, first: int, policies: int, cores: Mapping[Compiler, Sequence[Path]], *, door_states: int | None
) -> Count:
    """So many policies by chance: all that the prover meets, and as much again by chance, other inputs among it.

    The door is asked in so many states of each; None: in all.
    """
    generated = [_of_several(number, each) for number, each in enumerate(by_chance.policies(first, policies))]
    batch, count, chance = Batch(), Count(policies=len(generated)), Random(first)
    for number, policy in enumerate(generated):
        wire, found = Wire(policy, number), pairs.met(policy)
        count.cut += found.cut
        count.steps += batch.steps(wire, pairs.some(found, len(found.pairs), chance), found.pairs)
        count.decisions += batch.doors(wire, pairs.door_states(policy, found.states)[:door_states])
    _compare(into, batch, generated, cores)
    shutil.rmtree(into)
    return count


def _of_several(number: int, policy: Policy) -> Policy:
    """Some of them have two to four image pairs: armed together or one by one, the last one copied or not."""
    count = {1: 2, 4: 2, 6: 3, 9: 4}.get(number % 10, 1)
    if count == 1:
        return policy
    sizes = ImagePair(slot_size=131_072, secondary_size=131_072)
    images = (*(sizes,) * (count - 1), replace(sizes, copied=number % 10 != 1))
    update = replace(policy.update, simultaneous=number % 10 != 4)
    return replace(policy, update=update, bootloader=replace(policy.bootloader, images=images))


def compare_under_valgrind(into: Path, policies: Sequence[Policy]) -> int:
    """A part of it all, with valgrind looking on: no byte that was never written is read; how many questions."""
    batch, chance = Batch(), Random(1)
    for number, policy in enumerate(policies):
        wire, found = Wire(policy, number), pairs.met(policy, VALGRIND_STATES)
        batch.steps(wire, pairs.some(found, VALGRIND_STEPS, chance), found.pairs)
        batch.doors(wire, pairs.door_states(policy, found.states)[:4])
        batch.records(wire, chance, 20)
        batch.memories(wire, chance, 2)
        batch.edges(wire)
        batch.units(wire, chance, 10)
        if policy.entry.permit is not None:
            batch.permits(wire, chance, 20)
        batch.lives(wire, range(5))
    core = toolchain.build_core(into / "core", toolchain.LOOKED_AT)
    tables = build_tables(into, policies, toolchain.LOOKED_AT)
    batch.compare(link_harness(into, core, tables, toolchain.LOOKED_AT), toolchain.VALGRIND)
    return len(batch.asked)


def compare_vectors(into: Path, cores: Mapping[Compiler, Sequence[Path]], *, requests: int) -> tuple[int, int]:
    """The known answers of the docs, and so many requests' bytes, on each compiler's core; how many of each."""
    policy = vectors.policy()
    batch, wire = Batch(), Wire(policy, 0)
    asked = batch.requests(wire, Random(1), requests)
    known = batch.known(wire)
    _compare(into, batch, [policy], cores)
    return known, asked


def _records_at_edges(record: SessionRecord) -> Iterator[bytes]:
    """Names of every length that there is, and one more; the time that means none; a hash that is too long."""
    plain = replace(record, images=None, expected=(), mode="m")
    body = record_bytes.to_bytes(plain)[:-4]
    for name in (
        b"",
        b"a",
        b"z",
        b"{",
        b"`",
        b"zz",
        b"a-_09",
        b"a/",
        b"a:",
        b"-a",
        b"A",
        b"m" * 31,
        b"m" * 32,
        b"m" * 33,
    ):
        yield with_crc(body[:36] + bytes([len(name)]) + name + body[38:])
    for place in range(5):
        timed = replace(plain, lease_ms=None, lease_max_ms=None, timeout_ms=None, idle_ms=None, trial_ms=None)
        name = ("lease_ms", "lease_max_ms", "timeout_ms", "idle_ms", "trial_ms")[place]
        data = record_bytes.to_bytes(replace(timed, **{name: record_bytes.MAX_TIME_MS}))[:-4]
        yield with_crc(data)
        yield with_crc(data[:-4] + b"\xff" * 4)
    hashes = [bytes([each]) * 32 for each in range(1, MOST_IMAGES + 1)]
    data = record_bytes.to_bytes(replace(plain, images=frozenset(hashes)))[:-4]
    yield with_crc(data.replace(b"\x20" + hashes[-1], b"\xff" + hashes[-1]))
    yield with_crc(b"")
    # Further images that are announced and not there, and none of them, and a pair that none can be, without its image.
    body = record_bytes.to_bytes(plain)[:-4]
    others = body[:3] + bytes([body[3] | 0x04]) + body[4:]
    for rest in (
        b"",
        b"\0",
        b"\1",
        b"\1\0",
        b"\1\1",
        bytes([1, MOST_PAIRS]),
        b"\1\xff",
        b"\2\1\x20" + hashes[0] + b"\1",
    ):
        yield with_crc(others + rest)


def _units_at_edges() -> Iterator[bytes]:
    """Identities and issuers as many as there may be, one less, one more."""
    for size in (0, 1, 63, 64, 65, 66, 255):
        for issuers in (0, 1, 15, 16, 17):
            body = b"u" * size + b"\0" + bytes(32 * issuers)
            total = 10 + len(body) + 4
            yield with_crc(b"KSUN\1\0" + total.to_bytes(2, "little") + bytes([size, issuers]) + body)
    yield with_crc(b"KSUN\1\0\x10\0\1\0uu")
    yield with_crc(b"KSUN\1\0\x10\0\1\0\0\0")


def _told_unit(unit: UnitData) -> bytes:
    name, secret = unit.id.encode(), unit.secret or b""
    return b"".join(
        (bytes([len(name)]), name, bytes([bool(secret)]), secret, bytes([len(unit.issuers)]), *unit.issuers)
    )


def spoilt(data: bytes, chance: Random) -> bytes:
    """The bytes with one of them changed, left out, or put in; or cut somewhere."""
    place = chance.randrange(len(data) + 1)
    match chance.randrange(4):
        case 0:
            return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
        case 1:
            return data[:place] + data[place + 1 :]
        case 2:
            return data[:place] + bytes([chance.randrange(256)]) + data[place:]
        case _:
            return data[:place]


def with_crc(data: bytes) -> bytes:
    """The bytes as a store would give them back that has nothing against them."""
    return data + zlib.crc32(data).to_bytes(4, "little")
