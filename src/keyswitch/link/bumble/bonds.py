"""Bonds: the keys of paired peers and what the GATT server remembers of them. Bumble's key store, on one document.

    {"schema": 1,
     "identities": {"<own address>": {"irk": "<hex>", "bonds": {"<peer>": {"keys": {...}, "client": {...}}}}}}

Rules kept here:

* Each of our own identities has its own bonds and its own identity resolving key, drawn at random when first needed.
* The document is handed to `save` whole at every change, before anything relies on it; where it is kept, and that
  nobody else can read it, is the business of whoever gave `save`.
* A bond is never replaced by a weaker one: who wants that has to remove it first, here.
* When the store is full, a new bond takes the place of the oldest of the weakest, unless that is worth more:
  whoever is in range can pair without a person, and must neither keep everybody else out nor undo what a person did.
"""

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bumble.keys import KeyStore, PairingKeys

from keyswitch.errors import InputError
from keyswitch.files.documents import parse_json
from keyswitch.gatt.client_state import ClientRecord, Range, merged
from keyswitch.terms import Security
from keyswitch.text import short

SCHEMA = 1
MAX_BONDS = 32
"""For each identity: more than a device has operators."""
_KEY_SIZE = 16


@dataclass(slots=True)
class _Bond:
    keys: PairingKeys
    client: ClientRecord = field(default_factory=ClientRecord)


@dataclass(slots=True)
class _Identity:
    irk: bytes
    bonds: dict[str, _Bond] = field(default_factory=dict[str, _Bond])


