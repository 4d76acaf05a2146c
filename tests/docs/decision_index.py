"""The index of the decisions, by their headings: `python -m tests.docs.decision_index` writes it."""

from pathlib import Path
from typing import Final

from tests.docs.consoles import DOCS

INDEX: Final = DOCS / "decisions" / "README.md"
BEGIN: Final = "<!-- generated: index -->\n"
END: Final = "<!-- end -->\n"


def heading(page: Path) -> str:
    """What a decision is called."""
    return page.read_text("utf-8").splitlines()[0].lstrip("# ").removeprefix("Decision: ").strip()


def renewed(text: str) -> str:
    """The page with its index made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    pages = sorted(path for path in INDEX.parent.glob("*.md") if path != INDEX)
    lines = (f"* [{found[:1].upper()}{found[1:]}]({page.name})" for page in pages for found in [heading(page)])
    return f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n\n{END}{after}"


if __name__ == "__main__":
    INDEX.write_text(renewed(INDEX.read_text("utf-8")), "utf-8")
