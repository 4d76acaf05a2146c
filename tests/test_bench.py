"""What the benchmark counts as a mark, and what its page shows; nothing is measured here."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from bench import peers

CELL = peers.WIRES[0]


def result(**settings: Any) -> dict[str, Any]:
    return {
        "transport": "udp",
        "interval_us": None,
        "phy": None,
        "buf_size": 2475,
        "buf_count": 4,
        "loss": 0.0,
        "flash": "none",
        "bound_bytes_per_second": None,
        "ours_bytes_per_second": 2000,
        "window1_bytes_per_second": None,
        "peers": {"smpclient": 1000, "mcumgr_toolkit": 1900},
        "runs": {"ours": peers.ROUNDS, "smpclient": peers.ROUNDS, "mcumgr_toolkit": peers.ROUNDS},
        "ours_cpu_s_per_mb": 0.1,
        "smpclient_cpu_s_per_mb": 0.3,
        **settings,
    }


def test_a_cell_that_keeps_its_marks():
    assert peers.misses(CELL, result()) == []


@pytest.mark.parametrize("client", ["ours", "smpclient", "mcumgr_toolkit"])
def test_a_run_that_failed_is_a_mark_that_was_missed(client: str):
    told = result()
    told["runs"][client] = peers.ROUNDS - 2
    (line,) = peers.misses(CELL, told)
    assert f"2 of {peers.ROUNDS} runs of {client} failed" in line


def test_a_peer_that_always_fails_is_no_pass():
    told = result(peers={"smpclient": 1000, "mcumgr_toolkit": None})
    told["runs"]["mcumgr_toolkit"] = 0
    assert len(peers.misses(CELL, told)) == 1


def test_the_page_shows_every_cell(tmp_path: Path):
    radio = {"transport": "ble", "interval_us": 15_000, "phy": "2M", "bound_bytes_per_second": 163_300}
    cells = [
        result(),
        result(transport="serial", ours_bytes_per_second=None),
        result(**radio, peers={"smpclient": 75_000, "mcumgr_toolkit": None}),
        result(**radio, peers={}, window1_bytes_per_second=81_500),
        result(**radio, peers={}, window1_bytes_per_second=26_900, flash="nrf52840"),
    ]
    for directory in ("build", "docs"):
        (tmp_path / directory).mkdir()
    (tmp_path / "build" / "bench.json").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    # In a process of its own: pygal leaves an import hook behind that warns.
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    subprocess.run([sys.executable, "-m", "bench.page"], cwd=tmp_path, env=environment, check=True, timeout=250)
    docs = tmp_path / "docs"
    page = (docs / "bench.md").read_text(encoding="utf-8").splitlines()
    assert len([line for line in page if line.startswith("| ")]) == len(cells) + 2
    shown = {
        "bench.svg": ["buffer 2475 bytes", ">15<", "computed bound"],
        "bench-wires.svg": ["UDP", "serial line", "mcumgr-toolkit: 1.9"],
        "bench-model.svg": ["nrf52840", "one request at a time: 81.5"],
    }
    for name, labels in shown.items():
        plot = (docs / name).read_text(encoding="utf-8")
        assert all(label in plot for label in labels)


def test_the_plots_show_what_the_tables_beside_them_say(tmp_path: Path):
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    for page in ("docs/bench.md", "docs/campaigns.md"):
        command = [sys.executable, "-m", "bench.plots", page, str(tmp_path)]
        subprocess.run(command, cwd=root, env=environment, check=True, timeout=250)
    for name in ("bench.svg", "bench-wires.svg", "bench-model.svg", "campaign-cost.svg"):
        drawn = (tmp_path / name).read_text(encoding="utf-8")
        assert drawn == (root / "docs" / name).read_text(encoding="utf-8"), "python -m bench.plots draws them anew"
        assert not [word for word in ("<script", "<!--", "href", "url(", "@import") if word in drawn]
        assert ET.fromstring(drawn).get("role") == "img"  # noqa: S314 - our own output
    series = (root / "docs" / "bench.svg").read_text(encoding="utf-8")
    assert series.count('class="line reactive nofill"') == 6 * 3  # panels: buffers x losses; bound, ours, smpclient
