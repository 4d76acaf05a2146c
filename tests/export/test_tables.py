"""A policy as const tables: the same bytes each time, nothing that Python and C would read in different ways."""

import re
from pathlib import Path

import pytest
from tests.policy.samples import ROOT, pump, pump_with

from keyswitch.errors import InputError
from keyswitch.export import limits, numbers, tables
from keyswitch.export.limits import check_exportable, check_fits, check_release
from keyswitch.export.settings import RELEASES
from keyswitch.export.tables import features, policy_c, policy_h
from keyswitch.gate.record import VERSION, entry_of
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.enums import Visibility
from keyswitch.policy.load import load
from keyswitch.policy.model import Policy

INCLUDE = ROOT / "firmware" / "include" / "keyswitch"


def values(header: Path) -> dict[str, int]:
    """What the header defines as numbers: macros and enumerators."""
    text = header.read_text()
    found = re.findall(r"^#define (\w+) (0x[0-9A-Fa-f]+|\d+)u?$", text, re.MULTILINE)
    found += re.findall(r"^\t(KS_\w+) = (\d+),", text, re.MULTILINE)
    return {name: int(value, 0) for name, value in found}


def many_modes(count: int, more: str = "") -> Policy:
    modes = "".join(f'[modes.m{each}]\nallow = ["mode"]\n{more.format(each)}' for each in range(count))
    return load(f'schema = 1\n[device]\nname = "D"\ninitial_mode = "m0"\n{modes}'.encode(), origin="many")


def test_both_sides_have_the_same_numbers() -> None:
    known = values(INCLUDE / "ks_abi.h") | values(INCLUDE / "ks_tables.h") | values(INCLUDE / "ks_gate.h")
    assert known["KS_ABI"] == numbers.ABI
    assert values(INCLUDE / "ks_record.h")["KS_RECORD_VERSION"] == VERSION
    for proof, number in numbers.PROOFS.items():
        assert known[f"KS_PROOF_{'NONE' if proof is None else proof.name}"] == number
    for timer, number in numbers.TIMERS.items():
        assert known[f"KS_TIMER_{timer.name}"] == number
    words = (*numbers.COMPARE.values(), *numbers.TRIGGERS.values(), *numbers.SECURITY.values())
    assert {*words, *numbers.SERVICE.values(), *numbers.CONFIRM.values()} <= known.keys()


def test_the_pump_as_tables() -> None:
    policy = pump()
    text = policy_c(policy, "/* header */")
    assert text.startswith("/* header */\n\n#include <keyswitch/ks_tables.h>")
    assert '{.name = "motion", .initial = 0, .flags = KS_INPUT_BOOL | KS_INPUT_SAFETY | KS_INPUT_KNOWN},' in text
    assert "{.input = 1u, .compare = KS_AT_LEAST, .value = 30}, /* battery_percent >= 30 */" in text
    assert "{.group = 0x4B53u, .reads = 0x00000003u, .writes = 0x0000003Cu}," in text
    for way in policy.transitions:
        assert ", ".join(f"0x{byte:02x}" for byte in entry_of(way)) in text
    assert ", ".join(f"0x{byte:02x}" for byte in policy.digest) in text
    assert policy_c(pump(), "/* header */") == text


def test_the_header_stops_another_core() -> None:
    text = policy_h(pump(), "/* header */")
    assert f"#if KS_ABI != {numbers.ABI}\n#error" in text
    assert "Regenerate: keyswitch export zephyr" in text
    assert "#define KS_POLICY_MODE_MAINTENANCE 3u" in text
    assert "#define KS_POLICY_INPUT_BATTERY_PERCENT 1u" in text
    assert "#define KS_POLICY_INHIBIT_MOTION 0x00000001u" in text


@pytest.mark.parametrize(
    ("text", "literal"),
    [("plain", '"plain"'), ('a"b\\c?', '"a\\042b\\134c\\077"'), ("é1", '"\\303\\2511"'), ("%s", '"%s"')],
)
def test_texts_are_literals_that_nothing_ends(text: str, literal: str) -> None:
    assert tables._string(text) == literal


def test_the_lowest_number_is_no_literal_in_c() -> None:
    assert tables._int32(-(2**31)) == "(-2147483647 - 1)"
    assert tables._int32(-(2**31) + 1) == "-2147483647"


def test_as_many_modes_as_there_are_bits() -> None:
    check_fits(many_modes(32))
    with pytest.raises(InputError, match=r"many: modes: 33 for the firmware module \(expected at most 32\)"):
        check_fits(many_modes(33))


