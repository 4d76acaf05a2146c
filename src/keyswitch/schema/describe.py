"""A table of a language for editors (JSON Schema, draft 2020-12) and for people (Markdown)."""

from typing import Any

from keyswitch.schema.tables import REQUIRED, TomlKey, TomlTable


def table_schema(table: TomlTable, inner: dict[str, Any], more_required: tuple[str, ...] = ()) -> dict[str, Any]:
    """A table as JSON Schema.

    Args:
        table: which.
        inner: the schemas of the tables inside it, by name.
        more_required: tables that have to be there.
    """
    properties = {key.name: {**key.kind.schema(), "description": key.doc} for key in table.keys}
    required = [*(key.name for key in table.keys if key.default is REQUIRED), *more_required]
    told: dict[str, Any] = {"type": "object", "properties": {**properties, **inner}, "additionalProperties": False}
    if table.doc:
        told["description"] = table.doc
    return {**told, "required": required} if required else told


def table_reference(heading: str, table: TomlTable) -> str:
    """A table as a section in Markdown."""
    lines = [f"### {heading}", ""]
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
