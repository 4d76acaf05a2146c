"""The glue to Zephyr against stub headers of four ages of its interfaces, and its traps on a fake kernel.

The stubs' CONFIG_ symbols are those that the exporter writes for that release: what `ks.conf` forgets does not build.
"""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests.firmware.toolchain import CORE, FIRMWARE, SANITIZE, BuildFailedError, Compiler, built_once, run

from keyswitch.export.limits import longest_list
from keyswitch.export.settings import REGISTRATION, RELEASES, settings_of
from keyswitch.export.tables import policy_c, policy_h
from keyswitch.policy.enums import Visibility
from keyswitch.policy.load import load
from keyswitch.policy.model import Policy

CENTRALS: Final = 2
"""At once, of the device whose traps these are."""
HERE: Final = Path(__file__).with_name("zephyr")
GLUE: Final = sorted((FIRMWARE / "src" / "zephyr").glob("*.c"))
FAKES: Final = [*sorted((HERE / "fake").glob("*.c")), *sorted(HERE.glob("*.c"))]
WARNINGS: Final = ("-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Werror")


@dataclass(frozen=True, kw_only=True)
class Age:
    """One age of Zephyr's interfaces.

    Attributes:
        name: of the stubs' directory.
        release: whose ks.conf it is built with.
        authorizes: it has GATT authorization.
        newer: from 3.7 on: a handler can have data of its own, which a copy of it must not lose; a group can write its
            whole answer itself; the SMP service comes and goes by a symbol of its own.
        without: sources of the glue that this age does not build.
        images: Kconfig symbols of how images lie in flash and what they are known by, beside the usual.
        pairs: of the policy, whether each image after the first is only copied.
        early: the policy arms at once.
        permits: the build takes permits.
        lacks: what the build has not, of what the glue asks for; of a number of images: another one.
    """

    name: str
    release: str
    authorizes: bool
    newer: bool = True
    without: frozenset[str]
    images: tuple[str, ...] = ()
    pairs: tuple[bool, ...] = ()
    early: bool = False
    permits: bool = False
    lacks: frozenset[str] = frozenset()


AGES: Final = (
    Age(
        name="3.4.99", release="3.7", authorizes=False, newer=False, without=frozenset({"authorize.c", "crypto_psa.c"})
    ),
    Age(name="3.7", release="3.7", authorizes=True, without=frozenset({"crypto_tinycrypt.c"})),
    Age(name="4.1", release="4.1", authorizes=True, without=frozenset({"crypto_tinycrypt.c"})),
    Age(name="main", release="main", authorizes=True, without=frozenset({"crypto_tinycrypt.c"})),
)
_OLDEST, _NCS_2_9, NEWEST_NCS, _MAIN = AGES
_SHA512, _OFFSET = "MCUBOOT_BOOTLOADER_USES_SHA512", "MCUBOOT_BOOTLOADER_MODE_SWAP_USING_OFFSET"
BY_SHA512: Final = replace(_NCS_2_9, images=(_SHA512,))
BY_OFFSET: Final = replace(NEWEST_NCS, images=(_OFFSET,))
OTHER_IMAGES: Final = (BY_SHA512, BY_OFFSET, replace(_MAIN, images=(_SHA512, _OFFSET)))
"""Builds whose images are known by another hash, or lie elsewhere in their slots."""
TWO_SWAPPED: Final = replace(NEWEST_NCS, pairs=(False,))
NETWORK_CORE: Final = replace(NEWEST_NCS, pairs=(True,))
"""As an nRF5340: the application is swapped, and what the network core runs cannot be read."""
EARLY: Final = replace(_MAIN, pairs=(False, True), early=True)
SEVERAL_IMAGES: Final = (
    TWO_SWAPPED,
    NETWORK_CORE,
    replace(_OLDEST, pairs=(True,)),
    replace(_MAIN, pairs=(False, False), images=(_SHA512, _OFFSET)),
    EARLY,
)
"""Builds of two or three images."""
_PROOFS: Final = ("PSA_WANT_ALG_HMAC", "PSA_WANT_KEY_TYPE_HMAC", "PSA_WANT_ALG_SHA_256")  # implied by Kconfig
_PERMITS: Final = ("PSA_WANT_ALG_PURE_EDDSA",)
_MCUMGRS, _MCUBOOTS = "MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER", "UPDATEABLE_IMAGE_NUMBER"
NOT_BUILT: Final = (
    (replace(_OLDEST, images=(_SHA512,)), "TinyCrypt has no SHA-512"),
    *((replace(NEWEST_NCS, lacks=frozenset({each})), "without HMAC or SHA-256") for each in _PROOFS),
    (replace(NEWEST_NCS, permits=True, lacks=frozenset(_PERMITS)), "permits need Ed25519"),
    *(
        (replace(NEWEST_NCS, images=(f"MCUBOOT_BOOTLOADER_MODE_{mode}",)), "does not arm images for this mode")
        for mode in ("DIRECT_XIP", "DIRECT_XIP_WITH_REVERT", "RAM_LOAD")
    ),
    (replace(NETWORK_CORE, lacks=frozenset({_MCUMGRS})), "UPDATABLE_IMAGE_NUMBER to be the number of images"),
    (replace(NETWORK_CORE, lacks=frozenset({_MCUBOOTS})), "needs CONFIG_UPDATEABLE_IMAGE_NUMBER"),
    (replace(NETWORK_CORE, lacks=frozenset({"MCUMGR_GRP_IMG_ALLOW_ERASE_PENDING"})), "takes no upload"),
    (replace(NETWORK_CORE, images=(_OFFSET,)), "does not know where an image that is copied lies"),
    (replace(TWO_SWAPPED, pairs=(False, False, False)), "three images at most"),
)
"""Builds that have to stop, and what they have to say."""

