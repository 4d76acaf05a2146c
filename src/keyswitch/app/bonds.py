"""The pairings of a radio of ours, as the file of `--bonds` holds them: shown without their keys, and removed."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypedDict

from keyswitch.app.endpoints import BONDS_FILE, keep_bonds
from keyswitch.errors import InputError, Phrase
from keyswitch.files.reading import read_file
from keyswitch.link.targets import BondStore, open_bonds
from keyswitch.terms import Security

_STATE_FILES: Final = ("flash.bin", "lock")
"""What lies beside the bonds of a device: its process alone writes there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BondInfo:
    """One pairing.

    Attributes:
        own: our address that it belongs to.
        peer: the other one's; `/P` marks a public address.
        security: what a link with its keys is worth.
    """

    own: str
    peer: str
    security: Security


class BondJson(TypedDict):
    """One line of `bonds list --json`: a pairing, without its keys."""

    own: str
    peer: str
    security: str


def bond_json(bond: BondInfo) -> BondJson:
    """One pairing."""
    return {"own": bond.own, "peer": bond.peer, "security": bond.security.word}


def read_bonds(path: Path) -> tuple[BondInfo, ...]:
    """The pairings in a file, the oldest of each of our addresses first.

    Raises:
        InputError: it cannot be read, or is no store of bonds; or Bumble is not installed.
    """
    store = _opened(path)
    found: list[BondInfo] = []
    for own in store.own_addresses:
        store.switch(own)
        found += [BondInfo(own=own, peer=peer, security=store.security(peer)) for peer in store.peers]
    return tuple(found)


def remove_bond(path: Path, address: str) -> str:
    """Remove the pairings with an address; the peer as the file has it, empty if there was none.

    Raises:
        InputError: as `read_bonds`; or these are the bonds of a device, which alone may write them.
    """
    if all((path.parent / name).exists() for name in _STATE_FILES):
        raise InputError(str(path), "these are a device's own bonds", Phrase("the file of an operator's {bonds}"))
    store = _opened(path)
    removed = ""
    for own in store.own_addresses:
        store.switch(own)
        for peer in store.peers:
            if peer.removesuffix("/P").upper() == address.removesuffix("/P").upper():
                store.forget(peer)
                removed = peer
    return removed


def _opened(path: Path) -> BondStore:
    return open_bonds(read_file(path, BONDS_FILE), partial(keep_bonds, path), str(path))
