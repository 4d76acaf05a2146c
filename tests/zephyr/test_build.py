import pytest
from tests.zephyr.builds import DEVICETREE, MCUBOOT, PARTITIONS, write_build

from keyswitch.errors import InputError
from keyswitch.mcuboot.config import Downgrade, LoaderEntrance
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.load import load
from keyswitch.policy.model import BootloaderSettings, ImagePair
from keyswitch.policy.template import Choices, template
from keyswitch.zephyr.boards import BOARDS
from keyswitch.zephyr.build import NOT_DESCRIBED, BuiltBootloader, bootloader_of, read_build

INSIDE = PARTITIONS.format(address="0x82000", region="flash_primary", size="0x76000")
OUTSIDE = PARTITIONS.format(address="0x0", region="external_flash", size="0xf4000")
CHILD, SYSBUILD, EXTERNAL = MCUBOOT.values()


def test_a_child_image_of_ncs(tmp_path):
    build = read_build(write_build(tmp_path, CHILD, partitions=INSIDE, sysbuild=False))
    assert build.sysbuild is None
    assert build.application is not None
    assert build.application.on("BT")
    assert (build.slots.sector_size, build.slots.write_block) == (None, None)
    assert bootloader_of(build) == BuiltBootloader(
        settings=BootloaderSettings(
            algorithm=Algorithm.SWAP_MOVE,
            hash=None,
            slot_size=0x76000,
            secondary_size=None,
            max_sectors=128,
            needs_erase=True,
            downgrade=Downgrade.ALLOWED,
            guessed=True,
        ),
        key_file="root-ec-p256.pem",
        external=False,
    )


def test_sysbuild_with_a_devicetree(tmp_path):
    build = read_build(write_build(tmp_path, SYSBUILD, devicetree=DEVICETREE))
    assert build.sysbuild is not None
    assert build.sysbuild.on("BOOTLOADER_MCUBOOT")
    assert build.application is not None
    assert bootloader_of(build) == BuiltBootloader(
        settings=BootloaderSettings(
            algorithm=Algorithm.SWAP_MOVE,
            hash=VerifiedHash.SHA512,
            slot_size=0xA6000,
            secondary_size=0xA5000,
            max_sectors=None,
            sector_size=4096,
            write_block=16,
            needs_erase=False,
            downgrade=Downgrade.BY_VERSION,
            guessed=False,
        ),
        key_file="/home/me/pump/keys/root-ed25519.pem",
        external=False,
    )


def test_a_second_slot_on_another_chip(tmp_path):
    found = bootloader_of(read_build(write_build(tmp_path, EXTERNAL, partitions=OUTSIDE, devicetree=DEVICETREE)))
    settings = found.settings
    assert (found.external, settings.slot_size, settings.secondary_size) == (True, 0x76000, 0xF4000)
    assert (settings.algorithm, settings.downgrade) == (Algorithm.OVERWRITE_ONLY, Downgrade.BY_COUNTER)
    assert settings.write_block == 16, "the flash is the devicetree's, the slots are the partition manager's"


def test_a_second_slot_on_another_flash_of_the_devicetree(tmp_path):
    lines = DEVICETREE.splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if "slot1_partition" in line)
    slot = lines[at : at + 4]
    outside = [
        "\tspi {\n",
        "\t\tmx25r64: mx25r6435f@0 {\n",
        "\t\t\tpartitions {\n",
        *slot,
        "\t\t\t};\n",
        "\t\t};\n",
        "\t};\n",
    ]
    moved = "".join([*lines[:at], *lines[at + 4 : -1], *outside, lines[-1]])
    assert bootloader_of(read_build(write_build(tmp_path, SYSBUILD, devicetree=moved))).external


def further(name: str, address: int, size: int, region: str = "external_flash") -> str:
    return f"{name}:\n  address: {address}\n  region: {region}\n  size: {size}\n"


