"""The policy language as one table: the loader, the reference in `docs/policy.md` and the JSON Schema come from it.

Kinds of value that only policy files have stand first; all others are in `keyswitch.schema.value_types`.
"""

from dataclasses import dataclass
from typing import Any, Final

from keyswitch.errors import InputError
from keyswitch.mcuboot.config import Downgrade, LoaderEntrance
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import NOT_MODELLED, Algorithm
from keyswitch.policy.enums import (
    Arm,
    Clock,
    Confirm,
    Identity,
    InputType,
    Others,
    ProofKind,
    SessionRule,
    TriggerWord,
    UploadRest,
    Visibility,
    WhenFalse,
)
from keyswitch.policy.model import INT_MAX, INT_MIN, MAX_PERMITS
from keyswitch.schema.tables import REQUIRED, TomlKey, TomlTable
from keyswitch.schema.value_types import (
    NAME,
    Boolean,
    Choice,
    Duration,
    Either,
    ListOf,
    Text,
    Whole,
    shown,
    suggestion,
    wrong,
)
from keyswitch.smp.commands import patterns, resolve
from keyswitch.terms import Security, Transport

SCHEMA_VERSION: Final = 1

MAX_DURATION_S: Final = 30 * 24 * 3600
"""Thirty days: beyond it a limit limits nothing."""

DURATION: Final = Duration(MAX_DURATION_S)


@dataclass(frozen=True, slots=True)
class Served:
    """A command or a group of commands, as allow lists name them (`smp.commands.resolve`)."""

    @property
    def expected(self) -> str:
        """What a person should write."""
        return "a group or command like os.echo or image.state:read"

    def read(self, value: object, where: str) -> str:
        """The value, checked."""
        if not isinstance(value, str):
            raise wrong(where, value, self.expected)
        if not resolve(value):
            raise InputError(where, f"{shown(value)} is not a command", self.expected + suggestion(value, patterns()))
        return value

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"enum": sorted(patterns())}


@dataclass(frozen=True, slots=True)
class SecurityLevel:
    """How well a link is protected, by its word."""

    @property
    def expected(self) -> str:
        """What a person should write."""
        return "one of " + ", ".join(f'"{each.word}"' for each in Security)

    def read(self, value: object, where: str) -> Security:
        """The value, checked."""
        for each in Security:
            if value == each.word:
                return each
        near = suggestion(value, (each.word for each in Security)) if isinstance(value, str) else ""
        raise wrong(where, value, self.expected + near)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"enum": [each.word for each in Security]}


INT_INPUT: Final = Whole(INT_MIN, INT_MAX)

_PATH: Final = Text(meaning="a file name, relative to this file")
_NAMES: Final = ListOf(NAME, least=1)

ROOT: Final = TomlTable(
    keys=(
        TomlKey(
            name="schema", kind=Whole(SCHEMA_VERSION, SCHEMA_VERSION), doc="Version of this language.", default=REQUIRED
        ),
    ),
    tables=("device", "inputs", "modes", "entry", "transitions", "gate", "update", "bootloader", "smp"),
)

DEVICE: Final = TomlTable(
    doc="Who this is.",
    keys=(
        TomlKey(name="name", kind=Text(29), doc="Shown to people and advertised.", default=REQUIRED),
        TomlKey(
            name="id",
            kind=Text(64),
            doc="Identity that proofs and permits are bound to. One for each unit.",
            default_text="`name`",
        ),
        TomlKey(name="initial_mode", kind=NAME, doc="The mode in which the device comes up.", default=REQUIRED),
        TomlKey(
            name="bypasses",
            kind=ListOf(Text()),
            doc="Ways past this gate that the policy cannot close. Printed by every proof and report.",
            default=(),
        ),
        TomlKey(
            name="company_id",
            kind=Whole(0, 0xFFFF),
            doc="Company identifier of the advertisement's manufacturer data. 0xFFFF is for tests.",
            default=0xFFFF,
        ),
    ),
)

INPUT: Final = TomlTable(
    doc="Something that the device senses and guards ask about; one table for each, `[inputs]` `NAME = { ... }`.",
    keys=(
        TomlKey(name="type", kind=Choice(InputType), doc="What values it takes.", default=REQUIRED),
        TomlKey(
            name="safety",
            kind=Boolean(),
            doc="A guard over it that turns false ends maintenance at once, whatever `when_false` says.",
            default=False,
        ),
        TomlKey(
            name="operated",
            kind=Boolean(),
            doc="A person moves it on purpose (key switch, jumper): only moving such an input may open maintenance.",
            default=False,
        ),
        TomlKey(
            name="initial",
            kind=Either((Boolean(), INT_INPUT)),
            doc="Value until the first report. Without it the input is unknown, and guards over it are false.",
            default_text="unknown",
        ),
    ),
)

