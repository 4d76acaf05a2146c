"""What a build makes of a policy's promises: held, lost or not visible, each with the line that says it."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.export.recorded import BUILDS, DEVICETREE, GONE, Recorded, changed, product, write_recorded
from tests.mcuboot.imgtool_images import public_pem

from keyswitch.errors import InputError
from keyswitch.export.built import PromiseState, as_json, check_build
from keyswitch.export.settings import RELEASES, demands_of, settings_of
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.policy.enums import ProofKind, Visibility
from keyswitch.policy.model import OnEnter, Policy
from keyswitch.terms import Security, Transport
from keyswitch.zephyr.build import read_build_files

GOOD = Recorded(lost={})
KEYS: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "root.pub.pem"
    path.write_bytes(public_pem())
    KEYS[:] = [path]
    return path


def the_product(bypasses: tuple[str, ...] = ()) -> Policy:
    return product(KEYS[0], bypasses=bypasses)


def promises(directory, build: Recorded, policy: Policy | None = None):
    found = read_build_files(write_recorded(directory, build))
    policy = the_product(build.bypasses) if policy is None else policy
    return {each.name: each for each in check_build(policy, RELEASES[build.release], found)}


def of_state(found, state: PromiseState):
    return {name: each for name, each in found.items() if each.state is state}


@pytest.mark.parametrize("name", BUILDS)
def test_each_recorded_build(tmp_path, name):
    build = BUILDS[name]
    found = promises(tmp_path, build)
    lost = of_state(found, PromiseState.LOST)
    assert {name: each.line for name, each in lost.items()} == build.lost
    assert all(each.advice and each.file and (tmp_path / each.file).is_file() for each in lost.values())
    unseen = of_state(found, PromiseState.NOT_VISIBLE)
    assert set(unseen) == set(build.not_visible)
    assert all(each.advice for each in unseen.values())
    assert not any(each.advice for each in of_state(found, PromiseState.HELD).values())


def test_every_promise_is_lost_held_and_not_visible_somewhere():
    named = {name for build in BUILDS.values() for name in build.lost}
    unseen = {name for build in BUILDS.values() for name in build.not_visible}
    assert {"algorithm", "downgrade", "hash", "signature", "images", "serial-recovery", "usb-dfu"} <= named
    assert {"transports", "groups", "updaters", "upload-slot", "settings-backend", "random", "connections"} <= named
    assert {"slot-size", "secondary-slot-size", "sector-size", "bootloader-mode"} <= named & (unseen | named)
    assert {"transports", "groups", "connections", "hash", "downgrade", "write-block"} <= unseen


def test_without_an_application_nothing_of_it_is_visible(tmp_path):
    found = promises(tmp_path, replace(GOOD, application=GONE))
    unseen = of_state(found, PromiseState.NOT_VISIBLE)
    assert {"CONFIG_KEYSWITCH", "CONFIG_MCUMGR_GRP_FS", "transports", "groups", "updaters"} <= set(unseen)
    assert {"settings-backend", "upload-slot", "bootloader-mode", "usb-dfu.application"} <= set(unseen)
    assert of_state(found, PromiseState.LOST) == {}
    assert found["serial-recovery"].state is PromiseState.HELD


def test_every_demand_is_a_promise_of_its_own(tmp_path):
    for release in RELEASES.values():
        found = check_build(the_product(), release, read_build_files(write_recorded(tmp_path, GOOD)))
        names = [each.name for each in found]
        assert len(names) == len(set(names))
        assert {f"CONFIG_{each.symbol}" for each in demands_of(the_product(), release)} <= set(names)


def with_service(service: Visibility) -> Policy:
    policy = the_product()
    return replace(policy, gate=replace(policy.gate, service=service))


def test_authorize_needs_the_callback_and_no_table_that_changes(tmp_path):
    policy = with_service(Visibility.AUTHORIZE)
    name = "CONFIG_BT_GATT_AUTHORIZATION_CUSTOM"
    lost = promises(tmp_path / "without", GOOD, policy)[name]
    assert (lost.state, lost.line) == (PromiseState.LOST, f"# {name} is not set")
    assert lost.file == "pump/zephyr/.config"
    found = promises(tmp_path / "with", replace(GOOD, application={"+": f"{name}=y\n"}), policy)
    assert found[name].state is PromiseState.HELD
    assert found["authorization"].state is PromiseState.HELD
    assert "CONFIG_BT_GATT_DYNAMIC_DB" not in found
    owner = "CONFIG_KEYSWITCH_GATT_AUTHORIZATION_OWNER"
    build = replace(GOOD, application={"+": f"{name}=y\n", f"{owner}_MODULE=y": f"{owner}_APP=y"})
    anothers = promises(tmp_path / "app", build, policy)["authorization"]
    assert (anothers.state, anothers.line) == (PromiseState.NOT_VISIBLE, f"{owner}_APP=y")
    assert "CONFIG_BT_GATT_DYNAMIC_DB" not in promises(tmp_path / "always", GOOD, with_service(Visibility.ALWAYS))


def test_a_permit_says_nothing_of_encrypted_images(tmp_path):
    policy = the_product()
    ways = tuple(
        replace(way, trigger=OnEnter(proofs=(ProofKind.PERMIT,))) if isinstance(way.trigger, OnEnter) else way
        for way in policy.transitions
    )
    permits = replace(policy, transitions=ways)
    encrypted = replace(GOOD, mcuboot={"+": "CONFIG_BOOT_ENCRYPT_IMAGE=y\n"})
    assert promises(tmp_path / "a", encrypted, permits)["permitted-images"].state is PromiseState.LOST
    assert promises(tmp_path / "b", GOOD, permits)["permitted-images"].state is PromiseState.HELD
    assert "permitted-images" not in promises(tmp_path / "c", encrypted)


@pytest.mark.parametrize(
    ("security", "release", "symbol"),
    [
        (Security.ENCRYPTED, "4.1", "CONFIG_MCUMGR_TRANSPORT_BT_PERM_RW_ENCRYPT"),
        (Security.AUTHENTICATED, "4.1", "CONFIG_MCUMGR_TRANSPORT_BT_PERM_RW_AUTHEN"),
        (Security.AUTHENTICATED, "3.7", "CONFIG_MCUMGR_TRANSPORT_BT_AUTHEN"),
    ],
)
def test_a_weaker_permission_than_the_policy_asks_for(tmp_path, security, release, symbol):
    policy = the_product()
    modes = {name: replace(mode, security=security) for name, mode in policy.modes.items()}
    found = promises(tmp_path, replace(GOOD, release=release), replace(policy, modes=modes))
    assert found[symbol].state is PromiseState.LOST
    assert found["CONFIG_BT_SMP"].state is PromiseState.HELD


def with_security(security: Security) -> Policy:
    """Of one mode, beside others that ask for nothing."""
    policy = the_product()
    name = next(iter(policy.modes))
    return replace(policy, modes={**policy.modes, name: replace(policy.modes[name], security=security)})


KEPT = {"+": "CONFIG_BT_PRIVACY=y\n"}


@pytest.mark.parametrize(
    ("application", "state"),
    [
        ({}, PromiseState.NOT_VISIBLE),  # the controller may have an address
        (KEPT, PromiseState.HELD),
        ({**KEPT, "CONFIG_BT_SETTINGS=y\n": ""}, PromiseState.NOT_VISIBLE),
    ],
)
def test_an_address_that_stays_is_asked_for_where_links_are_paired_for(tmp_path, application, state):
    build = replace(GOOD, application=application)
    for number, security in enumerate((Security.ENCRYPTED, Security.AUTHENTICATED)):
        found = promises(tmp_path / f"{number}", build, with_security(security))["identity"]
        assert found.state is state
        assert "bt_id_create()" in found.advice or state is PromiseState.HELD
    assert "identity" not in promises(tmp_path / "none", build)
    off = replace(with_security(Security.ENCRYPTED), smp=replace(the_product().smp, transports=(Transport.UDP,)))
    assert "identity" not in promises(tmp_path / "off", build, off)


def test_who_only_asks_to_pair_removes_no_bond_that_a_person_has_made(tmp_path):
    name = "CONFIG_BT_KEYS_OVERWRITE_OLDEST"
    build = replace(GOOD, application={"+": f"{name}=y\n"})
    lost = promises(tmp_path / "a", build, with_security(Security.AUTHENTICATED))[name]
    assert (lost.state, lost.line) == (PromiseState.LOST, f"{name}=y")
    assert promises(tmp_path / "b", GOOD, with_security(Security.AUTHENTICATED))[name].state is PromiseState.HELD
    assert name not in promises(tmp_path / "c", build, with_security(Security.ENCRYPTED))


def test_a_key_that_is_not_here(tmp_path):
    policy = the_product()
    policy = replace(policy, bootloader=replace(policy.bootloader, key=tmp_path / "gone.pem"))
    unseen = promises(tmp_path / "a", GOOD, policy)["signature"]
    assert (unseen.state, unseen.line) == (PromiseState.NOT_VISIBLE, "CONFIG_BOOT_SIGNATURE_TYPE_ECDSA_P256=y")
    unsigned = BUILDS["no signatures at all"]
    assert promises(tmp_path / "b", unsigned, policy)["signature"].state is PromiseState.LOST


def test_off_bluetooth_nothing_of_it_is_asked(tmp_path):
    policy = the_product()
    policy = replace(policy, smp=replace(policy.smp, transports=(Transport.UDP,)))
    found = promises(tmp_path, GOOD, policy)
    assert found["CONFIG_MCUMGR_TRANSPORT_BT"].state is PromiseState.LOST
    assert not {"connections", "CONFIG_BT_SETTINGS"} & set(found)


def test_what_a_release_has_no_symbol_for_is_asked_of_builds_alone():
    of_3_7 = {"MCUMGR_GRP_ENUM", "MCUMGR_GRP_OS_RESET_BOOT_MODE", "MCUBOOT_BOOTLOADER_USES_SHA512"}
    for name, absent in (("3.7", of_3_7), ("main", set())):
        written = {each.symbol for each in settings_of(the_product(), RELEASES[name])}
        asked = {each.symbol for each in demands_of(the_product(), RELEASES[name])}
        assert asked - written == absent


@pytest.mark.parametrize("known_by", [VerifiedHash.SHA512, VerifiedHash.PURE])
def test_images_known_by_sha_512_are_asked_of_the_application_too(tmp_path, known_by):
    policy = the_product()
    policy = replace(policy, bootloader=replace(policy.bootloader, hash=known_by))
    name = "CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512"
    built = "SIGNATURE_TYPE_PURE" if known_by is VerifiedHash.PURE else "IMG_HASH_ALG_SHA512"
    mcuboot = {"BOOT_IMG_HASH_ALG_SHA256": f"BOOT_{built}"}
    lost = promises(tmp_path / "lost", replace(GOOD, mcuboot=mcuboot), policy)
    assert {lost[name].state, lost["hash"].state} == {PromiseState.LOST, PromiseState.HELD}
    held = promises(tmp_path / "held", replace(GOOD, mcuboot=mcuboot, application={"+": f"{name}=y\n"}), policy)
    assert held[name].state is PromiseState.HELD


def test_the_application_says_the_slots_where_mcuboot_does_not(tmp_path):
    write_recorded(tmp_path, replace(GOOD, devicetree=GONE))
    (tmp_path / "pump/zephyr/zephyr.dts").write_text(changed(DEVICETREE, {"0xc000 0x70000": "0xc000 0x74000"}))
    found = {each.name: each for each in check_build(the_product(), RELEASES["4.1"], read_build_files(tmp_path))}
    slot = found["slot-size"]
    assert (slot.state, slot.line, slot.file) == (PromiseState.LOST, "475136 bytes", "pump/zephyr/zephyr.dts")


def test_a_build_without_sysbuild(tmp_path):
    write_recorded(tmp_path, GOOD)
    (tmp_path / "domains.yaml").unlink()
    (tmp_path / "pump/zephyr/.config").replace(tmp_path / "zephyr/.config")
    found = {each.name: each for each in check_build(the_product(), RELEASES["4.1"], read_build_files(tmp_path))}
    assert of_state(found, PromiseState.HELD) == found


def test_of_two_applications_the_default_one_is_meant(tmp_path):
    write_recorded(tmp_path, GOOD)
    (tmp_path / "loader/zephyr").mkdir(parents=True)
    (tmp_path / "loader/zephyr/.config").write_text("CONFIG_BOOTLOADER_MCUBOOT=y\n")
    application = read_build_files(tmp_path).application
    assert application is not None
    assert application.path.parts[-3] == "pump"
    (tmp_path / "domains.yaml").write_text("domains:\n")
    assert read_build_files(tmp_path).application is None


def test_a_directory_that_is_no_build(tmp_path):
    with pytest.raises(InputError, match=r"no build .expected a directory of `west build`"):
        read_build_files(tmp_path)


def test_as_it_goes_out(tmp_path):
    found = promises(tmp_path, BUILDS["MCUboot with serial recovery"])
    assert as_json(found["serial-recovery"]) == {
        "promise": "serial-recovery",
        "why": "MCUboot takes no firmware over a serial line",
        "state": "lost",
        "line": "CONFIG_MCUBOOT_SERIAL=y",
        "file": "mcuboot/zephyr/.config",
        "advice": 'CONFIG_MCUBOOT_SERIAL=n; or declare it in device.bypasses by "serial recovery" and what protects it',
    }
    assert as_json(found["transports"])["line"] is None
