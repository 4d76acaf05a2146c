"""The tutorial's commands, run in order as they stand there, by a shell of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
COMMAND = re.compile(r"^\$ (.*?)(?: +# exit code (\d+))?$", re.MULTILINE)
PORT = "6402"
READY_S = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def commands() -> list[tuple[str, int]]:
    blocks = re.findall(r"```sh\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    return [(command, int(code or 0)) for block in blocks for command, code in COMMAND.findall(block)]


def test_every_command_does_what_the_page_says(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    port = str(free_port())
    ran = 0
    devices: list[subprocess.Popen[bytes]] = []
    try:
        for written, expected in commands():
            command = written.replace(PORT, port)
            if command.endswith(" &"):
                devices.append(
                    subprocess.Popen(
                        ["bash", "-c", f"exec {command[:-2]}"], cwd=tmp_path, env=environment, process_group=0
                    )
                )
                deadline = time.monotonic() + READY_S
                while not (tmp_path / "pump/state/panel.sock").exists():
                    assert time.monotonic() < deadline, "the device is not ready"
                    time.sleep(0.1)
                continue
            shell = ["bash", "-c", command]
            done = subprocess.run(
                shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=280
            )
            assert done.returncode == expected, f"{command}\n{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr
            ran += 1
    finally:
        for device in devices:
            os.killpg(device.pid, signal.SIGTERM)
            device.wait(10)
    assert ran > 10
