"""What is left out of an installation is missed in one line, and by nothing that can do without it."""

import json
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from keyswitch.cli import main as cli
from keyswitch.demo.workshop import Workshop
from keyswitch.errors import Field, InputError
from keyswitch.exits import Exit
from keyswitch.extras import EXTRAS, need

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

WITHOUT = """
import contextlib, io, json, sys
for library in json.loads(sys.argv[1]):
    sys.modules[library] = None  # as if it were not installed
from keyswitch.cli.main import main
ends = []
for arguments in json.loads(sys.argv[2]):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            main(arguments)
        except SystemExit as end:
            ends.append([int(end.code), said.getvalue()])
print(json.dumps(ends))
"""

DEVICE_WITHOUT = """
import sys
sys.modules["bumble"] = None
from keyswitch.cli.main import main
main(sys.argv[1:])
"""

AWAY = "hci:tcp-client:127.0.0.1:9"
TRAY = """
campaign.name = "tray"
release.image = "{image}"
release.policy = "{policy}"
[[device]]
id = "P-1"
target = "udp:127.0.0.1:9"
"""
NO_PORT = "serial:/no/such/port"


def calls(pump: Workshop, at: Path) -> list[tuple[list[str], str, set[Exit]]]:
    """Each command: its arguments, the library it cannot do without, and how it may end where it has all it needs."""
    policy, new = str(pump.policy_file), str(pump.new)
    example = str(ROOT / "examples" / "pump" / "policy.toml")
    (at / "tray.toml").write_text(TRAY.format(image=new, policy=policy))
    (at / "no-traces.json").write_text('{"violations": []}')
    device = ["device", policy, "--image", new, "--state", str(at / "state")]
    return [
        (["demo", "--quiet"], "bumble", set()),
        ([*device], "bumble", set()),
        ([*device, "--ble", "usb:0"], "bumble", set()),
        (["scan", AWAY], "bumble", set()),
        (["status", f"{AWAY}#Pump 7"], "bumble", set()),
        (["update", f"{AWAY}#Pump 7", new], "bumble", set()),
        (["status", NO_PORT], "", {Exit.UNREACHABLE}),
        (["bonds", "list", new], "bumble", set()),
        (["smp", NO_PORT, "os", "echo"], "", {Exit.UNREACHABLE}),
        (["update", NO_PORT, new, "--unchecked"], "", {Exit.UNREACHABLE}),
        (["scan", "ble:", "--seconds", "0.1"], "", {Exit.NO, Exit.UNREACHABLE}),
        (["check", example], "", {Exit.YES}),
        (["check", example, "--replay", str(at / "no-traces.json")], "", {Exit.UNKNOWN}),
        (["explain", policy, "--mode", "normal", "--command", "image.upload"], "", {Exit.YES, Exit.NO}),
        (["diagram", policy, "-o", str(at / "modes.svg")], "", {Exit.YES}),
        (["diagram", policy, "-o", str(at / "modes.png")], "cairosvg", set()),
        (["export", "zephyr", example, "-o", str(at / "exported")], "", {Exit.YES}),
        (["init", str(at / "mine"), "--yes"], "", {Exit.YES}),
        (["keys", "new", str(at / "key.pem")], "", {Exit.YES}),
        (["permit", "show", new], "", {Exit.USAGE}),
        (["image", "show", new], "", {Exit.YES}),
        (["audit", "--list"], "", {Exit.YES}),
        (["audit", f"{AWAY}#Pump 7", "--policy", policy, "-o", str(at / "report")], "bumble", set()),
        (["evidence", "show", new], "", {Exit.NO, Exit.USAGE}),
        *(
            (["campaign", each, str(at / "tray.toml")], "dbos", set[Exit]())
            for each in ("run", "resume", "retry", "approve", "pause", "status", "abort")
        ),
        (["gateway", "north", "--database", "postgresql:///pumps"], "dbos", set()),
        (["campaign", "report", str(at / "tray.toml"), "-o", str(at / "tray.csv")], "dbos", set()),
        (["campaign", "check", str(at / "tray.toml")], "", {Exit.YES}),
        (["console", "udp:127.0.0.1:9"], "starlette", set[Exit]()),
        (["unit", "make", policy, "-o", str(at / "unit.hex")], "", {Exit.USAGE}),
        (["panel", str(at), "status"], "", {Exit.UNREACHABLE, Exit.USAGE}),
    ]


