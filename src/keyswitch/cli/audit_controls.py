"""The controls of an audit: the sound device passes, and the one with the planted hole fails, in this process.

Started here, because an auditor knows no device from inside: it gets links to these as to any other.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, cast

from keyswitch import __version__
from keyswitch.audit.catalogue import Check
from keyswitch.audit.report.document import Control
from keyswitch.audit.run import Auditor, Permitted
from keyswitch.audit.target import Eye, Firmware, NotReachedError, Target
from keyswitch.audit.verdict import Found, Verdict
from keyswitch.device.server.components import Components
from keyswitch.errors import InputError
from keyswitch.extras import need
from keyswitch.files.reading import FileKind, read_file_if_there
from keyswitch.files.writing import replace_file
from keyswitch.link.air import clock
from keyswitch.policy.model import Policy, Value
from keyswitch.smp.commands import ALL_KEYS
from keyswitch.testing.holes.device import DeviceInProcess, MadeImage, NotDoneError
from keyswitch.testing.holes.table import holes_of

LIMIT_S: Final = 10_000_000
"""Of virtual time: every lease, lock-out and time limit of a policy fits in many times over."""

_CACHED: Final = FileKind(expected="controls that an earlier audit has run", max_size=10_000_000)
SOUND: Final = "sound device"


class _Hand:
    """Whoever is at a device in this process."""

    def __init__(self, device: DeviceInProcess) -> None:
        self._device = device

    async def set_input(self, name: str, value: Value) -> None:
        """Make an input read a value."""
        await self._device.set_input(name, value)

    async def hold_button(self, hold_ms: int) -> None:
        """Hold the button."""
        try:
            await self._device.hold_button(hold_ms)
        except NotDoneError as error:
            raise NotReachedError(str(error)) from error

    async def power_cycle(self) -> None:
        """Take the power away and give it back."""
        await self._device.power_cycle()

    async def bring(self, mode: str) -> None:
        """It tells its mode, and is brought by acts."""
        raise NotReachedError(f"the device does not tell that it is in mode {mode}")


def _firmware(made: MadeImage) -> Firmware:
    return Firmware(data=made.data, hash=made.hash, version=made.version)


def target_in_process(device: DeviceInProcess) -> Target:
    """What is audited, with everything that can be seen of it."""
    return Target(
        name=f"a device of {device.policy.origin} in this process",
        policy=device.policy,
        ways=device.ways,
        strategy=device.strategy,
        hand=_Hand(device),
        next=_firmware(device.next),
        good=_firmware(device.good),
        eye=Eye(look=device.look, decides=ALL_KEYS),
        max_wait_ms=LIMIT_S * 1000,
    )


def device_for(checks: Sequence[Check]) -> type[DeviceInProcess]:
    """What the checks can be tried on: about the GATT table only on a device with a radio.

    Raises:
        InputError: Bumble is not installed.
    """
    if not any(check.of_radio for check in checks):
        return DeviceInProcess
    need("bumble", "controls of the GATT table")
    from keyswitch.testing.holes.on_air import DeviceOnAir

    return DeviceOnAir


def not_controlled(checks: Sequence[Check]) -> str:
    """Which of these checks have no control on this computer, and why; empty where all have theirs."""
    of_radio = [check for check in checks if check.of_radio]
    try:
        device_for(of_radio)
    except InputError as error:
        return f"not run for {', '.join(check.id for check in of_radio)} ({error.problem})"
    return ""


def run_control(policy: Policy, checks: Sequence[Check], parts: Components | None = None) -> tuple[Found, ...]:
    """What the checks find on a device in this process, in virtual time."""
    make = device_for(checks)

    async def story() -> tuple[Found, ...]:
        async with make(policy, parts) as device:
            auditor = Auditor(
                target_in_process(device),
                checks,
                permitted=Permitted(irreversible=True, resets=True),
                say=lambda _text: None,
                progress=lambda _words, _step, _steps: None,
            )
            return tuple((await auditor.run()).found)

    return clock.run(story(), limit_s=LIMIT_S)


def controls(policy: Policy, checks: Sequence[Check]) -> dict[str, tuple[Control, ...]]:
    """Both controls of each check that has some on this computer (`not_controlled`)."""
    found: dict[str, tuple[Control, ...]] = {}
    if not_controlled(checks):
        checks = [check for check in checks if not check.of_radio]
    by_device = ([check for check in checks if check.of_radio is radio] for radio in (False, True))
    sound = {each.check: each.verdict for own in by_device if own for each in run_control(policy, own)}
    for check in checks:
        fine = {Verdict.PASS, Verdict.NOT_APPLICABLE}
        told = [Control(device=SOUND, verdict=sound[check.id], right=sound[check.id] in fine)]
        for hole in holes_of(check.id)[:1]:
            if not hole.can_be(policy):
                words = f"planted: {hole.name} (a device of this policy cannot have it)"
                told.append(Control(device=words, verdict=Verdict.NOT_APPLICABLE, right=True))
                continue
            (holed,) = run_control(policy, [check], hole.parts())
            found_it = holed.verdict is Verdict.FAIL
            told.append(Control(device=f"planted: {hole.name}", verdict=holed.verdict, right=found_it))
        found[check.id] = tuple(told)
    return found


def cached_controls(policy: Policy, checks: Sequence[Check]) -> tuple[dict[str, tuple[Control, ...]], str]:
    """The same, of an earlier audit with this program, policy and check where there was one; and the cache's hash."""
    path = _cache_file(policy)
    known = _read(path)
    missing = [check for check in checks if check.id not in known]
    if missing:
        known |= {check: [asdict(each) for each in both] for check, both in controls(policy, missing).items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(known, sort_keys=True).encode())
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    return {
        check.id: tuple(_control(each) for each in known[check.id]) for check in checks if check.id in known
    }, digest


def _control(values: Mapping[str, Any]) -> Control:
    read = Control(device=str(values["device"]), verdict=Verdict.PASS, right=bool(values["right"]))
    return replace(read, verdict=Verdict(values["verdict"]))


def _cache_file(policy: Policy) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "keyswitch" / "controls" / f"{__version__}-{policy.digest.hex()[:32]}.json"


def _read(path: Path) -> dict[str, Any]:
    data = read_file_if_there(path, _CACHED)
    try:
        known: Any = json.loads(data) if data else {}
    except ValueError:
        return {}  # what cannot be read was not run
    return cast("dict[str, Any]", known) if isinstance(known, dict) else {}
