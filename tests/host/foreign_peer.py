"""A device that nobody of us built: one whole SMP server, whose ways are named values.

Each `Quirk` is a way in which servers and bootloaders of the field differ from ours; a device has any number of them.
`tests/host/behaviours.py` says what the operator does about each, and a test runs it.
"""

import asyncio
from enum import Enum, auto
from typing import Any

from tests.host.images import Made, is_sound, read_image, unpacked_hash
from tests.host.other_peers import TwoImagePeer
from tests.host.smp_peer import Session, Slot

Body = dict[str, Any]


class Quirk(Enum):
    """A way in which a device differs."""

    NO_FREE_SLOT = auto()
    """Takes no upload while an image is marked or runs on trial: image error 9."""
    ENOMEM_FOR_NO_SLOT = auto()
    """The same with rc 2, as servers of 2018 to 2022 say it."""
    LISTS_WHAT_RUNS = auto()
    """Lists what runs alone."""
    APPLICATION_MARKED_LAST = auto()
    """Its bootloader leaves out image 1 if image 0 was marked before it."""
    HIDES_IMAGE_1 = auto()
    """Lists of image 1 only what waits in its slot: what runs there is out of its sight."""
    REFUSES = auto()
    """Its bootloader refuses every image, and erases it."""
    CONFIRMS_BY_HASH = auto()
    """Confirms what is named by its hash alone: rc 3 without one."""
    CONFIRMS_NOTHING = auto()
    """Refuses every confirmation with rc 3."""
    DROPS_VERSION_2 = auto()
    """Is MCUboot's serial recovery of before mid-2023: takes version 1 alone, writes slot 0, marks nothing."""
    SILENT_IF_UNKNOWN = auto()
    """Is a still older one: answers list, upload and reset, and nothing else."""
    SILENT_TO_MARKS = auto()
    """Does not answer a state write."""
    NO_REASSEMBLY = auto()
    """Tells of large buffers, and takes each write for a whole frame: one that was cut is answered with rc 9."""
    NO_ECHO = auto()
    """Answers no echo as sent, but whatever its size with an empty one: a hook, say."""
    NO_IMAGE_KEYS = auto()
    """Lists two images without saying which row is whose."""
    NO_HASHES = auto()
    """Lists versions alone."""
    HIDES_SMP = auto()
    """Its new application shows no SMP service, but in an update mode of its own, and confirms itself."""
    SHOWS_SMP_LATE = auto()
    """Its new application shows its SMP service after ten seconds."""
    LISTS_UNPACKED = auto()
    """Lists a compressed image by the hash of what it unpacks to, and knows it by that alone."""
    SILENT_AT_THE_END = auto()
    """Does not answer a piece that would go behind `end` of its slot, and everything else."""
    PAUSES = auto()
    """Answers nothing for 70 seconds, once, when a piece would go behind `end` of its slot."""
    STANDS = auto()
    """Answers each piece behind `end` of its slot with the offset of before."""
    BUSY_AT_RESET = auto()
    """Is too busy for a reset for `busy_ms`, unless that is forced."""


