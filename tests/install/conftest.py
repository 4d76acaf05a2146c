"""Fresh environments with nothing in them but the built wheel and what it needs, pinned and hashed."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = ROOT / "build" / "install"

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = [word.rpartition(" ")[2] for word in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", word)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`python`: each that this machine has. They are looked for only where one is used: every run collects this."""
    if "python" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--install")
        metafunc.parametrize("python", pythons() if asked else [sys.executable])


def pythons() -> list[str]:
    """Every Python of a declared version that this machine has: on PATH, or where pyenv keeps them."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    for version in DECLARED:
        kept = (Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python")  # a shim may stand for none
        for python in [*kept, shutil.which(f"python{version}")]:
            if python and not subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode:
                found.setdefault(version, str(python))
    return list(found.values())


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An environment that the wheel was installed into."""

    path: Path

    def command(self, name: str, *arguments: object) -> list[str]:
        return [str(self.path / "bin" / name), *map(str, arguments)]

    def run(self, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(name, *arguments), capture_output=True, text=True, check=False, cwd=self.path
        )

    def keyswitch(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self.run("keyswitch", *arguments)


Install = Callable[[str, str], Installed]


@pytest.fixture(scope="session")
def install() -> Install:
    """`install(REQUIREMENTS, PYTHON)`: made once in a run, never taken from an earlier one."""
    (wheel,) = (ROOT / "build" / "dist").glob("*.whl")
    made: dict[tuple[str, str], Installed] = {}

    def install(requirements: str, python: str = sys.executable) -> Installed:
        if (requirements, python) not in made:
            path = HERE / f"{requirements}-{len(made)}"
            shutil.rmtree(path, ignore_errors=True)
            subprocess.run([python, "-m", "venv", "--without-pip", str(path)], check=True)
            pip = [sys.executable, "-m", "pip", "--python", str(path / "bin" / "python"), "--disable-pip-version-check"]
            pinned = ROOT / "requirements" / f"{requirements}.txt"
            subprocess.run([*pip, "install", "-qq", "--require-hashes", "-r", str(pinned)], check=True)
            subprocess.run([*pip, "install", "-qq", "--no-deps", "--no-index", str(wheel)], check=True)
            subprocess.run([*pip, "check"], check=True)  # what is pinned is what the wheel asks for
            made[requirements, python] = Installed(path=path)
        return made[requirements, python]

    return install
