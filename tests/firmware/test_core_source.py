"""What the core must not have, seen in its text: an operating system, a heap, floating point, hidden state."""

import re
from pathlib import Path

import pytest
from tests.firmware.toolchain import CORE, FIRMWARE

ALLOWED = {"string.h", "stdbool.h", "stddef.h", "stdint.h", "ks_policy.h"}
SOURCES = [*CORE, *sorted((FIRMWARE / "src" / "core").glob("*.h")), *sorted((FIRMWARE / "include").rglob("*.h"))]


def code(path: Path) -> str:
    """The text without comments and literals."""
    text = re.sub(r"/\*.*?\*/", " ", path.read_text("utf-8"), flags=re.DOTALL)
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_but_the_plainest_headers(path: Path) -> None:
    for name in re.findall(r'^#include [<"]([^>"]+)[>"]', path.read_text("utf-8"), re.MULTILINE):
        assert name in ALLOWED or name.startswith("keyswitch/ks_") or (path.parent / name).exists(), name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_heap_no_floats_no_jumps_and_nothing_kept(path: Path) -> None:
    text = code(path)
    assert not re.search(
        r"\b(malloc|calloc|realloc|free|alloca|float|double|goto|setjmp|longjmp|printf|volatile)\b", text
    )
    kept = [
        line
        for line in re.findall(r"^\s*static (?!const|inline)[^;({]*[=;]", text, re.MULTILINE)
        if "const" not in line
    ]
    assert not kept, "state outside of the structs that callers hand in"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_each_file_says_its_licence_first(path: Path) -> None:
    assert path.read_text("utf-8").startswith("/* SPDX-License-Identifier: Apache-2.0 */\n")
