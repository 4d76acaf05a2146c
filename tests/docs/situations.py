"""Situations that people end up in, each brought about; the page shows what the commands say there.

`python -m tests.docs.situations` writes the table of docs/troubleshooting.md; a test compares the page with it.
"""

import contextlib
import io
import re
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tests.host import behaviours
from tests.host.images import make_image
from tests.host.smp_peer import PeerAir, SmpPeer
from tests.host.udp_peer import UdpPeerThread

from keyswitch.cli.main import main
from keyswitch.host.report.evidence_file import append, close
from keyswitch.testing.device import DeviceUnderTest, running_device

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
BEGIN, END = "<!-- generated: situations -->\n", "<!-- end -->\n"

OLD, NEW = make_image("1.0.0"), make_image("1.1.0")
AWAY = {"timeout_ms": 200, "smp_shown": False, "ours": False}
"""So long a device is waited for here; ten seconds in the program."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a command said. Attributes: says: what is; next: what to do; code: exit code."""

    says: str
    next: str
    code: int


def told_by(*arguments: object) -> Told:
    """Run a command and take apart what it says; what differs from run to run is left out."""
    out, error = io.StringIO(), io.StringIO()
    code: object = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int)
    lines = [_settled(line) for line in (out.getvalue() + error.getvalue()).splitlines()]
    next_steps = [line.removeprefix("next: ") for line in lines if line.startswith("next: ")]
    says = [line for line in lines if not line.startswith(("next: ", "mode: ", "slot ", "slots: "))]
    return Told(says="; ".join(says), next="; ".join(next_steps), code=code)


def _settled(line: str) -> str:
    line = re.sub(r"127\.0\.0\.1:[0-9]+", "HOST:PORT", line.removeprefix("keyswitch: "))
    line = re.sub(r"[0-9]+:[0-9a-f]{64}", "N:HASH", line)
    line = re.sub(r"\b[0-9a-f]{16}\b", "…", line)
    return re.sub(r"\b[0-9]+ ms\b", "N ms", line)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where situations happen. Attributes: pump: a real device process, over UDP; directory: for files."""

    pump: DeviceUnderTest
    directory: Path

    @property
    def target(self) -> str:
        return f"udp:{self.pump.udp}"

    def file(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path

    def image(self) -> Path:
        """An image that anybody may have; the device is never reached with it where that matters."""
        return self.file("new.bin", NEW.data)

    def policy(self, name: str, old: str, new: str) -> Path:
        """Another revision of the device's policy, beside its keys."""
        path = self.pump.policy.with_name(name)
        text = self.pump.policy.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return path

    def update(self, *options: object) -> Told:
        """An update of the pump; its image's signature does not matter."""
        return told_by("update", self.target, self.image(), "--unchecked", "--quiet", *options)


@contextlib.contextmanager
def served(**settings: Any) -> Generator[UdpPeerThread]:
    """Another device, without a policy unless it is said, behind a socket."""
    with UdpPeerThread(lambda: SmpPeer(OLD, **{"reset_ms": 20, "boot_ms": 20, **settings})) as peer:
        yield peer


def without_policy(place: Place) -> Told:
    return told_by("status", place.target)


def with_policy(place: Place) -> Told:
    return told_by("status", place.target, "--policy", place.pump.policy)


def in_motion(place: Place) -> Told:
    place.pump.set(motion="true")
    told = place.update("--policy", place.pump.policy)
    place.pump.set(motion="false")
    return told


def battery_low(place: Place) -> Told:
    place.pump.set(battery_percent="12")
    told = told_by("status", place.target)
    place.pump.set(battery_percent="100")
    return told


def no_way_in(place: Place) -> Told:
    return place.update()


def another_revision(place: Place) -> Told:
    policy = place.policy("revised.toml", "idle_s = 120", "idle_s = 110")
    return told_by("status", place.target, "--policy", policy)


def another_device(place: Place) -> Told:
    policy = place.policy("other.toml", 'name = "Pump 7"', 'name = "Pump 8"')
    return told_by("status", place.target, "--policy", policy)


def wrong_secret(place: Place) -> Told:
    secret = place.file("other.hmac", b"0" * 64)
    secret.chmod(0o600)
    return place.update("--policy", place.pump.policy, "--secret", secret)


def locked_out(place: Place) -> Told:
    for _ in range(20):
        told = wrong_secret(place)
        if "locked out" in told.says:
            place.pump.power_cycle()
            return told
    raise AssertionError("nobody was locked out")


def probed(place: Place) -> Told:
    del place
    with served(gated=False, mode_group=False) as peer:
        return told_by("status", peer.target)


def open_without_policy(place: Place) -> Told:
    with served(gated=False, mode_group=False) as peer:
        return told_by("status", peer.target, "--policy", place.pump.policy)


def no_mode_group(place: Place) -> Told:
    with served(gated=False, mode_group=False) as peer:
        peer.peer.veto = lambda _op, group, _command, _body: {"rc": 8} if group == 1 else None
        image = place.image()
        return told_by("update", peer.target, image, "--policy", place.pump.policy, "--unchecked", "--quiet")


def no_images(place: Place) -> Told:
    del place
    with served(gated=False, mode_group=False) as peer:
        peer.peer.veto = lambda _op, group, _command, _body: {"rc": 8} if group == 1 else None
        return told_by("status", peer.target)


