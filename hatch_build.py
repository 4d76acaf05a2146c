"""Takes the manual pages along where they were made: into the source archive, and from there into the wheel."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPages(BuildHookInterface[Any]):
    """Adds `build/man/*.1`. A wheel built from a checkout without them has none: it is as good without."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it gathers files."""
        if version == "editable":
            return
        for page in sorted(Path(self.root, "build", "man").glob("*.1")):
            if self.target_name == "sdist":
                build_data["force_include"][str(page)] = f"build/man/{page.name}"
            else:
                build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"
