import importlib.util
import re
from pathlib import Path
from typing import get_args

from keyswitch.device.events import DeviceEvent, LiveEvent
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
    for kind in (*get_args(DeviceEvent), *get_args(LiveEvent)):
        assert f"\n| `{kind.NAME}` | " in text


def test_every_event_has_a_type():
    by_hand = {path.name for path in SOURCES.rglob("*.py") if re.search(r'"event": "', path.read_text())}
    assert by_hand == set()
