"""Device and operator as processes of their own: killed without warning, given bad input, told to end."""

import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.device.server_rig import packet
from tests.docs.consoles import settled
from tests.docs.json_reference import DEVICE_EVENTS, PRINTED
from tests.docs.transcript import observed, scenes, transcript
from tests.shapes import faults

from keyswitch import private_files
from keyswitch.cli.main import main
from keyswitch.demo.workshop import Workshop
from keyswitch.device.process import process as device_process
from keyswitch.device.storage.state_dir import StateDir
from keyswitch.exits import Exit
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.link.targets import BleTarget, open_adapter
from keyswitch.panel.client import ask
from keyswitch.schema.output import SCHEMA_VERSION
from keyswitch.testing.imgtool import make_keys, sign

KEYSWITCH = [sys.executable, "-m", "keyswitch"]

WITHIN_S = 120
"""Bound for what hangs; it does not measure how busy the machine is."""

OPERATOR = """
import asyncio, sys
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.link.targets import BleTarget, open_adapter

async def hold():
    reach = BleEndpoint(open_adapter(BleTarget(text="t", transport=sys.argv[1])), target="t", name="Pump 7")
    connection = await reach.connect()
    print("connected", flush=True)
    await asyncio.sleep(60)

asyncio.run(hold())
"""


SHAPES = {shape.NAME: shape for shape in DEVICE_EVENTS}


class Device:
    """A device process and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.ready = self.wait_for("ready")

    def wait_for(self, name: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            assert event.pop("schema_version") == SCHEMA_VERSION
            assert faults(event, SHAPES[event["event"]]) == []
            if event["event"] == name:
                return event
        raise AssertionError(f"the device ended before {name!r}")


@contextmanager
def device(pump: Workshop, state: Path, *more: str) -> Iterator[Device]:
    command = [*KEYSWITCH, "device", str(pump.policy_file), "--state", str(state), "--image", str(pump.old), "--json"]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Device(process)
        finally:
            process.kill()


def connect_and_lose(transport: str, act: Any) -> str | None:
    """Connect, do `act`, and see how the link ends; None if it does not."""

    async def story() -> str | None:
        adapter = open_adapter(BleTarget(text="test", transport=transport))
        endpoint = BleEndpoint(adapter, target="test", name="Pump 7")
        connection = await endpoint.connect()
        act()
        why = await connection.wait_closed(WITHIN_S * 1000)
        await adapter.close()
        return why

    return asyncio.run(story())


def test_a_killed_device_is_missed_and_starts_again_as_it_was(pump: Workshop, tmp_path: Path) -> None:
    with device(pump, tmp_path) as first:
        address = first.ready["address"]
        assert connect_and_lose(first.ready["ble"], first.process.kill) is not None
    with device(pump, tmp_path) as again:
        assert (again.ready["mode"], again.ready["address"]) == ("normal", address)
        assert ask(tmp_path, {"do": "status"})["running"]["version"] == "1.0.0"


def test_a_killed_operator_is_missed_within_the_supervision_timeout(pump: Workshop, tmp_path: Path) -> None:
    with device(pump, tmp_path) as served:
        operator = [sys.executable, "-c", OPERATOR, served.ready["ble"]]
        with subprocess.Popen(operator, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "connected\n"
            served.wait_for("connected")
            process.kill()
            began = time.monotonic()
            served.wait_for("disconnected")
            assert time.monotonic() - began < WITHIN_S
        why = connect_and_lose(served.ready["ble"], lambda: ask(tmp_path, {"do": "power-cycle"}))
        assert why is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_device_that_is_told_to_end_ends_well(pump: Workshop, tmp_path: Path, number: signal.Signals) -> None:
    with device(pump, tmp_path) as served:
        served.process.send_signal(number)
        assert served.process.wait(WITHIN_S) == Exit.YES
    assert not (tmp_path / "panel.sock").exists()


def ask_from_a_new_port(address: str) -> bool:
    """Whether a stranger's datagram is answered."""
    host, port = address.rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.settimeout(WITHIN_S)
        stranger.sendto(packet(2, 0, 0, {"d": "hi"}), (host, int(port)))
        return bool(stranger.recv(2_000))


def make_it_talk(state: Path, times: int) -> None:
    """Power cycles: the device says each time what boots."""
    for _ in range(times):
        ask(state, {"do": "power-cycle"})


