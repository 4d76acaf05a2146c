"""The warnings of `keyswitch check` in docs/policy.md: `python -m tests.docs.warnings_table` writes them anew.

Each is shown as it reads for a policy that deserves it, which is the one that its test has.
"""

from typing import Final

from tests.docs.consoles import DOCS
from tests.prove.test_lint import DESERVED

from keyswitch.prove.lint import CHECKS, lint, meaning

PAGE: Final = DOCS / "policy.md"
BEGIN: Final = "<!-- generated: warnings -->\n"
END: Final = "<!-- end of the warnings -->\n"


def table() -> str:
    """Every warning: its name, what it is about, how it reads."""
    rows = [f"| `{name}` | {meaning(name)} | {_text(name)} |" for name in CHECKS]
    return "\n".join(["| Warning | Said where | For example |", "|---|---|---|", *rows]) + "\n"


def _text(name: str) -> str:
    policy, _ = DESERVED[name]
    found = next(each.text for each in lint(policy) if each.name == name)
    return f"`{found}`"


def renewed(text: str) -> str:
    """The page with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
