"""Each group error, as a version 1 client is told about it."""

import pytest

from keyswitch.smp.codes import Rc, rc_name
from keyswitch.smp.commands import GROUPS

# Group id -> SMP-level code -> group errors that become it; every other error becomes 1.
V1 = {
    0: {3: {2}, 5: {3, 4}},
    1: {2: {15}, 3: {14, 19, 20, 21, 22, 24, 25}, 5: {3, 4}, 6: {9, 27, 28}},
    2: {3: {4}, 5: {2, 3}},
    3: {3: {2}, 5: {3, 4}},
    8: {3: {2, 13}, 5: {3, 14}},
    9: {3: {2, 3}},
    10: {3: {2}},
    63: {5: {2}},
    0x4B53: {},
}


def test_all_groups_are_in_the_table():
    assert V1.keys() == GROUPS.keys()


@pytest.mark.parametrize("group", V1)
def test_v1_codes(group: int):
    for error in [*GROUPS[group].errors, 99]:
        expected = next((rc for rc, errors in V1[group].items() if error in errors), 1)
        assert GROUPS[group].v1_code(error) == expected, error


@pytest.mark.parametrize("group", V1)
def test_0_is_ok_and_1_is_unknown_in_each_group(group: int):
    errors = list(GROUPS[group].errors)
    assert [int(error) for error in errors] == list(range(len(errors)))
    assert [error.name for error in errors[:2]] == ["OK", "UNKNOWN"]


def test_names_of_codes():
    assert rc_name(Rc.EACCESSDENIED) == "EACCESSDENIED"
    assert rc_name(300) == "rc 300"
