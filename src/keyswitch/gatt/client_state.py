"""What the server remembers about one client: as long as it is connected, and for ever if it is bonded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntFlag

from keyswitch.gatt.att import DEFAULT_MTU
from keyswitch.terms import Security

Range = tuple[int, int]
"""First and last handle."""
ALL_HANDLES: Range = (0x0001, 0xFFFF)


class Feature(IntFlag):
    """Client Supported Features: Core spec Vol 3 Part G 7.2."""

    ROBUST_CACHING = 0x01
    EATT = 0x02
    MULTIPLE_NOTIFICATIONS = 0x04


KNOWN_FEATURES = Feature.ROBUST_CACHING | Feature.EATT | Feature.MULTIPLE_NOTIFICATIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRecord:
    """What is kept of a bonded client while it is away (Core spec Vol 3 Part G 2.5.2, 7).

    Attributes:
        features: its Client Supported Features.
        ccc: handle of each Client Characteristic Configuration that is not 0, and its value.
        known_hash: the Database Hash of the table that it knows; empty if it must be taken to know none.
        owed: handles that changed while it was away and that it has not confirmed to have heard of.
    """

    features: int = 0
    ccc: tuple[tuple[int, int], ...] = ()
    known_hash: bytes = b""
    owed: Range | None = None


def _nobody(_characteristic: str) -> bool:
    return False


@dataclass(slots=True)
class GattClient:
    """One connected client.

    Attributes:
        mtu: the ATT MTU.
        security: of the link.
        has_key: whether keys of an earlier pairing exist, so that encryption can be asked for.
        features: Client Supported Features.
        ccc: handle to value, for those that are not 0.
        aware: whether it knows the present table; meaningful only with robust caching.
        warned: whether it was told Database Out Of Sync since the last change.
        hash_read: whether it has read the hash since the last change.
        confirming: the range of the Service Changed indication that it has not confirmed yet.
        owed: what the next one will say.
        bonded: whether what is remembered here outlives the connection.
        may_access: asks the device whether the client may access the characteristic of this UUID now; only asked for
            those that are `authorized`. The answer is never kept.
    """

    mtu: int = DEFAULT_MTU
    mtu_exchanged: bool = False
    security: Security = Security.NONE
    has_key: bool = False
    features: int = 0
    ccc: dict[int, int] = field(default_factory=dict[int, int])
    aware: bool = True
    warned: bool = False
    hash_read: bool = False
    confirming: Range | None = None
    owed: Range | None = None
    bonded: bool = False
    may_access: Callable[[str], bool] = _nobody

    @property
    def caches_robustly(self) -> bool:
        """Whether it has said that it can handle Database Out Of Sync."""
        return bool(self.features & Feature.ROBUST_CACHING)

    @property
    def unaware(self) -> bool:
        """Whether its commands are to be ignored: it may know a table that is gone."""
        return self.caches_robustly and not self.aware

    def now_aware(self) -> None:
        """It knows the present table."""
        self.aware, self.warned, self.hash_read = True, False, False

    def table_changed(self, changed: Range) -> None:
        """The table has changed in this range."""
        self.owed = merged(self.owed, changed)
        self.aware, self.warned, self.hash_read = not self.caches_robustly, False, False


def merged(left: Range | None, right: Range | None) -> Range | None:
    """The range around both."""
    if left is None or right is None:
        return left or right
    return min(left[0], right[0]), max(left[1], right[1])
