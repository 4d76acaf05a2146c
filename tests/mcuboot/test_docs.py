import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def load_tables():
    spec = importlib.util.spec_from_file_location("boot_tables", DOCS / "boot_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["boot.md", "images.md"])
def test_the_pages_say_what_the_tables_say(page):
    tables = load_tables()
    text = (DOCS / page).read_text()
    assert "<!-- generated: " in text
    assert tables.renewed(text) == text, "run docs/boot_tables.py"
