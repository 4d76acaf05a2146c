"""What an update of 160 kB waits for, from command to proved left: modelled air (15 ms, 2M), virtual time.

    python -m bench waits

The operator's controller is listened to: each span of time belongs to what ended it (an advertisement, a connection, an
answer), so that the rows add up to the whole run. Each has a reason in `WHY`; a wait without one is a mark missed.
Everything but the upload, the device's own delay before a reset and the swap has to fit into `LIMIT_MS`.
"""

import asyncio
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from keyswitch.gatt.att import CHARACTERISTIC, PRIMARY_SERVICE, AttOpcode, uuid_bytes
from keyswitch.gatt.services import DATABASE_HASH_UUID
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.policy_profile import expected_of
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.update.events import Ended, Event, StepBegun
from keyswitch.host.update.job import Job, JobImage, Outcome
from keyswitch.host.update.run import update
from keyswitch.link.air import clock
from keyswitch.link.air.settings import AirSettings
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.bumble.radio import Hci, Opener, on_air
from keyswitch.mcuboot.flash import TIMES_BY_PROFILE, BytesSource
from keyswitch.mcuboot.image import Image, parse_image
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_secret
from keyswitch.smp.groups import image, mode, os
from keyswitch.smp.header import Op as SmpOp
from keyswitch.testing.example import write_example
from keyswitch.testing.world import VirtualWorld
from keyswitch.timing.rules import Phy

PAYLOAD: Final = 160_000
"""Bytes of the firmware."""

LIMIT_MS: Final = 2_000
"""For everything but the rows of `OWN_TIME`."""

UPLOAD, RESET_DELAY, SWAP = "upload", "reset delay", "swap and boot"
OWN_TIME: Final = frozenset({UPLOAD, RESET_DELAY, SWAP})
"""What the image's size and the device take by themselves."""

WHY: Final = {
    "hear the device": "it is found by what it advertises now, never by an advertisement of before",
    "connect": "a connection begins at the device's next advertisement",
    "listen for namesakes": "a name that several devices have is refused; less what was done meanwhile",
    "agree on the MTU": "long writes make the upload fast; asked for on each connection",
    "Database Hash": "tells whether the GATT table is one that is known: then nothing is discovered",
    "discover services": "the device has two tables, and each is new once",
    "discover characteristics": "likewise",
    "subscribe": "answers are notifications; and a refusal says why a device would be silent",
    "correlation token": "what the device is known by from then on, instead of its name",
    "mode.state": "where the device is, asked over the connection that is up",
    "mode.challenge": "the device draws a number: a proof is good once, for this connection",
    "mode.enter": "the proof itself",
    "device ends the link": "it changes its GATT table only while nobody is connected",
    "image.state read": "what lies in the slots, asked while the gate is open",
    "image.slots": "whether the file fits",
    "os.params": "how many frames of which size may be under way",
    "os.echo": "whether a frame of that size arrives: some lines lose it",
    UPLOAD: "the image itself",
    "image.state write": "the mark before the reset, the confirmation after it",
    "os.reset": "asked for; the answer comes before it happens",
    RESET_DELAY: "250 ms in which the answer arrives, as in Zephyr",
    "device says goodbye": "the end of the link is evidence; without it the supervision timeout is, after 2 s",
    SWAP: "the bootloader's time",
    "mode.leave": "maintenance is over when the device says so",
}
"""Why each wait is needed."""

_COMMANDS: Final = {
    (mode.ID, mode.Id.STATE): "mode.state",
    (mode.ID, mode.Id.CHALLENGE): "mode.challenge",
    (mode.ID, mode.Id.ENTER): "mode.enter",
    (mode.ID, mode.Id.LEAVE): "mode.leave",
    (image.ID, image.Id.STATE): "image.state",
    (image.ID, image.Id.SLOTS): "image.slots",
    (image.ID, image.Id.UPLOAD): UPLOAD,
    (os.ID, os.Id.PARAMS): "os.params",
    (os.ID, os.Id.ECHO): "os.echo",
    (os.ID, os.Id.RESET): "os.reset",
}
_BY_TYPE: Final = {
    uuid_bytes(DATABASE_HASH_UUID): "Database Hash",
    uuid_bytes(PRIMARY_SERVICE): "discover services",
    uuid_bytes(CHARACTERISTIC): "discover characteristics",
}
_BY_OPCODE: Final = {
    AttOpcode.EXCHANGE_MTU_REQ: "agree on the MTU",
    AttOpcode.FIND_INFORMATION_REQ: "subscribe",
    AttOpcode.WRITE_REQ: "subscribe",
    AttOpcode.READ_REQ: "correlation token",
}
_COMMAND, _DATA, _EVENT = 1, 2, 4
_CONNECTED, _REPORT = b"\x3e\x01", b"\x3e\x02"
_SCAN_OFF = bytes.fromhex("0c200200")
"""HCI packets: Vol 4 Part A 2, Part E 7.7.65.1, 7.7.65.2 and 7.8.11."""


