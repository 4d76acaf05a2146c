"""The host's radio on Bumble: `Adapter` of `link.ports` over any HCI transport.

Rules kept here beyond those of `link.ports`:

* One connection attempt at a time; one that is given up is cancelled in the controller too, and what comes of it all
  the same is disconnected.
* The radio is switched on when it is first needed.
* A bonded device is known by its identity address, whatever private address it has on the air.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import Any

from bumble import hci

from keyswitch.errors import LinkLostError, RemoteError
from keyswitch.link.bumble import pairing
from keyswitch.link.bumble.bonds import Bonds
from keyswitch.link.bumble.capture import Capture
from keyswitch.link.bumble.gatt_link import BumbleLink, Wishes
from keyswitch.link.bumble.known_tables import KnownTables
from keyswitch.link.bumble.pairing import AskPasskey
from keyswitch.link.bumble.radio import HciRadio, Opener, switch_on
from keyswitch.link.bumble.sightings import merged
from keyswitch.link.bumble.stack import QuietHost
from keyswitch.link.ports import PairingNumbers, Sighting
from keyswitch.link.sightings import Sightings

_log = logging.getLogger(__name__)

CANCEL_WITHIN_S = 1.0
_ACTIVE_SCANNING, _UNFILTERED = 1, 0
"""Vol 4 Part E 7.8.10."""
_SCANNING_AND_INITIATING, _SCANNING_AND_CENTRAL = 1 << 23, 1 << 25
"""Bits of LE_States, for active scanning: Vol 4 Part E 7.8.27."""
_SCAN_INTERVAL = 0x0060
"""60 ms in units of 0.625 ms, listened to all the time."""


class BumbleAdapter:
    """A radio of the host's (`link.ports.Adapter`), switched on at first use.

    Args:
        opener: where the controller is (`radio.transport`, `radio.on_air`).
        address: static random address of this central.
        wishes: what is asked for on each connection.
        bonds: keys of earlier pairings; None: none, and new ones are forgotten with the adapter.
        ask_passkey: asks a person for what the device shows; None: pairing without that model.
        numbers: shows that person numbers, to be compared or typed on the device; None: pairing without those models.
            Without either it is Just Works.
        capture: takes down what passes between host and controller; None: nothing does. Closed with the adapter.
    """

    def __init__(
        self,
        opener: Opener,
        *,
        address: str = "C0:00:00:00:00:01",
        wishes: Wishes | None = None,
        bonds: Bonds | None = None,
        ask_passkey: AskPasskey | None = None,
        numbers: PairingNumbers | None = None,
        capture: Capture | None = None,
    ) -> None:
        self._opener = opener
        self._capture = capture
        self._bonds = bonds or Bonds(address)
        self._ask_passkey = ask_passkey
        self._numbers = numbers
        self._address = address
        self._wishes = wishes or Wishes()
        self._radio: HciRadio | None = None
        self._closing: asyncio.Future[None] | None = None
        self._starting = asyncio.Lock()
        self._connecting = asyncio.Lock()
        self._links: dict[int, BumbleLink] = {}
        self._types: dict[str, hci.Address] = {}
        self._on_air: dict[str, hci.Address] = {}
        self._heard: dict[str, Sighting] = {}
        self._scans: set[Sightings] = set()
        self._tables = KnownTables()
        self._states = 0

    def forget(self, address: str) -> None:
        """Forget the bond with a device; no error if there is none."""
        peer = self._types.get(address) or hci.Address(address, hci.Address.RANDOM_DEVICE_ADDRESS)
        self._bonds.forget(str(peer))

    # --- scanning ---

    @property
    def hears_while_connecting(self) -> bool:
        """Whether the controller says so; known once the radio is on, False before."""
        wanted = _SCANNING_AND_INITIATING | _SCANNING_AND_CENTRAL
        return self._states & wanted == wanted

    async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        """Sightings as they are heard, until the time is over or the iterator is closed."""
        radio = await self._on()
        heard = Sightings(timeout_ms)
        self._scans.add(heard)
        try:
            if len(self._scans) == 1:
                await self._set_scanning(radio, on=True)
            while (sighting := await heard.next()) is not None:
                yield sighting
        finally:
            self._scans.discard(heard)
            if not self._scans:
                self._heard.clear()
                with contextlib.suppress(LinkLostError):
                    await self._set_scanning(radio, on=False)

    async def _set_scanning(self, radio: HciRadio, *, on: bool) -> None:
        if on:
            await self._command(
                radio,
                hci.HCI_LE_Set_Scan_Parameters_Command(
                    le_scan_type=_ACTIVE_SCANNING,
                    le_scan_interval=_SCAN_INTERVAL,
                    le_scan_window=_SCAN_INTERVAL,
                    own_address_type=hci.OwnAddressType.RANDOM,
                    scanning_filter_policy=_UNFILTERED,
                ),
            )
        await self._command(radio, hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=int(on), filter_duplicates=0))

    def _on_report(self, report: Any) -> None:
        identity = self._resolved(report.address)
        address = identity.to_string(False)
        self._types[address], self._on_air[address] = identity, report.address
        before = self._heard.get(address, Sighting(address=address))
        self._heard[address] = sighting = merged(before, report)
        for scan in self._scans:
            scan.put(sighting)

    def _resolved(self, on_air: hci.Address) -> hci.Address:
        """The identity of a bonded device that has this private address; the address itself of everybody else."""
        resolver = None if self._radio is None else self._radio.device.address_resolver
        if resolver is None or not on_air.is_resolvable:
            return on_air
        return resolver.resolve(on_air) or on_air

    # --- connecting ---

    async def connect(self, address: str, timeout_ms: int) -> BumbleLink:
        """Connect and discover."""
        _log.info("connecting to %s", address)
        radio = await self._on()
        link: BumbleLink | None = None
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                async with self._connecting:
                    link = await self._establish(radio, address)
                await link.set_up(self._wishes)
                return link
        except BaseException as error:
            if link is not None:
                await link.close()
            if isinstance(error, TimeoutError):
                raise LinkLostError(f"{address}: not connected within {timeout_ms} ms") from None
            raise

    async def _establish(self, radio: HciRadio, address: str) -> BumbleLink:
        device: Any = radio.device
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def on_connection(connection: Any) -> None:
            if not done.done():
                done.set_result(connection)

        def on_failure(error: Any) -> None:
            if not done.done():
                done.set_exception(LinkLostError(f"{address}: {error}"))

        device.on("connection", on_connection)
        device.on("connection_failure", on_failure)
        device.connect_own_address_type = hci.OwnAddressType.RANDOM
        try:
            await self._command(radio, self._create_connection(address))
            try:
                connection = await asyncio.shield(done)
            except asyncio.CancelledError:
                await self._cancel(radio, done)
                raise
        finally:
            device.remove_listener("connection", on_connection)
            device.remove_listener("connection_failure", on_failure)
        link = BumbleLink(radio, connection, self._bonds, self._tables)
        self._links[connection.handle] = link

        def forget(_reason: int) -> None:
            self._links.pop(connection.handle, None)

        connection.on("disconnection", forget)
        return link

    def _create_connection(self, address: str) -> hci.HCI_LE_Create_Connection_Command:
        peer = self._on_air.get(address) or hci.Address(address, hci.Address.RANDOM_DEVICE_ADDRESS)
        return hci.HCI_LE_Create_Connection_Command(
            le_scan_interval=_SCAN_INTERVAL,
            le_scan_window=_SCAN_INTERVAL,
            initiator_filter_policy=0,
            peer_address_type=peer.address_type,
            peer_address=peer,
            own_address_type=hci.OwnAddressType.RANDOM,
            connection_interval_min=self._wishes.interval,
            connection_interval_max=self._wishes.interval,
            max_latency=0,
            supervision_timeout=self._wishes.supervision,
            min_ce_length=0,
            max_ce_length=0,
        )

    async def _cancel(self, radio: HciRadio, done: "asyncio.Future[Any]") -> None:
        """Give an attempt up; if a connection came of it all the same, end it."""
        with contextlib.suppress(LinkLostError, RemoteError, TimeoutError):
            async with asyncio.timeout(CANCEL_WITHIN_S):
                with contextlib.suppress(LinkLostError):
                    await self._command(radio, hci.HCI_LE_Create_Connection_Cancel_Command())
                connection = await done
                await BumbleLink(radio, connection, self._bonds).close()
        if not done.done():
            done.cancel()

    async def close(self) -> None:
        """End connections and give the radio back."""
        for link in list(self._links.values()):
            await link.close()
        radio, self._radio = self._radio, None
        if radio is not None:
            await radio.close()
        if self._capture is not None:
            self._capture.close()

    # --- the radio ---

    async def _on(self) -> HciRadio:
        async with self._starting:
            if self._radio is None:
                self._radio = await switch_on(
                    self._opener, name="keyswitch", address=self._address, bonds=self._bonds, prepare=self._prepare
                )
                self._states = await self._radio.le_states()
            return self._radio

    def _prepare(self, device: Any, host: QuietHost) -> None:
        device.pairing_config_factory = self._pairing
        host.att_sink = self._on_att
        host.snooper = self._capture
        host.on("advertising_report", self._on_report)
        host.on("flush", self._on_transport_lost)

    def _on_att(self, handle: int, pdu: bytes) -> None:
        link = self._links.get(handle)
        if link is not None:
            link.receive(pdu)

    def _pairing(self, _connection: Any) -> Any:
        asked = self._ask_passkey is not None or self._numbers is not None
        return pairing.config(pairing.Asking(self._ask_passkey, self._numbers), mitm=asked)

    def _on_transport_lost(self) -> None:
        for link in list(self._links.values()):
            link.lose("the controller is gone")
        # The next use opens it anew: a dongle may be plugged in again, a virtual air may come back.
        radio, self._radio = self._radio, None
        if radio is not None:
            self._closing = asyncio.ensure_future(radio.close())

    async def _command(self, radio: HciRadio, command: Any) -> None:
        try:
            await radio.command(command)
        except hci.HCI_Error as error:
            raise LinkLostError(f"the controller refuses: {error}") from error
