"""The pictures of README and docs, drawn by the product's own commands.

`python -m tests.docs.pictures` draws them anew; with `--run`, from a new run: a pump on its virtual radio, updated
once, recorded in docs/img/run.jsonl. A test compares what is committed with what the commands draw now.
"""

import platform
import sys
import tempfile
from pathlib import Path
from typing import Final
from unittest import mock

from tests.docs.consoles import DOCS, ROOT, Command, Place

PICTURES: Final = DOCS / "img"
RECORD: Final = PICTURES / "run.jsonl"
DRAWN_BY: Final = {
    "modes.svg": f"keyswitch diagram {ROOT}/examples/pump/policy.toml -o modes.svg",
    "run.svg": f"keyswitch evidence chart {RECORD} -o run.svg",
}
TARGET: Final = "hci:tcp-client:127.0.0.1:6402#My pump"
RUN: Final = (
    "keyswitch device pump/policy.toml --state pump/state --image pump-1.0.0.bin --ble virtual:6402 &",
    "keyswitch panel pump/state set motion=false",
    f'keyswitch update "{TARGET}" pump-1.1.0.bin --policy pump/policy.toml --evidence run.jsonl --quiet',
)


def draw(name: str, directory: Path) -> bytes:
    """What the command draws now."""
    _do(Place(directory), DRAWN_BY[name])
    return (directory / name).read_bytes()


def record_run() -> None:
    """Record a new run."""
    with (
        tempfile.TemporaryDirectory() as name,
        Place(Path(name)) as place,
        mock.patch("getpass.getuser", return_value="ann"),
        mock.patch.object(platform, "node", return_value="bench"),
    ):
        place.prepare()
        for line in RUN:
            _do(place, line)
        RECORD.write_bytes((place.directory / "run.jsonl").read_bytes())


def _do(place: Place, line: str) -> None:
    code, said = place.run(Command(written=line, code=0, shown=[], line=0, height=1))
    assert code == 0, "\n".join(said)


if __name__ == "__main__":
    if "--run" in sys.argv:
        record_run()
    with tempfile.TemporaryDirectory() as made:
        for picture in DRAWN_BY:
            (PICTURES / picture).write_bytes(draw(picture, Path(made)))