NETWORK_CORE = (
    PARTITIONS.format(address="0x0", region="external_flash", size="0x76000")
    + further("mcuboot_primary_1", 0, 0x40000, "ram_flash")
    + further("mcuboot_secondary_1", 0x76000, 0x41000)
)
TWO_IMAGES = (
    "CONFIG_MCUBOOT=y\nCONFIG_BOOT_SIGNATURE_TYPE_ECDSA_P256=y\nCONFIG_BOOT_SWAP_USING_MOVE=y\n"
    "CONFIG_BOOT_MAX_IMG_SECTORS_AUTO=y\nCONFIG_UPDATEABLE_IMAGE_NUMBER=2\nCONFIG_NRF53_MULTI_IMAGE_UPDATE=y\n"
    "CONFIG_MCUBOOT_NETWORK_CORE_IMAGE_NUMBER=1\n"
)


@pytest.mark.parametrize(
    ("change", "copied"),
    [
        (("", ""), True),
        (("BOOT_SWAP_USING_MOVE", "BOOT_UPGRADE_ONLY"), True),
        (("NETWORK_CORE_IMAGE_NUMBER=1", "NETWORK_CORE_IMAGE_NUMBER=-1"), False),
        (("CONFIG_NRF53_MULTI_IMAGE_UPDATE=y\n", ""), False),
    ],
)
def test_a_build_for_several_images(tmp_path, change, copied):
    found = bootloader_of(read_build(write_build(tmp_path, TWO_IMAGES.replace(*change), partitions=NETWORK_CORE)))
    assert found.settings.images == (
        ImagePair(slot_size=0x76000, secondary_size=0x76000),
        ImagePair(slot_size=0x40000, secondary_size=0x41000, copied=copied),
    )
    text = template(Choices(name="Two", proofs=(ProofKind.CHALLENGE,), bootloader=found.settings, image_key="k.pem"))
    policy = load(text.encode())
    assert policy.bootloader.images == found.settings.images
    assert policy.update.simultaneous is not (copied and policy.bootloader.algorithm.has_trial)


def test_further_slots_of_the_devicetree(tmp_path):
    slots = "".join(
        f"\t\t\t\t\tslot{n}_partition: partition@{n}00000 {{\n\t\t\t\t\t\treg = < {n}00000 0x8000 >;\n\t\t\t\t\t}};\n"
        for n in (2, 3)
    )
    at = DEVICETREE.index("\t\t\t\t\tslot0_partition")
    tree = DEVICETREE[:at] + slots + DEVICETREE[at:]
    built = write_build(tmp_path, SYSBUILD + "CONFIG_UPDATEABLE_IMAGE_NUMBER=2\n", devicetree=tree)
    images = bootloader_of(read_build(built)).settings.images
    assert [(each.slot_size, each.secondary_size) for each in images] == [(0xA6000, 0xA5000), (0x8000, 0x8000)]


def test_an_image_without_slots_is_one_line(tmp_path):
    one = PARTITIONS.format(address="0x0", region="external_flash", size="0x76000")
    for partitions in (one, one + further("mcuboot_primary_1", 0, 0x40000)):
        with pytest.raises(InputError, match=r"UPDATEABLE_IMAGE_NUMBER: 2 images, and .* has the slots of 1 "):
            (place := tmp_path / str(len(partitions))).mkdir()
            bootloader_of(read_build(write_build(place, TWO_IMAGES, partitions=partitions)))


def test_several_images_need_a_bootloader_that_is_written_by_what_runs(tmp_path):
    config = SYSBUILD.replace("CONFIG_BOOT_SWAP_USING_MOVE=y", "CONFIG_BOOT_FIRMWARE_LOADER=y")
    built = write_build(tmp_path, config + "CONFIG_UPDATEABLE_IMAGE_NUMBER=2\n", devicetree=DEVICETREE)
    with pytest.raises(InputError, match=r"UPDATEABLE_IMAGE_NUMBER: 2 images with firmware-loader \(expected 1\)"):
        bootloader_of(read_build(built))


@pytest.mark.parametrize("pure", [True, False])
def test_pure_signatures(tmp_path, pure):
    config = SYSBUILD.replace("# CONFIG_BOOT_SIGNATURE_TYPE_PURE is not set", "CONFIG_BOOT_SIGNATURE_TYPE_PURE=y")
    found = bootloader_of(read_build(write_build(tmp_path, config if pure else SYSBUILD, devicetree=DEVICETREE)))
    assert found.settings.hash is (VerifiedHash.PURE if pure else VerifiedHash.SHA512)


