"""The ATT server: PDUs of many clients in, PDUs and events out. No stack, no clock.

Rules kept here (Core spec Vol 3 Part F 3.4, Part G 2.5.2, 4, 7):

* Every request is answered, with its response or with one error; a command never is.
* What a client may do is what the characteristic's properties and security say. Declarations cannot be written, and
  long writes are not supported and said not to be.
* A client that caches robustly and does not know the present table: its commands are ignored, its first request that
  names a handle gets Database Out Of Sync, and it gets no notification, until it has confirmed Service Changed, or sent
  another request after that error or after reading the hash. Ignored commands use nothing of this up.
* Service Changed goes to whoever has subscribed to it, one at a time, with the range around all that changed; what a
  bonded client has missed goes to it when its link is encrypted.
* A configuration (CCC) that a client has written stays as long as the client does, whether the service is shown or not,
  and whether the client may access it or not. Nothing is notified of a characteristic that the client may not access.
* Whether a client may access what needs authorization is asked at each access, and never remembered.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from keyswitch.errors import LocalError
from keyswitch.gatt.access import AttError, check_read, check_write
from keyswitch.gatt.att import (
    CCC_INDICATE,
    CCC_NOTIFY,
    COMMAND_FLAG,
    DEFAULT_MTU,
    MAX_MTU,
    MAX_VALUE,
    VALUE_OVERHEAD,
    AttOpcode,
    Error,
    error_pdu,
)
from keyswitch.gatt.client_state import ALL_HANDLES, KNOWN_FEATURES, ClientRecord, GattClient, merged
from keyswitch.gatt.database import Attribute, AttributeKind, Database
from keyswitch.gatt.requests import READERS, names_a_handle
from keyswitch.gatt.services import CLIENT_FEATURES_UUID, DATABASE_HASH_UUID, SERVICE_CHANGED_UUID
from keyswitch.gatt.table import GattTable, Property
from keyswitch.terms import Security


@dataclass(frozen=True, slots=True)
class Send:
    """A PDU for this client."""

    connection: int
    pdu: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """The client has written a value, as it was permitted to."""

    connection: int
    characteristic: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The client has switched notifications (or indications) of a characteristic on or off."""

    connection: int
    characteristic: str
    on: bool


Output = Send | Written | Subscribed


@dataclass(frozen=True, slots=True)
class Held:
    """A notification that must wait: the client does not know the present table."""


def nobody(_connection: int, _characteristic: str) -> bool:
    """Who may access what needs authorization where no device is there to be asked."""
    return False


