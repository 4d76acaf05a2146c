"""The bootloader of a policy: device and operator hear the same of it."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.mcuboot import imgtool_images as images
from tests.policy.samples import small

from keyswitch.errors import InputError
from keyswitch.mcuboot.config import Downgrade, LoaderEntrance
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import Algorithm, Layout, max_image_size
from keyswitch.policy.bootloader import boot_config_of, keys_of, layout_of, limits_of
from keyswitch.policy.model import BootloaderSettings, ImagePair, Policy


def with_bootloader(settings: BootloaderSettings) -> Policy:
    return replace(small(), bootloader=settings, origin="pump.toml")


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("downgrade", Downgrade)
def test_every_setting_reaches_the_bootloader(algorithm: Algorithm, downgrade: Downgrade):
    settings = BootloaderSettings(
        algorithm=algorithm,
        hash=VerifiedHash.SHA512,
        slot_size=0x20000,
        secondary_size=0x22000,
        max_sectors=40,
        sector_size=0x2000,
        write_block=8,
        downgrade=downgrade,
    )
    config = boot_config_of(with_bootloader(settings))
    geometry = config.layout.geometry
    assert (config.layout.algorithm, config.downgrade) == (algorithm, downgrade)
    assert (geometry.sector_size, geometry.write_block) == (0x2000, 8)
    single = algorithm is Algorithm.SINGLE_SLOT
    assert [slot.size for slot in config.layout.slots] == ([0x20000] if single else [0x20000, 0x22000])
    assert (config.layout.max_sectors, config.hash) == (40, VerifiedHash.SHA512)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_the_operator_asks_what_the_device_asks(algorithm: Algorithm):
    policy = with_bootloader(BootloaderSettings(algorithm=algorithm))
    assert limits_of(policy) == boot_config_of(policy).limits(0, ())
    assert limits_of(policy).max_size == max_image_size(layout_of(policy))


def test_slots_that_cannot_be_name_the_key():
    with pytest.raises(InputError, match=r"^pump\.toml: bootloader\.slot_size: "):
        layout_of(with_bootloader(BootloaderSettings(slot_size=4_097)))


def pairs_of(more: str, algorithm: Algorithm = Algorithm.SWAP_MOVE) -> Policy:
    return small(f'[bootloader]\nalgorithm = "{algorithm}"\n{more}')


NETWORK_CORE = "[[bootloader.images]]\nslot_size = 196608\n[[bootloader.images]]\nslot_size = 98304\ncopied = true\n"


def test_one_image_is_what_it_was():
    policy = small("[bootloader]\nslot_size = 131072\nsecondary_size = 135168\n")
    assert policy.bootloader.images == ()
    assert policy.bootloader.pairs == (ImagePair(slot_size=131_072, secondary_size=135_168),)
    assert layout_of(policy) == Layout.for_slots(Algorithm.SWAP_MOVE, 131_072, secondary_size=135_168)


@pytest.mark.parametrize("algorithm", [Algorithm.SWAP_MOVE, Algorithm.SWAP_OFFSET])
def test_several_images_lie_one_behind_the_other(algorithm: Algorithm):
    policy = pairs_of(NETWORK_CORE, algorithm)
    layout = layout_of(policy)
    assert [(slot.offset, slot.size) for slot in layout.slots] == [
        (0, 196_608),
        (196_608, 196_608),
        (393_216, 98_304),
        (491_520, 98_304),
    ]
    assert layout.max_sectors == 48
    assert [policy.bootloader.has_trials(image) for image in (0, 1)] == [True, False]
    assert [layout.of(image).algorithm for image in (0, 1)] == [algorithm, Algorithm.OVERWRITE_ONLY]
    assert [layout.upload_offset(layout.pairs[image].secondary) > 0 for image in (0, 1)] == [
        algorithm is Algorithm.SWAP_OFFSET,
        False,
    ]
    assert max_image_size(layout, 1) == 98_304 - layout.of(1).trailer_size
    assert limits_of(policy, 1) == boot_config_of(policy).limits(1, ())
    assert policy.bootloader.slot_size == 196_608


def test_a_number_of_sectors_is_the_largest_slots():
    layout = layout_of(
        pairs_of("[[bootloader.images]]\nslot_size = 65536\n[[bootloader.images]]\nslot_size = 131072\n")
    )
    assert layout.max_sectors == 32


def test_no_key_is_no_keys_and_a_missing_file_is_named(tmp_path: Path):
    assert not keys_of(with_bootloader(BootloaderSettings())).keys
    gone = tmp_path / "root.pub.pem"
    with pytest.raises(InputError, match=r"root\.pub\.pem"):
        keys_of(with_bootloader(BootloaderSettings(key=gone)))


@pytest.mark.parametrize(("kind", "takes"), [("ecdsa-p256", ["sha256"]), ("ed25519", ["sha256", "sha512", "pure"])])
@pytest.mark.parametrize("build", VerifiedHash)
def test_a_hash_that_does_not_go_with_the_key_is_refused(
    tmp_path: Path, kind: str, takes: list[str], build: VerifiedHash
):
    key = tmp_path / "root.pub.pem"
    key.write_bytes(images.public_pem(kind))
    policy = with_bootloader(BootloaderSettings(key=key, hash=build))
    if build in takes:
        assert boot_config_of(policy).hash is build
        return
    with pytest.raises(InputError, match=rf'^pump\.toml: bootloader\.hash: "{build}" with a key of'):
        boot_config_of(policy)


LOADER = 'algorithm = "firmware-loader"\nloader_entrance = ["boot-mode", "no-application"]\n'


def test_a_firmware_loader_says_what_starts_it_and_reaches_the_bootloader():
    policy = small(f"[bootloader]\n{LOADER}loader_gated = true\nsecondary_size = 131072\n")
    config = boot_config_of(policy)
    assert config.loader_entrances == {LoaderEntrance.BOOT_MODE, LoaderEntrance.NO_APPLICATION}
    assert [slot.size for slot in config.layout.slots] == [458_752, 131_072]
    assert policy.bootloader.loader_gated


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            'algorithm = "swap-scratch"',
            r'algorithm: "swap-scratch" is swap using scratch, which is not modelled',
        ),
        ('algorithm = "ram-load"', r'bootloader\.algorithm: "ram-load" is not modelled: its images run from RAM'),
        (
            'algorithm = "single-slot-ram-load"',
            r'"single-slot-ram-load" is not modelled: .* .expected one of "swap-m',
        ),
        ('algorithm = "direct-xip-norevert"', r'did you mean "direct-xip-no-revert"'),
        ('algorithm = "firmware-loader"', r'bootloader\.loader_entrance: missing with algorithm = "firmware-loader"'),
        ('algorithm = "firmware-loader"\nloader_entrance = []', r"bootloader\.loader_entrance: 0 entries"),
        (
            'algorithm = "firmware-loader"\nloader_entrance = ["button"]',
            r'entrance\[0\]: "button" is not allowed',
        ),
        ('loader_entrance = ["pin"]', r'loader_entrance: means nothing with algorithm = "swap-move"'),
        ("loader_gated = true", r'loader_gated: means nothing with algorithm = "swap-move"'),
        (
            'algorithm = "single-slot"\nsecondary_size = 65536',
            r"secondary_size: there is none with algorithm",
        ),
    ],
)
def test_what_a_bootloader_cannot_be_is_one_line(table: str, said: str):
    with pytest.raises(InputError, match=said):
        small(f"[bootloader]\n{table}\n")
