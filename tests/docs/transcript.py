"""The demo's transcript in docs/demo.md, and the scenes of it that README shows.

`python -m tests.docs.transcript` runs the demo and writes both anew.
"""

import re
import subprocess
import sys
from typing import Final

from tests.docs.consoles import DOCS, ROOT, fences

PAGE: Final = DOCS / "demo.md"
README: Final = ROOT / "README.md"
CHOICE: Final = re.compile(r"<!-- from the demo: (.+) -->\n\n```text\n(.*?)```", re.DOTALL)


def scenes(transcript: str) -> dict[str, list[str]]:
    """The lines of each scene, by its name; the summary stands under an empty one."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in transcript.splitlines():
        if line and not line.startswith(" ") and not re.match(r"\d|image \d|that is|all of it", line):
            name = line
            found[name] = []
        elif line and not line.startswith(" "):
            found.setdefault("", []).append(line)
        elif line:
            found[name].append(line)
    return found


def observed(lines: list[str]) -> str:
    """What a scene observed."""
    (line,) = (line for line in lines if line.startswith("  observed "))
    return line.removeprefix("  observed ")


def transcript() -> str:
    """As the page shows it."""
    (fence,) = (fence for fence in fences(PAGE.read_text("utf-8")) if fence.language == "text")
    return "\n".join(fence.lines) + "\n"


def excerpt(names: str) -> str:
    """The named scenes as README shows them: what was tried, expected and observed."""
    told = scenes(transcript())
    shown = [
        "\n".join([name, *(line for line in told[name] if line.startswith(("  tried", "  expected", "  observed")))])
        for name in names.split("; ")
    ]
    return "\n\n".join(shown) + "\n"


def renewed_readme() -> str:
    """README with its excerpt made anew."""
    text = README.read_text("utf-8")
    return CHOICE.sub(lambda match: f"<!-- from the demo: {match[1]} -->\n\n```text\n{excerpt(match[1])}```", text)


if __name__ == "__main__":
    command = [sys.executable, "-m", "keyswitch", "demo"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    said = "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())
    page = PAGE.read_text("utf-8")
    PAGE.write_text(page.replace(transcript(), said + "\n"), "utf-8")
    README.write_text(renewed_readme(), "utf-8")
