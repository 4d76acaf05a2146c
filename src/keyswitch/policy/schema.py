"""The policy language for editors (JSON Schema, draft 2020-12) and for people (the reference in `docs/policy.md`).

Both are made from `policy.grammar`, which the loader reads by: they cannot say anything else than it does.
"""

import json
from typing import Any, Final

from keyswitch.policy.grammar import SECTIONS
from keyswitch.schema.describe import table_reference, table_schema
from keyswitch.schema.tables import TomlTable
from keyswitch.schema.value_types import NAME

SCHEMA_FILE: Final = "policy.schema.json"
"""What the schema's file is called in a wheel, in `docs/` and beside a policy that `keyswitch init` starts."""


def schema_document() -> bytes:
    """The content of that file."""
    return (json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n").encode()


def json_schema() -> dict[str, Any]:
    """The whole language, but not whether parts fit each other (a way to a mode that exists): the loader says that."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Keyswitch policy",
        "description": "When a device's firmware may change, and who may change it.",
        **_table("", SECTIONS[""]),
    }


def _table(place: str, table: TomlTable) -> dict[str, Any]:
    inner = {name: _inner(f"{place}.{name}" if place else name) for name in table.tables}
    return table_schema(table, inner, () if place else ("device", "modes"))


def _inner(place: str) -> dict[str, Any]:
    if f"{place}.*" in SECTIONS:
        each = _table(f"{place}.*", SECTIONS[f"{place}.*"])
        return {"type": "object", "additionalProperties": each, "propertyNames": NAME.schema()}
    if f"{place}[]" in SECTIONS:
        return {"type": "array", "items": _table(f"{place}[]", SECTIONS[f"{place}[]"])}
    return _table(place, SECTIONS[place])


def reference() -> str:
    """The reference as Markdown: one table for each part of the file."""
    parts = [_section(place, table) for place, table in SECTIONS.items() if table.keys]
    return "\n".join(parts)


def _section(place: str, table: TomlTable) -> str:
    title = place.replace(".*", ".NAME").replace("[]", "") if place else "at the top"
    if place.endswith("[]"):
        title = f"[[{title}]]"
    elif place:
        title = f"[{title}]"
    return table_reference(f"`{title}`" if place else "At the top", table)
