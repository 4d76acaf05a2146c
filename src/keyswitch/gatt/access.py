"""Who may do what with an attribute: properties first, then the link's security (Core spec Vol 3 Part F 4, G 8).

What needs authorization is refused before its properties are looked at, so that every request gets the same answer. A
link that is protected too little is told that instead: pairing may be all that it lacks.
"""

from keyswitch.gatt.att import CCC_INDICATE, CCC_NOTIFY, MAX_VALUE, Error
from keyswitch.gatt.client_state import GattClient
from keyswitch.gatt.database import Attribute, AttributeKind
from keyswitch.gatt.services import CLIENT_FEATURES_UUID
from keyswitch.gatt.table import Characteristic, Property
from keyswitch.terms import Security

_CCC_SIZE = 2


class AttError(Exception):
    """A request that is answered with an error.

    Args:
        code: what is wrong.
        handle: of the attribute; 0 if no single one.
    """

    def __init__(self, code: Error, handle: int) -> None:
        super().__init__(f"{code.words} at {handle:#06x}")
        self.code = code
        self.handle = handle


def check_read(attribute: Attribute, client: GattClient, *, notify: bool = False) -> AttError | None:
    """Why the client may not read this (or be notified of it); None if it may."""
    characteristic = attribute.characteristic
    if characteristic is None or attribute.kind is AttributeKind.DECLARATION:
        return None
    if (refused := _check_authorization(attribute, characteristic, client)) is not None:
        return refused
    if attribute.kind is AttributeKind.VALUE and not notify and not characteristic.properties & Property.READ:
        return AttError(Error.READ_NOT_PERMITTED, attribute.handle)
    return _check_security(attribute, characteristic, client)


def check_write(attribute: Attribute, client: GattClient, value: bytes, needed: Property) -> AttError | None:
    """Why the client may not write this value in the way that `needed` names; None if it may."""
    characteristic = attribute.characteristic
    if characteristic is None or attribute.kind is AttributeKind.DECLARATION:
        return AttError(Error.WRITE_NOT_PERMITTED, attribute.handle)
    if (refused := _check_authorization(attribute, characteristic, client)) is not None:
        return refused
    if attribute.kind is AttributeKind.VALUE and not characteristic.properties & needed:
        return AttError(Error.WRITE_NOT_PERMITTED, attribute.handle)
    refused = _check_security(attribute, characteristic, client)
    if refused is None and (code := _value_error(attribute, characteristic, client, value)) is not None:
        return AttError(code, attribute.handle)
    return refused


def _check_authorization(attribute: Attribute, characteristic: Characteristic, client: GattClient) -> AttError | None:
    if not characteristic.authorized or client.security < characteristic.security:
        return None
    if client.may_access(characteristic.uuid):
        return None
    return AttError(Error.INSUFFICIENT_AUTHORIZATION, attribute.handle)


def _check_security(attribute: Attribute, characteristic: Characteristic, client: GattClient) -> AttError | None:
    if client.security >= characteristic.security:
        return None
    if client.security is Security.NONE and client.has_key:
        return AttError(Error.INSUFFICIENT_ENCRYPTION, attribute.handle)
    return AttError(Error.INSUFFICIENT_AUTHENTICATION, attribute.handle)


def _value_error(
    attribute: Attribute, characteristic: Characteristic, client: GattClient, value: bytes
) -> Error | None:
    if attribute.kind is AttributeKind.CCC:
        if len(value) != _CCC_SIZE:
            return Error.INVALID_LENGTH
        offered = CCC_NOTIFY if characteristic.properties & Property.NOTIFY else 0
        offered |= CCC_INDICATE if characteristic.properties & Property.INDICATE else 0
        return Error.VALUE_NOT_ALLOWED if int.from_bytes(value, "little") & ~offered else None
    if characteristic.uuid == CLIENT_FEATURES_UUID:
        if len(value) != 1:
            return Error.INVALID_LENGTH
        return Error.VALUE_NOT_ALLOWED if client.features & ~value[0] else None  # bits are never taken back
    return Error.INVALID_LENGTH if len(value) > MAX_VALUE else None
