"""SIGKILL at random moments of a device's life: it always starts again, runs a whole image, and has opened nothing.

The devices are processes of their own, forked from one that has imported everything, so that hundreds of deaths take
minutes. Each life goes on where the one before was ended: in the middle of an upload, of a swap, of a trial.
"""

import asyncio
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.integration.files import job_image

from keyswitch.demo.workshop import Workshop
from keyswitch.device.storage.state_dir import FLASH, SESSION
from keyswitch.errors import KeyswitchError
from keyswitch.gate.session import RESET_DELAY_MS
from keyswitch.host.access import mode_group
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer
from keyswitch.host.upload.uploader import Capacity, UploadProgress, upload
from keyswitch.link.udp import UdpLink
from keyswitch.panel.client import ask
from keyswitch.policy.bootloader import boot_config_of
from keyswitch.smp.groups import image
from keyswitch.smp.groups import os as os_group

STATE = (image.ID, image.Id.STATE)
LONGEST_LIFE_S = 0.5
"""A whole session takes about this long, the swap included."""
IN_THE_SWAP = 0.3
"""How many of the resets are followed by death between the session's record and the boot that takes it up. It would
seldom be met by chance: on a fast machine it is some milliseconds."""
SWAP_S = 0.02

NURSERY = """
import asyncio, json, os, signal, sys
from pathlib import Path
from keyswitch.device.process.process import DeviceOptions, serve

def say(event):
    os.write(1, json.dumps({"pid": os.getpid(), **event}, default=str).encode() + b"\\n")

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    given = json.loads(line)
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        say({"event": "born"})
        options = DeviceOptions(policy=Path(given["policy"]), state=Path(given["state"]),
                          first_image=Path(given["image"]),
                          ble="none", udp="127.0.0.1:0")
        asyncio.run(serve(options, say))
"""


class Nursery:
    """Where devices are born, and what they say."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(json.loads(line))
        self._said.put(None)

    def birth(self, given: dict[str, str]) -> int:
        """A new device's process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        return int(self.heard("born")["pid"])

    def heard(self, name: str, pid: int | None = None) -> dict[str, Any]:
        while True:
            event = self._said.get()
            assert event is not None, f"the nursery ended before {name!r}"
            if event["event"] == name and pid in {None, event["pid"]}:
                return event


