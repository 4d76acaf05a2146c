"""The language of campaign files for editors (JSON Schema) and for people (the reference in `docs/campaigns.md`).

Both are made from `campaign.grammar`, which the loader reads by: they cannot say anything else than it does.
"""

import json
from typing import Any, Final

from keyswitch.campaign.grammar import LISTS, RETRY, ROOT, SECTIONS, RetryOn
from keyswitch.schema.describe import table_reference, table_schema

SCHEMA_FILE: Final = "campaign.schema.json"
"""What the schema's file is called in `docs/`."""


def schema_document() -> bytes:
    """The content of that file."""
    return (json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n").encode()


def json_schema() -> dict[str, Any]:
    """The whole language, but not whether parts fit each other: the loader says that."""
    inner: dict[str, Any] = {}
    for name in ROOT.tables:
        if name == "retry":
            each = {word.value: table_schema(RETRY, {}) for word in RetryOn}
            inner[name] = {"type": "object", "properties": each, "additionalProperties": False}
        else:
            one = table_schema(SECTIONS[name], {})
            inner[name] = {"type": "array", "items": one} if name in LISTS else one
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Keyswitch campaign",
        **table_schema(ROOT, inner, ("campaign", "release")),
    }


def reference() -> str:
    """The reference as Markdown: one table for each part of the file."""
    parts = [table_reference("At the top", ROOT)]
    for name, table in SECTIONS.items():
        title = f"[[{name}]]" if name in LISTS else f"[{name}]"
        parts.append(table_reference(f"`{title}`", table))
    words = ", ".join(f"`{word.value}`" for word in RetryOn)
    parts.append(table_reference("`[retry.OUTCOME]`", RETRY).replace("\n\n|", f" OUTCOME is {words}.\n\n|", 1))
    return "\n".join(parts)
