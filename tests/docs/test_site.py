"""The checker of the built site finds what is wrong, and every page has a place in the navigation."""

import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.docs.consoles import DOCS, ROOT

TOOL = runpy.run_path(str(ROOT / "tools" / "docs-site"))


def write(site: Path, name: str, body: str) -> None:
    (site / name).parent.mkdir(parents=True, exist_ok=True)
    (site / name).write_text(f"<html><body>{body}</body></html>", "utf-8")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="b.html">b</a>', None),
        ('<a href="b.html#there">b</a>', None),
        ('<a href="#here">b</a><h1 id="here">x</h1>', None),
        ('<a href="https://example.org/x">b</a>', None),
        ('<a href="sub/">b</a>', None),
        ('<a href="c.html">b</a>', "a.html: c.html: no such page"),
        ('<a href="b.html#gone">b</a>', "a.html: b.html#gone: no such heading"),
        ('<a href="#gone">b</a>', "a.html: #gone: no such heading"),
        ('<img src="gone.svg">', "a.html: gone.svg: no such page"),
        ('<a href="../outside.html">b</a>', "a.html: ../outside.html: no such page"),
        ('<script src="https://example.org/x.js"></script>', "a.html: loads https://example.org/x.js"),
        ('<pre class="mermaid">x</pre>', "a.html: loads https://unpkg.com/mermaid"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "a.html: loads //example.org/x.css"),
    ],
)
def test_the_checker_finds_what_leads_nowhere(tmp_path: Path, body: str, fault: str | None) -> None:
    (tmp_path / "outside.html").write_text("x")
    site = tmp_path / "site"
    write(site, "a.html", body)
    write(site, "b.html", '<h2 id="there">x</h2>')
    write(site, "sub/index.html", "")
    assert TOOL["faults"](site) == ([fault] if fault else [])


def places(nav: list[Any]) -> list[str]:
    """Every page of the navigation."""
    found: list[str] = []
    for entry in nav:
        for value in entry.values():
            found += places(value) if isinstance(value, list) else [value]
    return found


def test_every_page_is_in_the_navigation_once() -> None:
    nav = places(tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"])
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if path.parent.name != "decisions"}
    beside = {name for name in TOOL["BESIDE"] if name.endswith(".md")}
    assert sorted(nav) == sorted({*pages, *beside, "decisions/README.md"})