def test_as_many_inhibits_as_there_are_bits() -> None:
    check_fits(many_modes(32, 'inhibits = ["i{0}"]\n'))
    with pytest.raises(InputError, match=r"modes\.\*\.inhibits: 33"):
        check_fits(many_modes(32, 'inhibits = ["i{0}", "one-more"]\n'))


def test_two_names_that_are_one_in_c() -> None:
    policy = load(
        b'schema = 1\n[device]\nname = "D"\ninitial_mode = "a-b"\n[modes.a-b]\nallow = []\n[modes.a_b]\nallow = []\n'
    )
    with pytest.raises(InputError, match='"a-b" and "a_b" are one name in C: A_B'):
        check_fits(policy)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ([('identity = "same"', 'identity = "second"')], "gate.identity: not yet in the firmware module"),
        ([('session = "anyone"', 'session = "owner"')], "an owner on udp and serial"),
        (
            [('algorithm = "swap-move"', 'algorithm = "direct-xip-no-revert"')],
            'bootloader.algorithm: not yet in the firmware module: arming images for "direct-xip-no-revert"',
        ),
        (
            [("slot_size = 458752", 'hash = "sha384"\nslot_size = 458752')],
            r'bootloader.hash: .* "sha384", which MCUmgr does not list \(expected "sha256" or "sha512" or "pure"\)',
        ),
    ],
)
def test_what_is_not_there_yet_is_refused(changes: list[tuple[str, str]], what: str) -> None:
    policy = pump_with(*changes)
    check_fits(policy)
    with pytest.raises(InputError, match=what):
        check_exportable(policy)


@pytest.mark.parametrize("known_by", ["sha256", "sha512", "pure"])
def test_images_are_exported_by_each_hash_that_mcumgr_lists(known_by: str) -> None:
    check_exportable(pump_with(("slot_size = 458752", f'hash = "{known_by}"\nslot_size = 458752')))


def test_every_algorithm_is_armed_or_refused_with_its_reason() -> None:
    assert {*limits._ARMED, *limits._NOT_ARMED} == set(Algorithm)
    assert not {*limits._ARMED} & {*limits._NOT_ARMED}


def test_swap_using_offset_is_for_releases_that_can_be_told_of_it() -> None:
    policy = pump_with(('algorithm = "swap-move"', 'algorithm = "swap-offset"'))
    check_exportable(policy)
    for name, release in RELEASES.items():
        if name == "3.7":
            with pytest.raises(InputError, match=r'bootloader.algorithm: Zephyr 3.7 cannot be told of "swap-offset"'):
                check_release(policy, release)
        else:
            check_release(policy, release)
        check_release(pump(), release)


def test_an_owner_on_ble_alone_is_exported() -> None:
    check_exportable(pump_with(('session = "anyone"', 'session = "owner"'), ('["ble", "udp", "serial"]', '["ble"]')))


def test_each_strategy_and_a_quiet_time_are_exported() -> None:
    for service in Visibility:
        policy = pump_with(('service = "reconnect"', f'service = "{service.value}"'))
        check_exportable(policy)
        assert f".service = {numbers.SERVICE[service]}," in policy_c(policy, "")
    quiet = pump_with(("[modes.maintenance]", "[modes.maintenance]\nquiet_after_s = 5"))
    check_exportable(quiet)
    assert ".quiet_ms = 5000u," in policy_c(quiet, "")


def test_permits_are_exported_with_the_size_of_their_table() -> None:
    policy = pump_with(
        ('proofs = ["challenge"]', 'proofs = ["challenge", "permit"]'),
        ("[entry.challenge]", '[entry.permit]\nissuers = ["i.pem"]\nmax_permits = 7\n[entry.challenge]'),
    )
    check_exportable(policy)
    assert ".max_permits = 7u," in policy_c(policy, "")
    assert "#define KS_HAS_PERMIT 1" in policy_h(policy, "")
    assert "#define KS_HAS_PERMIT 0" in policy_h(pump(), "")
    clock = '[entry.permit]\nissuers = ["i.pem"]\nclock = "trusted"\n[entry.challenge]'
    trusted = pump_with(("[entry.challenge]", clock))
    assert "KS_POLICY_TRUSTED_CLOCK" in policy_h(trusted, "")


def test_the_header_says_what_the_policy_uses() -> None:
    everything = dict.fromkeys(features(pump()), True)
    text = (INCLUDE / "ks_limits.h").read_text()
    assert set(re.findall(r"^#ifndef (KS_HAS_\w+)$", text, re.MULTILINE)) == everything.keys()
    assert not features(pump())["KS_HAS_SEQUENCE"]
    assert features(pump())["KS_HAS_ON_BUTTON"]
