"""How much flash, RAM and stack the firmware module takes on a Cortex-M4: `docs/footprint.md`, and its budgets.

The core is weighed by itself, and with the glue as a product has them: what nobody calls is left out by the linker. The
glue is compiled against the stub headers of `tests/firmware/zephyr`, so its numbers are as true as these are.

python -m tests.firmware.footprint        writes the page
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.firmware.glue import AGES, Age, prepare, sources_of
from tests.firmware.toolchain import CORE, FIRMWARE, REPOSITORY, WARNINGS, BuildFailedError, run

from keyswitch.export.tables import policy_c, policy_h
from keyswitch.policy.enums import Visibility
from keyswitch.policy.load import load, read_policy
from keyswitch.policy.model import Policy

PAGE: Final = REPOSITORY / "docs" / "footprint.md"
PUMP: Final = REPOSITORY / "examples" / "pump" / "policy.toml"
ARM: Final = ("arm-none-eabi-gcc", "-Os", "-mcpu=cortex-m4", "-mthumb", "-ffunction-sections", "-fdata-sections")
GOAL_FLASH: Final = 12_288
GOAL_RAM: Final = 1_024
"""Bytes, core, glue and tables of the pump's policy, besides buffers: what is aimed at."""
MAX_FLASH: Final = 14_060
MAX_RAM: Final = 780
MAX_GLUE_FLASH: Final = 12_030
MAX_GLUE_RAM: Final = 1_024
"""Bytes of core with tables, of the glue, and of both in RAM: what is not exceeded. Lower them with each step."""
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
    """Build the core for a Cortex-M4, and weigh; where the core is left out, the tables and what is kept.

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
    return Footprint(flash=flash, ram=ram, stack=_stack(graph, _CALLED) if core else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Core, tables and glue, without what nobody calls.

    Attributes:
        flash: bytes of code, constants and what variables begin with, by source file.
        state, buffers, zephyrs: bytes of each variable by source file and name: what is kept; room for bytes that pass
            through, and stacks; and structs of Zephyr's, which have another size in a real tree.
        stack: bytes of the deepest path of core and glue on each thread that they run on.
    """

    flash: dict[str, int]
    state: dict[tuple[str, str], int]
    buffers: dict[tuple[str, str], int]
    zephyrs: dict[tuple[str, str], int]
    stack: dict[str, int]

    def glue_flash(self) -> int:
        return sum(size for name, size in self.flash.items() if not name.startswith("ks_"))

    def core_flash(self) -> int:
        return sum(self.flash.values()) - self.glue_flash()


CENTRALS: Final = 4
ROOTS: Final = (
    *("ks_start", "ks_input_set", "ks_input_unknown", "ks_button", "ks_inhibited", "ks_confirm_self", "ks_mode"),
    "ks_gate_open",
)
"""What an application calls (`keyswitch.h`); what Zephyr calls is in sections that its linker keeps."""
BUFFERS: Final = {
    ("application.c", "stub_room_ks_notes"): "changes of inputs and button that wait",
    ("machine.c", "queue_stack"): "stack of the gate's own work queue",
    ("mode_service.c", "frame"): "the mode service's request at hand",
    ("mode_service.c", "inboxes"): "its requests that wait, of each central",
    ("mode_service.c", "outboxes"): "its answers on their way, of each central",
    ("gate.c", "text"): "a refusal's text until MCUmgr has sent it",
    ("record.c", "result"): "what was kept, as it was read, until the machine has booted",
    ("record.c", "session"): "a session record's bytes as they are read or written",
}
"""What each buffer is for."""
ZEPHYRS: Final = {
    *(("application.c", name) for name in ("ks_notes", "values_lock")),
    *(("gate.c", name) for name in ("command_hook", "sentinel")),
    ("image.c", "image_hook"),
    *(("machine.c", name) for name in ("lock", "look", "queue")),
    ("mode_group.c", "mode_group"),
    *(("mode_service.c", name) for name in ("__compound_literal", "inbox_lock")),
}


