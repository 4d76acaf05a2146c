"""Fragments of changes: their names, their one or two sentences, and how a release collects them."""

import runpy
from pathlib import Path

from tests.docs.consoles import ROOT

TOOL = runpy.run_path(str(ROOT / "tools" / "changes"))
FRAGMENTS = sorted(path for path in (ROOT / "changes").iterdir() if path.name != "README.md")


def test_a_fragment_is_a_sentence_of_a_known_kind() -> None:
    assert FRAGMENTS
    for fragment in FRAGMENTS:
        name, kind, ending = fragment.name.split(".")
        assert name, fragment.name
        assert kind in TOOL["KINDS"], fragment.name
        assert ending == "md", fragment.name
        text = fragment.read_text("utf-8").strip()
        assert text.endswith("."), fragment.name
        assert len(text) <= 400, fragment.name


def test_a_release_collects_and_removes_them(tmp_path: Path) -> None:
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes" / "README.md").write_text("stays")
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\nHead.\n\n## v0.1.0 (2026-01-01)\n\n### Added\n\n* First.\n")
    for name, text in (("b.added.md", "B is\nthere.\n"), ("a.added.md", "A is there.\n"), ("c.fixed.md", "C works.\n")):
        (tmp_path / "changes" / name).write_text(text)
    TOOL["release"](tmp_path, "v0.2.0", "2026-02-01")
    assert (tmp_path / "CHANGELOG.md").read_text() == (
        "# Changes\n\nHead.\n\n## v0.2.0 (2026-02-01)\n\n### Added\n\n* A is there.\n* B is there.\n\n"
        "### Fixed\n\n* C works.\n\n## v0.1.0 (2026-01-01)\n\n### Added\n\n* First.\n"
    )
    assert [path.name for path in (tmp_path / "changes").iterdir()] == ["README.md"]
