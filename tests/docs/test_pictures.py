"""The pictures that are committed are those that the commands draw."""

from pathlib import Path

import pytest
from tests.docs.pictures import DRAWN_BY, PICTURES, draw


@pytest.mark.parametrize("name", DRAWN_BY)
def test_a_picture_is_what_its_command_draws(name: str, tmp_path: Path) -> None:
    assert draw(name, tmp_path) == (PICTURES / name).read_bytes(), "run python -m tests.docs.pictures"


def test_every_picture_has_its_command() -> None:
    assert {path.name for path in PICTURES.glob("*.svg")} == set(DRAWN_BY)
