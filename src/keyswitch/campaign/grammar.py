"""The language of campaign files, as tables: what may stand where. The loader, the schema and the pages read these."""

from enum import StrEnum
from typing import Final

from keyswitch.campaign.outcomes import Outcome
from keyswitch.campaign.windows import DAYS, Day
from keyswitch.schema.tables import REQUIRED, TomlKey, TomlTable
from keyswitch.schema.value_types import Boolean, Choice, Duration, ListOf, Text, Whole

MAX_DEVICES: Final = 10_000
"""Ten thousand are what the engine is measured with; every one is held in memory."""

MAX_CONCURRENCY: Final = 64
MAX_PER_ADAPTER: Final = 16
"""Controllers have room for some connections: eight to twenty are usual."""

LONGEST_WAIT_S: Final = 7 * 24 * 3600

MOST_LISTEN_S: Final = 600

_FILE: Final = Text(1_000, meaning="a file name, relative to this file")
_ID: Final = Text(64, r"[A-Za-z0-9][A-Za-z0-9._-]*", "an id of letters, digits, ., - and _, first a letter or digit")
"""It is a file's name as well, of the device's evidence."""

CAMPAIGN: Final = TomlTable(
    doc="What the campaign is called.",
    keys=(
        TomlKey(name="name", kind=_ID, doc="Names the campaign in records.", default=REQUIRED),
        TomlKey(name="note", kind=Text(1_000), doc="An order, a reason; in each record.", default_text="none"),
    ),
)

RELEASE: Final = TomlTable(
    doc="What is installed, on all devices.",
    keys=(
        TomlKey(name="image", kind=_FILE, doc="Signed image or package.", default=REQUIRED),
        TomlKey(name="policy", kind=_FILE, doc="The devices' policy.", default_text="none: devices without our modes"),
        TomlKey(name="keys", kind=ListOf(_FILE), doc="Public keys that the image may be signed with.", default=()),
        TomlKey(
            name="inventory",
            kind=_FILE,
            doc="File with the units of the product: identity, serial number and secret of each device, by its id.",
            default_text="none",
        ),
        TomlKey(name="downgrade", kind=Boolean(), doc="Install it over a newer one as well.", default=False),
        TomlKey(
            name="health",
            kind=Text(1_000, meaning="a command"),
            doc="Run while the new image is on trial; it is confirmed only if this ends with 0.",
            default_text="none",
        ),
    ),
)

ENTRY: Final = TomlTable(
    doc="How maintenance mode is entered: files, never the secrets themselves.",
    keys=(
        TomlKey(name="secret", kind=_FILE, doc="File of the entry secret.", default_text="what the policy names"),
        TomlKey(name="permit", kind=_FILE, doc="File of a signed permission.", default_text="none"),
        TomlKey(name="holder", kind=_FILE, doc="File of the key that the permit names.", default_text="none"),
        TomlKey(name="to", kind=Text(32), doc="The mode to enter.", default_text="the first maintenance mode"),
    ),
)

DEVICE: Final = TomlTable(
    doc="One device.",
    keys=(
        TomlKey(
            name="id", kind=_ID, doc="What the campaign calls it; in an inventory, the unit's id.", default=REQUIRED
        ),
        TomlKey(name="target", kind=Text(200), doc="Where it is, as `keyswitch update` takes it.", default=REQUIRED),
        TomlKey(name="serial", kind=Text(64), doc="Serial number, for records.", default_text="the inventory's"),
        TomlKey(name="secret", kind=_FILE, doc="File of its own entry secret.", default_text="`entry.secret`"),
        TomlKey(
            name="gateway",
            kind=_ID,
            doc="The gateway that updates it, of a campaign on a PostgreSQL.",
            default_text="none: this computer does",
        ),
    ),
)

SCAN: Final = TomlTable(
    doc="Instead of a list: whatever advertises this when the campaign begins, in the order of their addresses.",
    keys=(
        TomlKey(name="radio", kind=Text(200), doc="What listens: `ble:` or `hci:TRANSPORT`.", default="ble:"),
        TomlKey(name="name", kind=Text(64), doc="Name of the devices; `*` is any letters.", default_text="any"),
        TomlKey(name="company", kind=Whole(0, 0xFFFF), doc="Their company id.", default_text="any"),
        TomlKey(
            name="listen_s",
            kind=Duration(MOST_LISTEN_S),
            doc="How long it listens.",
            default=10_000,
            default_text="10",
        ),
    ),
)

