"""Group 0x4B53, mode: ours; how maintenance mode is asked about, entered and left, over every transport.

    id  command    op     request               answer
    0   state      read                         mode, gate, lease_ms?, boot_id, policy, device?, reason?
    1   challenge  read   to                    nonce, device, proofs
    2   enter      write  to, proof, ...        session, reconnect, address?, lease_ms?; or left
    3   attach     write  proof, ...            lease_ms?; or left
    4   extend     write                        lease_ms
    5   leave      write                        mode

    key        type                what
    mode       text                name of the mode, as the policy has it
    gate       bool                whether firmware commands are let through now
    lease_ms   unsigned            what is left of the mode's lease; absent where the mode has none
    boot_id    8 bytes             drawn at each boot: another one means that the device was reset
    policy     8 bytes             the first of the policy's digest (`keyswitch.policy.digest`)
    reason     text                why the gate is shut (`keyswitch.reasons`); a guard as `FalseGuard` has it
    to         text                the mode asked for
    nonce      16 bytes            single use, for this peer
    device     text                the identity that a proof must name
    proofs     list of text        the kinds of proof that the way to `to` takes
    session    4 bytes             the correlation token that the device then advertises; it authorises nothing
    reconnect  bool                the device ends this connection once the answer was delivered
    address    text                where to look for it then, if that differs
    left       unsigned            instead of the other keys: so many steps of a `sequence` are still to come

On Bluetooth LE the group has a service of its own, present in every mode and serving nothing else.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final, Self

from keyswitch.errors import RemoteError
from keyswitch.smp.group import Command, Group

ID: Final = 0x4B53

SERVICE_UUID: Final = "2125afdc-674d-4337-beec-1ae1ef310819"
"""The mode service."""
CONTROL_UUID: Final = "2125afdd-674d-4337-beec-1ae1ef310819"
"""Its control characteristic: write without response, notify; SMP frames of this group."""
STATE_UUID: Final = "2125afde-674d-4337-beec-1ae1ef310819"
"""Its state characteristic: read, notify; a `StateValue`."""

SLOWEST_ADVERTISING_MS: Final = 150
"""Longest interval between advertisements of a device with the mode service, while it takes connections: the end of
TGAP(adv_fast_interval2) (Core spec Vol 3 Part C Appendix A). Who looks for others of a name relies on it."""

NONCE_SIZE: Final = 16
TOKEN_SIZE: Final = 4
BOOT_ID_SIZE: Final = 8
POLICY_SIZE: Final = 8


class Id(IntEnum):
    """Command ids."""

    STATE = 0
    CHALLENGE = 1
    ENTER = 2
    ATTACH = 3
    EXTEND = 4
    LEAVE = 5


class Err(IntEnum):
    """Group errors. There are only those every group has: a refusal is `EACCESSDENIED` with its reason in `rsn`."""

    OK = 0
    UNKNOWN = 1


GROUP: Final = Group(
    id=ID,
    name="mode",
    label="mode mgmt",
    commands=(
        Command(group=ID, id=Id.STATE, name="mode.state", reads=True),
        Command(group=ID, id=Id.CHALLENGE, name="mode.challenge", reads=True),
        Command(group=ID, id=Id.ENTER, name="mode.enter", writes=True),
        Command(group=ID, id=Id.ATTACH, name="mode.attach", writes=True),
        Command(group=ID, id=Id.EXTEND, name="mode.extend", writes=True),
        Command(group=ID, id=Id.LEAVE, name="mode.leave", writes=True),
    ),
    errors=Err,
)


class StateFlags(IntFlag):
    """The flags byte of the state characteristic."""

    GATE_OPEN = 0x01
    LEASED = 0x02
    """The lease field means something."""
    TRIAL = 0x04
    """The running image is on trial: not confirmed yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateValue:
    """The state characteristic's value.

        offset  size  field (little-endian)
        0       1     version of this layout, 1
        1       1     mode index, in the order of the policy file
        2       1     flags
        3       2     seconds left of the lease, rounded up; 65535 means "or more"
        5       4     correlation token, as advertised

    Attributes:
        mode_index: 0 to 255.
        flags: see `StateFlags`.
        lease_s: seconds left, 0 to 65535.
        token: four bytes.
    """

    mode_index: int
    flags: StateFlags
    lease_s: int
    token: bytes

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a value; bytes behind the known layout are left to later versions.

        Raises:
            RemoteError: too short, or a version from which nothing can be told.
        """
        if len(data) < _STATE.size:
            raise RemoteError(f"mode state: {len(data)} bytes, {_STATE.size} needed")
        version, mode_index, flags, lease_s, token = _STATE.unpack_from(data)
        if version != STATE_VERSION:
            raise RemoteError(f"mode state: version {version}, {STATE_VERSION} is known")
        return cls(mode_index=mode_index, flags=StateFlags(flags & _KNOWN_FLAGS), lease_s=lease_s, token=token)

    def encode(self) -> bytes:
        """The nine bytes."""
        return _STATE.pack(STATE_VERSION, min(self.mode_index, 0xFF), self.flags, min(self.lease_s, 0xFFFF), self.token)


STATE_VERSION: Final = 1
_STATE: Final = struct.Struct("<BBBH4s")
_KNOWN_FLAGS: Final = 0x07


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacon:
    """Our data in the manufacturer specific field of the advertisement, behind the company id.

        offset  size  field
        0       1     bits 7-4 version, 1; bits 3-0 mode index, 15 for "15 or above"
        1       4     correlation token

    It helps to find a device again and authorises nothing.

    Attributes:
        mode_index: in the order of the policy file, 0 to 15.
        token: four bytes.
    """

    mode_index: int
    token: bytes

    @classmethod
    def decode(cls, data: bytes) -> Self | None:
        """Read the data; None if it is not ours (company ids are shared, so anything may stand there)."""
        if len(data) != 1 + TOKEN_SIZE or data[0] >> 4 != BEACON_VERSION:
            return None
        return cls(mode_index=data[0] & 0x0F, token=data[1:])

    def encode(self) -> bytes:
        """The five bytes."""
        return bytes([BEACON_VERSION << 4 | min(self.mode_index, 0x0F)]) + self.token


BEACON_VERSION: Final = 1
