"""Pictures of policies: complete, well-formed, and nothing on top of anything else, whatever the names."""

import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from bench.policies import generated
from tests.policy.samples import pump, pump_with, small

from keyswitch.drawing import FONTS, width
from keyswitch.policy.model import Policy
from keyswitch.prove.chart import chart
from keyswitch.prove.mermaid import mermaid
from keyswitch.prove.svg import svg

SVG = "{http://www.w3.org/2000/svg}"
EVERYTHING = small("""
[modes.a]
allow = []
timeout_s = 5
security = "encrypted"
[[transitions]]
from = ["normal"]
to = "a"
on = "connect"
[[transitions]]
from = ["a"]
to = "normal"
on = "disconnect"
[[transitions]]
from = ["a"]
to = "normal"
on = "timeout"
[[transitions]]
from = ["a"]
to = "normal"
on = "reset"
[[transitions]]
from = ["normal"]
to = "a"
on = "enter"
security = "authenticated"
[[transitions]]
from = ["maintenance"]
to = "a"
on = "leave"
[[transitions]]
from = ["a"]
to = "maintenance"
on = "enter"
proofs = ["challenge"]
others = "disconnect"
when_false = "hold"
""")

POLICIES = {
    "pump": pump(),
    "owner": pump_with(('session = "anyone"', 'session = "owner"')),
    "everything": EVERYTHING,
    "30 modes": generated(),
    "9 modes": generated(9, 20),
    "4 modes": generated(4, 5),
}


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> Policy:
    return POLICIES[request.param]


def boxes(root: ET.Element) -> list[tuple[str, float, float, float, float]]:
    """Each level text's box, in the widest common font."""
    found = []
    for text in root.iter(f"{SVG}text"):
        if text.get("transform"):
            continue
        words = text.text or ""
        kind = text.get("class", "")
        wide, size = width(words, kind), FONTS[kind][0]
        x, y = float(text.get("x", 0)), float(text.get("y", 0))
        x -= {"middle": wide / 2, "end": wide}.get(text.get("text-anchor", ""), 0)
        found.append((words, x, y - size + 2, x + wide, y + 3))
    return found


def test_no_text_lies_on_another_or_outside(policy: Policy) -> None:
    root = ET.fromstring(svg(chart(policy)))  # noqa: S314 - our own file
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    found = boxes(root)
    for words, left, top, right, bottom in found:
        assert left >= 0, words
        assert right <= width, words
        assert top >= 0, words
        assert bottom <= height, words
    for one, two in itertools.combinations(found, 2):
        apart = one[3] <= two[1] or two[3] <= one[1] or one[4] <= two[2] or two[4] <= one[2]
        assert apart, (one, two)


def test_what_stands_in_a_card_stays_in_it(policy: Policy) -> None:
    root = ET.fromstring(svg(chart(policy)))  # noqa: S314 - our own file
    cards = [
        [float(rect.get(name, 0)) for name in ("x", "y", "width", "height")]
        for rect in root.iter(f"{SVG}rect")
        if rect.get("class", "").startswith("card")
    ]
    for words, left, top, right, bottom in boxes(root):
        for x, y, wide, high in cards:
            apart = right <= x or x + wide <= left or bottom <= y or y + high <= top
            inside = x <= left and right <= x + wide and y <= top and bottom <= y + high
            behind = wide == 8  # a mode's line, which a label covers
            assert apart or inside or behind, words


def test_no_way_crosses_a_label(policy: Policy) -> None:
    root = ET.fromstring(svg(chart(policy)))  # noqa: S314 - our own file
    labels = [box for box in boxes(root) if box[0]]
    for path in root.iter(f"{SVG}path"):
        line = re.fullmatch(r"M(\d+) (\d+)H(\d+)", path.get("d", ""))
        if line is None:
            continue
        left, right = sorted((float(line[1]), float(line[3])))
        y = float(line[2])
        for words, x0, y0, x1, y1 in labels:
            assert not (y0 < y < y1 and x0 < right and left < x1), words


def test_every_mode_and_way_is_there(policy: Policy) -> None:
    drawn = chart(policy)
    text = svg(drawn)
    diagram = mermaid(drawn)
    for mode in policy.modes.values():
        assert f">{mode.name}</text>" in text
        assert f'state "{mode.name}" as m{mode.index}\n' in diagram
    assert len(drawn.rows) >= len(policy.transitions)
    assert text.count('class="arrow') >= len(drawn.rows)
    assert diagram.count(" --> ") == 1 + sum(len(row.sources) for row in drawn.rows)


def test_the_same_policy_gives_the_same_bytes() -> None:
    assert svg(chart(pump())) == svg(chart(pump()))


def test_labels_say_what_the_file_says() -> None:
    labels = [row.label.replace("\N{NO-BREAK SPACE}", " ") for row in chart(pump()).rows]
    assert labels == [
        "input changes · when motion == true",
        "input changes · when motion == false",
        "button held 2 s",
        "after 60 s",
        "enter command, proof: challenge · when motion == false and battery_percent >= 30"
        " · refused while others are connected",
        "button held 5 s · when motion == false",
        "leave, lease 900 s (at most 3600 s), idle 120 s, a guard turns false",
    ]
    others = {row.label.replace("\N{NO-BREAK SPACE}", " ") for row in chart(EVERYTHING).rows}
    assert {
        "first central connects",
        "last central is gone",
        "after 5 s",
        "reset",
        "enter command, proof: none · link authenticated",
        "leave, lease 60 s, a guard turns false",
        "enter command, proof: challenge · others are disconnected · guards wait for the upload",
    } <= others


def test_names_that_mean_something_to_xml_are_escaped() -> None:
    policy = pump()
    odd = replace(policy, device=replace(policy.device, name="<Pump> & Co"))
    assert ET.fromstring(svg(chart(odd))).find(f"{SVG}title") is not None  # noqa: S314 - our own file
