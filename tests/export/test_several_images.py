"""Several images for the firmware module: which, and what they add to tables, settings and files."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.export.recorded import DEVICETREE, SYSBUILD, Recorded, product, write_recorded
from tests.policy.samples import ROOT, pump, pump_with, small

from keyswitch.errors import InputError
from keyswitch.export.built import BuiltPromise, PromiseState, check_build
from keyswitch.export.limits import LIST_AROUND, LIST_ENTRY, MAX_IMAGES, check_exportable, longest_list
from keyswitch.export.settings import RELEASES, settings_of, sysbuild_of
from keyswitch.export.tables import policy_c, policy_h
from keyswitch.export.zephyr import FILES, drift, export_zephyr, write_export
from keyswitch.export.zephyr import SYSBUILD as SYSBUILD_FILE
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import ImagePair, Policy
from keyswitch.prove.check import ProofResult, check
from keyswitch.zephyr.build import read_build_files

IMAGE_C = (ROOT / "firmware" / "src" / "zephyr" / "image.c").read_text("utf-8")


def several(*copied: bool, more: str = "", buf_size: int = 2475) -> Policy:
    """The pump with a further image for each of these."""
    images = "[[bootloader.images]]\n" + "".join(
        f"[[bootloader.images]]\ncopied = {str(each).lower()}\n" for each in copied
    )
    return pump_with(("slot_size = 458752", more + images), ("buf_size = 2475", f"buf_size = {buf_size}"))


def values(policy: Policy) -> dict[str, str]:
    return {each.symbol: each.value for each in settings_of(policy, RELEASES["4.1"])}


@pytest.mark.parametrize("copied", [(False,), (True,), (False, True), (False, False)])
def test_two_and_three_images_are_exported(copied: tuple[bool, ...]) -> None:
    policy = several(*copied)
    check_exportable(policy)
    count = len(copied) + 1
    bits = sum(each << number for number, each in enumerate(copied, start=1))
    header = policy_h(policy, "/* header */")
    assert f"#define KS_POLICY_PAIRS {count}\n#define KS_POLICY_COPIED 0x{bits:02X}u\n" in header
    assert f".pair_count = {count}u,\n\t.copied = 0x{bits:02X}u," in policy_c(policy, "/* header */")


@pytest.mark.parametrize("copied", [(False,), (True,), (False, True)])
def test_settings_of_several_images(copied: tuple[bool, ...]) -> None:
    found, count = values(several(*copied)), str(len(copied) + 1)
    assert found["UPDATEABLE_IMAGE_NUMBER"] == found["MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER"] == count
    assert ("MCUMGR_GRP_IMG_ALLOW_ERASE_PENDING" in found) is any(copied)


def test_one_image_needs_no_more_than_before() -> None:
    check_exportable(pump())
    assert not {symbol for symbol in values(pump()) if "IMAGE_NUMBER" in symbol or "ERASE_PENDING" in symbol}
    assert "KS_POLICY_PAIRS 1\n" in (header := policy_h(pump(), "/* header */"))
    assert "COPIED" not in header


def test_the_example_with_a_network_core_is_exported() -> None:
    check_exportable(read_policy(ROOT / "examples" / "nrf5340" / "policy.toml"))


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        (
            several(*(False,) * MAX_IMAGES),
            "MCUmgr knows 3 at most (CONFIG_MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER) (expected at most 3 images)",
        ),
        (
            pump_with(
                ('algorithm = "swap-move"', 'algorithm = "swap-offset"'),
                ("slot_size = 458752", "[[bootloader.images]]\n[[bootloader.images]]\ncopied = true\n"),
            ),
            'bootloader.images: not yet in the firmware module: an image that is copied, beside "swap-offset"',
        ),
    ],
)
def test_what_is_not_there_is_refused_with_its_reason(policy: Policy, what: str) -> None:
    with pytest.raises(InputError, match=re.escape(what)):
        check_exportable(policy)


@pytest.mark.parametrize(("known_by", "size"), [("sha256", 32), ("sha512", 64), ("pure", 64)])
@pytest.mark.parametrize("further", [1, 2])
def test_buffers_hold_the_longest_list(known_by: str, size: int, further: int) -> None:
    most = longest_list(further + 1, size)
    more = f'hash = "{known_by}"\n'
    for fits in (most, most + 1):
        check_exportable(several(*(False,) * further, more=more, buf_size=fits))
    refused = f"{most - 1} bytes for the list of {further + 1} images (expected at least {most})"
    with pytest.raises(InputError, match=re.escape(refused)):
        check_exportable(several(*(False,) * further, more=more, buf_size=most - 1))


def test_the_glue_reckons_with_the_same_list() -> None:
    found = dict(re.findall(r"^#define (LIST_\w+) (\d+)$", IMAGE_C, re.MULTILINE))
    assert {name: int(value) for name, value in found.items()} == {
        "LIST_AROUND": LIST_AROUND,
        "LIST_ENTRY": LIST_ENTRY,
    }
    assert "LIST_AROUND + (SLOTS * (LIST_ENTRY + KS_DIGEST_SIZE))" in IMAGE_C


# --- files ----------------------------------------------------------------------------------------------------------


def exported(policy: Policy, proof: ProofResult, into: Path) -> dict[str, str]:
    made = export_zephyr(policy, proof, RELEASES["4.1"], "keyswitch export zephyr")
    write_export(made, into)
    assert drift(made, into) == ()
    return {path.name: path.read_text("utf-8") for path in into.iterdir()}


def test_sysbuild_is_told_of_an_image_that_is_copied_and_of_nothing_else(tmp_path: Path, proof: ProofResult) -> None:
    with_it = exported(several(True), proof, tmp_path)
    assert set(with_it) == {*FILES, SYSBUILD_FILE}
    lines = [line for line in with_it[SYSBUILD_FILE].splitlines() if not line.startswith("#") and line]
    assert lines == [
        "SB_CONFIG_BOOTLOADER_MCUBOOT=y",
        "SB_CONFIG_SECURE_BOOT_NETCORE=y",
        "SB_CONFIG_NETCORE_APP_UPDATE=y",
        "SB_CONFIG_MCUBOOT_NRF53_MULTI_IMAGE_UPDATE=y",
    ]
    assert all(f"`{line.removesuffix('=y')}`" in with_it["REPORT.md"] for line in lines)
    # Another policy in the same place: what it has no use for is drift, and goes.
    other = export_zephyr(several(False), proof, RELEASES["4.1"], "keyswitch export zephyr")
    assert SYSBUILD_FILE in drift(other, tmp_path)
    assert set(exported(several(False), proof, tmp_path)) == set(FILES)


def test_a_sysbuild_file_of_somebody_else_stays(tmp_path: Path, proof: ProofResult) -> None:
    (tmp_path / SYSBUILD_FILE).write_text("SB_CONFIG_BOOTLOADER_MCUBOOT=y\n")
    with pytest.raises(InputError, match=f"{SYSBUILD_FILE}: was not written by keyswitch"):
        exported(several(False), proof, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [SYSBUILD_FILE]


@pytest.fixture(name="proof", scope="module")
def _proof() -> ProofResult:
    return check(small(), max_states=100)


# --- a build --------------------------------------------------------------------------------------------------------

_COPIED = ImagePair(slot_size=0x10000, secondary_size=0x10000, copied=True)
_FURTHER = {
    "\t\t\t\tslot1_partition: partition@7c000 {\n\t\t\t\t\treg = < 0x7c000 0x70000 >;\n\t\t\t\t};\n": (
        "\t\t\t\tslot1_partition: partition@7c000 {\n\t\t\t\t\treg = < 0x7c000 0x70000 >;\n\t\t\t\t};\n"
        "\t\t\t\tslot2_partition: partition@ec000 {\n\t\t\t\t\treg = < 0xec000 0x10000 >;\n\t\t\t\t};\n"
        "\t\t\t\tslot3_partition: partition@fc000 {\n\t\t\t\t\treg = < 0xfc000 0x10000 >;\n\t\t\t\t};\n"
    )
}
_SETTINGS = (
    "CONFIG_UPDATEABLE_IMAGE_NUMBER=2\nCONFIG_MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER=2\n"
    "CONFIG_MCUMGR_GRP_IMG_ALLOW_ERASE_PENDING=y\n"
)
_BUILT = Recorded(
    application={"+": _SETTINGS},
    mcuboot={"CONFIG_UPDATEABLE_IMAGE_NUMBER=1": "CONFIG_UPDATEABLE_IMAGE_NUMBER=2"},
    devicetree=_FURTHER,
    lost={},
)


def built(tmp_path: Path, build: Recorded, policy: Policy, sysbuild: str = SYSBUILD) -> dict[str, BuiltPromise]:
    directory = write_recorded(tmp_path, build)
    (directory / "zephyr" / ".config").write_text(sysbuild)
    found = check_build(policy, RELEASES["4.1"], read_build_files(directory))
    return {each.name: each for each in found if each.state is not PromiseState.HELD}


def of_two(*, bypasses: tuple[str, ...] = ()) -> Policy:
    policy = product(ROOT / "no-key.pem", bypasses=bypasses)
    first = ImagePair(slot_size=0x70000, secondary_size=0x70000)
    return replace(policy, bootloader=replace(policy.bootloader, key=None, images=(first, _COPIED)))


_ALL = SYSBUILD + "".join(f"SB_CONFIG_{each.symbol}=y\n" for each in sysbuild_of(of_two())[1:])


def test_a_build_of_two_images_holds_every_promise(tmp_path: Path) -> None:
    assert DEVICETREE.count(next(iter(_FURTHER))) == 1
    assert built(tmp_path, _BUILT, of_two(), _ALL) == {}


def test_each_thing_that_a_build_of_two_images_can_lose(tmp_path: Path) -> None:
    found = built(tmp_path, Recorded(lost={}), of_two())
    assert {name: each.state for name, each in found.items()} == {
        "CONFIG_UPDATEABLE_IMAGE_NUMBER": PromiseState.LOST,
        "CONFIG_MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER": PromiseState.LOST,
        "CONFIG_MCUMGR_GRP_IMG_ALLOW_ERASE_PENDING": PromiseState.LOST,
        "images": PromiseState.LOST,
        "SB_CONFIG_SECURE_BOOT_NETCORE": PromiseState.LOST,
        "SB_CONFIG_NETCORE_APP_UPDATE": PromiseState.LOST,
        "SB_CONFIG_MCUBOOT_NRF53_MULTI_IMAGE_UPDATE": PromiseState.LOST,
        "slot-size-of-image-1": PromiseState.NOT_VISIBLE,
        "secondary-slot-size-of-image-1": PromiseState.NOT_VISIBLE,
    }
    assert found["images"].promise == "2 images are updated, as the proof has them"
    assert "CONFIG_UPDATEABLE_IMAGE_NUMBER=2 in MCUboot's build" in found["images"].advice


def test_another_size_of_a_further_slot_is_lost(tmp_path: Path) -> None:
    other = {old: new.replace("0xfc000 0x10000", "0xfc000 0x4000") for old, new in _FURTHER.items()}
    found = built(tmp_path, replace(_BUILT, devicetree=other), of_two(), _ALL)
    assert set(found) == {"secondary-slot-size-of-image-1"}
    assert "bootloader.images[1].secondary_size = 16384 in the policy" in found["secondary-slot-size-of-image-1"].advice


@pytest.mark.parametrize(("number", "held"), [(1, False), (2, True), (3, True)])
def test_more_images_than_the_policys_are_declared(tmp_path: Path, number: int, *, held: bool) -> None:
    mcuboot = {"CONFIG_UPDATEABLE_IMAGE_NUMBER=1": f"CONFIG_UPDATEABLE_IMAGE_NUMBER={number}"}
    policy = of_two(bypasses=("a further image, of MCUboot itself, is signed by another key",))
    assert ("images" in built(tmp_path, replace(_BUILT, mcuboot=mcuboot), policy, _ALL)) is not held
