"""Our server with its gate open, as a partner in conversation: the board's layout, the board's image."""

from collections import deque
from dataclasses import replace

from tests.device.server_rig import Rig, pump
from tests.peers.talks_image import Images

from keyswitch.mcuboot import slots
from keyswitch.mcuboot.layout import Algorithm, Layout
from keyswitch.policy.model import Policy
from keyswitch.smp.commands import ALL_KEYS

SECTOR_SIZE = 1_024


def open_policy() -> Policy:
    """Everything is allowed in maintenance."""
    policy = pump(buf_size=384)
    modes = {**policy.modes, "maintenance": replace(policy.modes["maintenance"], allow=ALL_KEYS)}
    return replace(policy, modes=modes)


class Ours:
    """The server; its own wire.

    Args:
        images: what runs, and what lies in the second slot; None where images do not matter.
    """

    def __init__(self, images: Images | None = None) -> None:
        self._heard: deque[bytes] = deque()
        if images is None:
            self.rig = Rig(open_policy())
            self.peer = self.rig.in_maintenance()
            return
        layout = Layout.for_slots(Algorithm.SWAP_OFFSET, images.slot_size, sector_size=SECTOR_SIZE)
        self.rig = Rig(open_policy(), running="0.0.0", layout=layout)
        slots.install(self.rig.flash, layout, layout.pairs[0].primary, images.running.data)
        self.rig.power_up()
        self.peer = self.rig.in_maintenance()
        self.rig.upload(self.peer, images.new.data, chunk=256)

    loses_lines = False

    @property
    def wire(self) -> "Ours":
        return self

    async def send(self, packet: bytes) -> None:
        self._heard += [answer.encode() for answer in self.rig.send(self.peer, packet)]

    async def send_bytes(self, data: bytes) -> None:
        raise AssertionError(data)

    async def receive(self, timeout_ms: int) -> bytes | None:
        del timeout_ms
        return self._heard.popleft() if self._heard else None

    async def has_reset(self) -> None:
        self.rig.wait(250)
        self.peer = self.rig.peer()
        if self.rig.mode != "maintenance":
            self.rig.enter(self.peer)
