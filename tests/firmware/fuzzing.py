"""libFuzzer over what strangers and flash can send, under the address and undefined behaviour sanitizers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.firmware import permits, vectors
from tests.firmware.odd_policies import odd_policies
from tests.firmware.toolchain import CRYPTO, FIRMWARE, SANITIZE, Compiler, build_core, build_tables, run

from keyswitch.smp.groups import mode

CLANG = Compiler(name="clang, fuzzer", command=("clang", "-O1", *SANITIZE, "-fsanitize=fuzzer-no-link"))
FUZZ = Path(__file__).with_name("fuzz.c")


def seeds() -> Iterator[bytes]:
    """The known answers' requests, one after the other as in their session and each alone; records; permits."""
    known = json.loads(vectors.FILE.read_text("utf-8"))
    frames = [bytes.fromhex(each["request"]) for each in known["exchanges"]]
    framed = [*map(_framed, frames)]
    yield b"\1" + b"".join(framed)
    yield from (b"\1" + frame for frame in framed)
    yield from (b"\0" + bytes.fromhex(each["bytes"]) for each in known["records"])
    yield from (b"\2" + bytes.fromhex(each["permit"]) for each in known["permits"])
    policy, chance = odd_policies()[-1], Random(1)
    for _ in range(20):
        permit = permits.draw(policy, policy.device.id, chance)
        yield b"\x0a" + permits.issued(permit, chance)
        body = {"to": "other", "proof": "permit", "permit": permits.issued(permit, chance), "sig": b"\1" * 64}
        asked = vectors.request(mode.Id.CHALLENGE, {"to": "other"}, 0), vectors.request(mode.Id.ENTER, body, 1)
        yield b"\x09" + b"".join(map(_framed, asked))


def _framed(frame: bytes) -> bytes:
    return b"\0" + len(frame).to_bytes(2, "little") + b"\1" + frame


def fuzz(into: Path, *, seconds: int, inputs: int) -> int:
    """Fuzz for so long, or with so many inputs (0: as many as there is time for); how many were tried.

    Raises:
        BuildFailedError: it does not build, or an input was found that breaks it; its text is libFuzzer's report.
    """
    corpus = into / "corpus"
    corpus.mkdir(parents=True)
    for number, each in enumerate(seeds()):
        (corpus / str(number)).write_bytes(each)
    core = build_core(into / "core", CLANG)
    tables = build_tables(into, [vectors.policy(), *odd_policies()[-3:]], CLANG)
    options = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-I", FIRMWARE / "include", "-I", into / "core")
    built = into / "fuzz"
    command = (*CLANG.command[:-1], "-fsanitize=fuzzer")
    run((*command, *options, FUZZ, CRYPTO, *core, *tables, "-o", built))
    # The peak of memory that libFuzzer looks at is inherited from whoever starts it: it says nothing about the core.
    memory = ("-rss_limit_mb=0", "-malloc_limit_mb=64")
    ends = f"-runs={inputs}" if inputs else f"-max_total_time={seconds}"
    limits = (ends, "-max_len=2048", *memory, "-print_final_stats=1", "-seed=1")
    said = run((built, *limits, f"-artifact_prefix={into}/", corpus), with_errors=True)
    tried = re.search(r"number_of_executed_units: (\d+)", said)
    return int(tried.group(1)) if tried else 0
