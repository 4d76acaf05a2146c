"""A bench from what was asked for: every file is read and checked before a page is served."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from keyswitch.app.request import UpdateRequest
from keyswitch.app.update import prepare
from keyswitch.campaign.load import check_requests, read_campaign
from keyswitch.campaign.model import Campaign, CampaignDevice, CampaignFiles
from keyswitch.console.bench import Bench, BenchDevice
from keyswitch.console.desk import CampaignDesk
from keyswitch.errors import Field, InputError
from keyswitch.extras import need
from keyswitch.files.writing import unwritable
from keyswitch.link.targets import BleTarget, parse
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy
from keyswitch.private_files import open_directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A bench that is ready. Attributes: policy: of its devices; desk: of the campaign; None: there is none."""

    bench: Bench
    policy: Policy | None
    desk: CampaignDesk | None


def open_bench(
    targets: Sequence[str], *, near: str | None, request: UpdateRequest, records: Path, campaign: Path | None = None
) -> Opened:
    """The bench, with its files read and checked.

    Args:
        targets: of the devices that it begins with.
        near: the radio that is listened to for others; None: none.
        request: what to update each with, but for its target; without an image nothing can be installed.
        records: directory of the records; made if it is not there.
        campaign: file of the campaign that people steer; its devices are shown as well.

    Raises:
        InputError: there is no device and no radio, a device is named twice, or a file cannot be used.
    """
    several = None if campaign is None else _campaign(campaign)
    if not targets and near is None and several is None:
        raise InputError(Field("target"), "missing", "a device such as ble:NAME, or a radio to listen to")
    if near is not None and not isinstance(parse(near, anyone=True), BleTarget):
        raise InputError(Field("near", near), "is no radio", "ble: or hci:TRANSPORT")
    for number, target in enumerate(targets):
        parse(target)
        if target in targets[:number]:
            raise InputError(Field("target", target), "named twice")
    policy = read_policy(request.policy) if request.policy is not None else None
    if request.image is not None:
        prepare(replace(request, target=targets[0] if targets else "ble:any"))
    try:
        os.close(open_directory(records, make=True))
    except OSError as error:
        raise unwritable(str(records), error) from None
    listed: tuple[CampaignDevice, ...] = () if several is None else several.devices
    devices = [BenchDevice(request=each.request, name=each.id) for each in listed]
    known = {each.key for each in devices}
    given = [BenchDevice(request=replace(request, target=target)) for target in targets]
    bench = Bench(
        [*devices, *(each for each in given if each.key not in known)],
        radio=near,
        request=request,
        policy=policy,
        records=records,
        now_ms=lambda: round(time.time() * 1000),
    )
    desk = None
    if several is not None and campaign is not None:
        desk = CampaignDesk(several, CampaignFiles.of(campaign), bench)
    return Opened(bench=bench, policy=policy, desk=desk)


def _campaign(file: Path) -> Campaign:
    need("dbos", Field("campaign"))
    read = read_campaign(file)
    if read.scan is not None:
        raise InputError(str(file), "its devices are still to be found", "a file that lists them")
    return check_requests(read)