_OF_OURS: Final = {  # firmware/Kconfig: what stands there as the default
    "KEYSWITCH_LOG_LEVEL": 3,
    "KEYSWITCH_MAX_GROUPS": 6,
    "KEYSWITCH_MAX_COMMANDS": 12,
    "KEYSWITCH_STACK_SIZE": 2560,
    "KEYSWITCH_THREAD_PRIO": 2,
    "KEYSWITCH_FRAME_SIZE": 256,
    "KEYSWITCH_INPUT_EVENTS": 16,
    "KEYSWITCH_ADVERTISE": 1,
    "KEYSWITCH_PSA_KEY_ID": 0,
    "KEYSWITCH_GATT_AUTHORIZATION_OWNER_MODULE": 1,
}
_OF_ZEPHYR: Final = {  # what a build with these groups has besides
    "MCUMGR_GRP_OS": 1,
    "MCUMGR_GRP_IMG": 1,
    "UPDATEABLE_IMAGE_NUMBER": 1,
    "MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER": 1,
    "MCUMGR_SMP_CBOR_MAX_DECODING_LEVELS": 5,
    "MCUMGR_SMP_CBOR_MAX_ENCODING_LEVELS": 5,
    "MCUMGR_SMP_SUPPORT_ORIGINAL_PROTOCOL": 1,
    "MCUMGR_TRANSPORT_REASSEMBLY": 1,
    "BT_PERIPHERAL": 1,
    "BT_SMP": 1,
    "BT_GATT_DYNAMIC_DB": 1,
    "CSPRNG_ENABLED": 1,
}


def policy_of(service: Visibility, age: Age) -> Policy:
    """The policy of the traps under one strategy; with several images, buffers that just hold their longest list."""
    text = (HERE / "traps.toml").read_text("utf-8") + f'\n[gate]\nservice = "{service.value}"\n'
    if age.pairs:
        size = longest_list(len(age.pairs) + 1, 64 if _SHA512 in age.images else 32)
        text = text.replace("[smp]\n", f"[smp]\nbuf_size = {size}\n")
        text += "[bootloader]\n[[bootloader.images]]\n"
        text += "".join(f"[[bootloader.images]]\ncopied = {str(each).lower()}\n" for each in age.pairs)
    if age.early:
        text = text.replace("[update]\n", '[update]\narm = "early"\n')
    return load(text.encode(), origin="traps.toml")


def _trapped(age: Age) -> tuple[Policy, ...]:
    """The traps' policies whose settings together serve every strategy: one of them with the table that can change."""
    services = (Visibility.RECONNECT, Visibility.AUTHORIZE) if age.authorizes else (Visibility.RECONNECT,)
    return tuple(policy_of(each, age) for each in services)


