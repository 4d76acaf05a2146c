"""What the device remembers across resets besides the flash: three documents, written whole and durably.

    gate.json       written: the store is in use; a store without it, and without what else the gate keeps, is blank
    session.json    record: the session record; holder: key of whose permit opened that session, hexadecimal;
                    mode: the mode to come back to
    counters.json   lockout: wrong proofs in a row by kind; permits: uses by the permit's id;
                    security_counters: what the bootloader keeps against downgrades
                    (other keys belong to others and are kept)

Rules kept here: a write has reached the medium when it returns; the session record is read once and erased before
anybody hears of it; a record that cannot be read is worth nothing, and is no error: the device comes up shut.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, cast

from keyswitch.errors import InputError
from keyswitch.gate import permit_uses
from keyswitch.gate.codec import record_from_json, record_to_json
from keyswitch.gate.permit_uses import Uses
from keyswitch.gate.record import SessionRecord
from keyswitch.policy.enums import ProofKind

GATE: Final = "gate.json"
SESSION: Final = "session.json"
COUNTERS: Final = "counters.json"
SECURITY_COUNTERS: Final = "security_counters"

DAMAGED_COUNT: Final = 2**32
"""Wrong proofs that are assumed where the count is damaged: beyond every number of free tries and every doubling."""
_GUESSED: Final = tuple(kind.value for kind in ProofKind if kind is not ProofKind.BUTTON)


class Store(Protocol):
    """Documents by name. `device.storage.state_dir.StateDir` is one."""

    def read(self, name: str) -> dict[str, Any] | None:
        """The document, None if there is none."""
        ...

    def write(self, name: str, document: dict[str, Any] | None) -> None:
        """Replace the document, or remove it; survives power loss when this returns."""
        ...


class MemoryStore:
    """Documents in memory, for simulations and tests."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}

    def read(self, name: str) -> dict[str, Any] | None:
        """The document, None if there is none."""
        found = self.documents.get(name)
        return None if found is None else dict(found)

    def write(self, name: str, document: dict[str, Any] | None) -> None:
        """Replace the document, or remove it."""
        if document is None:
            self.documents.pop(name, None)
        else:
            self.documents[name] = dict(document)


def security_counters(store: Store) -> tuple[int, ...]:
    """What the bootloader kept, by image number; empty if it never did.

    Raises:
        InputError: that is damaged. It is never taken for "nothing": an image that was too old would run again.
    """
    found: object = (store.read(COUNTERS) or {}).get(SECURITY_COUNTERS, ())
    counters = cast("Sequence[object]", found) if isinstance(found, list | tuple) else (None,)
    known = tuple(each for each in counters if type(each) is int and each >= 0)
    if len(known) != len(counters):
        raise InputError(f"{COUNTERS}: {SECURITY_COUNTERS}", "damaged", "a list of whole numbers, one for each image")
    return known


class Memory:
    """The device's own view of its store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def blank(self) -> bool:
        """Whether no gate ever wrote here. Not blank is whatever any gate keeps, though its mark be missing."""
        counters = self._store.read(COUNTERS) or {}
        # The bootloader's own counters may be older than the gate.
        kept = counters.keys() - {SECURITY_COUNTERS}
        return self._store.read(GATE) is None and self._store.read(SESSION) is None and not kept

    def mark(self) -> None:
        """The store is in use from now on."""
        self._change(GATE, written=True)

    def take_record(self) -> SessionRecord | None:
        """The session record, erased before this returns; None if there is none, or none that can be understood."""
        document = self._store.read(SESSION) or {}
        record: object = document.get("record")
        if record is None:
            return None
        self._change(SESSION, record=None, holder=None)
        return record_from_json(cast("dict[str, Any]", record)) if isinstance(record, dict) else None

    def save_record(self, record: SessionRecord | None, holder: bytes | None = None) -> None:
        """Keep the record for the next boot, and the key of whose permit opened its session; None erases it."""
        kept = None if record is None else record_to_json(record)
        self._change(SESSION, record=kept, holder=None if kept is None or holder is None else holder.hex())

    def holder(self) -> bytes | None:
        """Whose permit opened the session of the record; ask before `take_record`. None: unknown, or no permit did."""
        found: object = (self._store.read(SESSION) or {}).get("holder")
        try:
            return bytes.fromhex(found) if isinstance(found, str) else None
        except ValueError:
            return None

    def mode(self) -> str | None:
        """What `save_mode` kept."""
        mode = (self._store.read(SESSION) or {}).get("mode")
        return mode if isinstance(mode, str) else None

    def save_mode(self, mode: str | None) -> None:
        """Keep the mode to come back to."""
        self._change(SESSION, mode=mode)

    def lockout(self) -> dict[str, int]:
        """Wrong proofs in a row, by kind. If that is damaged, every kind waits its longest: nothing resets a wait."""
        counts = self._counts("lockout")
        damaged = counts is None or any(count < 1 for count in counts.values())
        return dict.fromkeys(_GUESSED, DAMAGED_COUNT) if damaged else counts or {}

    def save_lockout(self, counts: Mapping[str, int]) -> None:
        """Keep the counts of wrong proofs."""
        self._change(COUNTERS, lockout=dict(counts) or None)

    def permits(self) -> Uses | None:
        """How often each permit was used; None if that is damaged: then no permit may be accepted."""
        counts = self._counts("permits")
        try:
            return None if counts is None else permit_uses.restore(counts)
        except ValueError:
            return None

    def save_permits(self, used: Uses) -> None:
        """Keep the uses of permits."""
        self._change(COUNTERS, permits=used.stored() or None)

    def _counts(self, key: str) -> dict[str, int] | None:
        """Numbers by name; None if something else is there."""
        found = (self._store.read(COUNTERS) or {}).get(key, {})
        if not isinstance(found, dict):
            return None
        counts = cast("dict[object, object]", found)
        known = {name: count for name, count in counts.items() if isinstance(name, str) and type(count) is int}
        return known if len(known) == len(counts) else None

    def _change(self, name: str, **fields: object) -> None:
        before = self._store.read(name)
        document: dict[str, Any] = dict(before or {})
        for key, value in fields.items():
            if value is None:
                document.pop(key, None)
            else:
                document[key] = value
        if document != (before or {}):
            self._store.write(name, document or None)