class GattServer:
    """The server of one device.

    Args:
        table: shown at first.
        max_mtu: the largest ATT MTU that is agreed to.
        may_access: asked with connection and UUID at each access to a characteristic that needs authorization.
    """

    def __init__(
        self, table: GattTable, max_mtu: int = MAX_MTU, *, may_access: Callable[[int, str], bool] = nobody
    ) -> None:
        self._database = Database(table)
        self._max_mtu = max_mtu
        self._may_access = may_access
        self._values: dict[str, bytes] = {}
        self._clients: dict[int, GattClient] = {}

    @property
    def database(self) -> Database:
        """The attributes that are shown."""
        return self._database

    # --- clients come and go ---

    def connect(self, connection: int, *, has_key: bool = False) -> None:
        """A client has connected. `has_key`: keys of an earlier pairing with it exist."""
        self._clients[connection] = GattClient(has_key=has_key, may_access=partial(self._may_access, connection))

    def disconnect(self, connection: int) -> None:
        """A client has gone."""
        self._clients.pop(connection, None)

    def secured(self, connection: int, security: Security, record: ClientRecord | None = None) -> list[Output]:
        """The link's security has changed; `record` is what is remembered of a bonded client, if it has just shown up.

        What was owed to it is sent now.
        """
        client = self._clients[connection]
        client.security = security
        if record is not None and not client.bonded:
            self._restore(client, record)
        return self._service_changed(connection, client)

    def bond(self, connection: int) -> None:
        """From now on what is known of this client is to be remembered (`record`)."""
        client = self._clients[connection]
        client.bonded = client.has_key = True

    def record(self, connection: int) -> ClientRecord | None:
        """What is to be remembered of a bonded client; None for others."""
        client = self._clients.get(connection)
        if client is None or not client.bonded:
            return None
        missed = merged(client.owed, client.confirming)
        return ClientRecord(
            features=client.features,
            ccc=tuple(sorted(client.ccc.items())),
            known_hash=b"" if client.unaware or missed is not None else self._database.hash,
            owed=missed,
        )

    def _restore(self, client: GattClient, record: ClientRecord) -> None:
        client.bonded = client.has_key = True
        client.features |= record.features
        client.ccc = dict(record.ccc) | client.ccc
        if record.known_hash != self._database.hash:
            client.table_changed(record.owed or ALL_HANDLES)

    # --- what the device does ---

    @property
    def table(self) -> GattTable:
        """The table that is shown."""
        return self._database.table

    def change(self, table: GattTable) -> list[Output]:
        """Show another table; connected clients are told as the specification says."""
        before, self._database = self._database, Database(table)
        changed = before.difference(self._database)
        if changed is None:
            return []
        outputs: list[Output] = []
        for connection, client in self._clients.items():
            client.table_changed(changed)
            outputs += self._service_changed(connection, client)
        return outputs

    def set_value(self, uuid: str, value: bytes) -> None:
        """Set what reading returns. Unknown characteristics and values over 512 bytes are `LocalError`."""
        if self._database.value_handle(uuid) is None:
            raise LocalError(f"no characteristic {uuid} in the table")
        if len(value) > MAX_VALUE:
            raise LocalError(f"a value of {len(value)} bytes: the longest has {MAX_VALUE}")
        self._values[uuid] = value

    def mtu(self, connection: int) -> int:
        """The client's ATT MTU."""
        client = self._clients.get(connection)
        return client.mtu if client else DEFAULT_MTU

    def subscribed(self, connection: int, uuid: str) -> bool:
        """Whether notifications of this characteristic go to the client."""
        client, handle = self._clients.get(connection), self._database.value_handle(uuid)
        return client is not None and handle is not None and bool(client.ccc.get(handle + 1, 0) & CCC_NOTIFY)

    def notify(self, connection: int, uuid: str, value: bytes) -> bytes | Held | None:
        """The PDU of a notification; None if the client has not subscribed or may not access it.

        `Held` if it must not get one before it knows the table.

        A value that does not fit the client's MTU is `LocalError`: it would be cut without a word.
        """
        client, handle = self._clients.get(connection), self._database.value_handle(uuid)
        if client is None or handle is None or not self.subscribed(connection, uuid):
            return None
        attribute = self._database.at(handle)
        if attribute is None or check_read(attribute, client, notify=True) is not None:
            return None
        if client.unaware:
            return Held()
        if len(value) > min(client.mtu - VALUE_OVERHEAD, MAX_VALUE):
            raise LocalError(f"a notification of {len(value)} bytes does not fit an MTU of {client.mtu}")
        return struct.pack("<BH", AttOpcode.NOTIFICATION, handle) + value

    # --- PDUs ---

    def receive(self, connection: int, pdu: bytes) -> list[Output]:
        """One PDU of a client; what is to be sent and told, in order."""
        client = self._clients.get(connection)
        if client is None or not pdu:
            return []
        op = pdu[0]
        if op == AttOpcode.CONFIRMATION:
            return self._confirmed(connection, client)
        if op & COMMAND_FLAG:
            return self._command(connection, client, pdu)
        if op & 1:
            return []  # a response: not a client's to send
        if (out_of_sync := self._out_of_sync(client, pdu)) is not None:
            return [Send(connection, out_of_sync)]
        try:
            return self._answer(connection, client, pdu)
        except AttError as error:
            return [Send(connection, error_pdu(op, error.handle, error.code))]
        except struct.error:
            return [Send(connection, error_pdu(op, 0, Error.INVALID_PDU))]

    def _answer(self, connection: int, client: GattClient, pdu: bytes) -> list[Output]:
        op = pdu[0]
        if reader := READERS.get(op):
            return [Send(connection, reader(self, client, pdu))]
        if op == AttOpcode.WRITE_REQ:
            return self._write(connection, client, pdu)
        if op == AttOpcode.EXCHANGE_MTU_REQ:
            return self._exchange_mtu(connection, client, pdu)
        raise AttError(Error.REQUEST_NOT_SUPPORTED, _handle_of(pdu))

    def _out_of_sync(self, client: GattClient, pdu: bytes) -> bytes | None:
        """Change-awareness at a request (Vol 3 Part G 2.5.2.1): the error that it gets instead of an answer, if any."""
        if not client.unaware:
            return None
        if client.warned or client.hash_read:
            client.now_aware()
            return None
        if not names_a_handle(pdu):
            return None
        client.warned = True
        return error_pdu(pdu[0], 0, Error.DATABASE_OUT_OF_SYNC)

    def _confirmed(self, connection: int, client: GattClient) -> list[Output]:
        if client.confirming is None:
            return []
        client.confirming = None
        if client.owed is None:
            client.now_aware()
        return self._service_changed(connection, client)

    def _service_changed(self, connection: int, client: GattClient) -> list[Output]:
        handle = self._database.value_handle(SERVICE_CHANGED_UUID)
        if client.owed is None or client.confirming is not None or handle is None:
            return []
        if not client.ccc.get(handle + 1, 0) & CCC_INDICATE:
            client.owed = None
            return []
        client.confirming, client.owed = client.owed, None
        return [Send(connection, struct.pack("<BHHH", AttOpcode.INDICATION, handle, *client.confirming))]

    def _command(self, connection: int, client: GattClient, pdu: bytes) -> list[Output]:
        if pdu[0] != AttOpcode.WRITE_CMD or len(pdu) < VALUE_OVERHEAD or client.unaware:
            return []
        attribute = self._database.at(_handle_of(pdu))
        value = pdu[VALUE_OVERHEAD:]
        if attribute is None or attribute.kind is not AttributeKind.VALUE or attribute.characteristic is None:
            return []
        if check_write(attribute, client, value, Property.WRITE_WITHOUT_RESPONSE) is not None:
            return []
        return [Written(connection, attribute.characteristic.uuid, value)]

    def _exchange_mtu(self, connection: int, client: GattClient, pdu: bytes) -> list[Output]:
        _, wanted = struct.unpack("<BH", pdu)
        if not client.mtu_exchanged:
            client.mtu = max(DEFAULT_MTU, min(wanted, self._max_mtu))
            client.mtu_exchanged = True
        return [Send(connection, struct.pack("<BH", AttOpcode.EXCHANGE_MTU_RSP, self._max_mtu))]

    def _write(self, connection: int, client: GattClient, pdu: bytes) -> list[Output]:
        _, handle = struct.unpack_from("<BH", pdu)
        value = pdu[VALUE_OVERHEAD:]
        attribute = self._database.at(handle)
        if attribute is None:
            raise AttError(Error.INVALID_HANDLE, handle)
        refused = check_write(attribute, client, value, Property.WRITE)
        if refused is not None:
            raise refused
        answer = Send(connection, bytes((AttOpcode.WRITE_RSP,)))
        if attribute.characteristic is None:  # unreachable: only characteristics are permitted
            raise AttError(Error.WRITE_NOT_PERMITTED, handle)
        uuid = attribute.characteristic.uuid
        if attribute.kind is AttributeKind.CCC:
            return [answer, *self._configured(connection, client, handle, uuid, value)]
        if uuid == CLIENT_FEATURES_UUID:
            client.features = value[0] & KNOWN_FEATURES
            client.now_aware()
            return [answer]
        return [answer, Written(connection, uuid, value)]

    def _configured(self, connection: int, client: GattClient, handle: int, uuid: str, value: bytes) -> list[Output]:
        before, now = client.ccc.get(handle, 0), int.from_bytes(value, "little")
        if now:
            client.ccc[handle] = now
        else:
            client.ccc.pop(handle, None)
        if bool(before) == bool(now):
            return []
        return [Subscribed(connection, uuid, bool(now))]

    # --- values ---

    def value(self, attribute: Attribute, client: GattClient) -> bytes:
        """An attribute's value for this client."""
        if attribute.kind is AttributeKind.CCC:
            return struct.pack("<H", client.ccc.get(attribute.handle, 0))
        if attribute.kind is not AttributeKind.VALUE or attribute.characteristic is None:
            return attribute.value
        uuid = attribute.characteristic.uuid
        if uuid == DATABASE_HASH_UUID:
            return self._database.hash
        if uuid == CLIENT_FEATURES_UUID:
            return bytes((client.features,))
        return self._values.get(uuid, attribute.characteristic.value)


def _handle_of(pdu: bytes) -> int:
    return int.from_bytes(pdu[1:3], "little") if len(pdu) >= VALUE_OVERHEAD else 0