def configuration(age: Age, policies: Sequence[Policy], centrals: int, *, fixed: bool = False) -> str:
    """What Kconfig would have made of the exporter's ks.conf for them together; fixed: the table never changes."""
    symbols: dict[str, int] = {**_OF_OURS, **_OF_ZEPHYR, "KEYSWITCH_MAX_CONNECTIONS": centrals, "BT_MAX_CONN": centrals}
    for policy in policies:
        for each in settings_of(policy, RELEASES[age.release]):
            if each.value != "n":
                symbols[each.symbol] = 1 if each.value == "y" else int(each.value)
    if age.newer:
        symbols["MCUMGR_MGMT_HANDLER_USER_DATA"] = 1
        symbols["MCUMGR_MGMT_CUSTOM_PAYLOAD"] = 1
    if fixed or not age.newer:
        symbols.pop(REGISTRATION, None)
    if fixed:
        symbols.pop("BT_GATT_DYNAMIC_DB", None)
    if "crypto_psa.c" in age.without:
        symbols["KEYSWITCH_CRYPTO_TINYCRYPT"] = 1
    else:
        symbols["KEYSWITCH_CRYPTO_PSA"] = 1
        symbols.update(dict.fromkeys({*_PROOFS, *_PERMITS} - age.lacks, 1))
    if age.permits:
        symbols["KEYSWITCH_PERMIT"] = 1
    symbols.update(dict.fromkeys(age.images, 1))
    for symbol in age.lacks & symbols.keys():
        del symbols[symbol]
        symbols |= {symbol: 1} if symbol in {_MCUMGRS, _MCUBOOTS} else {}
    has_symbol = int(age.newer)
    lines = [f"#define CONFIG_{symbol} {value}" for symbol, value in sorted(symbols.items())]
    lines += [f"#define KS_MAX_CONNECTIONS {centrals}", f"#define KS_HAS_REGISTRATION_SYMBOL {has_symbol}", ""]
    return "\n".join(lines)


def _of_any_service(policy: Policy) -> str:
    """The policy's header without the one line by which strategies differ: the core then asks the tables."""
    text = policy_h(policy, "/* by a test */")
    without = re.sub(r"^#define KS_POLICY_SERVICE .*\n", "", text, flags=re.MULTILINE)
    if without == text:
        raise BuildFailedError("ks_policy.h no longer says which strategy it is for")
    return without


def sources_of(age: Age) -> list[Path]:
    """The glue's sources that this age builds."""
    return [path for path in GLUE if path.name not in age.without]


def prepare(into: Path, age: Age, policy: Policy, centrals: int) -> tuple[str | Path, ...]:
    """What a product's build of this policy would find there; the compiler's options to find it."""
    into.mkdir(parents=True, exist_ok=True)
    (into / "autoconf.h").write_text(configuration(age, [policy], centrals))
    (into / "ks_policy.h").write_text(policy_h(policy, "/* by a test */"))
    return _options(into, age)


def _prepare(into: Path, age: Age, *, fixed: bool = False) -> tuple[str | Path, ...]:
    into.mkdir(parents=True, exist_ok=True)
    (into / "autoconf.h").write_text(configuration(age, _trapped(age), centrals=CENTRALS, fixed=fixed))
    (into / "ks_policy.h").write_text(_of_any_service(policy_of(Visibility.ALWAYS, age)))
    return _options(into, age)


def _options(into: Path, age: Age) -> tuple[str | Path, ...]:
    stubs = HERE / "stubs"
    before = ("-include", stubs / age.name / "stub_age.h", "-include", into / "autoconf.h")
    return (*before, "-I", HERE, "-I", stubs / age.name, "-I", stubs / "any", "-I", FIRMWARE / "include", "-I", into)


