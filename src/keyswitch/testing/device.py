"""A device process under test: started, asked, turned, ended."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from keyswitch.errors import KeyswitchError
from keyswitch.panel.client import ask
from keyswitch.testing.example import Example, read_example, write_example

ENDS_WITHIN_S: Final = 5
LAST_LINES: Final = 20
"""Of what the device says to stderr, for when it does not start."""

LOG_LINES: Final = 200
"""Of what the device tells, for a test that fails."""

FIRST_VERSION: Final = "1.0.0"
FIRMWARE: Final = bytes(range(256)) * 64
"""16 KiB: enough for several chunks of any buffer, little enough to be uploaded in no time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUnderTest:
    """A running device.

    Attributes:
        policy: its policy file.
        state: its state directory.
        example: policy and keys that were made for it; None where the test brought its own.
        ready: the device's `ready` line.
        log: its last lines, as `keyswitch device --json` prints them, and what it says to stderr.
    """

    policy: Path
    state: Path
    example: Example | None
    ready: dict[str, Any]
    log: deque[str]

    @property
    def hci(self) -> str:
        """HCI transport by which a central in another process reaches the device's air."""
        return self._served("ble")

    @property
    def udp(self) -> str:
        """`HOST:PORT`."""
        return self._served("udp")

    @property
    def serial(self) -> Path:
        """Path of the pseudo-terminal."""
        return Path(self._served("serial"))

    def _served(self, transport: str) -> str:
        place = self.ready[transport]
        if place is None:
            raise KeyswitchError(f"this device does not serve {transport}: ask for it with {transport}=True")
        return str(place)

    def status(self) -> dict[str, Any]:
        """Mode, gate, lease, what runs and what the slots hold, as `keyswitch panel DIR status --json`."""
        return ask(self.state, {"do": "status"})

    def set(self, **inputs: object) -> None:
        """Set inputs: `device.set(motion=True)`."""
        for name, value in inputs.items():
            ask(self.state, {"do": "set", "name": name, "value": str(value)})

    def press(self, hold_s: float) -> None:
        """Hold the button."""
        ask(self.state, {"do": "press", "hold_ms": round(hold_s * 1000)})

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        ask(self.state, {"do": "advance", "ms": round(seconds * 1000)})

    def power_cycle(self) -> None:
        """Take the power away and give it back."""
        ask(self.state, {"do": "power-cycle"})

    def sign(self, firmware: bytes, version: str) -> Path:
        """A signed image of `firmware` that this device takes."""
        if self.example is None:
            raise KeyswitchError("the test brought its own policy: sign images with the key that it names")
        return self.example.sign(_firmware(self.policy.parent, firmware, version), version)


def make_pump(directory: Path) -> Path:
    """Make the example pump, its keys and its first image in `directory`; for `running_device(pump=...)`."""
    directory.mkdir(parents=True)
    write_example(directory).sign(_firmware(directory, FIRMWARE, FIRST_VERSION), FIRST_VERSION)
    return directory


@contextmanager
def running_device(
    directory: Path,
    *,
    policy: str | Path | None = None,
    image: str | Path | None = None,
    air: str = "",
    ble: bool | None = None,
    udp: bool | str = False,
    serial: bool = False,
    pump: Path | None = None,
) -> Generator[DeviceUnderTest]:
    """Run a device in `directory`, which is made.

    Args:
        directory: for everything that the device and its images need.
        policy: policy file; None: the example pump with keys of its own.
        image: what runs at first; needed with a policy of one's own.
        air: settings of the virtual air.
        ble: serve a virtual radio, for which Bumble is needed; None: if nothing else is served, or `air` is set.
        udp: serve UDP on a free port of this machine, or on `HOST:PORT`.
        serial: serve a pseudo-terminal.
        pump: what `make_pump` made, to be copied: making keys and images takes longer than starting a device.
    """
    example: Example | None = None
    if policy is None:
        shutil.copytree(pump, directory) if pump is not None else make_pump(directory)
        example = read_example(directory)
        image = image or example.image(FIRST_VERSION)
    else:
        directory.mkdir(parents=True)
    if image is None:
        raise KeyswitchError("a policy of one's own needs an image that it takes")
    policy_file = Path(policy) if policy is not None else directory / "policy.toml"
    state = directory / "state"
    command = [sys.executable, "-m", "keyswitch", "device", str(policy_file), "--state", str(state), "--json"]
    command += ["--image", str(image), "--air", air, "--virtual-time"]
    if not (ble if ble is not None else air or not (udp or serial)):
        command += ["--ble", "none"]
    if udp:
        command += ["--udp", udp if isinstance(udp, str) else "127.0.0.1:0"]
    command += ["--serial", str(directory / "tty")] if serial else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        said: deque[str] = deque(maxlen=LAST_LINES)
        log: deque[str] = deque(maxlen=LOG_LINES)
        errors = _reading(process.stderr, said, log)
        try:
            ready = _wait_until_ready(process, errors, said, log)
            _reading(process.stdout, log)
            yield DeviceUnderTest(policy=policy_file, state=state, example=example, ready=ready, log=log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _firmware(directory: Path, content: bytes, version: str) -> Path:
    payload = directory / f"firmware-{version}.bin"
    payload.write_bytes(content)
    return payload


def _wait_until_ready(
    process: subprocess.Popen[str], errors: threading.Thread, said: deque[str], log: deque[str]
) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    for line in process.stdout:
        log.append(line)
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "ready":
            return event
    errors.join(ENDS_WITHIN_S)
    raise KeyswitchError(f"the device did not start: {''.join(said).strip()}")


def _reading(output: IO[str] | None, *kept: deque[str]) -> threading.Thread:
    """Read on, so that the device never waits for a reader, and keep the last lines."""

    def read() -> None:
        for line in output or ():
            for each in kept:
                each.append(line)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread
