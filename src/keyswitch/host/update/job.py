"""What an update is to reach, what was seen on the way, and how it ended: frozen data.

Rules:

* `Observed` holds what the device told over the connection that is up; what an older connection told is dropped with
  it. What outlives a connection (a reset was asked for, a reboot was seen) is in fields of its own.
* An outcome says what is true of the device, not which call failed.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from keyswitch.exits import Exit
from keyswitch.host.access.policy_profile import ConfirmBy
from keyswitch.host.access.strategy import AlreadyOpen, EntryStrategy
from keyswitch.host.connect.verdict import Verdict
from keyswitch.host.smp.queries import SlotInfo
from keyswitch.host.upload.limits import Bounds
from keyswitch.host.upload.uploader import Uploaded
from keyswitch.mcuboot.layout import BootMode
from keyswitch.reasons import Reason

__all__ = [
    "BeforeReset",
    "ConfirmBy",
    "Goal",
    "HealthCheck",
    "Job",
    "JobImage",
    "Observed",
    "Outcome",
    "Result",
    "SentBytes",
    "Stop",
    "at_rest",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobImage:
    """One file to install.

    Attributes:
        data: the whole file.
        hash: as in its hash TLV; what the device lists.
        version: as in its header.
        number: image number, for devices with several.
        arms_itself: the file brings its own trailer: written whole, it is started by the next reset unasked.
        slot: that it is linked for, 0 or 1, where the bootloader moves nothing (`direct_xip`); None otherwise.
        left_out: addresses of its file that are no part of the image, in words; empty if there are none.
        unpacked_hash: of the image that a bootloader makes of a compressed file; empty for any other.
    """

    data: bytes
    hash: bytes
    version: str
    number: int = 0
    arms_itself: bool = False
    slot: int | None = None
    left_out: str = ""
    unpacked_hash: bytes = b""

    @property
    def hashes(self) -> frozenset[bytes]:
        """What a device may list it by."""
        return frozenset({self.hash, self.unpacked_hash} - {b""})


class Goal(StrEnum):
    """How far an update goes."""

    FULL = "full"
    """Until the new image is confirmed."""
    UPLOAD = "upload"
    """Until it lies in the slot."""
    TEST = "test"
    """Until it runs on trial; somebody else confirms, or it reverts."""
    CONFIRM = "confirm"
    """Only confirm what runs."""
    LEAVE = "leave"
    """Only leave maintenance mode, and prove it; for what an interrupted run has left there."""


HealthCheck = Callable[[], Awaitable[str | None]]
"""Looks at the product while the new image runs on trial; None if it is well, else what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What an update is to do.

    Attributes:
        images: to install; empty only for `Goal.CONFIRM`, which then confirms whatever runs, and `Goal.LEAVE`.
        goal: how far to go.
        way: how maintenance mode is entered and left.
        confirm_by: who confirms.
        health: asked once the image runs, confirmed or not, and before we confirm; a failure is never a success.
        most_outstanding: upper bound of requests under way, None for what the device's buffers allow.
        max_frame: upper bound of a frame in bytes, None for what the device's buffers allow.
        stay: do not leave maintenance mode at the end.
        downgrade: install also what is older than what runs.
        unchecked: send also a file that arms itself.
        force: reset the device also where it says that it is busy.
        bounds: of the upload.
        bootloader: how the device's bootloader exchanges images, by its policy; None: nobody has said.
    """

    images: tuple[JobImage, ...] = ()
    goal: Goal = Goal.FULL
    way: EntryStrategy = field(default_factory=AlreadyOpen)
    confirm_by: ConfirmBy = ConfirmBy.OPERATOR
    health: HealthCheck | None = None
    most_outstanding: int | None = None
    max_frame: int | None = None
    stay: bool = False
    downgrade: bool = False
    unchecked: bool = False
    force: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    bootloader: BootMode | None = None

    @property
    def marking_order(self) -> tuple[JobImage, ...]:
        """The images from the highest number down: image 0, the application, is marked and confirmed last.

        A bootloader for several images looks at the application's mark to see whether there is anything to do, and may
        leave out what was marked after it (MCUboot's network core update on the nRF5340).
        """
        return tuple(sorted(self.images, key=lambda image: -image.number))


class Outcome(StrEnum):
    """How an update ended. The value is the word in JSON."""

    CONFIRMED = "confirmed"
    STAGED = "staged"
    ON_TRIAL = "on trial"
    ALREADY_RUNNING = "already running"
    LEFT = "left maintenance"
    """It is outside maintenance; nothing else was asked for."""
    REFUSED = "refused"
    FAILED = "failed"
    NOT_STARTED = "not started"
    REVERTED = "reverted"
    UNREACHABLE = "unreachable"
    NEVER_CAME_BACK = "never came back"
    UNKNOWN = "unknown"
    STILL_IN_MAINTENANCE = "still in maintenance"
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> Exit:
        """What the command ends with."""
        return _EXITS[self]


_EXITS = {
    Outcome.CONFIRMED: Exit.YES,
    Outcome.STAGED: Exit.YES,
    Outcome.ON_TRIAL: Exit.YES,
    Outcome.ALREADY_RUNNING: Exit.YES,
    Outcome.LEFT: Exit.YES,
    Outcome.REFUSED: Exit.NO,
    Outcome.FAILED: Exit.NO,
    Outcome.NOT_STARTED: Exit.NO,
    Outcome.REVERTED: Exit.REVERTED,
    Outcome.UNREACHABLE: Exit.UNREACHABLE,
    Outcome.NEVER_CAME_BACK: Exit.UNREACHABLE,
    Outcome.UNKNOWN: Exit.UNKNOWN,
    Outcome.STILL_IN_MAINTENANCE: Exit.STILL_IN_MAINTENANCE,
    Outcome.INTERRUPTED: Exit.INTERRUPTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why the way to the goal ends here.

    Attributes:
        outcome: what is true of the device.
        detail: in words.
        reason: why the device refused, if it did.
        next_step: what a person can do.
    """

    outcome: Outcome
    detail: str = ""
    reason: Reason | None = None
    next_step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeReset:
    """What was true when a reset was asked for; anything else later shows that it took place.

    `agreed` says whether the device has answered that it will.
    """

    boot_id: bytes
    slots: tuple[SlotInfo, ...]
    agreed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is known of the device.

    Attributes:
        images: what is to be installed.
        health: a health check was given.
        connected: a connection is up.
        smp: firmware commands can be sent over it.
        gated: the device has a mode group; None while unknown.
        open: the device says that its gate is open for us; None while unknown.
        outside: it says that it is outside maintenance, which is more than shut for us; None while unknown.
        verdict: what was found out over this connection.
        slots: what lies in the slots, read over this connection.
        boot_id: told over this connection; empty if the device has none.
        reset: set when a reset was asked for.
        rebooted: the reset was seen to have taken place.
        by_reset: the device takes no state write: a reset alone starts the newer image.
        settled: after such a reset it came back outside maintenance, where it lists no images: the slots that were
            read before the reset are the proof.
        left: the device agreed to leave.
        distrusted: hashes that the device lists of copies that it refuses to start; they are not there for us.
        uploaded: hashes of the images that this run has uploaded whole.
        theirs: hashes of running images whose confirmation the device leaves to their own applications.
        well: the health check has found what runs well, over this connection.
    """

    images: tuple[JobImage, ...] = ()
    health: bool = False
    connected: bool = False
    smp: bool = False
    gated: bool | None = None
    open: bool | None = None
    outside: bool | None = None
    verdict: Verdict | None = None
    slots: tuple[SlotInfo, ...] | None = None
    boot_id: bytes = b""
    reset: BeforeReset | None = None
    rebooted: bool = False
    by_reset: bool = False
    settled: bool = False
    left: bool = False
    distrusted: frozenset[bytes] = frozenset()
    uploaded: frozenset[bytes] = frozenset()
    theirs: frozenset[bytes] = frozenset()
    well: bool = False

    def without_connection(self) -> "Observed":
        """What outlives a connection."""
        return Observed(
            images=self.images,
            health=self.health,
            reset=self.reset,
            rebooted=self.rebooted,
            by_reset=self.by_reset,
            settled=self.settled,
            distrusted=self.distrusted,
            uploaded=self.uploaded,
            theirs=self.theirs,
        )

    def listed(self, image: JobImage) -> SlotInfo | None:
        """The slot that holds this image; the active one if both do."""
        found = [view for view in self.slots or () if self._is_it(view, image)]
        if image.hash in self.distrusted:
            found = [view for view in found if view.active]
        return next((view for view in found if view.active), found[0] if found else None)

    def _is_it(self, view: SlotInfo, image: JobImage) -> bool:
        if view.image_told and view.image != image.number:
            return False
        if view.hash:
            return view.hash in image.hashes
        # A version says nothing of what lies there, unless it was this run that brought it; what runs before the reset
        # is what ran before.
        brought = image.hash in self.uploaded and (self.rebooted or not view.active)
        return brought and view.version == image.version

    @property
    def unproved(self) -> tuple[JobImage, ...]:
        """The images whose rows have no hash: that it is them is told by their versions alone."""
        return tuple(image for image in self.images if (view := self.listed(image)) is not None and not view.hash)

    @property
    def taken(self) -> tuple[JobImage, ...]:
        """The images that the reset took out of their slots to where no list shows them, such as a network core.

        They were listed as pending before it and are in no list since, and the device lists nothing that would run in
        their place: where it does, they were refused. Nothing shows that they run.
        """
        before = self.reset
        if before is None or not self.rebooted or self.slots is None:
            return ()
        pending = {(view.image, view.hash) for view in before.slots if view.pending and view.hash}
        run = {view.image for view in self.slots if view.active}

        def was_pending(image: JobImage) -> bool:
            return any((image.number, each) in pending for each in image.hashes)

        return tuple(
            image
            for image in self.images
            if was_pending(image) and image.number not in run and self.listed(image) is None
        )

    @property
    def all_present(self) -> bool:
        """Each image lies in a slot."""
        return all(self.listed(image) is not None for image in self.images)

    @property
    def all_pending(self) -> bool:
        """Each image runs, or would be started by a reset."""
        return all((view := self.listed(image)) is not None and (view.active or view.pending) for image in self.images)

    @property
    def all_active(self) -> bool:
        """Each image runs, as far as lists can show it."""
        shown = [image for image in self.images if image not in self.taken]
        return self.slots is not None and all(
            (view := self.listed(image)) is not None and view.active for image in shown
        )

    @property
    def all_confirmed(self) -> bool:
        """What runs is what was wanted, and stays. Without wanted images: whatever runs stays."""
        return self.all_active and not self.unconfirmed

    @property
    def unconfirmed(self) -> frozenset[bytes]:
        """Hashes of the running images that do not stay yet; of those that were wanted, if any were."""
        wanted = [view for image in self.images if (view := self.listed(image)) is not None]
        views = wanted if self.images else self.slots or ()
        return frozenset(view.hash for view in views if view.active and not view.confirmed)


def at_rest(slots: tuple[SlotInfo, ...]) -> bool:
    """Whether a device with these slots stays as it is: something runs, what runs is confirmed, nothing is pending.

    Anything else can change without us: a reset, the end of a lease or of a trial is enough.
    """
    running = [view for view in slots if view.active]
    return bool(running) and all(view.confirmed for view in running) and not any(view.pending for view in slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBytes:
    """What a run has sent of its images, all of its uploads together.

    Attributes:
        bytes: sent, each as often as it was sent.
        already_there: bytes that the device had before the run sent any.
        bytes_per_second: of what the device took, over the time of sending alone; 0 if it took nothing.
    """

    bytes: int
    already_there: int
    bytes_per_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an update ended.

    Attributes:
        outcome: what is true of the device.
        detail: in words; empty where the outcome says it all.
        reason: why the device refused, if it did.
        next_step: what a person can do.
        upload: the last upload that ended with every byte there, if there was one.
        sent: what was sent, whole or not; None if nothing was.
        resumed: how often a lost link or an earlier run's upload was continued.
        resent_bytes: of images, sent more than once in the whole run.
        duration_ms: of the whole run.
        before: slots when they were first read.
        after: slots as they are; None where they were not read since something could have changed them.
        not_read_since: what that was; empty if they were read, or never.
        extensions: how often the device's lease was extended.
        entered_by: how entry was proved; None if we did not enter.
        device: what the device was known by at the end, in words.
    """

    outcome: Outcome
    detail: str = ""
    reason: Reason | None = None
    next_step: str = ""
    upload: Uploaded | None = None
    sent: SentBytes | None = None
    resumed: int = 0
    resent_bytes: int = 0
    duration_ms: int = 0
    before: tuple[SlotInfo, ...] | None = None
    after: tuple[SlotInfo, ...] | None = None
    not_read_since: str = ""
    extensions: int = 0
    entered_by: str | None = None
    device: str = ""

    @property
    def line(self) -> str:
        """What is, in one line; what to do stands beside it."""
        return f"{self.outcome.value}: {self.detail}" if self.detail else self.outcome.value
