"""Devices that are not ours, one for each shipped recipe: how they enter their update mode, and what they are then."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.host.images import Made, is_sound, read_image
from tests.host.smp_peer import Faults, PeerAir, PeerGattLink, Session, Slot, SmpPeer

from keyswitch.errors import RemoteError

FE59 = "0000fe59-0000-1000-8000-00805f9b34fb"
BUTTONLESS = "8ec90003-f315-4f60-9fb8-838830daea50"


class LoaderPeer(SmpPeer):
    """An application without image group, and a loader that writes its slot, as MCUboot's updater and recovery do."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, gated=False, mode_group=False, **settings)
        self.loader = False
        self.settings: dict[str, bytes] = {}
        self.saved = False
        self.home = (self.name, self.address)
        self.lists_in_application = False
        self.shown = True

    @property
    def visible(self) -> bool:
        return self.loader or self.shown

    def judge(self, key: tuple[int, int, int], body: dict[str, Any], door: str, peer: int) -> dict[str, Any] | None:
        if key[0] == 1 and not self.loader and not (self.lists_in_application and key == (1, 0, 0)):
            return {"rc": 8}
        if self.loader and (key == (1, 0, 2) or key[0] == 3):
            return {"rc": 8}
        return super().judge(key, body, door, peer)

    def listing(self) -> list[dict[str, Any]]:
        rows = super().listing()
        return [{**row, "active": False, "confirmed": False} for row in rows] if self.loader else rows

    def do_0_7_0(self, _body: dict[str, Any], _peer: int) -> dict[str, Any]:
        return {"rc": 8} if self.loader else {"output": "Zephyr"}

    def do_3_0_2(self, body: dict[str, Any], _peer: int) -> dict[str, Any]:
        self.settings[body["name"]] = body["val"]
        return {}

    def do_3_3_2(self, _body: dict[str, Any], _peer: int) -> dict[str, Any]:
        self.saved = True
        return {}

    def do_0_5_2(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        self.wanted_loader = body.get("boot_mode") == 1
        super().do_0_5_2(body, peer)
        return {"rc": 0} if self.loader else {}

    def boot(self, *, keep: bool = False) -> None:
        del keep
        self.log.append("boot")
        self.boots += 1
        self.session = None
        self.loader = getattr(self, "wanted_loader", False) or not is_sound(self.slots[0].data)
        self.wanted_loader = False
        self.name, self.address = self.identity()

    def identity(self) -> tuple[str, str]:
        if not self.loader:
            return self.home
        return self.settings.get("fw_loader/adv_name", b"Loader").decode(), "C0:00:00:00:00:F0"

    def do_1_1_2(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        off, data = body["off"], body.get("data", b"")
        if off == 0 and not (self.session and self.session.sha == body.get("sha")):
            self.session = Session(body["len"], body.get("sha", b""))
            self.slots[0] = Slot()
        if self.session is None:
            return {"off": 0}
        if off == len(self.session.data):
            self.session.data += data
            self.slots[0].data = bytes(self.session.data)
        told = len(self.session.data)
        if told == self.session.size:
            self.session = None
        return {"off": told}


class ButtonlessPeer(LoaderPeer):
    """The same behind a characteristic: write 01, indication, back at the next address."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.shown = False
        self.says = bytes.fromhex("200101")

    def identity(self) -> tuple[str, str]:
        name, address = self.home
        return ("DfuTarg", f"{address[:-2]}{int(address[-2:], 16) + 1:02X}") if self.loader else (name, address)


class ButtonlessLink(PeerGattLink):
    """A connection to it."""

    def __init__(self, peer: SmpPeer, faults: Faults) -> None:
        super().__init__(peer, faults)
        self.indicate: Callable[[bytes], None] | None = None
        if isinstance(peer, ButtonlessPeer) and not peer.loader:
            self.services |= {FE59}

    async def subscribe(self, service: str, characteristic: str, sink: Callable[[bytes], None]) -> None:
        if characteristic != BUTTONLESS:
            await super().subscribe(service, characteristic, sink)
            return
        await self.trip()
        self.indicate = sink

    async def request(self, service: str, characteristic: str, data: bytes) -> None:
        await self.trip()
        assert isinstance(self.peer, ButtonlessPeer)
        if (service, characteristic, data) != (FE59, BUTTONLESS, b"\x01") or self.indicate is None:
            raise RemoteError("ATT error 0x0e (unlikely)")
        self.indicate(self.peer.says)
        if self.peer.says == bytes.fromhex("200101"):
            self.peer.wanted_loader = True
            self.peer.resets.add(asyncio.get_running_loop().create_task(self.peer.reset(planned=False)))


class ButtonlessAir(PeerAir):
    """An adapter whose connections have that characteristic."""

    async def connect(self, address: str, timeout_ms: int) -> PeerGattLink:
        link = await super().connect(address, timeout_ms)
        await link.close()
        return ButtonlessLink(link.peer, self.faults)


class ButtonPeer(SmpPeer):
    """A device without mode group that shows its SMP service after its button was pressed.

    A reset ends that, but for the one that exchanges images if it `remembers`; it never does if it `stays`.
    """

    def __init__(self, *arguments: Any, remembers: bool = True, stays: bool = False, **settings: Any) -> None:
        super().__init__(*arguments, mode_group=False, **settings)
        self.remembers = remembers
        self.stays = stays

    def press(self) -> None:
        self.mode = "maintenance"
        self.end_links("button")

    def boot(self, *, keep: bool = False) -> None:
        del keep
        super().boot(keep=self.stays or (self.remembers and self.slots[1].pending))


class TwoImagePeer(SmpPeer):
    """A device with two image pairs, such as an application and a network core."""

    def __init__(self, running: Made, second: Made, *, confirms_second: bool = True, **settings: Any) -> None:
        super().__init__(running, **settings)
        self.confirms_second = confirms_second
        self.pairs = [self.slots, [Slot(second.data), Slot()]]
        self.stays = [True, True]

    def listing(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for number, slots in enumerate(self.pairs):
            self.slots, self.confirmed = slots, self.stays[number]
            rows += [{**row, "image": number} for row in super().listing()]
        return rows

    def do_1_1_2(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        if body["off"] == 0:
            self.slots = self.pairs[body.get("image", 0)]
        return super().do_1_1_2(body, peer)

    def do_1_0_2(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        for number, slots in enumerate(self.pairs):
            hashes = [found[1] for slot in slots if (found := read_image(slot.data))]
            if body.get("hash") in hashes or "hash" not in body:
                self.slots, self.confirmed = slots, self.stays[number]
                runs = body.get("hash") in {None, (read_image(slots[0].data) or ("", b""))[1]}
                if number and runs and body.get("confirm") and not self.confirms_second:
                    return {"err": {"group": 1, "rc": 32}}
                answer = super().do_1_0_2(body, peer)
                self.stays[number] = self.stays[number] or ("err" not in answer and runs)
                return answer if "err" in answer else {"images": self.listing()}
        return {"err": {"group": 1, "rc": 8}}

    def boot(self, *, keep: bool = False) -> None:
        boots = self.boots
        for number, slots in enumerate(self.pairs):
            self.slots, self.confirmed = slots, self.stays[number]
            super().boot(keep=keep)
            self.pairs[number], self.stays[number] = self.slots, self.confirmed
        self.boots = boots + 1


class LeasePeer(SmpPeer):
    """A device whose maintenance ends with its lease, in milliseconds; `extend` starts that again, up to a limit.

    Args:
        lease_ms: of one lease.
        lease_max_ms: of all extensions together; None: it extends nothing.
        keeps: an upload outlives the end of its session.
    """

    def __init__(
        self, *arguments: Any, lease_ms: int, lease_max_ms: int | None = None, keeps: bool = False, **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self.lease_ms = lease_ms
        self.lease_max_ms = lease_max_ms
        self.keeps = keeps
        self.entries = 0
        self.ends_at = self.ends_at_most = 0.0

    def left_ms(self) -> int:
        return round((min(self.ends_at, self.ends_at_most) - asyncio.get_running_loop().time()) * 1000)

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.ends_at = loop.time() + self.lease_ms / 1000
        loop.call_at(min(self.ends_at, self.ends_at_most), self.look)

    def look(self) -> None:
        if self.mode == "maintenance" and self.left_ms() <= 0 and self.up:
            self.shut()

    def shut(self) -> None:
        session = self.session
        super().shut()
        self.session = session if self.keeps else None

    def do_19283_0_0(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        state = super().do_19283_0_0(body, peer)
        return {**state, "lease_ms": self.left_ms()} if "lease_ms" in state else state

    def do_19283_2_2(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        was_open = self.open
        answer = super().do_19283_2_2(body, peer)
        if self.open and not was_open:
            self.entries += 1
            self.ends_at_most = asyncio.get_running_loop().time() + (self.lease_max_ms or self.lease_ms) / 1000
            self.start()
        return {**answer, "lease_ms": self.left_ms()} if "lease_ms" in answer else answer

    def do_19283_4_2(self, _body: dict[str, Any], _peer: int) -> dict[str, Any]:
        if not self.open:
            return {"rc": 11, "rsn": f"wrong mode: {self.mode}"}
        if self.lease_max_ms is None:
            return {"rc": 11, "rsn": "expired: this lease is not extended"}
        self.start()
        return {"lease_ms": self.left_ms()}


class ConfirmingPeer(SmpPeer):
    """A device on which every image comes up confirmed, as with an overwriting bootloader, which keeps no old one."""

    def __init__(self, *arguments: Any, overwrites: bool = True, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.overwrites = overwrites

    def boot(self, *, keep: bool = False) -> None:
        super().boot(keep=keep)
        self.confirmed = True
        if self.overwrites:
            self.slots[1] = Slot()


MAGIC = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
"""Ends the trailer of an image that is to be started (MCUboot `boot_img_magic`)."""


def padded(made: Made, *, confirmed: bool) -> bytes:
    """The file as `imgtool sign --pad`, with `--confirm`, makes it."""
    image_ok = b"\x01" if confirmed else b"\xff"
    return made.data + b"\xff" * 4_096 + image_ok + b"\xff" * 7 + MAGIC


class TrailerPeer(SmpPeer):
    """A server that writes what it gets: a file's own trailer lies at the slot's end then, and marks the image."""

    def do_1_1_2(self, body: dict[str, Any], peer: int) -> dict[str, Any]:
        answer = super().do_1_1_2(body, peer)
        slot = self.slots[1]
        if slot.data.endswith(MAGIC):
            slot.pending, slot.permanent = True, slot.data[-24] == 1
        return answer


class XipPeer(SmpPeer):
    """A device that runs images where they lie: the slot changes, not what is in it.

    Args:
        at: the slot that runs first.
        mode: what its bootloader calls itself.
        tells_active: whether its list says what runs.
    """

    def __init__(self, *arguments: Any, at: int = 0, mode: int = 5, tells_active: bool = True, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.at = at
        self.boot_mode = mode
        self.tells_active = tells_active

    def do_0_8_0(self, body: dict[str, Any], _peer: int) -> dict[str, Any]:
        return {"mode": self.boot_mode} if body.get("query") == "mode" else {"bootloader": "MCUboot"}

    def listing(self) -> list[dict[str, Any]]:
        rows = [{**row, "slot": row["slot"] ^ self.at} for row in super().listing()]
        rows = rows if self.tells_active else [{**row, "active": False} for row in rows]
        return sorted(rows, key=lambda row: row["slot"])

    def boot(self, *, keep: bool = False) -> None:
        before = self.running()
        super().boot(keep=keep)
        self.at ^= self.running() != before