def _glue_of(policy: Policy, age: Age) -> list[Path]:
    """The glue's sources that such a build has: GATT authorization comes with one strategy alone."""
    authorizes = policy.gate.service is Visibility.AUTHORIZE
    return [path for path in sources_of(age) if authorizes or path.name != "authorize.c"]


def measure_product(
    policy: Policy, age: Age, into: Path, log_level: int = 0, *, without: tuple[str, ...] = ()
) -> Product:
    """Build the product's part of the firmware for a Cortex-M4, and weigh what the linker keeps of it.

    Raises:
        BuildFailedError: it does not build, or a buffer is named that is not there.
    """
    options = prepare(into, age, policy, CENTRALS)
    (into / "ks_policy.c").write_text(policy_c(policy, "/* weighed */"))
    objects: dict[str, Path] = {}
    left = tuple(f"-D{each}=0" for each in without)
    weighed = ("-std=gnu11", "-DSTUB_WEIGHED", f"-DSTUB_LOG_LEVEL={log_level}", *left)
    for source in (*CORE, into / "ks_policy.c", *_glue_of(policy, age)):
        objects[source.name] = into / f"{source.stem}.o"
        run((*ARM, *weighed, *options, "-fcallgraph-info=su", "-c", source, "-o", objects[source.name]))
    entries = re.findall(
        r" \.stub_entry\t\w+ (\w+)$", run(("arm-none-eabi-objdump", "-t", *objects.values())), re.MULTILINE
    )
    wanted = [f"--undefined={name}" for name in (*ROOTS, *entries)]
    link = ("arm-none-eabi-ld", "-r", "--gc-sections", "--print-gc-sections", *wanted, *objects.values())
    left_out = set(
        re.findall(r"unused section '([^']+)' in file '([^']+)'", run((*link, "-o", into / "all"), with_errors=True))
    )
    flash: dict[str, int] = {}
    ram: dict[tuple[str, str], int] = {}
    for name, built in objects.items():
        sections = re.findall(r"^(\.\S+) +(\d+) ", run(("arm-none-eabi-size", "-A", built)), re.MULTILINE)
        flash[name] = sum(
            int(size)
            for section, size in sections
            if re.match(r"\.(?:text|rodata|data|stub_entry)", section) and (section, str(built)) not in left_out
        )
        for section, size, symbol in re.findall(
            r"^\S+ .{7} (\.(?:bss|data)\S*)\t(\w+) (\w+)", run(("arm-none-eabi-objdump", "-t", built)), re.MULTILINE
        ):
            if int(size, 16) and (section, str(built)) not in left_out:
                ram[name, symbol] = ram.get((name, symbol), 0) + int(size, 16)
    if missing := (BUFFERS.keys() | ZEPHYRS) - ram.keys():
        raise BuildFailedError(f"variables of the glue that are named here are not there: {sorted(missing)}")
    return Product(
        flash=flash,
        state={each: size for each, size in ram.items() if each not in BUFFERS and each not in ZEPHYRS},
        buffers={each: size for each, size in ram.items() if each in BUFFERS},
        zephyrs={each: size for each, size in ram.items() if each in ZEPHYRS},
        stack=_stack("".join(each.with_suffix(".ci").read_text() for each in objects.values()), THREADS, _BY_POINTER),
    )


_CALLED: Final = (
    "ks_step",
    "ks_authorise",
    "ks_device_boot",
    "ks_device_fire",
    "ks_mode_group_frame",
    "ks_record_read",
)