def vetoed(place: Place) -> Told:
    with served(gated=False, mode_group=False) as peer:
        peer.peer.hook = lambda _off: {"rc": 11}
        return told_by("update", peer.target, place.image(), "--quiet")


def on_trial(place: Place) -> Told:
    del place
    with UdpPeerThread(behaviours.on_trial_of_old) as peer:
        return told_by("status", peer.target)


def older(place: Place) -> Told:
    with served(gated=False, mode_group=False) as peer:
        return told_by("update", peer.target, place.file("old.bin", make_image("0.9.0").data), "--quiet")


def too_large(place: Place) -> Told:
    with served(gated=False, mode_group=False, slot_size=8_192) as peer:
        return told_by("update", peer.target, place.image(), "--quiet")


def owned(place: Place) -> Told:
    del place
    with served(owned=True) as peer:
        peer.peer.mode = "maintenance"
        return told_by("status", peer.target)


def silent_line(place: Place) -> Told:
    del place
    with (
        served() as peer,
        mock.patch("keyswitch.host.connect.packet_endpoint.PacketEndpoint.connect.__kwdefaults__", AWAY),
    ):
        peer.peer.silent = True
        return told_by("status", peer.target)


def not_heard(place: Place) -> Told:
    del place
    with (
        mock.patch("keyswitch.app.endpoints.open_adapter", return_value=PeerAir()),
        mock.patch("keyswitch.host.connect.ble_endpoint.BleEndpoint.connect.__kwdefaults__", AWAY),
    ):
        return told_by("status", "ble:Pump 7")


def evidence_cut(place: Place) -> Told:
    path = place.directory / "open.jsonl"
    append(path, at="2026-11-22T12:00:00Z", clock="bench 3", kind="update begun", body={})
    return told_by("evidence", "verify", path)


def evidence_unsigned(place: Place) -> Told:
    path = place.directory / "unsigned.jsonl"
    begun = append(path, at="2026-11-22T12:00:00Z", clock="bench 3", kind="update begun", body={})
    append(path, at="2026-11-22T12:00:00Z", clock="bench 3", kind="update ended", body={"run": begun.n})
    close(path, at="2026-11-22T12:00:01Z", clock="bench 3")
    return told_by("evidence", "verify", path)


def evidence_changed(place: Place) -> Told:
    path = place.directory / "changed.jsonl"
    append(path, at="2026-11-22T12:00:00Z", clock="bench 3", kind="update begun", body={"who": "ann"})
    path.write_bytes(path.read_bytes().replace(b"ann", b"bob"))
    return told_by("evidence", "verify", path)


SITUATIONS: dict[str, dict[str, tuple[str, Callable[[Place], Told]]]] = {
    "The gate is shut": {
        "The device is in normal operation": ("status TARGET", without_policy),
        "The same, and you have its policy": ("status TARGET --policy", with_policy),
        "You have said no way in": ("update TARGET IMAGE", no_way_in),
        "Something moves": ("update TARGET IMAGE --policy", in_motion),
        "The battery is low": ("status TARGET", battery_low),
        "Somebody else has the session": ("status TARGET", owned),
        "The key is another device's": ("update TARGET IMAGE --policy --secret", wrong_secret),
        "Too many wrong proofs": ("update TARGET IMAGE --policy --secret", locked_out),
    },
    "It is not the device that you mean": {
        "The device has an older or newer policy file": ("status TARGET --policy", another_revision),
        "Another device has the address": ("status TARGET --policy", another_device),
        "The device is open and has no policy": ("status TARGET --policy", open_without_policy),
        "The device has no mode group": ("update TARGET IMAGE --policy", no_mode_group),
    },
    "A device without a policy": {
        "Nothing refused so far": ("status TARGET", probed),
        "The running program takes no images": ("status TARGET", no_images),
        "The application refuses uploads": ("update TARGET IMAGE", vetoed),
        "Another image runs on trial": ("status TARGET", on_trial),
    },
    "The image": {
        "It is older than what runs": ("update TARGET IMAGE", older),
        "It does not fit": ("update TARGET IMAGE", too_large),
    },
    "Nobody answers": {
        "Over UDP or a serial line": ("status udp:HOST:PORT", silent_line),
        "Over Bluetooth LE": ('status "ble:Pump 7"', not_heard),
    },
    "Evidence": {
        "A run that was killed, or records cut off": ("evidence verify FILE", evidence_cut),
        "Nobody signed": ("evidence verify FILE", evidence_unsigned),
        "Somebody changed a record": ("evidence verify FILE", evidence_changed),
    },
}


@contextlib.contextmanager
def place() -> Generator[Place]:
    """A device and a directory."""
    with tempfile.TemporaryDirectory() as directory, running_device(Path(directory) / "pump", udp=True) as pump:
        yield Place(pump=pump, directory=Path(directory))


def tables(here: Place) -> str:
    """Everything, as the page shows it."""
    parts: list[str] = []
    for title, rows in SITUATIONS.items():
        lines = [
            f"### {title}",
            "",
            "| What happened | Command | It says | Next | Exit code |",
            "|---|---|---|---|---|",
        ]
        for what, (command, bring_about) in rows.items():
            told = bring_about(here)
            lines.append(f"| {what} | `{command}` | {_cell(told.says)} | {_cell(told.next)} | {told.code} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def renewed(page: str, here: Place) -> str:
    """The page with its tables as they are now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables(here)}\n\n{END}{after}"


if __name__ == "__main__":
    with place() as somewhere:
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), somewhere), encoding="utf-8")
