"""Every relative link leads to a file, and every anchor to a heading, as GitHub and a reader in an editor see them."""

import re
from pathlib import Path

from tests.docs.consoles import PAGES, outside_fences

LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = (line.lstrip("#").strip() for line in outside_fences(page.read_text("utf-8")) if line.startswith("#"))
    plain = (re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def test_links_lead_somewhere() -> None:
    wrong: list[str] = []
    for page in PAGES:
        for target, anchor in LINK.findall("\n".join(outside_fences(page.read_text("utf-8")))):
            found = page.parent / target if target else page
            if not found.exists() or (anchor and anchor not in anchors(found)):
                wrong.append(f"{page.name}: {target}#{anchor}")
    assert not wrong