THREADS: Final = {
    "look_around": "the gate's own queue (`CONFIG_KEYSWITCH_STACK_SIZE`, 2560)",
    "ks_gate": "MCUmgr's queue (`CONFIG_MCUMGR_TRANSPORT_WORKQUEUE_STACK_SIZE`, 4608)",
    "ks_start": "the thread that calls `ks_start()`",
    "disconnected": "Bluetooth's receiving thread",
}
"""Where core and glue run: the first function of theirs on each thread."""
_ACTS: Final = re.findall(
    r"^\t\[KS_\w+\] = (\w+),$", (FIRMWARE / "src/core/ks_gate.c").read_text("utf-8"), re.MULTILINE
)
_BY_POINTER: Final = {
    "ks_gate": re.findall(r", (ks_\w+)\},$", (FIRMWARE / "src/zephyr/gate.c").read_text("utf-8"), re.MULTILINE),
    "ks_image_upload": ["on_image"],
    "ks_mode_service_run": ["answer_link"],
    "ks_links_end_due": ["end"],
    "ks_links_peer_of_packet": ["compare"],
    "ks_record_load": ["found"],
    "ks_transport_drop_queued": ["mark"],
    "ks_transport_forget": ["is_of_another"],
    "ks_smp_service_find": ["take"],
}
"""What is called by way of a pointer, ours and what Zephyr calls back: the compiler's graph ends there."""


def _stack(graph: str, roots: Iterable[str], by_pointer: Mapping[str, Sequence[str]] | None = None) -> dict[str, int]:
    """The deepest path below each of these functions. There is no recursion, or this would not end.

    Raises:
        BuildFailedError: a function calls itself, or one that is named here is not there.
    """
    own = {name: int(size) for name, size in re.findall(r'node: \{ title: "([^"]+)" label: "[^"]*?(\d+) bytes', graph)}
    full = {name.rpartition(":")[2]: name for name in own}
    calls: dict[str, set[str]] = {}
    for source, target in re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', graph):
        calls.setdefault(source, set()).add(target)
    pointed = {"ks_step": _ACTS, **(by_pointer or {})}
    if missing := {*roots, *pointed, *(each for row in pointed.values() for each in row)} - full.keys():
        raise BuildFailedError(f"functions that are named here are not there: {sorted(missing)}")
    for source, targets in pointed.items():
        calls.setdefault(full[source], set()).update(full[each] for each in targets)
    known: dict[str, int] = {}

    def depth(name: str, above: tuple[str, ...]) -> int:
        if name in above:
            raise BuildFailedError(f"{name} calls itself")
        if name not in known:
            below = [depth(each, (*above, name)) for each in calls.get(name, ())]
            known[name] = own.get(name, 0) + max(below, default=0)
        return known[name]

    return {name: depth(full[name], ()) for name in roots}


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


def with_a_second_image() -> Policy:
    """The pump's policy with another image beside the first, of the same size."""
    text = PUMP.read_text("utf-8").replace("slot_size = 458752", "[[bootloader.images]]\n[[bootloader.images]]")
    return load(text.encode(), origin="pump with two images")


def _at_most(what: str, size: int, most: int) -> None:
    if size > most:
        raise BuildFailedError(f"{what} takes {size} bytes, and {most} at most are allowed")


_TEXTS: Final = """#include <stdio.h>
#include <keyswitch/ks_gate.h>
extern const struct ks_policy ks_policy;
int main(void)
{
	for (uint8_t why = 0; why <= KS_WHY_USED_UP; why++) {
		struct ks_refusal refusal = {.why = why};
		char text[KS_REFUSAL_TEXT];

		(void)ks_refusal_text(&ks_policy, &refusal, false, text, sizeof(text));
		puts(text);
	}
	return 0;
}
"""


def texts(into: Path) -> None:
    """A refusal without its text says what stands before the colon of the whole one.

    Raises:
        BuildFailedError: it does not, or does not build.
    """
    into.mkdir()
    policy = read_policy(PUMP)
    (into / "ks_policy.h").write_text(policy_h(policy, "/* by a test */"))
    (into / "ks_policy.c").write_text(policy_c(policy, "/* by a test */"))
    (into / "main.c").write_text(_TEXTS)
    refusals = next(source for source in CORE if source.name == "ks_refusal.c")
    told: list[list[str]] = []
    for has in (1, 0):
        sources = (into / "main.c", into / "ks_policy.c", refusals)
        include = ("-I", FIRMWARE / "include", "-I", into, f"-DKS_REFUSAL_TEXTS={has}")
        run(("gcc", *WARNINGS, *include, *sources, "-o", into / "texts"))
        told.append(run((into / "texts",)).splitlines())
    if [each.partition(":")[0] for each in told[0]] != told[1] or not all(told[1][1:]) or told[0] == told[1]:
        raise BuildFailedError(f"reasons without texts are others: {told}")