@pytest.mark.parametrize("symbol", NOT_DESCRIBED)
def test_a_bootloader_that_cannot_be_described_is_named(tmp_path, symbol):
    config = f"CONFIG_MCUBOOT=y\nCONFIG_{symbol}=y\n"
    with pytest.raises(InputError, match=rf"mcuboot/zephyr/\.config: CONFIG_{symbol}: .* is not modelled: "):
        bootloader_of(read_build(write_build(tmp_path, config, partitions=INSIDE)))


@pytest.mark.parametrize(("revert", "algorithm"), [("", "direct-xip-no-revert"), ("_REVERT", "direct-xip")])
def test_direct_xip_with_and_without_revert(tmp_path, revert, algorithm):
    config = f"CONFIG_BOOT_DIRECT_XIP=y\nCONFIG_BOOT_DIRECT_XIP{revert}=y\n"
    assert bootloader_of(read_build(write_build(tmp_path, config, partitions=INSIDE))).settings.algorithm == algorithm


def test_a_firmware_loader_and_what_starts_it(tmp_path):
    config = (
        "CONFIG_BOOT_FIRMWARE_LOADER=y\nCONFIG_BOOT_FIRMWARE_LOADER_BOOT_MODE=y\n"
        "CONFIG_BOOT_FIRMWARE_LOADER_PIN_RESET=y\nCONFIG_BOOT_FIRMWARE_LOADER_ENTRANCE_GPIO=y\n"
        "# CONFIG_BOOT_FIRMWARE_LOADER_NO_APPLICATION is not set\n"
    )
    settings = bootloader_of(read_build(write_build(tmp_path, config, partitions=INSIDE))).settings
    assert settings.algorithm == "firmware-loader"
    assert settings.loader_entrance == (LoaderEntrance.BOOT_MODE, LoaderEntrance.PIN)
    assert not settings.loader_gated, "a build does not say whether its loader has a gate"


def test_a_single_slot_needs_no_second(tmp_path):
    partitions = "mcuboot_primary:\n  address: 0\n  size: 0x76000\n"
    found = bootloader_of(
        read_build(write_build(tmp_path, "CONFIG_SINGLE_APPLICATION_SLOT=y\n", partitions=partitions))
    )
    assert (found.settings.algorithm, found.settings.secondary_size, found.external) == ("single-slot", None, False)


@pytest.mark.parametrize(
    ("mcuboot", "partitions", "devicetree", "said"),
    [
        ("nonsense here\n", INSIDE, None, r"\.config:1: not a line of Kconfig"),
        (CHILD, None, None, r"zephyr\.dts: No such file"),
        (CHILD, "- a list\n", None, r"partitions\.yml: no partition mcuboot_primary"),
        (CHILD, "mcuboot_primary: [\n", None, r"partitions\.yml: no YAML"),
        (CHILD, "mcuboot_primary:\n  address: here\n", None, r"partitions\.yml: mcuboot_primary: no address and size"),
        (CHILD, "mcuboot_primary:\n  address: 0\n  size: 4096\n", None, r"partitions\.yml: no secondary slot"),
        (CHILD, None, "/dts-v1/;\n", r"zephyr\.dts: no node slot0_partition"),
        (CHILD, None, "slot0_partition: partition@0 {\n};\n", r"zephyr\.dts: slot0_partition: no address and size"),
        ("CONFIG_MCUBOOT=y\n", INSIDE, None, r"\.config: no image upgrade mode"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, mcuboot, partitions, devicetree, said):
    with pytest.raises(InputError, match=said):
        bootloader_of(read_build(write_build(tmp_path, mcuboot, partitions=partitions, devicetree=devicetree)))


def test_a_directory_without_a_build(tmp_path):
    with pytest.raises(InputError, match=r"no build with MCUboot .expected a directory of `west build`"):
        read_build(tmp_path)


def test_boards_name_their_sources():
    for board in BOARDS.values():
        assert board.sources
        assert board.bootloader.slot_size % 4096 == 0
