"""From a target, as people write it, to a way to the device."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from keyswitch.cli.asking import ask_passkey
from keyswitch.errors import InputError
from keyswitch.host.journal import replace_durably
from keyswitch.host.reach import BleReach, PacketReach, Reach
from keyswitch.link.targets import BleTarget, Pairing, open_adapter, open_packets, own_address, parse


def open_reach(text: str, *, pair: bool = False, passkey: int | None = None, bonds: Path | None = None) -> Reach:
    """The way to the device that `text` names. Nothing is opened yet.

    Args:
        text: the target.
        pair: pair with the device, or encrypt with the keys of an earlier pairing, on each connection.
        passkey: the six digits that the device shows; None: a person is asked when it shows them.
        bonds: file that keeps the keys of a radio of ours; made if it is not there.

    Raises:
        InputError: it names nothing that can be reached, or the bonds are none.
    """
    target = parse(text)
    if isinstance(target, BleTarget):
        adapter = open_adapter(target, _pairing(passkey, bonds) if pair else None)
        return BleReach(adapter, target=text, name=target.name, address=target.address, pair=pair)
    if pair:
        raise InputError("--pair", "means nothing here", "a Bluetooth LE target")
    return PacketReach(text, partial(open_packets, target))


def _pairing(passkey: int | None, bonds: Path | None) -> Pairing:
    async def ask() -> int | None:
        return await ask_passkey() if passkey is None else passkey

    if bonds is None:
        return Pairing(ask_passkey=ask)
    document = _read(bonds)
    return Pairing(
        address=_address_in(bonds, document) or own_address(),
        bonds=document,
        save=partial(_keep, bonds),
        origin=str(bonds),
        ask_passkey=ask,
    )


def _read(bonds: Path) -> bytes | None:
    """The bonds of before, None if there are none yet."""
    try:
        return bonds.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = error.strerror or "cannot be read"
        raise InputError(str(bonds), problem, "a file that `keyswitch update --bonds` made") from error


def _address_in(path: Path, document: bytes | None) -> str | None:
    """The address that the bonds belong to: it has to be ours again."""
    if document is None:
        return None
    try:
        known: Any = json.loads(document)
        return str(next(iter(known["identities"])))
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise InputError(str(path), "no bonds", "a file that `keyswitch update --bonds` made") from error


def _keep(path: Path, document: bytes) -> None:
    """Write the keys where nobody else can read them."""
    replace_durably(path, document, mode=0o600)
