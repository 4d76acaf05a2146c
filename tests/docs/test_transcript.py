"""The transcript is the story's. What was observed is compared where the demo runs (integration/test_processes.py)."""

import re

from tests.docs.transcript import CHOICE, README, renewed_readme, scenes, transcript

from keyswitch.demo.story import SCENES


def test_every_scene_is_told_in_order() -> None:
    told = scenes(transcript())
    assert [name for name in told if name] == [scene.name for scene in SCENES]
    for scene in SCENES:
        assert f"  tried    {scene.tried}" in told[scene.name]
        assert f"  expected {scene.expected}" in told[scene.name]
    assert f"{len(SCENES)} of {len(SCENES)} steps went as expected" in told[""]


def test_readme_shows_scenes_of_the_transcript_in_about_twenty_lines() -> None:
    text = README.read_text("utf-8")
    assert renewed_readme() == text, "run python -m tests.docs.transcript"
    (lines,) = (match[2].splitlines() for match in CHOICE.finditer(text))
    assert 15 <= len([line for line in lines if line]) <= 24


def test_readme_says_what_for_whom_and_why_now_on_the_first_screen() -> None:
    lines = README.read_text("utf-8").splitlines()
    first = "\n".join(lines[: lines.index("## Install")])
    assert len(first.splitlines()) <= 30
    assert re.search("For whom", first)
    assert "20 January 2027" in first
