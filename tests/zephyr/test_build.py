import pytest
from tests.zephyr.builds import DEVICETREE, MCUBOOT, PARTITIONS, write_build

from keyswitch.errors import InputError
from keyswitch.mcuboot.config import Downgrade
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.model import BootloaderSettings
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


@pytest.mark.parametrize("pure", [True, False])
def test_pure_signatures(tmp_path, pure):
    config = SYSBUILD.replace("# CONFIG_BOOT_SIGNATURE_TYPE_PURE is not set", "CONFIG_BOOT_SIGNATURE_TYPE_PURE=y")
    found = bootloader_of(read_build(write_build(tmp_path, config if pure else SYSBUILD, devicetree=DEVICETREE)))
    assert found.settings.hash is (VerifiedHash.PURE if pure else VerifiedHash.SHA512)


@pytest.mark.parametrize("symbol", NOT_DESCRIBED)
def test_a_bootloader_that_cannot_be_described_is_named(tmp_path, symbol):
    config = f"CONFIG_MCUBOOT=y\nCONFIG_{symbol}=y\n"
    with pytest.raises(InputError, match=rf"mcuboot/zephyr/\.config: CONFIG_{symbol}: .* cannot be described yet"):
        bootloader_of(read_build(write_build(tmp_path, config, partitions=INSIDE)))


def test_direct_xip_needs_its_revert(tmp_path):
    config = "CONFIG_BOOT_DIRECT_XIP=y\n"
    with pytest.raises(InputError, match=r"without revert cannot be described yet .expected CONFIG_BOOT_DIRECT"):
        bootloader_of(read_build(write_build(tmp_path / "a", config, partitions=INSIDE)))
    config += "CONFIG_BOOT_DIRECT_XIP_REVERT=y\n"
    assert (
        bootloader_of(read_build(write_build(tmp_path / "b", config, partitions=INSIDE))).settings.algorithm
        == "direct-xip"
    )


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