MODE: Final = TomlTable(
    doc="What the device is doing; one table for each, `[modes.NAME]`. Their order numbers them.",
    keys=(
        TomlKey(
            name="allow",
            kind=ListOf(Served(), most=256),
            doc="The commands that this mode serves: `group`, `group.command`, either with `:read` or `:write`.",
            default=REQUIRED,
        ),
        TomlKey(
            name="maintenance",
            kind=Boolean(),
            doc="The only kind of mode in which firmware may change.",
            default=False,
        ),
        TomlKey(
            name="inhibits",
            kind=ListOf(NAME),
            doc="What the application must not do meanwhile: safety is mutual.",
            default=(),
        ),
        TomlKey(
            name="quiet_after_s",
            kind=DURATION,
            doc="What it inhibits stays inhibited this long after the last command that can change firmware.",
            default_text="it ends with the mode",
        ),
        TomlKey(
            name="security",
            kind=SecurityLevel(),
            doc="Least security of the link for the allowed commands. Asking and entering are judged by themselves.",
            default=Security.NONE,
            default_text='`"none"`',
        ),
        TomlKey(
            name="session",
            kind=Choice(SessionRule),
            doc="Who may use a maintenance session: anyone, or only the peer that entered and its reconnect.",
            default=SessionRule.ANYONE,
        ),
        TomlKey(
            name="lease_s",
            kind=DURATION,
            doc="The mode ends by itself after this long. A maintenance mode needs one.",
            default_text="no limit",
        ),
        TomlKey(
            name="lease_max_s",
            kind=DURATION,
            doc="`extend` starts the lease again, but never beyond this long after entry.",
            default_text="`lease_s`: no extension",
        ),
        TomlKey(
            name="idle_s",
            kind=DURATION,
            doc="The mode ends when no command was executed for this long; in an owned session, none of its owner's.",
            default_text="no limit",
        ),
        TomlKey(
            name="timeout_s",
            kind=DURATION,
            doc='After this long the mode\'s `on = "timeout"` transition is taken.',
            default_text="none",
        ),
    ),
)

TRANSITION: Final = TomlTable(
    doc="One transition from some modes into another; one `[[transitions]]` for each.",
    keys=(
        TomlKey(name="from", kind=_NAMES, doc="The modes it starts in.", default=REQUIRED),
        TomlKey(name="to", kind=NAME, doc="The mode it leads to.", default=REQUIRED),
        TomlKey(name="on", kind=Choice(TriggerWord), doc="What sets it off.", default=REQUIRED),
        TomlKey(
            name="when",
            kind=ListOf(Text(80, meaning='a condition like "motion == false"')),
            doc="Guards: all must be true. Maintenance continues only while they are; arming and reset ask again.",
            default=(),
        ),
        TomlKey(
            name="proofs",
            kind=ListOf(Choice(ProofKind, without=(ProofKind.BUTTON,)), least=1),
            doc='With `on = "enter"`: the kinds of proof that are taken. Without: anyone may; never into maintenance.',
            default_text="none",
        ),
        TomlKey(
            name="hold_s",
            kind=DURATION,
            doc='With `on = "button"`: held at least this long; below 1 it happens by accident.',
            default_text="none",
        ),
        TomlKey(
            name="security",
            kind=SecurityLevel(),
            doc='With `on = "enter"`: least security of the link that asks.',
            default_text='"none"',
        ),
        TomlKey(
            name="others",
            kind=Choice(Others),
            doc="Into maintenance by `enter`: what happens to other connected centrals.",
            default_text='"refuse"',
        ),
        TomlKey(
            name="when_false",
            kind=Choice(WhenFalse),
            doc="Into maintenance: what a guard does that turns false during the session. Safety inputs always leave.",
            default_text='"leave"',
        ),
    ),
)

ENTRY: Final = TomlTable(
    doc="What the kinds of proof need.", tables=("sequence", "challenge", "permit", "button", "lockout")
)

