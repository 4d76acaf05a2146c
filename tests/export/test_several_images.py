"""Several images for the firmware module: which, and what they add to tables, settings and files."""

import re

import pytest
from tests.policy.samples import ROOT, pump, pump_with

from keyswitch.errors import InputError
from keyswitch.export.limits import LIST_AROUND, LIST_ENTRY, MAX_IMAGES, check_exportable, longest_list
from keyswitch.export.settings import RELEASES, settings_of
from keyswitch.export.tables import policy_c, policy_h
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy

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
