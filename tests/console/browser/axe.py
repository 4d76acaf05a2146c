"""What axe-core finds wrong with a page for people who see, hear or move otherwise."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path("build/axe/node_modules/axe-core/axe.min.js")
"""Fetched by `make test-console`."""


def serious_problems(page: Page) -> list[str]:
    """Each serious or critical problem, with the first element that has it.

    The page's own rules let no script in but its own; a browser's developer may, and so does this.
    """
    source = AXE.read_text()
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": source})
    told: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{each['id']}: {each['nodes'][0]['html']}"
        for each in told["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
