"""`replace` for the values that a step and an exploration make by the thousand: a third of the time of the usual one.

`dataclasses.replace` reads every field by name and has the new value check that it may be set; that was a tenth of
the time of a proof. Here each class gets a function that copies its slots, made when it is first asked for.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

__all__ = ["replace"]

if TYPE_CHECKING:
    # To the type checkers it is the one they know: names and types of the fields are checked.
    from dataclasses import replace
else:

    def replace(value: Any, /, **changes: Any) -> Any:
        """The same value but for these fields.

        Raises:
            TypeError: a field that the class has not; or it is no dataclass with slots alone, which nothing derives.
        """
        kind = type(value)
        copy = _COPIES.get(kind)
        if copy is None:
            copy = _COPIES[kind] = _copy(kind)
        return copy(value, **changes)


_COPIES: Final[dict[type, Callable[..., Any]]] = {}
_KEPT: Final = object()
"""Stands for a field that keeps its value."""


def _copy(kind: type[Any]) -> Callable[..., Any]:
    if "__slots__" not in kind.__dict__ or hasattr(kind, "__post_init__"):
        raise TypeError(f"{kind.__name__} is no dataclass with slots alone")
    names = [each.name for each in fields(kind)]
    known: dict[str, Any] = {"new": object.__new__, "kind": kind, "KEPT": _KEPT}
    known |= {f"set_{name}": getattr(kind, name).__set__ for name in names}
    lines = [f"def copy(value, /, *, {', '.join(f'{name}=KEPT' for name in names)}):", " made = new(kind)"]
    lines += [f" set_{name}(made, value.{name} if {name} is KEPT else {name})" for name in names]
    exec("\n".join((*lines, " return made")), known)  # noqa: S102 - names of fields; dataclasses does the same
    made: Callable[..., Any] = known["copy"]
    return made
