"""No module imports itself by way of others: in no package, and not for types alone either."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"


def imported(path: Path, modules: set[str]) -> Iterator[str]:
    """The modules of ours that a file imports, at whatever depth, `TYPE_CHECKING` included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in modules else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def graph(source: Path) -> dict[str, set[str]]:
    files = {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path
        for path in source.rglob("*.py")
    }
    modules = set(files)
    return {name: {each for each in imported(path, modules) if each in modules} for name, path in files.items()}


def test_no_module_imports_itself_by_way_of_others() -> None:
    found = graph(SOURCE)
    assert len(found) > 200
    order = list(TopologicalSorter(found).static_order())
    assert set(order) == set(found)


def test_a_cycle_for_types_alone_is_found(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from two import Two\n")
    (tmp_path / "two.py").write_text("def late() -> None:\n    import one\n")
    with pytest.raises(CycleError):
        list(TopologicalSorter(graph(tmp_path)).static_order())
