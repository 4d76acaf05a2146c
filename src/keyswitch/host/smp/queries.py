"""What devices tell about themselves, as typed values; and the requests that ask for it.

Rules:

* A key that must be there and is not, or has another type, is the device's fault and named: `RemoteError`.
* Keys that we do not know are passed over: newer devices say more.
* Asking changes nothing on the device.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from keyswitch.errors import RemoteError, SilenceError
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Refusal, Reply, reason_of
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image, mode, os
from keyswitch.text import plain

_T = TypeVar("_T")

IF_ANY_MS: Final = 1_000
"""How long an old server may take for an answer that it need not have; it answers what it has in some ms."""

DEFAULT_BUF_SIZE: Final = 384
"""What Zephyr reserves for a packet unless told otherwise (`MCUMGR_TRANSPORT_NETBUF_SIZE`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """The device's buffers (os group, parameters).

    Attributes:
        buf_size: largest packet in bytes, header included.
        buf_count: how many, shared by requests and answers.
    """

    buf_size: int
    buf_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotInfo:
    """One listed image (image group, state).

    `hash` is empty where the list has none (serial recoveries may be built so). `image_told` says whether any row of
    the list names its image; where none does, 0 stands in each, and says nothing if the device has several.
    """

    image: int
    slot: int
    version: str
    hash: bytes
    bootable: bool
    pending: bool
    confirmed: bool
    active: bool
    permanent: bool
    image_told: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeState:
    """The mode group's state.

    Attributes:
        mode: name of the mode.
        open: whether firmware commands are let through now.
        lease_ms: what is left of the lease, None where there is none.
        boot_id: another one means that the device was reset.
        policy: first 8 bytes of the policy file's SHA-256.
        reason: why the gate is shut, in the device's words.
        device: what the device calls itself; empty if it does not tell. A claim: nothing is decided by it.
    """

    mode: str
    open: bool
    lease_ms: int | None = None
    boot_id: bytes = b""
    policy: bytes = b""
    reason: str = ""
    device: str = ""

    @property
    def outside(self) -> bool:
        """Whether the device is outside maintenance. A gate that is shut only for this peer does not say that."""
        return not self.open and reason_of(self.reason) not in {Reason.OWNER, Reason.SECURITY}


async def read_if_any(client: SmpClient, group: int, command: int, body: Mapping[str, object] | None = None) -> Reply:
    """Ask for what a server need not have.

    An old server is silent about it (`SmpClient.old_server`): asked once, with a short bound, and its silence is told
    as the refusal that other servers send.
    """
    if not client.old_server:
        return await client.read(group, command, body)
    if (group, command) not in client.unanswered:
        try:
            return await client.read(group, command, body, timeout_ms=IF_ANY_MS)
        except SilenceError:
            if client.link.closed is not None:
                raise
            client.unanswered.add((group, command))
    return Refusal(code=Rc.ENOTSUP)


async def read_params(client: SmpClient) -> Params | Refusal:
    """Ask for the device's buffers."""
    reply = await read_if_any(client, os.ID, os.Id.PARAMS)
    if isinstance(reply, Refusal):
        return reply
    size = _field(reply.values, "buf_size", int)
    count = _field(reply.values, "buf_count", int)
    if size < 1 or count < 1:
        raise RemoteError(f"the device says that it has {count} buffers of {size} bytes")
    return Params(buf_size=size, buf_count=count)


async def read_bootloader_mode(client: SmpClient) -> int | Refusal:
    """Ask how the bootloader exchanges images (os group, bootloader info, query "mode")."""
    reply = await read_if_any(client, os.ID, os.Id.BOOTLOADER, {"query": "mode"})
    return reply if isinstance(reply, Refusal) else _field(reply.values, "mode", int)


async def read_slots(client: SmpClient) -> tuple[SlotInfo, ...] | Refusal:
    """Ask what lies in the slots."""
    reply = await client.read(image.ID, image.Id.STATE)
    return reply if isinstance(reply, Refusal) else slots_of(reply.values)


async def read_room(client: SmpClient) -> Mapping[int, int] | Refusal:
    """Ask for the largest file of each image number (image group, slot info; Zephyr 4.0 and later).

    Where the device names no largest image, its largest slot that an upload may go to bounds it.
    """
    reply = await read_if_any(client, image.ID, image.Id.SLOTS)
    if isinstance(reply, Refusal):
        return reply
    return {number: size for row in _rows(reply.values, "images", "image") for number, size in _sizes(row)}


def _sizes(row: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """For each number that an upload to this image may name: the largest file."""
    # A slot that cannot be opened has a code instead of a size.
    slots = [slot for slot in _rows(row, "slots", "slot") if "size" in slot]
    taken = {_field(slot, "upload_image_id", int): slot for slot in slots if "upload_image_id" in slot}
    numbers = {_field(row, "image", int), *taken}
    for number in numbers:
        if "max_image_size" in row:
            yield number, _field(row, "max_image_size", int)
        elif slots:
            yield number, max(_field(slot, "size", int) for slot in (taken.values() or slots))


async def read_mode(client: SmpClient) -> ModeState | Refusal:
    """Ask the mode group for its state."""
    reply = await client.read(mode.ID, mode.Id.STATE)
    if isinstance(reply, Refusal):
        return reply
    values = reply.values
    return ModeState(
        mode=plain(_field(values, "mode", str)),
        open=_field(values, "gate", bool),
        lease_ms=_field(values, "lease_ms", int) if "lease_ms" in values else None,
        boot_id=_field(values, "boot_id", bytes) if "boot_id" in values else b"",
        policy=_field(values, "policy", bytes) if "policy" in values else b"",
        reason=plain(_field(values, "reason", str)) if "reason" in values else "",
        device=plain(_field(values, "device", str)) if "device" in values else "",
    )


async def mode_if_any(client: SmpClient | None) -> ModeState | None:
    """The mode group's state; None from a device that has no such group.

    A request that waits while the mode changes is refused unexecuted. That is no answer to the question: asked again,
    it is answered.
    """
    if client is None:
        return None
    state = await read_mode(client)
    if isinstance(state, Refusal) and not state.is_rc(Rc.ENOTSUP):
        state = await read_mode(client)
    return None if isinstance(state, Refusal) else state


def slots_of(values: Mapping[str, Any]) -> tuple[SlotInfo, ...]:
    """The images in the answer to a state read or write.

    Raises:
        RemoteError: the answer is no list of images.
    """
    rows = _rows(values, "images", "image")
    image_told = any("image" in row for row in rows)
    return tuple(_slot(row, image_told=image_told) for row in rows)


def _rows(values: Mapping[str, Any], key: str, what: str) -> list[Mapping[str, Any]]:
    rows: object = values.get(key)
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes):
        raise RemoteError(f"the {what} list is not a list but {rows!r}")
    found = list(cast("Sequence[object]", rows))
    for row in found:
        if not isinstance(row, dict):
            raise RemoteError(f"an entry of the {what} list is not a map but {row!r}")
    return cast("list[Mapping[str, Any]]", found)


def _slot(values: Mapping[str, Any], *, image_told: bool) -> SlotInfo:

    def flag(key: str) -> bool:
        # Left out when false by devices that save bytes (`MCUMGR_GRP_IMG_FRUGAL_LIST`).
        return _field(values, key, bool) if key in values else False

    return SlotInfo(
        image=_field(values, "image", int) if "image" in values else 0,
        slot=_field(values, "slot", int),
        version=plain(_field(values, "version", str)),
        hash=_field(values, "hash", bytes) if "hash" in values else b"",
        bootable=flag("bootable"),
        pending=flag("pending"),
        confirmed=flag("confirmed"),
        active=flag("active"),
        permanent=flag("permanent"),
        image_told=image_told,
    )


def _field(values: Mapping[str, Any], key: str, kind: type[_T]) -> _T:
    value = values.get(key)
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise RemoteError(f"the device's {key} is not of the type {kind.__name__} but {value!r}")