def without(libraries: Iterable[str], arguments: list[list[str]]) -> list[str]:
    """A command line that runs `keyswitch` with each of these arguments, where these libraries are not."""
    return [sys.executable, "-c", WITHOUT, json.dumps(list(libraries)), json.dumps(arguments)]


def ends_without(libraries: Iterable[str], arguments: list[list[str]]) -> list[tuple[int, str]]:
    """Exit code and stderr of each."""
    ran = subprocess.run(without(libraries, arguments), capture_output=True, text=True, check=True)
    return [(code, said) for code, said in json.loads(ran.stdout.splitlines()[-1])]


def test_every_command_says_what_to_install_or_does_without(pump: Workshop, tmp_path: Path) -> None:
    tried = calls(pump, tmp_path)
    assert {arguments[0] for arguments, _, _ in tried} == set(cli.COMMANDS)
    for (words, library, right), (code, said) in zip(
        tried, ends_without(EXTRAS, [words for words, _, _ in tried]), strict=True
    ):
        if library:
            assert code == Exit.USAGE, (words, said)
            assert f"{library} is not installed: install keyswitch[{EXTRAS[library].name}]" in said
            assert said.count("\n") == 1
        else:
            assert code in right, (words, said)
        assert "bug in keyswitch" not in said
    assert not (tmp_path / "state").exists(), "a device that cannot run has written something"


def test_a_device_without_a_radio_runs_without_bumble(pump: Workshop, tmp_path: Path) -> None:
    command = ["device", str(pump.policy_file), "--image", str(pump.old), "--state", str(tmp_path / "state"), "--json"]
    command += ["--ble", "none", "--udp", "127.0.0.1:0", "--serial", str(tmp_path / "tty")]
    device = [sys.executable, "-c", DEVICE_WITHOUT, *command]
    with subprocess.Popen(device, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = next(event for event in map(json.loads, process.stdout) if event["event"] == "ready")
        asked = [["status", f"udp:{ready['udp']}"], ["status", f"serial:{ready['serial']}"]]
        answered = ends_without(["bumble"], asked)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    assert process.returncode == Exit.YES
    assert [code for code, _ in answered] == [Exit.NO, Exit.NO], answered  # shut: the device said so itself


def test_a_button_on_a_pin_is_missed_before_anything_is_written(pump: Workshop, tmp_path: Path) -> None:
    policy = pump.policy_file.with_name("on-a-pin.toml")
    policy.write_text(pump.policy_file.read_text() + "\n[entry.button]\ngpio = 17\n")
    command = ["device", str(policy), "--image", str(pump.old), "--state", str(tmp_path / "state"), "--ble", "none"]
    line = f"keyswitch: {policy}: entry.button.gpio: gpiozero is not installed: install keyswitch[gpio]\n"
    assert ends_without(["gpiozero"], [command]) == [(Exit.USAGE, line)]
    assert not (tmp_path / "state").exists()


def test_the_extras_are_those_of_the_package() -> None:
    wanted = {
        library + (f"=={extra.version}" if extra.version else ""): extra.name for library, extra in EXTRAS.items()
    }
    declared = {
        requirement.split(">")[0]: name
        for name, requirements in PROJECT["optional-dependencies"].items()
        for requirement in requirements
    }
    assert wanted == declared
    assert not set(EXTRAS) & {requirement.split(">")[0] for requirement in PROJECT["dependencies"]}


def test_another_version_than_the_one_that_fits_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """smpmgr brings an older Bumble: where both are installed, ours must not try its luck with it."""
    monkeypatch.setattr("importlib.metadata.version", lambda _: "0.0.228")
    with pytest.raises(InputError) as refused:
        need("bumble", Field("ble", "virtual"))
    assert str(refused.value) == (
        "ble virtual: bumble 0.0.228 is installed, and only 0.0.236 fits: "
        "install keyswitch[virtual] in an environment of its own"
    )


def test_what_is_there_is_not_missed() -> None:
    need("bumble", Field("ble", "virtual"))