WAVES: Final = TomlTable(
    doc="Which devices come first: in the order of the list, so many in each wave.",
    keys=(
        TomlKey(
            name="counts",
            kind=ListOf(Whole(1, MAX_DEVICES), most=32, repeats=True),
            doc="Devices of each wave; what is left over is the last one.",
            default=(),
            default_text="all devices are one wave",
        ),
        TomlKey(
            name="percent",
            kind=ListOf(Whole(1, 100), most=32, repeats=True),
            doc="The same as shares of all devices, rounded up; instead of `counts`.",
            default=(),
            default_text="all devices are one wave",
        ),
        TomlKey(
            name="approval",
            kind=Boolean(),
            doc="Each wave but the first begins only when somebody approves it: `keyswitch campaign approve`.",
            default=False,
        ),
    ),
)

_TIME: Final = Text(5, r"([01][0-9]|2[0-3]):[0-5][0-9]", "a time of day, 00:00 to 23:59")
_MOMENT: Final = Text(
    40,
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})",
    "a moment with its offset, such as 2026-12-24T18:00:00+01:00",
)

RUN: Final = TomlTable(
    doc="How it is carried out.",
    keys=(
        TomlKey(name="concurrency", kind=Whole(1, MAX_CONCURRENCY), doc="Devices that are updated at once.", default=1),
        TomlKey(
            name="per_adapter",
            kind=Whole(1, MAX_PER_ADAPTER),
            doc="Of these, over one Bluetooth adapter: they share its air.",
            default=1,
        ),
        TomlKey(
            name="deadline",
            kind=_MOMENT,
            doc="From then on no device begins, and the campaign is aborted.",
            default_text="none",
        ),
    ),
)


WINDOW: Final = TomlTable(
    doc="When devices may be updated; without one, always. An update that is under way when it closes reaches its end.",
    keys=(
        TomlKey(
            name="days",
            kind=ListOf(Choice(Day), least=1),
            doc="On which it opens.",
            default=DAYS,
            default_text="every day",
        ),
        TomlKey(name="opens", kind=_TIME, doc="Time of day.", default=REQUIRED),
        TomlKey(name="closes", kind=_TIME, doc="Time of day; of the next day if it is earlier.", default=REQUIRED),
        TomlKey(name="zone", kind=Text(64), doc="Time zone, such as Europe/Berlin or UTC.", default=REQUIRED),
    ),
)


class AbortOn(StrEnum):
    """The outcomes that may stop a campaign: never confirmed, and never waiting, which is no failure."""

    REFUSED = Outcome.REFUSED.value
    REVERTED = Outcome.REVERTED.value
    UNREACHABLE = Outcome.UNREACHABLE.value
    BUSY = Outcome.BUSY.value
    FAILED = Outcome.FAILED.value


class RetryOn(StrEnum):
    """The outcomes that another attempt may change. A refusal, or a reverted image, is for a person to look at."""

    WAITING = Outcome.WAITING.value
    UNREACHABLE = Outcome.UNREACHABLE.value
    BUSY = Outcome.BUSY.value
    FAILED = Outcome.FAILED.value


ABORT: Final = TomlTable(
    doc="When it stops by itself: at so many devices, if they are so large a share of those that have ended.",
    keys=(
        TomlKey(name="outcomes", kind=ListOf(Choice(AbortOn), least=1), doc="What counts.", default=REQUIRED),
        TomlKey(name="least", kind=Whole(1, MAX_DEVICES), doc="At least so many devices.", default=REQUIRED),
        TomlKey(
            name="percent",
            kind=Whole(1, 100),
            doc="And at least this share of the devices that have ended; those that wait are not counted.",
            default=REQUIRED,
        ),
    ),
)

RETRY: Final = TomlTable(
    doc="How often a device is tried that ended so.",
    keys=(
        TomlKey(name="attempts", kind=Whole(1, 100), doc="Of all, the first one counted.", default=REQUIRED),
        TomlKey(name="wait_s", kind=Duration(LONGEST_WAIT_S), doc="Before the second attempt.", default=REQUIRED),
        TomlKey(name="factor", kind=Whole(1, 10), doc="Each wait is so many times the one before.", default=2),
        TomlKey(
            name="most_wait_s",
            kind=Duration(LONGEST_WAIT_S),
            doc="No wait is longer.",
            default=3_600_000,
            default_text="3600",
        ),
    ),
)

ROOT: Final = TomlTable(
    doc="A campaign.",
    keys=(
        TomlKey(
            name="devices",
            kind=_FILE,
            doc="CSV file with a line for each device, instead of `[[device]]`; its first line names the columns.",
            default_text="none",
        ),
    ),
    tables=("campaign", "release", "entry", "device", "scan", "waves", "run", "windows", "abort", "retry"),
)

SECTIONS: Final = {
    "campaign": CAMPAIGN,
    "release": RELEASE,
    "entry": ENTRY,
    "device": DEVICE,
    "scan": SCAN,
    "waves": WAVES,
    "run": RUN,
    "windows": WINDOW,
    "abort": ABORT,
}
"""Tables of the root; those of `LISTS` are lists of them, and `[retry]` has one of `RETRY` for each outcome."""

LISTS: Final = ("device", "windows", "abort")
