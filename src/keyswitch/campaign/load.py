"""TOML in, `Campaign` out. Every mistake is one `InputError` that names the file and the key path.

Whether the files that it names can be used is asked by preparing each device's update (`check_requests`), which opens
nothing.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from keyswitch.app.request import UpdateRequest
from keyswitch.campaign import grammar
from keyswitch.campaign.model import Campaign, CampaignDevice, CampaignFiles, Scan
from keyswitch.campaign.outcomes import AbortRule, Outcome, Retry
from keyswitch.campaign.windows import Window, opens_at
from keyswitch.errors import InputError
from keyswitch.files.documents import parse_toml
from keyswitch.files.reading import FileKind, read_file
from keyswitch.schema.csv_rows import read_csv
from keyswitch.schema.tables import as_table, below
from keyswitch.schema.value_types import suggestion

if TYPE_CHECKING:
    from keyswitch.host.connect.scan import FoundDevice

CAMPAIGN_FILE: Final = FileKind(expected="a campaign file (TOML)", max_size=16_000_000)
DEVICES_FILE: Final = FileKind(expected="a list of devices (CSV)", max_size=16_000_000)

Listen = Callable[[str, int], Awaitable["tuple[FoundDevice, ...]"]]
"""Hears what advertises near a radio."""

_ALL: Final = 100
"""Per cent."""

DEFAULT_RETRIES: Final = {Outcome.BUSY: Retry(attempts=6, wait_ms=15_000, factor=2, most_wait_ms=60_000)}
"""A campaign that was killed has left sessions on its devices, whose owner is gone. The shipped policy ends one that is
idle for 120 s: these waits are 225 s together."""


def read_campaign(path: Path) -> Campaign:
    """Read a campaign file, and the list of devices that it names.

    Raises:
        InputError: a file cannot be read, or is not valid.
    """
    data, origin = read_file(path, CAMPAIGN_FILE), str(path)
    where = f"{origin}: "
    root = parse_toml(data, origin, CAMPAIGN_FILE.expected, parse_float=Decimal)
    listed = grammar.ROOT.read(root, where)["devices"]
    campaign, waves, run = (_section(root, name, where) for name in ("campaign", "waves", "run"))
    windows = tuple(_window(row, place) for place, row in _list(root, "windows", where))
    common = _request(root, where, path, campaign["note"])
    rows, more = _rows(root, where, path, listed)
    devices = _devices(rows, common, path)
    scan = _scan(root, where, common, waves) if "scan" in root else None
    if scan is None and not devices:
        raise InputError(origin, "no devices", "a [[device]] for each, devices = a CSV file, or [scan]")
    if scan is not None and (devices or listed is not None):
        raise InputError(below(where, "scan"), "devices are listed as well", "one of the two")
    return Campaign(
        name=campaign["name"],
        digest=hashlib.sha256(data + more).hexdigest(),
        devices=devices,
        waves=() if scan else _waves(waves["counts"], waves["percent"], len(devices), below(where, "waves")),
        scan=scan,
        approval=waves["approval"],
        concurrency=run["concurrency"],
        per_adapter=run["per_adapter"],
        windows=windows,
        deadline=_deadline(run["deadline"], below(below(where, "run"), "deadline")),
        abort=tuple(
            AbortRule(
                outcomes=tuple(Outcome(each.value) for each in read["outcomes"]),
                least=read["least"],
                percent=read["percent"],
            )
            for read in (grammar.ABORT.read(row, place) for place, row in _list(root, "abort", where))
        ),
        retries=_retries(root.get("retry", {}), below(where, "retry")),
    )


def check_requests(campaign: Campaign) -> Campaign:
    """Read every file that the devices' updates need, and check that their values fit; nothing is opened.

    What entry is proved with is read for those devices alone that are updated from here: a gateway has that of its own.

    Returns:
        The campaign with the hashes of its images.

    Raises:
        InputError: an update cannot be made; the line names the device.
    """
    from keyswitch.app.update import prepare  # noqa: PLC0415 - who only looks at a campaign loads no update

    hashes: tuple[str, ...] = ()
    if campaign.scan is not None and not campaign.devices:
        prepare(replace(campaign.scan.common, target=_target(campaign.scan.radio, "00:00:00:00:00:00")))
    for device in campaign.devices:
        try:
            prepared = prepare(device.request, held=device.gateway is None)
        except InputError as error:
            raise InputError(f"device {device.id}: {error.where}", error.problem, error.expected) from error
        hashes = tuple(image.hash.hex() for image in prepared.job.images)
    return replace(campaign, image_hashes=hashes)


async def find_devices(campaign: Campaign, path: Path, listen: Listen | None = None) -> Campaign:
    """The campaign with the devices that it is about now; one whose file lists them is returned as it is.

    An advertisement says what it likes: who a device is shows when it is entered.

    Args:
        campaign: as its file has it.
        path: of that file.
        listen: to a radio for so many milliseconds; None: to the air.

    Raises:
        InputError: nobody advertises what it asks for, or too many do, or fewer than its waves have.
        LinkLostError: the radio cannot be used.
    """
    scan = campaign.scan
    if scan is None:
        return campaign
    where = f"{path}: scan"
    heard = [each for each in await (listen or _scan_air)(scan.radio, scan.listen_ms) if is_meant(each, scan)]
    if not heard:
        raise InputError(where, f"nobody advertises this within {scan.listen_ms / 1000:g} s", "devices that are near")
    rows: list[tuple[str, object]] = [
        (where, {"id": each.address.replace(":", "-"), "target": _target(scan.radio, each.address)})
        for each in sorted(heard, key=lambda each: each.address)
    ]
    devices = _devices(rows, scan.common, path)
    waves = _waves(scan.counts, scan.percent, len(devices), f"{path}: waves")
    return replace(campaign, devices=devices, waves=waves)


def is_meant(found: "FoundDevice", scan: Scan) -> bool:
    """Whether a device advertises what a campaign is about."""
    named = scan.name is None or fnmatchcase(found.name, scan.name.replace("[", "[[]").replace("?", "[?]"))
    return named and scan.company in {None, found.company_id}


def _target(radio: str, address: str) -> str:
    from keyswitch.campaign.radios import OWN_ADAPTER  # noqa: PLC0415 - as above

    return f"{radio}{address}" if radio == OWN_ADAPTER else f"{radio}#{address}"


async def _scan_air(radio: str, listen_ms: int) -> "tuple[FoundDevice, ...]":
    from keyswitch.app.scan import scan as scan_for_devices  # noqa: PLC0415 - as above
    from keyswitch.campaign.radios import own_adapters  # noqa: PLC0415 - as above

    with own_adapters([radio]):
        return await scan_for_devices(radio, listen_ms=listen_ms)


def _section(root: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    return grammar.SECTIONS[name].read(root.get(name, {}), below(where, name))


def _list(root: Mapping[str, Any], name: str, where: str) -> list[tuple[str, object]]:
    rows: object = root.get(name, [])
    place = below(where, name)
    if not isinstance(rows, list):
        raise InputError(place, "one table", f"[[{name}]] for each")
    return [(f"{place}[{n}]", row) for n, row in enumerate(cast("list[object]", rows))]


def _request(root: Mapping[str, Any], where: str, path: Path, note: str | None) -> UpdateRequest:
    """What all devices have in common."""
    release, entry = _section(root, "release", where), _section(root, "entry", where)
    near = path.resolve().parent

    def file(name: str | None) -> Path | None:
        return None if name is None else near / name

    return UpdateRequest(
        target="",
        image=file(release["image"]),
        policy=file(release["policy"]),
        keys=tuple(near / name for name in release["keys"]),
        inventory=file(release["inventory"]),
        downgrade=release["downgrade"],
        health=release["health"],
        secret=file(entry["secret"]),
        permit=file(entry["permit"]),
        holder=file(entry["holder"]),
        to=entry["to"],
        note=note,
    )


def _devices(rows: list[tuple[str, object]], common: UpdateRequest, path: Path) -> tuple[CampaignDevice, ...]:
    if len(rows) > grammar.MAX_DEVICES:
        raise InputError(str(path), f"{len(rows)} devices", f"at most {grammar.MAX_DEVICES}")
    files, near = CampaignFiles.of(path), path.resolve().parent
    places: dict[tuple[str, str], str] = {}
    devices: list[CampaignDevice] = []
    for where, row in rows:
        read = grammar.DEVICE.read(row, where)
        # The id is the name of a file, and some systems do not tell upper from lower case.
        for key, value in (("id", read["id"].lower()), ("target", read["target"])):
            first = places.setdefault((key, value), where)
            if first != where:
                raise InputError(below(where, key), f"{read[key]!r} stands at {first} as well", "each device once")
        request = replace(
            common,
            target=read["target"],
            secret=common.secret if read["secret"] is None else near / read["secret"],
            evidence=files.evidence(read["id"]),
            unit=read["id"],
            serial_number=read["serial"],
        )
        devices.append(CampaignDevice(id=read["id"], request=request, gateway=read["gateway"]))
    return tuple(devices)


def _rows(
    root: Mapping[str, Any], where: str, path: Path, listed: str | None
) -> tuple[list[tuple[str, object]], bytes]:
    """What is said of each device, and the content of the file that says it, if it is another one."""
    if listed is None:
        return _list(root, "device", where), b""
    file = path.parent / listed
    content = read_file(file, DEVICES_FILE)
    if "device" in root:
        raise InputError(below(where, "devices"), "there is a [[device]] as well", "one of the two")
    return read_csv(content, str(file), expected=DEVICES_FILE.expected, columns=grammar.DEVICE.names), content


def _scan(root: Mapping[str, Any], where: str, common: UpdateRequest, waves: Mapping[str, Any]) -> Scan:
    from keyswitch.campaign.radios import adapter_of  # noqa: PLC0415 - as above

    read, place = _section(root, "scan", where), below(where, "scan")
    if read["name"] is None and read["company"] is None:
        raise InputError(place, "everybody near is not meant", "a name, a company, or both")
    if common.inventory is not None:
        raise InputError(place, "an advertisement does not tell which unit a device is", "no inventory, or a list")
    try:
        is_radio = adapter_of(read["radio"]) is not None
    except InputError as error:
        raise InputError(below(place, "radio"), error.problem, error.expected) from error
    if not is_radio:
        raise InputError(below(place, "radio"), f"{read['radio']!r} is no radio", "ble: or hci:TRANSPORT")
    return Scan(
        radio=read["radio"],
        listen_ms=read["listen_s"],
        name=read["name"],
        company=read["company"],
        counts=waves["counts"],
        percent=waves["percent"],
        common=common,
    )


def _waves(counts: tuple[int, ...], percent: tuple[int, ...], devices: int, where: str) -> tuple[int, ...]:
    """Devices of each wave; together they are all."""
    if counts and percent:
        raise InputError(below(where, "percent"), "there are counts as well", "one of the two")
    given = sum(counts)
    if given > devices:
        raise InputError(
            below(where, "counts"), f"{given} devices in waves, and {devices} in the list", f"at most {devices}"
        )
    if sum(percent) > _ALL:
        raise InputError(below(where, "percent"), f"{sum(percent)} per cent together", f"at most {_ALL}")
    waves, left = list[int](), devices
    for count in (*counts, *(-(-devices * share // _ALL) for share in percent), devices):
        waves.append(min(count, left))
        left -= waves[-1]
    return tuple(count for count in waves if count)


def _window(row: object, where: str) -> Window:
    read = grammar.WINDOW.read(row, where)
    opens, closes = (int(read[key][:2]) * 60 + int(read[key][3:]) for key in ("opens", "closes"))
    if opens == closes:
        raise InputError(below(where, "closes"), "this window never opens", "another time than `opens`")
    try:
        ZoneInfo(read["zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(below(where, "zone"), f"{read['zone']!r} is no time zone", "Europe/Berlin, or UTC") from None
    return Window(days=read["days"], opens_min=opens, closes_min=closes, zone=read["zone"])


def _deadline(stated: str | None, where: str) -> datetime | None:
    if stated is None:
        return None
    try:
        return datetime.fromisoformat(stated)
    except ValueError as error:
        raise InputError(where, f"{stated}: {error}", "a day and an hour that there are") from None


def check_times(campaign: Campaign, at: datetime, origin: str) -> None:
    """Refuse a campaign in which no device could begin any more.

    Args:
        campaign: that would begin.
        at: now.
        origin: of the campaign, for the message.

    Raises:
        InputError: its deadline is over, or comes before its next window.
    """
    if campaign.deadline is None:
        return
    where = f"{origin}: run.deadline"
    if campaign.deadline <= at:
        raise InputError(where, f"{campaign.deadline.isoformat()} is over", "a later one, or none")
    opens = opens_at(campaign.windows, at)
    if campaign.deadline <= opens:
        problem = f"no window opens before it: the next one does at {opens.isoformat(timespec='minutes')}"
        raise InputError(where, problem, "a later one, or another window")


def _retries(stated: object, where: str) -> dict[Outcome, Retry]:
    words = [each.value for each in grammar.RetryOn]
    retries = dict(DEFAULT_RETRIES)
    for word, row in as_table(stated, where, "a table for each outcome").items():
        if word not in words:
            raise InputError(below(where, word), "not tried again", ", ".join(words) + suggestion(word, words))
        read = grammar.RETRY.read(row, below(where, word))
        retries[Outcome(word)] = Retry(
            attempts=read["attempts"], wait_ms=read["wait_s"], factor=read["factor"], most_wait_ms=read["most_wait_s"]
        )
    return retries
