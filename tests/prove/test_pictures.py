"""Pictures of policies: complete, well-formed, and nothing on top of anything else, whatever the names."""

import re
from dataclasses import replace

import pytest
from bench.policies import generated
from tests.pictures import SVG, Box, check, parsed, rects, texts
from tests.policy.samples import pump, pump_with, small

from keyswitch.policy.model import Policy
from keyswitch.prove.chart import chart
from keyswitch.prove.mermaid import mermaid
from keyswitch.prove.svg import svg

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


def test_no_text_lies_on_another_or_outside(policy: Policy) -> None:
    check(svg(chart(policy)))


def test_what_stands_in_a_card_stays_in_it(policy: Policy) -> None:
    root = parsed(svg(chart(policy)))
    cards = [card for card in rects(root, "card") if card.right - card.left != 8]  # but for a mode's line
    for text in texts(root):
        assert all(text.apart(card) or text.inside(card) for card in cards), text


def test_no_way_crosses_a_label(policy: Policy) -> None:
    root = parsed(svg(chart(policy)))
    labels = texts(root)
    for path in root.iter(f"{SVG}path"):
        line = re.fullmatch(r"M(\d+) (\d+)H(\d+)", path.get("d", ""))
        if line is not None:
            left, right = sorted((float(line[1]), float(line[3])))
            y = float(line[2])
            level = Box(words="way", left=left, top=y - 1, right=right, bottom=y + 1)
            assert all(level.apart(text) for text in labels), line


def test_the_legend_says_what_each_sign_means_and_nothing_else() -> None:
    told = " ".join(text.words for text in texts(check(svg(chart(EVERYTHING)))))
    assert "a transition into maintenance, from a mode with a dot to the one at the tip" in told
    assert "without a transition of its own" not in told
    assert "bypass of this gate" not in told
    root = check(svg(chart(pump())))
    told = " ".join(text.words for text in texts(root))
    assert "how the maintenance session ends, without a transition of its own" in told
    assert "bypass of this gate, which the policy declares: mcuboot serial recovery (pin)" in told
    kinds = [path.get("class") for path in root.iter(f"{SVG}path")]
    assert {kind for kind in kinds if kind and kind.startswith("arrow")} == {"arrow", "arrow-open", "arrow dashed"}


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
        (
            "enter command, proof: challenge · when motion == false and battery_percent >= 30"
            " · refused while others are connected"
        ),
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


@pytest.mark.parametrize("name", ["<Pump> & Co", "x" * 200, "evil\x1b[31m\n\u202e", "é漢" * 40])
def test_no_name_leaves_the_picture(name: str) -> None:
    policy = pump()
    odd = replace(policy, device=replace(policy.device, name=name, bypasses=(name,)))
    check(svg(chart(odd)))


def test_a_dark_page_does_not_hide_the_text_of_a_coloured_state() -> None:
    assert "classDef maintenance fill:#ffdfb6,stroke:#bc4c00,color:#1f2328\n" in mermaid(chart(pump()))
