"""Fresh environments with nothing in them but the built wheel and what it needs, pinned and hashed."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = ROOT / "build" / "install"


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
