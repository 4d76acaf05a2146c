"""What a package index shows: README without links into files that it does not have."""

import re

from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from tests.docs.consoles import ROOT

LINKS = re.compile(r"!?\[[^\]]*\]\(([^)]*)\)")


def test_every_link_of_the_description_is_absolute() -> None:
    readme = ROOT / "README.md"
    described = ProjectMetadata(str(ROOT), PluginManager()).core.readme
    ours = LINKS.findall(readme.read_text("utf-8"))
    theirs = LINKS.findall(described)
    assert [link for link in ours if not link.startswith("https://")]
    assert theirs == [link for link in ours if link.startswith("https://")]
    assert "Tutorial (`docs/tutorial.md`)" in described
    assert described.startswith("# Keyswitch\n")