SEQUENCE: Final = TomlTable(
    doc="Commands in order within a time window. No key: it guards against accident only.",
    keys=(
        TomlKey(name="steps", kind=Whole(2, 16), doc="How many.", default=3),
        TomlKey(name="window_s", kind=DURATION, doc="From the first to the last.", default=10_000, default_text="10"),
    ),
)

CHALLENGE: Final = TomlTable(
    doc="A shared secret: HMAC-SHA256 over the device's fresh nonce.",
    keys=(
        TomlKey(
            name="secret",
            kind=_PATH,
            doc="File with 64 hexadecimal digits, readable by its owner alone (mode 0600).",
            default=REQUIRED,
        ),
    ),
)

PERMIT: Final = TomlTable(
    doc="A signed permission (COSE_Sign1, Ed25519) and its holder's signature over the device's fresh nonce.",
    keys=(
        TomlKey(
            name="issuers",
            kind=ListOf(_PATH, least=1, most=16),
            doc="Files with the Ed25519 public keys (PEM) that may sign permits.",
            default=REQUIRED,
        ),
        TomlKey(
            name="clock",
            kind=Choice(Clock),
            doc="Whether the device knows the time well enough to judge validity; if not, uses are counted.",
            default=Clock.NONE,
        ),
        TomlKey(
            name="max_permits",
            kind=Whole(1, 65_535),
            doc="Without a clock: permits whose uses are kept. When so many are known, no new one is accepted.",
            default=MAX_PERMITS,
        ),
    ),
)

BUTTON: Final = TomlTable(
    doc="Where the button is.",
    keys=(
        TomlKey(
            name="gpio",
            kind=Whole(0, 1023),
            doc="Pin on a Linux board (needs the extra `gpio`).",
            default_text="the panel's button only",
        ),
    ),
)

LOCKOUT: Final = TomlTable(
    doc="How wrong proofs are slowed, each kind for itself. The button is never locked.",
    keys=(
        TomlKey(name="free_tries", kind=Whole(0, 100), doc="Wrong proofs that cost nothing.", default=3),
        TomlKey(
            name="first_s",
            kind=DURATION,
            doc="Wait after the next one; doubles with each further one.",
            default=1_000,
            default_text="1",
        ),
        TomlKey(name="max_s", kind=DURATION, doc="No wait is longer.", default=300_000, default_text="300"),
    ),
)

GATE: Final = TomlTable(
    doc="How the gate looks from outside.",
    tables=("on_leave",),
    keys=(
        TomlKey(
            name="service",
            kind=Choice(Visibility),
            doc="How the SMP service is shown on BLE, or closed where it is shown. No promise rests on it.",
            default=Visibility.RECONNECT,
        ),
        TomlKey(
            name="identity",
            kind=Choice(Identity),
            doc="The BLE identity in maintenance; a second one has no stale cache anywhere.",
            default=Identity.SAME,
        ),
    ),
)

ON_LEAVE: Final = TomlTable(
    doc="What becomes of things when maintenance ends.",
    keys=(TomlKey(name="upload", kind=Choice(UploadRest), doc="A half-done upload.", default=UploadRest.DISCARD),),
)

UPDATE: Final = TomlTable(
    doc="How an update goes.",
    keys=(
        TomlKey(
            name="arm",
            kind=Choice(Arm),
            doc="When the swap is armed: as the last act before the session's own reset, or at the state write.",
            default=Arm.LATE,
        ),
        TomlKey(name="confirm", kind=Choice(Confirm), doc="Who makes a new image stay.", default=Confirm.OPERATOR),
        TomlKey(
            name="trial_deadline_s",
            kind=DURATION,
            doc="An unconfirmed trial ends by reset and revert, still in maintenance.",
            default_text="the lease alone ends it",
        ),
        TomlKey(
            name="simultaneous",
            kind=Boolean(),
            doc="With several `[[bootloader.images]]`: whether more than one may be armed for the same reset.",
            default=True,
        ),
    ),
)

_SLOT_BYTES: Final = Whole(8_192, 2**28, "bytes")

