"""What every JSON object that goes out has in common: its version, and how it is written.

Rules:

* Every object has `schema_version`. A new key leaves it as it is; a key that goes, or means something else, raises it.
* A time is in `_ms`, a rate in `_bytes_per_second`; `gate`, `reason`, `detail`, `next_step` mean the same everywhere.
* What is not known is null, and its key is there all the same.

An object's shape stands beside what makes it, as a `TypedDict` or an event's dataclass. `docs/reference/json.md` is
made of them all, and a test holds them to it.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

SCHEMA_VERSION: Final = 2
"""Version 1 was without this number: steps were `step begun`, and a result told `seconds`."""


def to_line(values: Mapping[str, Any]) -> str:
    """An object as it goes out, on one line."""
    return json.dumps({"schema_version": SCHEMA_VERSION, **values})
