"""What is generated is what stands in docs, and it knows every key that the loader reads."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

from keyswitch.campaign.grammar import LISTS, RETRY, ROOT, SECTIONS
from keyswitch.campaign.schema import SCHEMA_FILE, json_schema, reference, schema_document

DOCS = Path(__file__).parents[2] / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("file_references", DOCS / "file_references.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_docs_are_up_to_date():
    page = (DOCS / "campaigns.md").read_text()
    assert page == generator().guide("campaigns.md", page)
    assert reference() in page
    assert (DOCS / SCHEMA_FILE).read_bytes() == schema_document()


def test_the_schema_has_every_key():
    schema = json.loads(schema_document())
    assert schema == json_schema()
    assert set(schema["properties"]) == set(ROOT.names)
    for name, table in SECTIONS.items():
        told = schema["properties"][name]
        assert set((told["items"] if name in LISTS else told)["properties"]) == set(table.names), name
    for each in schema["properties"]["retry"]["properties"].values():
        assert set(each["properties"]) == set(RETRY.names)