LOOKED_AT: Final = (
    Compiler(name="gcc", command=("gcc", "-O2")),
    Compiler(name="gcc -m32", command=("gcc", "-m32", "-Os")),
    Compiler(name="clang", command=("clang", "-O1")),
    Compiler(name="clang -m32", command=("clang", "-m32", "-O1")),
)
OPTIMIZING: Final = LOOKED_AT[1:2]
"""Some warnings are found by the optimizer alone, with what a product's build has: -Os."""
SANITIZED: Final = Compiler(name="clang, sanitizers", command=("clang", "-O1", *SANITIZE))
PLAIN: Final = Compiler(name="gcc", command=("gcc", "-O0"))
SHORT: Final = Compiler(name="gcc -m32", command=("gcc", "-m32", "-O0"))


def compile_glue(into: Path, age: Age, compiler: Compiler, *, fixed: bool = False) -> int:
    """Whether the glue compiles without a warning; how many sources. fixed: for a table that never changes.

    Raises:
        BuildFailedError: it does not.
    """
    options = _prepare(into, age, fixed=fixed)
    sources = sources_of(age)
    only = "-c" if compiler in OPTIMIZING else "-fsyntax-only"
    run((*compiler.command, *WARNINGS, only, *options, *sources), cwd=into)
    return len(sources)


def build_traps(into: Path, age: Age, compiler: Compiler, *, shared: Path) -> list[Path]:
    """Objects of glue, core, fakes and traps: all but the tables. The core, which is of no age, is built in `shared`.

    Raises:
        BuildFailedError: something does not compile.
    """
    options = _prepare(into, age)
    sources = [*sources_of(age), *FAKES]
    core = _core(shared, (into / "ks_policy.h").read_text(), compiler)
    run((*compiler.command, *WARNINGS, *options, "-c", *sources), cwd=into)
    return [*(into / f"{path.stem}.o" for path in sources), *core]


def _core(shared: Path, header: str, compiler: Compiler) -> list[Path]:
    """The core as this policy's header has it: built once for all ages and strategies."""

    def build(into: Path) -> None:
        into.mkdir(parents=True)
        (into / "ks_policy.h").write_text(header)
        options = (f"-DKS_MAX_CONNECTIONS={CENTRALS}", "-I", FIRMWARE / "include", "-I", into)
        run((*compiler.command, *WARNINGS, *options, "-c", *CORE), cwd=into)

    built = built_once(shared, "core-of-traps", "\n".join((*compiler.command, header)), build)
    return [built / f"{source.stem}.o" for source in CORE]


def link_traps(into: Path, age: Age, compiler: Compiler, objects: Sequence[Path], service: Visibility) -> Path:
    """The traps under one strategy."""
    place = into / service.value
    place.mkdir(parents=True, exist_ok=True)
    policy = policy_of(service, age)
    (place / "ks_policy.c").write_text(policy_c(policy, "/* by a test */"))
    (place / "ks_policy.h").write_text(policy_h(policy, "/* by a test */"))
    built = place / "traps"
    include = ("-I", place, "-I", FIRMWARE / "include", f"-DKS_MAX_CONNECTIONS={CENTRALS}")
    run((*compiler.command, "-std=gnu11", *include, place / "ks_policy.c", *objects, "-o", built))
    return built


def traps_of(program: Path) -> tuple[int, str]:
    """How many passed, and what the rest says."""
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False, timeout=120)
    *lines, last = done.stdout.splitlines() or [""]
    found = re.fullmatch(r"(\d+) passed, (\d+) failed", last)
    if found is None or (done.returncode == 0) != (found[2] == "0"):
        return 0, f"{done.stdout}{done.stderr}"
    return int(found[1]), "\n".join(lines)


@dataclass(slots=True)
class Trapped:
    """How much was tried."""

    sources: int = 0
    traps: int = 0
    faults: int = 0

    def add(self, other: "Trapped") -> None:
        """One more part."""
        self.sources += other.sources
        self.traps += other.traps
        self.faults += other.faults


def builds_of(age: Age) -> tuple[Age, ...]:
    """The usual build of this age, and those with other or several images."""
    others = (*OTHER_IMAGES, *SEVERAL_IMAGES)
    return (age, *(each for each in others if replace(each, images=(), pairs=(), early=False) == age))


