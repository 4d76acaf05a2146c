"""What is generated is what stands in docs; the schema judges as the loader does, as far as it can."""

import importlib.util
import json
import re
import tomllib
from types import ModuleType
from typing import Any

import pytest
from tests.policy.samples import PUMP_FILE, ROOT, SMALL
from tests.policy.test_load import WRONG

from keyswitch.policy.schema import SCHEMA_FILE, json_schema, reference, schema_document
from keyswitch.prove.liveness import LIVENESS
from keyswitch.prove.safety import SAFETY

DOCS = ROOT / "docs"
SCHEMA = json_schema()


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("file_references", DOCS / "file_references.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_docs_are_up_to_date() -> None:
    made = generator()
    page = (DOCS / "policy.md").read_text()
    assert page == made.guide("policy.md", page)
    assert reference() in page
    assert (DOCS / SCHEMA_FILE).read_bytes() == schema_document()


def test_the_docs_name_every_promise() -> None:
    page = (DOCS / "policy.md").read_text()
    for rule in (*SAFETY, *LIVENESS):
        assert f"| `{rule.name}` | {rule.promise} |" in page


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def right(schema: dict[str, Any], value: Any) -> bool:
    """As much of JSON Schema as ours uses."""
    if "anyOf" in schema:
        return any(right(each, value) for each in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    if not isinstance(value, TYPES[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean"):
        return False
    match value:
        case dict():
            return right_object(schema, value)
        case list():
            unique = len({json.dumps(each) for each in value}) == len(value)
            sized = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9)
            return unique and sized and all(right(schema["items"], each) for each in value)
        case str():
            sized = schema["minLength"] <= len(value) <= schema["maxLength"]
            return sized and re.search(schema.get("pattern", ""), value) is not None
        case bool():
            return True
        case _:
            least = schema.get("minimum", float("-inf")) <= value and value > schema.get(
                "exclusiveMinimum", float("-inf")
            )
            return least and value <= schema.get("maximum", float("inf"))


def right_object(schema: dict[str, Any], value: dict[str, Any]) -> bool:
    properties, more = schema.get("properties", {}), schema["additionalProperties"]
    if any(name not in value for name in schema.get("required", [])):
        return False
    for name, each in value.items():
        if "propertyNames" in schema and not right(schema["propertyNames"], name):
            return False
        if name in properties:
            if not right(properties[name], each):
                return False
        elif more is False or not right(more, each):
            return False
    return True


def toml(text: str) -> Any:
    """As an editor sees it: dates are strings there."""
    return json.loads(json.dumps(tomllib.loads(text), default=str))


def test_the_schema_accepts_what_the_loader_does() -> None:
    assert right(SCHEMA, toml(PUMP_FILE.read_text()))
    assert right(SCHEMA, toml(SMALL))
    for path in (ROOT / "examples" / "broken").glob("*.toml"):
        assert right(SCHEMA, toml(path.read_text())), path


SEEN_BY_EDITORS = (
    "another schema",
    "no schema",
    "unknown section",
    "unknown key",
    "no name",
    "two initial modes",
    "mode with a bad name",
    "input of no type",
    "int out of range",
    "unknown command",
    "no such direction",
    "allow twice",
    "allow is no list",
    "no allow",
    "lease of -1",
    "lease of 0",
    "lease that is a bool",
    "lease too long",
    "way from nothing",
    "unknown trigger",
    "unknown proof",
    "button as a proof",
    "secret without a file",
    "no transport",
    "unknown transport",
    "section that is no table",
)


@pytest.mark.parametrize("what", SEEN_BY_EDITORS)
def test_the_schema_sees_what_is_wrong_with_one_value(what: str) -> None:
    (old, new), _ = WRONG[what]
    assert not right(SCHEMA, toml(SMALL.replace(old, new)))
