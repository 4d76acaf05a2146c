"""The traps of a gate on Zephyr (docs/ncs.md; numbered as in traps.c), where they are traps of the Python device too.

With `--c-core` these tests run with the C core as the device's gate.
"""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
IN_THE_DEVICE: Final = {
    1: (
        "a reset outlives the leaving",
        "device/server/test_leaving.py::test_a_granted_reset_does_not_outlive_maintenance",
        "device/transport/test_ble.py::test_a_granted_reset_that_is_turned_down_invites_again",
        "device/server/test_effects.py::test_the_record_is_taken_once",
    ),
    2: (
        "one pool of buffers for everybody",
        "device/server/test_queue.py::test_a_burst",
        "device/server/test_queue.py::test_a_peer_that_does_not_read_waits_alone",
        "integration/test_many_clients.py::test_a_flood_without_a_pause_keeps_nobody_from_being_served",
    ),
    3: (
        "the mode changes under what was asked for",
        "device/server/test_leaving.py::test_requests_that_waited_when_maintenance_ended_are_refused_not_executed",
        "device/server/test_leaving.py::test_a_time_limit_that_is_due_comes_before_the_frame",
        "integration/test_traps.py::test_requests_queued_before_leaving",
        "integration/test_traps.py::test_the_gate_closes_under_an_upload",
    ),
    4: (
        "a group that nobody gates",
        "device/server/test_dispatch_alone.py::test_every_known_command_has_a_handler_and_no_other",
        "device/server/test_gate.py::test_unknown_commands_are_unknown_in_every_mode",
    ),
    6: (
        "whose request it is",
        "device/server/test_gate.py::test_answers_go_out_by_the_door_they_came_in",
        "integration/test_traps.py::test_no_door_but_the_front_door",
    ),
    7: (
        "a refusal says why",
        "device/server/test_gate.py::test_every_command_in_every_mode",
        "device/server/test_os.py::test_versions_are_those_of_the_request",
    ),
    8: (
        "the table changes after the last link has ended",
        "integration/test_traps.py::test_a_second_central_that_is_there_keeps_maintenance_shut",
        "integration/test_strategies.py::test_what_a_central_sees_outside_maintenance_and_what_it_is_told",
    ),
    9: (
        "the answer is out before the link ends; a proof is used once",
        "device/transport/test_disconnect.py::test_the_last_answer_has_arrived_before_the_connection_ends",
        "integration/test_last_answers.py::test_leaving_a_trial_is_answered_and_so_is_what_it_drops",
        "integration/test_traps.py::test_replayed_foreign_and_expired_proofs",
    ),
    10: (
        "chance that repeats; no secret",
        "device/server/test_effects.py::test_the_boot_id_is_another_one_after_each_boot",
        "device/server/test_gate.py::test_the_secret_is_needed",
    ),
    11: ("the advertisement fits", "device/transport/test_advertising.py::test_every_byte_in_maintenance"),
    12: (
        "a reset ends the links first, and waits for nobody for ever",
        "integration/test_last_answers.py::test_what_waits_when_a_reset_that_was_granted_is_due_is_answered",
        "integration/test_last_answers.py::test_peers_that_do_not_read_delay_a_reset_by_one_bound_together",
    ),
}
"""What is wrong, and the tests that show that it is not."""
OF_C_ALONE: Final = {5: "headers that moved between Zephyr's versions"}


@pytest.mark.parametrize("trap", IN_THE_DEVICE)
def test_its_tests_are_there(trap: int) -> None:
    what, *tests = IN_THE_DEVICE[trap]
    assert what
    assert tests
    for test in tests:
        file, _, name = test.partition("::")
        assert file.startswith(("device/", "integration/")), "what runs on the C core"
        tree = ast.parse((TESTS / file).read_text("utf-8"))
        assert name in {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}, test


def test_none_is_forgotten() -> None:
    numbered = re.findall(r'\.name = "(\d+)-', (Path(__file__).parent / "zephyr" / "traps.c").read_text("utf-8"))
    assert {int(each) for each in numbered} <= IN_THE_DEVICE.keys()
    assert IN_THE_DEVICE.keys() | OF_C_ALONE.keys() == set(range(1, 13))