def check(found: Footprint, permits: Footprint, product: Product, permitting: Product) -> None:
    """Raises: BuildFailedError: more than the budget."""
    _at_most("flash of the core", found.flash_bytes, MAX_FLASH)
    _at_most("RAM of the core", found.ram_bytes, MAX_RAM)
    _at_most("flash of the glue", product.glue_flash(), MAX_GLUE_FLASH)
    _at_most("RAM of core and glue", sum(product.state.values()), MAX_GLUE_RAM)
    added = sum(permitting.flash.values()) - sum(product.flash.values())
    _at_most("flash of permits", max(added, permits.flash_bytes - found.flash_bytes), MAX_PERMIT_FLASH)
    added = sum(permitting.state.values()) - sum(product.state.values())
    _at_most("RAM of permits", max(added, permits.ram_bytes - found.ram_bytes), MAX_PERMIT_RAM)


def _missed(size: int, goal: int) -> str:
    return "not reached" if size > goal else "reached"


NEWEST, OLDEST = next(age for age in AGES if age.name == "main"), next(age for age in AGES if age.name == "3.4.99")
_LOGGED: Final = 3
"""Errors, warnings and what happens: Zephyr's default of `CONFIG_KEYSWITCH_LOG_LEVEL`."""


def _row(name: str, products: Iterable[Product]) -> str:
    """A source of the glue: flash, what it keeps, and its buffers, of each product that has it."""
    cells: list[str] = []
    for each in products:
        kept = sum(size for (source, _), size in each.state.items() if source == name)
        room = sum(size for (source, _), size in each.buffers.items() if source == name)
        cells += map(str, (each.flash[name], kept, room)) if name in each.flash else ("", "", "")
    return f"| `{name}` | {' | '.join(cells)} |"


