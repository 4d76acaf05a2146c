"""The picture of a run: what it says, where it says it, and that no record of a stranger breaks it."""

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pictures import check, rects, texts

from keyswitch.host.report.sequence_chart import chart, fault, rows, ticks
from keyswitch.host.update.steps import STEPS

LONG = "the device took 512 bytes in 15 s, and the least is 1,024; " * 3


def step(name: str, at_ms: int, duration_ms: int | None, outcome: str = "done") -> dict[str, Any]:
    return {"step": name, "at_ms": at_ms, "duration_ms": duration_ms, "outcome": outcome}


def slot(number: int, version: str, digest: str, *, active: bool) -> dict[str, Any]:
    return {"image": 0, "slot": number, "version": version, "hash": digest * 32, "active": active, "confirmed": active}


SHUT = {"at_ms": 2741, "gate": "shut", "reason": "wrong mode", "detail": "normal", "mode": "normal"}
OPEN = {"at_ms": 6752, "gate": "open", "reason": None, "detail": "", "mode": "maintenance"}
BODY: dict[str, Any] = {
    "run": 1,
    "outcome": "confirmed",
    "detail": "",
    "device": "F6:BA:42:9B:9F:32, token 4fd59bd7",
    "duration_ms": 6904,
    "entered_by": "challenge",
    "resent_bytes": 4950,
    "sent": {"bytes": 160_663, "already_there": 2_475, "bytes_per_second": 159_694},
    "steps": [
        step("find", 2709, 2709),
        step("verdict", 2741, 32),
        step("enter", 2803, 62),
        step("reconnect", 3659, 855),
        step("verify mode", 3721, 62),
        step("upload", 4000, 200, LONG),
        step("upload", 4876, 1155),
        step("test", 4890, 13),
        step("reset", 5223, 333),
        step("swap", 6691, 1464),
        step("verdict", 6752, 60),
        step("prove the running hash", 6815, None),
        step("confirm", 6844, 28),
        step("leave", 6872, 27),
        step("prove it has left", 6902, 30),
    ],
    "verdicts": [SHUT, OPEN],
    "said": [{"at_ms": 2600, "text": "press the button for five seconds"}],
    "uploading": [{"at_ms": 3730 + 15 * n, "off": 2_475 * n, "size": 160_663} for n in range(66)],
    "before": [slot(0, "1.0.0", "3a", active=True)],
    "after": [slot(0, "1.1.0", "9c", active=True), slot(1, "1.0.0", "3a", active=False)],
}
BEGUN: dict[str, Any] = {
    "who": "ann@bench",
    "tool": "keyswitch 0.1.0",
    "entry": "enter maintenance by challenge",
    "policy_form": 1,
    "policy": {"file": "pump/policy.toml", "sha256": "a46ed66a32b1f927" * 4},
    "images": [{"file": "p.bin", "version": "1.1.0", "hash": "9c" * 32, "size": 160_663, "signature": "verified"}],
}


def drawn(body: dict[str, Any] = BODY, begun: dict[str, Any] | None = BEGUN) -> str:
    assert not fault(body)
    return chart(body, title="2026-11-28T17:10:36Z: udp:pump", begun=begun)


def said(svg: str) -> str:
    return "\n".join(box.words for box in texts(check(svg)))


def test_the_whole_run_is_told() -> None:
    told = said(drawn())
    for words in (
        "Firmware update: confirmed",
        "ran 1.0.0 (3a3a3a3a, confirmed) → runs 1.1.0 (9c9c9c9c, confirmed)",
        "1.1.0 (9c9c9c9c), p.bin, 160,663 bytes, signature verified",
        "160,663 bytes at 159.7 kB/s, 2,475 bytes were there already, 4,950 bytes sent again",
        "enter · by challenge · 0.06 s",
        "mode normal: gate shut",
        "mode maintenance: gate open",
        "outside maintenance",
        "press the button for five seconds",
        "prove the running hash · nothing had to be done",
        "pump/policy.toml, digest a46ed66a32b1f927…",
        "Rate of the upload over the time of the run; dashed: 159.7 kB/s while bytes were taken",
    ):
        assert words in told
    assert drawn() == drawn()


def test_no_word_is_broken() -> None:
    known = set(" ".join([LONG, *(step.says for step in STEPS)]).split())
    lines = [box.words for box in texts(check(drawn())) if box.left > 580]
    assert {word for line in lines for word in line.split()} & known >= {"bytes", "device", "least"}
    shown = " ".join(lines)
    assert LONG.strip() in shown