class Waits:
    """What was waited for, in milliseconds, by step and by what ended it."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], float] = {}
        self.at = 0.0
        self._step = ""
        self._asked = ""
        self._steps: set[str] = set()
        self._heard = False
        self._connected = False
        self._over = False
        self._length = 0
        self._rest = {True: 0, False: 0}

    def ended(self, what: str) -> None:
        """What was waited for since the last time has come."""
        now = asyncio.get_running_loop().time() * 1000
        if now > self.at and not self._over:
            self.rows[self._step, what] = self.rows.get((self._step, what), 0.0) + now - self.at
            self.at = now

    def on_event(self, event: Event) -> None:
        """The operator's step."""
        if isinstance(event, StepBegun):
            name = event.name.value
            self._step = f"{name}, again" if name in self._steps else name
            self._steps.add(name)
        self._over = isinstance(event, Ended)

    def on_device(self, event: dict[str, Any]) -> None:
        """What happens at the device."""
        if event["event"] == "reset":
            self.ended(RESET_DELAY)
        elif event["event"] == "boot":
            self.ended(SWAP)

    def to_controller(self, packet: bytes) -> None:
        """A packet of the operator's host."""
        if packet[0] == _COMMAND and packet[1:4] == _SCAN_OFF[:3] and packet[4] == 0 and self._connected:
            self.ended("listen for namesakes")
        elif packet[0] == _DATA and (pdu := self._att(packet, sent=True)):
            if pdu[0] == AttOpcode.WRITE_CMD:
                self._smp(pdu[3:], sent=True)
            elif pdu[0] in (AttOpcode.READ_BY_TYPE_REQ, AttOpcode.READ_BY_GROUP_TYPE_REQ):
                self._asked = _BY_TYPE[pdu[5:]]
            elif pdu[0] != AttOpcode.CONFIRMATION:
                self._asked = _BY_OPCODE[AttOpcode(pdu[0])]

    def to_host(self, packet: bytes) -> None:
        """A packet of the operator's controller."""
        if packet[0] == _EVENT:
            self._hci(packet)
        elif packet[0] == _DATA and (pdu := self._att(packet, sent=False)):
            if pdu[0] == AttOpcode.NOTIFICATION:
                self._smp(pdu[3:], sent=False)
            else:
                self.ended(self._asked)

    def _hci(self, packet: bytes) -> None:
        code = packet[1:2] + packet[3:4]
        if code == _CONNECTED:
            self._connected = True
            self.ended("connect")
        elif code == _REPORT and not self._connected and not self._heard:
            self._heard = True
            self.ended("hear the device")
        elif packet[1] == 0x05:  # Disconnection Complete: Vol 4 Part E 7.7.5
            self._connected = self._heard = False
            self._rest = {True: 0, False: 0}
            self.ended("device says goodbye" if self._step == "reset" else "device ends the link")

    def _att(self, packet: bytes, *, sent: bool) -> bytes:
        """The ATT PDU that begins in this packet, as far as it is in it; nothing from other channels and packets."""
        handle, _, length, channel = struct.unpack_from("<HHHH", packet, 1)
        continues = handle >> 12 & 3 == 1
        if continues or channel != 4:
            return b""
        pdu = packet[9:]
        if pdu[0] in (AttOpcode.WRITE_CMD, AttOpcode.NOTIFICATION) and self._rest[sent] > 0:
            self._rest[sent] -= length - 3
            return b""  # the rest of a frame
        self._length = length - 3
        return pdu

    def _smp(self, value: bytes, *, sent: bool) -> None:
        if len(value) < 8:
            return  # the state characteristic's notifications are no frames
        op, _, length, group, _, command = struct.unpack_from("!BBHHBB", value)
        self._rest[sent] = 8 + length - self._length
        what = _COMMANDS.get((group, command))
        if not sent and what is not None:
            way = (" read" if op & 7 == SmpOp.READ_RESPONSE else " write") if what == "image.state" else ""
            self.ended(what + way)


class _Tap:
    """Stands between a host and its controller."""

    def __init__(self, controller: Any, waits: Waits) -> None:
        self.controller, self.waits = controller, waits
        self.host: Any = None

    def set_packet_sink(self, host: Any) -> None:
        """Bumble's hook: where the controller's packets go."""
        self.host = host
        self.controller.set_packet_sink(_FromController(self))

    def on_packet(self, packet: bytes) -> None:
        """From the host."""
        self.waits.to_controller(packet)
        self.controller.on_packet(packet)


class _FromController:
    def __init__(self, tap: _Tap) -> None:
        self.tap = tap

    def on_packet(self, packet: bytes) -> None:
        """From the controller."""
        self.tap.waits.to_host(packet)
        self.tap.host.on_packet(packet)


def tapped(opener: Opener, waits: Waits) -> Opener:
    """The same controller, listened to."""

    async def opened() -> Hci:
        way = await opener()
        tap = _Tap(way.source, waits)
        return Hci(tap, tap, way.close)

    return opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The pump's policy, and its firmware before and after."""

    policy: Policy
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run: what the flash costs, and when the command is given, which is where the device's advertising stands."""

    flash: str = "none"
    seed: int = 0
    after_ms: int = 0


