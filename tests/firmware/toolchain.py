"""Builds the portable core with the harness, for any compiler: each policy's exported tables beside each other."""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from keyswitch.export.room import most_effects
from keyswitch.export.tables import policy_c, policy_h
from keyswitch.policy.model import Policy
from keyswitch.proof.permit import public_key

REPOSITORY = Path(__file__).resolve().parents[2]
FIRMWARE = REPOSITORY / "firmware"
CORE = sorted((FIRMWARE / "src" / "core").glob("*.c"))
HARNESS = Path(__file__).with_name("harness.c")
CRYPTO = Path(__file__).with_name("crypto.c")

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror")
_ROOM = "#define KS_MAX_IMAGES 8\n#define KS_MAX_CONNECTIONS 32\n"
"""Beside what a policy needs: for what the tests tell."""
MAX_NONCES = 34
"""`KS_MAX_NONCES` of that: connections, and two."""
_ROOMY = (
    "/* Room for every policy that the tests compare. */\n#include <keyswitch/ks_abi.h>\n"
    "#define KS_POLICY_INPUTS 8\n#define KS_POLICY_EFFECTS 1024\n" + _ROOM
)


def examples() -> list[Path]:
    """Every policy that the repository shows."""
    return [path for path in sorted((REPOSITORY / "examples").glob("*/*.toml")) if path.name != "pyproject.toml"]


ISSUER_KEYS = (bytes(range(32)), bytes([0x52]) * 32)
"""Private keys of whoever may issue permits to the tests' devices; the first one is that of the known answers."""
ISSUERS = tuple(map(public_key, ISSUER_KEYS))


def _bytes(data: bytes) -> str:
    return "{" + ", ".join(map(str, data)) + "}"


class BuildFailedError(Exception):
    """What the compiler said."""


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """One way to build.

    Attributes:
        name: for people.
        command: with its options.
        data: compilers whose tables, which are constants alone, can stand in for each other say the same here.
    """

    name: str
    command: tuple[str, ...]
    data: str = "64-bit"


SANITIZE = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
GCC = Compiler(name="gcc", command=("gcc", "-O1"))
OWN = Compiler(name="gcc, without what the policy does not use", command=("gcc", "-O0"))
LOOKED_AT = Compiler(name="gcc, under valgrind", command=("gcc", "-g", "-O1", "-DTEST_VALGRIND"))
LIBRARY = Compiler(name="gcc, library", command=("gcc", "-O1", "-fPIC"))
ALL = (
    GCC,
    Compiler(name="clang", command=("clang", "-O2")),
    Compiler(name="gcc -m32", command=("gcc", "-m32", "-Os"), data="32-bit"),
    Compiler(
        name="clang, address and undefined behaviour sanitizers",
        command=("clang", "-O1", *SANITIZE),
        data="guarded",  # against reads beyond them
    ),
    Compiler(
        name="clang, memory sanitizer", command=("clang", "-O1", "-fsanitize=memory", "-fno-sanitize-recover=all")
    ),
)


