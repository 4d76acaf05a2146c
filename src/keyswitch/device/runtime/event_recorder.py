"""Where the device's events go: reported as they happen, and into the event log; within their limits."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from keyswitch.device.events import BootDecided, DeviceEvent, ImageReverted, ImageSwapped, to_json
from keyswitch.device.runtime.event_limits import EventLimits
from keyswitch.mcuboot.bootloader import BootReport
from keyswitch.mcuboot.trailer import SwapType

STOPPED = "stopped"


class Log(Protocol):
    """Where events are kept (`device.storage.event_log.EventLog`)."""

    def booted(self, now_ms: int) -> None:
        """The device comes up."""
        ...

    def append(self, kind: str, body: dict[str, Any], now_ms: int) -> None:
        """Keep one event."""
        ...

    def end(self, now_ms: int) -> None:
        """The device ends in order."""
        ...


class EventRecorder:
    """Records events within their limits.

    Args:
        report: told each event.
        log: keeps them; None: nothing does.
    """

    def __init__(self, report: Callable[[DeviceEvent], None], log: Log | None) -> None:
        self._report = report
        self._log = log
        self._limits = EventLimits()

    def boot(self, told: BootDecided, report: BootReport, now_ms: int) -> None:
        """The bootloader has decided; `told` is what is reported of it anyway."""
        if self._log is not None:
            self._log.booted(now_ms)
        if self._admits(told.NAME, now_ms):
            self._keep(to_json(told), now_ms)
        self.take(_boot_events(report), now_ms)

    def take(self, events: Iterable[DeviceEvent], now_ms: int) -> None:
        """Record what happened, or count it."""
        for event in events:
            if self._admits(event.NAME, now_ms):
                self._record(event, now_ms)
        self.due(now_ms)

    def due(self, now_ms: int) -> None:
        """Record the counts that are due."""
        next_ms = self._limits.next_due_ms()
        if next_ms is not None and next_ms <= now_ms:
            self._count(now_ms, all_of_them=False)

    def next_due_ms(self) -> int | None:
        """When a count is due next."""
        return self._limits.next_due_ms()

    def close(self, now_ms: int) -> None:
        """The device ends in order: record every count, and that it ended, and close the log."""
        self._count(now_ms, all_of_them=True)
        self._keep({"event": STOPPED}, now_ms)
        if self._log is not None:
            self._log.end(now_ms)

    def _admits(self, kind: str, now_ms: int) -> bool:
        self._limits, admitted = self._limits.admit(kind, now_ms)
        return admitted

    def _count(self, now_ms: int, *, all_of_them: bool) -> None:
        self._limits, counts = self._limits.due(now_ms, all_of_them=all_of_them)
        for count in counts:
            self._record(count, now_ms)

    def _record(self, event: DeviceEvent, now_ms: int) -> None:
        self._keep(to_json(event), now_ms)
        self._report(event)

    def _keep(self, told: dict[str, Any], now_ms: int) -> None:
        if self._log is not None:
            body = dict(told)
            self._log.append(body.pop("event"), body, now_ms)


def _boot_events(report: BootReport) -> Iterable[DeviceEvent]:
    for image in report.images:
        version = str(image.running_version) if image.running_version else None
        digest = image.running_hash.hex()
        if image.reverted:
            yield ImageReverted(image=image.image, version=version, hash=digest)
        elif image.done in {SwapType.TEST, SwapType.PERM}:
            yield ImageSwapped(
                image=image.image, version=version, hash=digest, swap=image.done.name.lower(), trial=image.trial
            )