def test_a_reader_that_stops_reading_holds_nobody_up_and_hears_what_it_has_missed(
    pump: Workshop, tmp_path: Path
) -> None:
    """The device says more than pipe and room hold together."""
    with device(pump, tmp_path, "--ble", "none", "--udp", "127.0.0.1:0") as served:
        make_it_talk(tmp_path, 700)
        assert ask_from_a_new_port(served.ready["udp"])
        assert ask(tmp_path, {"do": "set", "name": "motion", "value": "true"})["mode"] == "active"
        assert served.wait_for("left-out")["events"] > 100
        assert ask(tmp_path, {"do": "set", "name": "motion", "value": "false"})["mode"] == "normal"
        served.wait_for("mode")
        served.process.terminate()
        assert served.process.wait(WITHIN_S) == Exit.YES


def test_a_full_output_does_not_keep_a_device_from_ending(pump: Workshop, tmp_path: Path) -> None:
    with device(pump, tmp_path, "--ble", "none", "--udp", "127.0.0.1:0") as served:
        make_it_talk(tmp_path, 350)
        served.process.terminate()
        assert served.process.wait(WITHIN_S) == Exit.YES


def test_a_reader_that_goes_away_leaves_a_device_that_serves(pump: Workshop, tmp_path: Path) -> None:
    with device(pump, tmp_path, "--ble", "none", "--udp", "127.0.0.1:0") as served:
        assert served.process.stdout is not None
        served.process.stdout.close()
        for moving in ("true", "false", "true"):
            assert ask_from_a_new_port(served.ready["udp"])
            ask(tmp_path, {"do": "set", "name": "motion", "value": moving})
        assert ask(tmp_path, {"do": "status"})["mode"] == "active"
        served.process.terminate()
        assert served.process.wait(WITHIN_S) == Exit.YES


def unplug(pump: Workshop, state: Path, *more: str) -> Device:
    """A device on a port that is pulled out."""
    far, near = os.openpty()
    with device(pump, state, "--ble", "none", "--serial", os.ttyname(near), *more) as served:
        os.close(near)
        os.close(far)
        lost = served.wait_for("transport-lost")
        assert lost["transport"] == "serial"
        if more:
            assert ask(state, {"do": "status"})["mode"] == "normal"
            served.process.terminate()
        served.process.wait(WITHIN_S)
        return served


def test_a_device_goes_on_without_a_port_that_is_unplugged_unless_it_was_its_only_way(
    pump: Workshop, tmp_path: Path
) -> None:
    assert unplug(pump, tmp_path, "--udp", "127.0.0.1:0").process.returncode == Exit.YES
    assert unplug(pump, tmp_path).process.returncode == Exit.UNREACHABLE


def says(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run a command in this process; its exit code and what it said to stderr."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert isinstance(end.value.code, int)
    return end.value.code, capfd.readouterr().err.strip()


def unsigned(pump: Workshop, directory: Path) -> Path:
    path = directory / "raw.bin"
    path.write_bytes(b"\x00" * 4096)
    return path


def signed_by_another_key(pump: Workshop, directory: Path) -> Path:
    payload, image = directory / "payload.bin", directory / "foreign.bin"
    payload.write_bytes(b"\x55" * 4096)
    sign(make_keys(directory), payload, "1.0.0", pump.policy.bootloader.slot_size, image)
    return image


def truncated(pump: Workshop, directory: Path) -> Path:
    path = directory / "short.bin"
    path.write_bytes(pump.old.read_bytes()[:-100])
    return path


def too_large(pump: Workshop, directory: Path) -> Path:
    path = directory / "large.bin"
    path.write_bytes(pump.old.read_bytes() + bytes(pump.policy.bootloader.slot_size))
    return path


def missing(pump: Workshop, directory: Path) -> Path:
    return directory / "nowhere.bin"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (unsigned, "would not run this image"),
        (signed_by_another_key, "signature"),
        (truncated, "would not run this image"),
        (too_large, "too large"),
        (missing, "No such file"),
    ],
)
def test_an_image_that_would_not_run_is_one_clear_line(
    pump: Workshop, tmp_path: Path, capfd: pytest.CaptureFixture[str], make: Any, problem: str
) -> None:
    image = make(pump, tmp_path)
    code, line = says(capfd, "device", str(pump.policy_file), "--state", str(tmp_path / "state"), "--image", str(image))
    assert code == Exit.USAGE
    assert str(image) in line
    assert problem in line
    assert "\n" not in line
    assert not (tmp_path / "state" / "flash.bin").exists()


