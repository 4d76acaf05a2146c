"""The policy language for editors (JSON Schema, draft 2020-12) and for people (the reference in `docs/policy.md`).

Both are made from `policy.grammar`, which the loader reads by: they cannot say anything else than it does.
"""

import json
from typing import Any, Final

from keyswitch.policy.grammar import SECTIONS
from keyswitch.schema.tables import REQUIRED, TomlKey, TomlTable
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
    properties: dict[str, Any] = {key.name: _key(key) for key in table.keys}
    required = [key.name for key in table.keys if key.default is REQUIRED]
    for name in table.tables:
        properties[name] = _inner(f"{place}.{name}" if place else name)
    if not place:
        required += ["device", "modes"]
    told: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if table.doc:
        told["description"] = table.doc
    return {**told, "required": required} if required else told


def _inner(place: str) -> dict[str, Any]:
    if f"{place}.*" in SECTIONS:
        each = _table(f"{place}.*", SECTIONS[f"{place}.*"])
        return {"type": "object", "additionalProperties": each, "propertyNames": NAME.schema()}
    if f"{place}[]" in SECTIONS:
        return {"type": "array", "items": _table(f"{place}[]", SECTIONS[f"{place}[]"])}
    return _table(place, SECTIONS[place])


def _key(key: TomlKey) -> dict[str, Any]:
    return {**key.kind.schema(), "description": key.doc}


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
    lines = [f"### `{title}`" if place else "### At the top", ""]
    if table.doc:
        lines += [table.doc, ""]
    lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{key.name}` | {_cell(key.kind.expected)} | {_default(key)} | {_cell(key.doc)} |" for key in table.keys
    ]
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(key: TomlKey) -> str:
    if key.default is REQUIRED:
        return "**required**"
    if key.default_text:
        return key.default_text
    match key.default:
        case bool():
            return f"`{str(key.default).lower()}`"
        case int():
            return f"`{key.default}`"
        case str():
            return f'`"{key.default}"`'
        case _:
            return "none"
