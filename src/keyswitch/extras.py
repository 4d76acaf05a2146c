"""What not everybody needs is an extra of the package: who asks for it without having it is told what to install.

Libraries of extras are imported when they are used, never at start. Whoever is about to use one calls `need` first, so
that it is refused before anything is opened or written, and a wrong version is not found out by how it fails.
"""

import importlib.util
from dataclasses import dataclass
from typing import Final

from keyswitch.errors import Field, InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """An extra of the package, as `pyproject.toml` has it.

    Attributes:
        name: as it is asked for: `keyswitch[name]`.
        version: the only version of its library that is known to work; None: any that pip would take.
    """

    name: str
    version: str | None = None


EXTRAS: Final = {
    "bumble": Extra(name="virtual", version="0.0.236"),
    "cairosvg": Extra(name="png"),
    "dbos": Extra(name="campaign"),
    "gpiozero": Extra(name="gpio"),
    "jinja2": Extra(name="console"),
    "starlette": Extra(name="console"),
    "uvicorn": Extra(name="console"),
}
"""Library, which is its package's name as well: its extra."""


def need(library: str, where: str | Field) -> None:
    """Make sure that a library of an extra is there.

    Args:
        library: one of `EXTRAS`.
        where: what asks for it, as the person wrote it: an option, a target, a key path.

    Raises:
        InputError: it is not installed, or in a version that does not fit; says which extra to install.
    """
    extra = EXTRAS[library]
    if importlib.util.find_spec(library) is None:
        raise InputError(where, f"{library} is not installed: install keyswitch[{extra.name}]")
    if extra.version is None:
        return
    from importlib.metadata import version  # noqa: PLC0415 - slow to import; only where an extra is used

    found = version(library)
    if found != extra.version:
        fits = f"install keyswitch[{extra.name}] in an environment of its own"
        raise InputError(where, f"{library} {found} is installed, and only {extra.version} fits: {fits}")
