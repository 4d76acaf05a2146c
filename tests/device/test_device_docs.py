import importlib.util
import re
from pathlib import Path
from typing import get_args

from keyswitch.device.events import DeviceEvent
from keyswitch.device.storage import event_log, state_dir
from keyswitch.panel.protocol import SOCKET

DOCS = Path(__file__).parents[2] / "docs"
SOURCES = Path(state_dir.__file__).parents[1]


def test_the_page_says_what_the_tables_say():
    spec = importlib.util.spec_from_file_location("device_tables", DOCS / "device_tables.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    text = (DOCS / "device.md").read_text()
    assert text.count("<!-- generated: ") == len(tables.TABLES)
    assert tables.renewed(text) == text, "run docs/device_tables.py"


def test_every_file_of_the_state_directory_is_explained():
    text = (DOCS / "device.md").read_text()
    names = [getattr(state_dir, name) for name in ("LOCK", "FLASH", "SESSION", "BONDS", "COUNTERS", "SERIAL")]
    for name in (*names, SOCKET):
        assert f"| `{name}` |" in text
    assert f"| `{event_log.CURRENT}`, " in text
    for kind in (event_log.CONTINUED, event_log.DAMAGED, event_log.RESUMED):
        assert f"(`{kind}`)" in text


def test_every_event_is_explained():
    text = (DOCS / "device.md").read_text()
    told = {name for path in SOURCES.rglob("*.py") for name in re.findall(r'"event": "([a-z-]+)"', path.read_text())}
    assert {"ready", "boot", "mode", "reset"} <= told
    told |= {kind.NAME for kind in get_args(DeviceEvent)}
    hand_made, generated = (part.split("\n\n")[0] for part in text.split("| `event` |")[1:])
    table = hand_made + generated.partition("\n")[2]
    assert told == set(re.findall(r"`([a-z-]+)`", "".join(line.split("|")[1] for line in table.splitlines()[2:])))
