"""TOML in, `Campaign` out. Every mistake is one `InputError` that names the file and the key path.

Whether the files that it names can be used is asked by preparing each device's update (`check_requests`), which opens
nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.app.request import UpdateRequest
from keyswitch.app.update import prepare
from keyswitch.campaign import grammar
from keyswitch.campaign.model import Campaign, CampaignDevice, CampaignFiles
from keyswitch.campaign.outcomes import AbortRule, Outcome, Retry
from keyswitch.errors import InputError
from keyswitch.files.documents import parse_toml
from keyswitch.files.reading import FileKind, read_file
from keyswitch.schema.csv_rows import read_csv
from keyswitch.schema.tables import as_table, below
from keyswitch.schema.value_types import suggestion

CAMPAIGN_FILE: Final = FileKind(expected="a campaign file (TOML)", max_size=16_000_000)
DEVICES_FILE: Final = FileKind(expected="a list of devices (CSV)", max_size=16_000_000)

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
    _refuse_not_yet(root, where)
    listed = grammar.ROOT.read(root, where)["devices"]
    digest = hashlib.sha256(data)
    if listed is not None:
        file = path.parent / listed
        more = read_file(file, DEVICES_FILE)
        digest.update(more)
        if "device" in root:
            raise InputError(below(where, "devices"), "there is a [[device]] as well", "one of the two")
        rows = read_csv(more, str(file), expected=DEVICES_FILE.expected, columns=grammar.DEVICE.names)
    else:
        rows = _list(root, "device", where)
    campaign, waves, run = (_section(root, name, where) for name in ("campaign", "waves", "run"))
    devices = _devices(rows, _request(root, where, path, campaign["note"]), path)
    if not devices:
        raise InputError(origin, "no devices", "a [[device]] for each, or devices = a CSV file")
    return Campaign(
        name=campaign["name"],
        digest=digest.hexdigest(),
        devices=devices,
        waves=_waves(waves["counts"], waves["percent"], len(devices), below(where, "waves")),
        approval=waves["approval"],
        concurrency=run["concurrency"],
        per_adapter=run["per_adapter"],
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

    Returns:
        The campaign with the hashes of its images.

    Raises:
        InputError: an update cannot be made; the line names the device.
    """
    hashes: tuple[str, ...] = ()
    for device in campaign.devices:
        try:
            prepared = prepare(device.request)
        except InputError as error:
            raise InputError(f"device {device.id}: {error.where}", error.problem, error.expected) from error
        hashes = tuple(image.hash.hex() for image in prepared.job.images)
    return replace(campaign, image_hashes=hashes)


def _refuse_not_yet(root: Mapping[str, Any], where: str) -> None:
    for path, what in grammar.NOT_YET.items():
        table, _, key = path.rpartition(".")
        inside = root.get(table, {}) if table else root
        if isinstance(inside, dict) and key in inside:
            raise InputError(f"{where}{path}", f"not yet: {what}", "a campaign without it")


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
        devices.append(CampaignDevice(id=read["id"], request=request))
    return tuple(devices)


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
