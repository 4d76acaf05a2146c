"""What the device shows of itself on the radio, made from its policy once: tables, identities, names.

table without SMP    what everybody sees outside maintenance (where the service is never hidden: the table with SMP)
table with SMP       what maintenance adds, at handles that nothing else ever gets
addresses            one, or with `identity = "second"` another one for maintenance
"""

from collections.abc import Mapping
from dataclasses import dataclass

from keyswitch.gate.visibility import asks_at_each_access, never_hidden
from keyswitch.gatt.services import battery_service, device_information_service, device_table
from keyswitch.gatt.table import GattService, GattTable
from keyswitch.policy.enums import Identity, InputType, Visibility
from keyswitch.policy.model import Policy
from keyswitch.terms import Security

BATTERY_INPUT = "battery_percent"
"""An int input of this name is told by a Battery service as well."""

MANUFACTURER = "Keyswitch"


@dataclass(frozen=True, slots=True, kw_only=True)
class GattProfile:
    """Everything about the radio that does not change while the device runs.

    Attributes:
        name: advertised.
        company_id: of the manufacturer data.
        tables: by whether the SMP service is shown.
        addresses: own address by whether the SMP service is shown.
        live: whether a table may change under a connection.
        battery: whether the table has a Battery service.
    """

    name: str
    company_id: int
    tables: Mapping[bool, GattTable]
    addresses: Mapping[bool, str]
    live: bool
    battery: bool


def gatt_profile(policy: Policy, address: str, second_address: str) -> GattProfile:
    """The face of a device.

    Args:
        policy: the rules.
        address: the device's own.
        second_address: used in maintenance, if the policy asks for a second identity.
    """
    battery = any(each.name == BATTERY_INPUT and each.type is InputType.INT for each in policy.inputs)
    second = policy.gate.identity is Identity.SECOND and policy.gate.service is Visibility.RECONNECT
    return GattProfile(
        name=policy.device.name,
        company_id=policy.device.company_id,
        tables={shown: _table(policy, shown=shown, battery=battery) for shown in (False, True)},
        addresses={False: address, True: second_address if second else address},
        live=policy.gate.service is Visibility.LIVE,
        battery=battery,
    )


def _table(policy: Policy, *, shown: bool, battery: bool) -> GattTable:
    name = policy.device.name
    information = device_information_service(
        manufacturer=MANUFACTURER, model=name, firmware="", serial=policy.device.id
    )
    extra: tuple[GattService, ...] = (information, battery_service()) if battery else (information,)
    return device_table(
        name,
        smp=shown or never_hidden(policy),
        smp_security=max((mode.security for mode in policy.modes.values() if mode.maintenance), default=Security.NONE),
        smp_authorized=asks_at_each_access(policy),
        extra=extra,
    )
