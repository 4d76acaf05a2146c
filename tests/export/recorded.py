"""What `west build` leaves behind, as far as a promise depends on it: sets of our own with the real symbols.

Where each symbol was read, by repository, commit and path:

* lgalstyan/nrf_connect, a86fb816 (Zephyr 3.4.99), below zephyr/: subsys/mgmt/mcumgr/{Kconfig, mgmt/Kconfig,
  smp/Kconfig}, .../grp/*/Kconfig (OS, IMG, STAT, SETTINGS, FS, SHELL, ZBASIC), .../transport/{Kconfig,
  Kconfig.bluetooth, Kconfig.uart, Kconfig.udp, Kconfig.shell, Kconfig.dummy}, subsys/settings/Kconfig,
  subsys/random/Kconfig, subsys/bluetooth/Kconfig (BT_MAX_CONN), subsys/bluetooth/host/{Kconfig, Kconfig.gatt},
  subsys/bluetooth/mesh/Kconfig, subsys/mgmt/{hawkbit, updatehub}/Kconfig, subsys/net/lib/lwm2m/Kconfig,
  subsys/usb/device/class/dfu/Kconfig, lib/os/Kconfig (REBOOT), modules/Kconfig.mcuboot,
  share/sysbuild/images/bootloader/Kconfig, share/sysbuild/cmake/domains.cmake (domains.yaml).
* zephyrproject-rtos/zephyr: subsys/mgmt/mcumgr/transport/Kconfig.bluetooth, f9347348 (DYNAMIC_SVC_REGISTRATION);
  .../Kconfig.lorawan, cf308cbb; .../Kconfig.raw_uart, 22bb9f7b; .../Kconfig.spi, 0596d0be; .../Kconfig.ethernet,
  4d4fd800; .../grp/img_mgmt/Kconfig, 3557b8bd; .../grp/enum_mgmt/Kconfig, 06758ff2; .../grp/transport_mgmt/Kconfig,
  385ad34e; subsys/bluetooth/host/Kconfig.gatt, d74e0b54 (AUTHORIZATION_CUSTOM);
  subsys/usb/device_next/class/Kconfig.dfu, 09b54d19; doc/releases/migration-guide-4.0.rst (PERM_RW, in
  nrfconnect/sdk-zephyr pull 2034), doc/releases/release-notes-4.2.rst (BOOT_MODE).
* mcu-tools/mcuboot, 2d4bacc3: boot/zephyr/{Kconfig, Kconfig.serial_recovery}.
* docs.memfault.com/docs/mcu/mcumgr: MEMFAULT_MCUMGR_GRP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.policy.samples import small

from keyswitch.policy.model import Policy

APPLICATION: Final = """\
CONFIG_BOOTLOADER_MCUBOOT=y
CONFIG_MCUBOOT_BOOTLOADER_MODE_SWAP_USING_MOVE=y
CONFIG_KEYSWITCH=y
CONFIG_KEYSWITCH_MAX_CONNECTIONS=2
CONFIG_KEYSWITCH_GLUE=y
CONFIG_KEYSWITCH_GATT_AUTHORIZATION_OWNER_MODULE=y
CONFIG_MCUMGR=y
CONFIG_MCUMGR_MGMT_NOTIFICATION_HOOKS=y
CONFIG_MCUMGR_SMP_COMMAND_STATUS_HOOKS=y
CONFIG_MCUMGR_SMP_VERBOSE_ERR_RESPONSE=y
CONFIG_MCUMGR_GRP_OS=y
CONFIG_MCUMGR_GRP_OS_ECHO=y
CONFIG_MCUMGR_GRP_OS_RESET_HOOK=y
CONFIG_MCUMGR_GRP_OS_MCUMGR_PARAMS=y
# CONFIG_MCUMGR_GRP_OS_RESET_BOOT_MODE is not set
CONFIG_MCUMGR_GRP_IMG=y
CONFIG_MCUMGR_GRP_IMG_UPLOAD_CHECK_HOOK=y
CONFIG_MCUMGR_GRP_IMG_STATUS_HOOKS=y
CONFIG_MCUMGR_GRP_IMG_MUTEX=y
# CONFIG_MCUMGR_GRP_IMG_DIRECT_UPLOAD is not set
# CONFIG_MCUMGR_GRP_STAT is not set
# CONFIG_MCUMGR_GRP_SETTINGS is not set
# CONFIG_MCUMGR_GRP_ENUM is not set
# CONFIG_MCUMGR_GRP_ZBASIC is not set
CONFIG_MCUMGR_TRANSPORT_WORKQUEUE_STACK_SIZE=4608
CONFIG_MCUMGR_TRANSPORT_REASSEMBLY=y
CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT=6
CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE=2475
CONFIG_MCUMGR_TRANSPORT_BT=y
CONFIG_MCUMGR_TRANSPORT_BT_REASSEMBLY=y
CONFIG_MCUMGR_TRANSPORT_BT_PERM_RW=y
CONFIG_MCUMGR_TRANSPORT_BT_DYNAMIC_SVC_REGISTRATION=y
# CONFIG_MCUMGR_TRANSPORT_DUMMY is not set
# CONFIG_MCUMGR_TRANSPORT_UART is not set
CONFIG_BT=y
CONFIG_BT_MAX_CONN=2
CONFIG_BT_SMP=y
CONFIG_BT_SETTINGS=y
CONFIG_BT_GATT_DYNAMIC_DB=y
CONFIG_BT_GATT_SERVICE_CHANGED=y
CONFIG_BT_GATT_CACHING=y
CONFIG_REBOOT=y
CONFIG_SETTINGS=y
CONFIG_SETTINGS_NVS=y
# CONFIG_SETTINGS_NONE is not set
CONFIG_CSPRNG_ENABLED=y
# CONFIG_TEST_RANDOM_GENERATOR is not set
"""
MCUBOOT: Final = """\
CONFIG_MCUBOOT=y
CONFIG_BOOT_SIGNATURE_TYPE_ECDSA_P256=y
CONFIG_BOOT_SIGNATURE_KEY_FILE="root-ec-p256.pem"
CONFIG_BOOT_IMG_HASH_ALG_SHA256=y
CONFIG_BOOT_SWAP_USING_MOVE=y
CONFIG_UPDATEABLE_IMAGE_NUMBER=1
# CONFIG_MCUBOOT_DOWNGRADE_PREVENTION is not set
# CONFIG_MCUBOOT_SERIAL is not set
CONFIG_BOOT_USB_DFU_NO=y
"""
SYSBUILD: Final = "SB_CONFIG_BOOTLOADER_MCUBOOT=y\nSB_CONFIG_BOOT_SIGNATURE_TYPE_ECDSA_P256=y\n"
DEVICETREE: Final = """\
/ {
	soc {
		flash0: flash@0 {
			compatible = "soc-nv-flash";
			erase-block-size = < 0x1000 >;
			write-block-size = < 0x4 >;
			reg = < 0x0 0x100000 >;
			partitions {
				slot0_partition: partition@c000 {
					reg = < 0xc000 0x70000 >;
				};
				slot1_partition: partition@7c000 {
					reg = < 0x7c000 0x70000 >;
				};
			};
		};
	};
};
"""


def product(key: Path, *, bypasses: tuple[str, ...] = ()) -> Policy:
    """The policy of the builds: one key, one hash, `reconnect` over Bluetooth LE."""
    policy = small('[smp]\ntransports = ["ble"]\n[bootloader]\nhash = "sha256"\n')
    return replace(
        policy,
        device=replace(policy.device, bypasses=bypasses),
        bootloader=replace(policy.bootloader, key=key),
    )


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A build, and what has to be said of it.

    Attributes:
        application, mcuboot, devicetree: what differs from the good build: lines by what they were; None: no such file.
        lost: promises by name, and what the build says.
        not_visible: promises by name.
        bypasses: that the policy declares.
        release: of Zephyr.
    """

    application: Mapping[str, str] | None = None
    mcuboot: Mapping[str, str] | None = None
    devicetree: Mapping[str, str] | None = None
    lost: Mapping[str, str]
    not_visible: tuple[str, ...] = ()
    bypasses: tuple[str, ...] = ()
    release: str = "4.1"