def test_the_bands_are_what_is_known_of_the_mode() -> None:
    assert [row.band for row in rows(BODY) if row.band] == [
        "unknown", "shut", "open", "open", "away", "unknown", "open", "shut",
    ]  # fmt: skip
    root = check(drawn())
    bands = [box for box in rects(root, "") if box.right - box.left == 12 and box.left == 574]
    assert [band.words for band in bands] == ["unknown", "card", "card-open", "unknown", "card-open", "card"]
    assert all(one.bottom <= two.top for one, two in pairwise(bands))
    (away,) = [two.top - one.bottom for one, two in pairwise(bands) if two.top > one.bottom]
    assert away > 60


def test_a_device_without_a_gate_is_never_said_to_be_shut() -> None:
    body = {
        "steps": [step("enter", 1, None), step("prove it has left", 9, 1)],
        "verdicts": [{"at_ms": 0, "gate": "open", "reason": None, "detail": "", "mode": None}],
    }
    assert [row.band for row in rows(body)] == ["open", None, None]


def test_a_refusal_says_why_and_changes_no_band() -> None:
    body = {"outcome": "refused", "verdicts": [SHUT], "steps": [step("enter", 2800, 59, "guard: motion == false")]}
    assert [row.band for row in rows(body)] == ["shut", None]
    told = said(drawn(body, None))
    assert "guard: motion == false" in told
    assert "Rate of the upload" not in told


def test_a_record_of_before_the_samples_is_drawn_without_the_rate() -> None:
    body = {name: value for name, value in BODY.items() if name != "uploading"}
    assert "Rate of the upload" not in said(drawn(body))


EVIL = "<script>\"&'\x1b[31m\n\u202e\ud800"


@pytest.mark.parametrize("name", [*BODY, *BEGUN])
def test_whatever_stands_in_a_field_the_picture_is_whole(name: str) -> None:
    values: list[Any] = [EVIL, 5, -1, None, [EVIL], [{}], {"bytes": EVIL}, {EVIL: 1}, True, 10**400, 1.5]
    for value in values:
        body, begun = {**BODY, "steps": BODY["steps"][:3], "uploading": BODY["uploading"][:9]}, dict(BEGUN)
        (body if name in body else begun)[name] = value
        if not fault(body):
            check(chart(body, title=EVIL, begun=begun))


def test_a_sample_that_is_none_is_named() -> None:
    assert fault({"uploading": [{"at_ms": 1, "off": 2}]}) == "uploading[0].size is missing"
    assert fault({"uploading": [{"at_ms": 1, "off": "2", "size": 3}]}) == "uploading[0].off is not a number of bytes"
    assert (
        fault({"uploading": [{"at_ms": True, "off": 2, "size": 3}]})
        == "uploading[0].at_ms is not a number of milliseconds"
    )


@settings(max_examples=25)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "at_ms": st.integers(-(2**53), 2**53),
                "off": st.integers(-(2**53), 2**53),
                "size": st.integers(0, 9),
            }
        ),
        max_size=8,
    ),
    st.text(max_size=200),
)
def test_hostile_samples_and_words_stay_inside(samples: list[dict[str, int]], words: str) -> None:
    body = {"outcome": words, "uploading": samples, "steps": [step(words, 1, 1, words)]}
    check(drawn(body, {"who": words}))


@given(st.floats(-1e12, 1e12), st.floats(0.001, 1e12), st.integers(2, 8))
def test_ticks_are_round_few_and_inside(least: float, span: float, count: int) -> None:
    most = least + span
    found = ticks(least, most, count=count)
    assert len(found) <= count + 1
    slack = span * 1e-6 + abs(least) * 1e-6
    assert all(least - slack <= value <= most + slack for value, _ in found)


@pytest.mark.parametrize(
    ("least", "most", "written"),
    [
        (0, 204.8, ["0", "100", "200"]),
        (0, 1, ["0.0", "0.5", "1.0"]),
        (3.87, 4.9, ["4.0", "4.5"]),
        (100_000.0, 100_001.2, ["100,000.0", "100,000.5", "100,001.0"]),
    ],
)
def test_ticks_as_they_are_written(least: float, most: float, written: list[str]) -> None:
    assert [text for _, text in ticks(least, most, count=3)] == written
    assert all(re.fullmatch(r"[\d,.]+", text) for text in written)