CASES: Final = (
    Case(),
    *(Case(seed=seed, after_ms=37 * seed) for seed in range(1, 8)),
    Case(flash="nrf52840"),
)


def run() -> dict[str, object]:
    """Measure every case; print the table of the first."""
    with tempfile.TemporaryDirectory() as directory:
        files = prepare(Path(directory))
        found = {case: measure(case, files) for case in CASES}
    table(found[CASES[0]])
    for case, rows in found.items():
        print(f"flash {case.flash}, advertising {case.seed}: {beyond_ms(rows)} ms besides {own_words(rows)}")
    missed = [f"{case}: {line}" for case, rows in found.items() for line in misses(rows)]
    return {"waits": as_cells(found[CASES[0]]), "missed": missed}


def as_cells(rows: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    """The rows as build/bench.json and its page have them."""
    return [{"step": step, "what": what, "ms": ms, "why": WHY.get(what, "?")} for (step, what), ms in rows.items()]


def prepare(directory: Path) -> Files:
    """The pump's files, with a firmware of 160 kB."""
    payload = directory / "payload.bin"
    payload.write_bytes(bytes(range(256)) * (PAYLOAD // 256))
    example = write_example(directory)
    old, new = (example.sign(payload, version).read_bytes() for version in ("1.0.0", "1.1.0"))
    return Files(policy=example.policy, old=old, new=new)


def measure(case: Case, files: Files) -> dict[tuple[str, str], int]:
    """Milliseconds by step and wait, of one run."""
    waits = clock.run(_updated(case, files), limit_s=3600)
    return {row: round(ms) for row, ms in waits.rows.items()}


def beyond_ms(rows: dict[tuple[str, str], int]) -> int:
    """What the run took besides its upload, the reset delay and the swap."""
    return sum(ms for (_, what), ms in rows.items() if what not in OWN_TIME)


def misses(rows: dict[tuple[str, str], int]) -> list[str]:
    """What is wrong with these waits."""
    beyond = beyond_ms(rows)
    unexplained = sorted({what for _, what in rows} - WHY.keys())
    return [f"{beyond} ms, at most {LIMIT_MS}"] * (beyond > LIMIT_MS) + [f"why {what}?" for what in unexplained]


def own_words(rows: dict[tuple[str, str], int]) -> str:
    """What the upload, the reset delay and the swap took."""
    own = {name: sum(ms for (_, what), ms in rows.items() if what == name) for name in (UPLOAD, RESET_DELAY, SWAP)}
    return ", ".join(f"{name} {ms}" for name, ms in own.items())


def table(rows: dict[tuple[str, str], int]) -> None:
    """Print the waits of one run."""
    print(f"{'step':24}{'wait':26}{'ms':>6}  why it is needed")
    for (step, what), ms in rows.items():
        print(f"{step:24}{what:26}{ms:>6}  {WHY.get(what, '?')}")


SECTION: Final = """
## What a whole update waits for, in virtual time

An image of 160 kB over the modelled radio (15 ms, 2M), from the command to proved left, as `python -m bench waits`
prints it: each span of time belongs to what ended it, so the rows add up to the run. Everything but the upload, the
device's own delay before its reset and the swap takes at most two seconds, wherever the device's advertising stands.
"""
"""How the page's part begins (docs/bench.md)."""


def page_table(cells: list[dict[str, Any]]) -> list[str]:
    """The lines of the page's table."""
    rows = [f"| {each['step']} | {each['what']} | {each['ms']} | {each['why']} |" for each in cells]
    total_ms = sum(each["ms"] for each in cells)
    return ["| step | wait | ms | why it is needed |", "|---|---|---|---|", *rows, f"| | all of it | {total_ms} | |"]


async def _updated(case: Case, files: Files) -> Waits:
    secret = read_secret(files.policy)
    air = AirSettings(interval_us=15_000, phy=Phy.LE_2M, data_length=251, seed=case.seed)
    data = files.new
    parsed = parse_image(BytesSource(data))
    if not isinstance(parsed, Image):
        raise TypeError(parsed.line)
    way = ModeGroupStrategy("maintenance", Secret(secret), expected=expected_of(files.policy))
    job = Job(images=(JobImage(data=data, hash=parsed.hash, version=str(parsed.version)),), way=way)
    waits = Waits()
    flash = TIMES_BY_PROFILE[case.flash]
    world = VirtualWorld(files.policy, files.old, secret=secret, air=air, flash_times=flash, report=waits.on_device)
    async with world as here:
        await asyncio.sleep(case.after_ms / 1000)
        waits.at = asyncio.get_running_loop().time() * 1000
        adapter = BumbleAdapter(tapped(on_air(here.air, "operator"), waits), address="C8:00:00:00:00:01")
        endpoint = BleEndpoint(adapter, target="air:pump", name=files.policy.device.name)
        result = await update(endpoint, job, sink=waits.on_event)
        await endpoint.close()
    if result.outcome is not Outcome.CONFIRMED:
        raise RuntimeError(result.line)
    if abs(sum(waits.rows.values()) - result.duration_ms) > 50:
        raise RuntimeError(f"the waits do not add up to the run: {waits.rows}")
    return waits
