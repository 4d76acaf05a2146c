"""Who the device is on the radio: its addresses, drawn once, and the bonds that belong to them; in `bonds.json` (0600).

    {"addresses": [ADDRESS, SECOND ADDRESS], "bonds": what `link.bumble.bonds` keeps}

A static random address must not change but for a reason that peers can know of (Core spec Vol 3 Part C 15.1.1): both
addresses are kept for the life of the state directory.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from keyswitch.device.storage.state_dir import BONDS, StateDir
from keyswitch.errors import InputError

_ADDRESS: Final = re.compile(r"[C-F][0-9A-F](:[0-9A-F]{2}){5}")
"""Static random: the two most significant bits are set (Core spec Vol 6 Part B 1.3.2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioIdentity:
    """The device's identity.

    Attributes:
        address: outside maintenance, and in it unless the policy asks for a second one.
        second_address: in maintenance, where the policy asks for it.
        bonds: of both, as they were saved last; None: there are none yet.
        save_bonds: keeps them.
        origin: of the bonds, for messages.
    """

    address: str
    second_address: str
    bonds: bytes | None
    save_bonds: Callable[[bytes], None]
    origin: str


def load_identity(state: StateDir, random: Callable[[int], bytes]) -> RadioIdentity:
    """The identity that is kept in `state`; a new one where there is none yet.

    Args:
        state: the state directory.
        random: `random(n)` gives n unpredictable bytes.

    Raises:
        InputError: the document is damaged; deleting it makes the device forget who it was, and its bonds.
    """
    document = state.read(BONDS) or {"addresses": [_draw(random), _draw(random)]}
    origin = str(state.path / BONDS)
    addresses = _addresses(document.get("addresses"))
    if addresses is None:
        raise InputError(
            f"{origin}: addresses", "damaged", "two static random addresses; delete the file to start anew"
        )

    def save(bonds: bytes) -> None:
        document["bonds"] = json.loads(bonds)
        state.write(BONDS, document)

    known = json.dumps(document["bonds"]).encode() if "bonds" in document else None
    identity = RadioIdentity(
        address=addresses[0],
        second_address=addresses[1],
        bonds=known,
        save_bonds=save,
        origin=origin,
    )
    state.write(BONDS, document)
    return identity


def _addresses(value: object) -> tuple[str, str] | None:
    match cast("Any", value):
        case [str(first), str(second)] if _ADDRESS.fullmatch(first) and _ADDRESS.fullmatch(second):
            return first, second
        case _:
            return None


def _draw(random: Callable[[int], bytes]) -> str:
    drawn = bytearray(random(6))
    drawn[0] |= 0xC0
    return drawn.hex(":").upper()