BOOTLOADER: Final = TomlTable(
    doc="What boots.",
    tables=("images",),
    keys=(
        TomlKey(
            name="algorithm",
            kind=Choice(Algorithm, known=tuple(NOT_MODELLED.items())),
            doc="How the bootloader brings a new image into place.",
            default=Algorithm.SWAP_MOVE,
        ),
        TomlKey(
            name="loader_entrance",
            kind=ListOf(Choice(LoaderEntrance), least=1),
            doc="What starts the firmware loader instead of the application.",
            default_text="required with `firmware-loader`, and there alone",
        ),
        TomlKey(
            name="loader_gated",
            kind=Boolean(),
            doc="The firmware loader is built with this gate and this policy; else it serves anybody.",
            default=False,
        ),
        TomlKey(
            name="key",
            kind=_PATH,
            doc="File with the public key (PEM) that images must be signed with.",
            default_text="none: signatures are not asked for",
        ),
        TomlKey(
            name="hash",
            kind=Choice(VerifiedHash),
            doc="What the bootloader is built to verify, one of them; an Ed25519 key does not say which.",
            default_text="not known for Ed25519; else what the key goes with",
        ),
        TomlKey(
            name="slot_size",
            kind=_SLOT_BYTES,
            doc="Size of the primary slot, whole sectors.",
            default=458_752,
        ),
        TomlKey(
            name="secondary_size",
            kind=_SLOT_BYTES,
            doc="Size of the secondary slot, whole sectors, wherever it lies.",
            default_text="`slot_size`",
        ),
        TomlKey(
            name="max_sectors",
            kind=Whole(1, 2**16, "sectors"),
            doc="Entries in the status area of a swap (`BOOT_MAX_IMG_SECTORS`).",
            default_text="the sectors of the larger slot",
        ),
        TomlKey(name="sector_size", kind=Whole(128, 2**20, "bytes"), doc="Erased together.", default=4_096),
        TomlKey(name="write_block", kind=Whole(1, 32, "bytes"), doc="Written together.", default=4),
        TomlKey(
            name="needs_erase",
            kind=Boolean(),
            doc="Flash is erased before it is written; `false` for RRAM and MRAM.",
            default=True,
        ),
        TomlKey(
            name="downgrade",
            kind=Choice(Downgrade),
            doc="What keeps older images from coming back.",
            default=Downgrade.ALLOWED,
        ),
        TomlKey(
            name="mcuboot",
            kind=Text(20, pattern=r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}", meaning="MCUboot's version like 2.2.0"),
            doc="Version of MCUboot; `check` warns of the faults that it is known to have.",
            default_text="not known: of all faults that it may have",
        ),
        TomlKey(
            name="guessed",
            kind=Boolean(),
            doc="The numbers of this table are a board's usual ones, not read from the build.",
            default=False,
        ),
    ),
)

IMAGE: Final = TomlTable(
    doc="One image of several, in the order of their numbers. Without any there is one image, in the slots of "
    "`[bootloader]`.",
    keys=(
        TomlKey(
            name="slot_size",
            kind=_SLOT_BYTES,
            doc="Size of this image's primary slot, whole sectors; `[bootloader]` says none then.",
            default=458_752,
        ),
        TomlKey(
            name="secondary_size",
            kind=_SLOT_BYTES,
            doc="Size of its secondary slot, whole sectors.",
            default_text="`slot_size`",
        ),
        TomlKey(
            name="copied",
            kind=Boolean(),
            doc="The bootloader copies it over what runs: no trial, no way back, and what runs of it cannot be read "
            "(nRF5340's network core). Not image 0.",
            default=False,
        ),
    ),
)

SMP: Final = TomlTable(
    doc="The SMP server.",
    keys=(
        TomlKey(
            name="buf_size",
            kind=Whole(128, 65_535, "bytes"),
            doc="The largest packet, its header included; every transport must be able to carry it.",
            default=2475,
        ),
        TomlKey(name="buf_count", kind=Whole(1, 32), doc="How many packets it holds at once.", default=4),
        TomlKey(
            name="transports",
            kind=ListOf(Choice(Transport), least=1),
            doc="How it can be reached.",
            default=(Transport.BLE,),
            default_text='`["ble"]`',
        ),
    ),
)

SECTIONS: Final[dict[str, TomlTable]] = {
    "": ROOT,
    "device": DEVICE,
    "inputs.*": INPUT,
    "modes.*": MODE,
    "transitions[]": TRANSITION,
    "entry": ENTRY,
    "entry.sequence": SEQUENCE,
    "entry.challenge": CHALLENGE,
    "entry.permit": PERMIT,
    "entry.button": BUTTON,
    "entry.lockout": LOCKOUT,
    "gate": GATE,
    "gate.on_leave": ON_LEAVE,
    "update": UPDATE,
    "bootloader": BOOTLOADER,
    "bootloader.images[]": IMAGE,
    "smp": SMP,
}
"""Every table of the language by its place; `*` stands for any name, `[]` for each entry of a list of tables."""
