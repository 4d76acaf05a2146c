"""The wheel in fresh environments: bare, with its extras, with the lowest versions it allows, and beside smpmgr."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.install.conftest import ROOT, Install, Installed

import keyswitch

pytestmark = pytest.mark.install

UDP = "127.0.0.13:1337"
"""smpmgr knows no other port; nobody else is at this address."""


@contextmanager
def device(at: Installed, directory: Path) -> Iterator[dict[str, Any]]:
    """A device without a radio, from a policy that `init` starts; its `ready` line."""
    made = at.keyswitch("init", directory, "--yes", "--transport", "udp", "--transport", "serial")
    assert made.returncode == 0, made.stderr
    payload, image, key = directory / "firmware.bin", directory / "1.0.0.bin", directory / "keys" / "image.pem"
    payload.write_bytes(bytes(4096))
    signed = at.run("imgtool", "sign", "-k", key, "--header-size", "0x200", "--pad-header", "--align", "4",
                    "--slot-size", "0x70000", "--version", "1.0.0", payload, image)  # fmt: skip
    assert signed.returncode == 0, signed.stderr
    words = ["device", directory / "policy.toml", "--image", image, "--state", directory / "state", "--json"]
    words += ["--ble", "none", "--udp", UDP, "--serial", directory / "tty"]
    with subprocess.Popen(at.command("keyswitch", *words), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield next(event for event in map(json.loads, process.stdout) if event["event"] == "ready")
        process.send_signal(signal.SIGTERM)


def test_bare_it_works_without_a_radio_and_says_what_demo_needs(install: Install, tmp_path: Path, python: str) -> None:
    bare = install("bare", python)
    assert bare.keyswitch("--version").stdout == f"keyswitch {keyswitch.__version__}\n"
    checked = bare.keyswitch("check", ROOT / "examples" / "pump" / "policy.toml")
    assert checked.returncode == 0, checked.stderr
    with device(bare, tmp_path / "pump") as ready:
        asked = bare.keyswitch("status", f"udp:{ready['udp']}")
        assert asked.returncode == 1, asked.stderr  # the gate is shut: the device said so itself
    demo = bare.keyswitch("demo")
    assert (demo.returncode, demo.stdout) == (2, "")
    assert demo.stderr == "keyswitch: the demo's radio: bumble is not installed: install keyswitch[virtual]\n"


def test_what_is_no_code_is_there_too(install: Install) -> None:
    bare = install("bare", sys.executable)
    (package,) = bare.path.glob("lib/python*/site-packages/keyswitch")
    schema = (ROOT / "docs" / "policy.schema.json").read_bytes()
    assert (package / "policy" / "policy.schema.json").read_bytes() == schema
    assert (package / "py.typed").exists()
    assert {each.name for each in (bare.path / "share/man/man1").iterdir()} >= {"keyswitch.1", "keyswitch-update.1"}


def test_with_virtual_the_whole_story_is_told(install: Install, python: str) -> None:
    told = install("runtime", python).keyswitch("demo", "--quiet")
    assert told.returncode == 0, told.stdout + told.stderr


def test_with_all_extras_a_picture_is_drawn(install: Install, tmp_path: Path) -> None:
    drawn = install("all", sys.executable).keyswitch(
        "diagram", ROOT / "examples" / "pump" / "policy.toml", "-o", tmp_path / "modes.png"
    )
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "modes.png").read_bytes().startswith(b"\x89PNG")


def test_with_the_lowest_versions_that_it_allows_the_whole_story_is_told(install: Install) -> None:
    """Ranges begin where it works: of imgtool too, which signs the images of the story."""
    lowest = install("lowest", sys.executable)
    assert "2.2.0" in lowest.run("imgtool", "version").stdout
    told = lowest.keyswitch("demo", "--quiet")
    assert told.returncode == 0, told.stdout + told.stderr


def test_beside_smpmgr_both_work(install: Install, tmp_path: Path) -> None:
    """smpmgr pins another Bumble: ours is not asked for, and theirs is not taken for ours."""
    both = install("beside", sys.executable)
    with device(both, tmp_path / "pump") as ready:
        for theirs, ours in (
            (("--ip", UDP.partition(":")[0]), f"udp:{UDP}"),
            (("--port", ready["serial"]), f"serial:{ready['serial']}"),
        ):
            echoed = both.run("smpmgr", *theirs, "--timeout", "10", "os", "echo", "hello")
            assert echoed.returncode == 0, echoed.stdout + echoed.stderr
            assert "hello" in echoed.stdout
            asked = both.keyswitch("status", ours)
            assert asked.returncode == 1, asked.stderr
    demo = both.keyswitch("demo")
    assert demo.returncode == 2
    assert "install keyswitch[virtual]" in demo.stderr
