"""What runs before a commit is what `make check` runs, and comes from this repository alone."""

import re

from tests.docs.consoles import ROOT


def test_the_hooks_are_the_lines_of_make_check() -> None:
    config = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    wanted = re.findall(r"\$\(BIN\)/(.+)", recipe[1])
    assert wanted
    assert re.findall(r"entry: \.venv/bin/([^,]+), language: system", config) == wanted
    assert set(re.findall(r"repo: (\S+)", config)) == {"local"}
