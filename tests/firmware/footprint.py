"""How much flash, RAM and stack the core takes on a Cortex-M4: `docs/footprint.md`, and the budgets that it keeps.

python -m tests.firmware.footprint        writes the page
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.firmware.toolchain import CORE, FIRMWARE, REPOSITORY, WARNINGS, BuildFailedError, run

from keyswitch.export.tables import policy_c, policy_h
from keyswitch.policy.load import load, read_policy
from keyswitch.policy.model import Policy

PAGE: Final = REPOSITORY / "docs" / "footprint.md"
PUMP: Final = REPOSITORY / "examples" / "pump" / "policy.toml"
ARM: Final = ("arm-none-eabi-gcc", "-Os", "-mcpu=cortex-m4", "-mthumb", "-ffunction-sections", "-fdata-sections")
GOAL_FLASH: Final = 12_288
GOAL_RAM: Final = 1_024
"""Bytes, core and tables of the pump's policy, besides buffers: what is aimed at."""
MAX_FLASH: Final = 14_400
MAX_RAM: Final = GOAL_RAM
"""Bytes: what is not exceeded. Lower it with each step towards the goal."""
MAX_PERMIT_FLASH: Final = 5_120
MAX_PERMIT_RAM: Final = 256
"""Bytes that permits add."""
_SIZES: Final = ("ks_device", "ks_state", "ks_nonces", "ks_step")
_PROBE: Final = "".join(f"const unsigned char size_of_{name}[sizeof(struct {name})] = {{1}};\n" for name in _SIZES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What one policy takes.

    Attributes:
        flash: bytes of code and constants, by source file; the tables among them.
        ram: bytes of each struct that is kept.
        stack: bytes of the deepest call of a function that a product calls, without what it calls of the product's own.
    """

    flash: dict[str, int]
    ram: dict[str, int]
    stack: dict[str, int]

    @property
    def flash_bytes(self) -> int:
        return sum(self.flash.values())

    @property
    def ram_bytes(self) -> int:
        """The device with what it remembers, and one step's effects."""
        return self.ram["ks_device"] + self.ram["ks_step"]


def measure(policy: Policy, into: Path, core: Sequence[Path] = CORE) -> Footprint:
    """Build for a Cortex-M4, and weigh; where the core is left out, the tables and what is kept.

    Raises:
        BuildFailedError: it does not build, or something is kept in RAM that no struct holds.
    """
    (into / "ks_policy.h").write_text(policy_h(policy, "/* weighed */"))
    (into / "ks_policy.c").write_text(policy_c(policy, "/* weighed */"))
    (into / "probe.c").write_text("#include <keyswitch/ks_device.h>\n" + _PROBE)
    flash: dict[str, int] = {}
    graph = ""
    for source in (*core, into / "ks_policy.c", into / "probe.c"):
        built = into / f"{source.stem}.o"
        include = ("-I", FIRMWARE / "include", "-I", source.parent, "-I", into)
        run((*ARM, *WARNINGS, "-fcallgraph-info=su", *include, "-c", source, "-o", built))
        text, data, bss = (int(each) for each in run(("arm-none-eabi-size", built)).splitlines()[1].split()[:3])
        if data or bss:
            raise BuildFailedError(f"{source.name} keeps {data + bss} bytes in RAM of its own")
        if source.stem != "probe":
            flash[source.name] = text
        graph += built.with_suffix(".ci").read_text()
    sizes = run(("arm-none-eabi-nm", "-S", into / "probe.o"))
    ram = {name: int(size, 16) for size, name in re.findall(r"^\w+ (\w+) \w size_of_(\w+)$", sizes, re.MULTILINE)}
    return Footprint(flash=flash, ram=ram, stack=_stack(graph))


_CALLED: Final = (
    "ks_step",
    "ks_authorise",
    "ks_device_boot",
    "ks_device_fire",
    "ks_mode_group_frame",
    "ks_record_read",
)


def _stack(graph: str) -> dict[str, int]:
    """The deepest path below each function that products call. The core has no recursion, or this would not end."""
    own = {name: int(size) for name, size in re.findall(r'node: \{ title: "([^"]+)" label: "[^"]*?(\d+) bytes', graph)}
    calls: dict[str, set[str]] = {}
    for source, target in re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', graph):
        calls.setdefault(source, set()).add(target)
    known: dict[str, int] = {}

    def depth(name: str, above: tuple[str, ...]) -> int:
        if name in above:
            raise BuildFailedError(f"{name} calls itself")
        if name not in known:
            below = [depth(each, (*above, name)) for each in calls.get(name, ())]
            known[name] = own.get(name, 0) + max(below, default=0)
        return known[name]

    return {name: depth(name, ()) for name in _CALLED}


def of_size(modes: int, rules: int) -> Policy:
    """A policy with so many modes beside maintenance, and so many transitions among them, each with a guard."""
    names = [f"m{each}" for each in range(modes)]
    text = 'schema = 1\n[device]\nname = "D"\ninitial_mode = "m0"\n[inputs]\ni = { type = "int" }\n'
    text += "".join(f'[modes.{name}]\nallow = ["mode", "os.echo"]\n' for name in names)
    text += '[modes.maintenance]\nmaintenance = true\nallow = ["os", "image", "mode"]\nlease_s = 60\n'
    text += '[entry.challenge]\nsecret = "s"\n[[transitions]]\nfrom = ["m0"]\nto = "maintenance"\non = "enter"\n'
    text += 'proofs = ["challenge"]\n'
    for each in range(rules):
        source, target = names[each % modes], names[(each + 1) % modes]
        text += f'[[transitions]]\nfrom = ["{source}"]\nto = "{target}"\non = "button"\nhold_s = {each + 1}\n'
        text += f'when = ["i == {each}"]\n'
    return load(text.encode(), origin="sized")


def with_permits() -> Policy:
    """The pump's policy, where permits open maintenance as well."""
    text = PUMP.read_text("utf-8").replace('proofs = ["challenge"]', 'proofs = ["challenge", "permit"]')
    text = text.replace("[entry.challenge]", '[entry.permit]\nissuers = ["issuer.pem"]\n[entry.challenge]')
    return load(text.encode(), origin="pump with permits")


def check(found: Footprint, permits: Footprint) -> None:
    """Raises: BuildFailedError: more than the budget."""
    flash, ram = permits.flash_bytes - found.flash_bytes, permits.ram_bytes - found.ram_bytes
    if flash > MAX_PERMIT_FLASH or ram > MAX_PERMIT_RAM:
        over = f"{flash} bytes of flash (at most {MAX_PERMIT_FLASH}), {ram} of RAM (at most {MAX_PERMIT_RAM})"
        raise BuildFailedError(f"permits are too large: {over}")
    if found.flash_bytes > MAX_FLASH or found.ram_bytes > MAX_RAM:
        over = f"{found.flash_bytes} bytes of flash (at most {MAX_FLASH}), {found.ram_bytes} of RAM (at most {MAX_RAM})"
        raise BuildFailedError(f"the core is too large: {over}")


def _missed(size: int, goal: int) -> str:
    return ", not reached" if size > goal else ""


def page() -> str:
    """The page, from what is measured now.

    Raises:
        BuildFailedError: it does not build, or is more than the budget.
    """
    with TemporaryDirectory(prefix="keyswitch-footprint-") as name:
        found = measure(read_policy(PUMP), Path(name))
        permits = measure(with_permits(), Path(name))
        compiler = run((ARM[0], "-dumpversion")).strip()
        sized = {
            (modes, rules): measure(of_size(modes, rules), Path(name), core=())
            for modes, rules in ((2, 2), (4, 8), (8, 16), (16, 64), (31, 128))
        }
    check(found, permits)
    lines = [
        "# Footprint of the core",
        "",
        f"Measured by `make test-firmware` with arm-none-eabi-gcc {compiler}, `{' '.join(ARM[1:4])}`, for the policy",
        "`examples/pump/policy.toml`, four centrals at once. This is the portable core with its tables: no glue, no",
        "cryptography, no buffers of SMP, and without the C library's `memchr`, `memcmp`, `memcpy`, `memset`,",
        "`memmove` and `strlen`.",
        "",
        f"**{found.flash_bytes} bytes of flash** (goal: {GOAL_FLASH}{_missed(found.flash_bytes, GOAL_FLASH)}) and",
        f"**{found.ram_bytes} bytes of RAM** (goal: {GOAL_RAM}{_missed(found.ram_bytes, GOAL_RAM)}).",
        "",
        f"Permits add {permits.flash_bytes - found.flash_bytes} bytes of flash (goal: {MAX_PERMIT_FLASH}) and",
        f"{permits.ram_bytes - found.ram_bytes} bytes of RAM (goal: {MAX_PERMIT_RAM}); what checks their signatures is",
        "the product's.",
        "",
        "| Source | Flash, bytes |",
        "|---|---|",
        *(f"| `{name}` | {size} |" for name, size in sorted(found.flash.items())),
        "",
        "| Kept in RAM | Bytes |",
        "|---|---|",
        f"| `struct ks_device`: the gate with what it remembers | {found.ram['ks_device']} |",
        f"| of these `struct ks_state`: the machine | {found.ram['ks_state']} |",
        f"| of these `struct ks_nonces` | {found.ram['ks_nonces']} |",
        f"| `struct ks_step`: the effects of one step; static, or on the caller's stack | {found.ram['ks_step']} |",
        "",
        "| Called by the product | Stack, bytes |",
        "|---|---|",
        *(f"| `{name}()` | {size} |" for name, size in found.stack.items()),
        "",
        "The deepest path below each, from the compiler's own call graph; what `ks_hmac_sha256_verify()` and",
        "`ks_random()` of a product take comes on top.",
        "",
        "| Modes | Transitions | Tables, bytes of flash | RAM, bytes |",
        "|---|---|---|---|",
        *(
            f"| {modes + 1} | {rules + 1} | {each.flash['ks_policy.c']} | {each.ram_bytes} |"
            for (modes, rules), each in sized.items()
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
