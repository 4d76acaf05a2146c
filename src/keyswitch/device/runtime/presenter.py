"""What the device shows of itself: on the radio, at its own pace, and in the events that it reports."""

from keyswitch.device.events import BootDecided, BootedImage
from keyswitch.device.server.server import Server
from keyswitch.device.transport.ble import BleTransport, Shown
from keyswitch.device.transport.ports import DeviceTransport
from keyswitch.gate.peer import Peer
from keyswitch.link.peripheral import Pace
from keyswitch.mcuboot.bootloader import BootReport
from keyswitch.terms import Security, Transport


class Presenter:
    """Keeps the radio's face in step with the server. Does nothing on a device without a radio.

    Args:
        server: what is shown.
        carrier: of Bluetooth LE, if there is one.
    """

    def __init__(self, server: Server, carrier: DeviceTransport | None) -> None:
        self._server = server
        self._carrier = carrier if isinstance(carrier, BleTransport) else None
        self._fast: int | None = None
        self.smp = False
        """Whether the SMP service is to be in the table."""
        self.firmware = ""
        """Version that runs."""

    def boot(self, report: BootReport, *, smp: bool) -> None:
        """Another life begins, with or without the SMP service."""
        self._fast = None
        self.smp = smp
        self.firmware = str(report.images[0].running_version or "")

    def show(self, now_ms: int, battery: object) -> None:
        """Show mode, token, service and battery as they are now."""
        if self._carrier is None:
            return
        self._carrier.show(
            Shown(
                smp=self.smp,
                beacon=self._server.beacon(),
                state=self._server.state_value(now_ms),
                firmware=self.firmware,
                battery_percent=battery if isinstance(battery, int) else None,
            )
        )

    async def set_pace(self) -> None:
        """Ask for a fast connection while an upload runs over it, and give it back afterwards."""
        uploader = self._server.uploader
        if uploader == self._fast or self._carrier is None:
            return
        before, self._fast = self._fast, uploader
        for peer_id, pace in ((before, Pace.IDLE), (uploader, Pace.UPLOAD)):
            if peer_id is not None:
                await self._carrier.pace(peer_id, pace)


class PasskeyDisplay:
    """The place on the panel where a passkey appears; made before the runtime that it belongs to.

    The radio does not say for whom it shows one. It is for a central that was connected then, most likely for one whose
    link was not authenticated: it goes when one of those has become authenticated, or when none of them is left.
    """

    def __init__(self) -> None:
        self.passkey: str | None = None
        """What a person is to type at the central; None: nothing is shown."""
        self._there: dict[int, Security] = {}
        self._shown_for: set[int] = set()

    def show(self, passkey: str) -> None:
        """Show it until a link that it may be for is authenticated, or the last of them has ended."""
        self.passkey = passkey
        unproved = {peer_id for peer_id, security in self._there.items() if security < Security.AUTHENTICATED}
        self._shown_for = unproved or set(self._there)  # who is authenticated already may pair anew

    def peer_came(self, peer: Peer) -> None:
        """A peer is there, or has another security now: then it has done with the passkey, if that is what it did."""
        if peer.transport is not Transport.BLE:
            return
        self._there[peer.id] = peer.security
        if peer.id in self._shown_for:
            self._has_done_with_it(peer.id, paired=peer.security >= Security.AUTHENTICATED)

    def peer_went(self, peer_id: int) -> None:
        """A peer has gone; the passkey goes with the last one that it may be for."""
        self._there.pop(peer_id, None)
        if peer_id in self._shown_for:
            self._has_done_with_it(peer_id, paired=False)

    def clear(self) -> None:
        """Everybody is gone: show nothing."""
        self._there.clear()
        self._take_away()

    def _has_done_with_it(self, peer_id: int, *, paired: bool) -> None:
        self._shown_for.discard(peer_id)
        if paired or not self._shown_for:
            self._take_away()

    def _take_away(self) -> None:
        self.passkey = None
        self._shown_for.clear()


def boot_event(report: BootReport) -> BootDecided:
    """What is reported of a boot."""
    return BootDecided(
        runs=report.runs,
        images=tuple(
            BootedImage(
                image=image.image,
                version=str(image.running_version) if image.running_version else None,
                hash=image.running_hash.hex(),
                swap=image.done.name.lower(),
                trial=image.trial,
                reverted=image.reverted,
                why=image.why,
            )
            for image in report.images
        ),
    )
