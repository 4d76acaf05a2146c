"""Build directories as `west build` leaves them, as far as anybody here looks at them; written by us."""

from pathlib import Path

MCUBOOT = {
    "nrf52840, NCS 2.5 with a child image": """\
#
# Automatically generated file; DO NOT EDIT.
# MCUBoot Bootloader Configuration
#
CONFIG_MCUBOOT=y
# CONFIG_BOOT_SIGNATURE_TYPE_NONE is not set
# CONFIG_BOOT_SIGNATURE_TYPE_RSA is not set
CONFIG_BOOT_SIGNATURE_TYPE_ECDSA_P256=y
CONFIG_BOOT_SIGNATURE_KEY_FILE="root-ec-p256.pem"
# CONFIG_BOOT_SWAP_USING_SCRATCH is not set
CONFIG_BOOT_SWAP_USING_MOVE=y
CONFIG_BOOT_MAX_IMG_SECTORS=128
# CONFIG_MCUBOOT_DOWNGRADE_PREVENTION is not set
CONFIG_SOC_FLASH_NRF=y
""",
    "nrf54l15, NCS 3.1 with sysbuild": """\
CONFIG_MCUBOOT=y
CONFIG_BOOT_SIGNATURE_TYPE_ED25519=y
CONFIG_BOOT_SIGNATURE_KEY_FILE="/home/me/pump/keys/root-ed25519.pem"
CONFIG_BOOT_IMG_HASH_ALG_SHA512=y
# CONFIG_BOOT_IMG_HASH_ALG_SHA256 is not set
# CONFIG_BOOT_SIGNATURE_TYPE_PURE is not set
CONFIG_BOOT_SWAP_USING_MOVE=y
CONFIG_BOOT_MAX_IMG_SECTORS_AUTO=y
CONFIG_MCUBOOT_DOWNGRADE_PREVENTION=y
CONFIG_SOC_FLASH_NRF_RRAM=y
""",
    "nrf5340 with the second slot outside": """\
CONFIG_MCUBOOT=y
CONFIG_BOOT_SIGNATURE_TYPE_RSA=y
CONFIG_BOOT_IMG_HASH_ALG_SHA256=y
CONFIG_BOOT_UPGRADE_ONLY=y
CONFIG_MCUBOOT_DOWNGRADE_PREVENTION=y
CONFIG_MCUBOOT_DOWNGRADE_PREVENTION_SECURITY_COUNTER=y
CONFIG_BOOT_MAX_IMG_SECTORS=256
""",
}

PARTITIONS = """\
app:
  address: 0xc200
  end_address: 0x82000
  region: flash_primary
  size: 0x75e00
mcuboot:
  address: 0x0
  region: flash_primary
  size: 0xc000
mcuboot_primary:
  address: 0xc000
  orig_span: &id001
  - app
  - mcuboot_pad
  region: flash_primary
  size: 0x76000
  span: *id001
mcuboot_secondary:
  address: {address}
  region: {region}
  size: {size}
"""

DEVICETREE = """\
/dts-v1/;

/ {
	#address-cells = < 0x1 >;
	soc {
		rram-controller@5004e000 {
			compatible = "nordic,rram-controller";
			cpuapp_rram: rram@0 {
				compatible = "soc-nv-flash";
				erase-block-size = < 0x1000 >;
				write-block-size = < 0x10 >;
				reg = < 0x0 0x165000 >;
				partitions {
					compatible = "fixed-partitions";
					boot_partition: partition@0 {
						label = "mcuboot";
						reg = < 0x0 0x10000 >;
					};
					slot0_partition: partition@10000 {
						label = "image-0";
						reg = < 0x10000 0xa6000 >;
					};
					slot1_partition: partition@b6000 {
						label = "image-1";
						reg = < 0xb6000 0xa5000 >;
					};
				};
			};
		};
	};
};
"""


def write_build(
    directory: Path,
    mcuboot: str,
    *,
    partitions: str | None = None,
    devicetree: str | None = None,
    sysbuild: bool = True,
) -> Path:
    """A build directory with these files."""
    (directory / "mcuboot" / "zephyr").mkdir(parents=True)
    (directory / "mcuboot" / "zephyr" / ".config").write_text(mcuboot)
    (directory / "zephyr").mkdir()
    application = "CONFIG_BOOTLOADER_MCUBOOT=y\nCONFIG_BT=y\n"
    if sysbuild:
        (directory / "zephyr" / ".config").write_text("SB_CONFIG_BOOTLOADER_MCUBOOT=y\n")
        (directory / "pump" / "zephyr").mkdir(parents=True)
        (directory / "pump" / "zephyr" / ".config").write_text(application)
    else:
        (directory / "zephyr" / ".config").write_text(application)
    if partitions is not None:
        (directory / "partitions.yml").write_text(partitions)
    if devicetree is not None:
        (directory / "mcuboot" / "zephyr" / "zephyr.dts").write_text(devicetree)
    return directory
