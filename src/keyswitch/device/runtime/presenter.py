"""What the device shows of itself: on the radio, at its own pace, and in the events that it reports."""

from keyswitch.device.events import BootDecided, BootedImage
from keyswitch.device.server.server import Server
from keyswitch.device.transport.ble import BleTransport, Shown
from keyswitch.device.transport.ports import DeviceTransport
from keyswitch.link.peripheral import Pace
from keyswitch.mcuboot.bootloader import BootReport


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

    def follow_reset(self) -> None:
        """Let the radio know whether a reset is due."""
        if self._carrier is not None:
            self._carrier.expect_reset(due=self._server.resetting)

    async def set_pace(self) -> None:
        """Ask for a fast connection while an upload runs over it, and give it back afterwards."""
        uploader = self._server.uploader
        if uploader == self._fast or self._carrier is None:
            return
        before, self._fast = self._fast, uploader
        for peer_id, pace in ((before, Pace.IDLE), (uploader, Pace.UPLOAD)):
            if peer_id is not None:
                await self._carrier.pace(peer_id, pace)


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
