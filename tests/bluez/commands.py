"""Commands in the guest, as a person types them, and what the device says of itself afterwards."""

import json
import sys
from pathlib import Path
from typing import Any, Final

from tests.bluez.stack import NAME
from tests.rigs.process import run

from keyswitch.testing.device import DeviceUnderTest

UPDATE_MS: Final = 150_000
FOREIGN: Final = {"PYTHONPATH": "/opt/peers", "COLUMNS": "200", "NO_COLOR": "1"}


async def keyswitch(*arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    """Run our command: exit code, and the objects that it printed."""
    code, text = await run(sys.executable, "-m", "keyswitch", *arguments, "--json", timeout_ms=UPDATE_MS)
    said = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert said, text
    return code, said


async def smpmgr(*arguments: str | Path) -> str:
    """Run a foreign client; what it said. It must have gone well."""
    command = (sys.executable, "-m", "smpmgr", "--ble", NAME, "--timeout", "20", *arguments)
    code, text = await run(*command, timeout_ms=UPDATE_MS, env=FOREIGN)
    assert code == 0, text
    return text


def finished(device: DeviceUnderTest) -> tuple[str, str, bool]:
    """Mode, running version, and whether it is confirmed."""
    status = device.status()
    return status["mode"], status["running"]["version"], status["slots"][0]["confirmed"]