GONE: Final = {"all": ""}
"""For a file that is not there."""


def write_recorded(directory: Path, build: Recorded) -> Path:
    """The build directory, with sysbuild and two images."""
    for path, text, changes in (
        ("pump/zephyr/.config", APPLICATION, build.application),
        ("mcuboot/zephyr/.config", MCUBOOT, build.mcuboot),
        ("mcuboot/zephyr/zephyr.dts", DEVICETREE, build.devicetree),
        ("zephyr/.config", SYSBUILD, None),
    ):
        if changes is not GONE:
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(changed(text, changes or {}))
    (directory / "domains.yaml").write_text("default: pump\ndomains:\n  - name: pump\n  - name: mcuboot\n")
    return directory


def changed(text: str, changes: Mapping[str, str]) -> str:
    """Each piece is there once; one that begins with + is put at the end."""
    for old, new in changes.items():
        if old.startswith("+"):
            text += new
        else:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
    return text


BUILDS: Final[Mapping[str, Recorded]] = {
    "everything as ks.conf and the policy have it": Recorded(lost={}),
    "Zephyr 3.7, whose permission is one level": Recorded(
        release="3.7",
        application={
            "CONFIG_MCUMGR_TRANSPORT_BT_PERM_RW=y": "# CONFIG_MCUMGR_TRANSPORT_BT_AUTHEN is not set",
        },
        lost={},
    ),
    "storage erase, and another permission than the policy's": Recorded(
        release="3.7",
        application={
            "CONFIG_MCUMGR_TRANSPORT_BT_PERM_RW=y": "CONFIG_MCUMGR_TRANSPORT_BT_AUTHEN=y",
            "# CONFIG_MCUMGR_GRP_ZBASIC is not set": "CONFIG_MCUMGR_GRP_ZBASIC=y",
            "+": "CONFIG_MCUMGR_GRP_ZBASIC_STORAGE_ERASE=y\n",
        },
        lost={
            "CONFIG_MCUMGR_GRP_ZBASIC": "CONFIG_MCUMGR_GRP_ZBASIC=y",
            "CONFIG_MCUMGR_TRANSPORT_BT_AUTHEN": "CONFIG_MCUMGR_TRANSPORT_BT_AUTHEN=y",
        },
    ),
    "MCUboot with serial recovery": Recorded(
        mcuboot={"# CONFIG_MCUBOOT_SERIAL is not set": "CONFIG_MCUBOOT_SERIAL=y\nCONFIG_BOOT_SERIAL_UART=y"},
        lost={"serial-recovery": "CONFIG_MCUBOOT_SERIAL=y"},
    ),
    "serial recovery that the policy declares": Recorded(
        mcuboot={"# CONFIG_MCUBOOT_SERIAL is not set": "CONFIG_MCUBOOT_SERIAL=y"},
        bypasses=("MCUboot's serial recovery, behind the lid",),
        lost={},
    ),
    "another bypass declares nothing of it": Recorded(
        mcuboot={"# CONFIG_MCUBOOT_SERIAL is not set": "CONFIG_MCUBOOT_SERIAL=y"},
        bypasses=("debug port",),
        lost={"serial-recovery": "CONFIG_MCUBOOT_SERIAL=y"},
    ),
    "USB DFU in MCUboot and in the application": Recorded(
        mcuboot={"CONFIG_BOOT_USB_DFU_NO=y": "CONFIG_BOOT_USB_DFU_GPIO=y"},
        application={"+": "CONFIG_USB_DFU_CLASS=y\n"},
        lost={"usb-dfu": "CONFIG_BOOT_USB_DFU_GPIO=y", "usb-dfu.application": "CONFIG_USB_DFU_CLASS=y"},
    ),
    "the newer USB stack": Recorded(
        application={"+": "CONFIG_USBD_DFU=y\nCONFIG_USBD_DFU_FLASH=y\n"},
        lost={"usb-dfu.application": "CONFIG_USBD_DFU=y"},
    ),
    "upgrade only, and the application does not know": Recorded(
        mcuboot={"CONFIG_BOOT_SWAP_USING_MOVE=y": "CONFIG_BOOT_UPGRADE_ONLY=y"},
        lost={
            "algorithm": "CONFIG_BOOT_UPGRADE_ONLY=y",
            "bootloader-mode": "CONFIG_MCUBOOT_BOOTLOADER_MODE_SWAP_USING_MOVE=y",
        },
    ),
    "a single slot": Recorded(
        mcuboot={"CONFIG_BOOT_SWAP_USING_MOVE=y": "CONFIG_SINGLE_APPLICATION_SLOT=y"},
        lost={
            "algorithm": "CONFIG_SINGLE_APPLICATION_SLOT=y",
            "bootloader-mode": "CONFIG_MCUBOOT_BOOTLOADER_MODE_SWAP_USING_MOVE=y",
        },
    ),
    "files, settings, shell and statistics are built": Recorded(
        application={
            "# CONFIG_MCUMGR_GRP_STAT is not set": "CONFIG_MCUMGR_GRP_STAT=y",
            "# CONFIG_MCUMGR_GRP_SETTINGS is not set": "CONFIG_MCUMGR_GRP_SETTINGS=y",
            "+": "CONFIG_MCUMGR_GRP_FS=y\nCONFIG_MCUMGR_GRP_SHELL=y\nCONFIG_MCUMGR_GRP_FS_HASH_SHA256=y\n",
        },
        lost={
            f"CONFIG_MCUMGR_GRP_{each}": f"CONFIG_MCUMGR_GRP_{each}=y" for each in ("FS", "SETTINGS", "SHELL", "STAT")
        },
    ),
    "hooks that were dropped, since one option was off": Recorded(
        application={
            "CONFIG_MCUMGR_MGMT_NOTIFICATION_HOOKS=y": "# CONFIG_MCUMGR_MGMT_NOTIFICATION_HOOKS is not set",
            "CONFIG_MCUMGR_GRP_OS_RESET_HOOK=y\n": "",
            "CONFIG_MCUMGR_GRP_IMG_STATUS_HOOKS=y\n": "",
            "CONFIG_MCUMGR_SMP_COMMAND_STATUS_HOOKS=y\n": "",
        },
        lost={
            f"CONFIG_MCUMGR_{each}": f"# CONFIG_MCUMGR_{each} is not set"
            for each in (
                "MGMT_NOTIFICATION_HOOKS",
                "SMP_COMMAND_STATUS_HOOKS",
                "GRP_OS_RESET_HOOK",
                "GRP_IMG_STATUS_HOOKS",
            )
        },
    ),
    "too few and too small buffers, too little stack": Recorded(
        application={
            "NETBUF_COUNT=6": "NETBUF_COUNT=5",
            "NETBUF_SIZE=2475": "NETBUF_SIZE=2474",
            "STACK_SIZE=4608": "STACK_SIZE=2048",
        },
        lost={
            "CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT": "CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT=5",
            "CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE": "CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE=2474",
            "CONFIG_MCUMGR_TRANSPORT_WORKQUEUE_STACK_SIZE": "CONFIG_MCUMGR_TRANSPORT_WORKQUEUE_STACK_SIZE=2048",
        },
    ),
    "more and larger buffers than asked for": Recorded(
        application={"NETBUF_COUNT=6": "NETBUF_COUNT=8", "NETBUF_SIZE=2475": "NETBUF_SIZE=4096"}, lost={}
    ),
    "SMP over the UART and LoRaWAN": Recorded(
        application={
            "# CONFIG_MCUMGR_TRANSPORT_UART is not set": "CONFIG_MCUMGR_TRANSPORT_UART=y",
            "+": "CONFIG_MCUMGR_TRANSPORT_LORAWAN=y\nCONFIG_MCUMGR_TRANSPORT_LORAWAN_REASSEMBLY=y\n",
        },
        lost={
            "CONFIG_MCUMGR_TRANSPORT_UART": "CONFIG_MCUMGR_TRANSPORT_UART=y",
            "transports": "CONFIG_MCUMGR_TRANSPORT_LORAWAN=y",
        },
    ),
    "SMP over UDP and the test transport": Recorded(
        application={
            "# CONFIG_MCUMGR_TRANSPORT_DUMMY is not set": "CONFIG_MCUMGR_TRANSPORT_DUMMY=y",
            "+": "CONFIG_MCUMGR_TRANSPORT_UDP=y\n",
        },
        lost={
            "CONFIG_MCUMGR_TRANSPORT_UDP": "CONFIG_MCUMGR_TRANSPORT_UDP=y",
            "transports": "CONFIG_MCUMGR_TRANSPORT_DUMMY=y",
        },
    ),
    "a transport that nobody has heard of": Recorded(
        application={"+": "CONFIG_MCUMGR_TRANSPORT_PIGEON=y\n"}, lost={}, not_visible=("transports",)
    ),
    "a group that nobody has heard of": Recorded(
        application={"+": "CONFIG_MCUMGR_GRP_BREW=y\n"}, lost={}, not_visible=("groups",)
    ),
    "somebody else's group, and another updater": Recorded(
        application={"+": "CONFIG_MEMFAULT_MCUMGR_GRP=y\nCONFIG_HAWKBIT=y\n"},
        lost={"groups": "CONFIG_MEMFAULT_MCUMGR_GRP=y", "updaters": "CONFIG_HAWKBIT=y"},
    ),
    "slots of other sizes": Recorded(
        devicetree={"0xc000 0x70000": "0xc000 0x74000", "0x7c000 0x70000": "0x80000 0x73000", "0x1000 >": "0x2000 >"},
        lost={
            "slot-size": "475136 bytes",
            "secondary-slot-size": "471040 bytes",
            "sector-size": "8192 bytes",
        },
    ),
    "no secondary slot": Recorded(
        devicetree={
            "\t\t\t\tslot1_partition: partition@7c000 {\n\t\t\t\t\treg = < 0x7c000 0x70000 >;\n\t\t\t\t};\n": ""
        },
        lost={"secondary-slot-size": "no secondary slot"},
    ),
    "another hash, other keys, a downgrade that is kept out": Recorded(
        mcuboot={
            "BOOT_IMG_HASH_ALG_SHA256": "BOOT_IMG_HASH_ALG_SHA512",
            "BOOT_SIGNATURE_TYPE_ECDSA_P256": "BOOT_SIGNATURE_TYPE_ED25519",
            "# CONFIG_MCUBOOT_DOWNGRADE_PREVENTION is not set": "CONFIG_MCUBOOT_DOWNGRADE_PREVENTION=y",
        },
        lost={
            "hash": "CONFIG_BOOT_IMG_HASH_ALG_SHA512=y",
            "signature": "CONFIG_BOOT_SIGNATURE_TYPE_ED25519=y",
            "downgrade": "CONFIG_MCUBOOT_DOWNGRADE_PREVENTION=y",
        },
    ),
    "an application for images by another hash": Recorded(
        application={"+": "CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512=y\n"},
        lost={"CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512": "CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512=y"},
    ),
    "no signatures at all": Recorded(
        mcuboot={"BOOT_SIGNATURE_TYPE_ECDSA_P256": "BOOT_SIGNATURE_TYPE_NONE"},
        lost={"signature": "CONFIG_BOOT_SIGNATURE_TYPE_NONE=y"},
    ),
    "an MCUboot that says nothing of its hash, and counts in hardware": Recorded(
        mcuboot={
            "CONFIG_BOOT_IMG_HASH_ALG_SHA256=y\n": "",
            "# CONFIG_MCUBOOT_DOWNGRADE_PREVENTION is not set": "CONFIG_MCUBOOT_HW_DOWNGRADE_PREVENTION=y",
        },
        lost={},
        not_visible=("downgrade", "hash"),
    ),
    "two images, as on an nRF5340 with its network core": Recorded(
        mcuboot={"CONFIG_UPDATEABLE_IMAGE_NUMBER=1": "CONFIG_UPDATEABLE_IMAGE_NUMBER=2"},
        lost={"images": "CONFIG_UPDATEABLE_IMAGE_NUMBER=2"},
    ),
    "two images, and the policy says who updates the second": Recorded(
        mcuboot={"CONFIG_UPDATEABLE_IMAGE_NUMBER=1": "CONFIG_UPDATEABLE_IMAGE_NUMBER=2"},
        lost={},
        bypasses=("the network core's image is updated by the application alone",),
    ),
    "uploads over what runs, nothing that is kept, chance that is none, a central too many": Recorded(
        application={
            "# CONFIG_MCUMGR_GRP_IMG_DIRECT_UPLOAD is not set": "CONFIG_MCUMGR_GRP_IMG_DIRECT_UPLOAD=y",
            "# CONFIG_SETTINGS_NONE is not set": "CONFIG_SETTINGS_NONE=y",
            "# CONFIG_TEST_RANDOM_GENERATOR is not set": "CONFIG_TEST_RANDOM_GENERATOR=y",
            "CONFIG_BT_MAX_CONN=2": "CONFIG_BT_MAX_CONN=3",
        },
        lost={
            "upload-slot": "CONFIG_MCUMGR_GRP_IMG_DIRECT_UPLOAD=y",
            "settings-backend": "CONFIG_SETTINGS_NONE=y",
            "random": "CONFIG_TEST_RANDOM_GENERATOR=y",
            "connections": "CONFIG_KEYSWITCH_MAX_CONNECTIONS=2, CONFIG_BT_MAX_CONN=3",
        },
    ),
    "boot_mode, which leads to serial recovery": Recorded(
        application={"# CONFIG_MCUMGR_GRP_OS_RESET_BOOT_MODE is not set": "CONFIG_MCUMGR_GRP_OS_RESET_BOOT_MODE=y"},
        lost={"CONFIG_MCUMGR_GRP_OS_RESET_BOOT_MODE": "CONFIG_MCUMGR_GRP_OS_RESET_BOOT_MODE=y"},
    ),
    "the module was not built": Recorded(
        application={"CONFIG_KEYSWITCH=y\nCONFIG_KEYSWITCH_MAX_CONNECTIONS=2\nCONFIG_KEYSWITCH_GLUE=y\n": ""},
        lost={
            "CONFIG_KEYSWITCH": "# CONFIG_KEYSWITCH is not set",
            "CONFIG_KEYSWITCH_GLUE": "# CONFIG_KEYSWITCH_GLUE is not set",
        },
        not_visible=("connections",),
    ),
    "the machine without its glue, and without chance": Recorded(
        application={
            "CONFIG_KEYSWITCH_GLUE=y": "# CONFIG_KEYSWITCH_GLUE is not set",
            "CONFIG_CSPRNG_ENABLED=y\n": "",
        },
        lost={
            "CONFIG_KEYSWITCH_GLUE": "# CONFIG_KEYSWITCH_GLUE is not set",
            "random": "# CONFIG_TEST_RANDOM_GENERATOR is not set",
        },
    ),
    "no MCUboot to be seen": Recorded(
        mcuboot=GONE,
        devicetree=GONE,
        lost={},
        not_visible=(
            "bootloader-mode",
            "serial-recovery",
            "usb-dfu",
            "algorithm",
            "downgrade",
            "images",
            "hash",
            "signature",
            "slot-size",
            "secondary-slot-size",
            "sector-size",
            "write-block",
        ),
    ),
}
