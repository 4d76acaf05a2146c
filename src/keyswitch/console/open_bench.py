"""A bench from what was asked for: every file is read and checked before a page is served."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from keyswitch.app.request import UpdateRequest
from keyswitch.app.update import prepare
from keyswitch.console.bench import Bench, BenchDevice
from keyswitch.errors import Field, InputError
from keyswitch.files.writing import unwritable
from keyswitch.link.targets import BleTarget, parse
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy
from keyswitch.private_files import open_directory


def open_bench(
    targets: Sequence[str], *, near: str | None, request: UpdateRequest, records: Path
) -> tuple[Bench, Policy | None]:
    """The bench, and the policy of its devices.

    Args:
        targets: of the devices that it begins with.
        near: the radio that is listened to for others; None: none.
        request: what to update each with, but for its target; without an image nothing can be installed.
        records: directory of the records; made if it is not there.

    Raises:
        InputError: there is no device and no radio, a device is named twice, or a file cannot be used.
    """
    if not targets and near is None:
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
    bench = Bench(
        [BenchDevice(request=replace(request, target=target)) for target in targets],
        radio=near,
        request=request,
        policy=policy,
        records=records,
        now_ms=lambda: round(time.time() * 1000),
    )
    return bench, policy