def look_at(into: Path, age: Age) -> Trapped:
    """Every source of the glue by every compiler, without a warning; of images that lie elsewhere, by one of them.

    Raises:
        BuildFailedError: there is one.
    """
    count = Trapped()
    for kind, build in enumerate(builds_of(age)):
        for n, each in enumerate(LOOKED_AT if build == age else OPTIMIZING):
            count.sources += compile_glue(into / f"looked-{kind}-{n}", build, each)
    count.sources += compile_glue(into / "fixed", age, PLAIN, fixed=True)
    return count


def stops(into: Path, age: Age, words: str) -> None:
    """Such a build has to stop with these words.

    Raises:
        BuildFailedError: it does not.
    """
    try:
        compile_glue(into, age, PLAIN)
    except BuildFailedError as error:
        if "#error" in str(error) and words in str(error):
            return
        raise
    raise BuildFailedError(f"{age.name}, {', '.join(age.images)}: compiles, and should not: {words}")


def run_traps(into: Path, builds: Sequence[Age], compiler: Compiler = PLAIN) -> Trapped:
    """Every trap under every strategy in each of these builds.

    Raises:
        BuildFailedError: it does not compile, or a trap is sprung.
    """
    count = Trapped()
    for kind, build in enumerate(builds):
        place = into / f"build-{kind}"
        objects = build_traps(place / "objects", build, compiler, shared=into.parent)
        for service in Visibility:
            if service is Visibility.AUTHORIZE and not build.authorizes:
                continue
            passed, wrong = traps_of(link_traps(place, build, compiler, objects, service))
            if wrong or not passed:
                told = ", ".join((build.name, *build.images, service.value, compiler.name))
                raise BuildFailedError(f"traps, {told}: {wrong or 'none ran'}")
            count.traps += passed
    return count