def _product_lines(
    products: dict[Age, Product], logged: Product, terse: Product, permits: Product, images: Product
) -> list[str]:
    """What a product has: totals, then a row for each source of the glue and each buffer."""
    newest = products[NEWEST]
    flash, state = sum(newest.flash.values()), sum(newest.state.values())
    sources = {name for each in products.values() for name in each.flash if not name.startswith("ks_")}
    totals = [
        str(total)
        for each in products.values()
        for total in (each.glue_flash(), sum(each.state.values()), sum(each.buffers.values()))
    ]
    columns = [f"Zephyr {age.name}: flash | state | buffers" for age in products]
    shortened = sorted({name for _, name in newest.zephyrs if not name.startswith("__")})
    return [
        f"**Core, glue and tables: {flash} bytes of flash** (goal: {GOAL_FLASH}, {_missed(flash, GOAL_FLASH)}) and",
        f"**{state} bytes of RAM besides buffers** (goal: {GOAL_RAM}, {_missed(state, GOAL_RAM)}). Of the flash",
        f"{newest.core_flash()} bytes are the core with its tables, and {newest.glue_flash()} the glue.",
        "",
        "## Core, glue and tables as a product has them",
        "",
        "The glue is compiled against the stub headers of `tests/firmware/zephyr`, as the exported `ks.conf` of the",
        "newest and of the oldest release configures it, and linked without what nobody calls: this is what its own",
        "text becomes. A real tree differs where Zephyr's headers bring code with them: locks of interrupts and",
        "conversions of time are calls here; atomic operations are the compiler's own in both. Nothing of Zephyr,",
        f"MCUmgr, MCUboot or cryptography is in it. `CONFIG_LOG` is off; messages up to level {_LOGGED} add",
        f"{sum(logged.flash.values()) - flash} bytes, as plain calls with plain texts.",
        "",
        "With `CONFIG_KEYSWITCH_REFUSAL_TEXTS=n` (refusals say their reason alone) it is",
        f"{sum(terse.flash.values())} bytes of flash. Permits add to core and glue together",
        f"{sum(permits.flash.values()) - flash} bytes of flash (goal: {MAX_PERMIT_FLASH}) and",
        f"{sum(permits.state.values()) - state} bytes of RAM (goal: {MAX_PERMIT_RAM}). A second image adds",
        f"{sum(images.flash.values()) - flash} bytes of flash and {sum(images.state.values()) - state} bytes of RAM;",
        f"the deepest path on MCUmgr's queue is then {images.stack['ks_gate']} bytes.",
        "",
        "Bytes of flash, of RAM that keeps something, and of buffers. What the core keeps is in `machine.c`. A hash",
        "under way is in `image.c`, with the cryptography's own struct: 160 bytes here, as the stub of PSA has it; a",
        "driver of hardware can take more (736 with CRACEN's), and the total grows by that.",
        "",
        f"| Source of the glue | {' | '.join(columns)} |",
        "|---|" + "---|" * (3 * len(products)),
        *(_row(name, products.values()) for name in sorted(sources)),
        f"| **all** | {' | '.join(totals)} |",
        "",
        "| Buffer | Bytes | |",
        "|---|---|---|",
        *(
            f"| `{name}` in `{source}` | {size} | {BUFFERS[source, name]} |"
            for (source, name), size in newest.buffers.items()
        ),
        "",
        "| Stack of | Bytes |",
        "|---|---|",
        *(f"| {THREADS[name]} | {size} |" for name, size in newest.stack.items()),
        "",
        "The deepest path of core and glue, from the compiler's own call graph. A step's effects lie on it while they",
        "are carried out. What Zephyr, settings, flash and cryptography take below comes on top.",
        "",
        "Four centrals at once, and otherwise the defaults of `firmware/Kconfig`. Not counted are Zephyr's structs,",
        "which the stubs shorten: the attributes of the mode service, and",
        f"{', '.join(f'`{name}`' for name in shortened)}.",
    ]


def page() -> str:
    """The page, from what is measured now.

    Raises:
        BuildFailedError: it does not build, or is more than the budget.
    """
    with TemporaryDirectory(prefix="keyswitch-footprint-") as name:
        pump = read_policy(PUMP)
        found = measure(pump, Path(name))
        permits = measure(with_permits(), Path(name))
        compiler = run((ARM[0], "-dumpversion")).strip()
        sized = {
            (modes, rules): measure(of_size(modes, rules), Path(name), core=())
            for modes, rules in ((2, 2), (4, 8), (8, 16), (16, 64), (31, 128))
        }
        products = {age: measure_product(pump, age, Path(name) / age.name) for age in (NEWEST, OLDEST)}
        logged = measure_product(pump, NEWEST, Path(name) / "logged", _LOGGED)
        terse = measure_product(pump, NEWEST, Path(name) / "terse", without=("KS_REFUSAL_TEXTS",))
        permitting = measure_product(with_permits(), NEWEST, Path(name) / "permits")
        imaged = measure_product(with_a_second_image(), NEWEST, Path(name) / "images")
        texts(Path(name) / "texts")
    check(found, permits, products[NEWEST], permitting)
    lines = [
        "# Footprint of the firmware module",
        "",
        f"Measured by `make test-firmware` with arm-none-eabi-gcc {compiler}, `{' '.join(ARM[1:4])}`, for the policy",
        "`examples/pump/policy.toml`, four centrals at once, without the C library's `memchr`, `memcmp`, `memcpy`,",
        "`memset`, `memmove` and `strlen`.",
        "",
        *_product_lines(products, logged, terse, permitting, imaged),
        "",
        "## The core by itself",
        "",
        f"The portable core with its tables: {found.flash_bytes} bytes of flash and {found.ram_bytes} bytes of RAM.",
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
