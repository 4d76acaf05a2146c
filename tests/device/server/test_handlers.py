"""The groups besides os and image: what they say in maintenance, with a policy that lets all of them through."""

from dataclasses import replace

import pytest
from tests.device.server_rig import Rig, pump

from keyswitch.policy.model import Policy
from keyswitch.smp.commands import ALL_KEYS, GROUPS
from keyswitch.smp.header import SmpVersion

V1 = SmpVersion.V1


def open_policy() -> Policy:
    policy = pump()
    maintenance = replace(policy.modes["maintenance"], allow=ALL_KEYS)
    return replace(policy, modes={**policy.modes, "maintenance": maintenance})


@pytest.fixture
def rig() -> Rig:
    return Rig(open_policy())


@pytest.fixture
def peer(rig: Rig) -> int:
    return rig.in_maintenance()


def err(group: int, code: int) -> dict:
    return {"err": {"group": group, "rc": code}}


# --- date-time ---


def test_clock(rig: Rig, peer: int):
    assert rig.read(peer, 0, 4) == err(0, 4)
    assert rig.read(peer, 0, 4, version=V1) == {"rc": 5}
    assert rig.write(peer, 0, 4, {"datetime": "2026-02-28T23:59:58.500"}) == {}
    assert rig.read(peer, 0, 4) == {"datetime": "2026-02-28T23:59:58"}
    rig.wait(2_000)
    assert rig.read(peer, 0, 4) == {"datetime": "2026-03-01T00:00:00"}
    rig.power_up()
    assert rig.read(rig.in_maintenance(), 0, 4) == err(0, 4), "it does not survive a reset"


@pytest.mark.parametrize(
    "said",
    [
        "2026-01-01T00:00:0", "2026-13-01T00:00:00", "1899-01-01T00:00:00", "2026-01-01T24:00:00",
        "2026-01-01 00:00:00", "2026-01-01T00:00:00.", "2026-01-01T00:00:00.123456", "2026-01-01T00:00:00Z",
        "", 5, None, b"2026-01-01T00:00:00", "\uff12026-01-01T00:00:00", "0000-01-01T00:00:00",
    ],
)  # fmt: skip
def test_clock_refuses(rig: Rig, peer: int, said):
    assert rig.write(peer, 0, 4, {"datetime": said}) == {"rc": 3}
    assert rig.write(peer, 0, 4, {}) == {"rc": 3}


def test_clock_does_not_take_a_day_that_is_none(rig: Rig, peer: int):
    assert rig.write(peer, 0, 4, {"datetime": "2026-02-29T00:00:00"}) == err(0, 5)
    assert rig.read(peer, 0, 4) == err(0, 4)


def test_clock_at_the_end_of_time(rig: Rig, peer: int):
    assert rig.write(peer, 0, 4, {"datetime": "9999-12-31T23:59:59"}) == {}
    rig.wait(1_000)
    assert rig.read(peer, 0, 4) == err(0, 5)


# --- stat ---


def test_stat(rig: Rig, peer: int):
    assert rig.read(peer, 2, 1) == {"stat_list": ["smp_svr_stats"]}
    shown = rig.read(peer, 2, 0, {"name": "smp_svr_stats"})
    assert shown["name"] == "smp_svr_stats"
    assert shown["fields"]["served"] == shown["fields"]["received"] - 1
    assert rig.read(peer, 2, 0, {"name": "nope"}) == err(2, 3)
    assert rig.read(peer, 2, 0, {"name": "nope"}, version=V1) == {"rc": 5}
    assert [rig.read(peer, 2, 0, body) for body in ({}, {"name": ""}, {"name": "x" * 32})] == [{"rc": 3}] * 3
    assert rig.read(peer, 2, 0, {"name": "x" * 31}) == err(2, 3)


# --- settings ---


def test_settings(rig: Rig, peer: int):
    assert rig.read(peer, 3, 0, {"name": "app/a"}) == err(3, 3)
    assert rig.write(peer, 3, 0, {"name": "app/a", "val": b"\x01\x02"}) == {}
    assert rig.read(peer, 3, 0, {"name": "app/a"}) == {"val": b"\x01\x02"}
    assert rig.read(peer, 3, 0, {"name": "app/a", "max_size": 1}) == {"val": b"\x01", "max_size": 1}
    assert rig.write(peer, 3, 1, {"name": "app/a"}) == {}
    assert rig.write(peer, 3, 1, {"name": "app/a"}) == err(3, 3)
    assert [rig.write(peer, 3, 2), rig.write(peer, 3, 3), rig.read(peer, 3, 3)] == [{}, {}, {}]


