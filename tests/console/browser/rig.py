"""A console with real devices behind it, and real browsers before it."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from playwright.sync_api import Browser, Page, Playwright

from keyswitch.demo.workshop import Workshop
from keyswitch.panel.client import ask

CHROMIUM = "/usr/bin/chromium"
"""Debian's: a browser that a test tool brings would be another one on each machine."""

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Nothing of the browser's own goes to a network: what does is the page's."""

NARROW = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}


def browser(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)


@dataclass(frozen=True, kw_only=True)
class Console:
    """A console that runs. Attributes: url: its first page; process: its own; told: what it printed first."""

    url: str
    process: "subprocess.Popen[str]"
    told: dict[str, Any]


@contextlib.contextmanager
def ended(command: Sequence[str]) -> Generator["subprocess.Popen[str]"]:
    """A process of ours, which is asked to end with the test."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def console(targets: Sequence[str], directory: Path, *options: str, listen: str = "127.0.0.1:0") -> Generator[Console]:
    """A console for these devices; ended with the test."""
    command = [sys.executable, "-m", "keyswitch", "console", *targets, "--json", "--listen", listen]
    command += ["--records", str(directory / "records"), *options]
    with ended(command) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield Console(url=told["url"], process=process, told=told)


def certificate(directory: Path) -> tuple[str, ...]:
    """A certificate that nobody vouches for, as options."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (directory / "bench.pem").write_bytes(made.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "bench.key.pem").write_bytes(private)
    return (
        "--certificate",
        str(directory / "bench.pem"),
        "--certificate-key",
        str(directory / "bench.key.pem"),
    )


def hold(page: Page, name: str) -> None:
    """Press a button, and keep it pressed until it is full."""
    button = page.get_by_role("button", name=name)
    box = button.bounding_box()
    assert box is not None
    button.scroll_into_view_if_needed()
    button.hover()
    page.mouse.down()
    page.wait_for_timeout(1_400)
    page.mouse.up()


@contextlib.contextmanager
def device(pump: Workshop, state: Path, *options: str, image: Path | None = None) -> Generator[str]:
    """A device that runs over UDP, at rest and with a full battery; its target."""
    command = [sys.executable, "-m", "keyswitch", "device", str(pump.policy_file), "--state", str(state), "--json"]
    command += ["--image", str(image or pump.old), "--ble", "none", "--udp", "127.0.0.1:0", "--virtual-time", *options]
    with ended(command) as process:
        assert process.stdout is not None
        address = next(told["udp"] for told in map(json.loads, process.stdout) if told["event"] == "ready")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        ask(state, {"do": "set", "name": "motion", "value": "false"})
        ask(state, {"do": "set", "name": "battery_percent", "value": "90"})
        yield f"udp:{address}"


def moves(state: Path, *, is_true: bool) -> None:
    ask(state, {"do": "set", "name": "motion", "value": str(is_true).lower()})
