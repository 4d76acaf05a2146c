"""The device's services at their reserved handles, and the tables made of them.

    handles        service
    0x0001-0x0008  Generic Attribute: Service Changed, Client Supported Features, Database Hash
    0x0009-0x000f  Generic Access: name, appearance, preferred connection parameters
    0x0010-0x001f  mode
    0x0020-0x002f  Device Information
    0x0030-0x003f  Battery
    0x0040-0x004f  SMP: absent where the strategy says so, and then nothing is there

The first two stand as Zephyr lays them out, so that what is known of its tables holds for ours. SMP is the last: BlueZ
5.66 loses a service that appears with unused handles between it and the next.
"""

import struct

from keyswitch.gatt.att import short_uuid
from keyswitch.gatt.table import Characteristic, GattService, GattTable, Property
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode
from keyswitch.terms import Security

GATT_SERVICE_UUID = short_uuid(0x1801)
SERVICE_CHANGED_UUID = short_uuid(0x2A05)
CLIENT_FEATURES_UUID = short_uuid(0x2B29)
DATABASE_HASH_UUID = short_uuid(0x2B2A)
GAP_SERVICE_UUID = short_uuid(0x1800)
NAME_UUID = short_uuid(0x2A00)
APPEARANCE_UUID = short_uuid(0x2A01)
PREFERRED_PARAMETERS_UUID = short_uuid(0x2A04)
DEVICE_INFORMATION_UUID = short_uuid(0x180A)
MANUFACTURER_UUID = short_uuid(0x2A29)
MODEL_UUID = short_uuid(0x2A24)
FIRMWARE_REVISION_UUID = short_uuid(0x2A26)
SERIAL_UUID = short_uuid(0x2A25)
BATTERY_SERVICE_UUID = short_uuid(0x180F)
BATTERY_LEVEL_UUID = short_uuid(0x2A19)

GATT_HANDLE = 0x0001
GAP_HANDLE = 0x0009
MODE_HANDLE = 0x0010
DEVICE_INFORMATION_HANDLE = 0x0020
BATTERY_HANDLE = 0x0030
SMP_HANDLE = 0x0040

PREFERRED_PARAMETERS = struct.pack("<HHHH", 12, 24, 0, 42)
"""15 to 30 ms, no latency, supervision timeout 420 ms: Vol 3 Part C 12.3."""
_UNKNOWN_APPEARANCE = bytes(2)


def gatt_service() -> GattService:
    """Generic Attribute (Core spec Vol 3 Part G 7). Its values are the server's own business."""
    return GattService(
        uuid=GATT_SERVICE_UUID,
        handle=GATT_HANDLE,
        characteristics=(
            Characteristic(uuid=SERVICE_CHANGED_UUID, properties=Property.INDICATE),
            Characteristic(uuid=CLIENT_FEATURES_UUID, properties=Property.READ | Property.WRITE),
            Characteristic(uuid=DATABASE_HASH_UUID, properties=Property.READ),
        ),
    )


def gap_service(name: str, parameters: bytes = PREFERRED_PARAMETERS) -> GattService:
    """Generic Access (Core spec Vol 3 Part C 12)."""
    read = Property.READ
    return GattService(
        uuid=GAP_SERVICE_UUID,
        handle=GAP_HANDLE,
        characteristics=(
            Characteristic(uuid=NAME_UUID, properties=read, value=name.encode()),
            Characteristic(uuid=APPEARANCE_UUID, properties=read, value=_UNKNOWN_APPEARANCE),
            Characteristic(uuid=PREFERRED_PARAMETERS_UUID, properties=read, value=parameters),
        ),
    )


def mode_service(security: Security = Security.NONE) -> GattService:
    """The mode service: in every table. Its state is there for everybody; its control may ask for security."""
    return GattService(
        uuid=mode.SERVICE_UUID,
        handle=MODE_HANDLE,
        characteristics=(
            Characteristic(
                uuid=mode.CONTROL_UUID,
                properties=Property.WRITE_WITHOUT_RESPONSE | Property.NOTIFY,
                security=security,
            ),
            Characteristic(uuid=mode.STATE_UUID, properties=Property.READ | Property.NOTIFY),
        ),
    )


def smp_service(security: Security = Security.NONE, *, authorized: bool = False) -> GattService:
    """The SMP service, as Zephyr defines it; `authorized`: the device is asked at each access."""
    return GattService(
        uuid=ble.SERVICE_UUID,
        handle=SMP_HANDLE,
        characteristics=(
            Characteristic(
                uuid=ble.CHARACTERISTIC_UUID,
                properties=Property.WRITE_WITHOUT_RESPONSE | Property.NOTIFY,
                security=security,
                authorized=authorized,
            ),
        ),
    )


def device_information_service(*, manufacturer: str, model: str, firmware: str, serial: str) -> GattService:
    """Device Information (Device Information Service 1.1)."""
    values = (
        (MANUFACTURER_UUID, manufacturer),
        (MODEL_UUID, model),
        (SERIAL_UUID, serial),
        (FIRMWARE_REVISION_UUID, firmware),
    )
    return GattService(
        uuid=DEVICE_INFORMATION_UUID,
        handle=DEVICE_INFORMATION_HANDLE,
        characteristics=tuple(
            Characteristic(uuid=uuid, properties=Property.READ, value=text.encode()) for uuid, text in values
        ),
    )


def battery_service() -> GattService:
    """Battery (Battery Service 1.0): the level in percent."""
    level = Characteristic(uuid=BATTERY_LEVEL_UUID, properties=Property.READ | Property.NOTIFY, value=b"\x64")
    return GattService(uuid=BATTERY_SERVICE_UUID, handle=BATTERY_HANDLE, characteristics=(level,))


def device_table(
    name: str,
    *,
    smp: bool,
    smp_security: Security = Security.NONE,
    smp_authorized: bool = False,
    mode_security: Security = Security.NONE,
    extra: tuple[GattService, ...] = (),
) -> GattTable:
    """The device's table, with or without the SMP service.

    Args:
        name: of the device.
        smp: whether the SMP service is shown.
        smp_security: the least level for the SMP characteristic.
        smp_authorized: whether the device is asked at each access to it.
        mode_security: the least level for the mode service's control characteristic.
        extra: Device Information and Battery, as far as the device has them.
    """
    shown = (smp_service(smp_security, authorized=smp_authorized),) if smp else ()
    return GattTable(services=(gatt_service(), gap_service(name), mode_service(mode_security), *extra, *shown))