class Bonds(KeyStore):
    """The bonds of one identity at a time.

    Args:
        identity: our own address.
        document: as it was saved last; None: no bonds yet.
        save: keeps the document.
        origin: of the document, for error messages.
        draw: random bytes.

    Raises:
        InputError: the document is not one of ours.
    """

    def __init__(
        self,
        identity: str,
        document: bytes | None = None,
        *,
        save: Callable[[bytes], None] | None = None,
        origin: str = "bonds",
        draw: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._save = save
        self._draw = draw
        self._identities = _decoded(document, origin) if document is not None else {}
        self._identity = identity
        self.refused_weaker: set[str] = set()

    # --- identities ---

    def switch(self, identity: str) -> None:
        """From now on these are the bonds of another of our addresses."""
        self._identity = identity

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """All our addresses that have bonds, or had some."""
        return tuple(self._identities)

    @property
    def irk(self) -> bytes:
        """Our identity resolving key: never the all-zero one, which everybody knows."""
        return self._own.irk

    def takes(self, security: Security) -> bool:
        """Whether there is a place for a newcomer's bond that is worth this."""
        return len(self._own.bonds) < MAX_BONDS or self.security(self._first_to_go) <= security

    @property
    def _first_to_go(self) -> str:
        """Of the weakest bonds the oldest; there must be one."""
        return min(self._own.bonds, key=self.security)

    @property
    def peers(self) -> tuple[str, ...]:
        """Addresses of bonded peers."""
        return tuple(self._own.bonds)

    @property
    def _own(self) -> _Identity:
        if self._identity not in self._identities:
            self._identities[self._identity] = _Identity(irk=self._draw(_KEY_SIZE))
            self._keep()
        return self._identities[self._identity]

    # --- one peer ---

    def has(self, peer: str) -> bool:
        """Whether there are keys for this peer."""
        return peer in self._own.bonds

    def security(self, peer: str) -> Security:
        """What encryption with this peer's keys is worth."""
        bond = self._own.bonds.get(peer)
        return Security.NONE if bond is None else keys_security(bond.keys)

    def client(self, peer: str) -> ClientRecord | None:
        """What the GATT server remembers of this peer."""
        bond = self._own.bonds.get(peer)
        return None if bond is None else bond.client

    def remember(self, peer: str, record: ClientRecord) -> None:
        """Keep what the GATT server knows of a bonded peer; nothing happens for others."""
        bond = self._own.bonds.get(peer)
        if bond is not None and bond.client != record:
            bond.client = record
            self._keep()

    def owe(self, changed: Range, present: set[str]) -> None:
        """The table has changed: all bonded peers but those that are present have missed it."""
        away = [bond for peer, bond in self._own.bonds.items() if peer not in present]
        for bond in away:
            bond.client = replace(bond.client, owed=merged(bond.client.owed, changed))
        if away:
            self._keep()

    # --- Bumble's key store ---

    async def update(self, name: str, keys: PairingKeys) -> None:
        """A pairing has succeeded."""
        security = keys_security(keys)
        if security < self.security(name) or not (self.has(name) or self.takes(security)):
            self.refused_weaker.add(name)
            return
        self._own.bonds.pop(name, None)  # paired again, it is the newest
        while len(self._own.bonds) >= MAX_BONDS:
            del self._own.bonds[self._first_to_go]
        self._own.bonds[name] = _Bond(keys)
        self._keep()

    async def get(self, _name: str) -> PairingKeys | None:
        """The keys of a peer."""
        bond = self._own.bonds.get(_name)
        return None if bond is None else bond.keys

    async def get_all(self) -> list[tuple[str, PairingKeys]]:
        """All keys."""
        return [(peer, bond.keys) for peer, bond in self._own.bonds.items()]

    async def delete(self, name: str) -> None:
        """Forget a peer."""
        self.forget(name)

    def forget(self, peer: str) -> None:
        """Forget a peer; no error if it is not known."""
        if self._own.bonds.pop(peer, None) is not None:
            self._keep()

    # --- the document ---

    def _keep(self) -> None:
        if self._save is not None:
            self._save(self.document())

    def document(self) -> bytes:
        """The bonds as they are saved."""
        identities = {
            own: {"irk": identity.irk.hex(), "bonds": {peer: _encoded(b) for peer, b in identity.bonds.items()}}
            for own, identity in self._identities.items()
        }
        return json.dumps({"schema": SCHEMA, "identities": identities}, indent=1).encode()


def keys_security(keys: PairingKeys) -> Security:
    """What a link encrypted with these keys is worth.

    Only LE Secure Connections with a passkey, a comparison or out-of-band data counts as authenticated: a legacy
    passkey is found by trying all million of them on what was overheard (Core spec Vol 1 Part A 5.4).
    """
    if keys.ltk is not None and keys.ltk.authenticated:
        return Security.AUTHENTICATED
    return Security.ENCRYPTED


def _encoded(bond: _Bond) -> dict[str, Any]:
    client = bond.client
    return {
        "keys": bond.keys.to_dict(),
        "client": {
            "features": client.features,
            "ccc": {str(handle): value for handle, value in client.ccc},
            "known_hash": client.known_hash.hex(),
            "owed": client.owed,
        },
    }


def _decoded(document: bytes, origin: str) -> dict[str, _Identity]:
    content = parse_json(document, origin, "a store of bonds; delete the file to pair anew")
    try:
        if content["schema"] != SCHEMA:
            raise InputError(origin, f"schema {short(content['schema'])}", f"{SCHEMA}; delete the file to pair anew")
        return {
            own: _Identity(
                irk=_key(bytes.fromhex(identity["irk"])),
                bonds={_peer(peer): _decoded_bond(bond) for peer, bond in identity["bonds"].items()},
            )
            for own, identity in content["identities"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError) as error:
        raise InputError(origin, f"not a store of bonds ({error})", "delete the file to pair anew") from error


def _decoded_bond(content: dict[str, Any]) -> _Bond:
    client = content["client"]
    owed = client["owed"]
    keys = PairingKeys.from_dict(content["keys"])
    for key in (keys.ltk, keys.ltk_central, keys.ltk_peripheral, keys.irk, keys.csrk, keys.link_key):
        if key is not None:
            _key(key.value)
    return _Bond(
        keys=keys,
        client=ClientRecord(
            features=int(client["features"]),
            ccc=tuple((int(handle), int(value)) for handle, value in client["ccc"].items()),
            known_hash=bytes.fromhex(client["known_hash"]),
            owed=None if owed is None else (int(owed[0]), int(owed[1])),
        ),
    )


def _key(value: bytes) -> bytes:
    """A key of the size that all keys of Bluetooth LE have (Core spec Vol 3 Part H 2.4)."""
    if len(value) != _KEY_SIZE:
        raise ValueError(f"a key of {len(value)} bytes")
    return value


def _peer(text: str) -> str:
    """The address of a peer."""
    if not _PEER.fullmatch(text):
        raise ValueError(f"no address: {short(text)}")
    return text


_PEER: Final = re.compile("[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}(/P)?")
"""As Bumble writes addresses; `/P` marks a public one."""