def policy_with(pump: Workshop, directory: Path, old: str, new: str) -> Path:
    text = pump.policy_file.read_text()
    assert old in text
    (directory / "keys").symlink_to(pump.policy_file.parent / "keys")
    path = directory / "policy.toml"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("idle_s = 120", "idel_s = 120", "modes.maintenance.idel_s"),
        ("lease_s = 900", 'lease_s = "long"', "modes.maintenance.lease_s"),
        ('key = "keys/root-ec-p256.pub.pem"', 'key = "policy.toml"', "this is not a key"),
        ('key = "keys/root-ec-p256.pub.pem"', 'key = "keys/none.pem"', "none.pem"),
        ("slot_size = 458752", "slot_size = 458753", "bootloader.slot_size"),
    ],
)
def test_a_wrong_policy_is_one_clear_line(
    pump: Workshop, tmp_path: Path, capfd: pytest.CaptureFixture[str], old: str, new: str, problem: str
) -> None:
    policy = policy_with(pump, tmp_path, old, new)
    code, line = says(capfd, "device", str(policy), "--state", str(tmp_path / "state"), "--image", str(pump.old))
    assert code == Exit.USAGE
    assert problem in line
    assert "\n" not in line


def test_other_bad_input_is_one_clear_line(pump: Workshop, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    policy, image = str(pump.policy_file), str(pump.old)
    state = str(tmp_path / "state")
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    for arguments, problem in (
        (("device", policy, "--state", state, "--image", image, "--ble", f"virtual:{port}"), "in use"),
        (("device", str(tmp_path / "none.toml"), "--state", state), "none.toml"),
        (("device", policy, "--state", state), "--image FILE"),
        (("device", policy, "--state", state, "--image", image, "--air", "intervall_ms=15"), "interval_ms?"),
        (("device", policy, "--state", state, "--image", image, "--ble", "real"), "virtual"),
        (("device", policy, "--state", state, "--image", image, "--ble", "virtual:x"), "no port"),
        (("device", policy, "--state", state, "--image", image, "--ble", "vrtual"), "virtual[:PORT], none, or an HCI"),
        (("device", policy, "--state", state, "--image", image, "--ble", "usb"), "usb:PARAMETERS"),
        (("device", policy, "--state", state, "--image", image, "--serial", "/dev/ttyUSB99"), "there is no such port"),
        (("device", policy, "--state", state, "--image", image, "--flash", "fast"), "nrf52840"),
        (("device", policy, "--state", state, "--image", image, "--capture", str(tmp_path / "no" / "f")), "--capture"),
        (("device", policy, "--state", state, "--image", image, "--ble", "none", "--capture", "f"), "no radio"),
        (("panel", str(tmp_path / "none"), "status"), "no such state directory"),
    ):
        code, line = says(capfd, *arguments)
        assert code == Exit.USAGE, line
        assert problem in line
        assert "\n" not in line
        assert not (tmp_path / "state" / "flash.bin").exists()
    taken.close()
    with StateDir.open(tmp_path / "held"):
        code, line = says(capfd, "device", policy, "--state", str(tmp_path / "held"), "--image", image)
    assert (code, f"in use by process {os.getpid()}" in line) == (Exit.USAGE, True)
    code, line = says(capfd, "panel", str(tmp_path), "status")
    assert (code, "no running device" in line) == (Exit.UNREACHABLE, True)


def test_what_the_system_refuses_is_one_clear_line_and_no_bug(
    pump: Workshop, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as root, whom nothing is forbidden."""

    def forbidden(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def full(*_: Any, **_how: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    state = str(tmp_path / "state")
    start = ("device", str(pump.policy_file), "--state", state, "--image", str(pump.old), "--ble", "none")
    for place, refuse, arguments, problem in (
        (Path, ("exists", forbidden), start, "Permission denied"),
        (device_process, ("install_first_images", full), start, "No space left on device"),
        (private_files, ("open_directory", forbidden), ("panel", state, "status"), "Permission denied"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(place, *refuse)
            code, line = says(capfd, *arguments)
        assert code == Exit.USAGE, line
        assert line.startswith(f"keyswitch: {state}")
        assert problem in line
        assert "\n" not in line


def test_the_demo_goes_as_expected_and_sums_up_in_one_line(tmp_path: Path) -> None:
    payload = tmp_path / "firmware.bin"
    payload.write_bytes(bytes(range(256)) * 64)
    command = [*KEYSWITCH, "demo", "--json", "--payload", str(payload)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == Exit.YES, done.stdout[-2000:] + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    story = dict(zip(("begins", "progress", "step", "step_ended", "summary"), PRINTED["keyswitch demo"], strict=True))
    assert {event["event"] for event in events} == story.keys()
    for event in events:
        assert event.pop("schema_version") == SCHEMA_VERSION
        assert faults(event, story[event["event"]]) == []
    summary = events[-1]
    assert (summary["event"], summary["ok"]) == ("summary", True)
    assert len(summary["steps"]) >= 12
    assert summary["image_bytes"] > 16 * 1024
    assert 0 < summary["upload_bytes_per_second"] <= summary["link_bound_bytes_per_second"]
    told = scenes(transcript())
    for step in summary["steps"]:
        shown, said = observed(told[step["name"]]), step["observed"]
        assert settled(shown) == settled(said), "run python -m tests.docs.transcript"