@contextmanager
def nursery() -> Iterator[Nursery]:
    command = [sys.executable, "-c", NURSERY]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        try:
            yield Nursery(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # and every device that is still alive


@dataclass(slots=True)
class Lives:
    """One state directory, and what is known of it from outside.

    Attributes:
        sending: image that is being uploaded, and how much of it was acknowledged.
        seen: what happened, counted.
    """

    pump: Workshop
    state: Path
    nursery: Nursery
    chance: random.Random
    pid: int = 0
    sending: tuple[bytes, int] | None = None
    seen: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1

    def birth(self) -> int:
        given = {"policy": self.pump.policy_file, "state": self.state, "image": self.pump.old}
        self.pid = self.nursery.birth({name: str(path) for name, path in given.items()})
        return self.pid

    def has_record(self) -> bool:
        """Whether a session record lies in the state directory."""
        try:
            document = json.loads((self.state / SESSION).read_text())
        except FileNotFoundError:
            return False
        return document.get("record") is not None

    def acknowledged_is_there(self) -> bool:
        """Whether every whole block that was acknowledged lies in the flash."""
        if self.sending is None:
            return True
        content, off = self.sending
        layout = boot_config_of(self.pump.policy).layout
        slot = layout.pairs[0].secondary
        at = slot.offset + layout.upload_offset(slot)
        off -= off % layout.geometry.write_block
        return (self.state / FLASH).read_bytes()[at : at + off] == content[:off]

    async def session(self, udp: str, *, is_open: bool) -> None:
        """Everything that an operator does, from whatever is there; ended by death."""
        host, port = udp.rsplit(":", 1)
        client = SmpClient(await UdpLink.open(host, int(port)))
        try:
            while True:
                if is_open:  # on trial perhaps, or confirmed already
                    await client.write(*STATE, {"confirm": True})
                    await mode_group.leave(client)
                    is_open = False
                    self.count("gone on")
                await asyncio.to_thread(ask, self.state, {"do": "press", "hold_ms": 5_000})
                await self.update(client)
        finally:
            await client.close()

    async def running(self) -> str:
        status = await asyncio.to_thread(ask, self.state, {"do": "status"})
        return "" if status["running"] is None else str(status["running"]["hash"])

    async def update(self, client: SmpClient) -> None:
        running = await self.running()
        new = next(each for each in map(job_image, (self.pump.old, self.pump.new)) if each.hash.hex() != running)
        self.sending = None

        def acknowledged(progress: UploadProgress) -> None:
            self.sending = (new.data, progress.off)

        await upload(client, new.data, Capacity(frame=1_400, outstanding=3), on_progress=acknowledged)
        self.sending = None
        self.count("uploaded")
        assert isinstance(await client.write(*STATE, {"hash": new.hash}), Answer)
        assert isinstance(await client.write(os_group.ID, os_group.Id.RESET), Answer)
        if self.chance.random() < IN_THE_SWAP:
            after_s = RESET_DELAY_MS / 1000 + self.chance.random() * SWAP_S
            asyncio.get_running_loop().call_later(after_s, kill_at_last, self.pid)
        while await self.running() in {"", running}:  # noqa: ASYNC110 - the panel is asked, as a person would
            await asyncio.sleep(0.02)
        self.count("swapped")
        assert isinstance(await client.write(*STATE, {"confirm": True}), Answer)
        await mode_group.leave(client)
        self.count("left")


def live_and_die(lives: Lives, chance: random.Random) -> None:
    """One life, however short, and what it leaves behind."""
    recorded = lives.has_record()
    pid = lives.birth()
    if chance.random() < 0.2:
        threading.Event().wait(chance.random() * 0.1)  # in the middle of coming up
        lives.count("killed early")
    else:
        ready = lives.nursery.heard("ready", pid)
        status = ask(lives.state, {"do": "status"})
        assert status["running"]["version"] in {"1.0.0", "1.1.0"}
        is_open = status["gate"] == "open"
        assert recorded or not is_open, "open without a record"
        assert (status["mode"] == "maintenance") is is_open
        lives.count("came up open" if is_open else "came up shut")
        with suppress(TimeoutError, KeyswitchError):
            asyncio.run(until_death(lives, pid, ready["udp"], chance.random() * LONGEST_LIFE_S, is_open=is_open))
    kill_at_last(pid)
    await_death(pid)
    assert lives.acknowledged_is_there()
    lives.sending = None


async def until_death(lives: Lives, pid: int, udp: str, seconds: float, *, is_open: bool) -> None:
    asyncio.get_running_loop().call_later(seconds, kill_at_last, pid)
    async with asyncio.timeout(seconds + 0.01):
        await lives.session(udp, is_open=is_open)


def kill_at_last(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def await_death(pid: int) -> None:
    with suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            threading.Event().wait(0.001)


def kill(pump: Workshop, state: Path, times: int, seed: int) -> dict[str, int]:
    chance = random.Random(seed)
    with nursery() as born:
        lives = Lives(pump, state, born, chance)
        for _ in range(times):
            live_and_die(lives, chance)
        pid = lives.birth()
        lives.nursery.heard("ready", pid)
        os.kill(pid, signal.SIGKILL)
        return lives.seen


def test_killed_at_any_moment_it_comes_back_shut_and_whole(pump: Workshop, tmp_path: Path) -> None:
    seen = kill(pump, tmp_path, 5, 3)
    assert seen["came up shut"] > 0


@pytest.mark.deep
@pytest.mark.timeout(3_600)
def test_killed_five_hundred_times(pump: Workshop, tmp_path: Path, tell: Callable[[str], None]) -> None:
    seen = kill(pump, tmp_path, 500, 7)
    tell(f"500 kills: {', '.join(f'{what} {count}' for what, count in sorted(seen.items()))}")
    assert seen["came up shut"] > 100, seen
    assert min(seen.get(what, 0) for what in ("came up open", "killed early", "uploaded", "swapped", "left")) > 0, seen
