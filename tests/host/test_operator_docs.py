import importlib.util
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from keyswitch.host.access.recipe_loader import load
from keyswitch.host.update.job import Outcome

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operator.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("operator_tables", DOCS / "operator_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_tables_say(tables: ModuleType):
    assert PAGE.count("<!-- generated: ") == len(tables.TABLES)
    assert tables.renewed(PAGE) == PAGE, "run docs/operator_tables.py"


def test_every_outcome_has_a_meaning(tables: ModuleType):
    assert set(tables.OUTCOMES) == set(Outcome)


def test_the_recipe_in_the_page_is_a_recipe():
    text = PAGE[PAGE.index("```toml\n") + len("```toml\n") :]
    text = text[: text.index("```")]
    recipe = load(text.encode(), name="operator.md")
    assert len(recipe.enter) == 2
    assert tomllib.loads(text)["schema"] == 1