@pytest.mark.parametrize(
    ("body", "answer", "answer_v1"),
    [
        ({"name": "unknown"}, err(3, 5), {"rc": 1}),
        ({"name": "app/" + "x" * 28}, err(3, 3), {"rc": 5}),
        ({"name": "app/" + "x" * 29}, err(3, 2), {"rc": 3}),
        ({}, {"rc": 3}, {"rc": 3}),
        ({"name": ""}, {"rc": 3}, {"rc": 3}),
        ({"name": 5}, {"rc": 3}, {"rc": 3}),
    ],
)
def test_settings_names(rig: Rig, peer: int, body, answer, answer_v1):
    assert rig.read(peer, 3, 0, body) == answer
    assert rig.read(peer, 3, 0, body, version=V1) == answer_v1
    assert rig.write(peer, 3, 1, body) == (err(3, 3) if answer == err(3, 5) else answer)


@pytest.mark.parametrize(("size", "answer"), [(63, {}), (64, {}), (65, {"rc": 3})])
def test_settings_values_are_bounded(rig: Rig, peer: int, size: int, answer):
    assert rig.write(peer, 3, 0, {"name": "app/a", "val": bytes(size)}) == answer
    assert rig.write(peer, 3, 0, {"name": "app/a"}) == {"rc": 3}
    assert rig.write(peer, 3, 0, {"name": "other", "val": b""}) == err(3, 5)


def test_settings_are_bounded_and_wiped(rig: Rig, peer: int):
    answers = [rig.write(peer, 3, 0, {"name": f"app/{n}", "val": b"x"}) for n in range(66)]
    assert answers == [{}] * 64 + [{"rc": 2}] * 2
    assert rig.write(peer, 63, 0) == {}
    assert rig.read(peer, 3, 0, {"name": "app/1"}) == err(3, 3)


# --- enum ---


def test_enum(rig: Rig, peer: int):
    ids = sorted(GROUPS)
    assert rig.read(peer, 10, 0) == {"count": 9}
    assert rig.read(peer, 10, 1) == {"groups": ids}
    assert [rig.read(peer, 10, 2, {"index": n}) for n in range(9)] == [
        {"group": group} | ({"end": True} if group == ids[-1] else {}) for group in ids
    ]
    assert rig.read(peer, 10, 2, {}) == {"group": 0}
    assert rig.read(peer, 10, 2) == {"rc": 3}
    assert rig.read(peer, 10, 2, {"index": 9}) == err(10, 4)
    assert rig.read(peer, 10, 2, {"index": 9}, version=V1) == {"rc": 1}
    assert rig.read(peer, 10, 2, {"index": -1}) == {"rc": 3}


def test_enum_details(rig: Rig, peer: int):
    every = rig.read(peer, 10, 3, {})["groups"]
    assert [each["group"] for each in every] == sorted(GROUPS)
    assert every[:2] == [
        {"group": 0, "name": "os mgmt", "handlers": 9},
        {"group": 1, "name": "img mgmt", "handlers": 7},
    ]
    assert rig.read(peer, 10, 3, {"groups": [1, 77]})["groups"] == [every[1]]
    assert rig.read(peer, 10, 3, {"groups": 1}) == {"rc": 3}


# --- fs, shell ---


def test_fs_is_empty_and_stays_so(rig: Rig, peer: int):
    body = {"name": "/lfs/key", "off": 0, "data": b"x", "len": 1}
    for command in (0, 1, 2):
        assert rig.read(peer, 8, command, body) == err(8, 3)
        assert rig.read(peer, 8, command, body, version=V1) == {"rc": 5}
        assert rig.read(peer, 8, command, {}) == {"rc": 3}
    assert rig.write(peer, 8, 0, body) == err(8, 15)
    assert rig.write(peer, 8, 0, {}) == {"rc": 3}
    assert rig.read(peer, 8, 3) == {"types": {"crc32": {"format": 0, "size": 4}, "sha256": {"format": 1, "size": 32}}}
    assert rig.write(peer, 8, 4) == {}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"argv": ["kernel", "version"]}, {"o": "kernel: command not found\n", "ret": -8}),
        ({"argv": []}, err(9, 3)),
        ({"argv": [""]}, err(9, 3)),
        ({"argv": [" ", " "]}, err(9, 3)),
        ({"argv": ["x" * 255]}, {"o": "x" * 255 + ": command not found\n", "ret": -8}),
        ({"argv": ["x" * 256]}, err(9, 2)),
        ({"argv": ["a", 5]}, {"rc": 3}),
        ({"argv": "ls"}, {"rc": 3}),
        ({}, {"rc": 3}),
        (None, {"rc": 3}),
    ],
)
def test_shell(rig: Rig, peer: int, body, answer):
    assert rig.write(peer, 9, 0, body) == answer


def test_wrong_types_of_known_keys_spoil_a_request(rig: Rig, peer: int):
    for body in ({"index": True}, {"index": 1.0}, {"index": 2**32}, {"index": None}, {"index": "1"}):
        assert rig.read(peer, 10, 2, body) == {"rc": 3}
    assert rig.read(peer, 10, 2, {"index": 2**32 - 1}) == err(10, 4)