# --- faults that are planted into the glue: a trap that none of them springs proves nothing --------------------------


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One change of the glue. Attributes: trap: that has to notice; file, old, new: the change; age: the build."""

    trap: str
    file: str
    old: str
    new: str
    service: Visibility = field(default=Visibility.RECONNECT)
    age: Age = NEWEST_NCS


FAULTS: Final = (
    Fault(
        trap="1-reset-outlives-leaving",
        file="os_group.c",
        old="return ks_gate_tell(call, KS_RESET_ASKED);",
        new="return (ks_gate_tell(call, KS_RESET_ASKED) == 0) ? original(call->streamer) : MGMT_ERR_EACCESSDENIED;",
    ),
    Fault(
        trap="2-one-pool-of-buffers",
        file="os_group.c",
        old="#define RESERVED_BUFFERS 2",
        new="#define RESERVED_BUFFERS 0",
    ),
    Fault(
        trap="3-mode-changes-within-a-handler",
        file="application.c",
        old="(void)ks_tell(&event, NULL);\n}\n\nstatic void tell_lost",
        new="(void)event;\n}\n\nstatic void tell_lost",
    ),
    Fault(
        trap="4-groups-registered-late",
        file="gate.c",
        old="!leads_through_the_door(command->group, command->id)",
        new="(command->group == 0xFFFFu)",
    ),
    Fault(
        trap="4-shut-until-started",
        file="gate.c",
        old="\tif (!ks_running()) {",
        new="\tif (!ks_running()) {\n\t\treturn run_original(&call, original);\n\t}\n\tif (false) {",
    ),
    Fault(
        trap="4-shut-until-started",
        file="gate.c",
        old="if ((original == NULL) &&",
        new="if (ks_running() && (original == NULL) &&",
    ),
    Fault(
        trap="4-shut-until-started",
        file="mode_group.c",
        old="((call->op == MGMT_OP_READ) == (call->id < READS))",
        new="true",
    ),
    Fault(
        trap="4-groups-registered-late",
        file="gate.c",
        old="\tgroup->mg_handlers = call->gated->original;\n",
        new="",
    ),
    Fault(
        trap="mode-group-by-both-ways",
        file="mode_group.c",
        old="\t(void)memcpy(answer, before, sizeof(before));\n",
        new="",
    ),
    Fault(
        trap="7-refusals-say-why",
        file="gate.c",
        old="MGMT_CTXT_SET_RC_RSN(call->streamer, text);",
        new="(void)call;",
        service=Visibility.ALWAYS,
    ),
    Fault(
        trap="8-table-after-the-last-link",
        file="visibility.c",
        old="\t\t(void)change(false);\n",
        new="",
    ),
    Fault(
        trap="9-answer-before-the-end",
        file="links.c",
        old="bool waits = ks_answer_at_hand();",
        new="bool waits = false;",
    ),
    Fault(
        trap="10-no-entropy",
        file="random.c",
        old="return sys_csrand_get(bytes, size) == 0;",
        new="(void)sys_csrand_get(bytes, size);\n\treturn true;",
    ),
    Fault(
        trap="9-answer-before-the-end",
        file="links.c",
        old="tick() + time_for_an_answer_ms(conn) / TICK_MS + 1u",
        new="tick()",
    ),
    Fault(trap="12-reset-says-goodbye", file="reset.c", old="\tks_links_end_all();\n", new=""),
    Fault(
        trap="arm-late",
        file="image.c",
        old="return ks_pair_in(state_now()->arming, pair) ? put_list(call->streamer)",
        new="(void)boot_request_upgrade_multi(0, 0);\n\treturn (pair == 0u) ? put_list(call->streamer)",
    ),
    Fault(trap="arm-and-slot-changes", file="image.c", old="\tif (!found) {", new="\tif (false) {"),
    Fault(
        trap="arm-and-another-image",
        file="image.c",
        old="is_hash(&state->armed[hashed_pair], computed.bytes, computed.size)",
        new="true",
    ),
    Fault(
        trap="4-groups-registered-late",
        file="gate.c",
        old="\trc = ks_gate_ask(call);\n\tif (rc != 0) {\n\t\treturn rc;\n\t}\n",
        new="\trc = 0;\n",
        service=Visibility.ALWAYS,
    ),
    Fault(
        trap="upload-rules",
        file="image.c",
        old="(check->req->off == 0u) && is_too_large(check->req->size, pair)",
        new="check->req->size == 0u",
    ),
    Fault(
        trap="upload-rules",
        file="image.c",
        old="size = (size_t)(2 * last_fields) - area->fa_size;",
        new="size = (size_t)last_fields;",
    ),
    Fault(
        trap="queued-before-leaving",
        file="visibility.c",
        old="\t\tks_smp_service_gone();\n",
        new="\t\t(void)show;\n",
        service=Visibility.LIVE,
    ),
    Fault(
        trap="3-mode-changes-within-a-handler",
        file="gate.c",
        old="\t\tks_answer_begins(KS_ANSWER_SMP); /* a slot",
        new="\t\t(void)header; /* a slot",
        service=Visibility.LIVE,
    ),
    Fault(
        trap="arm-and-confirm",
        file="image.c",
        old="return (chunk_refused != 0) ? chunk_refused : rc;",
        new="return rc;",
    ),
    Fault(
        trap="authorize-in-a-live-connection",
        file="authorize.c",
        old="return (KS_SERVICE_SHOWN != (uint8_t)KS_SERVICE_AUTHORIZE) ||",
        new="return (conn != NULL) ||",
        service=Visibility.AUTHORIZE,
    ),
    Fault(
        trap="arm-and-power-cut-in-the-trial",
        file="record.c",
        old='if (settings_delete("ks/session") == 0) {',
        new="if (kept[SESSION].there) {",
    ),
    Fault(
        trap="input-before-start",
        file="application.c",
        old="\t\t\tnow[input] = values[input];\n",
        new="",
    ),
    Fault(trap="half-frame-goes", file="smp_service.c", old="\t\ttold->cfg_changed(ccc, 0u);\n", new=""),
    Fault(
        trap="two-centrals",
        file="links.c",
        old="static void connected(struct bt_conn *conn, uint8_t err)\n{\n",
        new="static void connected(struct bt_conn *conn, uint8_t err)\n{\n\tks_lock();\n\tks_unlock();\n",
    ),
    Fault(
        trap="arm-by-another-hash",
        file="image_hash.c",
        old="(tlv.it_type == HASH_TLV) && (tlv.it_len == KS_DIGEST_SIZE)",
        new="tlv.it_len == KS_DIGEST_SIZE",
    ),
    Fault(
        trap="arm-by-another-hash",
        file="image.c",
        old="(wanted.len != 0u) && (wanted.len != KS_DIGEST_SIZE)",
        new="wanted.len > 64u",
    ),
    Fault(
        trap="arm-late",
        file="image_hash.c",
        old="#define HASH_TLV IMAGE_TLV_SHA512",
        new="#define HASH_TLV IMAGE_TLV_SHA256",
        age=BY_SHA512,
    ),
    Fault(
        trap="arm-late",
        file="image_hash.c",
        old="hash->at = ks_image_begins(area);",
        new="hash->at = 0u;",
        age=BY_OFFSET,
    ),
    Fault(
        trap="arm-and-ask-in-the-trial",
        file="image_hash.c",
        old="uint32_t tlvs = hashed_end(area, ks_image_begins(area));",
        new="uint32_t tlvs = hashed_end(area, (area == FIXED_PARTITION_ID(slot1_partition)) ? 0x1000u : 0u);",
        age=BY_OFFSET,
    ),
    Fault(
        trap="upload-behind-the-first-sector",
        file="image.c",
        old="size > usable - begin",
        new="size > usable",
        age=BY_OFFSET,
    ),
    Fault(
        trap="upload-rules",
        file="image.c",
        old="page_size(area, ks_image_begins(other_area(upload_pair)), &start);",
        new="page_size(area, 0u, &start);",
        age=BY_OFFSET,
    ),
    Fault(
        trap="pairs-listed",
        file="image.c",
        old='((KS_POLICY_PAIRS == 1) || (put_key(state, "image")',
        new='((KS_POLICY_PAIRS != 1) || (put_key(state, "image")',
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-listed",
        file="image.c",
        old="((KS_POLICY_PAIRS > 1) || (unwritten(state_now()) != 0u))",
        new="(unwritten(state_now()) != 0u)",
        age=NETWORK_CORE,
    ),
    Fault(
        trap="pairs-start-in-order",
        file="image.c",
        old="enum next next = next_boot(pair);",
        new="enum next next = next_boot(0u);",
        age=NETWORK_CORE,
    ),
    Fault(
        trap="pairs-early-leave",
        file="image.c",
        old="if (!is_copied(pair)) {\n\t\treturn mcuboot_swap_type_multi",
        new="if (pair < 9u) {\n\t\treturn mcuboot_swap_type_multi",
        age=EARLY,
    ),
    Fault(
        trap="pairs-early-leave",
        file="image.c",
        old="(flash_area_open(other_area(pair), &area) != 0)) {",
        new="(flash_area_open(other_area(0u), &area) != 0)) {",
        age=EARLY,
    ),
    Fault(
        trap="pairs-early-upload",
        file="image.c",
        old="(asked.image_ok == BOOT_FLAG_SET) ? BOOT_SWAP_TYPE_PERM : BOOT_SWAP_TYPE_TEST",
        new="BOOT_SWAP_TYPE_TEST",
        age=EARLY,
    ),
    Fault(
        trap="pairs-confirmed",
        file="image.c",
        old="(running.magic != BOOT_MAGIC_UNSET) && (running.image_ok != BOOT_FLAG_SET)",
        new="false",
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-confirmed",
        file="image.c",
        old="boot_write_img_confirmed_multi((int)ks_pair_of(effect))",
        new="boot_write_img_confirmed_multi(0)",
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-confirmed",
        file="machine.c",
        old="ks_record_save((ks_pairs)effect->arg);",
        new="ks_record_save((ks_pairs)1u);",
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-confirmed",
        file="image.c",
        old="is_copied(pair) ? other_area(pair) : running_area(pair)",
        new="running_area(pair)",
        age=NETWORK_CORE,
    ),
    Fault(
        trap="pairs-slot-cannot-be-read",
        file="image.c",
        old="\t\t\tboot->record = NULL;\n",
        new="",
        age=NETWORK_CORE,
    ),
    Fault(
        trap="pairs-what-runs-cannot-be-read",
        file="image.c",
        old="\t\treturn false;\n\t}\n\treturn (running.magic",
        new="\t\treturn true;\n\t}\n\treturn (running.magic",
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-start-in-order",
        file="image.c",
        old="!begin_next(waiting, hashed_pair + 1u)",
        new="true",
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-last-slot-changes",
        file="image.c",
        old="again_found = ks_pairs_with(again_found, hashed_pair);",
        new="again_found = waiting;",
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-another-image",
        file="image.c",
        old="is_hash(&state->armed[hashed_pair], computed.bytes, computed.size)",
        new="true",
        age=NETWORK_CORE,
    ),
    Fault(
        trap="pairs-last-slot-changes",
        file="machine.c",
        old=".pair = (uint8_t)ks_pair_of(failing)",
        new=".pair = 0u",
        age=NETWORK_CORE,
    ),
    Fault(
        trap="pairs-start-in-order",
        file="image.c",
        old="boot_request_upgrade_multi((int)pair, (int)effect->arg)",
        new="boot_request_upgrade_multi(0, (int)effect->arg)",
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-start-in-order",
        file="image.c",
        old=".permanent = permanent, .pair = (uint8_t)pair}",
        new=".permanent = permanent}",
        age=NETWORK_CORE,
    ),
    Fault(
        trap="pairs-upload",
        file="image.c",
        old="{.kind = kind, .peer = call->peer, .pair = (uint8_t)pair}",
        new="{.kind = kind, .peer = call->peer}",
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-upload",
        file="image.c",
        old="pair_of_area(check->action->area_id)",
        new="(uint_fast8_t)check->req->image",
        age=NETWORK_CORE,
    ),
    Fault(
        trap="pairs-upload",
        file="image.c",
        old="\t\tKEEP_PAIR(upload_pair, pair);\n\t\treturn MGMT_CB_OK;",
        new="\t\treturn MGMT_CB_OK;",
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-upload",
        file="image.c",
        old="is_too_large(check->req->size, pair)",
        new="is_too_large(check->req->size, 0u)",
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-that-are-not",
        file="image.c",
        old="if (!names_an_image(call)) {",
        new="if (false && !names_an_image(call)) {",
        age=TWO_SWAPPED,
    ),
    Fault(
        trap="pairs-erase",
        file="image.c",
        old="pair = (uint_fast8_t)(slot / 2u);",
        new="pair = 0u;",
        age=NETWORK_CORE,
    ),
    Fault(
        trap="pairs-only-if-newer",
        file="image.c",
        old="img_mgmt_read_info((int)(2u * pair), &running, NULL, NULL)",
        new="img_mgmt_read_info(0, &running, NULL, NULL)",
        age=TWO_SWAPPED,
    ),
)


def plant(into: Path, faults: Sequence[Fault] = FAULTS) -> Trapped:
    """Each fault by itself has to be noticed by its trap, and what cannot be built has to say why.

    Raises:
        BuildFailedError: one is not, or its text is not there any more.
    """
    for number, (not_built, words) in enumerate(NOT_BUILT):
        stops(into / f"stops-{number}", not_built, words)
    compiler = PLAIN
    sound: dict[Age, list[Path]] = {}
    unnoticed: list[str] = []
    for number, fault in enumerate(faults):
        age = fault.age
        if age not in sound:
            sound[age] = build_traps(into / f"sound-{len(sound)}", age, compiler, shared=into.parent)
        objects = sound[age]
        options = _prepare(objects[0].parent, age)
        place = into / f"fault-{number}"
        place.mkdir(parents=True)
        source = FIRMWARE / "src" / "zephyr" / fault.file
        text = source.read_text("utf-8")
        if text.count(fault.old) != 1:
            raise BuildFailedError(f"{fault.trap}: {fault.file} has changed: {fault.old!r}")
        (place / fault.file).write_text(text.replace(fault.old, fault.new))
        built = place / f"{source.stem}.o"
        include = ("-I", source.parent)
        run((*compiler.command, "-std=gnu11", "-w", *options, *include, "-c", place / fault.file, "-o", built))
        others = [each for each in objects if each.name != built.name]
        program = link_traps(place, age, compiler, [*others, built], fault.service)
        done = subprocess.run([str(program), fault.trap], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 1 or f"{fault.trap}: " not in done.stdout:
            unnoticed.append(f"{fault.trap} does not notice a fault in {fault.file}: {done.stdout}{done.stderr}")
    if unnoticed:
        raise BuildFailedError("\n".join(unnoticed))
    return Trapped(faults=len(faults))
