"""Where a controller comes from: any HCI transport that Bumble can name, or the modelled air of this process."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from bumble import hci
from bumble.transport import open_transport
from bumble.transport.common import TransportLostError, TransportSpecError

from keyswitch.errors import InputError, LinkLostError
from keyswitch.link.air.controller import AirController
from keyswitch.link.air.link import AirLink
from keyswitch.link.bumble.bonds import Bonds
from keyswitch.link.bumble.stack import QuietDevice, QuietHost, make_device
from keyswitch.link.local_advice import hci_step

OPEN_WITHIN_S = 20.0
"""For a transport to open and a controller to be reset: a USB dongle that loads firmware needs about two."""
CLOSE_WITHIN_S = 1.0
COMMAND_WITHIN_S = 5.0
"""An answer takes milliseconds. A controller that has gone is seen by its transport's end; this bound is for one that
hangs, and must not take a busy machine, which runs a modelled controller in another process, for that."""


@dataclass(frozen=True, slots=True)
class Hci:
    """An open way to a controller.

    Attributes:
        source: Bumble's packet source.
        sink: Bumble's packet sink.
        close: give it back; the controller is gone for its peers without a word.
    """

    source: Any
    sink: Any
    close: Callable[[], Awaitable[None]]


Opener = Callable[[], Awaitable[Hci]]


_MISSPELT: Final = (TransportSpecError, ValueError, AssertionError, ImportError)
"""What Bumble raises where the name itself makes no sense, or names a driver that is not installed. USB drivers raise a
ValueError for a dongle that is in use as well, so this is believed only of a name that was never opened."""


def transport(name: str) -> Opener:
    """A controller behind an HCI transport, such as `tcp-client:127.0.0.1:6402`, `usb:0` or `serial:/dev/ttyACM0`.

    The opener raises InputError for a name that makes no sense. A name that was opened once is in order: whatever fails
    then is the controller's, which may have been unplugged and may come back (LinkLostError).
    """
    was_open = False

    async def opener() -> Hci:
        nonlocal was_open
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                opened = await open_transport(name)
        except TimeoutError:
            raise LinkLostError(f"{name}: the controller did not open within {OPEN_WITHIN_S:g} s") from None
        except Exception as error:  # whatever a driver raises
            if isinstance(error, _MISSPELT) and not was_open:
                expected = "TYPE:PARAMETERS as Bumble names it"
                raise InputError(name, f"no usable HCI transport: {_said(error)}", expected) from error
            raise LinkLostError(f"{name}: {_said(error)}", next_step=hci_step(name, error)) from error
        was_open = True

        async def close() -> None:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await opened.close()

        return Hci(opened.source, opened.sink, close)

    return opener


def _said(error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return words or type(error).__name__


def on_air(air: AirLink, name: str) -> Opener:
    """A controller on the modelled air of this process."""

    async def opener() -> Hci:
        controller = AirController(name, air, air.new_public_address())

        async def close() -> None:
            air.remove_controller(controller)

        return Hci(controller, controller, close)

    return opener


@dataclass(frozen=True, slots=True)
class HciRadio:
    """A controller that is on, and Bumble's device on it."""

    device: QuietDevice
    host: QuietHost
    hci: Hci

    async def command(self, command: Any) -> None:
        """One HCI command.

        Raises:
            LinkLostError: the controller does not answer, is gone, or was given back.
            HCI_Error: it refuses (Bumble's).
        """
        host: Any = self.host
        if not host.ready:
            raise LinkLostError("the controller was given back")
        try:
            async with asyncio.timeout(COMMAND_WITHIN_S):
                if isinstance(command, hci.HCI_SyncCommand):
                    await host.send_sync_command(command)
                else:
                    await host.send_async_command(command)
        except TimeoutError:
            raise LinkLostError("the controller does not answer") from None
        except TransportLostError as error:
            raise LinkLostError("the controller is gone") from error

    async def le_states(self) -> int:
        """What the controller can do at the same time, bit by bit (Vol 4 Part E 7.8.27); 0 if it does not say.

        Raises:
            LinkLostError: the controller does not answer, or is gone.
        """
        host: Any = self.host
        try:
            async with asyncio.timeout(COMMAND_WITHIN_S):
                told = await host.send_sync_command(hci.HCI_LE_Read_Supported_States_Command())
        except hci.HCI_Error:
            return 0
        except TimeoutError:
            raise LinkLostError("the controller does not answer") from None
        except TransportLostError as error:
            raise LinkLostError("the controller is gone") from error
        return int.from_bytes(told.le_states, "little")

    async def close(self) -> None:
        """Give the controller back; peers are not told."""
        self.host.ready = False
        self.host.att_sink = None
        with suppress(Exception):  # a controller that is gone cannot be given back; drivers have words of their own
            await self.hci.close()


async def switch_on(
    opener: Opener, *, name: str, address: str, bonds: Bonds, prepare: Callable[[Any, QuietHost], None]
) -> HciRadio:
    """Open the controller, reset it, and set its address.

    Args:
        opener: where the controller is.
        name: of the device.
        address: static random.
        bonds: where keys are kept.
        prepare: called with Bumble's device and its host before the controller is reset.

    Raises:
        LinkLostError: there is no controller, or it does not answer.
        InputError: the transport's name makes no sense.
    """
    way = await opener()
    host = QuietHost()
    device = make_device(name, address, host, bonds)
    host.set_packet_source(way.source)
    host.set_packet_sink(way.sink)
    prepare(device, host)
    try:
        async with asyncio.timeout(OPEN_WITHIN_S):
            await device.power_on()
    except BaseException as error:
        await HciRadio(device, host, way).close()
        if isinstance(error, TimeoutError):
            raise LinkLostError(f"the controller did not answer within {OPEN_WITHIN_S:g} s") from None
        if isinstance(error, TransportLostError):
            raise LinkLostError("the controller is gone") from error
        if isinstance(error, hci.HCI_Error):
            raise LinkLostError(f"the controller refused to start: {error}") from error
        raise
    return HciRadio(device, host, way)
