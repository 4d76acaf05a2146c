"""A pump and its images, made once: a guest is slow at it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from keyswitch.testing.example import example_policy, write_example

FIRMWARE = bytes(range(256)) * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Pump:
    """Policy, keys and images.

    Attributes:
        policy: the example's text.
        folder: where its keys are.
        old: the image that runs at first, 1.0.0.
        new: the update, 1.1.0.
    """

    policy: str
    folder: Path
    old: Path
    new: Path

    def policy_file(self, name: str, *changes: tuple[str, str]) -> Path:
        """A policy that differs from the example by `changes`, each a text and what it becomes."""
        text = self.policy
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        path = self.folder / f"{name}.toml"
        path.write_text(text)
        return path


@pytest.fixture(scope="session")
def pump(tmp_path_factory: pytest.TempPathFactory) -> Pump:
    folder = tmp_path_factory.mktemp("pump") / "made"
    example = write_example(folder)
    payload = folder / "payload.bin"
    payload.write_bytes(FIRMWARE)
    old, new = example.sign(payload, "1.0.0"), example.sign(payload, "1.1.0")
    return Pump(policy=example_policy(), folder=folder, old=old, new=new)