class ForeignPeer(TwoImagePeer):
    """The device, without gate and mode group unless it is said.

    Args:
        running: what runs.
        quirks: what is different about it.
        second: what runs as image 1; None: it has one image.
        settings: as `SmpPeer` takes them.
    """

    def __init__(self, running: Made, *quirks: Quirk, second: Made | None = None, **settings: Any) -> None:
        super().__init__(running, second or running, **{"gated": False, "mode_group": False, **settings})
        self.quirks = frozenset(quirks)
        self.reassembles = not self.has(Quirk.NO_REASSEMBLY)
        self.recovers = self.has(Quirk.DROPS_VERSION_2)
        """Its recovery runs, not its application."""
        self.hidden = False
        """It shows no SMP service."""
        self.pin_held = False
        """Its recovery starts again at each reset."""
        self.end = 12_000
        self.paused = False
        self.busy_ms = 60_000
        self.busy_until = 0.0
        self.marks: list[int] = []
        """Numbers of the images that were marked since the last boot, in order."""
        if second is None:
            del self.pairs[1], self.stays[1]

    def has(self, quirk: Quirk) -> bool:
        return quirk in self.quirks

    # --- states to begin with ---------------------------------------------------------------------------------------

    def on_trial(self, new: Made) -> None:
        """`new` runs on trial."""
        self.pairs[0] = [Slot(new.data), Slot(self.pairs[0][0].data)]
        self.stays[0] = False

    def marked(self, new: Made) -> None:
        """`new` is marked for the next reset."""
        self.pairs[0][1] = Slot(new.data, pending=True)

    # --- what differs -----------------------------------------------------------------------------------------------

    @property
    def visible(self) -> bool:
        return not self.hidden and super().visible

    def serve(self, packet: bytes, door: str, peer: int) -> list[bytes]:
        if self.recovers and self.has(Quirk.DROPS_VERSION_2) and packet[0] >> 3:
            return []
        if not self.reassembles and len(packet) != 8 + int.from_bytes(packet[2:4]):
            if self.has(Quirk.NO_ECHO) and packet[4:8] == bytes([0, 0, packet[6], 0]):
                return [bytes([packet[0] | 1, 0, 0, 1, *packet[4:8]]) + b"\xa0"]
            return [bytes([packet[0] & 0x08 | 3, 0, 0, 5, *packet[4:8]]) + b"\xa1\x62rc\x09"]
        return super().serve(packet, door, peer)

    def judge(self, key: tuple[int, int, int], body: Body, door: str, peer: int) -> Body | None:
        if self.recovers and key[:2] not in {(1, 0), (1, 1), (0, 5)}:
            return None if self.has(Quirk.SILENT_IF_UNKNOWN) else {"rc": 8}
        if self.recovers and key == (1, 0, 2):
            return None if self.has(Quirk.SILENT_TO_MARKS) else self.do_1_0_0(body, peer)
        return super().judge(key, body, door, peer)

    def listing(self) -> list[Body]:
        rows = super().listing()
        if self.has(Quirk.LISTS_UNPACKED):
            slots = [slot.data for pair in self.pairs for slot in pair]
            names = {found[1]: unpacked_hash(data) for data in slots if (found := read_image(data)) is not None}
            for row in rows:
                row["hash"] = names[row["hash"]] or row["hash"]
        left_out = {"hash"} if self.has(Quirk.NO_HASHES) else set[str]()
        left_out |= {"image"} if self.has(Quirk.NO_IMAGE_KEYS) else set()
        left_out |= rows[0].keys() - {"slot", "version", "hash"} if self.recovers else set()
        if left_out:
            rows = [{key: value for key, value in row.items() if key not in left_out} for row in rows]
        if self.recovers:
            return rows
        if len(self.pairs) == 1:
            for row in rows:
                row.pop("image", None)
        if self.has(Quirk.HIDES_IMAGE_1):
            rows = [row for row in rows if not (row["image"] and row["active"])]
        return [row for row in rows if row["active"] or not self.has(Quirk.LISTS_WHAT_RUNS)]

    def do_0_5_2(self, body: Body, peer: int) -> Body:
        loop = asyncio.get_running_loop()
        if self.has(Quirk.BUSY_AT_RESET) and body.get("force") is not True:
            self.busy_until = self.busy_until or loop.time() + self.busy_ms / 1000
            if loop.time() < self.busy_until:
                return {"rc": 10}
        return super().do_0_5_2(body, peer)

    def do_1_0_2(self, body: Body, peer: int) -> Body:
        named = "hash" in body and not self.has(Quirk.CONFIRMS_NOTHING)
        if body.get("confirm") and not named and self.quirks & {Quirk.CONFIRMS_BY_HASH, Quirk.CONFIRMS_NOTHING}:
            return {"rc": 3}
        body = {**body, "hash": self.packed(body["hash"])} if "hash" in body else body
        before = [slots[1].pending for slots in self.pairs]
        answer = super().do_1_0_2(body, peer)
        self.marks += [number for number, slots in enumerate(self.pairs) if slots[1].pending and not before[number]]
        return answer

    def packed(self, listed: bytes) -> bytes:
        """The hash TLV of the image that is listed by this hash; nothing's, if it is that of a packed image itself."""
        for slot in (slot for slots in self.pairs for slot in slots):
            found, unpacked = read_image(slot.data), unpacked_hash(slot.data)
            if found is not None and unpacked is not None and self.has(Quirk.LISTS_UNPACKED):
                listed = {unpacked: found[1], found[1]: b""}.get(listed, listed)
        return listed

    def boot(self, *, keep: bool = False) -> None:
        if self.has(Quirk.APPLICATION_MARKED_LAST) and self.marks[:1] == [0] and len(self.pairs) > 1:
            self.pairs[1][1].pending = False
        self.marks = []
        self.recovers = self.recovers and (self.pin_held or not is_sound(self.pairs[0][0].data))
        if self.has(Quirk.REFUSES):
            for slots in self.pairs:
                slots[1].data = b"refused" if slots[1].pending else slots[1].data
        super().boot(keep=keep)
        if self.has(Quirk.HIDES_SMP):
            self.hidden, self.stays[0] = True, True
        if self.has(Quirk.SHOWS_SMP_LATE):
            self.hidden = True
            asyncio.get_running_loop().call_later(10, setattr, self, "hidden", False)
        if self.has(Quirk.HIDES_IMAGE_1):
            self.pairs[1][1] = Slot()  # what ran before is overwritten, there is no way back

    def do_1_1_2(self, body: Body, peer: int) -> Body | None:
        if self.session is not None and 0 < body["off"] < 1 << 30:
            end = len(self.session.data) + len(body["data"])
            if end > self.end and self.has(Quirk.SILENT_AT_THE_END):
                return None
            if end > self.end and self.has(Quirk.PAUSES) and not self.paused:
                self.paused = self.silent = True
                asyncio.get_running_loop().call_later(70, setattr, self, "silent", False)
                return None
            if end > self.end and self.has(Quirk.STANDS):
                return {"off": len(self.session.data)}
        if self.recovers:
            return self.recover(body)
        number = body.get("image", 0) if len(self.pairs) > 1 else 0
        if body["off"] == 0 and (self.pairs[number][1].pending or not self.stays[number]):
            if self.has(Quirk.NO_FREE_SLOT):
                return {"err": {"group": 1, "rc": 9}}
            if self.has(Quirk.ENOMEM_FOR_NO_SLOT):
                return {"rc": 2}
        return super().do_1_1_2({**body, "image": number}, peer)

    def recover(self, body: Body) -> Body:
        """A piece for slot 0."""
        off, data = body["off"], body.get("data", b"")
        if off == 0:
            self.session = Session(body["len"], body.get("sha", b""))
        at = len(self.session.data) if self.session is not None else 0
        if self.session is None or off != at:
            return {"rc": 0, "off": at}
        self.session.data += data
        self.pairs[0][0] = Slot(bytes(self.session.data))
        off = len(self.session.data)
        self.session = self.session if off < self.session.size else None
        return {"rc": 0, "off": off}
