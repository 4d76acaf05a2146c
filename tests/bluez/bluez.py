"""BlueZ as its users see it: the adapter, an agent that agrees to pair, what it knows of a device. All is awaited."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, dbus_method

BLUEZ: Final = "org.bluez"
ADAPTER: Final = "/org/bluez/hci0"
_ADAPTER: Final = "org.bluez.Adapter1"
_DEVICE: Final = "org.bluez.Device1"
_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"

Objects = dict[str, dict[str, dict[str, Any]]]


class Agent(ServiceInterface):
    """Agrees to everything, without input or output: Just Works."""

    PATH: Final = "/keyswitch/agent"

    def __init__(self) -> None:
        super().__init__("org.bluez.Agent1")

    @dbus_method()
    def RequestAuthorization(self, device: "o") -> None:  # noqa: N802, F821 - D-Bus's names and types
        """Agree to pair."""

    @dbus_method()
    def RequestConfirmation(self, device: "o", passkey: "u") -> None:  # noqa: N802, F821 - D-Bus's names and types
        """Agree to a number."""

    @dbus_method()
    def Cancel(self) -> None:  # noqa: N802 - D-Bus's name
        """Nothing is under way for long."""

    @dbus_method()
    def Release(self) -> None:  # noqa: N802 - D-Bus's name
        """Nothing to give back."""


class Bluez:
    """A connection to BlueZ that hears what changes."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, path: str, interface: str, member: str, signature: str = "", *body: object) -> list[Any]:
        """Call a method; what it returns."""
        destination = BLUEZ if interface.startswith(BLUEZ) or interface in (_MANAGER, _PROPERTIES) else interface
        message = Message(
            destination=destination, path=path, interface=interface, member=member, signature=signature, body=list(body)
        )
        reply = await self._bus.call(message)
        assert reply is not None
        assert reply.message_type is MessageType.METHOD_RETURN, f"{member}: {reply.error_name}: {reply.body}"
        return list(reply.body)

    async def begin(self) -> None:
        """Hear of changes from now on, and offer an agent."""
        match = Message(
            destination="org.freedesktop.DBus",
            path="/org/freedesktop/DBus",
            interface="org.freedesktop.DBus",
            member="AddMatch",
            signature="s",
            body=[f"type='signal',sender='{BLUEZ}'"],
        )
        await self._bus.call(match)
        self._bus.add_message_handler(self._heard)
        self._bus.export(Agent.PATH, Agent())
        await self.call("/org/bluez", "org.bluez.AgentManager1", "RegisterAgent", "os", Agent.PATH, "NoInputNoOutput")
        await self.call("/org/bluez", "org.bluez.AgentManager1", "RequestDefaultAgent", "o", Agent.PATH)

    async def objects(self) -> Objects:
        """All that BlueZ knows at this moment: path, interface, property."""
        (found,) = await self.call("/", _MANAGER, "GetManagedObjects")
        return {
            path: {
                interface: {name: value.value for name, value in properties.items()}
                for interface, properties in interfaces.items()
            }
            for path, interfaces in found.items()
        }

    async def until(self, holds: Callable[[Objects], bool], what: str, timeout_ms: int) -> Objects:
        """Wait until what BlueZ knows fulfils `holds`; looks again whenever BlueZ says that something changed."""
        found: Objects = {}
        try:
            async with asyncio.timeout(timeout_ms / 1000), self._changed:
                while not holds(found := await self.objects()):
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not within {timeout_ms} ms: {what}; BlueZ knows {found}") from None
        return found

    async def powered(self, timeout_ms: int = 20_000) -> None:
        """Wait until there is an adapter, and it is on."""
        await self.until(
            lambda found: bool(found.get(ADAPTER, {}).get(_ADAPTER, {}).get("Powered")), "hci0 is on", timeout_ms
        )

    async def without_adapter(self, timeout_ms: int = 20_000) -> None:
        """Wait until there is no adapter any more."""
        await self.until(lambda found: ADAPTER not in found, "hci0 is gone", timeout_ms)

    async def forget(self, address: str) -> None:
        """Remove a device with all that is cached of it; no error if it is not known."""
        path = device_path(address)
        if path in await self.objects():
            await self.call(ADAPTER, _ADAPTER, "RemoveDevice", "o", path)

    async def trust(self, address: str) -> None:
        """Keep a device that is not paired: without this BlueZ forgets it some time after it was last seen."""
        await self.call(device_path(address), _PROPERTIES, "Set", "ssv", _DEVICE, "Trusted", Variant("b", True))

    def _heard(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL:
            task = asyncio.ensure_future(self._notify())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def device_path(address: str) -> str:
    """Where BlueZ shows a device."""
    return f"{ADAPTER}/dev_{address.replace(':', '_')}"


def service_uuids(objects: Objects, address: str) -> set[str]:
    """The GATT services that BlueZ shows for a device."""
    below = device_path(address) + "/"
    return {
        interfaces["org.bluez.GattService1"]["UUID"]
        for path, interfaces in objects.items()
        if path.startswith(below) and "org.bluez.GattService1" in interfaces
    }


@asynccontextmanager
async def bluez() -> AsyncIterator[Bluez]:
    """BlueZ, for as long as the block lasts."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    here = Bluez(bus)
    await here.begin()
    try:
        yield here
    finally:
        bus.disconnect()