def run(
    command: Sequence[str | Path],
    *,
    with_errors: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """What it printed; on request, what it said beside it too.

    Args:
        command: program and arguments.
        with_errors: its standard error as well.
        env: variables in addition to this process's.
        cwd: where it runs.

    Raises:
        BuildFailedError: it failed.
    """
    done = subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    if done.returncode:
        shown = " ".join(str(each) for each in command[:6])
        raise BuildFailedError(f"{shown} …: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + (done.stderr if with_errors else "")


def build_core(
    into: Path, compiler: Compiler, *, core: Sequence[Path] = CORE, policy: Policy | None = None
) -> list[Path]:
    """The core's objects, with room for any policy; or without what this policy does not use, as a product has it.

    The harness is built beside them.
    """
    into.mkdir(parents=True, exist_ok=True)
    (into / "ks_policy.h").write_text(_ROOMY if policy is None else _ROOMY + used(policy))
    for source in (HARNESS, CRYPTO):
        include = ("-I", FIRMWARE / "include", "-I", core[0].parent, "-I", into)
        strict = ("-std=c99", "-Wall", "-Wextra", "-Werror")
        run((*compiler.command, *strict, *include, "-c", source, "-o", into / f"{source.stem}.o"))
    objects = []
    for source in core:
        built = into / f"{source.stem}.o"
        include = ("-I", FIRMWARE / "include", "-I", source.parent, "-I", into)
        run((*compiler.command, *WARNINGS, *include, "-c", source, "-o", built))
        objects.append(built)
    return objects


def own_core(shared: Path, policy: Policy) -> list[Path]:
    """The core without what this policy does not use, by `OWN`: built once for all that use the same."""
    built = built_once(shared, "own", used(policy), lambda into: build_core(into, OWN, policy=policy))
    return [built / f"{source.stem}.o" for source in CORE]


def built_once(shared: Path, name: str, of: str, build: Callable[[Path], object]) -> Path:
    """A directory in `shared` for everybody who needs what is made of the text `of`; `build` makes it and fills it."""
    built = shared / f"{name}-{hashlib.sha256(of.encode()).hexdigest()[:16]}"
    if not built.exists():
        building = shared / f"{built.name}-{os.getpid()}"
        build(building)
        with suppress(OSError):  # another process was faster
            building.rename(built)
    return built


def used(policy: Policy) -> str:
    """What the generated header says of the rules that this policy has: two that say the same have one core."""
    lines = policy_h(policy, "").splitlines(keepends=True)
    return "".join(
        line for line in lines if re.match(r"#define KS_(?:HAS_\w+|POLICY_(?:SERVICE|CONFIRM|FLAGS|PAIRS)) ", line)
    )


def _harness(core: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(core[0].parent / f"{source.stem}.o" for source in (HARNESS, CRYPTO))


def build_tables(into: Path, policies: Sequence[Policy], compiler: Compiler) -> list[Path]:
    """The exported tables of each policy, and the list of them that the harness looks into."""
    objects, names = [], []
    for number, policy in enumerate(policies):
        place = into / f"policy-{number}"
        place.mkdir(parents=True, exist_ok=True)
        name = f"ks_policy_{number}"
        (place / "ks_policy.h").write_text(policy_h(policy, "/* by a test */"))
        (place / "ks_policy.c").write_text(policy_c(policy, "/* by a test */"))
        built = place / "ks_policy.o"
        options = ("-I", FIRMWARE / "include", "-I", place, f"-Dks_policy={name}")
        run((*compiler.command, *WARNINGS, *options, "-c", place / "ks_policy.c", "-o", built))
        objects.append(built)
        names.append(name)
    listed = into / "policies.c"
    listed.write_text(
        "#include <stddef.h>\n#include <keyswitch/ks_tables.h>\n"
        + "".join(f"extern const struct ks_policy {name};\n" for name in names)
        + "extern const struct ks_policy *const TEST_POLICIES[];\nextern const size_t TEST_POLICY_COUNT;\n"
        + f"const struct ks_policy *const TEST_POLICIES[] = {{{', '.join(f'&{name}' for name in names)}}};\n"
        + f"const size_t TEST_POLICY_COUNT = {len(names)};\n"
        + "extern const unsigned TEST_POLICY_EFFECTS[];\n"
        + f"const unsigned TEST_POLICY_EFFECTS[] = {{{', '.join(str(most_effects(each)) for each in policies)}}};\n"
        + "extern const uint8_t TEST_ISSUERS[][32];\n"
        + f"const uint8_t TEST_ISSUERS[][32] = {{{', '.join(map(_bytes, ISSUERS))}}};\n"
    )
    built = into / "policies.o"
    run((*compiler.command, *WARNINGS, "-I", FIRMWARE / "include", "-c", listed, "-o", built))
    return [*objects, built]


def link_harness(into: Path, core: Sequence[Path], tables: Sequence[Path], compiler: Compiler) -> Path:
    """The harness from objects that are there."""
    built = into / "harness"
    run((*compiler.command, *_harness(core), *core, *tables, "-o", built))
    return built


def build_library(into: Path, policy: Policy, core: Sequence[Path]) -> Path:
    """The core with this policy's tables and the harness, to be loaded into a process; `core` is built by `LIBRARY`."""
    built = into / "harness.so"
    objects = (*_harness(core), *core, *build_tables(into, [policy], LIBRARY))
    run((*LIBRARY.command, "-shared", *objects, "-o", built))
    return built


VALGRIND = ("valgrind", "--quiet", "--error-exitcode=9")


def ask(harness: Path, questions: bytes, under: Sequence[str] = ()) -> bytes:
    """The core's answers, under some other program if there is one to look on.

    Raises:
        BuildFailedError: the harness died, for example of a sanitizer's finding.
    """
    asked, told = harness.with_suffix(".questions"), harness.with_suffix(".answers")
    asked.write_bytes(questions)
    run((*under, harness, asked, told))
    return told.read_bytes()
